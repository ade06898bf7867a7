"""Does the card do what README, tutorial and train.py say? One command for the day a GPU is there.

Reads   --data_dir: a folder that prep_data.py made with GPT-2's tokenizer; without it, rows are made up
Writes  --out: verify_gpu.md, the results as a table, rewritten after every claim; NN-NAME.log, what its runs said

    python prep_data.py --dataset tatsu-lab/alpaca --out_dir data
    python tests/benchmarks/verify_gpu.py --data_dir data --out checkpoints/verify
    python tests/benchmarks/verify_gpu.py --out checkpoints/verify --miniature       # on a CPU, in a minute

A claim is a line: what is expected, what was seen, and `holds`, `FAILS` or `not run` with the reason. They come in the order
of their worth, and --minutes (30, the goal for an RTX 4060 Ti; 9 is the goal for an H100) ends the list: what it left no time
for is said. A claim may take a quarter of it, and 4 minutes in any case. Disk: 12 GB for models, which go when the last claim
has been looked at.

Needs torch, transformers, accelerate, tensorboard, numpy and safetensors, nothing from the network. bitsandbytes, flash-attn
and TRL are looked at where they are installed; without matplotlib the README's command runs without the card of its model.
Without a GPU the claims run in miniature: tiny shapes, the CPU's own path where the card has a kernel, and limits that say
nothing about a card. Exit codes: 0 no claim fails, 1 one does, 2 a mistake in the command.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib.util
import inspect
import itertools
import json
import math
import multiprocessing
import os
import re
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn

import report

ROOT = report.ROOT
HOLDS, FAILS, NOT_RUN = "holds", "FAILS", "not run"
GIB = 2**30
SETTING_UP = 300  # seconds at most to look at the machine, and as many to make up rows
PATIENCE = 240  # seconds that a claim may take, though they are more than a quarter of all
DISK_GB = 12
STOPS: list[int] = []  # signals that asked for an end
FAST = 100  # TFLOP/s: beyond, a card's memory does not keep up with its matrix units as on those that the goals are for
WORKSPACE = 0.0625  # GiB, twice what cuBLAS sets aside on Hopper: beside a model of 8 M parameters it is no small share
VOCABULARY = 50_260  # GPT-2's tokens and three role tokens
CFGS = ("tiny", "small_test", "baseline_355m", "heavier_420m")
LAST_ONES = "--eval_every 1000000 --save_every 1000000 "  # only what the first and the last step do anyway
# losses are compared between runs, and the flash kernel's backward pass adds up in no fixed order: small steps at first
SMALL = "--cfg small_test --seq_len 1024 --batch_size 8 --grad_accum 1 --grad_checkpointing off --log_every 5 "
SMALL += "--warmup_steps 10 " + LAST_ONES
LARGE = "--cfg baseline_355m --seq_len 1024 --batch_size 8 --grad_accum 4 --grad_checkpointing off --bf16 --vram_gb 16 "
LARGE += "--log_every 5 --warmup_steps 15 " + LAST_ONES
ATTENTION = r", (attention [\w ]+), on "  # the plan says which path it is
# put behind a command's own flags, where the last one counts
MINIATURE = "--n_layer 2 --n_embd 64 --n_head 2 --seq_len 128 --batch_size 2 --grad_accum 2 --cpu"


# ---------------------------------------------------------------------------------------------------------
# 1 The claims. Each function takes the bench and the claim's limit, and returns (does it hold, what was seen).


def readme_command(bench: Bench, steps: float) -> tuple[bool, str]:
    """The training command of the README as it stands, for its first steps."""
    run = bench.train("readme", readme_flags() + f" --max_steps {steps:.0f} --log_every 5", as_typed=True)
    losses = [row["loss"] for row in run.rows if "loss" in row]
    first = next(row["val_loss"] for row in run.rows if "val_loss" in row)
    done = max(row["step"] for row in run.rows if "step" in row)
    even = float(run.said(r"ln\(vocabulary\) ([\d.]+)"))
    # the drawn weights prefer some tokens: on made-up rows of ten letters 355 M parameters began 0.18 above, 124 M 0.40
    holds = done == steps and all(map(math.isfinite, losses)) and abs(first - even) < 1
    seen = f"{done} steps, validation loss {first:.2f} untrained where ln(vocabulary) is {even:.2f}, {run.speed()}"
    path = run.said(ATTENTION)  # sdpa with a mask instead of a kernel would be slow without a word
    return holds and (path == "attention documents by bounds" or not bench.card.get("kernel")), f"{seen}, {path}"


def kernel(bench: Bench, limit: float) -> tuple[bool, str]:
    """The variable-length kernel on packed documents beside softmax(q k^T) v written out for each, in float64."""
    bench.needs_kernel()
    found = bench.job(attention_job, device=bench.device)
    if "refused" in found:
        return False, f"refused: {found['refused']}"
    errors = found["errors"]
    return all(error < limit for error in errors.values()), ", ".join(f"{k} {error:.1e}" for k, error in errors.items())


def refusals(bench: Bench, limit: float) -> tuple[bool, str]:
    """What the kernel cannot do it must refuse: a wrong number that nobody notices is the one thing not allowed."""
    bench.needs_kernel()
    seen, holds = [], True
    cases = {"float32": {"dtype": "float32"}, "q and k in float32": {"widened": True}, "heads of 12": {"head_size": 12}}
    for name, how in cases.items():
        found = bench.job(attention_job, device=bench.device, **how)
        if "refused" in found:
            seen.append(f"{name} refused")
        else:
            errors = found["errors"].values()
            holds = holds and all(error < limit for error in errors)
            seen.append(f"{name} taken, off by {max(errors):.1e}")
    return holds, ", ".join(seen)


def memory(bench: Bench, limit: float, cfg: str, checkpointing: str) -> tuple[bool, str]:
    """The peak that the plan of the run prints, beside the most that torch held during its steps."""
    flags = f"--cfg {cfg} --seq_len 1024 --batch_size 2 --grad_accum 2 --max_steps 2 --bf16 --vram_gb 16 {LAST_ONES}"
    bench.needs_gib({"heavier_420m": 12, "baseline_355m": 9}.get(cfg, 4))
    given = {"miniature": "--n_embd 256 --n_head 4 --batch_size 8 --grad_accum 1", "measure": "memory"}
    name = f"memory-{'all' if bench.miniature else cfg}-{checkpointing}"  # in miniature they are of one shape
    known = bench.miniature and name in bench.runs
    run = bench.earlier(name) if known else bench.train(name, flags + f"--grad_checkpointing {checkpointing}", **given)
    predicted = float(run.said(r"= ([\d.]+) GiB predicted peak"))
    measured = max(step["peak_gib"] for step in run.steps)
    seen = f"{measured:.2f} GiB measured, {predicted:.2f} predicted: off by {predicted / measured - 1:+.1%}"
    return abs(predicted - measured) <= max(limit * measured, 0 if bench.miniature else WORKSPACE), seen


def mfu(bench: Bench, goal: float, compiled: bool) -> tuple[bool, str]:
    """Model arithmetic as a share of the card's own matrix speed, in the last steps of a run, as train.py says it.

    A card beyond FAST is asked for no share, only that the compiled run is no slower than the eager one.
    """
    bench.needs_kernel()
    bench.needs_gib(14)
    bench.needs_compiler(compiled)
    name = "mfu-compiled" if compiled else "mfu-eager"
    flags = LARGE + "--max_steps 15" + (" --compile" if compiled else "")
    run = bench.train(name, flags, miniature="--max_steps 6", measure="time")
    gave_up = "; dynamo gave up (recompile_limit)" if "recompile_limit" in run.text else ""
    peak, goal_said = float(run.said(r"share of ([.0-9]+) TFLOP/s")), f"the goal is {goal:.0%}"
    if peak > FAST:
        goal = bench.earlier("mfu-eager").last["mfu"] if compiled else 0.0
        goal_said = f"on a card so fast the goal is {goal:.1%}, as without" if compiled else "no goal on a card so fast"
    return run.last["mfu"] >= goal and not gave_up, f"{run.speed()} of {peak:.2f} TFLOP/s, {goal_said}{gave_up}"


def compiled_losses(bench: Bench, limit: float) -> tuple[bool, str]:
    """The compiled step computes what the eager one does."""
    eager, compiled = bench.earlier("mfu-eager"), bench.earlier("mfu-compiled")
    return same_losses(eager.steps, compiled.steps, limit)


def packing(bench: Bench, limit: float) -> tuple[bool, str]:
    """Tokens/s over rows of many short documents that do not see one another, and over rows of one document each."""
    bench.needs_kernel()
    bench.needs_gib(14)
    flags = LARGE.replace("--log_every 5", "--log_every 3") + "--max_steps 6"
    runs = {kind: bench.train(f"packing-{kind}", flags, data=bench.texts(kind)) for kind in ("short", "whole")}
    short, whole = (run.last["tokens_per_s"] for run in runs.values())
    return short / whole >= limit, f"{short:,.0f} and {whole:,.0f} tokens/s: {short / whole:.2f}x"


def learns(bench: Bench, limit: float, flags: str, package: str | None = None) -> tuple[bool, str]:
    """Ten steps with these flags end, and with a lower loss than they began with."""
    if package and not importlib.util.find_spec(package):
        raise NotRun(f"{package} is not installed")
    arch = re.search(r"--arch (\w+)", flags)
    if arch and arch[1] not in bench.card["archs"]:
        raise NotRun(f"train.py has no --arch {arch[1]}")
    bench.needs_compiler("--compile" in flags)
    run = bench.train(re.sub(r"\W+", "-", flags).strip("-"), SMALL + "--max_steps 10 " + flags, miniature=flags)
    first, last = run.steps[0]["loss"], run.steps[-1]["loss"]
    return first - last > limit, f"loss {first:.2f} -> {last:.2f}, {run.speed()}, {run.said(ATTENTION)}"


def fp16(bench: Bench, limit: float) -> tuple[bool, str]:
    """The scaler finds its scale. A CPU has no fp16: there the claim is that it says so in a line."""
    if bench.miniature:
        run = bench.train("fp16", SMALL + "--max_steps 10 --fp16", may_fail=True)
        return run.exit_code == 2 and "Traceback" not in run.text, f"a CPU has no fp16: {run.last_line}"
    return learns(bench, limit, "--fp16")


def isolation(bench: Bench, limit: float) -> tuple[bool, str]:
    """train.py's own check that packed documents do not see one another, where a mask parts them, in float32, 28 blocks."""
    bench.needs_gib(14)
    flags = (
        f"--cfg heavier_420m --seq_len 1024 --batch_size 1 --grad_accum 1 --fp32 --max_steps {limit:.0f} {LAST_ONES}"
    )
    run = bench.train("isolation", flags + "--grad_checkpointing on")
    return len(run.steps) == limit, f"{len(run.steps)} step, loss {run.steps[-1]['loss']:.2f}"


