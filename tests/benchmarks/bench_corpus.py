#!/usr/bin/env python3
"""What a corpus of billions of tokens costs before the first step, and how fast one is prepared.

Text is made up on the spot, prepared by prep_data.py, and its tokens repeated to the sizes asked for, in shards with the
bounds of documents of like lengths; those beyond --real tokens are sparse files, which hold nothing but take the place.
Measured is `train.py --max_steps 1` with a small model on a CPU, at its second start on the same folder: the seconds to
its line of the first step, and the most memory that the process held.

    few       the prepared text alone, a few thousand tokens: what a start takes anyway
    SIZE      a store of so many tokens
    before    train.py of the commit --before on the tokenized JSONL of --jsonl_tokens, and this one on their store

Then tokens/s of preparing text with all processes, beside raw `encode_batch` of the same text, nothing else.

    python tests/benchmarks/bench_corpus.py --out tests/benchmarks/results/corpus.md

Takes about 10 minutes on two cores, 3 GB of disk, and less with smaller sizes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bench_prep
import numpy as np
import report

ROOT = report.ROOT
BARS = "at most 15 s and 300 MB beyond few; 2.1 bytes a token; preparing at no less than half of encode_batch"
SHARD = 100_000_000
MODEL = ["--cfg", "tiny", "--n_layer", "2", "--n_embd", "64", "--n_head", "2", "--seq_len", "1024", "--batch_size", "2"]
MODEL += ["--grad_accum", "1", "--fp32", "--cpu", "--max_steps", "1", "--log_every", "1", "--resume", "never"]


def write_text(path: Path, n_documents: int, seed: int = 0) -> None:
    """Documents of some 700 tokens on average, most shorter, a few of them longer than a row."""
    sentences = path.with_suffix(".sentences")
    bench_prep.make_rows(sentences, 3000, seed)
    with sentences.open(encoding="utf-8") as file:
        rows = [json.loads(line)["output"] for line in file]
    draw = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        for number in range(n_documents):
            n = max(1, round(draw.lognormvariate(1.7, 0.8)))
            text = f"Document {number}. " + " ".join(draw.choices(rows, k=n))
            file.write(json.dumps({"text": text}) + "\n")


def prepare(text: Path, out: Path, *flags: str) -> float:
    """Seconds of prep_data.py."""
    command = [sys.executable, ROOT / "prep_data.py", "--dataset", text, "--out_dir", out, "--seq_len", "1024", *flags]
    began = time.perf_counter()
    subprocess.run([*map(str, command)], cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - began


def grow(few: Path, out: Path, n_tokens: int, real: int) -> None:
    """A data folder like `few` with a store of `n_tokens`: its tokens again and again, from `real` on a hole in the file."""
    out.mkdir()
    manifest = json.loads((few / "manifest.json").read_text(encoding="utf-8"))
    for path in few.rglob("*"):
        if path.is_file() and not path.name.startswith("train") and path.name != "manifest.json":
            (out / path.relative_to(few)).parent.mkdir(exist_ok=True)
            (out / path.relative_to(few)).write_bytes(path.read_bytes())
    ids = np.fromfile(few / "train_tokens.00000.ids", "<u2")
    lengths = np.diff(np.fromfile(few / "train_tokens.00000.bounds", "<u4").astype(np.int64))
    written = {}
    for number, start in enumerate(range(0, n_tokens, SHARD)):
        size = min(SHARD, n_tokens - start)
        bounds = np.append(0, np.cumsum(np.tile(lengths, size // len(ids) + 1)))
        bounds = bounds[bounds <= size]
        name = f"train_tokens.{number:05}"
        with (out / f"{name}.ids").open("wb") as file:
            if start < real:
                file.write(np.resize(ids, bounds[-1]).tobytes())
            file.truncate(2 * int(bounds[-1]))
        (out / f"{name}.bounds").write_bytes(bounds.astype("<u4").tobytes())
        written |= {path.name: path.stat().st_size for path in out.glob(f"{name}.*")}
    for key, values in (("bytes", written), ("sha256", dict.fromkeys(written, "not looked at: size and time agree"))):
        manifest[key] = {name: v for name, v in manifest[key].items() if not name.startswith("train")} | values
    manifest["store"]["train"] |= {"shards": number + 1, "jsonl": None}
    time.sleep(0.1)  # older than the manifest
    (out / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def start(data: Path, work: Path, script: Path = ROOT / "train.py") -> tuple[float, float]:
    """(seconds to the line of the first step, peak MB) of a second start."""
    for _ in range(2):
        command = [
            sys.executable,
            script,
            "--data_dir",
            data,
            "--model_dir",
            work / f"run {script.parent.name}",
            *MODEL,
        ]
        began, seconds = time.perf_counter(), None
        process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for line in process.stdout:
            seconds = seconds or (time.perf_counter() - began if line.startswith("step       1/1") else None)
        _, status, usage = os.wait4(process.pid, 0)
        if status or seconds is None:
            raise SystemExit(f"train.py failed on {data}: {process.stderr.read().strip()}")
    return seconds, usage.ru_maxrss / 1024


def raw_encode(data: Path) -> float:
    """Tokens/s of `encode_batch` of the same text on all cores, in a process of its own."""
    code = """
