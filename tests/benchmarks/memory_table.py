"""What fits in which card: the memory table of the tutorial, as `train.py --dry_run --vram_gb N` predicts it, without a GPU.

    python tests/benchmarks/memory_table.py      # seconds; writes results/memory.md

Each row is 32 rows of --seq_len tokens a step in bf16; a cell is the largest micro-batch that fits and its predicted peak.
"""

from __future__ import annotations

import sys

import report
import transformers

sys.path.insert(0, str(report.ROOT))
import train

N_VOCAB = 50_260  # GPT-2's tokens and three role tokens
CARDS = (8, 12, 16, 24)
BASES = {  # what --init_from takes, by its config.json
    "SmolLM2-360M": transformers.LlamaConfig(
        num_hidden_layers=32, hidden_size=960, intermediate_size=2560, num_attention_heads=15, num_key_value_heads=5,
        vocab_size=49_152, max_position_embeddings=8192, tie_word_embeddings=True,
    )
}  # fmt: skip
RUNS = [
    (name, seq_len, optim)
    for name in ("small_test", "baseline_355m", "heavier_420m", *BASES)
    for seq_len, optim in ((1024, "adamw"), (2048, "adamw"), (1024, "adamw8bit"))
]


def main() -> None:
    table = [
        f"`python tests/benchmarks/memory_table.py`: {report.stamp('torch', 'transformers')} Nothing here was measured on a GPU.",
        "A step of 32 rows in bf16. A cell is the largest micro-batch that fits and its peak in GiB, `ckpt` where that takes",
        "gradient checkpointing.",
        "",
        "| config | `--seq_len` | `--optim` | " + " | ".join(f"{card} GB" for card in CARDS) + " |",
        "|---|---|---|" + "---|" * len(CARDS),
    ]
    for name, seq_len, optim in RUNS:
        flags = ["--model_dir", "none", "--seq_len", str(seq_len), "--optim", optim, "--bf16"]
        flags += [] if name in BASES else ["--cfg", name]
        args = train.build_parser().parse_args([*flags, "--batch_size", "1", "--grad_accum", "32"])
        args.precision, args.lr = "bf16", 1e-4
        config = BASES.get(name) or train.build_config(args, N_VOCAB)
        n_vocab, cells = BASES[name].vocab_size + 3 if name in BASES else N_VOCAB, []
        for card in CARDS:
            best = train.fastest_that_fits(config, args, n_vocab, card)
            cells.append(f"{best[0]} ({best[2]:.1f}{', ckpt' if best[1] else ''})" if best else "-")
        table.append(f"| `{name}` | {seq_len} | `{optim}` | " + " | ".join(cells) + " |")
        print(table[-1], flush=True)
    report.write(report.RESULTS / "memory.md", "What fits in which card, predicted", table)


if __name__ == "__main__":
    main()
