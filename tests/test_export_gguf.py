"""export_gguf.py, read back by transformers' own GGUF reader, which knows llama.cpp's names, orders and alphabet.
That llama.cpp itself answers alike is what tools/check_consumers.py shows."""

from __future__ import annotations

import importlib.util
import json
import re
import resource
import shutil
from pathlib import Path

import jinja2
import pytest
import torch
import transformers
from conftest import mistake
from safetensors.torch import load_file, save_file
from test_inference import FACTS, HOSTILE, bot_dir, llama_dir, save_bot  # noqa: F401
from test_tokenizers import KINDS, LLAMA, QWEN, TEXTS, make, prepare
from tokenizers import pre_tokenizers

import export_gguf

gguf = pytest.importorskip("gguf")

ROLE_TOKENS = {"<|system|>", "<|user|>", "<|assistant|>", "<|endoftext|>"}
TALK = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": FACTS["Hi"]},
    {"role": "user", "content": "\n"},
]


SHAPE = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "initializer_range": 0.2,
}
SHAPE |= {"vocab_size": 384, "max_position_embeddings": 512, "num_key_value_heads": 2, "rope_theta": 1e6}
MADE = {
    "qwen2": transformers.Qwen2Config(**SHAPE, tie_word_embeddings=False),  # with a head of its own, and biases
    "qwen3": transformers.Qwen3Config(**SHAPE, head_dim=32, tie_word_embeddings=True),  # heads wider than the model
}


def edit(path: Path, **changes) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


def alphabet(cuts: bool, trim_offsets: bool = True) -> dict:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": trim_offsets, "use_regex": cuts}


def split(regex: str, **changes) -> dict:
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False, **changes}


@pytest.fixture(scope="module", params=["gpt2", "llama", *MADE])
def folder(request, tmp_path_factory) -> Path:
    copy = tmp_path_factory.mktemp("gguf") / request.param
    if request.param not in MADE:
        made = request.getfixturevalue("llama_dir" if request.param == "llama" else "bot_dir")
        return Path(shutil.copytree(made, copy))
    torch.manual_seed(1)
    model = transformers.AutoModelForCausalLM.from_config(MADE[request.param])
    for name, weight in model.named_parameters():
        if "bias" in name or "norm" in name:  # which begin as zeros and ones
            torch.nn.init.normal_(weight, 1.0, 0.2)
    save_bot(model, transformers.AutoTokenizer.from_pretrained(request.getfixturevalue("bot_dir")), copy)
    # transformers reads a qwen's tokenizer as Qwen's own, whatever the file says
    steps = [split(QWEN), alphabet(False)]
    edit(
        copy / "tokenizer.json", pre_tokenizer={"type": "Sequence", "pretokenizers": steps}, normalizer={"type": "NFC"}
    )
    return copy


@pytest.mark.parametrize(("dtype", "tolerance"), [("f32", 1e-4), ("f16", 3e-2)])
def test_the_weights_and_the_tokens_are_those_of_the_folder(folder, dtype, tolerance, capsys):
    export_gguf.main(["--model_dir", str(folder), "--out", str(folder / f"{dtype}.gguf"), "--dtype", dtype])
    assert capsys.readouterr().out.startswith(str(folder / f"{dtype}.gguf")) and not list(folder.glob("*.tmp"))
    ours = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    options = {"gguf_file": f"{dtype}.gguf", "dtype": torch.float32}
    if folder.name == "gpt2":  # transformers reads all but GPT-2's number of positions and Qwen3's head size
        options["n_positions"] = 512
    elif folder.name == "qwen3":
        options["head_dim"] = 32
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, **options)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = torch.tensor([tokenizer.apply_chat_template(TALK, return_dict=False)])
    torch.testing.assert_close(theirs(ids).logits, ours(ids).logits, rtol=0, atol=tolerance)
    read = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=f"{dtype}.gguf")
    read.add_tokens(sorted(ROLE_TOKENS), special_tokens=True)  # nor does it look at a token's type
    for text in (*HOSTILE, *FACTS, *FACTS.values(), "don't  stop\t\n\n 1234 été"):
        if not re.search("[\ud800-\udfff]", text):
            assert read.encode(text, add_special_tokens=False) == tokenizer.encode(text, add_special_tokens=False)


