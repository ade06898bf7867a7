#!/usr/bin/env python3
"""How fast prep_data.py is, and how much memory it takes, against the limit and against the usual ways.

The text is made up on the spot: Alpaca's columns, a vocabulary of invented words drawn with Zipf's law; or, with --like,
the sentences of a few real Alpaca rows, shuffled. Compared are
    prep   the whole command, from the .jsonl to the finished folder, start-up and all
    (a)    raw: the tokenizer's Rust `encode_batch` of the same rendered text, nothing else: the limit
    (b)    one `apply_chat_template(..., return_assistant_tokens_mask=True)` call a row
    (c)    TRL's SFTTrainer preparing the same conversations (`pip install trl`; left out when it is missing)
in turn, --rounds times; the table has the medians. Then the peak memory of prep with 52,000 and with 520,000 rows.
With --against COMMIT instead: the whole command of that commit beside that of the working tree, in turn: the seconds of
all its processes, and the peak memory of all of them together.

    python tests/benchmarks/bench_prep.py --out tests/benchmarks/results/prep.md
    python tests/benchmarks/bench_prep.py --like alpaca.parquet --tokenizer gpt2
    python tests/benchmarks/bench_prep.py --against 7e3d501 --out tests/benchmarks/results/prep_before.md

Takes about 6 minutes on two cores.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import itertools
import json
import os
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import report

ROOT = report.ROOT
SCRIPT = ROOT / "prep_data.py"
BARS = "at most 2.0 x (a) + 6 s, at least 3 x faster than (b); 520,000 rows at most 1.25 x the memory of 52,000, below 1.5 GB"


def make_rows(path: Path, count: int, seed: int = 0) -> None:
    """Writes Alpaca-shaped rows of some 120 tokens, no two of them the same."""
    draw = random.Random(seed)
    parts = [c + v for c in (*"bcdfglmnprstv", "st", "tr") for v in (*"aeiou", "ai", "ou")]
    words = sorted({"".join(draw.choices(parts, k=draw.choice((1, 2, 2, 3, 3, 4)))) for _ in range(20_000)})
    draw.shuffle(words)
    weights, total = [], 0.0
    for rank in range(1, len(words) + 1):
        total += 1 / rank
        weights.append(total)

    def sentence(length: int) -> str:
        text = draw.choices(words, cum_weights=weights, k=max(3, length))
        return " ".join(text).capitalize() + draw.choice(".....?!")

    with open(path, "w", encoding="utf-8") as file:
        for _ in range(count):
            row = {
                "instruction": sentence(round(draw.gauss(13, 4))),
                "input": sentence(round(draw.gauss(18, 6))) if draw.random() < 0.4 else "",
                "output": " ".join(sentence(round(draw.gauss(13, 5))) for _ in range(draw.choice((1, 2, 3, 4, 5, 7)))),
            }
            file.write(json.dumps({**row, "text": "Below is an instruction. " + row["instruction"]}) + "\n")


def shuffle_rows(like: Path, path: Path, count: int, seed: int = 0) -> None:
    """Writes `count` rows of Alpaca's columns, each of sentences drawn from the rows of the Parquet file `like`."""
    from pyarrow.parquet import read_table

    rows, draw = read_table(like).to_pylist(), random.Random(seed)
    sentences = {part: [re.findall(r".+?(?:[.!?]\s+|$)", row[part], re.S) for row in rows] for part in rows[0]}
    every = {part: list(itertools.chain(*found)) for part, found in sentences.items()}
    with open(path, "w", encoding="utf-8") as file:
        for _ in range(count):
            length = len(draw.choice(sentences["output"]))
            row = {
                "instruction": "".join(draw.choices(every["instruction"], k=2)),
                "input": draw.choice(rows)["input"],
                "output": "".join(draw.choices(every["output"], k=max(1, length))),
            }
            file.write(json.dumps(row) + "\n")


