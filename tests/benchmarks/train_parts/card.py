"""The README's command on a card held to 16 GB."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from . import ROOT, prepare


def part_card(args, device: str, work: Path) -> list[str]:
    if device != "cuda":
        return ["## The README's command on a card held to 16 GB", "", "Not run: needs a CUDA GPU."]
    data = prepare(work / "card", "--dataset", args.dataset, "--tokenizer", args.tokenizer, "--seq_len", "2048")
    verbatim = ("--cfg baseline_355m --seq_len 1024 --batch_size 2 --grad_accum 16 --lr 3e-4 --warmup_steps 2000 "
                "--max_steps 50 --bf16 --vram_gb 16 --eval_every 1000 --save_every 1000")  # fmt: skip
    commands = {
        "verbatim": verbatim,
        "verbatim, compiled": verbatim + " --compile",
        "batch 8 x 4, compiled": verbatim.replace("size 2 --grad_accum 16", "size 8 --grad_accum 4") + " --compile",
        "heavier_420m": verbatim.replace("baseline_355m", "heavier_420m"),
        "baseline_355m at 2048": verbatim.replace("seq_len 1024 --batch_size 2", "seq_len 2048 --batch_size 1"),
    }
    lines = [
        "## The README's command on a card held to 16 GB",
        "",
        "| | tokens/s | MFU | peak |",
        "|---|---:|---:|---:|",
    ]
    for name, flags in commands.items():
        out = work / name.replace(" ", "-")
        command = [
            sys.executable,
            str(ROOT / "train.py"),
            "--data_dir",
            str(data),
            "--model_dir",
            str(out),
            *flags.split(),
        ]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            lines.append(f"| {name} | failed: {result.stderr.strip().splitlines()[-1]} | | |")
        else:
            last = [line for line in result.stdout.splitlines() if line.startswith("step  ")][-1]
            rows = [json.loads(line) for line in (out / "metrics.jsonl").open()]
            row = [row for row in rows if "tokens_per_s" in row][-1]
            gib = last.split(" GiB")[0].split("| ")[-1]
            lines.append(f"| {name} | {row['tokens_per_s']:,.0f} | {row['mfu']:.0%} | {gib} GiB |")
        print(lines[-1], flush=True)
    return lines