def out_of_memory(bench: Bench, limit: float) -> tuple[bool, str]:
    """More rows at a time than --vram_gb holds: train.py halves them and goes on, with the losses of a run that had room."""
    common = SMALL + "--max_steps 4 --bf16 --vram_gb 4 "
    many, few = "--batch_size 32 --grad_accum 1", "--batch_size 4 --grad_accum 8"
    given = {"miniature": "--batch_size 8 --grad_accum 1", "room": 2 if bench.miniature else None}
    short = bench.train("oom", common + many, **given)
    roomy = bench.train("oom-not", common + few, miniature="--batch_size 2 --grad_accum 4")
    halved = re.findall(r"from here (\d+) rows", short.text)
    holds, seen = same_losses(short.steps, roomy.steps, limit)
    return holds and bool(halved), f"{' -> '.join(halved) or 'never out of memory'} rows at a time, {seen}"


def resume(bench: Bench, limit: float) -> tuple[bool, str]:
    """Stopped by SIGTERM at step 10 and run again: the losses of the second half are those of a run that never stopped."""
    flags = SMALL + "--max_steps 20 --bf16"
    whole = bench.train("resume-not", flags)
    first = bench.train("resume", flags, stop_after=10, saves=True)
    second = bench.train("resume", flags, saves=True)
    if "resume     from" not in second.text or len(first.steps) != 10:
        return False, f"stopped after {len(first.steps)} steps, then {second.last_line}"
    return same_losses(first.steps + second.steps, whole.steps, limit)


def change_precision(bench: Bench, limit: float) -> tuple[bool, str]:
    """A snapshot of a bf16 run has no scaler in it; another precision goes on from it all the same."""
    before = bench.earlier("resume").steps[-1]["loss"]
    to = "--fp32" if bench.miniature else "--fp16"
    losses = [step["loss"] for step in bench.train("resume", SMALL + f"--max_steps 24 {to}").steps]
    seen = f"{len(losses)} steps more with {to}, loss {before:.2f} before and {losses[0]:.2f} after"
    return len(losses) == limit and all(map(math.isfinite, losses)) and abs(losses[0] - before) < 0.5, seen


def within_16_gib(bench: Bench, limit: float, flags: str) -> tuple[bool, str]:
    """A long shape on a card of 16 GB, with the rows of the README's command."""
    bench.needs_gib(14.5)
    given = f"--batch_size 2 --grad_accum 16 --bf16 --vram_gb 16 --max_steps 4 --log_every 2 {LAST_ONES}"
    run = bench.train(re.sub(r"\W+", "-", flags).strip("-"), f"{flags} {given}")
    holds = "out of GPU memory" not in run.text and run.reserved_gib <= limit
    held = "" if bench.miniature else f"{run.reserved_gib:.2f} GiB held, "
    return holds, f"{held}{run.said('gradient checkpointing o[nf]+')}, {run.speed()}"


