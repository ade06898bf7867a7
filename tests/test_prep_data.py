"""prep_data.py: formats, cleaning, the chat format, and that nothing can hurt it."""

from __future__ import annotations

import functools
import gzip
import hashlib
import itertools
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import HANG_S, ROOT, call, conversations, mistake, read_jsonl, run_script, start_script, write_jsonl
from hypothesis import given, settings
from hypothesis import strategies as st

import prep_data

SYSTEM = "You are a helpful assistant."
FILES = ("train.jsonl", "val.jsonl", "train_tokenized.jsonl", "val_tokenized.jsonl")


def prep(*arguments, tokens: int | None = 260) -> dict:
    """Runs main and gives the manifest; 260 tokens is a BPE without a single merge."""
    call(prep_data.main, *arguments, *(["--train_tokenizer", tokens] if tokens else []))
    out = Path(arguments[arguments.index("--out_dir") + 1])
    return json.loads((out / "manifest.json").read_text(encoding="utf-8"))


def rows_of(out: Path) -> list[dict]:
    return read_jsonl(out / "train.jsonl") + read_jsonl(out / "val.jsonl")


def chat(*contents: str, system: str = SYSTEM) -> dict:
    roles = itertools.cycle(("user", "assistant"))
    return {"system": system, "messages": [{"role": role, "content": text} for role, text in zip(roles, contents)]}


def by_first(rows: list[dict]) -> list[dict]:
    return sorted(rows, key=lambda row: row["messages"][0]["content"] if "messages" in row else row["text"])


