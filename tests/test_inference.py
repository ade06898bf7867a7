"""inference.py: the prompt is what training saw, the cache changes nothing, nothing written steers the terminal, and
scripts get answers, scores and exit codes. A tiny model, overfitted in seconds on data that prep_data.py prepared."""

from __future__ import annotations

import functools
import io
import itertools
import json
import math
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import transformers
from conftest import HANG_S, ROOT, call, mistake, once_for_all_workers, read_jsonl, start_script, write_jsonl

import inference

ROLES = ("<|system|>", "<|user|>", "<|assistant|>", "<|endoftext|>")
FACTS = {
    "Hi": "Hello! 😀",
    "What is the capital of France?": "Paris.",
    "Say hello in Chinese": "你好，世界！👩‍🚀",
    "Who are you?": "I am a very small chatbot.",
    "Count": "1 2 3 4 5 6 7 8 9 10 11 12",
    "Repeat": "so it goes and so it goes and so it goes and so on",
}
HOSTILE = [*ROLES, "<|user|", "|>", "\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "\x00", "\r", "\x7f", "\u202e", "\u2066", "\ud800",
           "\udfff", "\udce9", "😀", "👩‍🚀", "你好", "\n", "\t", " ", "a", "é", "\ufffd", "\ufeff", "/", "{{ 1 }}", "{% raw %}", "\\"]  # fmt: skip


def row(*texts: str, system: str = "Be brief.") -> dict:
    turns = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]
    return {"system": system, "messages": turns}


def shared_bot(tmp_path_factory) -> Path:
    """A GPT-2 of two layers that knows FACTS, for both test files of the chat."""
    return once_for_all_workers(tmp_path_factory, "chatbot", make_bot) / "bot"