def test_the_other_facts_are_those_of_the_folder(folder, capsys):
    export_gguf.main(["--model_dir", str(folder)])
    fields = gguf.GGUFReader(folder / "model.gguf").fields
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)

    def value(name: str):
        return fields[name].contents()

    assert value("general.architecture") == folder.name and value(f"{folder.name}.context_length") == 512
    assert value("tokenizer.ggml.eos_token_id") == tokenizer.eos_token_id and not value("tokenizer.ggml.add_bos_token")
    types = dict(zip(value("tokenizer.ggml.tokens"), value("tokenizer.ggml.token_type")))
    control = {token for token, kind in types.items() if kind == gguf.TokenType.CONTROL}
    assert control == ROLE_TOKENS
    assert sum(kind == gguf.TokenType.UNUSED for kind in types.values()) == 384 - len(tokenizer)
    # plain Jinja with the settings that llama.cpp and its bindings have, and control strings in what was typed
    template = jinja2.Environment(trim_blocks=True, lstrip_blocks=True).from_string(value("tokenizer.chat_template"))
    for talk in (TALK, [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "".join(HOSTILE)}]):
        expected = tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True)
        assert template.render(messages=talk, add_generation_prompt=True) == expected
    lines = (folder / "model.Modelfile").read_text().splitlines()
    assert lines[0] == "FROM ./model.gguf" and "PARAMETER temperature 0.6" in lines and "PARAMETER num_ctx 512" in lines


def refused(capsys, bot: Path, *flags) -> str:
    """The one line; nothing of the folder has changed, nor is there anything new in it."""
    before = {path: path.read_bytes() for path in bot.rglob("*") if path.is_file()}
    line = mistake(capsys, export_gguf.main, ["--model_dir", bot, *flags])
    assert {path: path.read_bytes() for path in bot.rglob("*") if path.is_file()} == before
    assert line.startswith("export_gguf.py: error: ")
    return line