def snapshot(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


# ------------------------------------------------------------------------------------------------------ formats


def node(number: str, parent: str | None, role: str, text: str, **more) -> dict:
    return {"message_id": number, "parent_id": parent, "message_tree_id": number[0], "role": role, "text": text, **more}


GOLDEN = {
    "alpaca": (
        [
            {"instruction": "Add.", "input": "1 and 2", "output": "3", "text": "Below is an instruction. Add."},
            {"instruction": "Say hi.", "input": "", "output": "Hi.", "text": "Below"},
        ],
        [chat("Add.\n\n1 and 2", "3"), chat("Say hi.", "Hi.")],
    ),
    "our own": (
        [{"system": "", "messages": chat("a", "b", "c", "d")["messages"]}, {"messages": chat("e", "f")["messages"]}],
        [chat("a", "b", "c", "d"), chat("e", "f")],
    ),
    "messages": (
        [
            {
                "prompt": "a",
                "prompt_id": "x",
                "messages": [{"role": "system", "content": "Rhyme."}, *chat("a", "b")["messages"]],
            },
            {"messages": chat(" c \n", "\td ")["messages"]},
        ],
        [chat("a", "b", system="Rhyme."), chat(" c \n", "\td ")],
    ),
    "sharegpt": (
        [
            {"id": "1", "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
            {
                "conversations": [
                    {"from": "system", "value": "Rhyme."},
                    {"from": "Human", "value": "c"},
                    {"from": "chatgpt", "value": "d"},
                ]
            },
            {"system": "Short.", "conversations": [{"from": "user", "value": "e"}, {"from": "bing", "value": "f"}]},
        ],
        [chat("a", "b"), chat("c", "d", system="Rhyme."), chat("e", "f", system="Short.")],
    ),
    "prompt and completion": (
        [{"prompt": "a", "completion": "b"}, {"prompt": "c", "completion": "d"}],
        [chat("a", "b"), chat("c", "d")],
    ),
    "question and answer": (
        [{"question": "a", "answer": "b"}, {"question": "c", "answer": "d"}],
        [chat("a", "b"), chat("c", "d")],
    ),
    "dolly": (
        [
            {"instruction": "a", "context": "b", "response": "c", "category": "open_qa"},
            {"instruction": "d", "context": None, "response": "e", "category": "open_qa"},
        ],
        [chat("a\n\nb", "c"), chat("d", "e")],
    ),
    "openorca": (
        [
            {"id": "1", "system_prompt": "Think.", "question": "a", "response": "b"},
            {"id": "2", "system_prompt": "", "question": "c", "response": "d"},
        ],
        [chat("a", "b", system="Think."), chat("c", "d")],
    ),
    "oasst": (
        [
            node("a", None, "prompter", "Why?"),
            node("a1", "a", "assistant", "Worse.", rank=1),
            node("a2", "a", "assistant", "Better.", rank=0),
            node("a3", "a", "assistant", "Gone.", rank=-1, deleted=True),
            node("a21", "a2", "prompter", "And?", rank=None),
            node("a211", "a21", "assistant", "So.", rank=0),
            node("a2111", "a211", "prompter", "Unanswered."),
            node("b", None, "prompter", "How?"),
            node("b1", "b", "assistant", "Thus."),
        ],
        [chat("Why?", "Better.", "And?", "So."), chat("How?", "Thus.")],
    ),
    "text": ([{"text": "One.", "url": "x"}, {"text": " Two\n"}], [{"text": "One."}, {"text": " Two\n"}]),
    "mixed kinds, filled with null": (
        [{"messages": None, "text": "One."}, {"messages": chat("a", "b")["messages"], "text": None}],
        [{"text": "One."}, chat("a", "b")],
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_formats_are_recognized(name, tmp_path):
    rows, expected = GOLDEN[name]
    manifest = prep("--dataset", write_jsonl(tmp_path / "x.jsonl", rows), "--out_dir", tmp_path / "out")
    assert by_first(rows_of(tmp_path / "out")) == by_first(expected)
    assert manifest["dropped"] == {}


def test_a_tree_that_bites_its_tail_ends():
    nodes = [node("d", None, "prompter", "a"), node("d", "d", "assistant", "b")]
    (item,) = prep_data.join_messages(("x", row) for row in nodes)
    assert [turn["content"] for turn in item[1]["messages"]] == ["a", "b"]


def test_columns_and_format_override(tmp_path, capsys):
    odd = [{"m": f"q{n}", "n": f"a{n}", "c": "hint" if n else "", "s": "Be."} for n in range(3)]
    file = write_jsonl(tmp_path / "odd.jsonl", odd)
    line = mistake(capsys, prep_data.main, ["--dataset", file, "--out_dir", tmp_path / "x", "--train_tokenizer", "260"])
    assert "m, n, c, s" in line
    assert "alpaca (instruction, input, output)" in line
    assert "--columns user=m,assistant=n," in line
    prep("--dataset", file, "--out_dir", tmp_path / "out", "--columns", "user=m,assistant=n,context=c,system=s")
    expected = [chat(f"q{n}" + ("\n\nhint" if n else ""), f"a{n}", system="Be.") for n in range(3)]
    assert by_first(rows_of(tmp_path / "out")) == expected
    prep("--dataset", file, "--out_dir", tmp_path / "text", "--columns", "text=m")
    assert by_first(rows_of(tmp_path / "text")) == [{"text": f"q{n}"} for n in range(3)]

    alpaca = write_jsonl(tmp_path / "alpaca.jsonl", GOLDEN["alpaca"][0])
    prep("--dataset", alpaca, "--out_dir", tmp_path / "as_text", "--format", "text")
    # each file has to be of a known shape, not only the first one
    assert "odd.jsonl:1: unknown columns" in mistake(
        capsys,
        prep_data.main,
        ["--dataset", tmp_path / "*.jsonl", "--out_dir", tmp_path / "y", "--train_tokenizer", "260"],
    )
    assert by_first(rows_of(tmp_path / "as_text")) == [{"text": "Below"}, {"text": "Below is an instruction. Add."}]


def test_system_prompt(tmp_path):
    file = write_jsonl(tmp_path / "x.jsonl", [{"question": "a", "answer": "b"}, {"question": "c", "answer": "d"}])
    for number, system in enumerate(("", 'Say "hi" \\ {{ x }} {% y %}\n<|user|> 🙂')):
        out = tmp_path / str(number)
        prep("--dataset", file, "--out_dir", out, "--system", system)
        assert {row["system"] for row in rows_of(out)} == {system}
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(out / "tokenizer")
        rendered = tokenizer.apply_chat_template([{"role": "user", "content": "a"}], tokenize=False)
        piece = "<|system|>" + system.replace("<|user|>", "<|user |>") if system else ""
        assert rendered == piece + "<|user|>a"
        assert prep_data_ids(tokenizer, chat("a", "b", system=system))[0] == tokenizer.encode(
            rendered + "<|assistant|>b<|endoftext|>"
        )


# ------------------------------------------------------------------------------------------------------ sources


def pairs(prefix: str, count: int) -> list[dict]:
    return [{"question": f"{prefix}{n}", "answer": f"answer {n}"} for n in range(count)]


def test_kinds_of_files(tmp_path):
    import pyarrow
    import pyarrow.parquet
    import zstandard

    text = "".join(json.dumps(row) + "\n" for row in pairs("q", 3))
    (tmp_path / "lines.json").write_text("\n" + text.replace("\n", "\r\n\n"), encoding="utf-8-sig")
    (tmp_path / "array.json").write_text(" " + json.dumps(pairs("q", 3), indent=1))
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "x.jsonl.zst").write_bytes(
        b"".join(zstandard.compress(line.encode()) for line in text.splitlines(True))
    )
    (tmp_path / "x.csv").write_text('question,answer\nq0,answer 0\n"q1",answer 1\nq2,"answer 2"\n')
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(pairs("q", 3)), tmp_path / "x.parquet")
    for file in sorted(tmp_path.iterdir()):
        manifest = prep("--dataset", file, "--out_dir", tmp_path / "out" / file.name)
        assert by_first(rows_of(tmp_path / "out" / file.name)) == [chat(f"q{n}", f"answer {n}") for n in range(3)]
        assert manifest["sources"][0]["train read"] == 3


def test_folders_globs_and_joining(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    write_jsonl(folder / "train-00000.jsonl", pairs("a", 4))
    write_jsonl(folder / "train-00001.jsonl", pairs("b", 4))
    write_jsonl(folder / "validation.jsonl", pairs("v", 2))
    write_jsonl(folder / "notes.jsonl", pairs("n", 2))
    prep("--dataset", folder, "--out_dir", folder / "out")  # its own output lies in the input's folder
    assert [row["messages"][0]["content"] for row in read_jsonl(folder / "out/train.jsonl")] == [
        f"{x}{n}" for x in "ab" for n in range(4)
    ]
    assert len(read_jsonl(folder / "out/val.jsonl")) == 2
    prep("--dataset", folder / "*-0000?.jsonl", "--dataset", folder / "notes.jsonl", "--out_dir", tmp_path / "glob")
    assert len(rows_of(tmp_path / "glob")) == 10
    prep("--dataset", folder / "out", "--out_dir", tmp_path / "again")  # what it wrote can be read
    (folder / "out/train.jsonl").rename(folder / "out/chats.jsonl")
    prep("--dataset", folder / "out", "--out_dir", tmp_path / "chats")  # and only that, not its tokens or manifest
    assert read_jsonl(tmp_path / "chats/train.jsonl") == read_jsonl(tmp_path / "again/train.jsonl")
    (folder / "out/chats.jsonl").rename(folder / "out/train.jsonl")
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (folder / "out" / name).read_bytes()


def test_weights_mix_rows(tmp_path):
    a, b = write_jsonl(tmp_path / "a.jsonl", pairs("a", 70)), write_jsonl(tmp_path / "b.jsonl", pairs("b", 900))
    common = ("--val_dataset", write_jsonl(tmp_path / "v.jsonl", pairs("v", 2)), "--out_dir")
    prep("--dataset", f"{a}:0.7", "--dataset", f"{b}:0.3", *common, tmp_path / "out")
    first = [row["messages"][0]["content"][0] for row in read_jsonl(tmp_path / "out/train.jsonl")]
    assert Counter(first)["a"] == 70
    assert abs(Counter(first)["b"] - 30) <= 1
    assert abs(Counter(first[:50])["a"] - 35) <= 1  # mixed from the start, not one after the other
    prep("--dataset", f"{a}:1", "--dataset", f"{b}:1", *common, tmp_path / "few", "--max_rows", "20")
    assert Counter(row["messages"][0]["content"][0] for row in read_jsonl(tmp_path / "few/train.jsonl")) == {
        "a": 10,
        "b": 10,
    }


def test_max_tokens(tmp_path):
    file = write_jsonl(tmp_path / "x.jsonl", pairs("q", 200))
    prep("--dataset", file, "--out_dir", tmp_path / "all")
    tokenizer = ("--tokenizer", tmp_path / "all/tokenizer")
    prep("--dataset", file, "--out_dir", tmp_path / "some", "--max_tokens", "1000", *tokenizer, tokens=None)
    lengths = [len(row["input_ids"]) for row in read_jsonl(tmp_path / "some/train_tokenized.jsonl")]
    assert sum(lengths[:-1]) < 1000 <= sum(lengths)


# ----------------------------------------------------------------------------------------------------- cleaning


def test_every_drop_is_counted_by_its_reason(tmp_path):
    good = [chat("What is it?", "A cat."), chat("What is it?", "A cat.", "And its name?", "Tom.")]
    turn = {"role": "user", "content": "x"}
    bad = [
        ("empty turn", chat("", "b")),
        ("empty turn", chat("a", " \n")),
        ("empty turn", {"instruction": "a", "input": "", "output": None, "text": "Below"}),
        ("turn is not text", {"messages": [turn, {"role": "assistant", "content": {}}]}),
        ("turn is not text", {"question": "a", "answer": [{"b": 1}]}),
        ("turns are not a list of messages", {"messages": "a"}),
        ("turns are not a list of messages", {"messages": [turn, "b"]}),
        ("unknown role", {"messages": [turn, {"role": "moon", "content": "b"}, {"role": "sun", "content": "c"}]}),
        ("needs tools", {"messages": [turn, {"role": "tool", "content": "b"}]}),
        ("wrong role order", {"messages": chat("a", "b")["messages"][::-1]}),
        ("no assistant turn", chat("a")),
        ("no assistant turn", {"messages": []}),
        ("broken encoding", chat("a \ud800", "b")),
        ("unknown columns", {"a": 1}),
        ("unknown columns", "a"),
        ("exact duplicate", good[0]),
        ("near duplicate", chat("what is  it", "A dog.")),
        ("near duplicate", chat("“WHAT is it?!”", "A dog.")),
        ("first answer ends beyond --seq_len", chat("Long?", "x" * 200)),
    ]
    more = [
        chat("2 + 2", "4"),
        chat("2 - 2", "0"),
        chat("What is C++?", "A language."),
        chat("What is C#?", "Another."),
    ]
    file = tmp_path / "x.jsonl"
    lines = [json.dumps(row) for row in [*good, *(row for _, row in bad), *more]]
    file.write_text("\n".join(lines[:5]) + "\n{\n" + "\n".join(lines[5:]) + "\n")
    out = tmp_path / "out"
    manifest = prep("--dataset", file, "--out_dir", out, "--skip_bad_lines", "--seq_len", "128")
    assert manifest["dropped"] == {**Counter(reason for reason, _ in bad), "malformed line": 1}
    assert by_first(rows_of(out)) == by_first(good + more)
    assert manifest["sources"][0]["train read"] == len(lines) + 1


def test_bytes_that_are_no_utf8_break_only_their_row(tmp_path):
    file = tmp_path / "x.jsonl"
    lines = [json.dumps(row).encode() for row in pairs("q", 4)]
    lines[1] = lines[1].replace(b"answer 1", b"\xff\xfe")
    file.write_bytes(b"\n".join(lines))
    assert prep("--dataset", file, "--out_dir", tmp_path / "out")["dropped"] == {"broken encoding": 1}
    assert by_first(rows_of(tmp_path / "out")) == [chat(f"q{n}", f"answer {n}") for n in (0, 2, 3)]


def test_validation_never_occurs_in_training(tmp_path):
    rows = [chat(f"Question {n}?", "a") for n in range(50)] + [
        chat("Question 1?", "a", f"More {n}?", "b") for n in range(9)
    ]
    val = [chat("QUESTION 7", "other"), chat("question 1!", "a", "more 3", "c"), chat("New?", "a")]
    files = write_jsonl(tmp_path / "x.jsonl", rows), write_jsonl(tmp_path / "v.jsonl", val)
    manifest = prep("--dataset", files[0], "--val_dataset", files[1], "--out_dir", tmp_path / "out")
    assert manifest["dropped"] == {"also in validation": 2}
    assert len(read_jsonl(tmp_path / "out/train.jsonl")) == 57
    assert read_jsonl(tmp_path / "out/val.jsonl") == val

    # a conversation that is cut until it equals one of validation
    long = [chat("New?", "a", "And more?", "x" * 200), chat("Other?", "a")]
    file = write_jsonl(tmp_path / "long.jsonl", long)
    manifest = prep("--dataset", file, "--val_dataset", files[1], "--out_dir", tmp_path / "long", "--seq_len", "128")
    assert manifest["dropped"] == {"also in validation": 1}

    # a part of the data itself: who shares the first turn shares the side
    prep("--dataset", files[0], "--out_dir", tmp_path / "part", "--val_fraction", "0.3")
    first = [{row["messages"][0]["content"] for row in read_jsonl(tmp_path / "part" / name)} for name in FILES[:2]]
    assert not first[0] & first[1]
    assert 8 <= len(first[1]) <= 24
    prep("--dataset", files[0], "--out_dir", tmp_path / "seed", "--val_fraction", "0.3", "--seed", "1")
    assert read_jsonl(tmp_path / "seed/val.jsonl") != read_jsonl(tmp_path / "part/val.jsonl")
    few = write_jsonl(tmp_path / "few.jsonl", pairs("q", 2))
    prep("--dataset", few, "--out_dir", tmp_path / "two")
    assert len(read_jsonl(tmp_path / "two/train.jsonl")) == len(read_jsonl(tmp_path / "two/val.jsonl")) == 1


def test_seen_is_a_set():
    seen, model, draw = prep_data.Seen(), set(), random.Random(0)
    for _ in range(60_000):
        number = draw.choice((draw.getrandbits(14), draw.getrandbits(64), 2**64 - 1))
        assert (number in seen) == (number in model)
        seen.add(number)
        model.add(number)
    assert len(seen.sorted) > 20_000  # so that both of its halves were asked


# ---------------------------------------------------------------------------------- the chat format and its tokens


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """As another tool reads it: AutoTokenizer on the folder."""
    from transformers import AutoTokenizer

    out = tmp_path_factory.mktemp("tokenizer") / "out"
    prep("--dataset", write_jsonl(out.parent / "x.jsonl", conversations()), "--out_dir", out, tokens=400)
    return AutoTokenizer.from_pretrained(out / "tokenizer")


@functools.lru_cache(8)  # making one takes longer than encoding a few rows
def encoder_of(tokenizer, seq_len: int, too_long: str) -> prep_data.Encoder:
    return prep_data.Encoder(tokenizer, SimpleNamespace(seq_len=seq_len, too_long=too_long, jsonl="all"))


def prep_data_ids(tokenizer, *rows: dict, seq_len: int = 10**6, too_long: str = "truncate") -> list:
    """What prep_data.py's encoding makes of rows: (ids, labels) of each, or all that it yields when shortened."""
    encoder = encoder_of(tokenizer, seq_len, too_long)
    lines, items = [json.dumps(row, ensure_ascii=False) for row in rows], []
    for line, found in zip(lines, encoder(lines)):
        kept = found if isinstance(found, list) else []
        items += [(json.loads(shorter or line), *json.loads(tokens[0]).values()) for shorter, tokens, _ in kept]
        items += [] if kept else [found]
    if seq_len < 10**6:
        return items
    return items[0][1:] if len(rows) == 1 else [item[1:] for item in items]


CONTROL = ["<|system|>", "<|user|>", "<|assistant|>", "<|endoftext|>"]
FRAGMENTS = [
    *CONTROL,
    "<|",
    "|>",
    "<",
    "|",
    ">",
    "user",
    "<|us",
    "er|>",
    "<|end",
    "oftext|>",
    " ",
    "\n",
    "a",
    "é",
    "🙂",
    "\0",
    "{{",
    "%}",
]
hostile = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=6)), max_size=8).map("".join)
content = st.one_of(hostile, st.text(max_size=30), st.sampled_from(CONTROL)).filter(lambda text: text.strip())
dialogs = st.lists(content, min_size=2, max_size=6).map(lambda turns: turns[: len(turns) // 2 * 2])


def neutral(text: str) -> str:
    for token in CONTROL:
        text = text.replace(token, token[:-2] + " |>")
    return text


@settings(max_examples=2000, deadline=None)
@given(turns=dialogs, system=st.one_of(st.just(""), content), of_four=st.integers(0, 3))
def test_no_content_becomes_a_control_token(tokenizer, turns, system, of_four):
    row, control = chat(*turns, system=system), tokenizer.convert_tokens_to_ids(CONTROL)
    ids, labels = prep_data_ids(tokenizer, row)

    # as many control tokens as the format has, in its order, and between them the content, given back letter by letter
    marks = ["<|user|>", "<|assistant|>", "<|endoftext|>"] * (len(turns) // 2)
    marks = ["<|system|>"] * bool(system) + marks
    assert [token for token in ids if token in control] == tokenizer.convert_tokens_to_ids(marks)
    pieces, contents = [[]], [*([system] if system else []), *turns]
    for token in ids:
        pieces.append([]) if token in control else pieces[-1].append(token)
    texts = [tokenizer.decode(piece) for piece in pieces]
    assert [text for text in texts if text] == [neutral(text) for text in contents]

    if of_four:  # which takes five times as long as ours
        return
    # the saved template says the same, in the words of another tool
    messages = [{"role": "system", "content": system}, *row["messages"]]
    theirs = tokenizer.apply_chat_template(messages, return_assistant_tokens_mask=True, return_dict=True)
    assert theirs["input_ids"] == ids
    assert [token if learned else -100 for token, learned in zip(ids, theirs["assistant_masks"])] == labels

    # and a prompt is the beginning of what training sees
    prompt = tokenizer.apply_chat_template(messages[:-1], add_generation_prompt=True, return_dict=True)["input_ids"]
    assert ids[: len(prompt)] == prompt
    assert labels[: len(prompt)].count(-100) + sum(len(p) + 1 for p in pieces_learned(labels[: len(prompt)])) == len(
        prompt
    )


def pieces_learned(labels: list[int]) -> list[list[int]]:
    """The runs of learned labels, without the token that closes each."""
    runs = [list(group) for learned, group in itertools.groupby(labels, key=lambda label: label != -100) if learned]
    return [run[:-1] for run in runs]


@settings(max_examples=500, deadline=None)
@given(text=content)
def test_no_text_becomes_a_control_token(tokenizer, text):
    ids, labels = prep_data_ids(tokenizer, {"text": text})
    assert labels == ids
    assert [token for token in ids if token in tokenizer.convert_tokens_to_ids(CONTROL)] == [tokenizer.eos_token_id]
    assert ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(ids[:-1]) == neutral(text)


def test_words_of_latin_text_are_those_of_the_tokenizer(tokenizer):
    """The fast path through a cache of words finds the ids that the tokenizer's own code finds."""
    encoder = prep_data.Encoder(tokenizer, SimpleNamespace(seq_len=1024, too_long="drop"))
    texts = ["".join(letters) for letters in itertools.product("aZ0 \n\t'sl!_\0\x0b\x1c<", repeat=4)]
    texts += [
        "".join(draw) for draw in itertools.product(("'ll", "'t", "  ", " \n ", "x", " x", "|>", "<|user|>"), repeat=4)
    ]
    draw = random.Random(0)
    letters = [chr(code) for code in range(0x2E00) if prep_data.LATIN.fullmatch(chr(code))]
    assert {"é", "×", "’", "°"} < set(letters)
    texts += ["".join(draw.choices(letters, k=40)) for _ in range(4000)]
    for text, theirs in zip(texts, tokenizer.backend_tokenizer.encode_batch(texts, add_special_tokens=False)):
        assert encoder.encode(text) == theirs.ids, text


def test_bundled_conversations_equal_the_template(tokenizer):
    rows = [row for name in ("train.jsonl", "val.jsonl") for row in read_jsonl(ROOT / "data/sample" / name)]
    assert len(rows) >= 1200
    chats = [[{"role": "system", "content": row.get("system", SYSTEM)}, *row["messages"]] for row in rows]
    ours = prep_data_ids(tokenizer, *({"system": SYSTEM, **row} for row in rows))
    theirs = tokenizer.apply_chat_template(chats, return_assistant_tokens_mask=True, return_dict=True)
    for (ids, labels), their_ids, mask in zip(ours, theirs["input_ids"], theirs["assistant_masks"]):
        assert ids == their_ids
        assert labels == [token if learned else -100 for token, learned in zip(ids, mask)]
    assert len(ours) == len(rows)


def test_template_takes_no_other_role(tokenizer):
    for role in ("tool", "endoftext", "user|>x<|assistant"):
        with pytest.raises(Exception, match="roles are system, user and assistant"):
            tokenizer.apply_chat_template([{"role": role, "content": "x"}], tokenize=False)


def test_too_long_keeps_complete_turns(tokenizer):
    row = chat("a" * 10, "b" * 10, "c" * 10, "d" * 10, "e" * 10, "f" * 10, system="")
    ids, labels = prep_data_ids(tokenizer, row)
    ends = [place + 1 for place, token in enumerate(ids) if token == tokenizer.eos_token_id]
    for seq_len in range(8, len(ids) + 1):
        turns = sum(end <= seq_len for end in ends)
        result = prep_data_ids(tokenizer, row, seq_len=seq_len)
        if turns:
            kept = {**row, "messages": row["messages"][: 2 * turns]}
            assert result == [(kept, ids[: ends[turns - 1]], labels[: ends[turns - 1]])]
            assert result[0][2][-1] == tokenizer.eos_token_id
        else:
            assert result == ["first answer ends beyond --seq_len"]
    assert prep_data_ids(tokenizer, row, seq_len=len(ids) - 1, too_long="drop") == ["too long"]


def test_long_text_is_cut_between_words(tokenizer):
    draw = random.Random(0)
    text = "".join(
        draw.choice(("word", " of", "  two", "\n\n", " été", " 東京", "!", " 42", "<|user|>")) for _ in range(400)
    )
    whole, _ = prep_data_ids(tokenizer, {"text": text})
    result = prep_data_ids(tokenizer, {"text": text}, seq_len=50)
    assert [token for _, ids, _ in result for token in ids] == whole
    assert "".join(row["text"] for row, _, _ in result) == neutral(text)
    assert max(len(ids) for _, ids, _ in result) <= 50
    for row, ids, labels in result:
        assert labels == ids
        assert tokenizer.encode(row["text"]) == [token for token in ids if token != tokenizer.eos_token_id]
    assert prep_data_ids(tokenizer, {"text": "x" * 3000}, seq_len=50) == ["word longer than --seq_len"]


def test_tokenizer_is_what_was_asked_for(tmp_path):
    from transformers import AutoTokenizer

    rows = [chat(f"the zebra {n}", "runs far") for n in range(30)]
    files = write_jsonl(tmp_path / "x.jsonl", rows), write_jsonl(tmp_path / "v.jsonl", [chat("quagga " * 300, "b")])
    prep(
        "--dataset", files[0], "--val_dataset", files[1], "--out_dir", tmp_path / "out", "--seq_len", "4096", tokens=280
    )
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out/tokenizer")
    assert len(tokenizer) == 280
    config = json.loads((tmp_path / "out/tokenizer/tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"  # which 4.x and 5.x read, and leave as it is
    assert "token_type_ids" not in tokenizer("zebra")
    assert tokenizer.eos_token == tokenizer.pad_token == tokenizer.bos_token == "<|endoftext|>"
    assert [tokenizer.convert_tokens_to_ids(token) for token in CONTROL[:3]] == [277, 278, 279]
    assert len(tokenizer.encode(" zebra")) < len(tokenizer.encode(" quagga"))  # validation is not trained on
    prep("--dataset", files[0], "--out_dir", tmp_path / "same", "--tokenizer", tmp_path / "out/tokenizer", tokens=None)
    assert AutoTokenizer.from_pretrained(tmp_path / "same/tokenizer").get_vocab() == tokenizer.get_vocab()


# ----------------------------------------------------------------------------- the folder it writes, whatever happens


def test_manifest_and_card_are_true(tmp_path, capsys):
    out = tmp_path / "out"
    file = write_jsonl(tmp_path / "x.jsonl", [*conversations(), chat("long", "x" * 90, "long", "x" * 90)])
    manifest = prep("--dataset", file, "--out_dir", out, "--seq_len", "128")
    printed = capsys.readouterr().out
    assert manifest["card"] in printed
    assert printed.splitlines()[-1].startswith("Next: python train.py --data_dir ")
    assert "\033" not in printed  # no colors in a pipe
    assert manifest["complete"] is True
    for name, value in manifest["sha256"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == value
    assert set(FILES) < set(manifest["sha256"])
    for part in ("train", "val"):
        rows, tokenized = read_jsonl(out / f"{part}.jsonl"), read_jsonl(out / f"{part}_tokenized.jsonl")
        assert len(rows) == len(tokenized) == manifest[part]["rows"]
        assert manifest[part]["turns"] == sum(len(row["messages"]) // 2 for row in rows)
        assert manifest[part]["tokens"] == sum(len(row["input_ids"]) for row in tokenized)
        assert manifest[part]["supervised"] == sum(label != -100 for row in tokenized for label in row["labels"])
    assert manifest["train"]["truncated"] + manifest["val"]["truncated"] == 1
    assert manifest["dropped"] == {"exact duplicate": 10}  # cut to their first turn, which is a row already
    lengths = sorted(len(row["input_ids"]) for row in read_jsonl(out / "train_tokenized.jsonl"))
    assert f"50 % have up to {lengths[(len(lengths) + 1) // 2 - 1]}," in manifest["card"]
    assert f"100 % have up to {lengths[-1]}" in manifest["card"]
    assert "of 32" in manifest["card"]
    bars = [line for line in manifest["card"].splitlines() if "#" in line]
    assert sum(int(line.split()[3].replace(",", "")) for line in bars) == len(lengths)


def test_example_is_colored_on_a_terminal(tokenizer, monkeypatch):
    ids, labels = prep_data_ids(tokenizer, chat("q\033[2J", "answer", system=""))
    start, ids_as_bytes = labels.count(-100), prep_data.np.array(ids, prep_data.id_type(tokenizer)).tobytes()
    tokens = prep_data.Tokens("", ids_as_bytes, [start, len(ids)])
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert prep_data.show(tokens, tokenizer) == "<|user|>q\ufffd[2J<|assistant|>\033[32manswer<|endoftext|>\033[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert prep_data.show(tokens, tokenizer) == "<|user|>q\ufffd[2J<|assistant|>answer<|endoftext|>"


def test_same_bytes_whatever_num_proc_is(tmp_path):
    """And prep_data.py does without torch."""
    file = write_jsonl(tmp_path / "x.jsonl", [chat(f"Q {n} é", f"A {n * n} 🙂" * 5) for n in range(1500)])
    code = "import sys, prep_data; prep_data.main(sys.argv[1:])"
    if not version("transformers").startswith("4."):  # which loads it with anything of its own
        code += "; assert 'torch' not in sys.modules"
    for number, parallel in (("1", "false"), ("2", "true")):
        command = ["-c", code, "--dataset", file, "--out_dir", tmp_path / number / "out", "--num_proc", number]
        environment = {"PATH": "", "PYTHONHASHSEED": number, "TOKENIZERS_PARALLELISM": parallel}
        result = run_script(*command, "--train_tokenizer", "600", env=environment)
        assert result.returncode == 0, result.stderr
    assert snapshot(tmp_path / "1/out") == snapshot(tmp_path / "2/out")


def test_what_is_complete_is_not_built_again(tmp_path, capsys):
    file, out = write_jsonl(tmp_path / "x.jsonl", pairs("q", 9)), tmp_path / "out"
    common = ["--dataset", file, "--out_dir", out, "--train_tokenizer", 260]

    def builds(*more: str) -> bool:
        capsys.readouterr()
        call(prep_data.main, *common, *more)
        assert not (out / "prep.tmp").exists()
        return "complete already" not in capsys.readouterr().out

    assert builds()
    before = snapshot(out)
    assert not builds()
    assert builds("--overwrite")
    assert snapshot(out) == before
    (out / "val.jsonl").write_text("damaged")
    assert builds()
    assert snapshot(out) == before
    (out / "train.jsonl").unlink()
    assert builds()
    assert builds("--seed", "5")
    write_jsonl(file, pairs("q", 10))
    assert builds("--seed", "5")

    # what is not ours stays
    (out / "manifest.json").unlink()
    line = mistake(capsys, prep_data.main, common)
    assert "--overwrite" in line
    assert builds("--overwrite")
    (out / "manifest.json").write_text('{"name": "of another program"}')
    assert "--overwrite" in mistake(capsys, prep_data.main, common)
    assert (out / "manifest.json").read_text() == '{"name": "of another program"}'


def test_killed_at_any_time(tmp_path):
    """SIGKILL leaves under a final name nothing, or what an undisturbed run writes; the same command then ends well."""
    file, out = write_jsonl(tmp_path / "x.jsonl", [chat(f"Q {n}", "A " * 150) for n in range(2000)]), tmp_path / "out"
    command = ["prep_data.py", "--dataset", file, "--train_tokenizer", 300, "--out_dir"]
    start = time.monotonic()
    run_script(*command, tmp_path / "whole", check=True)
    seconds, whole = time.monotonic() - start, snapshot(tmp_path / "whole")
    for share in (0.3, 0.6, 0.8, 0.9, 0.97):
        process = start_script(*command, out, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(share * seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if out.exists():
            left = {name: data for name, data in snapshot(out).items() if not name.startswith(("prep.tmp", ".writer"))}
            assert left.items() <= whole.items()
            assert "manifest.json" not in left or left == whole
    run_script(*command, out, check=True)
    assert snapshot(out) == whole


SLOW_TO_START = """
import os, signal, sys, time, prep_data
signal.signal(signal.SIGTERM, lambda *_: None)  # as a program may that calls main
start = prep_data.Encoder.__init__
def slow(*arguments):
    try:
        os.mkdir(sys.argv[1])
    except FileExistsError:  # the second process: all is done when it is ready
        time.sleep(3)
    start(*arguments)
prep_data.Encoder.__init__ = slow
prep_data.main(sys.argv[2:])
"""


def test_a_process_that_is_ended_before_it_is_ready_ends(tmp_path):
    """A handler that it has from the program that calls main would swallow the signal, and the pool wait for ever."""
    file = write_jsonl(tmp_path / "x.jsonl", conversations())
    flags = ["--dataset", file, "--out_dir", tmp_path / "out", "--train_tokenizer", 300, "--num_proc", 2]
    run_script("-c", SLOW_TO_START, tmp_path / "first", *flags, check=True, timeout=120)


@pytest.mark.parametrize("stop", range(6))
def test_killed_between_two_renames(tmp_path, monkeypatch, stop):
    file, out = write_jsonl(tmp_path / "x.jsonl", pairs("q", 9)), tmp_path / "out"
    prep("--dataset", file, "--out_dir", out, "--seed", "1")
    renames, replace = itertools.count(), prep_data.os.replace

    def killed(*paths):
        if next(renames) == stop:
            raise RuntimeError("killed")
        replace(*paths)

    monkeypatch.setattr(prep_data.os, "replace", killed)
    with pytest.raises(RuntimeError, match="killed"):
        prep("--dataset", file, "--out_dir", out)
    assert not (out / "manifest.json").exists()  # so that nobody trains on a mixture
    monkeypatch.undo()
    prep("--dataset", file, "--out_dir", out)
    assert not (out / "prep.tmp").exists()
    prep("--dataset", file, "--out_dir", tmp_path / "whole")
    assert snapshot(out) == snapshot(tmp_path / "whole")


# ---------------------------------------------------------------------------------------------------- bad input


def test_mistakes_end_in_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good = write_jsonl(tmp_path / "good.jsonl", pairs("q", 5))
    (tmp_path / "bad.jsonl").write_text('{"question": "a", "answer": "b"}\n{"question": "a", \n')
    (tmp_path / "bad_array.json").write_text('[{"question": "a", "answer": "b"}, {"question": ]')
    (tmp_path / "bad.csv").write_text('question,answer\na,b\n"c"d,e\n')
    (tmp_path / "short.csv").write_text("question,answer\na,b\nc\n")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 but not really")
    (tmp_path / "bad.jsonl.gz").write_bytes(gzip.compress(b'{"question": "a"}\n' * 99)[:-9])
    (tmp_path / "bad.jsonl.zst").write_bytes(b"no zstandard")
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "blank.json").write_text("\n \n")
    (tmp_path / "file.txt").write_text("x")
    (tmp_path / "file.md").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "wrong").mkdir()
    (tmp_path / "wrong/tokenizer.json").write_text("{}")
    write_jsonl(tmp_path / "deep.jsonl", pairs("q", 2)).open("a").write("[" * 100_000 + "\n")
    write_jsonl(tmp_path / "no_answers.jsonl", [chat("a"), chat("b")])
    write_jsonl(tmp_path / "one.jsonl", pairs("q", 1))
    for arguments, says in (
        ([], "--dataset"),
        (["--dataset", "good.jsonl", "--no_such_flag"], "--no_such_flag"),
        (["--dataset", "nowhere.jsonl"], "nowhere.jsonl"),
        (["--dataset", "no/where/at/all"], "no/where/at/all"),
        (["--dataset", "*.nothing"], "*.nothing"),
        (["--dataset", "file.txt"], "nothing to learn is left in val"),
        (["--dataset", "file.md"], "give its name the ending"),
        (["--dataset", "empty"], ".jsonl"),
        (["--dataset", "bad.jsonl"], "bad.jsonl:2: not JSON"),
        (["--dataset", "bad_array.json"], "bad_array.json: cannot be read: line 1: not JSON"),
        (["--dataset", "bad.csv"], "bad.csv: cannot be read"),
        (["--dataset", "short.csv"], "short.csv:3: another number of columns"),
        (["--dataset", "bad.parquet"], "bad.parquet: cannot be read"),
        (["--dataset", "bad.jsonl.gz"], "bad.jsonl.gz"),
        (["--dataset", "bad.jsonl.zst"], "bad.jsonl.zst:1: not JSON"),
        (["--dataset", "deep.jsonl"], "deep.jsonl:3: not JSON"),
        (["--dataset", "empty.jsonl"], "empty.jsonl: holds no rows"),
        (["--dataset", "blank.json"], "blank.json: holds no rows"),
        (["--dataset", "no_answers.jsonl"], "2 no assistant turn"),
        (["--dataset", "one.jsonl"], "nothing to learn is left in val"),
        (["--dataset", "good.jsonl", "--format", "alpaca"], "unknown columns"),
        (["--dataset", "good.jsonl", "--format", "odd"], "--format"),
        (["--dataset", "good.jsonl", "--columns", "user=question"], "--columns"),
        (["--dataset", "good.jsonl", "--columns", "question"], "--columns"),
        (["--dataset", "good.jsonl", "--columns", "user=x,assistant=y"], "columns question, answer"),
        (["--dataset", "good.jsonl", "--val_fraction", "1.5"], "--val_fraction"),
        (["--dataset", "good.jsonl", "--seq_len", "0"], "seq_len is a whole number from 8"),
        (["--dataset", "good.jsonl", "--seq_len", "8"], "5 first answer ends beyond --seq_len"),
        (["--dataset", "good.jsonl", "--seq_len", "x"], "--seq_len"),
        (["--dataset", "good.jsonl", "--too_long", "cut"], "--too_long"),
        (["--dataset", "good.jsonl", "--max_rows", "0"], "--max_rows"),
        (["--dataset", "good.jsonl", "--max_tokens", "100"], "--max_tokens"),
        (["--dataset", "good.jsonl", "--num_proc", "0"], "--num_proc"),
        (["--dataset", "good.jsonl", "--streaming"], "--max_rows"),
        (["--dataset", "good.jsonl", "--train_tokenizer", "100"], "train_tokenizer is a whole number from 260"),
        (["--dataset", "good.jsonl", "--train_tokenizer", "5000"], "tokens; use --train_tokenizer"),
        (["--dataset", "good.jsonl", "--val_dataset", "nowhere.jsonl"], "nowhere.jsonl"),
        (["--dataset", "good.jsonl", "--out_dir", "good.jsonl/x"], "good.jsonl/x: Not a directory; choose a folder"),
        (["--dataset", "good.jsonl", "--tokenizer", "wrong", "--train_tokenizer", "0"], "--train_tokenizer"),
        (["--dataset", "good.jsonl:0"], "good.jsonl:0"),
    ):
        default = [] if "--train_tokenizer" in arguments else ["--train_tokenizer", "260"]
        default += [] if "--out_dir" in arguments else ["--out_dir", "out"]
        assert says in mistake(capsys, prep_data.main, [*arguments, *default]), arguments
        assert not (tmp_path / "out/prep.tmp").exists()
        assert not list(tmp_path.glob("out/*.jsonl"))
    assert "wrong" in mistake(capsys, prep_data.main, ["--dataset", good, "--tokenizer", "wrong"])
    assert good.read_text() == "".join(json.dumps(row) + "\n" for row in pairs("q", 5))


def test_input_is_never_overwritten(tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    file = write_jsonl(out / "train.jsonl", pairs("q", 9))
    before = file.read_bytes()
    assert "read and written" in mistake(capsys, prep_data.main, ["--dataset", file, "--out_dir", out])
    assert "read and written" in mistake(capsys, prep_data.main, ["--dataset", out, "--out_dir", out, "--overwrite"])
    other = write_jsonl(tmp_path / "x.jsonl", pairs("q", 9))
    assert "not of prep_data.py's making" in mistake(capsys, prep_data.main, ["--dataset", other, "--out_dir", out])
    assert file.read_bytes() == before


VALUES = [
    None,
    5,
    1e308,
    -0.0,
    True,
    [],
    {},
    "",
    " ",
    "\ud800",
    "\0",
    [[]],
    {"a": 1},
    [{"role": "user"}],
    10**400,
    "<|user|>",
]


def corrupt(draw: random.Random, lines: list[bytes]) -> tuple[list[bytes], set[int]]:
    """A good file with one thing wrong, and the numbers of the lines that it touches."""
    lines, at = list(lines), draw.randrange(len(lines))
    line, kind = lines[at], draw.randrange(8)
    place = draw.randrange(len(line))
    touched = {at}
    if kind == 0:  # a flipped bit
        lines[at] = line[:place] + bytes([line[place] ^ 1 << draw.randrange(8)]) + line[place + 1 :]
    elif kind == 1:  # a cut line
        lines[at] = line[:place]
    elif kind == 2:  # the file ends here
        lines[at:] = [line[:place]]
        touched = set(range(at, 99))
    elif kind == 3:  # bytes from elsewhere
        junk = draw.choice(
            (b"\0", b"\xff", b"\xed\xa0\x80", b"\\ud800", b"\n", b"\r", b'"', b"\\", b"[" * 5000, b"9" * 5000)
        )
        lines[at] = line[:place] + junk + line[place:]
    elif kind == 4:  # lost in the middle
        lines[at] = line[:place] + line[place + draw.randrange(1, 9) :]
    elif kind == 5 and at + 1 < len(lines):  # two lines run together
        lines[at : at + 2] = [line + lines[at + 1]]
        touched = {at, at + 1}
    else:  # a value of another type, at any depth
        row = json.loads(line)
        target = draw.choice([row, *(turn for turn in row.get("messages", []))])
        key = draw.choice(list(target))
        if draw.random() < 0.8:
            target[key] = draw.choice(VALUES)
        else:
            target[draw.choice(VALUES[6:8]) or "odd" if isinstance(target, list) else "odd"] = target.pop(key)
        lines[at] = json.dumps(row).encode()
    return lines, touched


def test_ten_thousand_corruptions(tmp_path, tokenizer, capsys):
    """Each is counted as a dropped row or refused in one line; the good rows come out as they went in."""
    draw, file = random.Random(0), tmp_path / "x.jsonl"
    rows = [chat(f"Who is {n}?", f"It is {n}, été 🙂.", "Sure?", "Yes.") for n in range(3)]
    rows += [{"instruction": f"Do {n}", "input": "so", "output": "done"} for n in range(2)] + [
        {"text": f"Text {n}."} for n in range(2)
    ]
    lines = [json.dumps(row, ensure_ascii=False).encode() for row in rows]
    args = SimpleNamespace(formats=prep_data.FORMATS, system=SYSTEM, duplicates="drop", marked="drop")
    args.format = args.columns = None
    finder = prep_data.Finder(args, prep_data.Tally(), rows)
    expected = [json.dumps(prep_data.convert(row, finder), ensure_ascii=False) for row in rows]
    refused, dropped_in_all, survivors = 0, Counter(), set()
    for number in range(10_000):
        bad, touched = corrupt(draw, lines)
        file.write_bytes(b"\n".join(bad) + b"\n")
        args.skip_bad_lines = number % 2 == 0
        source, tally = prep_data.find_source(str(file)), prep_data.Tally()
        kept = []
        try:
            for _, line in prep_data.clean(source, "train", prep_data.Seen(), tally, args):
                kept.append(line)
        except SystemExit as ended:
            error = capsys.readouterr().err.splitlines()
            assert ended.code == 2
            assert len(error) == 1
            assert error[0].startswith(f"prep_data.py: error: {file}:")
            refused += 1
            continue
        good = [line for at, line in enumerate(expected) if at not in touched]
        assert [line for line in kept if line in good] == good, bad
        assert source.rows["train read"] == len(kept) + sum(tally.dropped.values())
        dropped_in_all += tally.dropped
        survivors |= set(kept)
    assert 1000 < refused < 5000
    assert len(dropped_in_all) >= 8, dropped_in_all
    encoded = prep_data_ids(tokenizer, *map(json.loads, sorted(survivors)))  # no survivor hurts what comes next
    assert len(encoded) == len(survivors)


def test_corruptions_from_the_command_line(tmp_path, capsys):
    draw, file = random.Random(1), tmp_path / "x.jsonl"
    lines = [json.dumps(chat(f"Who is {n}?", f"It is {n}.")).encode() for n in range(6)]
    for number in range(60):
        bad, _ = corrupt(draw, lines)
        file.write_bytes(b"\n".join(bad) + b"\n")
        try:
            prep("--dataset", file, "--out_dir", tmp_path / str(number))
        except SystemExit as ended:
            assert ended.code == 2
            assert len(capsys.readouterr().err.splitlines()) == 1
        else:
            assert len(rows_of(tmp_path / str(number))) >= 1


def test_interrupt_leaves_nothing(tmp_path):
    file = write_jsonl(tmp_path / "x.jsonl", [chat(f"Q {n}", "A " * 200) for n in range(20_000)])
    process = start_script("prep_data.py", "--dataset", file, "--train_tokenizer", 300, "--out_dir", tmp_path / "out")
    while not (tmp_path / "out/prep.tmp/rows").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=HANG_S)
    assert process.returncode == 130
    assert "Traceback" not in error
    assert error.strip().startswith("prep_data.py: stopped")
    assert not (tmp_path / "out").exists()
