"""inference.py survives its surroundings: any setting, any file, any stranger's model folder, any terminal or none.

Each kind of trouble is a list; the next case is one line. The model here has one layer and knows nothing."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import random
import re
import resource
import shlex
import shutil
import signal
import sys
import time
from pathlib import Path

import pexpect
import pytest
import safetensors.torch
import torch
import transformers
from conftest import HANG_S, ROOT, call, mistake, read_jsonl, start_script, wait_until_it_loads, write_jsonl

import inference

USER, ASSISTANT = "<|user|>", "<|assistant|>"
STEERS = "\x1b[2J\x9b31m\u202e"
HARMLESS = r"\x1b[2J\x9b31m\u202e"


def ask(*texts: str) -> dict:
    return {"messages": [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, chat_data) -> Path:
    """A folder as train.py leaves it, with a GPT-2 of one layer that was never trained."""
    folder = tmp_path_factory.mktemp("tiny") / "bot"
    tokenizer = transformers.AutoTokenizer.from_pretrained(chat_data / "tokenizer")
    end = {f"{name}_token_id": tokenizer.eos_token_id for name in ("bos", "eos", "pad")}
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=448, n_layer=1, n_embd=16, n_head=2, n_positions=64, **end)
    )
    model.generation_config = transformers.GenerationConfig(do_sample=True, temperature=0.6, max_new_tokens=4, **end)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def stranger(tiny, tmp_path) -> Path:
    return shutil.copytree(tiny, tmp_path / "stranger")


@pytest.fixture
def chat(tiny) -> inference.Chat:
    """A chat as on a terminal, answering at most four tokens."""
    bot = inference.Chatbot(str(tiny), "cpu", "fp32", None, False)
    settings = inference.GREEDY | {"max_new_tokens": 4}
    return inference.Chat(bot, settings, "Be brief.", torch.Generator().manual_seed(0), interactive=True)


def type_in(chat: inference.Chat, *lines: str) -> None:
    todo = iter(lines)
    inference.converse(chat, lambda: next(todo))


def pipe(monkeypatch, data: str | bytes) -> None:
    data = data if isinstance(data, bytes) else data.encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))


def snapshot(folder: Path) -> dict:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


# Any setting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", ["0.01", "1", "100"])
def test_every_setting_answers_at_both_ends_of_its_range(penalty, chat, capsys):
    asked = 0
    for temperature in ("0", "1e-320", "1e-40", "0.001", "100"):
        for line in ("top_k=0", "top_k=1", "top_k=1000000000", "top_p=0.001", "top_p=1", "min_p=1", "max_new_tokens=1"):
            chat.settings.update(inference.GREEDY, max_new_tokens=4)
            sets = [f"/set temperature={temperature}", f"/set repetition_penalty={penalty}", f"/set {line}"]
            type_in(chat, *sets, "Hi", "/reset")
            asked += 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) >= asked and err.count("tokens/s") + err.count("max_new_tokens = 1\n") >= asked


def test_markup_is_no_repeated_word(chat, monkeypatch):
    original, seen = inference.choose, []
    monkeypatch.setattr(
        inference, "choose", lambda logits, words, *args: seen.append({*words}) or original(logits, words, *args)
    )
    type_in(chat, "Hi", "/set repetition_penalty=5", "Ho", "Hu")
    assert len(seen) > 3 and seen[-1] and not any(words & chat.bot.markup for words in seen)
    assert chat.bot.end in chat.bot.markup


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--greedy", "--temperature", "0.5"], "always the likeliest token: --temperature without effect"),
        (["--temperature", "0", "--top_k", "3", "--min_p", "0"], "token: --top_k, --min_p without effect"),
        (["--prompts_file", "{questions}", "--repetition_penalty", "2"], "token: --repetition_penalty without effect"),
    ],
)
def test_what_has_no_effect_gets_a_word(flags, words, tiny, tmp_path, capsys):
    questions = write_jsonl(tmp_path / "q.jsonl", [ask("Hi", "Ho")])
    flags = [flag.format(questions=questions) for flag in flags]
    call(
        inference.main, "--model_dir", tiny, "--max_new_tokens", 2, *flags, *["--prompt", "Hi"] * ("q" not in flags[1])
    )
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--prompt", "Hi", "--jsonl"], "argument --jsonl: not allowed with argument --prompt"),
        (["--prompt", "Hi", "--prompts_file", "x"], "argument --prompts_file: not allowed with argument --prompt"),
        (["--compare", "x"], "--compare belongs to the score sheet; name its questions with --prompts_file FILE"),
        (["--prompt", "Hi", "--out", "x"], "--out belongs to the score sheet"),
    ],
)
def test_what_cannot_be_meant_is_refused(flags, words, tiny, capsys):
    assert words in mistake(capsys, inference.main, ["--model_dir", tiny, *flags])


# Any file -----------------------------------------------------------------------------------------------------------

TALK = json.dumps(ask("Hi", "Ho 你好 é"), ensure_ascii=False)
FILES = {
    "mark": (TALK.encode("utf-8-sig"), None),
    "utf-16": (TALK.encode("utf-16"), None),
    "windows": (TALK.encode() + b"\r\n", None),
    "empty": (b"", "holds no"),
    "noise": (bytes(range(256)) * 9, "line 1 is no conversation"),
    "deep": (b"[" * 100_000, "line 1 is no conversation"),
    "number": (b"3", "line 1 is no conversation"),
    "roles": (json.dumps({"messages": [{"role": "assistant", "content": "Hi"}]}).encode(), "line 1 is no conversation"),
    "parts": (json.dumps({"messages": [{"role": "user", "content": ["Hi"]}]}).encode(), "line 1 is no conversation"),
    "text": (b'{"text": "plain"}', "holds no"),
}


@pytest.mark.parametrize("name", FILES)
def test_any_file_is_loaded_or_named(name, chat, tmp_path, capsys, tiny):
    content, words = FILES[name]
    path = tmp_path / f"my {name}"
    path.write_bytes(content)
    type_in(chat, "Hello", f"/load {path}", "/show", f"/load {shlex.quote(str(path))}")
    shown = capsys.readouterr().err
    assert shown.count(words or "2 messages from") == 2 and ("assistant: Ho 你好 é" in shown) == (words is None)
    flags = ["--model_dir", tiny, "--prompts_file", path, "--out", tmp_path / "a.jsonl"]
    if words:
        assert words in mistake(capsys, inference.main, flags)
    else:
        call(inference.main, *flags)
        assert read_jsonl(tmp_path / "a.jsonl")[0]["reference"] == "Ho 你好 é"


@pytest.mark.parametrize(
    "name", ["/dev/full", "/dev/zero", "/proc/self/mem", "\0", "x" * 300, "/", ".", "", "'", "no/where"]
)
def test_a_name_that_cannot_be_meant_is_one_line(name, chat, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    type_in(chat, "Hi", f"/load {name}")
    capsys.readouterr()
    type_in(chat, f"/save {name}" if name != "'" else "/save", f"/load {name}")
    assert len(capsys.readouterr().err.splitlines()) == 2 and not any(tmp_path.iterdir())


def test_a_byte_order_mark_before_piped_questions_is_no_text(tiny, monkeypatch, capsys):
    pipe(monkeypatch, (TALK[: TALK.index(", {")] + "]}").encode("utf-8-sig"))
    call(inference.main, "--model_dir", tiny, "--jsonl")
    assert json.loads(capsys.readouterr().out)["messages"][0]["content"] == "Hi"
    pipe(monkeypatch, "/show".encode("utf-8-sig"))
    call(inference.main, "--model_dir", tiny)
    assert "temperature=" in capsys.readouterr().err


def test_a_question_that_cannot_be_asked_again_stays_as_it_was(chat, capsys):
    type_in(chat, "Hi", "Ho")
    before = list(chat.turns)
    type_in(chat, f"/system {'word ' * 99}", "/retry", "/edit Hu", "Hu")
    assert chat.turns == before and capsys.readouterr().err.count("the system prompt fills the 64 positions") == 3


# First look, then touch ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("q.jsonl", "exists and is not from a score sheet"),
        ("notes.txt", "exists and is not from a score sheet"),
        ("mine.jsonl", "mine.score.json exists and is not from a score sheet"),
        ("folder", "exists and is not from a score sheet"),
        ("link", "exists and is not from a score sheet"),
        ("no/where.jsonl", "no is no folder that can be written"),
    ],
)
def test_answers_replace_nothing_of_the_users(out, words, tiny, tmp_path, capsys, monkeypatch):
    write_jsonl(tmp_path / "q.jsonl", [ask("Hi", "Ho")])
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "mine.score.json").write_text('{"mine": 1}')
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("notes.txt")
    before = snapshot(tmp_path)
    monkeypatch.setattr(inference, "answer_all", lambda *_: pytest.fail("asked before it was looked"))
    flags = ["--model_dir", tiny, "--prompts_file", tmp_path / "q.jsonl", "--out", tmp_path / out]
    assert words in mistake(capsys, inference.main, flags) and snapshot(tmp_path) == before


def test_temporary_files_have_names_of_their_own(tiny, chat, tmp_path, monkeypatch):
    asked, mine = write_jsonl(tmp_path / "q.jsonl", [ask("Hi", "Ho")]), {}
    for name in ("a.jsonl", "a.score.json", "chat.jsonl"):
        mine[tmp_path / f"{name}.tmp"] = (tmp_path / f"{name}.tmp").write_text("mine")
    for _ in range(2):  # the second replaces the first
        call(inference.main, "--model_dir", tiny, "--prompts_file", asked, "--out", tmp_path / "a.jsonl")
        type_in(chat, "Hi", f"/save {tmp_path / 'chat.jsonl'}")
    assert all(path.read_text() == "mine" for path in mine) and len(list(tmp_path.iterdir())) == 7
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    type_in(chat, f"/save {tmp_path / 'chat.jsonl'}")
    assert len(list(tmp_path.iterdir())) == 7 and len(read_jsonl(tmp_path / "chat.jsonl")[0]["messages"]) == 4


# A row is in the way ------------------------------------------------------------------------------------------------

ROWS = [ask("Hi"), {"messages": 3}, ask("word " * 200), {**ask("Hi"), "system": "word " * 200}, ask("Ho")]


def test_a_row_that_cannot_be_answered_is_named_and_the_others_are_answered(tiny, monkeypatch, capsys):
    pipe(monkeypatch, "".join(json.dumps(row) + "\n" for row in [*ROWS, ask("Hi", "Ho")]))
    with pytest.raises(SystemExit, match="2"):
        call(inference.main, "--model_dir", tiny, "--jsonl", "--system", "")
    out, err = capsys.readouterr()
    assert [json.loads(line)["messages"][0]["content"][:4] for line in out.splitlines()] == ["Hi", "word", "Ho"]
    start = ("inference.py: error: standard input, line ", "standard input, line ")
    said = [line[len(start[line.startswith("s")]) :][:20] for line in err.splitlines()]
    assert said == ["2 is no conversation", "3: [your message is ", "4: the system prompt", "6: --jsonl answers r"]


def test_the_score_sheet_leaves_such_rows_out_and_says_so(tiny, tmp_path, capsys):
    asked, out = write_jsonl(tmp_path / "q.jsonl", ROWS), tmp_path / "a.jsonl"
    flags = ["--compare", tiny, "--prompts_file", asked, "--out", out, "--system", ""]
    with pytest.raises(SystemExit, match="2"):
        call(inference.main, "--model_dir", tiny, *flags)
    shown = capsys.readouterr()
    assert len(read_jsonl(out)) == 3 and ": 3 conversations, " in shown.out
    assert f"error: {asked}, line 2 is no" in shown.err and f"error: {asked}, line 4: the system" in shown.err


# A stranger's folder ------------------------------------------------------------------------------------------------


def put_json(name: str, **changes):
    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps((json.loads(path.read_text()) if path.exists() else {}) | changes))

    return change


def replace(name: str, content: str):
    return lambda folder: (folder / name).write_text(content)


def weights(change):
    def apply(folder: Path) -> None:
        state = safetensors.torch.load_file(folder / "model.safetensors")
        change(state)
        safetensors.torch.save_file(state, folder / "model.safetensors", metadata={"format": "pt"})

    return apply


def pickled(folder: Path) -> None:
    torch.save(safetensors.torch.load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


WTE = "transformer.wte.weight"
# transformers 4 writes one file more beside a tokenizer
MORE = ", special_tokens_map.json" if transformers.__version__.startswith("4.") else ""
SHARDS = {"metadata": {}, "weight_map": {WTE: "../other.bin"}}
STRANGERS = {
    "config is a list": (replace("config.json", "[]"), "config.json: "),
    "config is bytes": (lambda folder: (folder / "config.json").write_bytes(b"\xff"), "config.json: "),
    "config is a folder": (lambda folder: (folder / "generation_config.json").unlink() or (folder / "generation_config.json").mkdir(), "generation_config.json: "),
    "a layer too many": (put_json("config.json", n_layer=2), "config.json, model.safetensors: by config.json the model lacks transformer.h.1."),
    "layers without end": (put_json("config.json", n_layer=10**12), "config.json: 1000000000000 layers"),
    "a layer too few": (put_json("config.json", n_layer=0), "config.json, model.safetensors: "),
    "no heads": (put_json("config.json", n_head=0), "config.json"),
    "another width": (put_json("config.json", n_embd=32), "config.json, model.safetensors: a weight has another shape"),
    "a kernel from the hub": (put_json("config.json", attn_implementation="evil/kernel"), None),
    "not a number": (weights(lambda state: state[WTE].view(-1)[7:8].fill_(float("nan"))), f"not every number of {WTE} is finite"),
    "beyond all numbers": (weights(lambda state: state[WTE].mul_(1e36)), "the model's scores are no numbers"),
    "a weight is missing": (weights(lambda state: state.pop("transformer.ln_f.bias")), "lacks transformer.ln_f.bias"),
    "a weight too many": (weights(lambda state: state.update(extra=torch.ones(2))), "should not have extra"),
    "an untied head": (put_json("config.json", tie_word_embeddings=False), "lacks lm_head.weight"),
    "a pickle": (pickled, "pytorch_model.bin is a pickle; if you trust it: python -c 'import sys"),
    "shards elsewhere": (put_json("model.safetensors.index.json", **SHARDS), "model.safetensors.index.json: it names files"),
    "an adapter": (put_json("adapter_config.json", base_model_name_or_path="/tmp/other"), "holds an adapter"),
    "tokenizer is a list": (replace("tokenizer.json", "[]"), "tokenizer.json: "),
    "a token is a number": (put_json("tokenizer_config.json", pad_token=3), f"tokenizer.json, tokenizer_config.json{MORE}: "),
    "tokens that are split": (put_json("tokenizer_config.json", split_special_tokens=True), "a rendered conversation has no"),
    "no end of an answer": (put_json("tokenizer_config.json", eos_token=None), "tokenizer.json"),
    "template does not parse": (replace("chat_template.jinja", "{% for %}"), "chat_template.jinja"),
    "template does not run": (replace("chat_template.jinja", "{{ 1 / 0 }}"), "chat_template.jinja"),
    "template looks around": (replace("chat_template.jinja", "{{ ''.__class__.__mro__ }}"), "chat_template.jinja"),
    "template says nothing": (replace("chat_template.jinja", "hello"), "chat_template.jinja"),
    "a hot setting": (put_json("generation_config.json", temperature="hot"), "generation_config.json: temperature is a number"),
    "an endless setting": (put_json("generation_config.json", max_new_tokens=1e999), "generation_config.json: "),
    "a steering name": (put_json("config.json", model_type=STEERS), f"config.json: The checkpoint you are trying to load has model type `{HARMLESS}`"),
}  # fmt: skip


@pytest.mark.parametrize("name", STRANGERS)
def test_a_strangers_folder_is_read_whole_or_refused_in_a_line_that_names_the_file(name, stranger, capsys):
    change, words = STRANGERS[name]
    change(stranger)
    before = snapshot(stranger)
    flags = ["--model_dir", stranger, "--prompt", "Hi", "--dtype", "fp32"]
    if words is None:
        call(inference.main, *flags)
    else:
        assert words in mistake(capsys, inference.main, flags)
    assert snapshot(stranger) == before


def test_a_pickle_is_converted_by_the_command_that_is_said(stranger, capsys, monkeypatch):
    folder = stranger.rename(stranger.with_name("my model"))
    pickled(folder)
    line = mistake(capsys, inference.main, ["--model_dir", folder, "--prompt", "Hi"])
    _, dash_c, program, argument = shlex.split(line[line.index("python -c") :])
    assert dash_c == "-c" and argument == str(folder)
    monkeypatch.setattr(sys, "argv", ["-c", argument])
    exec(program, {})
    call(inference.main, "--model_dir", folder, "--prompt", "Hi")


# What is printed ----------------------------------------------------------------------------------------------------


def test_what_is_printed_can_be_pasted_and_steers_nothing(stranger, tmp_path, capsys, monkeypatch):
    folder = stranger.rename(tmp_path / f"my {STEERS} bot")
    asked = write_jsonl(tmp_path / "my questions.jsonl", [ask(STEERS, "Ho")])
    call(inference.main, "--model_dir", folder, "--prompts_file", asked, "--out", tmp_path / "my answers.jsonl")
    shown = capsys.readouterr()
    assert not any(character in shown.out + shown.err for character in STEERS if not character.isprintable())
    assert shlex.split(shown.out.partition(": ")[0]) == [str(asked)]
    answers, numbers = shown.err.split("answers: ")[1].splitlines()[0].split("; numbers: ")
    assert shlex.split(answers)[0].endswith("/my answers.jsonl") and shlex.split(numbers)[0].endswith(".score.json")
    assert len(shlex.split(shown.err.split("Chat with it: ")[1])) == 4
    pipe(monkeypatch, json.dumps(ask(STEERS)))
    call(inference.main, "--model_dir", folder, "--jsonl")
    out = capsys.readouterr().out
    assert json.loads(out)["messages"][0]["content"] == STEERS and out.strip().isprintable()


@pytest.mark.parametrize("text", ["👩‍🚀🏳️‍🌈", "مرحبا بالعالم", "نمی‌خواهم", "नमस्ते क्‍ष", "שָׁלוֹם", "สวัสดี", "e\u0301 ﬁ 𝒳"])
def test_joiners_and_the_scripts_of_the_world_are_left_whole(text, chat, monkeypatch, capsys):
    monkeypatch.setattr(chat.bot, "generate", lambda *_: iter([*chat.bot.tokenizer(text)["input_ids"], chat.bot.end]))
    chat.bot.times = [0.0, 1.0, 2.0]
    type_in(chat, text, "/show", f"/system {text}")
    shown = capsys.readouterr()
    assert shown.out == text + "\n" and shown.err.count(text) == 3


# Nobody listens -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how", [["--prompt", "Hi"], ["--jsonl"], [], ["--prompts_file", "{questions}", "--out", "{out}"]]
)
def test_answers_on_a_full_disk_end_in_one_line(how, tiny, tmp_path, capsys, monkeypatch):
    pipe(monkeypatch, json.dumps(ask("Hi")) + "\n")
    names = {"questions": str(write_jsonl(tmp_path / "q.jsonl", [ask("Hi", "Ho")])), "out": str(tmp_path / "a.jsonl")}
    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(SystemExit, match="2"):
            call(inference.main, "--model_dir", tiny, "--max_new_tokens", 2, *(flag.format(**names) for flag in how))
        monkeypatch.setattr(sys, "stdout", sys.__stdout__)
        with contextlib.suppress(OSError):
            full.close()
    *sheet, line = capsys.readouterr().err.strip().splitlines()
    assert line == "inference.py: error: the answers cannot be written: No space left on device"
    assert not sheet or read_jsonl(tmp_path / "a.jsonl")  # what was worked for is not lost


def test_a_chat_whose_answers_cannot_be_written_goes_on(chat, capsys, monkeypatch):
    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", inference.Outlet(full))
        type_in(chat, "Hi", "Ho")
        monkeypatch.setattr(sys, "stdout", sys.__stdout__)
        with contextlib.suppress(OSError):
            full.close()
    assert len(chat.turns) == 4 and capsys.readouterr().err.count("tokens/s") == 2


NOBODY = """import os, pwd, sys
def nobody(uid): raise KeyError(uid)
pwd.getpwuid = nobody
sys.path.insert(0, '.')
import inference
inference.main(sys.argv[1:])"""


def no_file_may_grow() -> None:
    """As on a disk that is full, and on a terminal that is closed: SIGHUP does not end the program."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@pytest.mark.parametrize(
    ("command", "environment", "prepare"),
    [
        (["-c", NOBODY], {}, None),  # no home, no entry in /etc/passwd, no kind of terminal
        (["inference.py"], {"XDG_STATE_HOME": "{tmp}", "TERM": "nonsense"}, no_file_may_grow),
    ],
)
def test_a_chat_on_a_bare_terminal_until_it_is_closed(command, environment, prepare, tiny, tmp_path):
    (tmp_path / "chatbot/history").mkdir(parents=True)
    environment = {name: value.format(tmp=tmp_path) for name, value in environment.items()}
    environment |= {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "PROMPT_TOOLKIT_NO_CPR": "1", "NO_COLOR": "1"}
    flags = ["--model_dir", str(tiny), "--max_new_tokens", "2", "--dtype", "fp32"]
    child = pexpect.spawn(sys.executable, [*command, *flags], cwd=str(ROOT), env=environment, encoding="utf-8",
                          timeout=HANG_S, preexec_fn=prepare)  # fmt: skip
    try:
        for line, answer in (("Hi", r"Assistant: .*tokens/s"), (f"/save {tmp_path}/a.jsonl", r"saved|too large")):
            child.expect("User:")
            child.send(line + "\r")
            child.expect(answer)
        child.expect("User:")
        os.close(child.child_fd)
        end = time.time() + HANG_S
        while os.waitpid(child.pid, os.WNOHANG)[0] == 0:
            assert time.time() < end
            time.sleep(0.05)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)
    assert "Traceback" not in child.before and (prepare is None) == (tmp_path / "a.jsonl").exists()


