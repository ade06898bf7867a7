#!/usr/bin/env python3
"""How fast and how small train.py is, beside what people would use instead.

Parts, each of them ours and the others in turn in one run, medians over --rounds; the same on a CPU and on a GPU:

    epoch    one epoch over some 200 conversations: train.py, the HF Trainer, TRL's SFTTrainer padded and packed
             (`pip install trl`), from the same weights, with the same rows, optimizer, precision and global batch
    dense    forward and backward of full rows, against a plain PyTorch GPT-2 written out here
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
import gc
import importlib.util
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
SHAPE = {"n_layer": 4, "n_embd": 256, "n_head": 4}
SEQ_LEN = 1024
PACKED_ROWS, CONVERSATIONS = 4, 32  # of a step: four packed rows hold some 32 Alpaca conversations
LEARNING_RATE = 1e-3
LABELS = {"train.py": "`train.py`", "hf_padded": "HF `Trainer`, padded", "trl_padded": "TRL `SFTTrainer`, padded",
          "trl_packed": "TRL `SFTTrainer`, packed"}  # fmt: skip
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
    """Run one of JOBS in a fresh process, so that memory and start-up are its own; returns what it reports."""
    arguments["born"] = time.time()
    command = [sys.executable, __file__, "--job", job, json.dumps(arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{job} failed:\n{result.stdout[-2000:]}\n{result.stderr[-4000:]}")
    return json.loads(result.stdout.splitlines()[-1])


# ------------------------------------------------------------------------------------- an epoch, ours and theirs


def epoch_ours(data: str, init: str, out: str, precision: str, device: str, born: float) -> dict:
    import train

    idle, spans, step = memory_now(device), [], train.training_step

    def timed_step(*arguments, **more):
        start = time.perf_counter(), time.time()
        result = step(*arguments, **more)
        spans.append((*start, time.perf_counter()))
        return result

    train.training_step = timed_step
    train.main(
        ["--data_dir", data, "--model_dir", out, "--init_from", init, "--seq_len", str(SEQ_LEN), "--epochs", "1",
         "--batch_size", str(PACKED_ROWS), "--grad_accum", "1", "--lr", str(LEARNING_RATE), "--warmup_steps", "0",
         "--min_lr_ratio", "1", f"--{precision}", *(["--cpu"] if device == "cpu" else [])]
    )  # fmt: skip
    return {"seconds": spans[-1][2] - spans[0][0], "steps": len(spans), "startup": spans[0][1] - born,
            "peak": peak_memory(device) - idle}  # fmt: skip


def epoch_theirs(name: str, data: str, init: str, out: str, precision: str, device: str, born: float) -> dict:
    import datasets
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    tokenizer = transformers.AutoTokenizer.from_pretrained(Path(data) / "tokenizer")
    model = transformers.AutoModelForCausalLM.from_pretrained(init, dtype=torch.float32)
    per_device = PACKED_ROWS if name == "trl_packed" else 8
    settings = {
        "output_dir": out, "num_train_epochs": 1, "per_device_train_batch_size": per_device, "report_to": "none",
        "gradient_accumulation_steps": 1 if name == "trl_packed" else CONVERSATIONS // per_device,
        "learning_rate": LEARNING_RATE, "adam_beta2": 0.95, "weight_decay": 0.1, "lr_scheduler_type": "constant",
        "warmup_steps": 0, "max_grad_norm": 1.0, "bf16": precision == "bf16", "use_cpu": device == "cpu",
        "save_strategy": "no", "disable_tqdm": True, "dataloader_pin_memory": device == "cuda",
    }  # fmt: skip
    if name == "hf_padded":
        idle = memory_now(device)
        rows = datasets.Dataset.from_list(read_rows(Path(data) / "train_tokenized.jsonl"))
        collator = transformers.DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=-100)
        trainer = transformers.Trainer(
            model, transformers.TrainingArguments(**settings), train_dataset=rows, data_collator=collator
        )
    else:
        import trl

        idle = memory_now(device)
        rows = [
            {"messages": [{"role": "system", "content": row["system"]}, *row["messages"]]}
            for row in read_rows(Path(data) / "train.jsonl")
        ]
        config = trl.SFTConfig(**settings, max_length=SEQ_LEN, assistant_only_loss=True, packing=name == "trl_packed")
        trainer = trl.SFTTrainer(
            model, config, train_dataset=datasets.Dataset.from_list(rows), processing_class=tokenizer
        )

    class Clock(transformers.TrainerCallback):
        first = first_wall = last = steps = 0

        def on_step_begin(self, *_, **__):
            if not self.first:
                Clock.first, Clock.first_wall = time.perf_counter(), time.time()

        def on_step_end(self, *_, **__):
            Clock.last, Clock.steps = time.perf_counter(), self.steps + 1

    trainer.add_callback(Clock)
    trainer.train()
    peak = peak_memory(device) - idle
    trainer.model.save_pretrained(out)
    return {"seconds": Clock.last - Clock.first, "steps": Clock.steps, "startup": Clock.first_wall - born, "peak": peak}


def held_out_loss(model_dir: str, data: str, **_) -> dict:
    """Mean cross-entropy over every supervised token of the validation rows, one row at a time, in float32."""
    import torch
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32).eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for row in read_rows(Path(data) / "val_tokenized.jsonl"):
            logits = model(torch.tensor([row["input_ids"]])).logits[0, :-1]
            labels = torch.tensor(row["labels"][1:])
            total += torch.nn.functional.cross_entropy(logits, labels, reduction="sum").item()
            count += int((labels != -100).sum())
    return {"loss": total / count}


def part_epoch(args, device: str, work: Path) -> list[str]:
    import torch
    import transformers

    import train

    data = prepare(work / "data", "--dataset", args.dataset, "--max_rows", "240", "--val_fraction", "0.17",
                   "--seq_len", str(SEQ_LEN), "--tokenizer", args.tokenizer)  # fmt: skip
    tokenizer = transformers.AutoTokenizer.from_pretrained(data / "tokenizer")
    read = (data / "train_tokenized.jsonl", SEQ_LEN, len(tokenizer), tokenizer.eos_token_id, False)
    rows = train.Rows(train.read_documents(*read)[0], SEQ_LEN, packing=True)
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        **SHAPE, vocab_size=len(tokenizer), n_positions=SEQ_LEN, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        bos_token_id=tokenizer.eos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    model = transformers.GPT2LMHeadModel(config)
    model.save_pretrained(work / "init")
    precision = args.precision
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    peak_flops = train.matmul_peak(device, dtype)
    flops = train.flops_per_token(model, rows) * int(rows.tokens.sum())
    names = [name for name in LABELS if "trl" not in name or importlib.util.find_spec("trl")]
    runs: dict[str, list[dict]] = {name: [] for name in names}
    for number in range(args.rounds):
        for name in names:
            out = str(work / f"{name}-{number}")
            given = {
                "data": str(data),
                "init": str(work / "init"),
                "out": out,
                "precision": precision,
                "device": device,
            }
            job = "epoch_ours" if name == "train.py" else "epoch_theirs"
            run = in_process(job, **given, **({} if name == "train.py" else {"name": name}))
            run |= in_process("held_out_loss", model_dir=out, data=str(data))
            runs[name].append(run)
            print(f"epoch, round {number + 1}: {name} {run}", flush=True)
    untrained = in_process("held_out_loss", model_dir=str(work / "init"), data=str(data))["loss"]
    ours = median(run["seconds"] for run in runs["train.py"])
    lines = [
        "## An epoch", "",
        f"{len(rows.documents)} rows of {args.dataset}, {int(rows.tokens.sum()):,} tokens, {int(rows.learned.sum()):,} supervised; "
        f"{SHAPE['n_layer']} layers x {SHAPE['n_embd']}, vocabulary {len(tokenizer):,}, length {SEQ_LEN}, {precision}; "
        f"{PACKED_ROWS} packed rows or {CONVERSATIONS} conversations a step; medians of {args.rounds}, in brackets all of them. "
        f"MFU: model FLOPs over the {peak_flops / 1e12:.2f} TFLOP/s of large {precision} matrix products measured in the same run. "
        f"Memory: peak over the idle process. Held-out loss before training: {untrained:.3f}.", "",
        "| | seconds an epoch | train.py is faster by | supervised tokens/s | all tokens/s | MFU | peak memory | held-out loss | steps | start to first step |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    for name in names:
        seconds = [run["seconds"] for run in runs[name]]
        m = {key: median(run[key] for run in runs[name]) for key in runs[name][0]}
        lines.append(
            f"| {LABELS[name]} | {m['seconds']:.1f} ({', '.join(f'{s:.1f}' for s in seconds)}) | {m['seconds'] / ours:.1f}x | "
            f"{rows.learned.sum() / m['seconds']:,.0f} | {rows.tokens.sum() / m['seconds']:,.0f} | "
            f"{flops / m['seconds'] / peak_flops:.0%} | {m['peak'] / GIB:.2f} GiB | {m['loss']:.3f} | {m['steps']:.0f} | "
            f"{m['startup']:.1f} s |"
        )
    lines += [
        "",
        "Bars on 2 cores: TRL padded 8x, TRL packed 4.5x, HF Trainer padded 3x; start to first step below 12 s.",
    ]
    return lines


# ------------------------------------------------------------------------------ dense rows, a GPT-2 written out


def plain_gpt2(vocab_size: int, n_layer: int, n_embd: int, n_head: int, n_positions: int):
    """GPT-2 as one would write it down: pre-norm blocks, tanh-GELU, fused causal attention, tied head, mean loss."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.ln_1, self.ln_2 = nn.LayerNorm(n_embd), nn.LayerNorm(n_embd)
            self.qkv, self.out = nn.Linear(n_embd, 3 * n_embd), nn.Linear(n_embd, n_embd)
            self.up, self.down = nn.Linear(n_embd, 4 * n_embd), nn.Linear(4 * n_embd, n_embd)

        def forward(self, x):
            B, T, C = x.shape
            q, k, v = (
                part.view(B, T, n_head, C // n_head).transpose(1, 2) for part in self.qkv(self.ln_1(x)).chunk(3, dim=-1)
            )
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).reshape(B, T, C))
            return x + self.down(F.gelu(self.up(self.ln_2(x)), approximate="tanh"))

    class GPT2(nn.Module):
        def __init__(self):
            super().__init__()
            self.wte, self.wpe = nn.Embedding(vocab_size, n_embd), nn.Embedding(n_positions, n_embd)
            self.blocks = nn.ModuleList(Block() for _ in range(n_layer))
            self.ln_f = nn.LayerNorm(n_embd)

        def forward(self, ids):
            x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1], device=ids.device))
            for block in self.blocks:
                x = block(x)
            logits = self.ln_f(x) @ self.wte.weight.T
            return F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), ids[:, 1:].flatten())

    return GPT2()


