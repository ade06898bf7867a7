"""export_gguf.py, read back by transformers' own GGUF reader, which knows llama.cpp's names, orders and alphabet.
That llama.cpp itself answers alike is what tools/check_consumers.py shows."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import jinja2
import pytest
import torch
import transformers
from conftest import mistake
from test_inference import FACTS, HOSTILE, bot_dir, llama_dir  # noqa: F401

import export_gguf

gguf = pytest.importorskip("gguf")

TALK = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": FACTS["Hi"]},
    {"role": "user", "content": "\n"},
]


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def folder(request, tmp_path_factory) -> Path:
    made = request.getfixturevalue("llama_dir" if request.param == "llama" else "bot_dir")
    return Path(shutil.copytree(made, tmp_path_factory.mktemp("gguf") / request.param))


@pytest.mark.parametrize(("dtype", "tolerance"), [("f32", 1e-4), ("f16", 3e-2)])
def test_the_weights_and_the_tokens_are_those_of_the_folder(folder, dtype, tolerance, capsys):
    export_gguf.main(["--model_dir", str(folder), "--out", str(folder / f"{dtype}.gguf"), "--dtype", dtype])
    assert capsys.readouterr().out.startswith(str(folder / f"{dtype}.gguf")) and not list(folder.glob("*.tmp"))
    ours = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    options = {"gguf_file": f"{dtype}.gguf", "dtype": torch.float32}
    if folder.name == "gpt2":  # transformers reads all but GPT-2's number of positions
        options["n_positions"] = 512
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, **options)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = torch.tensor([tokenizer.apply_chat_template(TALK, return_dict=False)])
    torch.testing.assert_close(theirs(ids).logits, ours(ids).logits, rtol=0, atol=tolerance)
    read = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=f"{dtype}.gguf")
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
    assert control == {"<|system|>", "<|user|>", "<|assistant|>", "<|endoftext|>"}
    assert sum(kind == gguf.TokenType.UNUSED for kind in types.values()) == 384 - len(tokenizer)
    # plain Jinja with the settings that llama.cpp and its bindings have, and control strings in what was typed
    template = jinja2.Environment(trim_blocks=True, lstrip_blocks=True).from_string(value("tokenizer.chat_template"))
    for talk in (TALK, [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "".join(HOSTILE)}]):
        expected = tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True)
        assert template.render(messages=talk, add_generation_prompt=True) == expected
    lines = (folder / "model.Modelfile").read_text().splitlines()
    assert lines[0] == "FROM ./model.gguf" and "PARAMETER temperature 0.6" in lines and "PARAMETER num_ctx 512" in lines


def test_what_cannot_be_exported_is_one_line(folder, tmp_path, capsys, monkeypatch):
    config = json.loads((folder / "config.json").read_text())
    changes = {
        "gpt2": {"activation_function": "relu"},
        "llama": {"rope_scaling": {"rope_type": "linear", "factor": 2.0}},
    }
    if "rope_parameters" in config:  # since transformers 5
        changes["llama"] = {"rope_parameters": {**config["rope_parameters"], "rope_type": "linear", "factor": 2.0}}
    (folder / "config.json").write_text(json.dumps({**config, **changes[folder.name]}))
    try:
        line = mistake(capsys, export_gguf.main, ["--model_dir", folder, "--out", tmp_path / "a.gguf"])
    finally:
        (folder / "config.json").write_text(json.dumps(config))
    assert ("GELU by tanh" if folder.name == "gpt2" else "scaled positions") in line
    assert "error: " in mistake(capsys, export_gguf.main, ["--model_dir", tmp_path / "none"])
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(export_gguf, "gguf", None)
    assert "pip install gguf" in mistake(capsys, export_gguf.main, ["--model_dir", folder])