def test_no_code_of_a_folder_runs_and_nobody_is_asked(stranger, tmp_path):
    ran = tmp_path / "ran"
    (stranger / "evil.py").write_text(f"open({str(ran)!r}, 'w')\nfrom transformers import GPT2Config as C\n")
    put_json("config.json", model_type="evil", auto_map={"AutoConfig": "evil.C"})(stranger)
    put_json("tokenizer_config.json", tokenizer_class="T", auto_map={"AutoTokenizer": ["evil.C", None]})(stranger)
    child = pexpect.spawn(sys.executable, ["inference.py", "--model_dir", str(stranger)], cwd=str(ROOT), encoding="utf-8",
                          timeout=HANG_S)  # fmt: skip
    child.sendline("y")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 2 and "[y/N]" not in child.before and "cannot load" in child.before and not ran.exists()


def test_ctrl_c_while_it_loads_ends_without_a_word(tiny):
    process = start_script("inference.py", "--model_dir", tiny, stdin=-1)
    wait_until_it_loads(process)
    process.send_signal(signal.SIGINT)
    assert (process.wait(HANG_S), process.communicate()[1]) == (130, "")


# Anything at all ----------------------------------------------------------------------------------------------------

VALUES = [None, True, False, 0, 1, -1, 2, 3.5, 1e300, 1e999, float("nan"), 10**30, -(10**9), "", "x", "evil/kernel",
          STEERS, "\ud800", [], [1], ["a"], {}, {"a": 1}, [[]], "gpt2", "llama", "float16", 64, 448, USER]  # fmt: skip