def our_loss_module(shape: dict, vocab_size: int, device: str, precision: str):
    import torch

    import train

    n_layer, n_embd, n_head = shape["n_layer"], shape["n_embd"], shape["n_head"]
    arguments = ["--model_dir", "unused", "--cfg", "tiny", "--n_layer", str(n_layer), "--n_embd", str(n_embd)]
    args = train.build_parser().parse_args([*arguments, "--n_head", str(n_head), "--seq_len", str(SEQ_LEN)])
    args.precision = precision
    attention, kernel = train.choose_attention(args, train.build_config(args, vocab_size), torch.device(device))
    model = train.build_model(args, vocab_size, attention)
    train.hold_fewer_activations(model, checkpointing=False)
    return train.NextTokenLoss(model, vocab_size, kernel).to(device).train()


def timed_in_turn(steps: dict, device: str, repeats: int) -> dict[str, list[float]]:
    """Seconds of each of `steps`, run in turn `repeats` times after one round that does not count."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(repeats + 1):
        for name, step in steps.items():
            gc.collect()
            seconds = seconds_of(step, device)
            if repeat:
                times[name].append(seconds)
    return times


def part_dense(args, device: str, work: Path) -> list[str]:
    import numpy as np
    import torch

    import train

    lines = [
        "## Dense rows", "",
        f"Forward and backward, B=2, T={SEQ_LEN}, vocabulary 50,304, every position supervised, medians of {args.repeats}; "
        "bar: at most 1.0x.", "",
        "| shape | precision | train.py | plain PyTorch | ratio |", "|---|---|---:|---:|---:|",
    ]  # fmt: skip
    shapes = [SHAPE] + [{"n_layer": 12, "n_embd": 768, "n_head": 12}] * (device == "cuda" or args.large)
    for shape in shapes:
        for precision in ("fp32", "bf16"):
            torch.manual_seed(0)
            ours = our_loss_module(shape, 50_304, device, precision)
            plain = plain_gpt2(50_304, **shape, n_positions=SEQ_LEN).to(device)
            draw = np.random.default_rng(0)
            ids = [draw.integers(50_304, size=SEQ_LEN).astype(np.int32) for _ in range(2)]
            rows = train.Rows([(row, np.arange(SEQ_LEN) > 0) for row in ids], SEQ_LEN, packing=False)
            batch = torch.from_numpy(np.stack(ids).astype(np.int64)).to(device)

            def autocast():
                return torch.autocast(device, torch.bfloat16, enabled=precision == "bf16")  # noqa: B023

            def our_step():
                tensors = rows.micro_batch([0, 1], device)  # noqa: B023
                with autocast():
                    loss = ours(**tensors) / (2 * SEQ_LEN - 2)  # noqa: B023
                loss.backward()
                ours.zero_grad()  # noqa: B023

            def plain_step():
                with autocast():
                    loss = plain(batch)  # noqa: B023
                loss.backward()
                plain.zero_grad()  # noqa: B023

            times = timed_in_turn({"ours": our_step, "plain": plain_step}, device, args.repeats)
            a, b = median(times["ours"]), median(times["plain"])
            name = f"{shape['n_layer']} x {shape['n_embd']}"
            lines.append(f"| {name} | {precision} | {a:.3f} s | {b:.3f} s | {a / b:.2f}x |")
            print(lines[-1], flush=True)
    return lines


def part_packing(args, device: str, work: Path) -> list[str]:
    import numpy as np
    import torch

    import train

    precision = args.precision
    ours = our_loss_module(
        SHAPE if device == "cpu" else dict(n_layer=24, n_embd=1024, n_head=16), 50_304, device, precision
    )
    draw = np.random.default_rng(0)

    def rows_of(lengths) -> train.Rows:
        documents = [(draw.integers(50_304, size=n).astype(np.int32), np.arange(n) > 0) for n in lengths]
        return train.Rows(documents, SEQ_LEN, packing=True)

    kinds = {"dense": rows_of([SEQ_LEN] * 2), "packed": rows_of([32, 64, 96, 128, 160, 224, 320] * 2)}

    def step_of(rows):
        def step():
            tensors = rows.micro_batch([0, 1], device)
            with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
                loss = ours(**tensors)
            loss.backward()
            ours.zero_grad()

        return step

    times = timed_in_turn({name: step_of(rows) for name, rows in kinds.items()}, device, args.repeats)
    dense, packed = median(times["dense"]), median(times["packed"])
    return [
        "## Isolated packing", "",
        f"B=2, T={SEQ_LEN}, {precision}: rows of seven documents of 32 to 320 tokens take {packed:.3f} s, rows of one causal document "
        f"{dense:.3f} s: {dense / packed:.2f}x the speed (bar on a GPU: 0.90x). Medians of {args.repeats}.",
    ]  # fmt: skip


# ---------------------------------------------------------------------------------------------------- memory


def step_memory(kind: str, device: str, precision: str, **_) -> dict:
    """Peak memory of a forward and backward of `small_test`, B=2, over the process before it (with the weights)."""
    import numpy as np
    import torch
    import transformers

    import train

    shape = {"n_layer": 12, "n_embd": 768, "n_head": 12}
    ids = np.random.default_rng(0).integers(50_257, size=(2, SEQ_LEN))

    def one_step():
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            loss = run()
        loss.backward()

    if kind == "ours":
        train.keep_freed_memory()
        module = our_loss_module(shape, 50_257, device, precision)
        documents = [(row.astype(np.int32), np.arange(SEQ_LEN) > 0) for row in ids]
        batch = train.Rows(documents, SEQ_LEN, packing=True).micro_batch([0, 1], device)

        def run():
            return module(**batch)
    else:
        model = transformers.GPT2LMHeadModel(transformers.GPT2Config()).to(device).train()
        input_ids = torch.from_numpy(ids).to(device)

        def run():
            return model(input_ids, labels=input_ids).loss

    before = memory_now(device)
    one_step()
    return {"bytes": peak_memory(device) - before}


def predicted_and_measured(cfg: str, checkpointing: str, batch_size: int, **_) -> dict:
    """GPU only: the peak that --dry_run predicts, and that of real steps."""
    import numpy as np
    import torch

    import train

    # one micro-batch a step: gradients do not accumulate, neither in the prediction nor in what is measured
    flags = ["--model_dir", "unused", "--cfg", cfg, "--bf16", "--batch_size", str(batch_size), "--grad_accum", "1"]
    args = train.build_parser().parse_args(flags)
    args.precision, args.lr = "bf16", 1e-4
    attention, kernel = train.choose_attention(args, train.build_config(args, 50_260), torch.device("cuda"))
    model = train.build_model(args, 50_260, attention)
    predicted = train.predict_memory(model.config, args, 50_260, batch_size, checkpointing == "on")["total"]
    train.hold_fewer_activations(model, checkpointing == "on")
    module = train.NextTokenLoss(model, 50_260, kernel).cuda().train()
    optimizers = train.build_optimizers(model, args)
    documents = [(np.arange(SEQ_LEN, dtype=np.int32), np.arange(SEQ_LEN) > 0)] * batch_size
    batch = train.Rows(documents, SEQ_LEN, packing=True).micro_batch(list(range(batch_size)), "cuda")
    for _ in range(3):
        with torch.autocast("cuda", torch.bfloat16):
            loss = module(**batch)
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
    return {"predicted": predicted, "measured": torch.cuda.max_memory_allocated() / GIB}


def part_memory(args, device: str, work: Path) -> list[str]:
    lines = [
        "## Memory of a step", "",
        f"`small_test`, B=2, T={SEQ_LEN}, forward and backward, peak over the process that holds the weights; "
        "bar: at most 0.6x.", "",
        "| precision | train.py | `model(input_ids, labels=labels)` | ratio |", "|---|---:|---:|---:|",
    ]  # fmt: skip
    for precision in ("fp32", "bf16"):
        ours, theirs = (
            in_process("step_memory", kind=kind, device=device, precision=precision)["bytes"]
            for kind in ("ours", "theirs")
        )
        lines.append(f"| {precision} | {ours / GIB:.2f} GiB | {theirs / GIB:.2f} GiB | {ours / theirs:.2f}x |")
        print(lines[-1], flush=True)
    if device == "cuda":
        lines += ["", "Predicted by --dry_run and measured, AdamW, bf16; bar: within 8 %.", "",
                  "| --cfg | rows | checkpointing | predicted | measured | off by |", "|---|---:|---|---:|---:|---:|"]  # fmt: skip
        for cfg in ("small_test", "baseline_355m", "heavier_420m"):
            for checkpointing in ("off", "on"):
                got = in_process("predicted_and_measured", cfg=cfg, checkpointing=checkpointing, batch_size=2)
                p, m = got["predicted"], got["measured"]
                lines.append(f"| {cfg} | 2 | {checkpointing} | {p:.2f} GiB | {m:.2f} GiB | {p / m - 1:+.1%} |")
                print(lines[-1], flush=True)
    return lines


# ------------------------------------------------------------------------------------------------ Muon, AdamW


def muon_run(data: str, out: str, optim: str, lr: float, steps: int, seed: int, device: str, **_) -> dict:
    import train

    spans, step = [], train.training_step

    def timed_step(*arguments, **more):
        start = time.perf_counter()
        result = step(*arguments, **more)
        spans.append(time.perf_counter() - start)
        return result

    train.training_step = timed_step
    rate = ["--lr", str(lr)] if optim == "adamw" else ["--lr", "3e-3", "--muon_lr", str(lr)]
    train.main(
        ["--data_dir", data, "--model_dir", out, "--cfg", "tiny", "--seq_len", "256", "--batch_size", "8", "--grad_accum",
         "1", "--optim", optim, *rate, "--max_steps", str(steps), "--eval_every", str(max(1, steps // 12)), "--seed",
         str(seed), *(["--cpu"] if device == "cpu" else [])]
    )  # fmt: skip
    rows = [json.loads(line) for line in (Path(out) / "metrics.jsonl").open()]
    curve = [(row["step"], row["val_loss"]) for row in rows if "val_loss" in row]
    return {"curve": curve, "final": curve[-1][1], "seconds": sum(spans)}


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
    grid = {"adamw": (1e-3, 2e-3, 4e-3), "muon": (0.01, 0.02, 0.04)}
    lines = [
        "## Muon and AdamW", "",
        f"4 layers x 256, 8 packed rows of 256 tokens a step. AdamW is planned for {steps} steps and Muon for {muon_steps} (2/3), each at "
        f"the best of its grid of learning rates (AdamW {', '.join(map(str, grid['adamw']))}; Muon {', '.join(map(str, grid['muon']))}, "
        "the embeddings' AdamW at 3e-3), chosen with seed 0, then on seeds 1 to 3. Bar: Muon has AdamW's final held-out loss after at most "
        "2/3 of the steps and 3/4 of the time (looked at every twelfth of a run).", "",
        "| data | seed | AdamW | Muon | Muon has AdamW's loss after steps, time | all steps of Muon, AdamW |", "|---|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    curves = []
    for name, data in (("bundled", sample), ("text", text)):
        best = {}
        for number in range(3):
            for optim, rates in grid.items():
                n = steps if optim == "adamw" else muon_steps
                given = {
                    "data": str(data),
                    "optim": optim,
                    "lr": rates[number],
                    "steps": n,
                    "seed": 0,
                    "device": device,
                }
                run = in_process("muon_run", **given, out=str(work / f"{name}-{optim}-{number}"))
                best[optim] = min(best.get(optim, (math.inf, 0)), (run["final"], rates[number]))
                print(
                    f"muon, grid: {name} {optim} {rates[number]} -> {run['final']:.4f} in {run['seconds']:.0f} s",
                    flush=True,
                )
        for seed in (1, 2, 3):
            runs = {}
            for optim in grid:
                n = steps if optim == "adamw" else muon_steps
                given = {
                    "data": str(data),
                    "optim": optim,
                    "lr": best[optim][1],
                    "steps": n,
                    "seed": seed,
                    "device": device,
                }
                runs[optim] = in_process("muon_run", **given, out=str(work / f"{name}-{optim}-seed-{seed}"))
                curve = ", ".join(f"{step}: {loss:.3f}" for step, loss in runs[optim]["curve"])
                curves.append(f"- {name}, seed {seed}, {optim} {best[optim][1]}: {curve}")
            a, m = runs["adamw"], runs["muon"]
            reached = next((step for step, loss in m["curve"] if loss <= a["final"]), None)
            share = (
                f"{reached} of {steps}, {m['seconds'] * reached / muon_steps / a['seconds']:.2f}x"
                if reached
                else "never"
            )
            lines.append(
                f"| {name} | {seed} | {a['final']:.4f} | {m['final']:.4f} | {share} | {m['seconds']:.0f} s of {a['seconds']:.0f} s |"
            )
            print(lines[-1], flush=True)
    return [*lines, "", "Held-out loss by step:", "", *curves]


# ------------------------------------------------------------------------------------------------ a 16 GB card


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


# ------------------------------------------------------------------------------------------------ command line

PARTS = {"epoch": part_epoch, "dense": part_dense, "packing": part_packing, "memory": part_memory, "muon": part_muon,
         "card": part_card}  # fmt: skip
JOBS = (epoch_ours, epoch_theirs, held_out_loss, step_memory, predicted_and_measured, muon_run)


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
    hardware = torch.cuda.get_device_name() if device == "cuda" else f"{os.cpu_count()} cores ({platform.machine()})"
    packages = ("torch", "transformers", "accelerate", *(["trl"] if importlib.util.find_spec("trl") else []))
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    old = args.out.read_text().split("\n## ")[1:] if args.out and args.out.exists() else []
    sections = {section.splitlines()[0]: "## " + section.strip() for section in old}
    for part in args.parts:
        with tempfile.TemporaryDirectory() as folder:
            lines = PARTS[part](args, device, Path(folder))
        stamp = f"Run on {hardware}, Python {platform.python_version()}, {versions}."
        sections[lines[0][3:]] = "\n".join([*lines, "", stamp])
        print("\n".join(lines), flush=True)
        if args.out:
            command = "python tests/benchmarks/bench_train.py"
            head = (
                f"# train.py beside other trainers\n\nWritten by `{command}`; each section says where it was run.\n\n"
            )
            args.out.write_text(head + "\n\n".join(sections.values()) + "\n")


if __name__ == "__main__":
    main()
