#!/usr/bin/env python3
"""What the defaults of train.py rest on: one question at a time, on a small scale, each variant with three seeds.

The text is Python's own language reference, the conversations are the bundled ones, both in a vocabulary of the text's.
The recipe is that of `./run_all.sh week`, made small: Qwen3's architecture, 3 blocks x 192, Muon. A variant changes one
thing: a flag, or for what train.py has no flag for, one of its functions. What counts is the lowest held-out loss in nats
a token, as train.py keeps those weights.

    python tests/benchmarks/bench_defaults.py --out tests/benchmarks/results/defaults.md

--only asks some of the questions; the sections of the others stay. All of them take an hour on two cores: as many runs at
a time as there are cores, of one thread each. What is done is not done again with the same --work.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
from collections import deque
from pathlib import Path

import report

sys.path.insert(0, str(report.ROOT))
import numpy as np
import torch
from train_parts import prepare
from train_parts.muon import english_text

import train

SEEDS = (1, 2, 3)
MODEL = "--cfg tiny --arch qwen3 --n_layer 3 --n_embd 192 --n_head 3 --seq_len 256 --batch_size 8 --grad_accum 1 --cpu --fp32"
MUON = f"{MODEL} --optim muon --eval_every 40"
ONCE = f"{MUON} --epochs 1"
OFTEN = f"{MUON} --epochs 8"
TUNE = "--seq_len 256 --batch_size 8 --grad_accum 1 --cpu --fp32 --epochs 2 --eval_every 20"


def cautious(_: str) -> None:
    """Muon decays a weight only where its step pulls it toward zero as well (Chen et al. 2025, arXiv:2510.12402)."""
    plain = train.MatrixMuon.step

    def step(self, closure=None):
        (group,) = self.param_groups
        before = [matrix.detach().clone() for matrix in group["params"]]
        decay, group["weight_decay"] = group["weight_decay"], 0.0
        plain(self)
        group["weight_decay"] = decay
        with torch.no_grad():
            for old, new in zip(before, group["params"]):
                new.sub_(old * ((old - new) * old > 0), alpha=group["lr"] * decay)

    train.MatrixMuon.step = step


def warmdown(share: str) -> None:
    """WSD comes down over another share of the run than the last fifth."""

    def lr_factor(done, warmup, schedule, floor):
        if done < warmup:
            return done / warmup
        left = 1 - min(1.0, (done - warmup) / max(1e-9, 1 - warmup))
        return floor + (1 - floor) * min(1.0, left / float(share))

    train.lr_factor = lr_factor


def pack_anew(epochs: str) -> None:
    """Each epoch puts other documents together in a row; by default only the rows are shuffled."""

    class Anew(train.Rows):
        def __init__(self, documents, seq_len, packing):
            super().__init__(documents, seq_len, packing)
            self.n_rows, draw = len(self.row_bounds) - 1, np.random.default_rng(0)
            for _ in range(int(epochs) - 1):
                shuffled = draw.permutation(len(documents.lengths))
                placed, bounds = train.pack(documents.lengths[shuffled], seq_len)
                self.placed = np.concatenate([self.placed, shuffled[placed]])
                self.row_bounds = np.concatenate([self.row_bounds, bounds[1:] + self.row_bounds[-1]])

        def __len__(self):
            return self.n_rows

        def order(self, seed, epoch):
            return super().order(seed, epoch) + epoch * self.n_rows

    train.Rows = Anew


def average(snapshots: str) -> None:
    """What is evaluated are the means of the weights after the last `count` times `every` steps: "count x every"."""
    count, every = map(int, snapshots.split("x"))
    kept, plain_step, plain_evaluate, steps = deque(maxlen=count), train.training_step, train.evaluate, [0]

    def training_step(accelerator, loss_module, *rest, **more):
        result = plain_step(accelerator, loss_module, *rest, **more)
        steps[0] += 1
        if steps[0] % every == 0:
            kept.append([parameter.detach().clone() for parameter in loss_module.parameters()])
        return result

    def evaluate(accelerator, loss_module, *rest, **more):
        if not kept:
            return plain_evaluate(accelerator, loss_module, *rest, **more)
        here = [parameter.data for parameter in loss_module.parameters()]
        for parameter, *values in zip(loss_module.parameters(), *kept):
            parameter.data = torch.stack(values).mean(dim=0)
        loss = plain_evaluate(accelerator, loss_module, *rest, **more)
        for parameter, data in zip(loss_module.parameters(), here):
            parameter.data = data
        return loss

    train.training_step, train.evaluate = training_step, evaluate


# question: (data, flags of all its runs, {variant: (flags, function of this file and its argument)}); the default is first
QUESTIONS = {
    "The embeddings' rate beside Muon": (
        "text", ONCE, {f"--lr {lr}": (f"--lr {lr}", "") for lr in ("1e-3", "3e-4", "3e-3", "1e-2", "3e-2")},
    ),
    "The embeddings' rate in a run three times as long": (
        "text", f"{MUON} --epochs 3", {f"--lr {lr}": (f"--lr {lr}", "") for lr in ("3e-3", "1e-2", "3e-2")},
    ),
    "Cautious decay of Muon's matrices": (
        "text", ONCE, {"all weights are decayed": ("", ""), "only where the step agrees": ("", "cautious ")},
    ),
    "The last part of WSD": (
        "text", f"{ONCE} --schedule wsd --min_lr_ratio 0",
        {"the last 20%": ("", ""),
         **{f"the last {float(share):.0%}": ("", f"warmdown {share}") for share in ("0.1", "0.4", "1.0")}},
    ),
    "The mean of the last weights": (
        "text", f"{ONCE} --schedule wsd --min_lr_ratio 0",
        {"the last weights": ("", ""), "4, every 2nd step": ("", "average 4x2"), "4, every 6th": ("", "average 4x6")},
    ),
    "Few tokens seen often": (
        "few", OFTEN,
        {"--weight_decay 0.1": ("", ""), "--weight_decay 0": ("--weight_decay 0", ""),
         "--weight_decay 0.5": ("--weight_decay 0.5", "")},
    ),
    "Dropout (GPT-2's architecture) where few tokens are seen often": (
        "few", f"{OFTEN} --arch gpt2",
        {f"--dropout {share}": (f"--dropout {share}", "") for share in ("0", "0.1")},
    ),
    "Which documents share a row": (
        "few", OFTEN, {"the same in every epoch": ("", ""), "others in every epoch": ("", "pack_anew 8")},
    ),
    "The rate of SFT, from a base of its own": (
        "chats", TUNE, {f"--lr {lr}": (f"--lr {lr}", "") for lr in ("5e-5", "2e-4", "1e-3", "4e-3")},
    ),
}  # fmt: skip


def run(job: tuple[str, str, str, str, int]) -> float:
    """The lowest held-out loss of one run; what it says goes to a file beside its folder."""
    folder, data, flags, change, seed = job
    torch.set_num_threads(1)
    name, _, argument = change.partition(" ")
    if name:
        globals()[name](argument)
    argv = ["--data_dir", data, "--model_dir", folder, "--seed", str(seed), "--save_every", "1000000", *flags.split()]
    with open(f"{folder}.log", "w") as log, contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        train.main(argv)
    return min(row["val_loss"] for row in metrics(folder) if "val_loss" in row)


def metrics(folder: str) -> list[dict]:
    return [json.loads(line) for line in Path(folder, "metrics.jsonl").open(encoding="utf-8")]


def prepare_all(work: Path) -> dict[str, Path]:
    if not (work / "chats/manifest.json").exists():
        work.mkdir(parents=True, exist_ok=True)
        pages = english_text(work / "topics.jsonl")
        few = work / "few.jsonl"
        few.write_text("".join(line for i, line in enumerate(pages.open(encoding="utf-8")) if i % 4 == 0))
        common = ["--seq_len", "256", "--tokenizer", str(work / "text/tokenizer")]
        prepare(
            work / "text",
            "--dataset",
            str(pages),
            "--train_tokenizer",
            "2048",
            "--seq_len",
            "256",
            "--val_fraction",
            "0.1",
        )
        prepare(work / "few", "--dataset", str(few), *common, "--val_fraction", "0.2")
        prepare(work / "chats", "--dataset", str(report.ROOT / "data/sample"), *common, "--max_rows", "1500")
    return {name: work / name for name in ("text", "few", "chats")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", help="questions whose names begin so")
    parser.add_argument("--seeds", type=int, default=len(SEEDS))
    parser.add_argument("--work", type=Path, help="folder of data and runs, which stays")
    parser.add_argument("--out", type=Path, help="also write the result to this file")
    args = parser.parse_args()
    work = args.work or Path(tempfile.mkdtemp(prefix="bench-defaults-"))
    data, seeds = prepare_all(work), SEEDS[: args.seeds]
    asked = {name: each for name, each in QUESTIONS.items() if not args.only or name.startswith(tuple(args.only))}
    found = json.loads((work / "found.json").read_text()) if (work / "found.json").exists() else {}

    def train_all(jobs: dict[str, tuple]) -> None:
        """Those that are not done, side by side in forks, which need not import torch again."""
        left = {key: job for key, job in jobs.items() if key not in found}
        with multiprocessing.get_context("fork").Pool(os.cpu_count(), maxtasksperchild=1) as pool:
            for key, loss in zip(left, pool.imap(run, left.values(), chunksize=1)):
                found[key] = loss
                (work / "found.json").write_text(json.dumps(found, indent=1))
                print(f"{loss:.4f}  {key}", flush=True)

    def folder(key: str) -> str:
        return str(work / "runs" / hashlib.sha256(key.encode()).hexdigest()[:12])

    (work / "runs").mkdir(exist_ok=True)

    def job(kind: str, flags: str, change: str, seed: int) -> tuple[str, tuple]:
        key = " | ".join((kind, " ".join(flags.split()), change, str(seed)))
        start = f" --init_from {base(seed)[1][0]}" if kind == "chats" else ""
        return key, (folder(key), str(data[kind]), flags + start, change, seed)

    def base(seed: int) -> tuple[str, tuple]:
        return job("text", f"{ONCE} --epochs 2", "", seed)

    jobs = {}  # two questions may have a run in common
    for kind, flags, variants in asked.values():
        jobs |= dict(job(kind, f"{flags} {more}", change, seed) for more, change in variants.values() for seed in seeds)
    if any(kind == "chats" for kind, *_ in asked.values()):
        train_all(dict(map(base, seeds)))
    train_all(jobs)

    for question, (kind, flags, variants) in asked.items():
        sizes = json.loads((data[kind] / "manifest.json").read_text())
        lines = [f"## {question}", "", f"`{flags}`; {sizes['train']['tokens']:,} tokens of {kind}.", "",
                 "| | held-out loss, each seed | mean | beside the first line | better on |", "|---|---|---:|---:|---:|"]  # fmt: skip
        default = None
        for variant, (more, change) in variants.items():
            losses = [found[job(kind, f"{flags} {more}", change, seed)[0]] for seed in seeds]
            default = default or losses
            gains = [before - loss for before, loss in zip(default, losses)]
            beside = "" if losses is default else f"{-statistics.mean(gains):+.4f}"
            wins = "" if losses is default else f"{sum(gain > 0 for gain in gains)} of {len(seeds)}"
            shown = ", ".join(f"{loss:.4f}" for loss in losses)
            lines.append(f"| {variant} | {shown} | {statistics.mean(losses):.4f} | {beside} | {wins} |")
        section = "\n".join([*lines, "", f"Run {report.stamp('torch', 'transformers')}", ""])
        print(section)
        if args.out:
            report.write_section(args.out, "What the defaults rest on", "bench_defaults.py", section)


if __name__ == "__main__":
    main()
