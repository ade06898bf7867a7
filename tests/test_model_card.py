"""What the chatbot's model card says of the model that it was tuned from: its name on the hub, and its licence."""

from __future__ import annotations

import logging
import os
import shutil

import pytest
import yaml
from conftest import call, run_script
from test_tokenizers import KINDS, make
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

import prep_data
import train

STEPS = ("--seq_len", 96, "--batch_size", 2, "--grad_accum", 1, "--cpu", "--fp32", "--max_steps", 1)
SHAPE = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
LINK = "https://example.org/LICENSE"
UNREAD = "could not be read from its card"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """(a model folder without a card, a data folder with its tokenizer)"""
    folder = tmp_path_factory.mktemp("licence")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=make(folder / "theirs", *KINDS["smollm2"]))
    config = LlamaConfig(**SHAPE, vocab_size=len(tokenizer), max_position_embeddings=96, tie_word_embeddings=True)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    rows = folder / "rows.jsonl"
    rows.write_text("".join(f'{{"instruction": "What is {n}?", "output": "A number."}}\n' for n in range(20)))
    call(prep_data.main, "--dataset", rows, "--out_dir", folder / "data", "--tokenizer", folder / "base")
    return folder / "base", folder / "data"


def head_of(model_dir) -> dict:
    _, head, body = (model_dir / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    assert body.startswith(f"# {model_dir.name}\n")
    ours = {"library_name": "transformers", "pipeline_tag": "text-generation"}
    head = yaml.safe_load(head)
    assert ours.items() <= head.items()
    return {key: value for key, value in head.items() if key not in ours}


CARDS = {  # what the base's card holds -> what ours says of it, None where it is to be looked up
    "---\nlicense: apache-2.0\n---\n# A model": {"license": "apache-2.0"},
    f"---\nlicense: other\nlicense_name: qwen\nlicense_link: {LINK}\n---\n": {
        "license": "other",
        "license_name": "qwen",
        "license_link": LINK,
    },
    "---\nlicense: [mit, gemma]\nlicense_name: >\n  通义 🙂\n---\n": {
        "license": ["mit", "gemma"],
        "license_name": "通义 🙂",
    },
    "---\nlicense: gemma\nmodel-index:\n- name: x\n  results: 5\n---\n": {"license": "gemma"},
    b"---\nlicense: mit\nauthor: Jos\xe9\n---\n": {"license": "mit"},
    "\ufeff\n---\r\nLicense: MIT\r\n---\r\n": {"license": "MIT"},
    "---\nlicense: no\n---\n": {"license": "no"},
    "---\nlicense: 2024-01-01\n---\n": {"license": "2024-01-01"},
    "---\nlicense: mit\ntags: [1, 2\n---\n": None,
    "---\nlicense: mit\ntags:\n\t- a\n---\n": None,
    "---\nlicense: mit\n# never closed": None,
    "---\nlicense:\n  name: mit\n---\n": None,
    b"---\nlicense: other\nlicense_name: Jos\xe9\n---\n": None,
    '---\nlicense: "mit\\n---\\n# x"\n---\n': None,
    '---\nlicense: "mit\\u2028---\\u2028# x"\n---\n': None,
    # what it comes from is named where the hub could know it
    "---\nlicense: mit\nbase_model: Qwen/Qwen2-0.5B\n---\n": {"license": "mit", "base_model": "Qwen/Qwen2-0.5B"},
    "---\nbase_model:\n- gpt2\n- a/b\n---\n": {"base_model": ["gpt2", "a/b"]},
    "---\nbase_model: /home/me/base\n---\n": {},
    '---\nbase_model: "a\\n---\\n# x"\n---\n': {},
    "# no head": {},
    None: None,  # no card
}


@pytest.mark.parametrize("card", CARDS)
def test_licence_and_origin_of_a_folder(base, card, tmp_path, capsys, caplog, monkeypatch):
    folder, data = base
    (folder / "README.md").unlink(missing_ok=True)
    if card is not None:
        (folder / "README.md").write_bytes(card if isinstance(card, bytes) else card.encode())
    monkeypatch.setattr(logging.getLogger("huggingface_hub"), "propagate", True)  # what it would print
    call(train.main, "--data_dir", data, "--init_from", folder, "--model_dir", tmp_path / "run", *STEPS)
    assert capsys.readouterr().out.count(UNREAD) == (CARDS[card] is None)
    assert not [record for record in caplog.records if record.name.startswith("huggingface_hub")]
    assert head_of(tmp_path / "run") == (CARDS[card] or {})


def test_a_tune_of_a_tune_still_names_the_model_of_the_hub(base, tmp_path):
    folder, data = base
    (folder / "README.md").write_text("---\nlicense: mit\nbase_model: Qwen/Qwen2-0.5B\n---\n")
    call(train.main, "--data_dir", data, "--init_from", folder, "--model_dir", tmp_path / "one", *STEPS)
    rows = data.parent / "rows.jsonl"
    call(prep_data.main, "--dataset", rows, "--out_dir", tmp_path / "data", "--tokenizer", tmp_path / "one")
    flags = ("--data_dir", tmp_path / "data", "--init_from", tmp_path / "one", *STEPS)
    call(train.main, *flags, "--model_dir", tmp_path / "two")
    assert head_of(tmp_path / "two") == {"license": "mit", "base_model": "Qwen/Qwen2-0.5B"}


@pytest.mark.parametrize("has_card", [True, False])
def test_licence_of_a_model_of_the_hub_that_is_cached(base, has_card, tmp_path):
    """A link to a file means one of their repository; without the network there is only what has been fetched before."""
    folder, data = base
    repository = tmp_path / "hub/models--made-up--base"
    shutil.copytree(folder, repository / "snapshots" / ("0" * 40), ignore=shutil.ignore_patterns("README.md"))
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text("0" * 40)
    if has_card:
        card = "---\nlicense: other\nlicense_name: theirs\nlicense_link: LICENSE\n---\n"
        (repository / "snapshots" / ("0" * 40) / "README.md").write_text(card)
    result = run_script(
        "train.py", "--data_dir", data, "--init_from", "made-up/base", "--model_dir", tmp_path / "run", *STEPS,
        env={**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    link = "https://huggingface.co/made-up/base/blob/main/LICENSE"
    licence = {"license": "other", "license_name": "theirs", "license_link": link} if has_card else {}
    assert head_of(tmp_path / "run") == {"base_model": "made-up/base", **licence}
    assert result.stdout.count(f"the licence of made-up/base {UNREAD}") == (not has_card)
