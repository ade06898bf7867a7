"""Forward and backward of dense rows, against a plain PyTorch GPT-2 written out here, and of packed rows."""

from __future__ import annotations

import gc
from pathlib import Path

from . import SEQ_LEN, SHAPE, median, seconds_of


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
            rows = train.rows_in_memory([(row, np.arange(SEQ_LEN) > 0) for row in ids], SEQ_LEN, packing=False)
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
        return train.rows_in_memory(documents, SEQ_LEN, packing=True)

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