KEYS = ["attn_implementation", "quantization_config", "auto_map", "dtype", "torch_dtype", "return_dict", "pruned_heads",
        "use_cache", "tie_word_embeddings", "output_attentions", "is_encoder_decoder", "add_cross_attention", "num_labels",
        "split_special_tokens", "tokenizer_class", "extra_special_tokens", "chat_template", "id2label", "vocab_file"]  # fmt: skip
COUNT = pytest.mark.parametrize("count", [30, pytest.param(1000, marks=pytest.mark.slow)])


def outcome(capsys, argv) -> str:
    """Run `main(argv)`: it answers, or it is one harmless line and exit code 2; returns that line or ""."""
    try:
        call(inference.main, *argv)
        said = ""
    except SystemExit as ended:
        assert ended.code == 2, argv
        said = capsys.readouterr().err.rstrip("\n")
        assert said.startswith("inference.py: error: ") and said.isprintable(), (argv, said)
    return said


def places(node, path=()):
    yield path
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from places(value, (*path, key))


def change_json(rng: random.Random, path: Path) -> None:
    node = json.loads(path.read_text())
    many = [place for place in places(node) if place[:1] != ("model",) or rng.random() < 0.03]  # a vocabulary is long
    *way, last = rng.choice(many) or ("",)
    at = node
    for key in way:
        at = at[key]
    if last == "":
        node = rng.choice([value for value in VALUES if value != {}])
    elif rng.random() < 0.2:
        del at[last]
    else:
        at[last] = copy.deepcopy(rng.choice(VALUES))
    if rng.random() < 0.2 and isinstance(node, dict):
        node[rng.choice(KEYS)] = copy.deepcopy(rng.choice(VALUES))
    path.write_text(json.dumps(node))


