"""From hours to a model: the tables of the tutorial, as `train.py --cfg auto --max_hours N` chooses on a card that was not here.

    python tests/benchmarks/hours_table.py       # seconds; writes results/hours.md

The speed is made up: a share of the card's matrix peak that other people's runs on such cards had or surpassed.
"""

from __future__ import annotations

import sys

import report

sys.path.insert(0, str(report.ROOT))
import train

N_VOCAB = 50_260  # GPT-2's tokens and three role tokens
HOURS = (8, 48, 168)
FLOPS_PER_S, VRAM_GB, SEQ_LEN = 0.65 * 44e12, 16, 1024
FLAGS = ["--arch", "qwen3", "--optim", "muon", "--bf16", "--seq_len", SEQ_LEN]  # those of ./run_all.sh week


def sizes(hours: float) -> list[dict]:
    args = train.build_parser().parse_args(
        ["--model_dir", "none", "--cfg", "auto", "--max_hours", str(hours), *map(str, FLAGS)]
    )
    args.precision = "bf16"
    return train.sizes_for(args, N_VOCAB, FLOPS_PER_S, SEQ_LEN, VRAM_GB)


def row(size: dict, hours: float, mark: str = "") -> str:
    flags = size["flags"]
    return (
        f"| {mark}{hours}{mark} | {flags['n_layer']} x {flags['n_embd']} | {size['weights'] / 1e6:.0f} M | "
        f"{size['tokens'] / 1e9:.2f} B | {flags['batch_size']} x {flags['grad_accum']} | {flags['lr']:.1e} | "
        f"{size['loss']:.3f} |"
    )


def table() -> list[str]:
    lines = [
        "| hours | layers x width | weights | tokens | rows a step | `--lr` | loss by the law |",
        "|---|---|---|---|---|---|---|",
    ]
    for hours in HOURS:
        every = sizes(hours)
        best = min(range(len(every)), key=lambda i: every[i]["loss"])
        lines += [row(every[i], hours, "**" if i == best else "") for i in range(best - 1, best + 2)]
    return lines


def main() -> None:
    heading = [
        f"`python tests/benchmarks/hours_table.py`: {report.stamp('torch', 'transformers')} Nothing here was measured on a GPU.",
        f"What `--cfg auto` chooses at {FLOPS_PER_S / 1e12:.1f} TFLOP/s, 65 % of a peak of 44, in 16 GB, with `--arch qwen3 --optim muon`",
        "and rows of 1,024 tokens, between its neighbors. The choice is marked. The law: `expected_loss` in train.py.",
        "",
    ]
    print("\n".join(table()))
    report.write(report.RESULTS / "hours.md", "From hours to a model", heading + table())


if __name__ == "__main__":
    main()
