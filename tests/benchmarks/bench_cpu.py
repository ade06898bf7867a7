#!/usr/bin/env python3
"""The demo on the processors that people have: this commit beside an earlier one, with and without AVX-512.

    python tests/benchmarks/bench_cpu.py --before c39dfe6 --out tests/benchmarks/results/cpu.md

Each kind of processor runs the demo's training step (4 layers x 256, 16 rows of 256 tokens, Muon) with both versions of
train.py in turn, --rounds times, on the same rows; the table has medians. Without AVX-512 is what the variables make of this
machine: ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2, or AVX512_CORE, which has AVX-512 and no bf16 units. Where there
is no AVX-512 there is one kind. Takes ten minutes on two cores, most of them the earlier version's. Linux on x86 only, on an
otherwise idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import report

ROOT = report.ROOT
KINDS = {
    "as it is": {},
    "AVX-512 without bf16 units": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
    "without AVX-512": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
}
SHAPE = ["--cfg", "tiny", "--seq_len", "256", "--batch_size", "16", "--grad_accum", "1", "--optim", "muon", "--log_every",
         "1", "--eval_every", "1000", "--save_every", "1000"]  # fmt: skip


def kinds_here() -> dict[str, dict[str, str]]:
    """The variables can leave AVX-512 alone, and make none."""
    return KINDS if " avx512f " in Path("/proc/cpuinfo").read_text() else {"without AVX-512, as it is": {}}


def run(script: Path, data: Path, folder: Path, kind: dict[str, str], steps: int) -> dict[str, float]:
    """Train `steps` steps -> seconds of one (the median without the first two), and from the start to the first step."""
    command = [sys.executable, str(script), "--data_dir", str(data), "--model_dir", str(folder), *SHAPE, "--max_steps"]
    environment = {**os.environ, **kind}
    began, first = time.monotonic(), None
    process = subprocess.Popen([*command, str(steps)], env=environment, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if first is None and "ready after" in line:
            first = time.monotonic() - began
    if process.wait():
        raise RuntimeError(f"{script} ended with code {process.returncode}")
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    rates = [row["tokens_per_s"] for row in rows if "tokens_per_s" in row]
    return {"seconds": statistics.median(4096 / rate for rate in rates[2:]), "ready": first}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", default="c39dfe6", help="the commit to compare with")
    parser.add_argument("--rounds", type=int, default=2, help="times that each version runs")
    parser.add_argument("--steps", type=int, default=6, help="training steps of a run")
    parser.add_argument("--out", type=Path, help="where the table goes; it is printed in any case")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        old = subprocess.run(
            ["git", "show", f"{args.before}:train.py"], cwd=ROOT, capture_output=True, check=True
        ).stdout
        (work / "train.py").write_bytes(old)
        prepare = ["prep_data.py", "--dataset", "data/sample", "--out_dir", work / "data", "--train_tokenizer", "2048"]
        subprocess.run(
            [sys.executable, *map(str, prepare), "--seq_len", "256"], cwd=ROOT, check=True, capture_output=True
        )
        lines = [
            f"`python tests/benchmarks/bench_cpu.py --before {args.before}`: {report.stamp('torch', 'transformers')}",
            f"4 layers x 256, 16 rows of 256 tokens, Muon; medians of {args.rounds} rounds in turn.",
            "", "| processor | seconds a step before | now | ratio | start to first step before | now |", "|---|---:|---:|---:|---:|---:|",
        ]  # fmt: skip
        for name, kind in kinds_here().items():
            runs: dict[str, list[dict]] = {"before": [], "now": []}
            for number in range(args.rounds):
                for version, script in (("before", work / "train.py"), ("now", ROOT / "train.py")):
                    steps = args.steps if version == "now" or name == "as it is" else 4
                    runs[version].append(
                        run(script, work / "data", work / f"{version}-{len(kind)}-{number}-{name}", kind, steps)
                    )
                    print(name, version, runs[version][-1], flush=True)
            middle = {v: {key: statistics.median(r[key] for r in runs[v]) for key in runs[v][0]} for v in runs}
            before, now = middle["before"], middle["now"]
            lines.append(
                f"| {name} | {before['seconds']:.2f} | {now['seconds']:.2f} | {before['seconds'] / now['seconds']:.1f}x | "
                f"{before['ready']:.1f} s | {now['ready']:.1f} s |"
            )
    print("\n".join(lines))
    if args.out:
        report.write(args.out, "The demo's step on other processors", lines)


if __name__ == "__main__":
    main()
