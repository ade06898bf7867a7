"""prep_data.py: what rows hold decides what becomes of them, and the card says what was not used or mended."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import pytest
from conftest import mistake, run_script, write_jsonl
from loopback_hub import hub, parquet

import prep_data

CLEAR = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "") | {
    "NO_PROXY": "*",
    "no_proxy": "*",
}


def prep(folder: Path, rows: list, *arguments: object) -> dict:
    """The manifest of a run over rows; its output lies in folder/out."""
    file = write_jsonl(folder / "rows.jsonl", rows)
    command = ["--dataset", file, "--out_dir", folder / "out", "--num_proc", 1, "--overwrite", *arguments]
    prep_data.main([str(argument) for argument in [*command, "--train_tokenizer", 260]])
    return json.loads((folder / "out/manifest.json").read_text(encoding="utf-8"))


def rows_of(folder: Path, part: str = "") -> list[dict]:
    names = [part] if part else ["train", "val"]
    texts = [(folder / f"out/{name}.jsonl").read_text(encoding="utf-8") for name in names]
    return [json.loads(line) for line in "".join(texts).splitlines()]


def chat(*contents: str, system: str | None = None) -> dict:
    roles = itertools.cycle(("user", "assistant"))
    row = {"messages": [{"role": role, "content": text} for role, text in zip(roles, contents)]}
    return row if system is None else {"system": system, **row}


# -------------------------------------------------------------------------------------- duplicates, and what is held out

JOKES = [chat("A joke, please.", f"Joke {n}.") for n in range(12)]


@pytest.mark.parametrize(
    ("rows", "arguments", "left"),
    [
        ([chat("dog", "x", system=f"In {name}.") for name in ("French", "German", "Finnish")], [], 3),
        ([chat("dog", "x", system=name) for name in ("In French.", "in french", "In German!")], [], 2),
        ([chat("Hi", f"I am {name}.", "Go on.", "So.") for name in ("Ada", "Bob", "Cem")], [], 3),
        ([*JOKES, chat("Another?", "Yes.")], [], 2),
        ([*JOKES, JOKES[0]], ["--duplicates", "keep"], 13),
    ],
    ids=["systems", "systems alike", "earlier answers", "one prompt", "one prompt, kept"],
)
def test_a_duplicate_has_the_same_whole_prompt(tmp_path, rows, arguments, left):
    prep(tmp_path, rows, *arguments)
    assert len(rows_of(tmp_path)) == left


def test_many_answers_to_one_prompt_are_told_of_the_switch(tmp_path, capsys):
    assert "--duplicates keep" in prep(tmp_path, [*JOKES, chat("Another?", "Yes.")])["card"]
    write_jsonl(tmp_path / "jokes.jsonl", JOKES)
    command = ["--dataset", tmp_path / "jokes.jsonl", "--out_dir", tmp_path / "x", "--train_tokenizer", 260]
    assert "--duplicates keep" in mistake(capsys, prep_data.main, command)


def test_what_is_in_validation_is_not_kept_either(tmp_path):
    val = write_jsonl(tmp_path / "val.jsonl", JOKES[:3])
    assert prep(tmp_path, JOKES, "--duplicates", "keep", "--val_dataset", val)["dropped"] == {"also in validation": 3}


@pytest.mark.parametrize(
    ("rows", "arguments"),
    [
        ([chat("long " * 99, "x"), chat("a", "b"), chat("c", "d")], []),
        ([chat("long " * 99, "x"), {"text": "word " * 99}, chat("c", "d")], []),
        ([chat("Hi.", "Hello.", f"Who is {n}?", "Nobody.") for n in range(9)], []),
        (JOKES, ["--duplicates", "keep"]),
        ([{"text": "One book, and nothing else. " * 99}], []),
    ],
    ids=["first too long", "first too long, then a text", "one greeting", "one prompt", "one text"],
)
def test_a_small_set_has_both_parts(tmp_path, rows, arguments):
    prep(tmp_path, rows, "--seq_len", 64, *arguments)
    assert rows_of(tmp_path, "train")
    assert rows_of(tmp_path, "val")
    assert len(rows_of(tmp_path, "val")) <= len(rows_of(tmp_path, "train")) + 1


# ------------------------------------------------------------------------------------------------- the splits of a hub set


def nine(split: str) -> bytes:
    return parquet([{"question": f"{split} {n}", "answer": "a"} for n in range(9)])


SPLITS = {
    "only": (["chat"], "chat"),
    "mixture": (["test", "train_a"], "train_a"),
    "both": (["evaluation", "train"], "train"),
    "tests": (["test"], ""),
    "parts": (["easy", "hard"], ""),
    "stages": (["train_one", "train_two"], ""),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    sets = {
        f"datasets/made-up/{name}": {f"data/{split}-00000-of-00001.parquet": nine(split) for split in splits}
        for name, (splits, _) in SPLITS.items()
    }
    lines = [json.dumps({name: "x"}).encode() + b"\n" for name in ("question", "instruction")]
    sets["datasets/made-up/mixed"] = {"a.jsonl": lines[0], "b.jsonl": lines[1]}
    with hub(sets, tmp_path_factory.mktemp("cache")) as environment:
        yield {**os.environ, **CLEAR, **environment}


def test_the_split_that_is_taken_is_plain_and_printed(served, tmp_path):
    """One process asks for all of them, for starting the clients takes seconds."""
    code = (
        "import sys, prep_data\n"
        "for name in sys.argv[2:]:\n"
        "    try:\n"
        "        prep_data.main(['--dataset', 'made-up/' + name, '--num_proc', '1', '--train_tokenizer', '260',"
        " '--out_dir', sys.argv[1] + '/' + name])\n"
        "    except SystemExit as ended:\n"
        "        print('refused', name, ended.code)\n"
    )
    result = run_script("-c", code, tmp_path, *SPLITS, "mixed", env=served)
    assert result.returncode == 0, result.stderr
    for name, (splits, taken) in SPLITS.items():
        says = f"made-up/{name}: split {taken} of {', '.join(splits)}" if taken else f"refused {name} 2"
        assert says in result.stdout
        assert taken or f"--split takes one of {', '.join(splits)}" in result.stderr
    assert "refused mixed 2" in result.stdout
    assert "column names don't match" in result.stderr
    assert "--config" not in result.stderr
