"""What the parts of bench_train.py share; each part is a module that writes one section of the results.

A part imports torch and train.py where it needs them: a job in a process of its own counts its start-up and its memory.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SHAPE = {"n_layer": 4, "n_embd": 256, "n_head": 4}
SEQ_LEN = 1024
GIB = 2**30


def median(values) -> float:
    return statistics.median(values)


def prepare(folder: Path, *arguments: str) -> Path:
    command = [sys.executable, str(ROOT / "prep_data.py"), "--out_dir", str(folder), *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


def read_rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.open(encoding="utf-8")]


def device_of(args) -> str:
    import torch

    return "cuda" if torch.cuda.is_available() and not args.cpu else "cpu"


def peak_memory(device: str) -> int:
    """Bytes: the most this process held on the GPU or in main memory since the last `memory_now`."""
    import torch

    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])


def memory_now(device: str) -> int:
    """Bytes that this process holds; its peak is forgotten (Linux, where the device is a CPU)."""
    import torch

    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")
    return peak_memory(device)


def seconds_of(function, device: str) -> float:
    import torch

    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    function()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def in_process(job: str, **arguments) -> dict:
    """Run one of bench_train.py's JOBS in a fresh process, so that memory and start-up are its own; returns what it reports."""
    arguments["born"] = time.time()
    command = [sys.executable, str(ROOT / "tests/benchmarks/bench_train.py"), "--job", job, json.dumps(arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{job} failed:\n{result.stdout[-2000:]}\n{result.stderr[-4000:]}")
    return json.loads(result.stdout.splitlines()[-1])


def watch_steps(train) -> list[tuple[float, float]]:
    """From here on each training step of `train` is added to the list, as (began, ended) in seconds of perf_counter."""
    spans, training_step = [], train.training_step

    def timed_step(*arguments, **more):
        began = time.perf_counter()
        result = training_step(*arguments, **more)
        spans.append((began, time.perf_counter()))
        return result

    train.training_step = timed_step
    return spans