def change_bytes(rng: random.Random, path: Path) -> None:
    data = bytearray(path.read_bytes())
    kind, at = rng.randrange(5), rng.randrange(len(data))
    if kind == 0:
        del data[at:]
    elif kind == 1:
        del data[at : at + rng.randrange(1, 20)]
    elif kind == 2:
        data = bytearray(rng.randrange(256) for _ in range(50))
    else:
        for _ in range(rng.choice([1, 3, 20])):
            data[rng.randrange(min(len(data), 10 ** rng.randrange(1, 6)))] = rng.randrange(256)
    path.write_bytes(data)


def change_weights(rng: random.Random, path: Path) -> None:
    state = safetensors.torch.load_file(path)
    name, kind = rng.choice(sorted(state)), rng.randrange(6)
    weight = state.pop(name)
    if kind == 0:
        weight = weight * rng.choice([float("nan"), 1e30, 1e38, float("inf"), -1e10, 0])
    elif kind == 1:
        weight = weight[:1].clone()
    elif kind == 2:
        weight = weight.to(rng.choice([torch.int64, torch.float64, torch.bool, torch.float16]))
    elif kind == 3:
        weight = weight.flatten().clone()
    elif kind == 4:
        name = rng.choice(["extra", name.replace("0", "1"), name.upper()])
    if kind != 5:
        state[name] = weight
    safetensors.torch.save_file(state, path, metadata={"format": "pt"})


