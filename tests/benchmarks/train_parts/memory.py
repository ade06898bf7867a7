"""Peak memory of a step, against transformers' own loss; on a GPU also predicted against measured."""

from __future__ import annotations

from pathlib import Path

from . import GIB, SEQ_LEN, in_process, memory_now, peak_memory
from .dense import our_loss_module


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
        batch = train.rows_in_memory(documents, SEQ_LEN, packing=True).micro_batch([0, 1], device)

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
    batch = train.rows_in_memory(documents, SEQ_LEN, packing=True).micro_batch(list(range(batch_size)), "cuda")
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