def make_bot(base: Path) -> None:
    import prep_data

    base.mkdir()
    talks = [random.Random(i).sample(sorted(FACTS.items()), k=1 + i % 5) for i in range(60)]
    talks += [[fact] for fact in FACTS.items()] + [[fact, fact] for fact in FACTS.items()]
    source = write_jsonl(base / "rows.jsonl", [row(*itertools.chain(*talk)) for talk in talks])
    val = write_jsonl(base / "val.jsonl", [row("How are you?", "Fine.")])
    sources = ["--dataset", source, "--val_dataset", val, "--out_dir", base / "data"]
    call(prep_data.main, *sources, "--train_tokenizer", 340, "--seq_len", 128)
    rows = read_jsonl(base / "data/train_tokenized.jsonl")
    width = max(len(row["input_ids"]) for row in rows)
    ids, labels = (
        torch.tensor([row[key] + [fill] * (width - len(row[key])) for row in rows])
        for key, fill in (("input_ids", 0), ("labels", -100))
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(base / "data/tokenizer")
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(gpt2_config(tokenizer))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for chosen in (torch.randperm(len(ids))[:16] for _ in range(200)):
        model(input_ids=ids[chosen], labels=labels[chosen]).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        assert (loss := model(input_ids=ids, labels=labels).loss) < 0.05, loss
    save_bot(model, tokenizer, base / "bot")


def gpt2_config(tokenizer) -> transformers.GPT2Config:
    end, size = tokenizer.eos_token_id, math.ceil(len(tokenizer) / 64) * 64
    return transformers.GPT2Config(vocab_size=size, n_layer=2, n_embd=64, n_head=2, n_positions=512, n_ctx=512,
                                   bos_token_id=end, eos_token_id=end, pad_token_id=end, resid_pdrop=0.0,
                                   embd_pdrop=0.0, attn_pdrop=0.0, activation_function="gelu_pytorch_tanh")  # fmt: skip


def save_bot(model, tokenizer, folder: Path) -> Path:
    end = tokenizer.eos_token_id
    model.generation_config = transformers.GenerationConfig(
        do_sample=True, temperature=0.6, top_p=0.8, max_new_tokens=64, eos_token_id=end, pad_token_id=end
    )
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """For so small a model a second thread costs more than it brings, most of all on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def bot_dir(tmp_path_factory) -> Path:
    return shared_bot(tmp_path_factory)


@pytest.fixture(scope="module")
def llama_dir(bot_dir) -> Path:
    tokenizer, torch_seed = transformers.AutoTokenizer.from_pretrained(bot_dir), torch.manual_seed(1)
    config = transformers.LlamaConfig(
        vocab_size=384, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=512, bos_token_id=0, eos_token_id=0, pad_token_id=0,
        initializer_range=0.2, tie_word_embeddings=True,
    )  # fmt: skip
    assert torch_seed and len(tokenizer) <= 384
    return save_bot(transformers.LlamaForCausalLM(config), tokenizer, bot_dir.parent / "llama")


def load(folder: Path, dtype: str = "fp32", quantize: str | None = None, compile: bool = False) -> inference.Chatbot:
    return inference.Chatbot(str(folder), "cpu", dtype, quantize, compile)


@pytest.fixture(scope="module")
def bot(bot_dir) -> inference.Chatbot:
    return load(bot_dir)


def settings(**changes) -> dict:
    return {**inference.GREEDY, **changes}


def new_chat(bot, interactive: bool = False, system: str = "Be brief.", **changes) -> inference.Chat:
    bot.forget()
    return inference.Chat(bot, settings(**changes), system, torch.Generator().manual_seed(0), interactive)


def pipe(monkeypatch, data: str | bytes) -> None:
    data = data if isinstance(data, bytes) else data.encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))


def run(capsys, *argv) -> tuple[str, str]:
    call(inference.main, *argv)
    return capsys.readouterr()


# One format ---------------------------------------------------------------------------------------------------------


def test_the_prompt_of_every_turn_of_the_bundled_conversations_begins_its_training_row(bot_dir, tmp_path):
    import prep_data

    folders = ["--dataset", ROOT / "data/sample", "--out_dir", tmp_path / "data"]
    call(prep_data.main, *folders, "--train_tokenizer", 2048, "--seq_len", 256)
    bot = load(bot_dir)
    bot.tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "data/tokenizer")
    turns_seen = 0
    for name in ("train", "val"):
        plain, tokenized = (
            (tmp_path / f"data/{name}{kind}.jsonl").read_text().splitlines() for kind in ("", "_tokenized")
        )
        assert len(plain) == len(tokenized) > 100
        for system, turns, trained in (
            (*inference.read_row("", text, ""), json.loads(ids)) for text, ids in zip(plain[::6], tokenized[::6])
        ):
            for end in range(1, len(turns), 2):
                prompt, _, note = bot.fit(system, turns[:end], 64)
                assert trained["input_ids"][: len(prompt)] == prompt and not note
                learned = [label != -100 for label in trained["labels"][len(prompt) - 1 : len(prompt) + 1]]
                assert learned == [False, True]  # the answer begins where the prompt ends
                turns_seen += 1
    assert turns_seen > 2500  # of every sixth conversation


# The cache ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gpt2", "llama", "static"])
def test_cached_turns_equal_the_conversation_run_afresh(kind, bot_dir, llama_dir, monkeypatch, capsys):
    if kind == "static":  # --compile, with the compiler taken out: it takes a minute and is not ours to test
        monkeypatch.setattr(torch, "compile", lambda function, **_: function)
        monkeypatch.setattr(inference, "why_no_compile", lambda device: None)
    bot = load(llama_dir if kind == "llama" else bot_dir, compile=kind == "static")
    fresh = load(bot.name)
    chat, words, rng = (
        new_chat(bot, max_new_tokens=24),
        [*FACTS, "who", "Count", "10", "goes", "你", "hello"],
        random.Random(3),
    )
    original, prompts, answers, ran = inference.Chatbot.generate, [], [], []
    first = bot.cache

    def generate(self, prompt, *args):
        prompts.append(prompt)
        answers.append([])
        for token in original(self, prompt, *args):
            answers[-1].append(token)
            yield token

    hook = bot.model.get_input_embeddings().register_forward_hook(lambda _, inputs, __: ran.append(inputs[0].shape[1]))
    monkeypatch.setattr(inference.Chatbot, "generate", generate)
    turns = 50 if kind == "gpt2" else 20
    for _ in range(turns):
        chat.ask(" ".join(rng.choices(words, k=rng.randint(1, 4))))
    hook.remove()
    capsys.readouterr()
    assert kind != "static" or bot.cache is first  # another would be compiled for once more
    assert len(set(map(tuple, answers))) > 5 and len(prompts) == turns
    for prompt, answer in zip(prompts, answers):
        fresh.forget()
        assert list(original(fresh, prompt, chat.settings, chat.generator)) == answer
    if kind == "gpt2":  # it forgot the oldest turns on the way, and before that ran only what was new
        assert chat.forgotten > 0 and len(chat.turns) == 2 * turns
        room = next(i for i, prompt in enumerate(prompts) if prompt[: len(prompts[0])] != prompts[0])
        assert room > 5 and sum(ran[: sum(map(len, answers[:room]))]) < 1.5 * len(prompts[room - 1])
        greedy = fresh.model.generate(torch.tensor([prompts[9]]), do_sample=False, max_new_tokens=24,
                                      suppress_tokens=fresh.banned.nonzero()[:, 0].tolist(),
                                      eos_token_id=fresh.end, pad_token_id=fresh.end)  # fmt: skip
        assert greedy[0, len(prompts[9]) :].tolist() == answers[9]


def test_a_cache_that_ctrl_c_left_uneven_is_mended(bot, capsys):
    chat = new_chat(bot, interactive=True)
    chat.ask("Hi")

    def interrupt(*_):
        raise KeyboardInterrupt

    hook = bot.model.transformer.h[1].register_forward_pre_hook(interrupt)  # the first layer has run, the second not
    chat.ask("Count")
    hook.remove()
    assert "[stopped]" in capsys.readouterr().err and chat.turns[-1] == {"role": "assistant", "content": ""}
    chat.take_back()
    chat.ask("Count")
    cached = chat.turns[-1]["content"]
    chat.take_back()
    bot.forget()
    chat.ask("Count")
    assert chat.turns[-1]["content"] == cached


@pytest.mark.parametrize(("dtype", "within"), [("fp32", 1e-4), ("bf16", 0.1)])
def test_packed_layers_compute_what_the_model_does(bot_dir, monkeypatch, dtype, within):
    fp32, bf16 = inference.cpu_speeds()
    if dtype == "bf16" and bf16 <= fp32:
        pytest.skip("no bf16 hardware")
    thin = load(bot_dir, dtype)
    if not inference.can_be_packed(thin.model):
        pytest.skip("no such kernel")
    monkeypatch.setattr(inference, "LEAST_PACKED", 0)
    packed = load(bot_dir, dtype)
    kind = inference.DTYPES[dtype]
    plain = transformers.AutoModelForCausalLM.from_pretrained(bot_dir, dtype=kind)
    ids = torch.tensor([packed.ids("", [{"role": "user", "content": "Count"}])])
    assert any(isinstance(module, inference.PackedLinear) for module in packed.model.modules())
    assert not any(isinstance(module, inference.PackedLinear) for module in thin.model.modules())
    assert packed.model.dtype == kind
    torch.testing.assert_close(packed.model(ids).logits, plain(ids).logits, rtol=within / 2, atol=within)


# The context --------------------------------------------------------------------------------------------------------


def test_the_oldest_pairs_go_and_the_system_prompt_stays(bot):
    turns = [turn for i in range(40) for turn in row(f"question number {i}", f"answer number {i}")["messages"]]
    ids, kept, note = bot.fit("Be brief.", [*turns, {"role": "user", "content": "last"}], 64)
    assert kept[0]["role"] == "user" and kept == [*turns, {"role": "user", "content": "last"}][-len(kept) :]
    assert 512 - 64 - 40 < len(ids) <= 512 - 64
    assert bot.tokenizer.decode(ids).startswith("<|system|>Be brief.<|user|>question")
    assert note == f"[the context is full: the oldest {81 - len(kept)} messages are forgotten]"


@pytest.mark.parametrize("text", ["word " * 5000, "😀" * 3000, "<|user|>" * 2000, "\x00\x1b" * 3000, "x" * 1_000_000])
def test_a_message_too_long_is_cut_at_its_end_with_a_word(text, bot, capsys):
    chat = new_chat(bot, max_new_tokens=100)
    chat.ask(text)
    assert "only the first" in capsys.readouterr().err
    kept = chat.turns[0]["content"]
    assert (
        text.replace("<|user|>", "<|user |>").startswith(kept)
        and 350 < len(bot.ids("Be brief.", chat.turns[:1])) <= 412
    )
    chat.ask("Hi")  # and the chat goes on


def test_answers_end_at_the_last_position_and_never_beyond(bot_dir, tmp_path, capsys):
    chat = new_chat(load(endless(bot_dir, tmp_path)), max_new_tokens=10**9)
    for turn in range(3):
        chat.ask(f"go on {turn}")
        assert len(chat.bot.cached_ids) == chat.bot.n_positions - 1  # the last token is not run
    with pytest.raises(inference.Mistake, match="the system prompt fills the 512 positions"):
        new_chat(chat.bot, system="word " * 600).ask("Hi")


def endless(bot_dir: Path, folder: Path) -> Path:
    """The same chatbot with an end token that never wins."""
    model = transformers.AutoModelForCausalLM.from_pretrained(bot_dir)
    tokenizer = transformers.AutoTokenizer.from_pretrained(bot_dir)
    model.get_input_embeddings().weight.data[tokenizer.eos_token_id] = 0
    return save_bot(model, tokenizer, folder / "endless")


# Sampling -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [{"temperature": 1.7, "top_k": 0, "top_p": 0.6}, {"temperature": 0.5, "top_k": 20, "top_p": 1, "min_p": 0.1},
     {"temperature": 1, "top_k": 40, "top_p": 0.9, "repetition_penalty": 1.4}],
)  # fmt: skip
def test_sampling_has_the_probabilities_of_transformers_own_chain(changes, monkeypatch):
    torch.manual_seed(0)
    logits, seen = torch.randn(500) * 3, {}
    ids = [*logits.topk(3).indices.tolist(), *logits.topk(3).indices.tolist(), 7]
    monkeypatch.setattr(
        torch, "multinomial", lambda p, *_, **__: seen.update(p=p) or torch.zeros(1, 1, dtype=torch.long)
    )
    top = inference.choose(logits, ids, settings(**changes), torch.Generator())
    steps, scores = transformers.generation.logits_process, logits[None].clone()
    chain = [("repetition_penalty", 1, steps.RepetitionPenaltyLogitsProcessor), ("temperature", 1, steps.TemperatureLogitsWarper),
             ("top_k", 0, steps.TopKLogitsWarper), ("top_p", 1, steps.TopPLogitsWarper), ("min_p", 0, steps.MinPLogitsWarper)]  # fmt: skip
    for name, off, kind in chain:
        if settings(**changes)[name] != off:
            scores = kind(settings(**changes)[name] if name != "temperature" else float(changes[name]))(
                torch.tensor([ids]), scores
            )
    expected = scores.softmax(-1)[0].sort(descending=True).values
    torch.testing.assert_close(seen["p"][0], expected[: seen["p"].shape[1]])
    assert expected[seen["p"].shape[1] :].sum() == 0 and top == int(scores.argmax())


def test_padding_and_role_ids_are_never_sampled(bot):
    chat = new_chat(bot, temperature=100, top_k=0, top_p=1, max_new_tokens=400)
    drawn = [token for _ in range(8) for token in bot.generate([1, 2, 3], chat.settings, chat.generator)]
    forbidden = {*range(len(bot.tokenizer), 384), *(bot.tokenizer.convert_tokens_to_ids(role) for role in ROLES[:3])}
    assert len(set(drawn)) > 250 and not forbidden & set(drawn)


def test_a_seed_repeats_the_run_and_the_turns_differ(bot_dir, capsys, monkeypatch):
    def answers(*flags) -> str:
        pipe(monkeypatch, "zzz\n/reset\nzzz\n")
        flags = ("--temperature", "5", "--top_k", "0", "--top_p", "1", "--max_new_tokens", "20", *flags)
        return run(capsys, "--model_dir", bot_dir, *flags).out

    first = answers("--seed", "7")
    assert first == answers("--seed", "7") != answers("--seed", "8")
    assert answers() != answers() and len(set(first.splitlines())) > 1
    assert answers("--greedy") == answers("--greedy", "--seed", "3")


def test_settings_come_from_generation_config_then_flags_then_set(bot_dir, capsys, monkeypatch):
    pipe(monkeypatch, "/show\n/set temperature = 0.25\n/show\n")
    err = run(capsys, "--model_dir", bot_dir, "--top_p", "0.5", "--system", "").err
    assert "temperature=0.6, top_k=50, top_p=0.5, min_p=0.0, repetition_penalty=1.0, max_new_tokens=64" in err
    assert "temperature=0.25, top_k=50" in err and "system: \n" in err


# Safety -------------------------------------------------------------------------------------------------------------


def test_two_thousand_hostile_messages(bot, monkeypatch, capsys):
    """Each is asked, and written back by a model that repeats it: no control id, no raw control character, no traceback."""
    rng, prompts, steers = (
        random.Random(0),
        [],
        re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"),
    )
    control = bot.tokenizer.convert_tokens_to_ids(ROLES)

    def echo(self, prompt, *_):
        prompts.append(prompt)
        self.times = [0.0, 1.0, 2.0]
        yield from prompt[prompt.index(control[1]) + 1 : -1]
        yield self.end

    monkeypatch.setattr(inference.Chatbot, "generate", echo)
    chat = new_chat(bot, interactive=True)
    for i in range(2000):
        text = "".join(rng.choices(HOSTILE, k=rng.randint(1, 30))) * (15_000 if i % 500 == 7 else 1)
        chat.turns, chat.forgotten, lines = [], 0, iter([" " + text])
        inference.converse(chat, lambda lines=lines: next(lines, None) or (_ for _ in ()).throw(EOFError))
        out, err = capsys.readouterr()
        if text.strip():
            assert [token for token in prompts.pop() if token in control] == [control[0], control[1], control[2]]
            assert out.strip("\n") or not chat.turns[0]["content"].strip("\n")
        assert not steers.search(out + err)


def test_hostile_rows_and_file_names_end_in_answers_or_one_line(bot_dir, bot, capsys, monkeypatch, tmp_path):
    rng = random.Random(1)
    rows = [row("".join(rng.choices(HOSTILE, k=9)) + "?") for _ in range(100)]
    pipe(monkeypatch, "".join(json.dumps(row) + "\n" for row in rows))
    out, err = run(capsys, "--model_dir", bot_dir, "--jsonl", "--max_new_tokens", "4")
    assert len(out.splitlines()) == 100 and not err
    chat = new_chat(bot, interactive=True)
    chat.ask("Hi")
    for command in [f"{name} {''.join(rng.choices(HOSTILE, k=5))}" for name in inference.COMMANDS for _ in range(30)]:
        lines = iter([command])
        monkeypatch.chdir(tmp_path)
        inference.converse(chat, lambda lines=lines: next(lines, None) or (_ for _ in ()).throw(EOFError))
    assert "Traceback" not in capsys.readouterr().err


def test_bytes_that_are_no_text_are_answered(bot_dir, capsys, monkeypatch):
    pipe(monkeypatch, b"Hi\n\xff\xfe\xed\xa0\x80\x00\n\n   \nHi\r\n")
    out, err = run(capsys, "--model_dir", bot_dir, "--greedy", "--system", "Be brief.")
    assert out.startswith("Hello! 😀\n") and len(out.splitlines()) >= 3 and not err


def test_characters_come_whole(bot):
    rng = random.Random(0)
    texts = [*FACTS.values(), "👩‍🚀🇫🇷é你", "".join(chr(rng.randrange(32, 0xD000)) for _ in range(200))]
    streams = [bot.tokenizer(text)["input_ids"] for text in texts]
    streams += [[rng.randrange(1, 300) for _ in range(rng.randrange(60))] for _ in range(300)]  # mostly broken UTF-8
    for ids in streams:
        pieces = list(bot.text([*ids, bot.end, 5, 6]))
        assert "".join(pieces) == bot.tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    assert "".join(bot.text(streams[0])) == texts[0]
    for text, ids in zip(texts, streams):
        assert text.startswith("".join(piece := list(bot.text(ids)))) and all("\ufffd" not in part for part in piece)


def test_no_remote_code_and_no_pickle(bot_dir, tmp_path, capsys):
    evil = shutil.copytree(bot_dir, tmp_path / "evil")
    config = json.loads((evil / "config.json").read_text())
    (evil / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Config: pass\nclass Model: pass\n")
    config.update(model_type="evil", auto_map={"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"})
    (evil / "config.json").write_text(json.dumps(config))
    assert "cannot load" in mistake(capsys, inference.main, ["--model_dir", evil, "--prompt", "Hi"])
    assert not (tmp_path / "ran").exists()
    pickled = shutil.copytree(bot_dir, tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    assert "no model in" in mistake(capsys, inference.main, ["--model_dir", pickled, "--prompt", "Hi"])


# Scripts ------------------------------------------------------------------------------------------------------------


def test_prompt_pipe_and_jsonl_write_answers_and_nothing_else(bot_dir, capsys, monkeypatch):
    model = ("--model_dir", bot_dir, "--greedy", "--system", "Be brief.")
    assert tuple(run(capsys, *model, "--prompt", "Hi")) == ("Hello! 😀\n", "")
    pipe(monkeypatch, "Hi\n\n/reset\nWhat is the capital of France?")
    assert tuple(run(capsys, *model)) == ("Hello! 😀\nParis.\n", "a new conversation\n")
    pipe(monkeypatch, "")
    assert tuple(run(capsys, *model)) == ("", "")
    asked = [
        row("Hi"),
        {"messages": row("Count")["messages"]},
        {"messages": [{"role": "system", "content": "Be brief."}, *row("Hi")["messages"]]},
    ]
    pipe(monkeypatch, "\n".join(map(json.dumps, asked)))
    out, err = run(capsys, *model, "--jsonl")
    assert [json.loads(line) for line in out.splitlines()] == [
        row(q, FACTS[q]) for q in ("Hi", "Count", "Hi")
    ] and not err


def test_a_closed_pipe_and_ctrl_c_end_quietly(bot_dir, tmp_path):
    command = ["inference.py", "--model_dir", bot_dir, "--greedy", "--system", "Be brief."]
    asked = write_jsonl(tmp_path / "asked.jsonl", [row("Hi")])
    head, waiting, sheet = (
        start_script(*command, *flags, stdin=subprocess.PIPE) for flags in ([], [], ["--prompts_file", asked])
    )
    sheet.stdout.close()
    head.stdin.write("Hi\n" * 200)
    head.stdin.flush()
    assert head.stdout.readline() == "Hello! 😀\n"
    head.stdout.close()
    waiting.stdin.write("Hi\n")
    waiting.stdin.flush()
    waiting.stdout.readline()
    time.sleep(0.2)
    waiting.send_signal(signal.SIGINT)
    head.stdin.close()
    assert (head.wait(HANG_S), head.stderr.read()) == (0, "")
    assert (waiting.wait(HANG_S), waiting.stderr.read()) == (130, "")
    assert sheet.wait(HANG_S) == 0 and "rror" not in sheet.stderr.read()
    for process in (head, waiting, sheet):
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (
            ["--model_dir", "{tmp}/none", "--prompt", "Hi"],
            "no model in {tmp}/none (config.json and model.safetensors); train one: ",
        ),
        (["--model_dir", "{tmp}/plain", "--prompt", "Hi"], "{tmp}/plain is no chat model"),
        (["--model_dir", "{tmp}/broken", "--prompt", "Hi"], "cannot load {tmp}/broken"),
        (
            ["--model_dir", "{tmp}/lacking", "--prompt", "Hi"],
            "cannot load {tmp}/lacking: config.json, model.safetensors: by config.json the model lacks ",
        ),
        (["--prompt", "Hi"], "the following arguments are required: --model_dir"),
        (["--model_dir", "{bot}", "--temperature", "-1"], "temperature is a number from 0 to 100, not '-1'"),
        (["--model_dir", "{bot}", "--top_p", "nan"], "top_p is a number from 0.001 to 1"),
        (["--model_dir", "{bot}", "--max_new_tokens", "1.5"], "max_new_tokens is a whole number from 1"),
        (["--model_dir", "{bot}", "--quantize", "int3"], "invalid choice: 'int3'"),
        (["--model_dir", "{bot}", "--device", "cuda", "--prompt", "Hi"], "--device cuda: torch finds no such"),
        (["--model_dir", "{bot}", "--batch_size", "0"], "batch_size is a whole number from 1"),
        (["--model_dir", "{bot}", "--prompts_file", "{tmp}/none.jsonl"], "{tmp}/none.jsonl: No such file"),
        (["--model_dir", "{bot}", "--prompts_file", "{tmp}/bad.jsonl"], "{tmp}/bad.jsonl, line 1 is no conversation: "),
        (["--model_dir", "{bot}", "--prompts_file", "{tmp}/text.jsonl"], "{tmp}/text.jsonl holds no conversation"),
        (
            ["--model_dir", "{bot}", "--prompts_file", "{tmp}/good.jsonl", "--out", "{tmp}/no/where"],
            "{tmp}/no is no folder",
        ),
        (["--model_dir", "{bot}", "--prompts_file", "{tmp}/good.jsonl", "--compare", "{tmp}/none"], "no model in"),
        (["--model_dir", "{bot}", "--jsonl"], "standard input, line 1 is no conversation: "),
        (["--model_dir", "{bot}"], "unknown command /retri; did you mean /retry"),
    ],
)
def test_mistakes_are_one_line_that_says_what_to_do(argv, words, bot_dir, tmp_path, capsys, monkeypatch):
    if torch.cuda.is_available() and "cuda" in argv:
        pytest.skip("there is a GPU")
    plain, broken, lacking = (shutil.copytree(bot_dir, tmp_path / name) for name in ("plain", "broken", "lacking"))
    (plain / "chat_template.jinja").unlink()
    (broken / "model.safetensors").write_bytes((bot_dir / "model.safetensors").read_bytes()[:999])
    (lacking / "config.json").write_text((bot_dir / "config.json").read_text().replace('"n_layer": 2', '"n_layer": 3'))
    write_jsonl(tmp_path / "text.jsonl", [{"text": "plain"}])
    write_jsonl(tmp_path / "good.jsonl", [row("Hi", "Hello! 😀")])
    write_jsonl(tmp_path / "bad.jsonl", [{"messages": [{"role": "assistant", "content": "?"}]}])
    pipe(monkeypatch, "/retri\n")
    names = {"tmp": str(tmp_path), "bot": str(bot_dir)}
    line = mistake(capsys, inference.main, [arg.format(**names) for arg in argv])
    assert line.startswith("inference.py: error: ") and words.format(**names) in line


def test_a_cpu_computes_in_bf16_only_where_that_is_faster(bot_dir, capsys, monkeypatch):
    """Without bf16 units a product takes up to a hundred times as long in it, and the chat would seem to hang."""
    for speeds, wanted, chosen in [
        ((1.0, 2.0), "auto", torch.bfloat16),
        ((1.0, 2.0), "bf16", torch.bfloat16),
        ((63.0, 1.0), "auto", torch.float32),
        ((63.0, 1.0), "bf16", torch.float32),
    ]:
        monkeypatch.setattr(inference, "cpu_speeds", lambda speeds=speeds: speeds)
        assert load(bot_dir, wanted).model.dtype == chosen
        said = [
            line for line in capsys.readouterr().err.splitlines() if "bf16" in line
        ]  # beside a bar of transformers'
        slower = "bf16 is 63 times slower than float32 on this CPU: the model runs in float32"
        assert said == ([slower] if speeds[0] > 1 and wanted == "bf16" else [])
    monkeypatch.setattr(inference, "cpu_speeds", lambda: pytest.fail("nothing to find out"))
    assert load(bot_dir, "fp32").model.dtype == torch.float32


def test_a_gpu_that_emulates_bf16_computes_in_float32(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert inference.choose_dtype("auto", "cuda", None) == torch.float32
    assert inference.choose_dtype("auto", "cuda", "nf4") == torch.float32
    assert inference.choose_dtype("bf16", "cuda", None) == torch.bfloat16
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
    assert inference.choose_dtype("auto", "cuda", None) == torch.bfloat16


def test_quantized_models_answer_and_a_missing_package_is_named(bot_dir, capsys, monkeypatch):
    pytest.importorskip("bitsandbytes")
    for kind in ("int8", "nf4"):
        model = ("--model_dir", bot_dir, "--greedy", "--quantize", kind, "--system", "Be brief.")
        assert tuple(run(capsys, *model, "--prompt", "Count")) == (FACTS["Count"] + "\n", "")
    monkeypatch.setattr(inference.importlib.util, "find_spec", lambda _: None)
    assert "pip install bitsandbytes" in mistake(capsys, inference.main, [*model, "--prompt", "Hi"])


# The conversation's commands, as far as they need no terminal -------------------------------------------------------


def test_commands(bot_dir, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = ["/undo", "Hi", "Count", "/retry", "/undo", "/edit Count", "/tokens", "/save a.jsonl", "/save a.jsonl", "/reset",
             "/system", "/system Be brief.", "/load a.jsonl", "/retry", "/show", '/system ""', "/save other.jsonl", "/load none",
             "/load broken", "/save", "/set top_p=2", "/set x=1", "/help", "/nonsense", " /slash", "/exit", "Hi"]  # fmt: skip
    (tmp_path / "broken").write_text('{"messages": 3}\n')
    (tmp_path / "other.jsonl").write_text("mine\n")
    bot = load(bot_dir)
    chat = new_chat(bot, interactive=True)
    todo, said = iter(lines), []

    def read() -> str:
        said.append("".join(capsys.readouterr()))
        return next(todo)

    inference.converse(chat, read)
    reply = dict(zip(range(len(lines)), said[1:]))
    assert reply[0] == "nothing has been said yet\n"
    assert "Assistant: " in reply[1] and "Hello! 😀\n" in reply[1] and " tokens/s, the first after " in reply[1]
    assert FACTS["Count"] in reply[3] and reply[4] == "taken back: Count\n" and FACTS["Count"] in reply[5]
    assert reply[6].endswith(" of 512 tokens; 2 messages, 0 of them forgotten\n")
    assert reply[7] == reply[8] == "saved 2 messages in a.jsonl\n" and reply[9] == "a new conversation\n"
    assert reply[10] == f"system prompt: {bot.system}\n" and reply[12] == "2 messages from a.jsonl\n"
    assert FACTS["Count"] in reply[13] and "user: Count\nassistant: 1 2 3" in reply[14] and "none" in reply[15]
    assert reply[16] == "other.jsonl exists; choose another name\n" and reply[17] == "none: No such file or directory\n"
    assert "broken, line 1 is no conversation" in reply[18] and reply[19] == "/save takes a file name\n"
    assert "top_p is a number" in reply[20] and "the names are temperature, top_k" in reply[21]
    assert all(name in reply[22] for name in inference.COMMANDS) and "unknown command /nonsense" in reply[23]
    assert chat.turns[-2]["content"] == " /slash" and next(todo) == "Hi"
    assert json.loads((tmp_path / "a.jsonl").read_text()) == row("Count", FACTS["Count"])
    assert (tmp_path / "other.jsonl").read_text() == "mine\n" and not list(tmp_path.glob("*.tmp"))


# The score sheet ----------------------------------------------------------------------------------------------------


@pytest.fixture
def questions(tmp_path) -> Path:
    """Known and unknown questions of very different lengths, one without a reference, one of plain text."""
    rows = [row(*fact) for fact in FACTS.items()]
    rows += [row("Hi", "Hello!", "What is the capital of France? " * n, "Rome.", system="s" * n) for n in range(1, 9)]
    return write_jsonl(tmp_path / "questions.jsonl", [*rows, row("Who are you?"), {"text": "plain"}])


def test_a_batch_is_answered_as_one_at_a_time(llama_dir, questions, tmp_path):
    """By a model that rambles until its positions are full, in a folder that wishes for another decoding."""
    folder = Path(shutil.copytree(llama_dir, tmp_path / "wishes"))
    wishes = {"repetition_penalty": 5.0, "no_repeat_ngram_size": 1, "suppress_tokens": list(range(20, 300))}
    for name, changes in (("generation_config.json", wishes), ("config.json", {"max_position_embeddings": 64})):
        found = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(found | changes))
    bot = inference.Chatbot(str(folder), "cpu", "fp32", None, compile=False)
    _, (prompts,), _ = inference.read_questions([bot], questions, "", 600)
    side_by_side, alone = (inference.answer_all(bot, prompts, 600, batch_size) for batch_size in (16, 1))
    assert side_by_side == alone
    full = [len(prompt) + len(answer) == bot.n_positions for prompt, answer in zip(prompts, alone)]
    assert sum(full) > 1 and len({len(prompt) for prompt, is_full in zip(prompts, full) if is_full}) > 1


def test_a_batch_that_is_too_large_is_halved_and_answered_alike(bot_dir, questions, capsys, monkeypatch):
    def sheet(*flags) -> tuple[list[str], str]:
        out = questions.parent / "sheet.jsonl"
        said = run(capsys, "--model_dir", bot_dir, "--prompts_file", questions, "--dtype", "fp32", "--out", out, *flags)
        return [record["answer"] for record in read_jsonl(out)], said[1]

    answers, _ = sheet()
    forward = transformers.GPT2LMHeadModel.forward

    @functools.wraps(forward)  # generate looks at which arguments it takes
    def short(self, input_ids, *args, **kwargs):
        if len(input_ids) > room:
            raise torch.OutOfMemoryError
        return forward(self, input_ids, *args, **kwargs)

    monkeypatch.setattr(transformers.GPT2LMHeadModel, "forward", short)
    room = 3
    again, said = sheet()
    assert again == answers and said.count("out of GPU memory: from here") == 2  # 15, 7, and 3 fit
    room = 0
    with pytest.raises(SystemExit) as ended:
        sheet()
    assert ended.value.code == 2 and "memory is full" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_the_score_sheet_equals_one_by_one_and_an_independent_count(kind, bot_dir, llama_dir, questions, capsys):
    folder = bot_dir if kind == "gpt2" else llama_dir
    out, err = run(capsys, "--model_dir", folder, "--prompts_file", questions, "--dtype", "fp32", "--batch_size", "4",
                   "--out", questions.parent / "a.jsonl", "--max_new_tokens", "40")  # fmt: skip
    assert "1 rows of plain text are skipped" in err and out.startswith(f"{questions}: 15 conversations")
    records = read_jsonl(questions.parent / "a.jsonl")
    model, tokenizer = (
        transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
        load(folder).tokenizer,
    )
    banned = load(folder).banned.nonzero()[:, 0].tolist()
    nats, tokens, size, answers = 0.0, 0, 0, []
    for record in records:
        messages = [{"role": "system", "content": record["system"]}, *record["messages"]]
        prompt = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=False
        )
        ids = model.generate(prompt, do_sample=False, max_new_tokens=40, suppress_tokens=banned)[
            0, prompt.shape[1] :
        ].tolist()
        answers.append((tokenizer.decode(ids, skip_special_tokens=True), ids[-1] == tokenizer.eos_token_id))
        if record["reference"] is not None:
            messages.append({"role": "assistant", "content": record["reference"]})
            full = tokenizer.apply_chat_template(messages, return_tensors="pt", return_dict=False)
            labels = full.clone()
            labels[:, : prompt.shape[1]] = -100
            count = full.shape[1] - prompt.shape[1]
            nats, tokens = nats + model(full, labels=labels).loss.item() * count, tokens + count
            size += len(record["reference"].encode())
    assert [(record["answer"], record["stopped"]) for record in records] == answers
    sheet = json.loads((questions.parent / "a.score.json").read_text())["scores"]
    scores = {name: score["value"] for name, score in sheet.items()}
    exact = sum(record["answer"] == record["reference"] for record in records)
    repeats = [answer.split() for answer, _ in answers]
    repeated = sum(
        any(words[i : i + 4] in [words[j : j + 4] for j in range(i)] for i in range(len(words) - 3))
        for words in repeats
    )
    assert scores["exact_match"] == pytest.approx(exact / 14) and (kind == "llama" or exact >= 5)
    width = 3.92 * math.sqrt(scores["exact_match"] * (1 - scores["exact_match"]) / 14)
    assert sheet["exact_match"]["high"] - sheet["exact_match"]["low"] == pytest.approx(width, rel=0.3)
    assert scores["perplexity"] == pytest.approx(math.exp(nats / tokens), rel=1e-4)
    assert scores["bits_per_byte"] == pytest.approx(nats / math.log(2) / size, rel=1e-4)
    assert scores["stopped"] == pytest.approx(sum(stopped for _, stopped in answers) / 15)
    assert scores["repeated"] == pytest.approx(repeated / 15) and (kind == "llama" or repeated >= 1)
    assert f"exact match          {exact / 14:.1%} [" in out and "\nperplexity           " in out


def test_bootstrap_intervals_are_those_of_the_mean(capsys):
    records = [{"hit": int(i % 4 == 0), "one": 1} for i in range(400)]
    values = inference.bootstrap(records, "hit", "one", float)
    low, high = values[1:].quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    width = 1.96 * math.sqrt(0.25 * 0.75 / 400)
    assert (
        values[0] == 0.25
        and low == pytest.approx(0.25 - width, abs=0.01)
        and high == pytest.approx(0.25 + width, abs=0.01)
    )


def test_compare_puts_two_models_side_by_side(bot_dir, llama_dir, questions, capsys):
    out = run(capsys, "--model_dir", bot_dir, "--compare", llama_dir, "--prompts_file", questions, "--max_new_tokens", "20",
              "--out", questions.parent / "a.jsonl").out  # fmt: skip
    assert "difference" in out.splitlines()[1] and out.splitlines()[2].count("[") == 3
    numbers = json.loads((questions.parent / "a.score.json").read_text())
    assert numbers["model_dir"] == str(bot_dir) and numbers["compare"][0]["model_dir"] == str(llama_dir)
    assert numbers["compare"][0]["scores"]["exact_match"]["value"] == 0 < numbers["scores"]["exact_match"]["value"]
    record = json.loads((questions.parent / "a.jsonl").read_text().splitlines()[0])
    assert record["answer"] == "Hello! 😀" != record["compare"]["answer"]


def test_answers_land_beside_the_model_by_default_and_need_no_reference(bot_dir, tmp_path, capsys):
    asked = write_jsonl(tmp_path / "asked.jsonl", [row("Hi"), row("Count")])
    out, err = run(capsys, "--model_dir", bot_dir, "--prompts_file", asked)
    assert "exact match" not in out and "stopped by itself" in out
    assert "NaN" not in (bot_dir / "answers-asked.score.json").read_text()
    assert [record["answer"] for record in read_jsonl(bot_dir / "answers-asked.jsonl")] == [FACTS["Hi"], FACTS["Count"]]
    assert f"Chat with it: python inference.py --model_dir {bot_dir}" in err


def test_an_answer_that_is_marked_as_bad_is_no_reference(bot_dir, tmp_path, capsys):
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Go away.", "weight": 0}]
    asked = write_jsonl(tmp_path / "asked.jsonl", [{"messages": turns}, row("Count")])
    run(capsys, "--model_dir", bot_dir, "--prompts_file", asked, "--out", tmp_path / "a.jsonl")
    assert [record["reference"] for record in read_jsonl(tmp_path / "a.jsonl")] == [None, None]