def dry_run(bench: Bench, limit: float, flags: str, fits: bool) -> tuple[bool, str]:
    """The plan ends in a time, or in a line of advice where the memory does not suffice; never in a traceback."""
    bench.needs_gib(14 if fits else 0)
    run = bench.train(re.sub(r"\W+", "-", flags).strip("-"), flags + " --dry_run", may_fail=True)
    holds = run.exit_code in (0, limit) and "Traceback" not in run.text
    holds = holds and bool(re.search(r"[\d.]+ s a step here", run.text) or not fits)
    advice = re.search(r"fastest that fits: (.*)", run.text)
    return holds, run.last_line + (f"; fastest that fits: {advice[1]}" if advice else "")


def week_plan(bench: Bench, limit: float) -> tuple[bool, str]:
    """The plan of `./run_all.sh week`, for so many hours: two sizes built, compiled and measured, and one of them chosen."""
    run = bench.train("week-plan", f"{week_flags(limit)} --dry_run", shape="--cpu --seq_len 128")
    return run.exit_code == 0, run.said(r"(\S.*) <- chosen")


def one_wait(bench: Bench, limit: float) -> tuple[bool, str]:
    """How often a step makes Python wait for the GPU, by torch's own count; once it must, to know the loss."""
    if bench.miniature:
        raise NotRun("a CPU has nothing to wait for")
    bench.needs_kernel()
    run = bench.train("waits", SMALL + "--max_steps 6 --bf16", measure="waits")
    waits = [step["waits"] for step in run.steps[2:]]  # the first ones prepare kernels and moments
    return 1 <= min(waits) <= max(waits) <= limit, f"{waits} in steps 3 to {len(run.steps)}"


def chat(bench: Bench, limit: float) -> tuple[bool, str]:
    """Answers of the model that the README's command left, token by token, over a conversation and a fresh one."""
    answers = bench.chat("chat")
    speed = chat_speed(answers)
    return speed > limit, f"{speed:.1f} tokens/s, the first after {1000 * statistics.median(wait(answers)):.0f} ms"


def chat_compiled(bench: Bench, limit: float) -> tuple[bool, str]:
    """--compile pays off once it has compiled, and /reset does not make it compile again."""
    bench.needs_compiler()
    plain, compiled = chat_speed(bench.earlier("chat")), chat_speed(answers := bench.chat("chat-compiled", "--compile"))
    start = max((gap for times in answers[:-2] for gap in gaps(times)), default=0.0)  # an answer may be one token
    seen = f"{compiled:.1f} tokens/s, plain {plain:.1f}: {compiled / plain:.2f}x after {start:.0f} s of compiling"
    return compiled / plain >= limit, seen


def score_sheet(bench: Bench, limit: float, flags: str = "") -> tuple[bool, str]:
    """inference.py scores that model on held-out questions as training did, though they are a few of them."""
    if flags and not importlib.util.find_spec("bitsandbytes"):
        raise NotRun("bitsandbytes is not installed")
    evaluated = bench.earlier("readme").last_row("val_loss")["val_loss"]
    questions, out = bench.questions(16), bench.out / "models" / "sheet.jsonl"
    bench.ask(*f"--prompts_file {questions} --out {out} --max_new_tokens 16 {flags}".split())
    answers = len(out.read_text(encoding="utf-8").splitlines())
    loss = math.log(json.loads(out.with_suffix(".score.json").read_text())["scores"]["perplexity"]["value"])
    seen = f"{answers} answers, {loss:.2f} nats a token, {evaluated:.2f} over all questions"
    return answers == 16 and abs(loss - evaluated) < limit, seen


def beside(bench: Bench, limit: float, kind: str) -> tuple[bool, str]:
    """Supervised tokens/s of train.py and of another trainer, from the same rows with the same shape and precision."""
    for package in ("trl", "datasets") if kind == "trl" else ():
        if not importlib.util.find_spec(package):
            raise NotRun(f"{package} is not installed")
    flags = SMALL.replace("--batch_size 8 --grad_accum 1", "--batch_size 4 --grad_accum 2") + "--max_steps 10 --bf16"
    ours = bench.runs.get("beside") or bench.train("beside", flags)
    theirs = bench.job(trainer_job, kind=kind, argv=bench.flags("beside-theirs", flags))
    steps = ours.steps[3:]
    speed = sum(step["learned"] for step in steps) / sum(step["seconds"] for step in steps)
    seen = (
        f"{speed:,.0f} and {theirs['learned_per_s']:,.0f} supervised tokens/s: {speed / theirs['learned_per_s']:.1f}x"
    )
    return speed / theirs["learned_per_s"] >= limit, seen


@dataclasses.dataclass(frozen=True)
class Claim:
    """name; what is expected, with the limit in it; the check; the limit on a card, and in miniature."""

    name: str
    expected: str
    check: Callable[..., tuple[bool, str]]
    on_a_card: float
    in_miniature: float


