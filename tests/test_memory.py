"""The memory that train.py predicts by arithmetic, held against torch's own tracker on fake tensors, as a card uses it.

The tracker runs the real model, loss and optimizers without memory or a GPU: under autocast, with a stand-in for the flash
kernel that keeps what that keeps. It counts every tensor, so it is the oracle; it takes seconds, so it is not the method.
"""

from __future__ import annotations

import pytest
import torch
import transformers
from conftest import settings
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker

import train

N_VOCAB = 50_260  # GPT-2's and three role tokens


class FlashStandIn(torch.autograd.Function):
    """Shapes and memory of a variable-length flash kernel: q, k, v, the output and a float32 a head and token are kept."""

    @staticmethod
    def forward(ctx, q, k, v):
        out, log_sum_exp = torch.empty_like(q), torch.empty(q.shape[1], q.shape[0])
        ctx.save_for_backward(q, k, v, out, log_sum_exp)
        return out

    @staticmethod
    def backward(ctx, grad):
        return tuple(torch.empty_like(x) for x in ctx.saved_tensors[:3])


def tracked_gib(args, checkpointing: bool, n_vocab: int = N_VOCAB) -> float:
    with FakeTensorMode():
        model = train.build_model(args, n_vocab, "documents_by_bounds")
        train.hold_fewer_activations(model, checkpointing)
        kernel = lambda q, k, v, bounds, longest, scale: FlashStandIn.apply(q, k, v)  # noqa: E731
        loss_module = train.NextTokenLoss(model.train(), n_vocab, kernel)
        optimizers = train.build_optimizers(model, args)
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        for optimizer in optimizers:  # whose moments come into being with the first step
            optimizer.step()
            optimizer.zero_grad()
        ids = torch.zeros(args.batch_size, args.seq_len, dtype=torch.long)
        positions, index = torch.arange(args.seq_len).expand_as(ids), torch.arange(ids.numel())
        tracker = MemTracker()
        tracker.track_external(loss_module, *optimizers)
        with tracker:
            for _ in range(min(2, args.grad_accum)):
                with torch.autocast("cpu", torch.bfloat16, enabled=args.precision != "fp32"):
                    loss = loss_module(ids, positions, index, ids.flatten(), None)
                loss.backward()
                tracker.reset_mod_stats()
            for optimizer in optimizers:
                optimizer.step()
    (parts,) = tracker.get_tracker_snapshot("peak").values()
    return max(parts.values()) / 2**30  # the total is among the parts


CASES = [  # block for block the same, so four tell as much as twelve
    "--cfg small_test --n_layer 4 --batch_size 8 --grad_accum 4",
    "--cfg small_test --n_layer 4 --batch_size 8 --grad_accum 4 --grad_checkpointing on",
    "--cfg small_test --n_layer 4 --batch_size 2 --grad_accum 1 --seq_len 2048 --fp32 --optim muon",
    "--cfg small_test --n_layer 4 --batch_size 8 --grad_accum 4 --arch llama",
    "--cfg small_test --n_layer 4 --batch_size 8 --grad_accum 4 --arch qwen3",
    *(
        pytest.param(case, marks=pytest.mark.slow)
        for case in (
            "--cfg small_test --batch_size 4 --grad_accum 4 --arch llama --fp32",
            "--cfg small_test --batch_size 4 --grad_accum 4 --arch qwen3 --fp32",
            "--cfg small_test --batch_size 4 --grad_accum 4 --arch qwen3 --grad_checkpointing on",
            "--cfg small_test --batch_size 4 --grad_accum 4 --fp32 --grad_checkpointing on",
            "--cfg baseline_355m --batch_size 2 --grad_accum 16",
            "--cfg baseline_355m --batch_size 8 --grad_accum 4 --grad_checkpointing on",
            "--cfg heavier_420m --batch_size 8 --grad_accum 4 --grad_checkpointing on",
        )
    ),
]


@pytest.mark.parametrize("flags", CASES)
def test_arithmetic_meets_the_tracker(flags):
    args = settings(*flags.split())
    checkpointing = args.grad_checkpointing == "on"
    config = train.build_config(args, N_VOCAB)
    predicted = train.predict_memory(config, args, N_VOCAB, args.batch_size, checkpointing)
    assert predicted["total"] == pytest.approx(tracked_gib(args, checkpointing), rel=0.03)


def llama(**shape):
    return transformers.LlamaConfig(**{"tie_word_embeddings": True, **shape})


def gpt2(**shape):
    return transformers.GPT2Config(
        n_embd=768, n_head=12, activation_function="gelu_pytorch_tanh", resid_pdrop=0, embd_pdrop=0, **shape
    )


# Blocks of models to start from, whose weights are not here: parts of other widths, and heads of their own.
SHAPES = {  # what makes one, its tokens, its shape
    "SmolLM2-360M": (llama, 49_155, {"hidden_size": 960, "intermediate_size": 2560, "num_attention_heads": 15,
                                     "num_key_value_heads": 5}),
    "Qwen2.5-0.5B": (transformers.Qwen2Config, 151_668, {"hidden_size": 896, "intermediate_size": 4864, "num_attention_heads": 14,
                                                         "num_key_value_heads": 2, "tie_word_embeddings": True}),
    "Qwen3-0.6B": (transformers.Qwen3Config, 151_672, {"hidden_size": 1024, "intermediate_size": 3072, "num_attention_heads": 16,
                                                       "num_key_value_heads": 8, "head_dim": 128, "tie_word_embeddings": True}),
    "one key, a wide MLP": (llama, 49_155, {"hidden_size": 1024, "intermediate_size": 8192, "num_attention_heads": 8,
                                            "num_key_value_heads": 1}),
    "a narrow MLP": (llama, 49_155, {"hidden_size": 1024, "intermediate_size": 1024, "num_attention_heads": 8}),
    "a head of its own": (llama, 32_026, {"hidden_size": 1024, "intermediate_size": 2752, "num_attention_heads": 8,
                                          "tie_word_embeddings": False}),
    "GPT-2, a wide MLP": (gpt2, N_VOCAB, {"n_inner": 8 * 768}),
    "GPT-2, a head of its own": (gpt2, N_VOCAB, {"tie_word_embeddings": False}),
}  # fmt: skip
RUNS = {
    "": [*SHAPES],
    "--grad_checkpointing on": ["Qwen2.5-0.5B", "one key, a wide MLP"],
    "--fp32": ["Qwen3-0.6B"],
    "--grad_accum 1 --batch_size 1": ["Qwen3-0.6B"],  # gradients meet what is left of the activations
}


@pytest.mark.parametrize("flags, name", [(flags, name) for flags, names in RUNS.items() for name in names])
def test_each_part_of_a_block_has_its_own_width(flags, name, monkeypatch):
    make, n_vocab, shape = SHAPES[name]
    config = make(num_hidden_layers=3, vocab_size=train.padded(n_vocab), max_position_embeddings=1024, **shape)
    monkeypatch.setattr(train, "build_config", lambda args, n_vocab: config)
    args = settings("--batch_size", 4, "--grad_accum", 4, *flags.split())
    checkpointing = args.grad_checkpointing == "on"
    predicted = train.predict_memory(config, args, n_vocab, args.batch_size, checkpointing)
    assert predicted["total"] == pytest.approx(tracked_gib(args, checkpointing, n_vocab), rel=0.03)