def memory(pid: int) -> float:
    """MB of a process and its children, what they share counted once (Linux; 0 elsewhere)."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, ValueError):
        return 0.0
    pss = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return pss / 1024 + sum(memory(int(child)) for child in children)


def run(command: list[str], watch: bool = False) -> tuple[float, float]:
    """(seconds, peak MB) of a command; memory is looked at only when asked to, for looking takes time."""
    start, peak = time.perf_counter(), 0.0
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    while watch and process.poll() is None:
        peak = max(peak, memory(process.pid))
        time.sleep(0.1)
    if process.wait():
        raise SystemExit(f"failed: {' '.join(command)}")
    return time.perf_counter() - start, peak


def prep(rows: Path, out: Path, tokenizer: str, watch: bool = False, script: Path = SCRIPT) -> tuple[float, float]:
    common = ["--out_dir", str(out), "--overwrite", "--seq_len", "1024"]
    return run([sys.executable, str(script), "--dataset", str(rows), "--tokenizer", tokenizer, *common], watch)


def conversations(out: Path) -> list[list[dict]]:
    with open(out / "train.jsonl", encoding="utf-8") as file:
        rows = map(json.loads, file)
        return [[{"role": "system", "content": row["system"]}, *row["messages"]] for row in rows]


def child(kind: str, out: Path) -> None:
    """The other ways, each in a process of its own; prints the seconds without imports and loading."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(out / "tokenizer")
    chats = conversations(out)
    if kind == "a":
        texts = tokenizer.apply_chat_template(chats, tokenize=False)
        start = time.perf_counter()
        encodings = tokenizer.backend_tokenizer.encode_batch(texts, add_special_tokens=False)
        seconds = time.perf_counter() - start
        assert len(encodings) == len(chats)
    elif kind == "b":
        start = time.perf_counter()
        for chat in chats:
            tokenizer.apply_chat_template(chat, return_assistant_tokens_mask=True, return_dict=True)
        seconds = time.perf_counter() - start
    else:
        import datasets
        from transformers import GPT2Config, GPT2LMHeadModel
        from trl import SFTConfig, SFTTrainer

        model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=8, n_head=1, vocab_size=len(tokenizer)))
        data = datasets.Dataset.from_dict({"messages": chats})
        config = SFTConfig(
            str(out / "trl"), assistant_only_loss=True, max_length=1024, report_to=[], use_cpu=True, bf16=False
        )
        start = time.perf_counter()
        SFTTrainer(model, config, train_dataset=data, processing_class=tokenizer)
        seconds = time.perf_counter() - start
    print(json.dumps(seconds))


def other(kind: str, out: Path) -> float:
    command = [sys.executable, __file__, "--child", kind, "--child_dir", str(out)]
    environment = {**os.environ, "HF_DATASETS_CACHE": str(out / f"cache-{time.time_ns()}")}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f"({kind}) failed: {result.stderr.strip().splitlines()[-1]}")
    return float(result.stdout.splitlines()[-1])