import json, sys, time
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1] + "/tokenizer").backend_tokenizer
texts = [json.loads(line)["text"] for line in open(sys.argv[1] + "/train.jsonl", encoding="utf-8")]
began, tokens = time.perf_counter(), 0
for start in range(0, len(texts), 1000):
    tokens += sum(len(e.ids) for e in tokenizer.encode_batch(texts[start : start + 1000], add_special_tokens=False))
print(tokens / (time.perf_counter() - began))
"""
    environment = {**os.environ, "TOKENIZERS_PARALLELISM": "true"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(data)], env=environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def tokens_in(data: Path) -> int:
    return json.loads((data / "manifest.json").read_text(encoding="utf-8"))["train"]["tokens"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--sizes", type=float, nargs="*", default=[1e9, 1e10], help="tokens of a store (default: 1e9 1e10)"
    )
    parser.add_argument("--real", type=float, default=1e9, help="tokens that are really on the disk (default: 1e9)")
    parser.add_argument("--documents", type=int, default=30_000, help="documents to prepare (default: 30000)")
    parser.add_argument("--before", metavar="COMMIT", help="compare with train.py of this commit on JSONL")
    parser.add_argument("--jsonl_tokens", type=float, default=2e7, help="tokens of that comparison (default: 2e7)")
    parser.add_argument("--rounds", type=int, default=3, help="how often text is prepared (default: 3)")
    parser.add_argument("--out", type=Path, help="also write the result to this file")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="bench-corpus-") as folder:
        work, lines = Path(folder), []
        write_text(work / "few.jsonl", 300)
        write_text(work / "text.jsonl", args.documents, seed=1)
        few, data = work / "few", work / "text"
        prepare(work / "few.jsonl", few, "--train_tokenizer", "4096")
        base = start(few, work)
        lines += [
            "| store | tokens | to the first step | peak memory | bytes a token on disk |",
            "|---|---:|---:|---:|---:|",
        ]
        lines.append(f"| few | {tokens_in(few):,} | {base[0]:.1f} s | {base[1]:,.0f} MB | |")
        for size in map(int, args.sizes):
            store = work / f"store {size}"
            grow(few, store, size, int(args.real))
            seconds, peak = start(store, work)
            on_disk = sum(path.stat().st_size for path in store.glob("train_tokens.*")) / size
            kind = "sparse from " + f"{int(args.real):,} on" if size > args.real else "real"
            lines.append(
                f"| {kind} | {size:,} | {seconds:.1f} s ({seconds - base[0]:+.1f}) | {peak:,.0f} MB ({peak - base[1]:+,.0f}) "
                f"| {on_disk:.3f} |"
            )
            print(lines[-1], flush=True)
        if args.before:
            old = work / "before" / "train.py"
            old.parent.mkdir()
            old.write_bytes(
                subprocess.run(
                    ["git", "show", f"{args.before}:train.py"], cwd=ROOT, capture_output=True, check=True
                ).stdout
            )
            repeated = work / "repeated"
            repeat_jsonl(few, repeated, int(args.jsonl_tokens))
            then, now = start(repeated, work, old), start(repeated, work)
            lines += ["", f"{int(args.jsonl_tokens):,} tokens: train.py of commit {args.before} on the tokenized JSONL {then[0]:.1f} s and "
                      f"{then[1]:,.0f} MB, this one on the store {now[0]:.1f} s and {now[1]:,.0f} MB."]  # fmt: skip
            print(lines[-1], flush=True)
        tokenizer = ("--tokenizer", str(few / "tokenizer"), "--overwrite", "--jsonl", "text")
        rates = []
        for _ in range(args.rounds):
            seconds = prepare(work / "text.jsonl", data, *tokenizer)
            rates.append((tokens_in(data) / seconds, raw_encode(data)))
        ours, raw = (statistics.median(column) for column in zip(*rates))
        lines += ["", f"Preparing {tokens_in(data):,} tokens of text: {ours:,.0f} tokens/s, the whole command; raw encode_batch "
                  f"{raw:,.0f} tokens/s: {ours / raw:.2f} of it. Medians of {args.rounds}."]  # fmt: skip
        print("\n".join(lines))
    if args.out:
        head = [report.stamp("torch", "transformers", "tokenizers", "numpy"), "", f"Bars: {BARS}.", ""]
        report.write(args.out, "A corpus of billions of tokens", [*head, *lines])


def repeat_jsonl(few: Path, out: Path, n_tokens: int) -> None:
    """A data folder like `few` whose training rows come again and again, as JSONL and as a store that says the same."""
    grow(few, out, n_tokens, n_tokens)
    name, manifest = "train_tokenized.jsonl", json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    rows = (few / name).read_bytes().splitlines(keepends=True)
    n_rows = sum(np.fromfile(path, "<u4").size - 1 for path in out.glob("train_tokens.*.bounds"))
    (out / name).write_bytes(b"".join(rows[i % len(rows)] for i in range(n_rows)))
    digest = hashlib.sha256((out / name).read_bytes()).hexdigest()
    manifest["sha256"][name] = manifest["store"]["train"]["jsonl"] = digest
    manifest["bytes"][name] = (out / name).stat().st_size
    time.sleep(0.1)
    (out / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


if __name__ == "__main__":
    main()