TWO_CORES = 20.5  # tokens/s of baseline_355m in bf16 without a card: results/inference.md
LOSSES = "each loss within {:g} of the other's"
FALLS = "the loss falls in 10 steps"
SCORED = "16 answers, a loss within {:g} of the validation loss"
CLAIMS = [  # in the order of their worth
    Claim("the README's command", "{:g} steps, finite; untrained within 1 of ln(vocabulary)", readme_command, 20, 20),
    Claim("kernel against mathematics", "forward and gradients within {:g} of the largest", kernel, 2e-2, 1e-5),
    Claim("refusals of the kernel", "each refused, or right to {:g}", refusals, 2e-2, 1e-5),
    Claim("MFU, eager", "at least {:.0%} of the measured matrix speed", partial(mfu, compiled=False), 0.65, 0),
    Claim("MFU, --compile", "at least {:.0%} of the measured matrix speed", partial(mfu, compiled=True), 0.75, 0),
    Claim("plan of the week", "a size for {:g} hours", week_plan, 0.1, 1e-4),
    Claim("steps of the week", FALLS, partial(learns, flags="--arch qwen3 --optim muon --compile --bf16"), 0, 0),
    *(
        Claim(
            f"{flags} within 16 GiB", "at most {:g} GiB held, never out of memory",
            partial(within_16_gib, flags=flags), 15, 15,  # as train.py's USABLE_VRAM plans it
        )
        for flags in ("--cfg heavier_420m --seq_len 1024", "--cfg baseline_355m --seq_len 2048")
    ),
    *(
        Claim(
            f"memory of {cfg}, checkpointing {checkpointing}", "predicted peak within {:.0%} of the measured one",
            partial(memory, cfg=cfg, checkpointing=checkpointing), 0.1, 0.5,
        )
        for cfg in reversed(CFGS)
        for checkpointing in ("off", "on")
    ),
    Claim("isolated packing", "at least {:g}x the speed of one document a row", packing, 0.9, 0.01),
    Claim("out of memory and back", "half the rows until they fit; " + LOSSES, out_of_memory, 0.02, 1e-4),
    Claim("stop and resume", LOSSES, resume, 0.02, 1e-6),
    Claim("bf16 snapshot, another precision", "{:g} steps more, that begin where it was", change_precision, 4, 4),
    Claim("chat", "more than {:g} tokens/s", chat, TWO_CORES, 1),
    Claim("chat, --compile", "at least {:g}x the speed without, after /reset too", chat_compiled, 1.0, 0.01),
    Claim("score sheet", SCORED, score_sheet, 0.5, 0.5),
    *(
        Claim(flags, SCORED, partial(score_sheet, flags=flags), 0.5, 0.5)
        for flags in ("--quantize int8", "--quantize nf4")
    ),
    Claim("--fp16", FALLS, fp16, 0, 0),
    Claim("--arch llama", FALLS, partial(learns, flags="--arch llama"), 0, 0),
    Claim("--arch qwen3", FALLS, partial(learns, flags="--arch qwen3"), 0, 0),
    Claim("--optim muon", FALLS, partial(learns, flags="--optim muon --bf16"), 0, 0),
    Claim("--optim adamw8bit", FALLS, partial(learns, flags="--optim adamw8bit", package="bitsandbytes"), 0, 0),
    Claim("heads of 12", FALLS, partial(learns, flags="--n_embd 96 --n_head 8 --bf16"), 0, 0),
    Claim("--use_flash_attn", FALLS, partial(learns, flags="--use_flash_attn --bf16", package="flash_attn"), 0, 0),
    Claim("--fp32 by documents", FALLS, partial(learns, flags="--fp32 --attn documents"), 0, 0),
    Claim("compiled losses", LOSSES, compiled_losses, 0.05, 1e-4),
    Claim("isolation by a mask", "train.py's check passes, and {:g} step", isolation, 1, 1),
    Claim(
        "dry run", "a plan with the time of a step",
        partial(dry_run, flags="--cfg baseline_355m --batch_size 2 --grad_accum 16 --bf16 --vram_gb 16", fits=True), 0, 0,
    ),
    Claim(
        "dry run beyond the memory", "a plan or a line of advice",
        partial(dry_run, flags="--cfg small_test --batch_size 64 --grad_accum 1 --vram_gb 3 --grad_checkpointing off", fits=False),
        2, 2,
    ),
    Claim("waits for the GPU", "at most {:g} a step", one_wait, 1, 1),
    Claim("beside the HF Trainer", "at least {:g}x its supervised tokens/s", partial(beside, kind="hf"), 1, 0.01),
    Claim("beside TRL, packed", "at least {:g}x its supervised tokens/s", partial(beside, kind="trl"), 1, 0.01),
]  # fmt: skip


# ---------------------------------------------------------------------------------------------------------
# 2 What the claims share


class NotRun(Exception):
    """Why a claim was not looked at."""


class Failed(Exception):
    """What a run said that should have ended well."""


@dataclasses.dataclass
class Run:
    """A run of train.py: its exit code, what it said, its metrics.jsonl, and what `train_job` saw of its steps."""

    exit_code: int
    text: str
    rows: list[dict]
    steps: list[dict] = dataclasses.field(default_factory=list)
    reserved_gib: float = 0.0

    @property
    def last(self) -> dict:
        """The last line of numbers: means over the steps since the one before."""
        return self.last_row("tokens_per_s")

    def last_row(self, name: str) -> dict:
        return [row for row in self.rows if name in row][-1]

    @property
    def last_line(self) -> str:
        return last_words(self.text)

    def speed(self) -> str:
        gib = re.findall(r"\| ([\d.]+ GiB) \|", self.text)
        return f"{self.last['tokens_per_s']:,.0f} tokens/s, MFU {self.last['mfu']:.1%}" + (
            f", {gib[-1]}" if gib else ""
        )

    def said(self, pattern: str) -> str:
        found = re.search(pattern, self.text)
        if not found:
            raise Failed(f"nothing like {pattern!r} was said; last: {self.last_line}")
        return found[found.re.groups]


def last_words(text: str) -> str:
    """The line that says what went wrong, else the last one: advice on how to debug comes behind CUDA's errors."""
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()] or ["said nothing"]
    return ([line for line in lines if re.match(r"[\w.]*(Error|Exception)\b|\w+\.py: error:", line)] or lines)[-1]


def same_losses(these: list[dict], those: list[dict], limit: float) -> tuple[bool, str]:
    """Step by step, as far as the limit; a loss that is not a number is never the same."""
    differences = [abs(a["loss"] - b["loss"]) for a, b in zip(these, those)]
    holds = len(these) == len(those) and all(difference <= limit for difference in differences)
    return holds, f"{len(these)} and {len(those)} steps, losses differ by at most {max(differences):.2g}"


def gaps(times: list[float]) -> list[float]:
    """Seconds from each token of an answer to the next, the first token's own not among them."""
    return [b - a for a, b in zip(times[1:], times[2:])]


def wait(answers: list[list[float]]) -> list[float]:
    """Seconds from each question to the first token of its answer."""
    return [times[1] - times[0] for times in answers]


def chat_speed(answers: list[list[float]]) -> float:
    """Tokens/s after the first token, in the answers after /reset."""
    after = [gap for times in answers[-2:] for gap in gaps(times)]
    if not after:
        raise Failed("the answers after /reset have a token each, too few for a speed")
    return len(after) / sum(after)