def against(commit: str, rows: Path, tokenizer: str, folder: Path, rounds: int) -> list[str]:
    """The lines of a comparison of the whole command with that of an earlier commit, run in turn."""
    before = folder / "before.py"
    before.write_bytes(subprocess.check_output(["git", "show", f"{commit}:prep_data.py"], cwd=ROOT))
    found: dict[Path, list[tuple]] = {before: [], SCRIPT: []}
    for number in range(rounds):
        for script, figures in found.items():
            begun = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds, peak = prep(rows, folder / "out", tokenizer, True, script)
            ended = resource.getrusage(resource.RUSAGE_CHILDREN)
            used = ended.ru_utime + ended.ru_stime - begun.ru_utime - begun.ru_stime
            figures.append((used, seconds, peak))
            print(
                f"round {number + 1}: {script.name} {used:.1f} s of CPU, {seconds:.1f} s, {peak:.1f} MB",
                file=sys.stderr,
            )
    lines = ["", f"| medians of {rounds} rounds | {commit} | now | |", "|---|---:|---:|---:|"]
    names = ("seconds of CPU, all processes", "seconds", "peak MB, all processes")
    for name, *columns in zip(names, *(zip(*figures) for figures in found.values())):
        then, now = map(statistics.median, columns)
        lines.append(f"| {name} | {then:.1f} | {now:.1f} | {now / then - 1:+.1%} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=52_000, help="rows of the time comparison (default: 52000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each way runs, in turn (default: 3)")
    parser.add_argument("--tokenizer", help="hub id or folder (default: a BPE of 8,192 tokens trained on the text)")
    parser.add_argument("--like", type=Path, metavar="PARQUET", help="real rows to shuffle, instead of invented words")
    parser.add_argument("--against", metavar="COMMIT", help="compare with prep_data.py of a commit, and nothing else")
    parser.add_argument("--no_memory", action="store_true", help="leave out the run with ten times the rows")
    parser.add_argument("--out", type=Path, help="also write the result to this file")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--child_dir", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(args.child, args.child_dir)

    with tempfile.TemporaryDirectory() as folder:
        rows, many, out = Path(folder) / "rows.jsonl", Path(folder) / "many.jsonl", Path(folder) / "out"
        make = functools.partial(shuffle_rows, args.like) if args.like else make_rows
        make(rows, args.rows)
        tokenizer = args.tokenizer
        if tokenizer is None:
            few, trained = Path(folder) / "few.jsonl", Path(folder) / "trained"
            make(few, 5_000, seed=1)
            script = [sys.executable, str(ROOT / "prep_data.py"), "--dataset", str(few), "--out_dir", str(trained)]
            run([*script, "--train_tokenizer", "8192"])
            tokenizer = str(trained / "tokenizer")
        if args.against:
            lines = [
                f"`python tests/benchmarks/bench_prep.py --against {args.against} --rounds {args.rounds}`: "
                + report.stamp("tokenizers", "transformers"),
                f"{args.rows:,} made-up rows. Looking at the memory, ten times a second, takes time too.",
                *against(args.against, rows, tokenizer, Path(folder), args.rounds),
            ]
            print("\n".join(lines))
            return report.write(args.out, "prep_data.py beside an earlier commit", lines) if args.out else None
        ways = {
            "prep": lambda: prep(rows, out, tokenizer)[0],
            "a": lambda: other("a", out),
            "b": lambda: other("b", out),
        }
        if importlib.util.find_spec("trl"):
            ways["c"] = lambda: other("c", out)
        else:
            print("trl is not installed: (c) is left out", file=sys.stderr)
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(args.rounds):
            for name, way in ways.items():
                seconds[name].append(way())
                print(f"round {number + 1}: {name} {seconds[name][-1]:.1f} s", file=sys.stderr)
        card = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
        median = {name: statistics.median(values) for name, values in seconds.items()}
        names = {
            "prep": "the whole command",
            "a": "(a) raw `encode_batch`",
            "b": "(b) one template call a row",
            "c": "(c) TRL",
        }
        lines = [
            f"`python tests/benchmarks/bench_prep.py --rows {args.rows} --rounds {args.rounds}`: "
            + report.stamp("tokenizers", "transformers", "trl"),
            f"Tokenizer: {args.tokenizer or 'a BPE of 8,192 tokens trained on the text'}. {args.rows:,} {'rows of shuffled sentences' if args.like else 'made-up rows'}, {card['train']['tokens'] / card['train']['rows']:.0f} tokens on average.",
            f"Bars: {BARS}. (b) takes {median['b'] / median['a']:.1f} times as long as (a), which no tokenizing beats by much.",
            "",
            "| | seconds (median) | of all rounds |",
            "|---|---:|---|",
            *(
                f"| {names[name]} | {median[name]:.1f} | {', '.join(f'{s:.1f}' for s in seconds[name])} |"
                for name in ways
            ),
            "",
            f"The command takes {median['prep']:.1f} s; the bar is {2 * median['a'] + 6:.1f} s. "
            f"It is {median['b'] / median['prep']:.1f} times faster than (b)"
            + (
                f", and {median['c'] / median['prep']:.1f} times faster than (c)."
                if "c" in median
                else "; (c) was not installed."
            ),
        ]
        if not args.no_memory:
            make(many, 10 * args.rows, seed=2)
            small, large = prep(rows, out, tokenizer, watch=True), prep(many, out, tokenizer, watch=True)
            lines += [
                "",
                f"Peak memory, all processes together: {small[1]:.0f} MB with {args.rows:,} rows, {large[1]:.0f} MB with {10 * args.rows:,} "
                f"({large[1] / small[1]:.2f} x, in {large[0]:.0f} s).",
            ]
    print("\n".join(lines))
    if args.out:
        report.write(args.out, "prep_data.py: time and memory", lines)


if __name__ == "__main__":
    main()