@COUNT
def test_changed_folders_are_refused_in_one_line_or_work(count, tiny, tmp_path, capsys):
    refused, folder = 0, tmp_path / "bot"
    for seed in range(count):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(tiny, folder)
        rng = random.Random(seed)
        path = rng.choice([path for path in sorted(folder.iterdir()) for _ in range(1 + 3 * ("config" in path.name))])
        if path.suffix == ".json" and rng.random() < 0.8:
            change_json(rng, path)
        elif path.suffix == ".safetensors" and rng.random() < 0.7:
            change_weights(rng, path)
        elif rng.random() < 0.1:
            path.unlink()
            path.mkdir()
        else:
            change_bytes(rng, path)
        before = snapshot(folder)
        line = outcome(capsys, ["--model_dir", folder, "--prompt", "Hi", "--max_new_tokens", 2, "--dtype", "fp32"])
        assert snapshot(folder) == before, seed
        refused += any(word in line for word in ("cannot load", "no model in", "is no chat model"))
        assert not line or refused, (seed, line)
    assert count // 3 < refused < count


def any_text(rng: random.Random) -> str:
    number = rng.choice(
        ["0", "1", "-1", "0.5", "1e-40", "1e309", "nan", "inf", "-0", "1_0", "٣", "0x1", "9" * 400, "1/2"]
    )
    return rng.choice(
        [number, number, str(rng.uniform(-2, 200)), str(rng.randrange(-5, 500)), "", " ", STEERS, "é", "None"]
    )


@COUNT
def test_any_flags_are_refused_in_one_line_or_work(count, tiny, capsys):
    refused, names = 0, [*inference.RANGES, "dtype", "device"]
    for seed in range(count):
        rng = random.Random(seed)
        flags = [f"--{name}={any_text(rng)}" for name in rng.sample(names, rng.randint(1, 2))]
        refused += outcome(capsys, ["--model_dir", tiny, "--prompt", "Hi", *flags]) != ""
    assert count // 3 < refused < count


@COUNT
def test_any_line_keeps_the_chat(count, chat, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [*inference.SETTINGS, "seed", "", "temperature=1"]
    for seed in range(count // 3):
        rng = random.Random(seed)
        commands = [name for name in inference.COMMANDS if name not in ("/exit", "/set")]
        lines = [f"/set {rng.choice(names)}={any_text(rng)}" for _ in range(3)]
        lines += [rng.choice([f"{rng.choice(commands)} {any_text(rng)}", any_text(rng)]) for _ in range(2)]
        type_in(chat, *lines, "Hi")
        assert chat.turns and len(chat.turns) % 2 == 0
    shown = capsys.readouterr()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown.out + shown.err)
