"""The dress rehearsal of the tutorial: real rows, a real tokenizer and a real size, from the hub to the score sheet.

    python tests/benchmarks/rehearsal.py                                     # 124 M parameters on a CPU: some 15 minutes
    python tests/benchmarks/rehearsal.py --cfg baseline_355m --batch_size 8 --grad_accum 4 --seq_len 1024 --steps 5000

Runs the commands below as a reader would and writes down what they said: results/rehearsal.md, the recordings of
tutorial.json that the tutorial quotes, and the loss curve, docs/rehearsal.png.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time

from report import RESULTS, ROOT, stamp, write

COMMANDS = (
    "python prep_data.py --dataset tatsu-lab/alpaca --out_dir data/rehearsal --seq_len {seq_len} --val_fraction 0.05",
    "python train.py --data_dir data/rehearsal --model_dir checkpoints/rehearsal --cfg {cfg} --seq_len {seq_len} "
    "--batch_size {batch_size} --grad_accum {grad_accum} --max_steps {steps} --eval_every {eval_every}",
    "python inference.py --model_dir checkpoints/rehearsal --prompts_file data/rehearsal/val.jsonl --max_new_tokens 64",
)
ANSWERS = 4  # written down, the first of the file; the tutorial quotes one


def run(command: str) -> tuple[list[str], float, float]:
    """(lines of output, seconds, peak memory in GiB) of a command, which is echoed as it goes."""
    print(f"$ {command}", flush=True)
    began, lines = time.perf_counter(), []
    process = subprocess.Popen(
        [sys.executable, *command.split()[1:]], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    for line in process.stdout:
        lines.append(re.sub(r".*\r", "", line).rstrip())
        print(lines[-1], flush=True)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"rehearsal.py: error: this ended with wait status {status}: {command}")
    return lines, time.perf_counter() - began, usage.ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cfg", default="small_test")
    for name, value in (("seq_len", 512), ("batch_size", 2), ("grad_accum", 1), ("steps", 200), ("eval_every", 50)):
        parser.add_argument(f"--{name}", type=int, default=value)
    args = parser.parse_args()
    for folder in ("data/rehearsal", "checkpoints/rehearsal"):
        shutil.rmtree(ROOT / folder, ignore_errors=True)
    commands = [command.format(**vars(args)) for command in COMMANDS]
    (prepared, *_), (trained, train_s, train_gib), (scored, score_s, _) = map(run, commands)

    curve = [line for line in trained if re.match(r"(model|data|run|eval|done:|step .* rows x) ?", line)]
    scores = [line for line in scored if re.search(r"\[.+\]$", line)]
    answers = []
    for line in (ROOT / "checkpoints/rehearsal/answers-val.jsonl").read_text(encoding="utf-8").splitlines()[:ANSWERS]:
        row = json.loads(line)
        answers += [f"User: {row['messages'][-1]['content']!r}", f"Assistant: {row['answer']!r}"]
    record = json.loads((RESULTS / "tutorial.json").read_text(encoding="utf-8"))
    record["recordings"] |= {"rehearsal": curve, "rehearsal scores": scores, "rehearsal answers": answers[:2]}
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    (RESULTS / "tutorial.json").write_text(text, encoding="utf-8")
    shutil.copy(ROOT / "checkpoints/rehearsal/loss.png", ROOT / "docs/rehearsal.png")
    first = json.loads((ROOT / "checkpoints/rehearsal/metrics.jsonl").read_text().splitlines()[0])
    on_gpu = None if first["hardware"].startswith("CPU") else first["hardware"]
    page = [
        f"As it went, by `python tests/benchmarks/rehearsal.py`: {stamp('torch', 'transformers', hardware=on_gpu)}", "",
        f"Training took {train_s / 60:.1f} min and at most {train_gib:.1f} GiB of main memory; scoring took {score_s:.0f} s.",
    ]  # fmt: skip
    for command, lines in zip(commands, (prepared, trained, scored)):
        lines = [line if len(line) < 200 else line[:200] + " ..." for line in lines]
        page += ["", "```text", f"$ {command}", *lines, "```"]
    page += ["", "The first answers:", "", "```text", *answers, "```"]
    write(RESULTS / "rehearsal.md", "The dress rehearsal", page)


if __name__ == "__main__":
    main()