def readme_flags() -> str:
    """The flags of the README's training command; folders and the number of steps come behind it and count."""
    command = re.search(r"python train\.py (.*?--bf16)", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    return " ".join(command[1].replace("\\\n", " ").split())


def week_flags(hours: float) -> str:
    """What `./run_all.sh week` trains its base with, for so many hours."""
    given = re.search(r"pretrain=\((.*)\)", (ROOT / "run_all.sh").read_text(encoding="utf-8"))
    return f"{given[1]} --max_hours {hours:g}"


@dataclasses.dataclass
class Bench:
    """Where the claims run, and what they have found so far. Times are in seconds."""

    out: Path
    data: Path
    miniature: bool
    budget: float
    card: dict  # what survey_job returned
    began: float = dataclasses.field(default_factory=time.perf_counter)
    log: Path = Path()
    runs: dict = dataclasses.field(default_factory=dict)

    @property
    def device(self) -> str:
        return "cpu" if self.miniature else "cuda"

    def left(self) -> float:
        return self.budget - (time.perf_counter() - self.began)

    def needs_gib(self, gib: float) -> None:
        if self.miniature or self.card["free_gib"] >= gib:
            return
        has, free = self.card["gib"], self.card["free_gib"]
        raise NotRun(
            f"needs {gib:g} GiB, the card has {has:.1f}"
            + (f": {free:.1f} are free, other programs and the driver hold {has - free:.1f}" if has >= gib else "")
        )

    def needs_kernel(self) -> None:
        if not self.miniature and not self.card["kernel"]:
            raise NotRun("the kernel wants torch 2.10 and a card of compute capability 8.0")

    def needs_compiler(self, compiled: bool = True) -> None:
        if compiled and not self.miniature and self.card["no_compile"]:
            raise NotRun(f"--compile needs {self.card['no_compile']}")

    def earlier(self, name: str):
        if name not in self.runs:
            raise NotRun(f"the run {name} that it looks at did not end")
        with self.log.open("a") as log:
            log.write(f"\nthe run models/{name} is an earlier claim's, and so is its log\n")
        return self.runs[name]

    def texts(self, kind: str) -> Path:
        """A data folder of plain text: `short` documents, many a row, or `whole` ones, that fill a row each."""
        folder = self.out / f"data-{kind}"
        if not folder.exists():
            self.job(data_job, folder=str(folder), kind=kind, miniature=self.miniature)
        return folder

    def questions(self, n: int) -> Path:
        """The first conversations of the held-out ones."""
        source, file = self.data / "val.jsonl", self.out / "models" / "questions.jsonl"
        if not source.exists():
            raise NotRun(f"{source} is not there")
        with source.open(encoding="utf-8") as lines:
            file.write_text("".join(itertools.islice(lines, n)), encoding="utf-8")
        return file

    def flags(
        self, name: str, flags: str, miniature: str = "", data: Path | None = None, shape: str = MINIATURE
    ) -> list[str]:
        """The arguments of train.py for a run of this name; the last one of a flag counts."""
        argv = [*flags.split(), *(f"{shape} {miniature}".split() if self.miniature else [])]
        return [*argv, "--data_dir", str(data or self.data), "--model_dir", str(self.out / "models" / name)]

    def train(
        self, name: str, flags: str, miniature: str = "", data: Path | None = None, shape: str = MINIATURE,
        as_typed: bool = False, may_fail: bool = False, **options,
    ) -> Run:  # fmt: skip
        """Run train.py; options are train_job's. as_typed: as a user does, with nothing watched."""
        argv = self.flags(name, flags, miniature, data, shape)
        if as_typed and importlib.util.find_spec("matplotlib") and not self.miniature:
            found = self.command("train.py", argv)
        else:
            found = self.job(train_job, argv=argv, **{"saves": as_typed, **options})
        metrics = self.out / "models" / name / "metrics.jsonl"
        rows = [json.loads(line) for line in metrics.read_text().splitlines()] if metrics.exists() else []
        run = Run(found.pop("exit_code"), found.pop("text"), rows, **found)
        if run.exit_code == 2 and re.search("has no bf16|needs torch", run.last_line):
            raise NotRun(run.last_line)
        if run.exit_code and not may_fail:
            raise Failed(f"exit code {run.exit_code}: {run.last_line}")
        self.runs[name] = run
        if not options.get("saves") and not as_typed:  # its numbers are read; its weights were never written
            shutil.rmtree(metrics.parent, ignore_errors=True)
        return run

    def chat(self, name: str, *flags: str) -> list[list[float]]:
        """Times of the start and of every token, of each answer to five questions with a /reset after the third."""
        answers = self.ask("--greedy", "--max_new_tokens", "16" if self.miniature else "64", *flags)
        self.runs[name] = answers
        return answers

    def ask(self, *flags: str) -> list[list[float]]:
        """inference.py with the model that the README's command left; what chat_job saw."""
        self.earlier("readme")
        argv = ["--model_dir", str(self.out / "models" / "readme"), *flags]
        found = self.job(chat_job, argv=argv, device=self.device)
        if found["exit_code"]:
            raise Failed(f"exit code {found['exit_code']}: {last_words(found['text'])}")
        return found["answers"]

    def command(self, script: str, argv: list[str]) -> dict:
        """Run a script of the project as a user does."""
        note(self.log, script, argv)
        with self.log.open("a") as log:
            start = self.log.stat().st_size
            try:
                done = subprocess.run(
                    [sys.executable, script, *argv], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log,
                    stderr=subprocess.STDOUT, timeout=self.patience(), check=False,
                )  # fmt: skip
            except subprocess.TimeoutExpired as error:
                self.too_long(error.timeout)
        return {"exit_code": done.returncode, "text": read_from(self.log, start)}

    def job(self, function: Callable[..., dict], patience: float | None = None, **arguments) -> dict:
        """Run a function of section 3 in a process of its own; what it returned, its exit code and what it said."""
        if "argv" in arguments:
            note(self.log, "inference.py" if function is chat_job else "train.py", arguments["argv"])
        start = self.log.stat().st_size if self.log.exists() else 0
        seconds, result = patience or self.patience(), self.log.with_suffix(".json")
        process = processes().Process(target=in_process, args=(function, arguments, str(self.log), str(result)))
        try:
            process.start()
            end = time.monotonic() + seconds
            while process.is_alive() and time.monotonic() < end and not STOPS:
                process.join(0.5)
            if STOPS:  # Python loses an interrupt that comes while it cleans up after an import
                raise KeyboardInterrupt
            in_time = not process.is_alive()
        finally:  # whatever ends this ends that, which would hold the card
            if process.pid:
                process.kill()
                process.join()
        if not in_time:
            self.too_long(seconds)
        found = json.loads(result.read_text()) if result.exists() else {}
        result.unlink(missing_ok=True)
        text = read_from(self.log, start)
        if not found and function not in (train_job, chat_job):
            raise Failed(f"exit code {process.exitcode}: {last_words(text)}")
        answers = {"answers": []} if function is chat_job else {}
        return {**answers, **found, "exit_code": process.exitcode, "text": text}

    def patience(self) -> float:
        return max(1.0, min(self.left(), max(self.budget / 4, PATIENCE)))

    def too_long(self, seconds: float) -> NoReturn:
        if self.left() < 1:
            raise NotRun(f"no time was left, stopped after {seconds:.0f} s")
        raise Failed(f"was still running after {seconds:.0f} s")


def note(log: Path, script: str, argv: list[str]) -> None:
    with log.open("a") as file:
        file.write(f"\n$ python {script} {shlex.join(argv)}\n")


def read_from(log: Path, start: int) -> str:
    return log.read_bytes()[start:].decode(errors="replace") if log.exists() else ""


# ---------------------------------------------------------------------------------------------------------
# 3 What runs in processes of its own: a crash, an illegal address or memory that is held ends with them


def processes():
    """Processes forked from a server that has imported torch and touched no GPU, so that none waits for imports."""
    methods = multiprocessing.get_all_start_methods()
    forking = "forkserver" in methods and not os.environ.get("VERIFY_GPU_SPAWN")
    context = multiprocessing.get_context("forkserver" if forking else "spawn")
    if forking:
        # what they import as they go would be imported by each process anew
        lazily = ["prep_data", "transformers.models.gpt2.modeling_gpt2"]
        context.set_forkserver_preload(["train", "inference", *lazily])
    return context


def in_process(function: Callable[..., dict], arguments: dict, log: str, result: str) -> None:
    with open(log, "a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)
    found = {}
    try:
        found = function(**arguments)
    finally:
        Path(result).write_text(json.dumps(found))


def survey_job(miniature: bool) -> dict:
    """The machine, and what train.py can do."""
    import torch

    import train

    parser = train.build_parser()
    (archs,) = (action.choices for action in parser._actions if action.dest == "arch")
    found = {"archs": list(archs), "cuda": torch.cuda.is_available(), "gib": 0.0}
    if miniature or not found["cuda"]:
        return {**found, "name": train.device_name(torch.device("cpu"))}
    torch.ones(1, device="cuda")
    found["name"], found["no_compile"] = torch.cuda.get_device_name(0), train.why_no_compile()
    found["free_gib"], found["gib"] = (n_bytes / GIB for n_bytes in torch.cuda.mem_get_info())
    has_kernel = importlib.util.find_spec("torch.nn.attention.varlen") is not None
    found["kernel"] = has_kernel and torch.cuda.get_device_capability(0) >= (8, 0)
    return found


def data_job(folder: str, kind: str, miniature: bool) -> dict:
    """Made-up rows, prepared by prep_data.py: `chat`, or plain text of `short` or `whole` documents.

    The tokenizer knows bytes and as many tokens more, never used, as GPT-2's has, so that a model has its true size.
    """
    import numpy as np
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    import prep_data

    rng, work = np.random.default_rng(0), Path(folder + ".tmp")
    work.mkdir()
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    unused = 0 if miniature else VOCABULARY - len(letters) - 1 - len(prep_data.ROLE_TOKENS)
    vocabulary = {token: i for i, token in enumerate([*letters, *(f"unused{i}" for i in range(unused))])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer.add_special_tokens([prep_data.EOS])
    tokenizer.save(str(work / "tokenizer.json"))

    def text(length: int) -> str:  # a letter is a token
        words = "".join(rng.choice(list("aeiounrst "), size=length - 2))
        return "a" + " ".join(words.split()).ljust(length - 2, "n") + "a"

    seq_len, n_rows = (128, 200) if miniature else (1024, 3000)
    if kind == "chat":
        sizes = rng.integers(seq_len // 12, seq_len // 4, size=(n_rows, 2))
        rows = [
            {"messages": [{"role": "user", "content": text(q)}, {"role": "assistant", "content": text(a)}]}
            for q, a in sizes.tolist()
        ]
    else:  # the end of a document is a token too
        lengths = (
            rng.integers(32, 321, size=n_rows) * seq_len // 1024 + 4 if kind == "short" else [seq_len - 1] * n_rows
        )
        rows = [{"text": text(int(length))} for length in lengths[: n_rows if kind == "short" else n_rows // 8]]
    (work / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    prep_data.main(["--dataset", str(work / "rows.jsonl"), "--out_dir", folder, "--tokenizer", str(work), "--seq_len",
                    str(seq_len), "--val_fraction", "0.05"])  # fmt: skip
    return {"rows": len(rows)}


def attention_job(device: str, dtype: str = "bfloat16", widened: bool = False, head_size: int = 64) -> dict:
    """Errors of train.py's attention over packed documents, relative to the largest value; or its refusal.

    widened: q and k in float32 beside a v of 16 bits, as RoPE leaves them under autocast.
    """
    import torch

    import train

    lengths, n_heads = (11, 21, 300, 692), 4
    dtype = torch.float32 if device == "cpu" else getattr(torch, dtype)
    torch.manual_seed(0)
    shape = (1, n_heads, sum(lengths), head_size)
    q, k, v = (torch.randn(shape).to(device, dtype).requires_grad_() for _ in range(3))
    bounds = [0, *itertools.accumulate(lengths)]
    cu_seqlens = torch.tensor(bounds, dtype=torch.int32, device=device)
    try:
        given = (q.float(), k.float(), v) if widened else (q, k, v)
        given = (None, *given, None, head_size**-0.5)
        if device == "cuda":
            kernel = train.find_flash_kernel(False, config=None)
            out, _ = train.attention_by_bounds(*given, bounds=(kernel, cu_seqlens, max(lengths)))
        else:
            out, _ = train.attention_by_groups(*given, groups=train.group_documents(cu_seqlens))
        weights = torch.randn(out.shape, device=device)
        (out.float() * weights).sum().backward()
        exact = [x.detach().double().requires_grad_() for x in (q, k, v)]
        parts = []
        for a, b in zip(bounds, bounds[1:]):
            q_, k_, v_ = (x[:, :, a:b] for x in exact)
            scores = q_ @ k_.transpose(2, 3) * head_size**-0.5
            hidden = torch.ones(b - a, b - a, dtype=torch.bool, device=device).triu(1)
            parts.append((scores.masked_fill(hidden, -math.inf).softmax(3) @ v_).transpose(1, 2))
        reference = torch.cat(parts, dim=1)  # (B, T, H, D), as the attention returns it
        (reference * weights).sum().backward()
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        if "CUDA error" in str(error) or isinstance(error, torch.OutOfMemoryError):
            raise  # it broke, or there was no room for it
        return {"refused": f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"}
    pairs = {
        "output": (out, reference),
        **{f"gradient of {n}": (x.grad, y.grad) for n, x, y in zip("qkv", (q, k, v), exact)},
    }
    return {"errors": {name: ((a - b).abs().max() / b.abs().max()).item() for name, (a, b) in pairs.items()}}


def train_job(
    argv: list[str], saves: bool = False, measure: str = "time", stop_after: int | None = None, room: int | None = None
) -> dict:
    """train.main(argv), watched step by step: loss, seconds, tokens, and what `measure` names, time, memory or waits.

    saves: evaluate, write weights and snapshots; else none of it, which would take longer than the steps. stop_after:
    SIGTERM after so many steps. room: pretend to run out of memory with more rows at a time.
    """
    import torch

    import train

    steps, training_step, cuda = [], train.training_step, "--cpu" not in argv and torch.cuda.is_available()
    if cuda:
        train.build_model = partial(build_there, train.build_model)
    stubs = {"write_model_card": None}  # wants matplotlib
    if not saves:
        stubs |= {"evaluate": 1.0, "sample_answers": [], "write_weights": None, "write_snapshot": None}
    for name, value in stubs.items():
        assert hasattr(train, name), f"train.py has no {name} any more"
        setattr(train, name, lambda *_, value=value, **__: value)

    def watched(*arguments, **named):
        given = inspect.signature(training_step).bind(*arguments, **named).arguments
        if room and given["micro_batch"] > room:
            raise torch.OutOfMemoryError("pretended")
        rows, step_rows, step = given["rows"], given["step_rows"], {}
        watch = memory_of(step, given, len(steps), cuda) if measure == "memory" else contextlib.nullcontext()
        watch = waits_of(step) if measure == "waits" else watch
        began = time.perf_counter()
        with watch:
            loss, grad_norm = training_step(*arguments, **named)
        step |= {"loss": loss, "grad_norm": grad_norm, "seconds": time.perf_counter() - began}
        step |= {"learned": rows.count_learned(step_rows), "tokens": sum(rows.count_tokens(step_rows))}
        steps.append(step)
        if len(steps) == stop_after:
            signal.raise_signal(signal.SIGTERM)
        return loss, grad_norm

    train.training_step = watched
    train.main(argv)
    return {"steps": steps, "reserved_gib": torch.cuda.max_memory_reserved() / GIB if cuda else 0.0}


def build_there(build_model, *arguments):
    """train.build_model on the card, which draws random numbers at once; a CPU takes longer than all the steps."""
    import torch

    with torch.device("cuda"):
        return build_model(*arguments)


@contextlib.contextmanager
def memory_of(step: dict, given: dict, number: int, cuda: bool):
    """The most that was held during a step, in GiB; on a CPU by torch's tracker, once the moments are there."""
    import torch

    step["peak_gib"] = 0.0
    if cuda:
        torch.cuda.reset_peak_memory_stats()
        yield
        step["peak_gib"] = torch.cuda.max_memory_allocated() / GIB
    elif number == 1:
        from torch.distributed._tools.mem_tracker import MemTracker

        tracker = MemTracker()
        optimizers = [getattr(optimizer, "optimizer", optimizer) for optimizer in given["optimizers"]]
        tracker.track_external(given["loss_module"], *optimizers)
        with tracker:
            yield
        (parts,) = tracker.get_tracker_snapshot("peak").values()
        step["peak_gib"] = max(parts.values()) / GIB  # the total
    else:
        yield


@contextlib.contextmanager
def waits_of(step: dict):
    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")
    step["waits"] = sum("synchroniz" in str(warning.message) for warning in caught)


def chat_job(argv: list[str], device: str) -> dict:
    """inference.main(argv) over questions from a pipe; the times of every answer's tokens."""
    import torch

    import inference

    answers, generate, compile = [], inference.Chatbot.generate, torch.compile

    def watched(bot, *arguments, **named):
        try:
            yield from generate(bot, *arguments, **named)
        finally:  # the chat leaves off at <|endoftext|>
            answers.append(bot.times)

    inference.Chatbot.generate = watched
    if device == "cpu":
        argv = [*argv, "--device", "cpu", "--dtype", "fp32"]
        inference.torch.compile = lambda function, **_: compile(function, backend="eager")  # no C++ compiler needed
        inference.why_no_compile = lambda device: None
    questions = ["Name a river.", "And a lake?", "Where?", "/reset", "Name a city.", "And its river?"]
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as file:
        file.write("\n".join(questions) + "\n")
    sys.stdin = os.fdopen(reader)
    inference.main(argv)
    return {"answers": answers}


def trainer_job(kind: str, argv: list[str]) -> dict:
    """Supervised tokens/s of `hf`, transformers' Trainer over padded rows, or `trl`, SFTTrainer over packed ones."""
    import torch
    import transformers

    import train

    args = train.build_parser().parse_args(argv)
    args.precision, data, cuda = "bf16", Path(args.data_dir), not args.cpu
    tokenizer = transformers.AutoTokenizer.from_pretrained(data / "tokenizer")
    torch.manual_seed(args.seed)
    build_model = partial(build_there, train.build_model) if cuda else train.build_model
    model = build_model(args, len(tokenizer), "sdpa")
    model.config.use_cache = False
    packed = kind == "trl"
    batch_size, grad_accum = (
        (args.batch_size, args.grad_accum) if packed or args.cpu else (8, 4)
    )  # padded rows are short
    settings = {
        "output_dir": args.model_dir, "max_steps": args.max_steps, "report_to": "none", "save_strategy": "no",
        "per_device_train_batch_size": batch_size, "gradient_accumulation_steps": grad_accum, "learning_rate": 6e-4,
        "logging_strategy": "no", "disable_tqdm": True, "bf16": True,
        "use_cpu": not cuda, "dataloader_pin_memory": cuda, "gradient_checkpointing": False,
    }  # fmt: skip
    name = "train.jsonl" if packed else "train_tokenized.jsonl"
    rows = [json.loads(line) for line in itertools.islice((data / name).open(encoding="utf-8"), 2000)]
    if packed:
        import datasets
        import trl

        system = [{"role": "system", "content": ""}]
        rows = [{"messages": system + row["messages"]} for row in rows if "messages" in row]
        config = trl.SFTConfig(**settings, max_length=args.seq_len, packing=True, assistant_only_loss=True)
        trainer = trl.SFTTrainer(
            model, config, train_dataset=datasets.Dataset.from_list(rows), processing_class=tokenizer
        )
    else:
        rows = [{key: row[key][: args.seq_len] for key in ("input_ids", "labels")} for row in rows]
        collator = transformers.DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=-100)
        trainer = transformers.Trainer(
            model, transformers.TrainingArguments(**settings), train_dataset=rows, data_collator=collator
        )
    learned, ends, collate = [], [], trainer.data_collator

    def counted(*arguments, **named):
        batch = collate(*arguments, **named)
        learned.append(int((batch["labels"][..., 1:] != -100).sum()))
        return batch

    class Clock(transformers.TrainerCallback):
        def on_step_end(self, *_, **__):
            if cuda:
                torch.cuda.synchronize()
            ends.append(time.perf_counter())

    trainer.data_collator = counted
    trainer.add_callback(Clock)
    trainer.train()
    per_step = statistics.mean(learned) * settings["gradient_accumulation_steps"]
    return {"learned_per_s": per_step * (len(ends) - 3) / (ends[-1] - ends[2])}  # not the first three steps


# ---------------------------------------------------------------------------------------------------------
# 4 The list and the table


def look_at(bench: Bench, claim: Claim, log: Path) -> tuple[str, str]:
    """(verdict, what was seen) of a claim."""
    bench.log = log
    if bench.left() < 5:
        return NOT_RUN, "no time was left"
    try:
        holds, seen = claim.check(bench, claim.in_miniature if bench.miniature else claim.on_a_card)
        return HOLDS if holds else FAILS, seen
    except NotRun as reason:
        return NOT_RUN, str(reason)
    except Failed as error:
        return FAILS, str(error)
    except Exception as error:  # a claim that cannot read what a run said is not one that holds
        with log.open("a") as file:
            file.write(traceback.format_exc())
        return FAILS, f"{type(error).__name__}: {error}"


def write_table(path: Path, bench: Bench, stamp: str, command: str, results: list[tuple[str, ...]]) -> None:
    counts = [f"{sum(result[3] == kind for result in results)} {kind}" for kind in (HOLDS, FAILS, NOT_RUN)]
    lines = [
        *(["Tiny shapes on a CPU: the limits below say nothing about a card.", ""] if bench.miniature else []),
        f"{stamp} Written by", "", "```bash", command, "```", "",
        f"Claims: {', '.join(counts)}; {bench.budget - bench.left():.0f} s.", "",
        "| claim | expected | seen | verdict | seconds | log |", "|---|---|---|---|---:|---|",
    ]  # fmt: skip
    for name, expected, seen, verdict, *rest in results:
        found = ("", f"{verdict}: {seen}") if verdict == NOT_RUN else (seen, verdict)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in (name, expected, *found, *rest)) + " |")
    report.write(path, "What the card does" if not bench.miniature else "What a card is asked, in miniature", lines)


def driver() -> str:
    """The driver's version as nvidia-smi says it, or "" where there is no card or no nvidia-smi."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        done = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True)
        return done.stdout.split("\n")[0].strip()
    return ""


def prepare(bench: Bench, function: Callable[..., dict], **arguments) -> dict:
    try:
        return bench.job(function, patience=SETTING_UP, **arguments)
    except (Failed, NotRun) as error:
        fail(f"nothing can be looked at: {error}; see {bench.log}")


def fail(message: str) -> NoReturn:
    print(f"verify_gpu.py: error: {message}", file=sys.stderr)
    raise SystemExit(2)


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        fail(f"{message}; see --help")


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        prog="verify_gpu.py",
    )
    parser.add_argument(
        "--data_dir", type=Path, help="folder that prep_data.py wrote (default, and in miniature: rows are made up)"
    )
    parser.add_argument("--out", type=Path, required=True, help="new or empty folder for the table and the logs")
    parser.add_argument("--minutes", type=float, default=30, help="for all claims together (default: 30)")
    parser.add_argument("--only", default="", metavar="TEXT", help="claims whose name holds this text")
    parser.add_argument("--miniature", action="store_true", help="tiny shapes on the CPU; so it is without a GPU")
    return parser


def stop(number, frame) -> None:
    STOPS.append(number)
    raise KeyboardInterrupt


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    args = build_parser().parse_args(argv)
    claims = [claim for claim in CLAIMS if args.only in claim.name]
    if not claims:
        fail(f"no claim has {args.only!r} in its name; they are: {'; '.join(claim.name for claim in CLAIMS)}")
    if args.data_dir and not (args.data_dir / "manifest.json").is_file():
        fail(f"{args.data_dir} is no data folder; make it: python prep_data.py --dataset ... --out_dir {args.data_dir}")
    if args.minutes <= 0:
        fail("--minutes is above 0")
    if args.out.exists() and (not args.out.is_dir() or any(args.out.iterdir())):
        fail(f"{args.out} is there and not empty; give a new folder")
    args.out.mkdir(parents=True, exist_ok=True)
    STOPS.clear()
    for number in (signal.SIGINT, signal.SIGTERM):  # either way, what runs on the card ends as well
        signal.signal(number, stop)
    try:
        return look_at_all(args, claims, "python tests/benchmarks/verify_gpu.py " + shlex.join(map(str, argv)))
    except KeyboardInterrupt:
        table = args.out.resolve() / "verify_gpu.md"
        print(f"stopped; {table} has what was seen so far" if table.exists() else "stopped", flush=True)
        return 130
    finally:
        for folder in (path for path in args.out.iterdir() if path.is_dir()):
            shutil.rmtree(folder, ignore_errors=True)


def look_at_all(args, claims: list[Claim], command: str) -> int:
    """Look at the machine, make what is missing, and then at the claims, one by one. Returns the exit code."""
    out, visible = args.out.resolve(), os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    os.environ |= {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "PYTORCH_NVML_BASED_CUDA_CHECK": "1",  # or the question whether there is a GPU spoils it for forked processes
        "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false",
        "CUDA_VISIBLE_DEVICES": visible,  # one card: the Trainer would take all
        "GOMP_SPINCOUNT": "10000",  # where the miniature shares its cores: threads that wait do not hinder others
    }  # fmt: skip
    sys.path.insert(0, str(ROOT))
    bench = Bench(out, out / "data", args.miniature, args.minutes * 60, {}, log=out / "survey.log")
    try:
        bench.card = bench.job(survey_job, patience=SETTING_UP, miniature=args.miniature)
    except Failed as error:  # forked processes do not get at the GPU: new ones, which import torch themselves
        print(f"a forked process cannot use the GPU ({error}): each run starts afresh, some seconds later", flush=True)
        os.environ["VERIFY_GPU_SPAWN"] = "1"
        bench.card = prepare(bench, survey_job, miniature=args.miniature)
    if not bench.card["cuda"] and not args.miniature:
        why = f"CUDA_VISIBLE_DEVICES is {visible!r} and hides every GPU" if visible in ("", "-1") else "there is no GPU"
        if driver() and visible not in ("", "-1"):
            fail("nvidia-smi sees a GPU, torch does not: install the torch that fits the driver (https://pytorch.org)")
        print(f"{why}: a miniature of every claim on the CPU, over made-up rows", flush=True)
        bench.miniature = True
    free_gb = shutil.disk_usage(out).free / 1e9
    if free_gb < DISK_GB and not bench.miniature:
        bench.log.unlink(missing_ok=True)  # the folder is as good as new
        fail(
            f"the models need {DISK_GB} GB of disk and {free_gb:.1f} GB are free here; make room, or give another --out"
        )
    bench.log = out / "data.log"
    if args.data_dir and not bench.miniature:
        bench.data = args.data_dir.resolve()
    else:
        prepare(bench, data_job, folder=str(bench.data), kind="chat", miniature=bench.miniature)

    card, results, width = bench.card, [], max(len(claim.name) for claim in claims)
    where = f"{card['name']}, {card['gib']:.1f} GiB, driver {driver()}" if card["gib"] else None
    stamp = report.stamp("torch", "transformers", "accelerate", hardware=where)
    for number, claim in enumerate(claims, 1):
        log = out / f"{number:02}-{re.sub(r'[^a-z0-9]+', '-', claim.name.lower()).strip('-')}.log"
        began = time.perf_counter()
        verdict, seen = look_at(bench, claim, log)
        expected = claim.expected.format(claim.in_miniature if bench.miniature else claim.on_a_card)
        seconds, said = f"{time.perf_counter() - began:.0f}", log.name if log.exists() else ""
        results.append((claim.name, expected, seen, verdict, seconds, said))
        line = f"{verdict:<7} | {claim.name:<{width}} | expected: {expected} | seen: {seen} | {seconds} s"
        print(line + (f" | {said}" if said else ""), flush=True)
        write_table(out / "verify_gpu.md", bench, stamp, command, results)
    names = {kind: [result[0] for result in results if result[3] == kind] for kind in (FAILS, NOT_RUN)}
    for kind, word in ((NOT_RUN, "were not looked at"), (FAILS, "fail")):
        print(
            f"{len(names[kind])} of {len(results)} claims {word}{': ' if names[kind] else ''}{'; '.join(names[kind])}"
        )
    print(f"the table: {out / 'verify_gpu.md'}")
    return 1 if names[FAILS] else 0


if __name__ == "__main__":
    sys.exit(main())
