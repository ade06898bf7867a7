"""prep_data.py reads data sets and tokenizers from a hub, with the real clients, and says so when it cannot."""

from __future__ import annotations

import json
import os
import time

import pytest
from conftest import read_jsonl, run_script
from loopback_hub import COMMIT, alpaca_rows, hub, sample_repositories

CLEAR = {"HTTP_PROXY": "", "HTTPS_PROXY": "", "http_proxy": "", "https_proxy": "", "NO_PROXY": "*", "no_proxy": "*"}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The environment in which the loopback hub is the hub."""
    with hub(sample_repositories(), tmp_path_factory.mktemp("cache")) as environment:
        yield {**os.environ, **CLEAR, **environment}


def prep(environment, *arguments):
    return run_script("prep_data.py", *arguments, env=environment)


def test_alpaca_as_the_guide_has_it(served, tmp_path):
    result = prep(served, "--dataset", "tatsu-lab/alpaca", "--out_dir", tmp_path / "data")
    assert result.returncode == 0, result.stderr
    rows = read_jsonl(tmp_path / "data/train.jsonl") + read_jsonl(tmp_path / "data/val.jsonl")
    asked = {row["messages"][0]["content"]: row["messages"][1]["content"] for row in rows}
    for row in alpaca_rows():
        user = row["instruction"] + ("\n\n" + row["input"] if row["input"] else "")
        assert asked.pop(user) == row["output"]
    assert not asked
    manifest = json.loads((tmp_path / "data/manifest.json").read_text())
    assert manifest["sources"][0]["commit"] == COMMIT and f"commit {COMMIT}; split train" in manifest["card"]
    assert (
        manifest["vocab_size"]
        == len(json.loads((tmp_path / "data/tokenizer/tokenizer.json").read_text())["model"]["vocab"]) + 4
    )

    # what is cached needs no hub any more; the manifest of a finished run needs not even the cache
    gone = {**served, "HF_ENDPOINT": "http://127.0.0.1:9"}
    assert prep(gone, "--dataset", "tatsu-lab/alpaca", "--out_dir", tmp_path / "again").returncode == 0
    assert (tmp_path / "again/train_tokenized.jsonl").read_bytes() == (
        tmp_path / "data/train_tokenized.jsonl"
    ).read_bytes()
    gone["HF_HOME"] = str(tmp_path / "empty")
    assert "complete already" in prep(gone, "--dataset", "tatsu-lab/alpaca", "--out_dir", tmp_path / "data").stdout


def test_a_split_brings_its_validation_split(served, tmp_path):
    common = ("--dataset", "made-up/splits", "--train_tokenizer", "262", "--out_dir")
    assert prep(served, *common, tmp_path / "own").returncode == 0
    assert len(read_jsonl(tmp_path / "own/train.jsonl")) == 20
    assert len(read_jsonl(tmp_path / "own/val.jsonl")) == 5

    result = prep(
        served, *common, tmp_path / "asked", "--split", "train_gen", "--revision", "main", "--config", "default"
    )
    assert result.returncode == 0, result.stderr
    assert len(read_jsonl(tmp_path / "asked/train.jsonl")) + len(read_jsonl(tmp_path / "asked/val.jsonl")) == 5

    result = prep(served, *common, tmp_path / "wrong", "--split", "nowhere")
    assert result.returncode == 2
    assert "test_sft, train_gen, train_sft" in result.stderr


def test_streaming_stops_by_itself(served, tmp_path):
    common = ("--dataset", "tatsu-lab/alpaca", "--streaming", "--out_dir")
    assert prep(served, *common, tmp_path / "rows", "--max_rows", "12").returncode == 0
    assert len(read_jsonl(tmp_path / "rows/train.jsonl")) + len(read_jsonl(tmp_path / "rows/val.jsonl")) == 12
    assert prep(served, *common, tmp_path / "tokens", "--max_tokens", "500").returncode == 0
    tokens = [len(row["input_ids"]) for row in read_jsonl(tmp_path / "tokens/train_tokenized.jsonl")]
    assert sum(tokens[:-1]) < 500 <= sum(tokens)


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (("--dataset", "nobody/nothing", "--train_tokenizer", "300"), {}, "nobody/nothing"),
        (("--dataset", "tatsu-lab/alpaca", "--config", "odd", "--train_tokenizer", "300"), {}, "odd"),
        (("--dataset", "tatsu-lab/alpaca", "--tokenizer", "nobody/nothing"), {}, "--train_tokenizer"),
        (("--dataset", "tatsu-lab/alpaca"), {"HF_ENDPOINT": "http://127.0.0.1:9"}, "network"),
        (("--dataset", "tatsu-lab/alpaca"), {"HF_HUB_OFFLINE": "1"}, "network"),
    ],
)
def test_what_cannot_be_had_is_one_line(served, tmp_path, arguments, environment, says):
    start = time.monotonic()
    result = prep(
        {**served, **environment, "HF_HOME": str(tmp_path / "cache")}, *arguments, "--out_dir", tmp_path / "out"
    )
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert result.stderr.startswith("prep_data.py: error: ")
    assert says in result.stderr
    assert time.monotonic() - start < 15  # not the clients' minute of retries
    assert not list(tmp_path.glob("out/*"))
