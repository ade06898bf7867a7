#!/usr/bin/env python3
"""How fast and how small train.py is, beside what people would use instead.

Parts, each of them ours and the others in turn in one run, medians over --rounds; the same on a CPU and on a GPU:

    epoch    one epoch over some 200 conversations: train.py, the HF Trainer, TRL's SFTTrainer padded and packed
             (`pip install trl`), from the same weights, with the same rows, optimizer, precision and global batch
    dense    forward and backward of full rows, against a plain PyTorch GPT-2 that is written out
    packing  packed rows of many documents against as many tokens in one dense causal row each
    memory   peak of forward and backward of `small_test`, against `model(input_ids, labels=labels)` of transformers;
             on a GPU also predicted against measured, for every configuration
    muon     steps and time in which Muon reaches AdamW's loss: bundled data and English text, a grid each, three seeds
    card     GPU only: the 355 M command of the README for 50 steps within 16 GB, plain and compiled, and larger shapes

    python tests/benchmarks/bench_train.py --parts epoch dense packing memory --out tests/benchmarks/results/train.md

Takes about 30 minutes on two cores, `muon` another 15. Data comes from the hub (--dataset, a hub id or a file).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import report

sys.path.insert(0, str(report.ROOT))
from train_parts import card, dense, device_of, epoch, memory, muon

PARTS = {"epoch": epoch.part_epoch, "dense": dense.part_dense, "packing": dense.part_packing, "memory": memory.part_memory,
         "muon": muon.part_muon, "card": card.part_card}  # fmt: skip
JOBS = (epoch.epoch_ours, epoch.epoch_theirs, epoch.held_out_loss, memory.step_memory, memory.predicted_and_measured,
        muon.muon_run)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument(
        "--dataset", default="tatsu-lab/alpaca", help="hub id or file of the rows for `epoch` and `card`"
    )
    parser.add_argument("--tokenizer", default="gpt2", help="hub id or folder")
    parser.add_argument(
        "--precision", choices=("fp32", "bf16"), help="of `epoch` and `packing` (default: train.py's own choice)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="of `epoch`")
    parser.add_argument("--repeats", type=int, default=7, help="of `dense` and `packing`")
    parser.add_argument("--muon_steps", type=int, default=120, help="AdamW's steps in `muon`")
    parser.add_argument("--large", action="store_true", help="`dense` with small_test's shape on a CPU too")
    parser.add_argument("--cpu", action="store_true", help="leave the GPU alone")
    parser.add_argument("--out", type=Path, help="Markdown file; parts that are not run now stay as they are in it")
    parser.add_argument("--job", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:
        job = {function.__name__: function for function in JOBS}[args.job[0]]
        print("\n" + json.dumps(job(**json.loads(args.job[1]))))
        return
    import torch

    import train

    device = device_of(args)
    if args.precision is None:
        chosen = train.build_parser().parse_args(["--model_dir", "unused", *(["--cpu"] if args.cpu else [])])
        args.precision = train.choose_precision(chosen)
    hardware = torch.cuda.get_device_name() if device == "cuda" else None
    for part in args.parts:
        with tempfile.TemporaryDirectory() as folder:
            lines = PARTS[part](args, device, Path(folder))
        stamp = report.stamp("torch", "transformers", "accelerate", "trl", hardware=hardware)
        print("\n".join(lines), flush=True)
        if args.out:
            section = "\n".join([*lines, "", f"Run {stamp}", ""])
            report.write_section(args.out, "train.py beside other trainers", "bench_train.py", section)


if __name__ == "__main__":
    main()