LINEAR = {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}
SLIDING = {"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 1}
SLIDING["layer_types"] = ["full_attention", "sliding_attention"]
OTHER = [  # type, what its config.json says, what the line names
    ("gpt2", {"activation_function": "relu"}, "activation_function gelu_new, and this one has relu"),
    ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx False"),
    ("gpt2", {"scale_attn_weights": False}, "scale_attn_weights True"),
    ("gpt2", {"add_cross_attention": True}, "add_cross_attention False"),
    *((kind, {"hidden_act": "gelu"}, "hidden_act silu") for kind in ("llama", "qwen2", "qwen3")),
    *((kind, {"rope_parameters": LINEAR}, "rope_type default") for kind in ("llama", "qwen2", "qwen3")),
    ("llama", {"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_type default"),
    ("llama", {"partial_rotary_factor": 0.5}, "partial_rotary_factor 1.0"),
    *((kind, SLIDING, "layer_types ['full_attention']") for kind in ("qwen2", "qwen3")),
    ("qwen2", {"head_dim": 32}, "head_dim * num_attention_heads == hidden_size True"),
    ("qwen3", {"attention_bias": True}, "attention_bias False"),
    ("llama", {"model_type": "mistral"}, "type mistral is not exported"),
    ("gpt2", {"model_type": "of_tomorrow"}, "type of_tomorrow is not exported"),  # transformers does not know it either
    # the weights are those of another shape
    ("gpt2", {"n_layer": 3}, "h.2.ln_1.weight is [64], in safetensors missing"),
    ("qwen3", {"num_hidden_layers": 1, "layer_types": None}, "is missing, in safetensors ["),
    ("llama", {"num_hidden_layers": 10**7}, "10000000 layers are more than the weights have"),
    ("gpt2", {"n_embd": 128}, "wte.weight is [384, 128], in safetensors [384, 64]"),
    ("gpt2", {"n_positions": 1024}, "wpe.weight is [1024, 64], in safetensors [512, 64]"),
    ("llama", {"vocab_size": 448}, "embed_tokens.weight is [448, 64], in safetensors [384, 64]"),
    ("llama", {"attention_bias": True}, "self_attn.q_proj.bias is [64], in safetensors missing"),
    ("llama", {"tie_word_embeddings": False}, "lm_head.weight is [384, 64], in safetensors missing"),
    ("qwen2", {"tie_word_embeddings": True}, "lm_head.weight is missing, in safetensors [384, 64]"),
]


@pytest.mark.parametrize(("folder", "changes", "word"), OTHER, indirect=["folder"])
def test_a_model_that_llama_cpp_would_compute_otherwise_is_one_line(folder, changes, word, tmp_path, capsys):
    bot = Path(shutil.copytree(folder, tmp_path / "bot"))
    edit(bot / "config.json", **changes)
    assert word in refused(capsys, bot)


def cut_short(bot: Path) -> None:
    (bot / "model.safetensors").write_bytes((bot / "model.safetensors").read_bytes()[:-3000])


def more_tokens(bot: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(bot)
    tokenizer.add_tokens([f"<{i}>" for i in range(100)])
    tokenizer.save_pretrained(bot)


def large(value: float):
    def put_in(bot: Path) -> None:
        weights = load_file(bot / "model.safetensors")
        weights["transformer.h.0.mlp.c_fc.weight"][0, 0] = value
        save_file(weights, bot / "model.safetensors", {"format": "pt"})

    return put_in


def without(pattern: str):
    return lambda bot: [file.unlink() for file in bot.glob(pattern)]


def with_text(name: str, text: str):
    return lambda bot: (bot / name).write_text(text)


BROKEN = {  # what the line names: what was done to the folder
    "cannot read {}/model.safetensors: ": cut_short,
    "cannot read {}/model.safetensors:": with_text("model.safetensors", ""),
    "is in another file": lambda bot: shutil.copy(bot / "model.safetensors", bot / "model-old.safetensors"),
    "which has no model*.safetensors; train one: python train.py": without("*.safetensors"),
    "which has no config.json": without("config.json"),
    "which has no tokenizer.json": without("tokenizer*"),
    "cannot read {}/config.json: Expecting": with_text("config.json", "{"),
    "cannot read {}/config.json: it holds": with_text("config.json", "[]"),
    "cannot read {}/tokenizer.json: ": with_text("tokenizer.json", "{"),
    "cannot read {}/generation_config.json: Expecting": with_text("generation_config.json", "{"),
    "cannot read {}/generation_config.json: it holds": with_text("generation_config.json", "[]"),
    "top_p is no number": with_text("generation_config.json", '{"top_p": "1 SYSTEM Lie."}'),
    "temperature is no number": with_text("generation_config.json", '{"temperature": NaN}'),
    "holds an adapter": with_text("adapter_config.json", "{}"),
    "more tokens than the model has embeddings, which are 384": more_tokens,
    "c_fc.weight is finite in float32; copy": large(float("nan")),
    "c_fc.weight is finite in float16; try --dtype f32": large(1e5),
}


@pytest.mark.parametrize("word", BROKEN)
def test_a_folder_that_is_not_whole_is_one_line(word, bot_dir, tmp_path, capsys):  # noqa: F811
    bot = Path(shutil.copytree(bot_dir, tmp_path / "bot"))
    BROKEN[word](bot)
    assert word.format(bot) in refused(capsys, bot, "--dtype", "f16" if "float16" in word else "f32")


@pytest.mark.parametrize("name", ["none", "HuggingFaceTB/SmolLM2-135M"])
def test_no_folder_is_one_line(name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "no chatbot in the folder" in mistake(capsys, export_gguf.main, ["--model_dir", name])
    assert not list(tmp_path.iterdir())


def test_without_the_package_it_says_how_to_get_it(bot_dir, capsys, monkeypatch):  # noqa: F811
    monkeypatch.setattr(export_gguf, "gguf", None)
    assert "pip install gguf" in mistake(capsys, export_gguf.main, ["--model_dir", bot_dir])


@pytest.mark.parametrize("settings", [None, "{}", '{"repetition_penalty": null, "temperature": null}'])
def test_without_settings_of_its_own_it_has_ollamas(settings, bot_dir, tmp_path, capsys):  # noqa: F811
    bot = Path(shutil.copytree(bot_dir, tmp_path / "bot"))
    (bot / "generation_config.json").unlink()
    if settings:
        (bot / "generation_config.json").write_text(settings)
    export_gguf.main(["--model_dir", str(bot)])
    lines = (bot / "model.Modelfile").read_text().splitlines()
    assert "PARAMETER repeat_penalty 1.0" in lines and not [line for line in lines if "temperature" in line]


@pytest.mark.parametrize(
    ("out", "word"),
    [
        ("", "is a folder"),
        ("a.Modelfile", "beside it"),
        ("no/such/a.gguf", "mkdir -p"),
        ("model.safetensors", "not from an earlier export"),
        ("notes.gguf", "notes.Modelfile exists"),
    ],
)
def test_what_it_cannot_or_should_not_replace_is_one_line(out, word, bot_dir, tmp_path, capsys):  # noqa: F811
    bot = Path(shutil.copytree(bot_dir, tmp_path / "bot"))
    (bot / "notes.Modelfile").write_text("Remember the milk.")
    assert word in refused(capsys, bot, "--out", bot / out)


def interrupt(writer) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("end", ["full", "interrupted"])
def test_an_end_in_the_middle_leaves_what_was_there(end, bot_dir, tmp_path, capsys, monkeypatch):  # noqa: F811
    bot = Path(shutil.copytree(bot_dir, tmp_path / "bot"))
    export_gguf.main(["--model_dir", str(bot)])
    capsys.readouterr()
    (bot / "generation_config.json").unlink()
    before = {path: path.read_bytes() for path in bot.iterdir()}
    if end == "full":
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
        try:
            assert "cannot write" in mistake(capsys, export_gguf.main, ["--model_dir", bot])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    else:
        monkeypatch.setattr(gguf.GGUFWriter, "write_tensors_to_file", interrupt)
        with pytest.raises(SystemExit) as ended:
            export_gguf.main(["--model_dir", str(bot)])
        assert ended.value.code == 130
    assert {path: path.read_bytes() for path in bot.iterdir()} == before


def digits(alone: bool) -> dict:
    return {"type": "Digits", "individual_digits": alone}


WAYS = [  # steps, settings of the model, llama.cpp's name; the first as they stand in the tokenizer.json of
    ([alphabet(True)], {}, "gpt-2"),  # gpt2, and
    ([alphabet(True, False)], {"continuing_subword_prefix": "", "end_of_word_suffix": ""}, "gpt-2"),
    ([digits(True), alphabet(True)], {}, "smollm"),  # SmolLM2
    ([split(QWEN), alphabet(False, False)], {"ignore_merges": False}, "qwen2"),  # Qwen2, Qwen3
    ([split(LLAMA), alphabet(False)], {"ignore_merges": True}, "llama-bpe"),  # Llama 3
    ([digits(False), alphabet(True)], {}, None),
    ([digits(True), digits(False), alphabet(True)], {}, None),
    ([alphabet(True), digits(True), alphabet(False)], {}, None),
    ([split(r"\p{N}{1,3}"), split(QWEN), alphabet(False)], {}, None),
    ([split(QWEN, invert=True), alphabet(False)], {}, None),
    ([split(QWEN, behavior="Removed"), alphabet(False)], {}, None),
    ([split(QWEN), alphabet(True)], {}, None),
    ([split(LLAMA), alphabet(False)], {}, None),
    ([alphabet(False)], {}, None),
    ([alphabet(True)], {"ignore_merges": True}, None),
    ([alphabet(True)], {"dropout": 0.1}, None),
    ([alphabet(True)], {"byte_fallback": True}, None),
]


@pytest.mark.parametrize(("steps", "settings", "name"), WAYS)
def test_a_way_to_cut_words_has_a_name_if_all_steps_do(steps, settings, name, bot_dir, tmp_path, capsys):  # noqa: F811
    bot = Path(shutil.copytree(bot_dir, tmp_path / "bot"))
    model = json.loads((bot / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    sequence = steps[0] if len(steps) == 1 else {"type": "Sequence", "pretokenizers": steps}
    edit(bot / "tokenizer.json", pre_tokenizer=sequence, model={**model, **settings})
    if name is None:
        assert "no name" in refused(capsys, bot)
        return
    export_gguf.main(["--model_dir", str(bot)])
    assert gguf.GGUFReader(bot / "model.gguf").fields["tokenizer.ggml.pre"].contents() == name


@pytest.mark.parametrize(
    "template, word",
    [
        (None, "no chat template"),
        ("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>{% endfor %}", "another format"),
        ("{{ raise_exception('no system message') }}", "another format"),
        ("ours", "no token <|assistant|>"),
    ],
)
def test_a_chat_that_ollama_would_not_prompt_is_one_line(bot_dir, tmp_path, capsys, template, word):  # noqa: F811
    bot = shutil.copytree(bot_dir, tmp_path / "bot")
    tokenizer = transformers.AutoTokenizer.from_pretrained(bot)
    (bot / "chat_template.jinja").unlink()
    if template == "ours":
        template = tokenizer.chat_template
        for name in ("tokenizer.json", "tokenizer_config.json"):
            text = (bot / name).read_text(encoding="utf-8")
            (bot / name).write_text(text.replace("<|assistant|>", "<|helper|>"), encoding="utf-8")
    if template:
        (bot / "chat_template.jinja").write_text(template, encoding="utf-8")
    assert word in mistake(capsys, export_gguf.main, ["--model_dir", bot])
    assert not list(bot.glob("*gguf*"))


@pytest.mark.parametrize("kind", [*KINDS, "unknown"])
def test_words_are_cut_as_the_tokenizer_does(kind, tmp_path, capsys):
    """By llama.cpp's name for it; where its Python package is installed, by itself."""
    pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Punctuation(), pre_tokenizers.ByteLevel(False)])
    bpe = make(tmp_path / "theirs", *{**KINDS, "unknown": (pre_tokenizer, None, ["<|endoftext|>"], [])}[kind])
    if kind == "llama3":
        bpe.model.ignore_merges = True
        bpe.save(str(tmp_path / "theirs/tokenizer.json"))
    prepare(tmp_path, TEXTS)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out/tokenizer")
    config = transformers.LlamaConfig(**{**SHAPE, "vocab_size": len(tokenizer) + 5, "num_hidden_layers": 1})
    save_bot(transformers.LlamaForCausalLM(config), tokenizer, tmp_path / "bot")
    capsys.readouterr()
    if kind == "unknown":
        assert "no name" in mistake(capsys, export_gguf.main, ["--model_dir", tmp_path / "bot"])
        assert not list((tmp_path / "bot").glob("*gguf*"))
        return
    export_gguf.main(["--model_dir", str(tmp_path / "bot")])
    fields = gguf.GGUFReader(tmp_path / "bot/model.gguf").fields
    names = {"smollm2": "smollm", "qwen": "qwen2", "llama3": "llama-bpe"}
    assert fields["tokenizer.ggml.pre"].contents() == names.get(kind, "gpt-2")
    types = dict(zip(fields["tokenizer.ggml.tokens"].contents(), fields["tokenizer.ggml.token_type"].contents()))
    for token in tokenizer.added_tokens_decoder.values():
        assert types[token.content] == (gguf.TokenType.CONTROL if token.special else gguf.TokenType.USER_DEFINED)
    if importlib.util.find_spec("llama_cpp"):
        import llama_cpp

        theirs = llama_cpp.Llama(str(tmp_path / "bot/model.gguf"), vocab_only=True, verbose=False)
        for text in (*TEXTS, *HOSTILE, "1234 ١٢٣ ½  x\n\n\ty 'LL I'll <think>"):
            if text.isprintable() or text in TEXTS:
                ids = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
                assert theirs.tokenize(text.encode(), add_bos=False, special=False) == ids, text
