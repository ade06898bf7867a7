"""Steps and time in which Muon reaches AdamW's loss."""

from __future__ import annotations

import json
import math
from pathlib import Path

from . import ROOT, in_process, prepare, watch_steps


def muon_run(data: str, out: str, optim: str, lr: float, steps: int, seed: int, device: str, **_) -> dict:
    import train

    spans = watch_steps(train)
    rate = ["--lr", str(lr)] if optim == "adamw" else ["--lr", "3e-3", "--muon_lr", str(lr)]
    train.main(
        ["--data_dir", data, "--model_dir", out, "--cfg", "tiny", "--seq_len", "256", "--batch_size", "8", "--grad_accum",
         "1", "--optim", optim, *rate, "--max_steps", str(steps), "--eval_every", str(max(1, steps // 12)), "--seed",
         str(seed), *(["--cpu"] if device == "cpu" else [])]
    )  # fmt: skip
    rows = [json.loads(line) for line in (Path(out) / "metrics.jsonl").open()]
    curve = [(row["step"], row["val_loss"]) for row in rows if "val_loss" in row]
    return {"curve": curve, "final": curve[-1][1], "seconds": sum(ended - began for began, ended in spans)}


def english_text(path: Path) -> Path:
    """Python's own language reference, which every installation has: 0.7 MB of English prose."""
    from pydoc_data import topics

    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in topics.topics.values()), encoding="utf-8")
    return path


def part_muon(args, device: str, work: Path) -> list[str]:
    text = prepare(work / "text", "--dataset", str(english_text(work / "topics.jsonl")), "--train_tokenizer", "2048",
                   "--seq_len", "256", "--val_fraction", "0.1")  # fmt: skip
    sample = prepare(
        work / "sample", "--dataset", str(ROOT / "data/sample"), "--train_tokenizer", "2048", "--seq_len", "256"
    )
    steps = args.muon_steps
    muon_steps = math.floor(steps * 2 / 3)
    planned = {"adamw": steps, "muon": muon_steps}
    grid = {"adamw": (1e-3, 2e-3, 4e-3), "muon": (0.01, 0.02, 0.04)}
    lines = [
        "## Muon and AdamW", "",
        f"4 layers x 256, 8 packed rows of 256 tokens a step. AdamW is planned for {steps} steps and Muon for {muon_steps} (2/3), each at "
        f"the best of its grid of learning rates (AdamW {', '.join(map(str, grid['adamw']))}; Muon {', '.join(map(str, grid['muon']))}, "
        "the embeddings' AdamW at 3e-3), chosen with seed 0, then on seeds 1 to 3. Bar: Muon has AdamW's final held-out loss after at most "
        "2/3 of the steps and 3/4 of the time (looked at every twelfth of a run).", "",
        "| data | seed | AdamW | Muon | Muon has AdamW's loss after steps, time | all steps of Muon, AdamW |", "|---|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    data, curves = {"bundled": sample, "text": text}, []

    def trained(name: str, optim: str, lr: float, seed: int) -> dict:
        return in_process("muon_run", data=str(data[name]), out=str(work / f"{name}-{optim}-{lr}-{seed}"), optim=optim,
                          lr=lr, steps=planned[optim], seed=seed, device=device)  # fmt: skip

    for name in data:
        best = {}
        for number in range(3):
            for optim, rates in grid.items():
                run = trained(name, optim, rates[number], seed=0)
                best[optim] = min(best.get(optim, (math.inf, 0)), (run["final"], rates[number]))
                print(
                    f"muon, grid: {name} {optim} {rates[number]} -> {run['final']:.4f} in {run['seconds']:.0f} s",
                    flush=True,
                )
        for seed in (1, 2, 3):
            runs = {optim: trained(name, optim, best[optim][1], seed) for optim in grid}
            for optim, run in runs.items():
                curve = ", ".join(f"{step}: {loss:.3f}" for step, loss in run["curve"])
                curves.append(f"- {name}, seed {seed}, {optim} {best[optim][1]}: {curve}")
            a, m = runs["adamw"], runs["muon"]
            reached = next((step for step, loss in m["curve"] if loss <= a["final"]), None)
            share = "never"
            if reached:
                share = f"{reached} of {steps}, {m['seconds'] * reached / muon_steps / a['seconds']:.2f}x"
            lines.append(
                f"| {name} | {seed} | {a['final']:.4f} | {m['final']:.4f} | {share} | {m['seconds']:.0f} s of {a['seconds']:.0f} s |"
            )
            print(lines[-1], flush=True)
    return [*lines, "", "Held-out loss by step:", "", *curves]
