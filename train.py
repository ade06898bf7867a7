"""Train a GPT-2-style chatbot from the tokenized conversations of prep_data.py, on one GPU or on a CPU.

Reads   DATA_DIR/{train,val}_tokens.* or, where there are none, {train,val}_tokenized.jsonl; DATA_DIR/tokenizer/ and
        DATA_DIR/manifest.json
Writes  MODEL_DIR/               the best model so far by validation loss: a plain Hugging Face folder
        MODEL_DIR/step-NNNNNN/   snapshots; the same command, run again, goes on from the newest
        MODEL_DIR/runs/          TensorBoard events;  MODEL_DIR/metrics.jsonl: the same numbers as text

    python train.py --data_dir data/demo --model_dir checkpoints/demo --cfg tiny --seq_len 256 --epochs 10
    python train.py --data_dir data --model_dir checkpoints/400m --cfg baseline_355m --seq_len 1024 --batch_size 2 \\
        --grad_accum 16 --lr 3e-4 --warmup_steps 2000 --max_steps 100000 --bf16

The first takes minutes on a laptop. The second takes days on a 16 GB card; `--dry_run` says how many.

Sections 1 to 5 are the lesson, in the order in which a token meets them; `main` ends it. Sections 6 to 12 are what a
week at a desk needs besides: speed, a plan, guards, snapshots. To understand training, stop reading after `main`.
"""

from __future__ import annotations

import gc
import os
import signal

if __name__ == "__main__":  # Ctrl-C while the rest still loads ends without a word
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    gc.disable()  # nothing of what loads is garbage, and to look at it takes a tenth of the start

import argparse
import atexit
import contextlib
import ctypes
import dataclasses
import errno
import getpass
import hashlib
import importlib.util
import inspect
import itertools
import json
import math
import platform
import random
import re
import select
import shlex
import shutil
import statistics
import subprocess
import sys
import sysconfig
import threading
import time
from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import NoReturn

# Before torch loads: its threads spin while they wait for one another. To spin for long makes a step up to 30x slower beside
# a busy program; not to spin costs 4 to 20 % of it.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
try:
    getpass.getuser()
except (ImportError, KeyError, OSError):  # no name, as in a container; torch 2.10 names a folder by it as it loads
    os.environ["LOGNAME"] = "nobody"

import accelerate
import numpy as np
import psutil
import safetensors.torch
import torch
import torch.nn.functional as F
import transformers
from accelerate.utils import gather_object
from tokenizers import Tokenizer
from torch.utils.checkpoint import checkpoint
from torch.utils.tensorboard import SummaryWriter
from transformers import AttentionInterface, AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.integrations.sdpa_attention import sdpa_attention_forward

gc.freeze()  # what has loaded stays: to look at it again takes a quarter of a short call, most of it at the exit
gc.enable()

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
IGNORE_INDEX = -100  # a label that nothing is learned from, as everywhere in Hugging Face
CONFIGS = {  # blocks, width of a token's vector, attention heads in a block, learning rate from scratch
    "tiny": (4, 256, 4, 1e-3),
    "small_test": (12, 768, 12, 6e-4),
    "baseline_355m": (24, 1024, 16, 3e-4),
    "heavier_420m": (28, 1152, 18, 2.5e-4),  # 505.4 M parameters; the name is kept as it was asked for
}
EMBEDDINGS = ("wte.weight", "wpe.weight", "embed_tokens.weight", "lm_head.weight")  # no matrix of a block
LOGITS_PER_CHUNK = 2**25  # elements; 128 MiB of float32: what the loss holds at a time, however many tokens
WEIGHTS_PER_BLOCK = 2**24  # elements of the head whose gradient is formed at a time
MATRIX_ELEMENTS_TOGETHER = 2**22  # of Muon's iteration: 8 MiB in bfloat16, and a few times that while it runs
USABLE_VRAM = 0.94  # share of the memory that can be planned with; the CUDA context and fragments take the rest
LONG_ENOUGH_S = 30  # to measure steps for
BAD_STEPS_ALLOWED = 5  # non-finite steps in a row before the run gives up


# ---------------------------------------------------------------------------------------------------------
# 1 Data: documents, packed rows, and the rows of a step


class Documents:
    """Tokenized documents, cut to at most `seq_len` tokens, which stay on the disk until a step wants them.

    A token is a word or a piece of one, as its number in the tokenizer's vocabulary. Only the answers are learned, each
    with the `<|endoftext|>` behind it: what the model is to say, while questions are there to be read.
    `shards` are triples `(ids, bounds, spans)` of arrays, as prep_data.py writes them: ids (tokens,), the documents one
    behind another; bounds (documents + 1,), where each document begins, and the end of the last; spans (spans, 2), where
    what is learned begins and ends, or None where all of it is, as of plain text.
    """

    def __init__(self, shards, seq_len: int, learn_all: bool = False):
        self.shards, self.learn_all, self.counts = shards, learn_all, defaultdict(int)
        parts = [cut_documents(*shard[1:], seq_len, learn_all, self.counts) for shard in shards]
        self.starts, lengths, n_learned = zip(*parts)  # the places of the documents in each shard
        self.first_of_shard = np.cumsum([0, *map(len, lengths)]).tolist()
        # (documents,): tokens and learned tokens, both 0, and in no row, where nothing is learned
        self.lengths, self.n_learned = np.concatenate(lengths), np.concatenate(n_learned)

    def __getitem__(self, document: int) -> tuple[np.ndarray, np.ndarray]:
        """`(input_ids, learned)`, integers and bool of shape (L,). The first token is never learned: nothing of it precedes."""
        shard = bisect_right(self.first_of_shard, document) - 1
        ids, _, spans = self.shards[shard]
        start = int(self.starts[shard][document - self.first_of_shard[shard]])
        length = int(self.lengths[document])
        learned = np.full(length, self.learn_all or spans is None)
        if spans is not None:
            # by bisect: NumPy's own search would first convert the whole file
            first, last = bisect_right(spans[:, 1], start), bisect_left(spans[:, 0], start + length)
            for begin, end in spans[first:last].tolist():
                learned[max(0, begin - start) : end - start] = True
        learned[:1] = False
        return ids[start : start + length], learned


class Rows:
    """Rows of up to `seq_len` tokens, each of one document or of several that do not see one another.

    `rows[r]` are the indices of row r's documents.
    """

    def __init__(self, documents: Documents, seq_len: int, packing: bool):
        self.documents, self.seq_len, self.packing = documents, seq_len, packing
        # Conversations are short and rows are long: one a row would leave most of each step to padding, which costs the same.
        self.placed, self.row_bounds = pack(documents.lengths, seq_len) if packing else one_a_row(documents.lengths)

    def __len__(self) -> int:
        return len(self.row_bounds) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        return self.placed[self.row_bounds[row] : self.row_bounds[row + 1]]

    def count_tokens(self, rows: list[int]) -> list[int]:
        """How many tokens each of `rows` has."""
        return [int(self.documents.lengths[self[row]].sum()) for row in rows]

    def count_learned(self, rows: list[int]) -> int:
        """How many tokens of all `rows` together are learned."""
        return sum(int(self.documents.n_learned[self[row]].sum()) for row in rows)

    @lru_cache(maxsize=2)  # noqa: B019 - rows live as long as the run; two, since a step may end in the next epoch
    def order(self, seed: int, epoch: int) -> np.ndarray:
        """The order of the rows in one epoch, which is once through all of them."""
        order = np.arange(len(self), dtype=np.uint32)
        np.random.default_rng((seed, epoch)).shuffle(order)
        return order

    def of_step(self, step: int, rows_per_step: int, seed: int) -> list[int]:
        """The rows of optimizer step `step`, in order: a pure function, so that a resumed run sees the same."""
        # places are counted on from epoch to epoch, so that no rows are left over at an epoch's end
        places = range(step * rows_per_step, (step + 1) * rows_per_step)
        return [int(self.order(seed, place // len(self))[place % len(self)]) for place in places]

    def micro_batch(self, rows: list[int], device, full_width: bool = False) -> dict[str, torch.Tensor]:
        """The tensors of one forward pass over `rows`: a step's, or as many of them as fit into memory. B rows, T wide:

        input_ids, position_ids (B, T): positions restart with each document, as if it stood alone.
        target_index, targets (N,): places in the flattened (B * T) whose next token is learned, and those tokens.
        cu_seqlens (documents + 1,): cumulative lengths, where the documents begin in the flattened (B * T), and where the
        last one ends. A token looks at others within these bounds alone.
        """
        on_gpu = torch.device(device).type == "cuda"
        # packed rows are nearly full anyway, and tensors of one size leave no gaps in a GPU's memory
        width = self.seq_len if full_width or (on_gpu and self.packing) else max(self.count_tokens(rows))
        input_ids, position_ids = np.zeros((2, len(rows), width), dtype=np.int64)
        learned = np.zeros((len(rows), width + 1), dtype=bool)  # one wider: the first column falls away below
        starts = []
        for b, row in enumerate(rows):
            t = 0
            for document in self[row]:
                ids, is_learned = self.documents[document]
                input_ids[b, t : t + len(ids)] = ids
                position_ids[b, t : t + len(ids)] = np.arange(len(ids))
                learned[b, t : t + len(ids)] = is_learned
                starts.append(b * width + t)
                t += len(ids)
            if t < width:  # padding is one more document, of which nothing is learned
                position_ids[b, t:] = np.arange(width - t)
                starts.append(b * width + t)
        # what the model says at place t is its guess of the token at t + 1: so targets are shifted by one
        target_index = np.flatnonzero(learned[:, 1:].ravel())
        batch = {
            "input_ids": torch.from_numpy(input_ids),
            "position_ids": torch.from_numpy(position_ids),
            "target_index": torch.from_numpy(target_index),
            "targets": torch.from_numpy(input_ids.ravel()[target_index + 1]),
            "cu_seqlens": torch.tensor([*starts, len(rows) * width], dtype=torch.int32),
        }
        if on_gpu:  # pinned, so that the copy does not wait for the GPU
            batch = {name: tensor.pin_memory() for name, tensor in batch.items()}
        return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}


# ---------------------------------------------------------------------------------------------------------
# 2 The model and its loss


def build_config(args, n_vocab: int):
    """The shape of the model: from --cfg, or that of `--init_from`.

    The vocabulary is padded to a multiple of 64, a shape that GPUs multiply faster; the padding is never saved.
    """
    if args.init_from:
        config = load_config(args, n_vocab)
    else:
        n_layer, n_embd, n_head, _ = CONFIGS.get(args.cfg, [0] * 4)  # --cfg auto sets --n_layer and so on (section 8)
        n_layer, n_embd, n_head = args.n_layer or n_layer, args.n_embd or n_embd, args.n_head or n_head
        if args.arch == "gpt2":
            config = transformers.GPT2Config(
                n_layer=n_layer, n_embd=n_embd, n_head=n_head, n_positions=args.seq_len, n_ctx=args.seq_len
            )
        else:  # SwiGLU of 8/3 the width has as many weights as GPT-2's MLP of 4 times the width
            config = {"llama": transformers.LlamaConfig, "qwen3": transformers.Qwen3Config}[args.arch](
                num_hidden_layers=n_layer, hidden_size=n_embd, num_attention_heads=n_head, num_key_value_heads=n_head,
                head_dim=n_embd // n_head, intermediate_size=round(n_embd * 8 / 3 / 64) * 64,
                max_position_embeddings=args.seq_len, tie_word_embeddings=True,
            )  # fmt: skip
        config.vocab_size = padded(n_vocab)
    if config.model_type == "gpt2":
        if config.activation_function == "gelu_new":
            config.activation_function = "gelu_pytorch_tanh"  # the same function in one kernel, with less memory
        config.resid_pdrop = config.embd_pdrop = args.dropout
        config.attn_pdrop = 0.0  # dropout inside attention rules out the fused kernels
    config.use_cache = True  # makes generating fast; training switches it off
    return config


def build_model(args, n_vocab: int, attention: str, n_known: int | None = None):
    """A causal language model in float32: from scratch, or from `--init_from`, which knows the first `n_known` tokens.

    Ids become vectors (the embedding); in each block a token's vector takes in those of earlier tokens (attention) and is
    worked on by itself (the MLP); the last one is compared with every token's vector for how well that one comes next
    (the head).
    """
    config = build_config(args, n_vocab)
    # Weights stay in float32: a step changes them by a thousandth or less, and of bfloat16's 16 bits only 8 tell a number's
    # digits, which would round that away. Autocast makes 16-bit copies of them for the matrix products.
    how = {"attn_implementation": attention, "dtype": torch.float32}
    if not args.init_from:
        return AutoModelForCausalLM.from_config(config, **how)
    model = load_pretrained(args.init_from, config, **how)
    n_known = n_known or config.vocab_size
    model.resize_token_embeddings(padded(n_vocab), mean_resizing=False)
    with torch.no_grad():  # role tokens are new: random vectors could outscore all others; the mean of all never does
        for weight in {model.get_input_embeddings().weight, model.get_output_embeddings().weight}:
            weight[n_known:] = weight[:n_known].mean(dim=0)
    return model


def padded(n_vocab: int) -> int:
    return -(-n_vocab // 64) * 64


class NextTokenLoss(torch.nn.Module):
    """The causal language model with its loss, summed over the learned tokens of a micro-batch.

    The loss of a token is -ln of the probability that the model gave it before it came, in nats: 0 when the model was
    sure of it, ln(vocabulary) when all tokens were alike to it. Causal: no token sees what comes after it.
    """

    def __init__(self, model, n_vocab: int, flash_kernel=None):
        super().__init__()
        self.model, self.n_vocab, self.flash_kernel = model, n_vocab, flash_kernel
        # FSDP, which spreads a model over GPUs, keeps these modules whole, and ties embedding and head again afterwards
        self._no_split_modules, self.tie_weights = model._no_split_modules, model.tie_weights

    def hidden_states(self, input_ids, position_ids, cu_seqlens) -> torch.Tensor:
        """What the last block says of each token, (B, T, C); no token sees another document."""
        attention, kwargs = self.model.config._attn_implementation, {}
        if attention == "documents_by_bounds":
            kwargs["bounds"] = self.flash_kernel, cu_seqlens, input_ids.shape[1]
        elif attention == "documents_by_groups":
            kwargs["groups"] = group_documents(cu_seqlens)
        # Any other attention is the library's own, which finds the documents where positions restart - unless there is a
        # cache or an attention_mask: then they would see one another.
        return self.model.base_model(
            input_ids=input_ids, position_ids=position_ids, use_cache=False, **kwargs
        ).last_hidden_state

    def forward(self, input_ids, position_ids, target_index, targets, cu_seqlens) -> torch.Tensor:
        # only where the next token is learned: the logits, a score for each token there is, are the costliest product
        hidden = self.hidden_states(input_ids, position_ids, cu_seqlens).flatten(0, 1)[target_index]
        # The head (vector to scores) is the embedding (id to vector) again, GPT-2 ties them: one row of a token serves both.
        # This is F.cross_entropy(hidden @ head.T, targets, reduction="sum"), but never with all of the logits at a time.
        return ChunkedCrossEntropy.apply(hidden, self.model.lm_head.weight, targets, self.n_vocab)


# ---------------------------------------------------------------------------------------------------------
# 3 Optimizer and schedule


def build_optimizers(model, args) -> list[torch.optim.Optimizer]:
    """AdamW, its 8-bit form, or Muon for the matrices of the blocks with AdamW for the rest. Only matrices are decayed."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    embeddings = [p for name, p in named if name.endswith(EMBEDDINGS)]
    of_blocks = [(name, p) for name, p in named if p.ndim >= 2 and not name.endswith(EMBEDDINGS)]
    matrices = embeddings if args.optim == "muon" else [p for _, p in named if p.ndim >= 2]
    # Decay pulls a matrix toward zero unless the data holds against it; vectors, biases and scales, would only shrink.
    groups = [
        {"params": matrices, "weight_decay": args.weight_decay},
        {"params": [p for _, p in named if p.ndim < 2], "weight_decay": 0.0},
    ]
    # AdamW moves a weight by the running mean of its gradients, divided by the root of the running mean of their squares:
    # the betas say how slowly these two run. 0.95, not Adam's 0.999: over some 20 steps, as the loss falls quickly.
    settings = {"lr": args.lr, "betas": (0.9, 0.95)}
    if args.optim == "adamw8bit":
        optimizers = [adamw_in_8_bits(groups, embeddings, settings)]
    else:
        optimizers = [torch.optim.AdamW(groups, fused=matrices[0].is_cuda, **settings)]
    if args.optim == "muon":
        optimizers = [muon_of_blocks(of_blocks, model.config.model_type == "gpt2", args), *optimizers]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak_lr"] = group["lr"]
    return optimizers


def lr_factor(done: float, warmup: float, schedule: str, floor: float) -> float:
    """The learning rate as a share of its peak; `done` and `warmup` are shares of the run, in [0, 1]."""
    if done < warmup:  # AdamW's first averages rest on a few steps, and full steps by them throw the model off
        return done / warmup
    after = min(1.0, (done - warmup) / max(1e-9, 1.0 - warmup))
    if schedule == "cosine":
        shape = 0.5 * (1.0 + math.cos(math.pi * after))
    elif schedule == "linear":
        shape = 1.0 - after
    else:  # wsd: warmup, stable, then down over the last fifth of what follows warmup
        shape = min(1.0, (1.0 - after) / 0.2)
    return floor + (1.0 - floor) * shape


# ---------------------------------------------------------------------------------------------------------
# 4 A step, and a look at how good it is


def training_step(
    accelerator, loss_module, optimizers, rows, step_rows, factor, args, micro_batch
) -> tuple[float, float]:
    """One optimizer step over `step_rows`; returns the mean loss in nats a token and the gradient norm.

    The sum of the losses is divided by the learned tokens of the whole step, so neither the micro-batch nor the
    number of processes changes the gradient. A step that is not finite leaves the weights alone. `factor` is the
    learning rate as a share of its peak; each of several processes takes its share of the rows, and their gradients meet
    after the last micro-batch (no_sync before).
    """
    loss_module.train()
    mine = step_rows[accelerator.process_index :: accelerator.num_processes]
    n_learned = rows.count_learned(step_rows)
    loss = torch.zeros((), device=accelerator.device)
    # backward adds to each weight's gradient, how the loss changes with it, until zero_grad: so 32 rows fit where 2 do
    for start in range(0, len(mine), micro_batch):
        is_last = start + micro_batch >= len(mine)
        batch = rows.micro_batch(mine[start : start + micro_batch], accelerator.device, full_width=args.compile)
        with contextlib.nullcontext() if is_last else accelerator.no_sync(loss_module):
            # a sum over the whole step's count: means of micro-batches would weigh a short answer's tokens more
            micro_loss = loss_module(**batch) / n_learned
            accelerator.backward(micro_loss * accelerator.num_processes)  # undoes accelerate's mean over processes
        loss += micro_loss.detach()
    # the gradient is shortened to this length: one odd batch shall not throw the weights off
    grad_norm = accelerator.clip_grad_norm_(loss_module.parameters(), args.grad_clip)
    grad_norm = gather_shards(grad_norm).to(loss.device)
    loss, grad_norm = torch.stack([accelerator.reduce(loss, "sum"), grad_norm]).tolist()  # the one wait for the GPU
    with out_of_memory_is_final(args):  # weights that have moved in part rule out another try
        for optimizer in optimizers:
            if accelerator.scaler or is_finite(accelerator, loss, grad_norm):  # fp16's loss scaler skips by itself
                for group in optimizer.param_groups:
                    group["lr"] = group["peak_lr"] * factor
                optimizer.step()
            optimizer.zero_grad()
    return loss, grad_norm


@torch.no_grad()
@torch.compiler.set_stance("force_eager")  # --compile allows for a few shapes, which these would use up
def evaluate(accelerator, loss_module, rows: Rows, micro_batch: int) -> float:
    """Mean cross-entropy in nats a token, over every learned token of `rows`."""
    loss_module.eval()  # without dropout, which zeroes activations at random while training
    total = torch.zeros((), device=accelerator.device)
    stride = micro_batch * accelerator.num_processes
    for start in range(0, len(rows), stride):
        first = start + accelerator.process_index * micro_batch
        mine = list(range(first, min(first + micro_batch, len(rows))))
        # a process without rows runs one for nothing: sharded models need all processes in every forward pass
        total += loss_module(**rows.micro_batch(mine or [0], accelerator.device)) * bool(mine)
    return accelerator.reduce(total, "sum").item() / int(rows.documents.n_learned.sum())


@torch.inference_mode()
@torch.compiler.set_stance("force_eager")
def sample_answers(accelerator, loss_module, tokenizer, examples, max_new_tokens: int = 48) -> list[tuple[str, str]]:
    """Answers to held-out prompts, always the likeliest token, as pairs (prompt, answer)."""
    model = accelerator.unwrap_model(loss_module).model.eval()
    samples = []
    for ids, learned in examples:
        # the prompt is what precedes the first learned token; of plain text, all learned, the first 16
        n_prompt = min(16, len(ids)) if learned[1] else int(learned.argmax())
        prompt = torch.from_numpy(ids[:n_prompt][None].astype(np.int64)).to(accelerator.device)
        room = min(max_new_tokens, model.config.max_position_embeddings - n_prompt)
        if room < 1:
            continue
        with accelerator.autocast():
            out = model.generate(
                prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=room,
                eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
                suppress_tokens=list(range(len(tokenizer), model.config.vocab_size)) or None,
            )  # fmt: skip
        samples.append((tokenizer.decode(ids[:n_prompt]), tokenizer.decode(out[0, n_prompt:])))
    return samples


# ---------------------------------------------------------------------------------------------------------
# 5 The run


@dataclasses.dataclass
class Progress:
    """How far the run is. A snapshot holds this, weights, moments (AdamW's means), random generators and the run's fingerprint.

    That is all that a second call needs: which rows a step sees follows from its number, so the data keeps no state.
    """

    step: int = 0  # optimizer steps done
    seconds: float = 0.0  # evaluation and saving included, over all calls
    wrap_up: float = 0.0  # of that, what the last evaluation and snapshot will take, as measured
    best_val_loss: float = math.inf
    best_step: int = 0
    evaluations_without_gain: int = 0
    last_eval_step: int = -1
    skipped_steps: int = 0  # steps whose loss or gradient was not finite

    def note_evaluation(self, val_loss: float) -> bool:
        """Note an evaluation at this step; is it the best so far?"""
        better = val_loss < self.best_val_loss
        if better:
            self.best_val_loss, self.best_step = val_loss, self.step
        self.evaluations_without_gain = 0 if better else self.evaluations_without_gain + 1
        self.last_eval_step = self.step
        return better


def main(argv: list[str] | None = None) -> None:
    started, argv = time.perf_counter(), sys.argv[1:] if argv is None else argv
    args = parse_arguments(argv)
    accelerator, vram_gb = set_up_machine(args)
    tokenizer, rows, val_rows, data_sha = load_data(args)
    loss_module, memory, checkpointing = set_up_model(args, accelerator, tokenizer, rows, vram_gb)
    model, model_dir, is_main = loss_module.model, Path(args.model_dir), accelerator.is_main_process

    # the plan
    rows_per_step = args.batch_size * args.grad_accum
    max_steps, warmup = steps_of_run(args, len(rows), rows_per_step)
    n_parameters = count_parameters(model, len(tokenizer))
    say(describe(args, model, n_parameters, rows, max_steps, device_name(accelerator.device)))
    if memory:
        say(describe_memory(memory, vram_gb, checkpointing))
    peak_flops = matmul_peak(accelerator.device, DTYPES[args.precision]) * accelerator.num_processes
    if args.dry_run:
        return say(dry_run(accelerator, loss_module, rows, args, vram_gb, max_steps, peak_flops))

    # a fresh start, or the newest snapshot, if it was made with the same model, data and rows a step
    run = fingerprint(args, model, len(tokenizer), data_sha)
    lock, progress, wrapped, optimizers = begin_or_resume(args, accelerator, loss_module, tokenizer, run, n_parameters)
    log = Log(args, accelerator, loss_module, rows, max_steps, peak_flops, progress.step)
    loss_module = wrapped  # by accelerate, for several processes or 16 bits
    say(
        f"speed      MFU is a share of {peak_flops / 1e12:.2f} TFLOP/s, measured here with {args.precision} matrices; "
        f"ready after {time.perf_counter() - started:.1f} s\n"
    )
    signals, watch = stop_on_signals(), Watch(accelerator, model_dir, args)
    held_out = [] if accelerator.is_fsdp2 else spread(val_rows.documents, 3)
    budget = args.max_hours * 3600 if args.max_hours else math.inf
    began = time.perf_counter() - progress.seconds  # as if it had never stopped
    micro_batch, saved_step = args.batch_size, progress.step

    for step in itertools.count(progress.step):
        progress.step = step
        stop, progress.seconds = agree(accelerator, bool(signals), time.perf_counter() - began)
        finished = step >= max_steps or progress.seconds + progress.wrap_up >= budget

        # once in a while, though not again after a resume: how good is it, and is it safe?
        paused = time.perf_counter()
        if (finished or step % args.eval_every == 0) and progress.last_eval_step != step:
            eval_job = partial(evaluate, accelerator, loss_module, val_rows)
            val_loss, micro_batch = halve_until_it_fits(eval_job, micro_batch, accelerator, optimizers, args)
            best = progress.note_evaluation(val_loss)
            if best:
                save_best(accelerator, loss_module, model_dir, len(tokenizer))
            samples = sample_answers(accelerator, loss_module, tokenizer, held_out) if is_main else []
            log.evaluation(progress, val_loss, best, samples, untrained=step == 0 and not args.init_from)
        finished = finished or progress.evaluations_without_gain >= (args.patience or math.inf)
        if (finished or stop or step % args.save_every == 0) and step != saved_step:
            save_snapshot(accelerator, loss_module, optimizers, model_dir, run, progress, args.keep)
            saved_step = step
        progress.wrap_up = max(progress.wrap_up, 1.2 * (time.perf_counter() - paused))
        if finished or stop:
            break

        # a step; its learning rate follows from the share of the steps or hours that is done
        step_began = time.perf_counter()
        done = max((step + 1) / max_steps, min(1.0, progress.seconds / max(1e-9, budget - progress.wrap_up)))
        factor = lr_factor(done, warmup, args.schedule, args.min_lr_ratio)
        step_rows = rows.of_step(step, rows_per_step, args.seed)
        step_job = partial(training_step, accelerator, loss_module, optimizers, rows, step_rows, factor, args)
        (loss, grad_norm), micro_batch = halve_until_it_fits(step_job, micro_batch, accelerator, optimizers, args)
        log.count(sum(rows.count_tokens(step_rows)), time.perf_counter() - step_began)
        progress.skipped_steps += not watch.saw_good_step(step, loss, grad_norm, rows, step_rows)
        if (step + 1) % args.log_every == 0 or step + 1 == max_steps:
            log.step(step + 1, loss, grad_norm, args.lr * factor, seconds_left=budget - progress.seconds)

    log.end(progress, finished, "python train.py " + shlex.join(argv))
    lock.close()


# ---------------------------------------------------------------------------------------------------------
# 6 Setting up: the machine, the data, the model


def parse_arguments(argv: list[str]) -> argparse.Namespace:
    """The flags, with what depends on others or on the machine filled in: precision and lr (of --cfg auto later)."""
    guard_streams()
    args = build_parser().parse_args(argv)
    for name in ("data_dir", "model_dir", "init_from"):
        if getattr(args, name) == "":
            fail(f"--{name} is empty; give a name")
    read_manifest(Path(args.data_dir))
    refuse_what_is_not_ours(Path(args.model_dir))
    check_shape(args)
    if unused_gpu := gpu_that_torch_cannot_use(args):
        say(unused_gpu)
    args.precision = choose_precision(args)
    args.lr = args.lr or default_lr(args)
    return args


def default_lr(args) -> float:
    """The peak learning rate where none is given; 0 of a width that `choose_size` has yet to find."""
    _, width, _, lr = CONFIGS.get(args.cfg, [0] * 4)
    if args.init_from:
        return 5e-5
    return embeddings_lr(args.n_embd or width) if args.optim == "muon" and width else lr


def embeddings_lr(width: int) -> float:
    """The peak rate beside Muon, which leaves the embeddings to AdamW: they want far more than a whole model does.

    4e-3 for vectors of 768, and by the root of their width less beyond it, as nanochat has it (github.com/karpathy/nanochat,
    its rates for AdamW); tests/benchmarks/results/defaults.md.
    """
    return 4e-3 * (width / 768) ** -0.5


def check_shape(args) -> None:
    """A shape of --cfg, --n_layer, --n_embd and --n_head that can be built."""
    if args.cfg == "auto":
        return check_auto(args)
    _, n_embd, n_head, _ = CONFIGS[args.cfg]
    n_embd, n_head = args.n_embd or n_embd, args.n_head or n_head
    if args.init_from:
        return
    if n_embd % n_head:
        fail(f"--n_embd {n_embd} is not a multiple of --n_head {n_head}")
    if args.arch != "gpt2" and n_embd // n_head % 2:
        fail(
            f"--arch {args.arch} turns pairs of numbers, and --n_embd {n_embd} / --n_head {n_head} is odd; "
            "take another --n_head"
        )


def check_auto(args) -> None:
    """--cfg auto needs hours, and nothing beside it that fixes the size or the step."""
    if not args.max_hours:
        fail("--cfg auto chooses the size by the hours there are; add --max_hours, such as --max_hours 8")
    unset = build_parser().get_default
    names = ("n_layer", "n_embd", "n_head", "init_from", "batch_size", "grad_accum")
    if given := [f"--{name}" for name in names if getattr(args, name) != unset(name)]:
        fail(f"--cfg auto chooses the size and the step itself; leave {' and '.join(given)} out, or give another --cfg")
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        fail("--cfg auto measures one process; run it with --dry_run on one GPU, then give several what it chose")


def gpu_that_torch_cannot_use(args) -> str | None:
    """A word when nvidia-smi lists a card and torch sees none: most often a driver older than the CUDA of the wheel."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    if args.cpu or hidden or torch.cuda.is_available() or not shutil.which("nvidia-smi"):
        return None
    listed = output_of("nvidia-smi", "-L")
    if not listed.startswith("GPU "):
        return None
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    return (
        f"warning: this machine has a GPU that torch {torch.__version__} ({build}) cannot use, so this runs on the CPU: "
        "update the NVIDIA driver, or install a torch for your driver's CUDA (nvidia-smi shows it); --cpu silences this"
    )


def set_up_machine(args) -> tuple[accelerate.Accelerator, float | None]:
    """The accelerator (device, precision, processes), and the GiB of GPU memory to plan with, if any."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_float32_matmul_precision("high")  # TF32 where something stays in float32
    torch.manual_seed(args.seed)
    accelerator = accelerate.Accelerator(
        mixed_precision="no" if args.precision == "fp32" else args.precision, cpu=args.cpu
    )
    device, rows_per_step = accelerator.device, args.batch_size * args.grad_accum
    if accelerator.distributed_type == "FSDP" and not (accelerator.is_fsdp2 and args.optim == "adamw"):
        fail("FSDP works with accelerate launch --use_fsdp --fsdp_version 2, and with --optim adamw")
    if rows_per_step % accelerator.num_processes:
        fail(
            f"{accelerator.num_processes} processes cannot share batch_size x grad_accum = {rows_per_step} rows evenly"
        )
    if device.type == "cuda":
        free, total = (
            n_bytes / 2**30 for n_bytes in torch.cuda.mem_get_info()
        )  # a desktop and other programs hold some
        if args.vram_gb:  # of the current device: accelerate's has no number, which this refuses
            torch.cuda.set_per_process_memory_fraction(min(1.0, args.vram_gb / total))
        if args.compile and (lacking := why_no_compile()):
            say(f"--compile needs {lacking}: going on without")
            args.compile = False
        return accelerator, min(args.vram_gb or total, free)
    keep_freed_memory()
    for flag in ("use_flash_attn", "compile"):  # --compile: documents are grouped by length, in shapes that differ
        if getattr(args, flag):
            say(f"--{flag} needs a CUDA GPU: going on without")
            setattr(args, flag, False)
    return accelerator, args.vram_gb


def load_data(args):
    """-> (tokenizer, training rows, validation rows, {what is learned from: its sha256})."""
    data_dir = Path(args.data_dir)
    again = f"make the data again: python prep_data.py --overwrite --out_dir {quoted(data_dir)} --dataset ..."
    manifest, digests, parts = read_manifest(data_dir), {}, {}
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            data_dir / "tokenizer", trust_remote_code=False, local_files_only=True
        )
        tokenizer_sha = {f"tokenizer/{file.name}": sha256(file) for file in sorted((data_dir / "tokenizer").iterdir())}
    except Exception as error:  # a damaged file may raise anything
        fail(f"{data_dir / 'tokenizer'} cannot be read: {first_line(error)}; {again}")
    changed = [name for name, digest in tokenizer_sha.items() if manifest["sha256"].get(name) != digest]

    def refuse_changed() -> None:
        if changed:
            fail(f"{data_dir / changed[0]} is not the file that {data_dir / 'manifest.json'} describes; {again}")

    try:
        refuse_changed()
        for part in ("train", "val"):
            store, jsonl = map_store(data_dir, part, manifest, changed), f"{part}_tokenized.jsonl"
            if store:
                shards, digests[part] = store
            else:
                shards, digests[part] = read_jsonl(data_dir / jsonl, len(tokenizer))
                changed += [jsonl] if manifest["sha256"].get(jsonl) != digests[part] else []
            refuse_changed()
            documents = Documents(shards, args.seq_len, args.loss_on == "all")
            parts[part] = Rows(documents, args.seq_len, not args.no_packing)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}; {again}")
    for part, name in (("train", "training"), ("val", "validation")):
        if not len(parts[part]):
            fail(
                f"{data_dir} has no supervised token in its {name} rows that fits --seq_len {args.seq_len}; raise it, or "
                "make the data again"
            )
    tokenizer_digest = hashlib.sha256("".join(tokenizer_sha.values()).encode()).hexdigest()
    learned_from = {"data": digests["train"], "validation data": digests["val"], "tokenizer": tokenizer_digest}
    return tokenizer, parts["train"], parts["val"], learned_from


def map_store(data_dir: Path, part: str, manifest: dict, changed: list[str]) -> tuple[list, str] | None:
    """The shards of a part that prep_data.py has written as integers, mapped, and the sha256 that stands for them: that of
    the same rows as JSONL, if they were written too. None where there are no such shards, or where that JSONL is another by
    now: what somebody has made by hand counts. What is not as it was written is added to `changed`, and nothing is mapped."""
    jsonl, known, shards = f"{part}_tokenized.jsonl", manifest["store"].get(part), []
    if known is None or known["jsonl"] != manifest["sha256"].get(jsonl):
        return None
    if (data_dir / jsonl).exists() and not is_as_written(data_dir, manifest, jsonl):
        return None
    for number in range(known["shards"]):
        names = {kind: f"{part}_tokens.{number:05}.{kind}" for kind in ("ids", "bounds", "learned")}
        listed = {kind: name for kind, name in names.items() if kind != "learned" or name in manifest["sha256"]}
        changed += [name for name in listed.values() if not is_as_written(data_dir, manifest, name)]
        if changed:
            return [], ""
        maps = {kind: np.memmap(data_dir / name, known[kind], "r") for kind, name in listed.items()}
        spans = maps["learned"].view(np.ndarray).reshape(-1, 2) if "learned" in maps else None
        shards.append((maps["ids"].view(np.ndarray), maps["bounds"], spans))
    digests = [digest for name, digest in sorted(manifest["sha256"].items()) if name.startswith(f"{part}_tokens.")]
    return shards, known["jsonl"] or hashlib.sha256("".join(digests).encode()).hexdigest()


LARGE_FILE = 10**8  # bytes: to read so many is worth a word


def is_as_written(data_dir: Path, manifest: dict, name: str) -> bool:
    """Whether a file is still the one that the manifest lists: of its size and older than the manifest, which was written
    last, or else of its sha256. Gigabytes need not be read for that at each start: one that was, since a copy made it newer,
    is given a time before the manifest's, as it had before it was copied."""
    path, written = data_dir / name, (data_dir / "manifest.json").stat().st_mtime_ns
    before = path.stat()
    if before.st_mtime_ns < written and before.st_size == manifest["bytes"].get(name):
        return True
    if before.st_size > LARGE_FILE:
        say(f"checking   {name}, {before.st_size / 1e9:.1f} GB: newer than manifest.json, as after a copy")
    if sha256(path) != manifest["sha256"].get(name):
        return False
    with contextlib.suppress(OSError):  # who may not, reads them again
        if path.stat().st_mtime_ns == before.st_mtime_ns >= written:  # nobody has written there meanwhile
            os.utime(path, ns=(before.st_atime_ns, written - 1))
    return True


def read_jsonl(path: Path, n_vocab: int) -> tuple[list, str]:
    """The tokenized rows of a JSONL as shards for Documents, and its sha256."""
    pairs, digest = [], hashlib.sha256()
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            digest.update(line)
            try:
                row = json.loads(line)
                ids = np.array(row["input_ids"], dtype=np.int32)
                learned = np.array(row["labels"], dtype=np.int32) != IGNORE_INDEX
                if ids.ndim != 1 or ids.shape != learned.shape or not 0 <= ids.min() <= ids.max() < n_vocab:
                    raise ValueError
            except (ValueError, KeyError, TypeError, OverflowError):
                fail(f"{path}:{number}: not a tokenized row; make the data again with prep_data.py")
            pairs.append((ids, learned))
    return in_memory(pairs), digest.hexdigest()


def in_memory(pairs: list[tuple[np.ndarray, np.ndarray]]) -> list[tuple]:
    """Documents `(input_ids, learned)`, each of shape (L,), as the shards of Documents."""
    if not pairs:
        return [(np.empty(0, np.int32), np.zeros(1, np.int64), None)]
    ids, learned = map(np.concatenate, zip(*pairs))
    bounds = np.cumsum([0] + [len(ids) for ids, _ in pairs])
    return [(ids, bounds, np.flatnonzero(np.diff(learned, prepend=False, append=False)).reshape(-1, 2))]


def rows_in_memory(pairs: list[tuple[np.ndarray, np.ndarray]], seq_len: int, packing: bool) -> Rows:
    return Rows(Documents(in_memory(pairs), seq_len), seq_len, packing)


def cut_documents(bounds, spans, seq_len: int, learn_all: bool, counts: dict[str, int]) -> tuple[np.ndarray, ...]:
    """(starts, lengths, learned tokens) of the documents of a shard, none longer than `seq_len`.

    Plain text, of which every token is learned, is split. A conversation is cut after its last answer that fits, or left
    out, which is counted in `counts`. Where nothing is learned, the length is 0.
    """
    given = bounds
    if isinstance(bounds, np.memmap):  # read, since all of it is looked at: what is touched of a map stays in memory
        bounds = np.fromfile(bounds.filename, bounds.dtype)
    bounds = bounds.astype(np.int64)  # what the files hold is unsigned, and is subtracted here
    begins, ends = np.stack([bounds[:-1], bounds[1:]]) if spans is None else spans.T.astype(np.int64)
    in_spans = np.append(0, np.cumsum(ends - begins))

    def learned_before(place: np.ndarray) -> np.ndarray:
        n_ended = np.searchsorted(ends, place, side="right")
        return in_spans[n_ended] + np.maximum(0, place - np.append(begins, bounds[-1])[n_ended])

    starts, lengths = bounds[:-1], np.diff(bounds)
    is_text = np.diff(learned_before(bounds)) == lengths
    too_long = ~is_text & (lengths > seq_len)
    last_end = np.append(0, ends)[np.searchsorted(ends, starts + seq_len, side="right")]
    lengths = np.where(too_long, np.maximum(0, last_end - starts), lengths)
    counts["conversations cut"] += int(np.count_nonzero(too_long & (lengths > 0)))
    counts["conversations too long"] += int(np.count_nonzero(too_long & (lengths == 0)))
    n_pieces = np.where(is_text, -(-lengths // seq_len), 1)
    piece = np.arange(n_pieces.sum()) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)  # counted in each document
    starts = np.repeat(starts, n_pieces) + piece * seq_len
    lengths = np.minimum(np.repeat(lengths, n_pieces) - piece * seq_len, seq_len)
    # the first token of a document is never learned
    n_learned = lengths - 1 if learn_all else learned_before(starts + lengths) - learned_before(starts + 1)
    lengths[n_learned <= 0] = 0
    small = np.min_scalar_type(seq_len)
    starts = given if (n_pieces == 1).all() else starts.astype(np.uint32)  # where none is split, they are there already
    return starts, lengths.astype(small), np.maximum(0, n_learned).astype(small)


PACKED_AT_ONCE = 2**20  # documents: beyond so many, more of them make no row fuller, and sorting all takes gigabytes


def pack(lengths: np.ndarray, capacity: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of documents, each row's lengths summing to at most `capacity`: `best_fit` of PACKED_AT_ONCE documents at a
    time. A document of length 0 comes into no row.

    Returns `(documents, bounds)`: row r holds the documents numbered documents[bounds[r] : bounds[r + 1]].
    """
    placed, bounds, done = np.empty(np.count_nonzero(lengths), np.uint32), [np.zeros(1, np.uint32)], 0
    for first in range(0, len(lengths), PACKED_AT_ONCE):
        some, their_bounds = best_fit(lengths[first : first + PACKED_AT_ONCE], capacity)
        placed[done : done + len(some)] = some + first
        bounds.append(their_bounds[1:] + done)
        done += len(some)
    return placed, np.concatenate(bounds)


def best_fit(lengths: np.ndarray, capacity: int) -> tuple[np.ndarray, np.ndarray]:
    """What `pack` returns: the longest documents first, each into the fullest row that has room for it
    (best-fit-decreasing bin packing)."""
    order = np.argsort(capacity - lengths, kind="stable")[: np.count_nonzero(lengths)].astype(np.uint32)
    row_of, n_rows, done = np.empty_like(order), 0, 0  # the row of each document in that order
    open_rows: dict[int, np.ndarray] = {}  # by free tokens; of several rows the one that was filled last comes first
    # There may be millions of documents, but few lengths: those of one length are placed together, as if one by one.
    sizes, counts = np.unique(lengths[order], return_counts=True)
    for length, stop in zip(sizes[::-1].tolist(), np.cumsum(counts[::-1]).tolist()):
        for space in [*sorted(space for space in open_rows if space >= length), capacity]:
            each = space // length  # documents that such a row has room for
            wanted = -(-(stop - done) // each)
            if space == capacity:
                rows, n_rows = np.arange(n_rows, n_rows + wanted, dtype=np.uint32), n_rows + wanted
            else:
                rows = open_rows.pop(space)
            rows, others = rows[:wanted], rows[wanted:]
            placed = np.repeat(rows, each)[: stop - done]
            row_of[done : done + len(placed)] = placed
            done += len(placed)
            in_last = len(placed) - each * (len(rows) - 1)
            for left, some in (
                (space, others),
                (space - each * length, rows[-2::-1]),
                (space - in_last * length, rows[-1:]),
            ):
                if left and len(some):
                    open_rows[left] = np.concatenate([some, open_rows.get(left, some[:0])])
            if done == stop:
                break
    bounds = np.append(0, np.cumsum(np.bincount(row_of)))
    return order[np.argsort(row_of, kind="stable")], bounds.astype(np.uint32)


def one_a_row(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What `pack` returns, with each document in a row of its own."""
    documents = np.flatnonzero(lengths).astype(np.uint32)
    return documents, np.arange(len(documents) + 1)


def spread(documents: Documents, n: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Up to `n` documents, from the first on and evenly apart."""
    some = np.flatnonzero(documents.lengths)
    return [documents[i] for i in some[:: len(some) // n or 1][:n]]


def read_manifest(data_dir: Path) -> dict:
    """What prep_data.py says of DATA_DIR, with its `card` and the `sha256` of each file; it is written last."""
    make = f"python prep_data.py --dataset ... --out_dir {quoted(data_dir)}"
    path = data_dir / "manifest.json"
    if not path.exists():
        state = "is not complete" if data_dir.exists() else "does not exist"
        fail(f"the data folder {data_dir} {state}; make it with: {make}")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        manifest["sha256"].get("")
        str.strip(manifest["card"])
        manifest.setdefault("bytes", {}).get("")  # older folders have neither
        for known in manifest.setdefault("store", {}).values():
            if {known[kind] for kind in ("ids", "bounds", "learned")} - {"<u2", "<u4"} or min(
                known["shards"], "jsonl" in known
            ) < 1:
                raise ValueError("types of the store")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        fail(f"{path} is damaged ({first_line(error)}); make the data again: {make} --overwrite")
    return manifest


def set_up_model(args, accelerator, tokenizer, rows, vram_gb: float | None):
    """-> (the model with its loss, on its device; predicted memory by part or None; is gradient checkpointing on)."""
    device, dtype, n_vocab = accelerator.device, DTYPES[args.precision], len(tokenizer)
    if args.cfg == "auto" and not args.n_layer:
        choose_size(args, accelerator, tokenizer, rows, vram_gb)
    config = build_config(args, n_vocab)
    n_known = refuse_other_tokens(args.init_from, config, tokenizer) if args.init_from else None
    refuse_what_no_memory_holds(config, args, n_vocab)
    attention, flash_kernel = choose_attention(args, config, device)
    model = build_model(args, n_vocab, attention, n_known)
    memory, checkpointing = None, args.grad_checkpointing == "on"
    if args.dry_run or vram_gb:
        memory = predict_memory(model.config, args, n_vocab, args.batch_size, checkpointing)
        if vram_gb and args.grad_checkpointing == "auto" and memory["total"] >= vram_gb * USABLE_VRAM:
            checkpointing = True
            memory = predict_memory(model.config, args, n_vocab, args.batch_size, checkpointing)
    hold_fewer_activations(model, checkpointing)
    loss_module = NextTokenLoss(model, n_vocab, flash_kernel).to(device)
    if not args.no_packing:
        check_isolation(loss_module, device, dtype)
    return loss_module, memory, checkpointing


# ---------------------------------------------------------------------------------------------------------
# 7 Faster and smaller: kernels, recomputation, Muon


class ChunkedCrossEntropy(torch.autograd.Function):
    """Summed cross-entropy of `hidden @ weight.T` against `targets`, without ever holding all logits.

    hidden (N, C), weight (V, C), targets (N,) -> scalar, float32. The gradient of a chunk of logits is formed as soon
    as its loss is, so nothing is computed twice. Columns from `n_vocab` on pad the matrix to a fast shape: no
    probability goes there.
    """

    @staticmethod
    def forward(ctx, hidden, weight, targets, n_vocab):
        device_type = hidden.device.type
        autocast = torch.is_autocast_enabled(device_type)
        dtype = torch.get_autocast_dtype(device_type) if autocast else hidden.dtype
        h, w = hidden.to(dtype), weight.to(dtype)
        loss = torch.zeros((), dtype=torch.float32, device=hidden.device)
        grad_hidden, grad_weight = torch.empty_like(h), torch.zeros_like(weight, dtype=torch.float32)
        chunk_size = max(64, LOGITS_PER_CHUNK // len(weight) // 64 * 64)
        buffer = h.new_empty(min(chunk_size, len(h)), len(weight))  # one for all chunks: the step's largest tensor
        for chunk, target, grad in zip(h.split(chunk_size), targets.split(chunk_size), grad_hidden.split(chunk_size)):
            product, target = buffer[: len(chunk)], target[:, None]
            logits = torch.mm(chunk, w.T, out=product).float()  # in float32 the same memory
            logits[:, n_vocab:] = -math.inf
            largest, at_target = logits.amax(dim=1, keepdim=True), logits.gather(1, target)
            # in place and a row at a time: twice over memory, where its steps one by one take seven times
            probabilities = torch.softmax(logits, dim=1, out=logits)
            # ln of the sum of exp(logits), by the likeliest token, whose probability cannot underflow as the target's can
            loss += (largest - probabilities.amax(dim=1, keepdim=True).log() - at_target).sum()
            if any(ctx.needs_input_grad):  # d loss / d logits = probabilities - 1 at the target
                probabilities.scatter_add_(1, target, -torch.ones_like(largest))
                grad_logits = probabilities if dtype is torch.float32 else product.copy_(probabilities)
                torch.mm(grad_logits, w, out=grad)
                add_product(grad_weight, grad_logits.T, chunk)
            del logits, probabilities  # before the next chunk makes its own
        ctx.save_for_backward(grad_hidden.to(hidden.dtype), grad_weight.to(weight.dtype))
        return loss

    @staticmethod
    def backward(ctx, grad_loss):
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden.mul_(grad_loss), grad_weight.mul_(grad_loss), None, None  # in place: they are large


def add_product(total: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> None:
    """total += a @ b, for a `total` (V, C) in float32 and factors that may be in 16 bits: then a block of rows at a time."""
    if a.dtype is total.dtype:
        total.addmm_(a, b)
    else:
        n_rows = max(1, WEIGHTS_PER_BLOCK // total.shape[1])
        for total_block, a_block in zip(total.split(n_rows), a.split(n_rows)):
            total_block += a_block @ b


def attention_by_bounds(module, query, key, value, attention_mask, scaling=None, bounds=None, **kwargs):
    """Causal attention inside each document of a packed batch, by a flash kernel that is told where they begin.

    query, key, value (B, H, T, D) -> (B, T, H, D). `bounds`: the kernel, cu_seqlens (documents + 1,) on the device, and the
    longest that a document can be. Without it (generation) this is plain sdpa.
    """
    if bounds is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    kernel, cu_seqlens, longest = bounds
    # RoPE leaves q and k in float32 under autocast, v is in 16 bits: the kernel takes one type
    q, k, v = flatten_heads(query, key, value, value.dtype)
    return kernel(q, k, v, cu_seqlens, longest, scaling).unflatten(0, (query.shape[0], query.shape[2])), None


def attention_by_groups(module, query, key, value, attention_mask, scaling=None, groups=None, **kwargs):
    """The same without such a kernel, at about the cost of the documents alone: documents of like length, one call of sdpa.

    `groups`: what `group_documents` returns.
    """
    if groups is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    shapes, members, places = groups
    # in 16 bits a CPU's sdpa takes twice as long for documents this short
    dtype = torch.float32 if value.device.type == "cpu" else value.dtype
    sizes = [math.prod(shape) for shape in shapes]
    q, k, v = (IntoGroups.apply(x, members, places).split(sizes) for x in flatten_heads(query, key, value, dtype))
    outputs = []
    for shape, *qkv in zip(shapes, q, k, v):
        qkv = (x.unflatten(0, shape).transpose(1, 2) for x in qkv)
        output = F.scaled_dot_product_attention(*qkv, is_causal=True, scale=scaling)
        outputs.append(output.transpose(1, 2).flatten(0, 1))
    output = OutOfGroups.apply(torch.cat(outputs), places).to(value.dtype)
    return output.unflatten(0, (query.shape[0], query.shape[2])), None


class IntoGroups(torch.autograd.Function):
    """x[members], and the gradient is looked up as well, where autograd would add row to row: what fills a group has none."""

    @staticmethod
    def forward(ctx, x, members, places):
        ctx.places = places
        return x[members]

    @staticmethod
    def backward(ctx, grad):
        return grad[ctx.places], None, None


class OutOfGroups(torch.autograd.Function):
    """x[places], of which each occurs once, so that the gradient is copied and not added up."""

    @staticmethod
    def forward(ctx, x, places):
        ctx.places, ctx.shape = places, x.shape
        return x[places]

    @staticmethod
    def backward(ctx, grad):
        return grad.new_zeros(ctx.shape).index_copy_(0, ctx.places, grad), None


def flatten_heads(query, key, value, dtype: torch.dtype) -> list[torch.Tensor]:
    """(B, H, T, D) -> (B * T, H, D) each, a head of keys and values repeated for the queries that share it."""
    n_shared = query.shape[1] // key.shape[1]
    if n_shared > 1:  # to repeat copies, even once
        key, value = (x.repeat_interleave(n_shared, dim=1) for x in (key, value))
    return [x.transpose(1, 2).flatten(0, 1).to(dtype) for x in (query, key, value)]


AttentionInterface.register("documents_by_bounds", attention_by_bounds)
AttentionInterface.register("documents_by_groups", attention_by_groups)


def group_documents(cu_seqlens: torch.Tensor, multiple: int = 32):
    """Group documents by length, rounded up to `multiple`.

    cu_seqlens (documents + 1,) -> shapes, the (documents, length) of each group; members (sum of the shapes' products,),
    the places in the flattened batch that the groups hold, one group after the other; places (tokens,), where among the
    members each place of the flattened batch is. A document that is shorter than its group has its last token again behind
    its end, where no query sees it. On a GPU this waits for it: the lengths decide how many calls there are.
    """
    bounds = cu_seqlens.cpu().numpy()
    starts, lengths = bounds[:-1, None], np.diff(bounds)[:, None]
    rounded = -(-lengths[:, 0] // multiple) * multiple
    shapes, members, places, n_before = [], [], np.empty(bounds[-1], dtype=np.int64), 0
    for length in np.unique(rounded):
        mine = rounded == length
        offsets = np.arange(length)
        group = starts[mine] + np.minimum(offsets, lengths[mine] - 1)
        is_token = offsets < lengths[mine]
        places[group[is_token]] = n_before + np.flatnonzero(is_token)
        n_before += group.size
        shapes.append(group.shape)
        members.append(group.ravel())
    members, places = (torch.from_numpy(x).to(cu_seqlens.device) for x in (np.concatenate(members), places))
    return shapes, members, places


def choose_attention(args, config, device: torch.device):
    """-> (name of the attention, flash kernel or None): documents each by itself, or transformers' sdpa with a mask."""
    if args.attn in ("sdpa", "eager"):
        return args.attn, None
    if device.type != "cuda":
        return "documents_by_groups", None
    why_not, kernel = why_no_flash(args.precision, config, device), None
    if not why_not:
        kernel = find_flash_kernel(args.use_flash_attn, config)
        why_not = f"torch {torch.__version__} (2.10 has one)"
    if kernel:
        return "documents_by_bounds", kernel
    attention = "documents_by_groups" if args.attn == "documents" else "sdpa"
    say(f"attention  no flash kernel for {why_not}: going on with {attention.replace('_', ' ')}")
    return attention, None


def why_no_flash(precision: str, config, device) -> str | None:
    """Flash kernels want Ampere or newer, 16 bits, and heads of at most 256 in steps of 8."""
    head_size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    if torch.cuda.get_device_capability(device) < (8, 0):
        return "a GPU before the RTX 30 series"
    if precision == "fp32":
        return "fp32"
    return f"heads of {head_size}, no multiple of 8 up to 256" if head_size % 8 or head_size > 256 else None


def find_flash_kernel(use_flash_attn: bool, config):
    """A kernel(q, k, v, cu_seqlens, longest, scale) for packed rows, q, k, v (tokens, H, D): that of the flash-attn package
    when asked for, else torch's own (>= 2.10), or None."""
    if use_flash_attn:
        try:
            from flash_attn import flash_attn_varlen_func

            return lambda q, k, v, bounds, longest, scale: flash_attn_varlen_func(
                q, k, v, bounds, bounds, longest, longest, softmax_scale=scale, causal=True
            )
        except ImportError:
            say("flash-attn is not installed (pip install flash-attn --no-build-isolation): going on with torch's own")
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    if "window_size" in inspect.signature(varlen_attn).parameters:
        return lambda q, k, v, bounds, longest, scale: varlen_attn(
            q, k, v, bounds, bounds, longest, longest, scale=scale, window_size=(-1, 0)
        )
    # torch 2.10 scales by 1 / sqrt(head size) and nothing else
    if getattr(config, "scale_attn_by_inverse_layer_idx", False) or not getattr(config, "scale_attn_weights", True):
        return None
    return lambda q, k, v, bounds, longest, scale: varlen_attn(
        q, k, v, bounds, bounds, longest, longest, is_causal=True
    )


def hold_fewer_activations(model, checkpointing: bool) -> None:
    """Compute again in the backward pass: all of a block (gradient checkpointing), else what its GELU or SwiGLU returned.

    The latter, a fifth of a block's activations, costs next to nothing: `checkpoint` stops before the matrix product.
    """
    if checkpointing:  # transformers 5.23 renamed it
        enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        return enable({"use_reentrant": False})

    def forward(mlp, x):
        inputs = (mlp.c_fc(x),) if hasattr(mlp, "c_fc") else (mlp.gate_proj(x), mlp.up_proj(x))
        outer = checkpoint(output, mlp, *inputs, use_reentrant=False, preserve_rng_state=False)
        return mlp.dropout(outer) if hasattr(mlp, "c_fc") else outer

    def output(mlp, hidden, factor=None):
        return mlp.c_proj(mlp.act(hidden)) if factor is None else mlp.down_proj(mlp.act_fn(hidden) * factor)

    for name, module in model.named_modules():
        if name.endswith(".mlp"):
            module.forward = partial(forward, module)


def adamw_in_8_bits(groups: list[dict], embeddings: list, settings: dict):
    """bitsandbytes' AdamW, whose moments take 2 bytes a weight instead of 8."""
    import bitsandbytes as bnb

    if embeddings[0].device.type == "cpu" and tuple(map(int, bnb.__version__.split(".")[:2])) < (0, 50):
        fail(f"--optim adamw8bit on a CPU needs bitsandbytes 0.50, here is {bnb.__version__}; use --optim adamw")
    # 8-bit state of embeddings is unstable from scratch (Dettmers et al. 2022, arXiv:2110.02861)
    manager = bnb.optim.GlobalOptimManager.get_instance()
    for parameter in embeddings:
        manager.override_config(parameter, "optim_bits", 32)
    manager.register_parameters(groups)  # below 0.50 an override counts only for what is registered after it
    return bnb.optim.AdamW8bit(groups, **settings)


def muon_of_blocks(named: list[tuple[str, torch.nn.Parameter]], is_gpt2: bool, args) -> MatrixMuon:
    """Muon for the matrices of the blocks, in the precision of the run."""
    if args.precision == "fp16":  # whose loss scaler wants to see all gradients
        fail("--optim muon works with --bf16 or --fp32; use --optim adamw")
    weights = [(p, is_gpt2, 3 if "c_attn" in name else 1) for name, p in named]
    iterate_in = torch.float32 if args.precision == "fp32" else torch.bfloat16
    return MatrixMuon(weights, iterate_in, lr=args.muon_lr, weight_decay=args.weight_decay)


def why_no_compile() -> str | None:
    """What torch.compile lacks here to make kernels for a GPU, and the command that brings it, or None."""
    if torch.cuda.get_device_capability() < (7, 0):
        return "a GPU of compute capability 7.0 or more"
    if not importlib.util.find_spec("triton"):
        return "the package triton (pip install triton)"
    if not any(map(shutil.which, [os.environ["CC"]] if "CC" in os.environ else ["gcc", "clang"])):
        return "a C compiler (sudo apt install gcc)"
    headers = sysconfig.get_paths("posix_prefix")["include"]  # Debian's own scheme names another folder
    return None if Path(headers, "Python.h").exists() else "the headers of Python (sudo apt install python3-dev)"


def compile_blocks(loss_module: NextTokenLoss) -> None:
    """torch.compile for all but the head and the loss, once: how many documents a batch has is no constant of the graph."""
    loss_module.model.base_model.compile()

    def mark(module, args, batch) -> None:
        torch._dynamo.maybe_mark_dynamic(batch["cu_seqlens"], 0)  # else the second batch has it compiled anew

    loss_module.register_forward_pre_hook(mark, with_kwargs=True)


class MatrixMuon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) over a model's hidden matrices, each in (out, in) order and by itself.

    GPT-2 stores its matrices transposed and q, k and v fused in one; Muon must see three. So it works on views, which
    share the memory of the weights, and borrows the weights' gradients at each step. The step is that of torch.optim.Muon
    (torch 2.9), which iterates in bfloat16 whatever the device: a CPU without AVX-512 does that at a hundredth of its speed.
    """

    def __init__(self, weights: list[tuple[torch.nn.Parameter, bool, int]], iterate_in: torch.dtype, lr, weight_decay):
        """weights: (matrix, is it stored transposed, number of matrices fused along its output)."""
        self.weights, self.iterate_in = weights, iterate_in
        views = [torch.nn.Parameter(view) for part in weights for view in self.split(part[0].detach(), *part[1:])]
        super().__init__(views, {"lr": lr, "weight_decay": weight_decay, "momentum": 0.95})

    @staticmethod
    def split(matrix, transposed: bool, n_fused: int):
        return (matrix.T if transposed else matrix).chunk(n_fused)

    @torch.no_grad()
    def step(self, closure=None):
        gradients = (view for weight, *how in self.weights for view in self.split(weight.grad, *how))
        (group,) = self.param_groups
        same_shape = defaultdict(list)  # which are iterated together: small products one by one leave a device idle
        for matrix, gradient in zip(group["params"], gradients):
            same_shape[matrix.shape].append((matrix, gradient))
        for (n_out, n_in), pairs in same_shape.items():
            together = max(1, MATRIX_ELEMENTS_TOGETHER // (n_out * n_in))
            for start in range(0, len(pairs), together):
                matrices, gradients = zip(*pairs[start : start + together])
                updates = torch.stack([self.averaged(*pair) for pair in zip(matrices, gradients)])
                for matrix, update in zip(matrices, orthogonalize(updates)):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"])
                    matrix.add_(update, alpha=-group["lr"] * math.sqrt(max(1, n_out / n_in)))

    def averaged(self, matrix: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        """The gradient averaged over steps, with Nesterov's look ahead, in the type to iterate in."""
        state, momentum = self.state[matrix], self.param_groups[0]["momentum"]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        average = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
        return gradient.lerp(average, momentum).to(self.iterate_in)

    def zero_grad(self, set_to_none: bool = True):
        for weight, *_ in self.weights:
            weight.grad = None


def orthogonalize(matrices: torch.Tensor, n_steps: int = 5) -> torch.Tensor:
    """About U V^T of each U S V^T in (N, out, in), by the quintic Newton-Schulz iteration of Muon, in the dtype given.

    Singular values end between 0.7 and 1.2, not at 1: the coefficients are the steepest at 0, for few steps.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrices.mT if matrices.shape[1] > matrices.shape[2] else matrices  # the smaller Gram matrix
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(n_steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if matrices.shape[1] > matrices.shape[2] else x


def keep_freed_memory() -> None:
    """Let glibc keep freed blocks for the next step: to fault their pages in anew takes a quarter of a step on a CPU."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(-4, 0)  # M_MMAP_MAX: no block of its own mapping, which goes back to the system when it is freed
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD, bytes at the end of the heap


def cpu_speeds() -> tuple[float, float]:
    """FLOP/s of one thread in (float32, bfloat16), in 0.1 s.

    AVX-512 with bf16 units multiplies bf16 twice as fast as float32, other CPUs at a half to a hundredth of its speed, and
    the name of an instruction set does not tell. One thread, since several wait for one another on a busy machine.
    """
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    speeds = [matmul_peak("cpu", dtype, size=256, seconds=0.03) for dtype in (torch.float32, torch.bfloat16)]
    torch.set_num_threads(n_threads)
    return speeds[0], speeds[1]


def choose_precision(args) -> str:
    """The precision asked for; else that of the run to go on with; else the one in which this hardware is fastest."""
    wanted = next((name for name in DTYPES if getattr(args, name)), None)
    cuda = torch.cuda.is_available() and not args.cpu
    has_bf16 = cuda and torch.cuda.is_bf16_supported(including_emulation=False)
    if wanted == "fp16" and not cuda:
        fail("--fp16 needs a CUDA GPU; use --bf16 or --fp32")
    if wanted == "bf16" and cuda and not has_bf16:
        fail("this GPU has no bf16 (it came with the RTX 30 series); use --fp16 or --fp32")
    if cuda:
        return wanted or ("bf16" if has_bf16 else "fp16")
    if wanted is None and args.resume != "never":
        begun_in = first_row(Path(args.model_dir)).get("arguments", {}).get("precision")
        wanted = begun_in if begun_in in list(DTYPES) else None
    if wanted == "fp32" or (wanted is None and int(os.environ.get("WORLD_SIZE", 1)) > 1):  # processes could disagree
        return "fp32"
    fp32, bf16 = cpu_speeds()
    if bf16 > fp32:
        return "bf16"
    if wanted:
        say(f"bf16       is {fp32 / bf16:.2g} times slower than float32 on this CPU: the run goes on in float32")
    return "fp32"


# ---------------------------------------------------------------------------------------------------------
# 8 The plan: steps, memory, time


def count_parameters(model, n_vocab: int) -> int:
    """Parameters of the model as it is written out: tied weights once, without the padding of the vocabulary."""
    n_padding = model.get_input_embeddings().num_embeddings - n_vocab
    n_embeddings = 1 if model.config.tie_word_embeddings else 2
    return sum(p.numel() for p in model.parameters()) - n_embeddings * n_padding * model.config.hidden_size


def steps_of_run(args, n_rows: int, rows_per_step: int) -> tuple[float, float]:
    """(optimizer steps, infinite where --max_hours alone ends the run; the share of the run that is warmup)."""
    epochs = args.epochs or (None if args.max_steps or args.max_hours else 3.0)
    max_steps = min(args.max_steps or math.inf, math.ceil(epochs * n_rows / rows_per_step) if epochs else math.inf)
    if math.isinf(max_steps):
        return max_steps, 0.05
    warmup_steps = min(2000, max_steps // 20) if args.warmup_steps is None else args.warmup_steps
    return max_steps, warmup_steps / max_steps


def describe(args, model, n_parameters: int, rows: Rows, max_steps: float, where: str) -> str:
    """The plan of the run, a line a subject."""
    config, rows_per_step, n_documents = model.config, args.batch_size * args.grad_accum, len(rows.placed)
    n_tokens, n_learned = int(rows.documents.lengths.sum()), int(rows.documents.n_learned.sum())
    lines = [
        f"model      {n_parameters:,} parameters ({args.arch}, {config.num_hidden_layers} layers x {config.hidden_size}), "
        f"{args.precision}, attention {config._attn_implementation.replace('_', ' ')}, on {where}",
        f"data       {n_documents:,} documents, {n_tokens:,} tokens, {n_learned:,} learned, in "
        f"{len(rows):,} rows of {args.seq_len} ({n_tokens / len(rows) / args.seq_len:.0%} full)"
        + "".join(f"; {count:,} {name}" for name, count in rows.documents.counts.items() if count),
        f"step       {args.batch_size} rows x {args.grad_accum} = {rows_per_step} rows, up to "
        f"{rows_per_step * args.seq_len:,} tokens",
    ]
    doubts = [f"warning: {text}" for text in contradictions(args, max_steps)]
    if math.isinf(max_steps):
        return "\n".join([*lines, f"run        {args.max_hours} hours", *doubts])
    n_epochs = max_steps * rows_per_step / len(rows)
    at_most = f", at most {args.max_hours} hours" if args.max_hours else ""
    lines.append(f"run        {max_steps:,} steps = {n_epochs:,.1f} epochs{at_most}")
    if n_epochs > 20:
        lines.append(
            f"warning: {n_epochs:,.0f} epochs over the same {n_documents:,} documents: beyond 20 a model mostly "
            "learns them by heart. The best model by validation loss is kept; --patience 5 ends the run in time."
        )
    return "\n".join(lines + doubts)


def contradictions(args, max_steps: float) -> list[str]:
    """Settings that do nothing, or not what they seem to, beside others."""
    unset, hours_alone = build_parser().get_default, math.isinf(max_steps)
    shape = [f"--{name}" for name in ("cfg", "n_layer", "n_embd", "n_head") if getattr(args, name) != unset(name)]
    doubts = {
        f"--warmup_steps {args.warmup_steps} of {max_steps} steps: the learning rate never reaches its peak": (
            (args.warmup_steps or 0) >= max_steps
        ),
        "--warmup_steps needs --max_steps or --epochs; with --max_hours alone, 5 % of the hours are warmup": (
            hours_alone and args.warmup_steps is not None
        ),
        f"--eval_every {args.eval_every} of {max_steps} steps: no evaluation but the first and the last": (
            unset("eval_every") != args.eval_every > max_steps
        ),
        f"--patience {args.patience} x --eval_every {args.eval_every} is beyond the {max_steps} steps: it ends nothing": (
            args.patience and args.patience * args.eval_every > max_steps
        ),
        f"--save_every {args.save_every} of {max_steps} steps: no snapshot but the last, a power cut costs all": (
            unset("save_every") != args.save_every > max_steps
        ),
        "--muon_lr does nothing without --optim muon": args.muon_lr != unset("muon_lr") and args.optim != "muon",
        f"--dropout does nothing with --arch {args.arch}, which has none": args.dropout and args.arch != "gpt2",
        f"without effect beside --init_from, whose shape is taken: {', '.join(shape)}": args.init_from and shape,
    }
    return [text for text, is_so in doubts.items() if is_so]


def device_name(device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"


def predict_memory(config, args, n_vocab: int, batch_size: int, checkpointing: bool) -> dict[str, float]:
    """Peak memory of a training step in GiB by part, from the shapes alone.

    L blocks on a stream of width C, V tokens, T positions, n = batch_size x T tokens at a time; in bytes, with `size` 2 in
    16 bits and 4 in float32. Until the backward pass each block keeps what `kept_by_block` lists; with checkpointing only
    the stream (4 C), and one block at a time. The peak is at the loss, or in the backward pass of the last block, of the
    first, or of the embedding.
    Torch's own tracker agrees within 3 % on the shapes of --cfg and of small models (tests/test_memory.py); on toys it does
    not.
    """
    L, C, T, size = config.num_hidden_layers, config.hidden_size, args.seq_len, 4 if args.precision == "fp32" else 2
    V, n, is_gpt2 = padded(n_vocab), batch_size * T, config.model_type == "gpt2"
    hidden, weights = weights_of(config, V)
    if is_gpt2:
        weights += T * C
    accumulates = batch_size < args.batch_size * args.grad_accum  # else gradients come into being in the backward pass
    formed = 0 if accumulates else 4 * (weights - V * C)  # those that are there when it reaches the embedding
    block = n * (kept_by_block(config, size) + (2 * C if args.dropout else 0))
    kept = 4 * L * C * n if checkpointing else L * block
    copies = hidden * size if size == 2 else 0  # autocast's own weights, until the backward pass has used them
    chunk = min(n, LOGITS_PER_CHUNK // V) * V  # logits: float32, and a copy in 16 bits
    at_loss = (6 if size == 2 else 4) * V * C + (6 if size == 2 else 4) * chunk + 10 * C * n
    # the head's gradient, the stream's, and so many of the MLP's width: GELU's output and gradients, or those of SwiGLU
    in_block = 4 * V * C + n * (6 * C + (2 if is_gpt2 else 4) * size * widths_of_parts(config)[2])
    activations = max(
        copies + kept + at_loss,
        kept + in_block + (copies / L + block if checkpointing else copies),
        formed + in_block + copies / L + block,
        # the embedding's gradient; where the head is tied to it the head's besides, and their sum
        formed + (12 if config.tie_word_embeddings else 4) * V * C,
    )
    moments = {"adamw": 8 * weights, "adamw8bit": 8 * weights - 6 * hidden, "muon": 8 * weights - 4 * hidden}
    parts = {
        "weights": 4 * weights, "gradients": 4 * weights if accumulates else 0, "optimizer": moments[args.optim],
        "activations": activations,
    }  # fmt: skip
    return {part: n_bytes / 2**30 for part, n_bytes in [*parts.items(), ("total", sum(parts.values()))]}


def kept_by_block(config, size: int) -> int:
    """Bytes that autograd saves in a block for a token, part by part; the matrix products are in `size` bytes.

    C is the width of the stream, Q that of all queries, K of all keys, M of the MLP; stream and norms are in float32.
    """
    C, (Q, K, M), is_gpt2 = config.hidden_size, widths_of_parts(config), config.model_type == "gpt2"
    kept = 8 * C if is_gpt2 else 16 * C  # what two norms read; of RMSNorm also what its weight multiplies
    # the input of attention and MLP; what RMSNorm returns is in float32, and autocast makes q, k, v, gate and up a copy each
    kept += size * C * (2 if is_gpt2 or size == 4 else 5)
    kept += size * 4 * Q  # q, k and v, all as wide once shared keys are repeated, and the output of attention
    kept += size * M * (1 if is_gpt2 else 2)  # the input of GELU or SwiGLU, whose output is computed again
    if config.model_type == "qwen3":  # norms queries and keys as well
        kept += (4 + size) * (Q + K)
    return kept


def weights_of(config, n_tokens: int) -> tuple[int, int]:
    """(weights in the blocks' matrices, all that a token meets: no position table) of a model of `n_tokens` tokens."""
    L, C, (Q, K, M) = config.num_hidden_layers, config.hidden_size, widths_of_parts(config)
    is_gpt2 = config.model_type == "gpt2"
    hidden = L * C * (2 * Q + 2 * K + (2 if is_gpt2 else 3) * M)
    vectors = L * (9 * C + M if is_gpt2 else 2 * C)  # GPT-2 has biases, and its norms as well
    return hidden, hidden + vectors + n_tokens * C * (1 if config.tie_word_embeddings else 2)


def widths_of_parts(config) -> tuple[int, int, int]:
    """Of a block: (width of all queries, of all keys, of the MLP)."""
    if config.model_type == "gpt2":
        return config.hidden_size, config.hidden_size, config.n_inner or 4 * config.hidden_size
    head_size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return config.num_attention_heads * head_size, config.num_key_value_heads * head_size, config.intermediate_size


def refuse_what_no_memory_holds(config, args, n_vocab: int) -> None:
    """Weights beyond the memory of this computer: the system would take it down with the run, or torch would give up."""
    gib = predict_memory(config, args, n_vocab, args.batch_size, True)["weights"]
    if gib > (has := psutil.virtual_memory().total / 2**30):
        fail(
            f"a model of this shape has {gib:,.0f} GiB of weights and this computer {has:.0f} GiB of memory; use a smaller --cfg"
        )


def fastest_that_fits(config, args, n_vocab: int, vram_gb: float) -> tuple[int, bool, float] | None:
    """(micro-batch, checkpointing, GiB) of the same step: the most rows at once, without checkpointing if that fits."""
    rows_per_step = args.batch_size * args.grad_accum
    for checkpointing in (False, True):
        for size in sorted((n for n in range(1, rows_per_step + 1) if rows_per_step % n == 0), reverse=True):
            gib = predict_memory(config, args, n_vocab, size, checkpointing)["total"]
            if gib < vram_gb * USABLE_VRAM:
                return size, checkpointing, gib
    return None


def describe_memory(memory: dict[str, float], vram_gb: float | None, checkpointing: bool) -> str:
    parts = " + ".join(f"{part} {gib:.2f}" for part, gib in memory.items() if gib and part != "total")
    fits = "fits" if vram_gb and memory["total"] < vram_gb * USABLE_VRAM else "does not fit"
    return (
        f"memory     {parts} = {memory['total']:.2f} GiB predicted peak, {f'{fits} {vram_gb:.3g} GiB, ' if vram_gb else ''}"
        f"gradient checkpointing {'on' if checkpointing else 'off'}"
    )


def dry_run(accelerator, loss_module, rows: Rows, args, vram_gb: float | None, max_steps: float, peak_flops: float):
    """What is worth knowing before a long run, a line a subject: the fastest micro-batch that fits, disk, and time."""
    model, rows_per_step, lines = loss_module.model, args.batch_size * args.grad_accum, []
    if vram_gb:
        best = fastest_that_fits(model.config, args, loss_module.n_vocab, vram_gb)
        lines.append(
            f"           fastest that fits: --batch_size {best[0]} --grad_accum {rows_per_step // best[0]}"
            f"{' --grad_checkpointing on' if best[1] else ''} ({best[2]:.2f} GiB)"
            if best
            else "           no micro-batch fits: use --optim adamw8bit, a smaller --seq_len or a smaller --cfg"
        )
    snapshot_gb = count_parameters(model, loss_module.n_vocab) * 12 / 1e9
    disk_gb = snapshot_gb * (args.keep + 1) + snapshot_gb / 3  # one more while it is being written
    lines.append(f"disk       {disk_gb:.1f} GB for {args.keep} snapshots and the best model")
    least = "at least "  # were it matrix products and nothing else
    if args.cfg == "auto":
        return "\n".join(lines)  # whose time is given, and whose steps were measured
    seconds = rows_per_step * args.seq_len * flops_per_token(model, rows) / peak_flops
    if accelerator.device.type == "cuda" or seconds < 5:
        seconds, least = measure_step(accelerator, loss_module, rows, rows_per_step, args), ""
    if seconds is None:
        return "\n".join(
            [*lines, f"time       out of GPU memory with --batch_size {args.batch_size}: use one that fits"]
        )
    total = f", {least}{duration(seconds * max_steps)} for {max_steps:,}" if max_steps < math.inf else ""
    lines.append(f"time       {least}{seconds:.3g} s a step here{total}")
    return "\n".join(lines)


def measure_step(accelerator, loss_module, rows, rows_per_step: int, args) -> float | None:
    """Seconds of a training step, compiled if the run will be, or None where it runs out of memory: the median of three, of
    fewer where they are long. The weights are of no use afterwards.
    """
    optimizers = build_optimizers(loss_module.model, args)
    wrapped, *optimizers = accelerator.prepare(loss_module, *optimizers)
    if args.compile:
        compile_blocks(loss_module)
    seconds, n_warm_up = [], 2 if args.compile else 1  # a second one, should anything be compiled anew
    for step in range(n_warm_up + 3):
        began = time.perf_counter()
        step_rows = rows.of_step(step, rows_per_step, args.seed)
        try:
            training_step(accelerator, wrapped, optimizers, rows, step_rows, 1e-3, args, args.batch_size)
        except torch.OutOfMemoryError:
            seconds.clear()
            break
        seconds.append(time.perf_counter() - began)
        if step >= n_warm_up and sum(seconds[n_warm_up - 1 :]) > LONG_ENOUGH_S:  # to compile may take longer than that
            break
    if args.compile:
        torch.compiler.reset()
    return statistics.median(seconds[n_warm_up:]) if seconds else None


def matmul_peak(device, dtype: torch.dtype, size: int | None = None, seconds: float = 0.3) -> float:
    """FLOP/s of a large matrix product: what MFU is a share of. The best of several, since a GPU's clock has to ramp up."""
    size = size or (8192 if torch.device(device).type == "cuda" else 1024)
    a = torch.randn(size, size, device=device).to(dtype)
    products = []
    while len(products) < 2 or sum(products) < seconds:  # the first prepares the kernel
        start = time.perf_counter()
        (a @ a)[0, 0].item()  # .item() waits for the device
        products.append(time.perf_counter() - start)
    return 2 * size**3 / min(products)


def flops_per_token(model, rows: Rows) -> float:
    """Training FLOPs a token by the PaLM formula, 6 N + 12 L D T (Chowdhery et al. 2022, appendix B).

    N counts the weights that multiply (no position table); T is the mean length of a document seen by a token, since
    attention never leaves a document. Recomputation by gradient checkpointing does not count.
    """
    config = model.config
    n_parameters = sum(p.numel() for name, p in model.named_parameters() if "wpe" not in name)
    return 6 * n_parameters + 12 * config.num_hidden_layers * config.hidden_size * mean_context(rows)


def mean_context(rows: Rows) -> float:
    """Tokens in the document of a token, in the mean over all tokens."""
    lengths = rows.documents.lengths
    return float(np.einsum("i,i->", lengths, lengths, dtype=np.float64, casting="unsafe") / lengths.sum())


LADDER = range(2, 41)  # sizes for --cfg auto: so many blocks, 64 times as wide, with heads of 64, as GPT-2 is with 12
SMALLEST_FITTED = 44e6  # weights of the smallest model that the law below was fitted on
FEWEST_STEPS = 200  # of a run: where a step of the size that the law wants would leave fewer, it is halved
SNAPSHOT_S = 1800  # seconds that a power cut may cost a run of --cfg auto, where --save_every does not say


def expected_loss(n_weights: float, n_tokens: float) -> float:
    """Loss in nats a token of a model of `n_weights` that has read `n_tokens`, none of them twice.

    The law of Hoffmann et al. 2022 (Chinchilla, arXiv:2203.15556), as Besiroglu et al. 2024 (arXiv:2404.10102) fitted it
    anew, from 44 M weights on. Their text is not yours, nor their tokenizer: it ranks sizes, and predicts no loss of this script.
    """
    return 1.8172 + 482.01 / n_weights**0.3478 + 2085.43 / n_tokens**0.3658


def best_step(flops: float) -> tuple[float, float]:
    """(tokens a step, peak learning rate) of a run of so many FLOPs.

    Bi et al. 2024 (DeepSeek LLM, arXiv:2401.02954, equation 1), fitted with AdamW between 1e17 and 2e19 FLOPs.
    """
    return 0.2920 * flops**0.3271, 0.3118 * flops**-0.1250


def sizes_for(args, n_vocab: int, flops_per_s: float, context: float, vram_gb: float | None) -> list[dict]:
    """What `--max_hours` make of each size of the LADDER that the memory holds: its flags, and what the law expects.

    `context`: the tokens that attention looks back to, as `mean_context` counts them.
    """
    flops = args.max_hours * 3600 * flops_per_s
    tokens_a_step, lr = best_step(flops)
    gib = vram_gb or psutil.virtual_memory().available / 2**30
    sizes = []
    for n in LADDER:
        shape = {"n_layer": n, "n_embd": 64 * n, "n_head": n}
        config = build_config(argparse.Namespace(**{**vars(args), **shape}), n_vocab)
        n_tokens = flops / (6 * weights_of(config, padded(n_vocab))[1] + 12 * n * 64 * n * context)
        # a power of two, so that any smaller one divides it
        rows_per_step = 2 ** max(0, round(math.log2(min(tokens_a_step, n_tokens / FEWEST_STEPS) / args.seq_len)))
        step = argparse.Namespace(**{**vars(args), "batch_size": rows_per_step, "grad_accum": 1})
        if not (fitting := fastest_that_fits(config, step, n_vocab, gib)):
            break
        # more rows at a time are faster on a GPU alone, and take memory
        micro_batch = fitting[0] if vram_gb else min(fitting[0], 8)
        n_steps = min(max(1.0, n_tokens / (rows_per_step * args.seq_len)), args.max_steps or math.inf)
        flags = {
            **shape, "batch_size": micro_batch, "grad_accum": rows_per_step // micro_batch,
            "lr": float(f"{embeddings_lr(64 * n) if args.optim == 'muon' else lr:.1e}"),
            "eval_every": math.ceil(n_steps / 20),
            "save_every": math.ceil(n_steps * min(1 / 20, SNAPSHOT_S / (args.max_hours * 3600))),
        }  # fmt: skip
        if fitting[1] and args.grad_checkpointing == "auto":
            flags["grad_checkpointing"] = "on"
        n_weights = weights_of(config, n_vocab)[1]
        loss = expected_loss(n_weights, n_tokens)
        sizes.append({"flags": flags, "weights": n_weights, "tokens": n_tokens, "loss": loss, "gib": fitting[2]})
    if not sizes:
        fail(f"not even {LADDER[0]} blocks fit {gib:.3g} GiB; use a smaller --seq_len")
    return sizes


def choose_size(args, accelerator, tokenizer, rows: Rows, vram_gb: float | None) -> None:
    """Fill in what --cfg auto leaves open: as the run in MODEL_DIR began, else by the law, for the speed measured here."""
    n_vocab, unset = len(tokenizer), build_parser().get_default
    flags = size_begun_with(args)
    if flags:
        say(f"auto       {flags['n_layer']} layers x {flags['n_embd']}, as this run began")
    else:
        flops_per_s, measured = 0.5 * matmul_peak(accelerator.device, DTYPES[args.precision]), []
        while True:
            sizes = sizes_for(args, n_vocab, flops_per_s, mean_context(rows), vram_gb)
            best = min(sizes, key=lambda size: size["loss"])
            flags = best["flags"]
            if flags["n_layer"] in measured or len(measured) == 2:  # two speeds apart are near enough
                break
            speed = measure_speed(args, accelerator, tokenizer, rows, vram_gb, flags)
            if speed is None:  # the prediction was wrong: what is said to need as much does not fit
                vram_gb = best["gib"] / USABLE_VRAM
                say(
                    f"out of GPU memory with {flags['batch_size']} rows of {flags['n_layer']} layers: planning with less"
                )
                continue
            measured.append(flags["n_layer"])
            flops_per_s = speed
        say(describe_sizes(args, sizes, flops_per_s, int(rows.documents.lengths.sum())))
    given = {name: getattr(args, name) for name in ("lr", "eval_every", "save_every", "grad_checkpointing")}
    args.size = flags
    vars(args).update(flags)
    vars(args).update({name: value for name, value in given.items() if value and value != unset(name)})


def measure_speed(args, accelerator, tokenizer, rows: Rows, vram_gb: float | None, flags: dict) -> float | None:
    """FLOP/s of training steps of this size, by the count of `flops_per_token`, or None where the memory runs out."""
    # a share of the step tells as much, but the optimizer's own time should not weigh more than it will
    n_rows = 64 if accelerator.device.type == "cuda" else flags["batch_size"]
    few = {"grad_accum": max(1, min(flags["grad_accum"], n_rows // flags["batch_size"]))}
    trial = argparse.Namespace(**{**vars(args), **flags, **few})
    rows_per_step, seconds = trial.batch_size * trial.grad_accum, None
    with contextlib.suppress(torch.OutOfMemoryError):
        loss_module, *_ = set_up_model(trial, accelerator, tokenizer, rows, vram_gb)
        flops = flops_per_token(loss_module.model, rows)
        seconds = measure_step(accelerator, loss_module, rows, rows_per_step, trial)
        del loss_module
    accelerator.free_memory()  # of accelerate's own references
    gc.collect()  # a model holds itself; its memory is wanted by the next
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    torch.manual_seed(args.seed)  # the weights of the run do not depend on what was tried before
    tokens_per_row = float(rows.documents.lengths.sum()) / len(rows)
    return rows_per_step * tokens_per_row * flops / seconds if seconds else None


def describe_sizes(args, sizes: list[dict], flops_per_s: float, n_tokens_here: int) -> str:
    """The choice beside its neighbors, a line each."""
    best = min(range(len(sizes)), key=lambda i: sizes[i]["loss"])
    chosen, in_range = sizes[best]["tokens"], sizes[best]["weights"] >= SMALLEST_FITTED
    of_law = "the loss is a law's, on its own text" if in_range else "ranked by a law that was fitted on larger ones"
    lines = [
        f"auto       {chosen:,.0f} tokens in {args.max_hours:g} hours at {flops_per_s / 1e12:.3g} TFLOP/s, measured here; {of_law}"
    ]
    for i in range(max(0, best - 2), min(len(sizes), best + 3)):
        size, flags = sizes[i], sizes[i]["flags"]
        lines.append(
            f"           {flags['n_layer']:>2} layers x {flags['n_embd']:<4} | {size['weights']:>13,} weights | "
            f"{size['tokens']:>14,.0f} tokens | {flags['batch_size']} rows x {flags['grad_accum']}"
            + (f" | loss {size['loss']:.3f}" if in_range else "")
            + (" <- chosen" if i == best else "")
        )
    if chosen > 4 * n_tokens_here:
        lines.append(
            f"warning: the data has {n_tokens_here:,} tokens, which the run reads {chosen / n_tokens_here:.0f} times; beyond 4 "
            f"times the same text teaches less and less: make more, prep_data.py --max_tokens {chosen:.0f}"
        )
    return "\n".join(lines)


def size_begun_with(args) -> dict | None:
    """The flags that --cfg auto chose when the run in MODEL_DIR began, or None where none did."""
    if args.resume == "never":
        return None
    model_dir, run = Path(args.model_dir), first_row(Path(args.model_dir)).get("run")
    if not run and (snapshot := find_snapshot(model_dir, args.resume)):  # metrics.jsonl is damaged
        run = load_snapshot(snapshot)["run"]
    if run and "size" not in run:
        fail(
            f"{model_dir} holds a run whose size was given; give the flags that began it, another --model_dir, "
            "or start over in this one with --resume never"
        )
    return run["size"] if run else None


def duration(seconds: float) -> str:
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
    return f"{days:.1f} d" if days >= 2 else f"{hours:.1f} h" if hours >= 2 else f"{minutes:.1f} min"


# ---------------------------------------------------------------------------------------------------------
# 9 What may go wrong: attention that leaks, memory that is short, a loss that is not finite, a signal


@torch.no_grad()
def check_isolation(loss_module: NextTokenLoss, device, precision: torch.dtype) -> float:
    """Refuse to train when packed documents see one another, as they do with some library versions.

    Compares two packed documents with each alone; returns the largest difference relative to the largest value.
    """
    rng = np.random.default_rng(0)
    documents = [(rng.integers(loss_module.n_vocab, size=n), np.arange(n) > 0) for n in (11, 21)]
    loss_module.eval()
    torch.set_float32_matmul_precision("highest")  # TF32's own rounding would come near the limit in deep models

    def run(documents) -> torch.Tensor:
        rows = rows_in_memory(documents, sum(len(ids) for ids, _ in documents), packing=True)
        batch = rows.micro_batch([0], device)
        with torch.autocast(torch.device(device).type, precision, enabled=precision != torch.float32):
            return loss_module.hidden_states(batch["input_ids"], batch["position_ids"], batch["cu_seqlens"])[0].float()

    alone = torch.cat([run([document]) for document in reversed(documents)])  # packing puts the longest first
    difference = ((run(documents) - alone).abs().max() / alone.abs().max()).item()
    torch.set_float32_matmul_precision("high")
    if not difference <= (1e-3 if precision == torch.float32 else 0.1):  # nor is NaN
        fail(
            f"packed conversations see one another with this attention (difference {difference:.2g}); "
            "use --no_packing, or another --attn"
        )
    return difference


def is_finite(accelerator, loss: float, grad_norm: float) -> bool:
    """Was the step any good? With float16 a gradient may overflow: the scaler skips the step and lowers its scale."""
    return math.isfinite(loss) and (math.isfinite(grad_norm) or accelerator.scaler is not None)


def halve_until_it_fits(job, micro_batch: int, accelerator, optimizers, args):
    """`job(micro_batch=...)`, again with half of it while the GPU's memory does not suffice: the same mathematics.

    Returns (what the job returned, the micro-batch that fitted).
    """
    while True:
        with contextlib.suppress(torch.OutOfMemoryError):
            return job(micro_batch=micro_batch), micro_batch
        for optimizer in optimizers:
            optimizer.zero_grad()
        if accelerator.scaler:  # it forgets that it unscaled those gradients, which it refuses to do twice
            accelerator.scaler.scale(torch.zeros((), device=accelerator.device))  # before its first use it has no scale
            accelerator.scaler.update(accelerator.scaler.get_scale())
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if accelerator.num_processes > 1 or micro_batch == 1:
            out_of_memory(f"with {micro_batch} row(s) of {args.seq_len} tokens")
        micro_batch //= 2
        n_rows = args.batch_size * args.grad_accum
        say(
            f"out of GPU memory: from here {micro_batch} rows x {math.ceil(n_rows / micro_batch)}, "
            "the same step again, the same mathematics"
        )


@contextlib.contextmanager
def out_of_memory_is_final(args):
    try:
        yield
    except torch.OutOfMemoryError:
        out_of_memory(f"in the optimizer, with {args.optim}")


def out_of_memory(where: str) -> NoReturn:
    fail(
        f"out of GPU memory {where}: use --grad_checkpointing on, --optim adamw8bit, a smaller --seq_len or a smaller "
        "--cfg; the last snapshot is intact"
    )


class Watch:
    """Looks at the loss of each step: reports a spike, keeps the documents of a step that is not finite, gives up in time."""

    def __init__(self, accelerator, model_dir: Path, args):
        self.accelerator, self.model_dir, self.lr = accelerator, model_dir, args.lr
        self.recent_losses: deque[float] = deque(maxlen=50)
        self.bad_in_a_row = 0

    def saw_good_step(self, step: int, loss: float, grad_norm: float, rows: Rows, step_rows: list[int]) -> bool:
        if is_finite(self.accelerator, loss, grad_norm):
            usual, n_losses = statistics.median(self.recent_losses or [loss]), len(self.recent_losses)
            if n_losses >= 20 and loss > max(1.5 * usual, usual + 0.5):  # near 0 a row that is harder is no trouble
                say(f"loss spike at step {step}: {loss:.4f}, the median of the last {n_losses} was {usual:.4f}")
            self.recent_losses.append(loss)
            self.bad_in_a_row = 0
            return True
        self.bad_in_a_row += 1
        kept = self.model_dir / f"bad-step-{step:06d}.json"
        where = f"its documents are in {quoted(kept)}"
        if self.accelerator.is_main_process:
            batch = [rows.documents[i][0].tolist() for row in step_rows for i in rows[row]]
            try:
                write_atomically(kept, json.dumps({"loss": str(loss), "grad_norm": str(grad_norm), "input_ids": batch}))
            except OSError as error:
                where = f"its documents cannot be kept: {error.strerror}"
        say(f"step {step} skipped: loss {loss}, gradient norm {grad_norm}; {where}")
        if self.bad_in_a_row >= BAD_STEPS_ALLOWED:
            fail(
                f"{self.bad_in_a_row} steps in a row were not finite: lower --lr (now {self.lr:g}), use --bf16 rather than "
                f"--fp16, or look at {quoted(kept)}; the last snapshot is intact",
                code=1,
            )
        return False


def stop_on_signals() -> list[int]:
    """Collect SIGINT, SIGTERM and SIGHUP in the returned list instead of dying; a second SIGINT exits at once.

    A handler runs between any two instructions: it says a word only where that can neither fail nor wait.
    """
    received: list[int] = []

    def note(number, _frame):
        if number in received and number == signal.SIGINT:
            os._exit(130)
        received.append(number)
        with contextlib.suppress(OSError, ValueError):  # on a terminal that is gone, nothing
            if sys.__stderr__ and select.select([], [2], [], 0)[1]:  # else 2 may be the number of any other file
                name = signal.Signals(number).name
                os.write(2, f"\n{name}: saving after this step; Ctrl-C again exits at once\n".encode())

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number and not (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):  # nohup asks for that
            signal.signal(number, note)
    return received


def agree(accelerator, stop: bool, seconds: float) -> tuple[bool, float]:
    """What any process was told to do, all do; the clock is the slowest one's."""
    if accelerator.num_processes == 1:
        return stop, seconds
    both = accelerator.gather(torch.tensor([[float(stop), seconds]], device=accelerator.device)).amax(dim=0).tolist()
    return bool(both[0]), both[1]


# What a config says of the shape and the mathematics of a model. All else in a foreign one is left behind: code and
# quantization that it asks for, types, token ids, what its forward pass returns.
ARCHITECTURE = {
    "gpt2": "vocab_size n_positions n_embd n_layer n_head n_inner activation_function layer_norm_epsilon initializer_range "
    "scale_attn_weights scale_attn_by_inverse_layer_idx tie_word_embeddings",
    "llama": "vocab_size max_position_embeddings hidden_size num_hidden_layers num_attention_heads num_key_value_heads "
    "head_dim intermediate_size hidden_act rms_norm_eps initializer_range rope_theta rope_scaling rope_parameters "
    "attention_bias mlp_bias tie_word_embeddings",
}
ARCHITECTURE["qwen2"] = ARCHITECTURE["qwen3"] = ARCHITECTURE["llama"]
ROPE_TYPES = ("default", "linear", "dynamic", "llama3", "yarn")  # those that ARCHITECTURE says all about
MEANINGS = {  # of what transformers says, 5 or 4
    "ignore_mismatched_sizes": "a weight has another shape than config.json says",
    "size mismatch": "a weight has another shape than config.json says",
    "use_safetensors": "its weights are pickles, which may run code, and are not read",
}
KNOWN_BASES = "use HuggingFaceTB/SmolLM2-360M, Qwen/Qwen3-0.6B, gpt2-medium or their like"
OLD_BUFFERS = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")  # no weights: older files hold them


def load_config(args, n_vocab: int):
    """The config of `--init_from`, when that is a model that these rows can train."""
    name = args.init_from
    with foreign(name, "config.json"):
        if Path(name).is_file():
            fail(f"--init_from {name} is a file; give the folder that it lies in")
        if (Path(name) / "adapter_config.json").exists():
            fail(f"--init_from {name} is an adapter, not a model; merge it into its model first")
        given = transformers.AutoConfig.from_pretrained(name, trust_remote_code=False)
        if given.model_type not in ARCHITECTURE:
            fail(
                f"--init_from {name} is a {given.model_type} model and not of type {', '.join(ARCHITECTURE)}; {KNOWN_BASES}"
            )
        if getattr(given, "quantization_config", None):
            fail(f"--init_from {name} is quantized and cannot be trained; use the model that it was made from")
        kept = {key: value for key, value in given.to_dict().items() if key in ARCHITECTURE[given.model_type].split()}
        config = type(given)(**with_both_names(kept))
        if (rope := rope_type(given)) not in ROPE_TYPES:
            fail(f"--init_from {name} has positions of type {rope}, not of {', '.join(ROPE_TYPES)}; {KNOWN_BASES}")
        if not 0 < config.num_hidden_layers <= 1000 or not 0 < config.hidden_size <= 10**5:
            fail(f"{name}: config.json says {config.num_hidden_layers} layers x {config.hidden_size}: no such model")
        if args.seq_len > config.max_position_embeddings:
            fail(
                f"--seq_len {args.seq_len} is beyond the {config.max_position_embeddings} positions of {name}; "
                f"use --seq_len {config.max_position_embeddings}"
            )
        if getattr(given, "use_sliding_window", False) and given.sliding_window:
            if args.seq_len > given.sliding_window:
                fail(
                    f"--init_from {name} sees {given.sliding_window} tokens back; use --seq_len {given.sliding_window}"
                )
            # a chat of no more than that needs no window, and what train.py writes has none
            config.max_position_embeddings = min(config.max_position_embeddings, given.sliding_window)
        if config.vocab_size < n_vocab - 4:  # the three role tokens may be new to it, and <|endoftext|>
            fail(
                f"--init_from {name} has {config.vocab_size:,} tokens, the data {n_vocab:,}; make the data "
                f"with its tokenizer: python prep_data.py --tokenizer {quoted(name)} ..."
            )
    if args.arch not in (build_parser().get_default("arch"), config.model_type):
        say(f"warning: --arch {args.arch} is without effect beside --init_from, whose shape is taken")
    args.arch = config.model_type
    return config


def rope_type(config) -> str:
    """The way in which RoPE is stretched, by the names of transformers 5 and 4."""
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    return rope.get("rope_type") or rope.get("type") or "default"


def with_both_names(config: dict) -> dict:
    """A config whose RoPE has the name that transformers 5 gives it, `rope_parameters`, with the names of 4 besides: that
    does not know the new one, and takes 10,000 for `rope_theta` without a word."""
    rope = config.get("rope_parameters")
    if not isinstance(rope, dict) or "rope_theta" not in rope:
        return config
    scaling = {key: value for key, value in rope.items() if key != "rope_theta"}
    is_scaled = scaling.get("rope_type", "default") != "default"
    return {**config, "rope_theta": rope["rope_theta"], "rope_scaling": scaling if is_scaled else None}


def load_pretrained(name: str, config, **how):
    """The model `name`, a folder or a hub id, whole: each weight is there, in the shape that the config says, and finite."""
    if (pickles := sorted(Path(name).glob("*.bin"))) and not any(Path(name).glob("*.safetensors")):
        convert = (
            f"from transformers import AutoModelForCausalLM as M; M.from_pretrained({name!r}).save_pretrained({name!r})"
        )
        fail(
            f"{pickles[0]} is a pickle, which may run code, and is not read; if you trust where it came from, convert it: "
            f"python -c {quoted(convert)}"
        )
    with foreign(name, "its weights"):
        model, info = AutoModelForCausalLM.from_pretrained(
            name, config=config, trust_remote_code=False, use_safetensors=True, output_loading_info=True, **how
        )
        if missing := sorted(info["missing_keys"]):
            fail(f"{name}: the weights lack {missing[0]}; use a folder whose model.safetensors is whole")
        if more := sorted(key for key in info["unexpected_keys"] if not key.endswith(OLD_BUFFERS)):
            fail(f"{name}: its weights hold {more[0]}, of which config.json says nothing")
        for weight_name, weight in model.state_dict().items():
            if not (weight.abs() < 1e6).all():  # nor is NaN
                fail(f"{name}: {weight_name} holds numbers that are not finite, or too large to train")
        head, embedding = model.get_output_embeddings().weight, model.get_input_embeddings().weight
        model.config.tie_word_embeddings = torch.equal(head, embedding)  # whatever the config says of it
        model.tie_weights()
        model.generation_config = GenerationConfig()  # samples are greedy, whatever the folder asks for
        with torch.no_grad():
            if not model.eval()(input_ids=torch.zeros(1, 2, dtype=torch.int64)).logits.isfinite().all():
                fail(f"{name}: what the model says is not finite: its weights and config.json do not belong together")
    return model


def refuse_other_tokens(name: str, config, tokenizer) -> int:
    """The tokens of the model `name` must be those of the data, cut from text in the same way; the data has more.

    Returns how many tokens the model knows: its embedding may have more rows than that (Qwen's has 267).
    """
    try:
        bpe = read_bpe(name)
        theirs, ours = bpe.get_vocab(), tokenizer.get_vocab()
        n_known = min(config.vocab_size, 1 + max(theirs.values()))  # an error of none: it is made of no file, too
    except Exception as error:
        if any((Path(name) / file).exists() for file in ("tokenizer.json", "tokenizer_config.json", "vocab.json")):
            fail(f"--init_from {name}: its tokenizer cannot be read: {first_line(error)}")
        if config.vocab_size > padded(len(tokenizer)):
            fail(f"--init_from {name} has {config.vocab_size:,} tokens, the data {len(tokenizer):,}, and no tokenizer")
        say(f"warning: {name} has no tokenizer of its own to compare with: its tokens are taken for those of the data")
        return config.vocab_size
    other = sorted((token for token, i in theirs.items() if i < len(tokenizer) and ours.get(token) != i), key=len)
    if other or way_of_cutting(bpe) != way_of_cutting(tokenizer.backend_tokenizer):
        difference = f"such as the token {other[0]!r}" if other else "it cuts words otherwise"
        fail(
            f"--init_from {name} has another tokenizer than the data ({difference}); make the data with its own: "
            f"python prep_data.py --tokenizer {quoted(name)} ..."
        )
    return n_known


def read_bpe(name: str) -> Tokenizer:
    """The tokenizer of a model as prep_data.py reads it: from tokenizer.json, whatever class that is said to be of."""
    file = transformers.utils.cached_file(name, "tokenizer.json", _raise_exceptions_for_missing_entries=False)
    if file:
        return Tokenizer.from_file(file)
    return AutoTokenizer.from_pretrained(name, trust_remote_code=False).backend_tokenizer  # vocab.json and merges.txt


def way_of_cutting(bpe: Tokenizer) -> tuple:
    """What decides, beside the vocabulary, which tokens a text becomes. Offsets into the text are nobody's here."""
    parts = json.loads(bpe.to_str())
    words = re.sub(r'"trim_offsets": \w+', "", json.dumps(parts["pre_tokenizer"]))
    return parts["model"].get("merges"), words, parts["normalizer"]


@contextlib.contextmanager
def foreign(name: str, part: str):
    """What a stranger's folder holds, or the hub answers, may raise anything: one line that names it and says why."""
    try:
        yield
    except Exception as error:
        why = " ".join(str(error).split())[:400] or type(error).__name__
        why = next((meaning for words, meaning in MEANINGS.items() if words in why), why)
        if Path(name).exists():
            fail(f"{name} is not a model folder that can be read ({part}): {why}; {KNOWN_BASES}")
        *_, cause = causes = causes_of(error)
        answers = {getattr(getattr(each, "response", None), "status_code", None) for each in causes}
        if isinstance(cause, OSError) and str(cause) not in why:  # what the network said to the library
            why += f" ({first_line(cause)})"
        mend = "give a model folder, or check the name and the network"
        if answers & {401, 403}:  # which is also what the hub answers to a name that it does not know
            mend = (
                f"check the name; where a licence is to be accepted: https://huggingface.co/{name}, then hf auth login"
            )
        fail(f"cannot load {name} from the hub ({part}): {why}; {mend}")


def causes_of(error: BaseException) -> list[BaseException]:
    """An error and, from the outside in, what the libraries say that it comes from."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) and cause not in causes:
        causes.append(cause)
    return causes


def first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__


# ---------------------------------------------------------------------------------------------------------
# 10 On disk: the chatbot, and snapshots that survive a pulled plug

SNAPSHOT = ("model.safetensors", "trainer_state.pt", "checksums.json")  # the files of one
EVENTS = "events.out.tfevents.*.train"  # those of TensorBoard that this script writes


def create_model_dir(folder: Path, args, model, tokenizer, state, n_vocab: int, first_metrics: dict) -> None:
    """Make `folder` a run, complete and loadable; where it is a new one, a rename then gives it the name MODEL_DIR.

    In a folder that was there before, the run that --resume never gives up goes when all of the new one is on the disk.
    metrics.jsonl comes first, it says whose the folder is, the weights last.
    """
    model_dir, start_over = Path(args.model_dir), args.resume == "never"
    config = type(model.config)(**{**model.config.to_dict(), "vocab_size": n_vocab})
    config.architectures, config.dtype = [type(model).__name__], "float32"
    config.bos_token_id = config.eos_token_id = tokenizer.eos_token_id
    config.pad_token_id = tokenizer.pad_token_id
    generation = GenerationConfig(
        do_sample=True, temperature=0.7, top_p=0.9, max_new_tokens=min(256, config.max_position_embeddings // 2),
        bos_token_id=tokenizer.eos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    new = temporary(folder / "begin")
    with writing(folder, new):
        remove_leftovers(folder)
        new.mkdir()
        # as it came: transformers 5 would save it under the name of a class that 4 does not know
        shutil.copytree(tokenizer.name_or_path, new, dirs_exist_ok=True)
        config.save_pretrained(new)
        written = json.loads((new / "config.json").read_text(encoding="utf-8"))
        write_atomically(new / "config.json", json.dumps(with_both_names(written), indent=2) + "\n")
        generation.save_pretrained(new)
        write_atomically(new / "README.md", f"# {model_dir.name}\n\nTraining has begun.\n")
        write_atomically(new / "metrics.jsonl", json.dumps(first_metrics) + "\n")
        write_weights(new / "model.safetensors", state, n_vocab)
        if start_over:
            for old in snapshots(folder):
                remove_snapshot(old)
            for old in folder.glob(f"runs/{EVENTS}"):
                old.unlink()
        if first_row(folder).get("run") != first_metrics["run"]:  # weights of another shape
            (folder / "model.safetensors").unlink(missing_ok=True)
        rank = {"metrics.jsonl": 0, "model.safetensors": 2}
        for file in sorted(new.iterdir(), key=lambda file: rank.get(file.name, 1)):
            os.replace(file, folder / file.name)
        new.rmdir()
        if folder != model_dir:
            os.replace(folder, model_dir.resolve())


def temporary(path: Path) -> Path:
    """A name beside `path` that nobody else has: what a kill leaves under it is ours to remove."""
    return path.with_name(f".{path.name}.train-tmp")


def remove_leftovers(folder: Path) -> None:
    for leftover in folder.glob(".*.train-tmp"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def write_weights(path: Path, state: dict[str, torch.Tensor], n_vocab: int | None = None) -> None:
    """Write safetensors that transformers loads; embedding and head cut to their `n_vocab` real rows."""
    if n_vocab:
        by_token = [name for name in state if name.endswith(EMBEDDINGS) and "wpe" not in name]
        state = {**state, **{name: state[name][:n_vocab].contiguous() for name in by_token}}
    with writing(path.parent, temporary(path)):
        safetensors.torch.save_file(state, temporary(path), metadata={"format": "pt"})
        temporary(path).chmod(0o644)  # safetensors makes it private
        sync_to_disk(temporary(path))
        os.replace(temporary(path), path)


def write_snapshot(model_dir: Path, step: int, state: dict[str, torch.Tensor], trainer_state: dict, keep: int) -> None:
    """Write MODEL_DIR/step-NNNNNN under a temporary name, checksums last, rename it, and keep the newest `keep`."""
    final = model_dir / f"step-{step:06d}"
    folder = temporary(final)
    with writing(model_dir, folder):
        remove_leftovers(model_dir)
        if shutil.disk_usage(model_dir).free < 3 * sum(weight.nbytes for weight in state.values()):  # with two moments
            raise OSError(errno.ENOSPC, "No space left for a snapshot")
        folder.mkdir()
        write_weights(folder / "model.safetensors", state)
        with (folder / "trainer_state.pt").open("wb") as file:
            torch.save(trainer_state, file)
        sync_to_disk(folder / "trainer_state.pt")
        checksums = {file.name: sha256(file) for file in sorted(folder.iterdir())}
        write_atomically(folder / "checksums.json", json.dumps(checksums))
        if final in snapshots(model_dir):  # an older one of this step, which did not verify
            remove_snapshot(final)
        if final.exists():  # somebody has put something there
            for name in SNAPSHOT:
                os.replace(folder / name, final / name)
            folder.rmdir()
        else:
            os.replace(folder, final)
        sync_to_disk(model_dir)
        for old in [snapshot for snapshot in snapshots(model_dir) if step_of(snapshot) <= step][keep:]:
            remove_snapshot(old)


def find_snapshot(model_dir: Path, resume: str) -> Path | None:
    """The snapshot to go on from: the newest one that verifies, or the one named by `--resume PATH`."""
    if resume == "never":
        return None
    if resume != "auto":
        if not resume or not verifies(Path(resume)):
            fail(f"--resume {resume} is not a complete snapshot (a folder step-NNNNNN); use --resume auto")
        if Path(resume).resolve().parent != model_dir.resolve():
            fail(f"--resume {resume} is of another run; give --model_dir {quoted(Path(resume).resolve().parent)}")
        return Path(resume)
    for snapshot in snapshots(model_dir):
        if verifies(snapshot):
            return snapshot
        say(f"{snapshot} is damaged: passing it over for the one before")
    return None


def snapshots(model_dir: Path) -> list[Path]:
    """The snapshots of a run, newest first: what has the name of one and at least one of its files."""
    named = (path for path in model_dir.glob("step-*") if path.name[5:].isdecimal())
    return sorted(
        (path for path in named if any((path / file).exists() for file in SNAPSHOT)), key=step_of, reverse=True
    )


def step_of(snapshot: Path) -> int:
    return int(snapshot.name[5:])


def remove_snapshot(snapshot: Path) -> None:
    """Remove our files, and the folder unless somebody has put more into it."""
    for name in SNAPSHOT:
        (snapshot / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        snapshot.rmdir()


def verifies(snapshot: Path) -> bool:
    try:
        checksums = json.loads((snapshot / "checksums.json").read_text())
        return bool(checksums) and all(sha256(snapshot / name) == digest for name, digest in checksums.items())
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return False


def fingerprint(args, model, n_vocab: int, data_sha: dict[str, str]) -> dict:
    """What a run may not change between two stops."""
    config = model.config
    shape = (
        f"{args.arch} {config.num_hidden_layers}x{config.hidden_size}x{config.num_attention_heads}, {n_vocab} tokens"
    )
    flags = {f"--{name}": getattr(args, name) for name in ("init_from", "seq_len", "loss_on", "optim", "seed")}
    more = {"rows a step": args.batch_size * args.grad_accum, "packing": not args.no_packing}
    if args.cfg == "auto":
        more["size"] = args.size
    return {**{name: digest[:16] for name, digest in data_sha.items()}, "model": shape, **flags, **more}


def begin_or_resume(args, accelerator, loss_module, tokenizer, run: dict, n_parameters: int):
    """Go on from the newest snapshot, or create MODEL_DIR, when all that a step needs is there.

    Returns (the lock on MODEL_DIR, progress, loss module and optimizers as accelerate wants them).
    """
    model, model_dir, progress = loss_module.model, Path(args.model_dir), Progress()
    folder = model_dir if model_dir.exists() else temporary(model_dir.resolve())
    with contextlib.ExitStack() as stack:
        if accelerator.is_main_process:
            stack.enter_context(hold(folder))
        snapshot = find_snapshot(model_dir, args.resume)
        if snapshot:
            saved = load_snapshot(snapshot)
            progress = Progress(**saved["state"])
        if args.resume != "never":
            refuse_other_run(model_dir, run, saved["run"] if snapshot else first_row(model_dir).get("run", {}))
        if snapshot:
            load_weights(model, snapshot)
        weights = None if snapshot else model_state(model)  # whole; FSDP is about to cut it up
        optimizers = build_optimizers(model, args)
        wrapped, *optimizers = accelerator.prepare(loss_module, *optimizers)
        if snapshot:
            load_trainer_state(accelerator, optimizers, saved, snapshot)
            say(f"resume     from {snapshot}")
        if accelerator.is_main_process:
            first_metrics = {
                "run": run, "arguments": vars(args), "parameters": n_parameters, "git_commit": git_commit(),
                "hardware": device_name(accelerator.device), "processes": accelerator.num_processes,
                "python": platform.python_version(), "torch": torch.__version__,
                "transformers": transformers.__version__, "accelerate": accelerate.__version__,
            }  # fmt: skip
            if snapshot:
                go_back(args, model_dir, progress, first_metrics)
            else:
                create_model_dir(folder, args, model, tokenizer, weights, len(tokenizer), first_metrics)
                if folder != model_dir:
                    stack.enter_context(hold(model_dir))  # the same lock, under the name that the folder has now
        accelerator.wait_for_everyone()
        if args.compile:
            compile_blocks(loss_module)
        return stack.pop_all(), progress, wrapped, optimizers


def go_back(args, model_dir: Path, progress: Progress, first_metrics: dict) -> None:
    """Give up what came after the snapshot: rows of metrics.jsonl, which come again, and with --resume PATH newer snapshots.

    Where those had found a better model, it is theirs: the next evaluation is then the best so far.
    """
    rows = read_metrics(model_dir)
    if not first_row(model_dir):
        rows = [first_metrics, *rows]
    with writing(model_dir):
        remove_leftovers(model_dir)
        if args.resume != "auto":
            for newer in snapshots(model_dir):
                if step_of(newer) > progress.step:
                    remove_snapshot(newer)
            losses = [row["val_loss"] for row in rows if row.get("step", -1) > progress.step and "val_loss" in row]
            if min(losses, default=math.inf) < progress.best_val_loss:
                progress.best_val_loss, progress.last_eval_step = math.inf, -1
        kept = [row for row in rows if row.get("step", -1) <= progress.step]
        write_atomically(model_dir / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in kept))


def read_metrics(model_dir: Path) -> list[dict]:
    """The rows of metrics.jsonl without those that a power cut has damaged."""
    rows = []
    with contextlib.suppress(OSError):
        for line in (model_dir / "metrics.jsonl").read_bytes().splitlines():
            with contextlib.suppress(ValueError, RecursionError):
                row = json.loads(line)
                if isinstance(row, dict) and isinstance(row.get("step", -1), int):
                    rows.append(row)
    return rows


def first_row(model_dir: Path) -> dict:
    """What the run of MODEL_DIR began with, or {} where none did."""
    rows = read_metrics(model_dir)[:1]
    is_ours = rows and all(isinstance(rows[0].get(key), dict) for key in ("run", "arguments"))
    return rows[0] if is_ours else {}


def save_best(accelerator, loss_module, model_dir: Path, n_vocab: int) -> None:
    weights = model_state(accelerator.unwrap_model(loss_module).model)
    if accelerator.is_main_process:
        write_weights(model_dir / "model.safetensors", weights, n_vocab)


def save_snapshot(
    accelerator, loss_module, optimizers, model_dir: Path, run: dict, progress: Progress, keep: int
) -> None:
    weights = model_state(accelerator.unwrap_model(loss_module).model)
    trainer_state = {
        "run": run, "state": vars(progress), "rng": gather_object([rng_state()]),
        "optimizers": [gather_shards(optimizer.state_dict()) for optimizer in optimizers],
        "scaler": accelerator.scaler.state_dict() if accelerator.scaler else None,
    }  # fmt: skip
    if accelerator.is_main_process:
        write_snapshot(model_dir, progress.step, weights, trainer_state, keep)


def load_trainer_state(accelerator, optimizers, saved: dict, snapshot: Path) -> None:
    """Put optimizer moments, loss scale and random generators back as they were, on any number of processes."""
    with of_this_version(snapshot):
        for optimizer, saved_optimizer in zip(optimizers, saved["optimizers"]):
            parameters = itertools.chain.from_iterable(group["params"] for group in optimizer.param_groups)
            for parameter, moments in zip(parameters, saved_optimizer["state"].values()):
                if hasattr(parameter, "device_mesh"):  # FSDP: each process takes its share
                    from torch.distributed.tensor import distribute_tensor

                    for name, moment in moments.items():
                        if moment.shape == parameter.shape:
                            moments[name] = distribute_tensor(moment, parameter.device_mesh, parameter.placements)
            # the moments are the run's, the settings (--lr, --weight_decay) are this command's
            optimizer.load_state_dict({**saved_optimizer, "param_groups": optimizer.state_dict()["param_groups"]})
    # what cannot be put back is no reason to lose a run
    if accelerator.scaler and saved["scaler"]:  # a run in bfloat16 that goes on in float16 has none
        put_back("loss scale", accelerator.scaler.load_state_dict, saved["scaler"])
    if accelerator.process_index < len(saved["rng"]):
        put_back("random generators", set_rng_state, saved["rng"][accelerator.process_index])


def put_back(name: str, load, state) -> None:
    try:
        load(state)
    except Exception as error:
        say(
            f"warning: the {name} of another version cannot be put back ({first_line(error)}): the run goes on with new ones"
        )


def load_snapshot(snapshot: Path) -> dict:
    """The trainer's state in a snapshot, unless another version of this script wrote it."""
    with of_this_version(snapshot):
        saved = torch.load(snapshot / "trainer_state.pt", weights_only=True, map_location="cpu")
        Progress(**saved["state"])
        assert isinstance(saved["run"], dict) and {"rng", "optimizers", "scaler"} <= saved.keys(), "it lacks a part"
    return saved


def load_weights(model, snapshot: Path) -> None:
    with of_this_version(snapshot):
        weights = safetensors.torch.load_file(snapshot / "model.safetensors")
        missing, unexpected = model.load_state_dict(weights, strict=False)
        assert missing == tied_away(model) and not unexpected, (missing, unexpected)


@contextlib.contextmanager
def of_this_version(snapshot: Path):
    try:
        yield
    except Exception as error:
        fail(
            f"{snapshot} is of another version ({first_line(error)}); use that version, or start over with --resume never"
        )


def tied_away(model) -> list[str]:
    """What no file holds: a head that is the embedding again."""
    return ["lm_head.weight"] if model.config.tie_word_embeddings else []


def model_state(model) -> dict[str, torch.Tensor]:
    """The model's weights on the CPU, whole, without the tied copy of the embedding; all processes must call it."""
    state = {name: weight for name, weight in model.state_dict().items() if name not in tied_away(model)}
    return {name: weight.cpu().contiguous() for name, weight in gather_shards(state).items()}


def gather_shards(value):
    """`value`, a nest of containers, with the tensors that FSDP has cut up made whole; all processes must call it."""
    if isinstance(value, dict):
        return {key: gather_shards(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(gather_shards(part) for part in value)
    return value.full_tensor().cpu() if hasattr(value, "full_tensor") else value


def rng_state() -> dict:
    """The state of every generator that a step could draw from, in types that `weights_only` loading admits."""
    algorithm, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (algorithm, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def set_rng_state(state: dict) -> None:
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


def refuse_other_run(model_dir: Path, mine: dict, theirs: dict) -> None:
    different = [f"{key} {theirs[key]} -> {value}" for key, value in mine.items() if theirs.get(key, value) != value]
    if same_folder(mine.get("--init_from"), theirs.get("--init_from")):  # `base/` is `base`, and relative is absolute
        different = [text for text in different if not text.startswith("--init_from ")]
    if different:
        fail(
            f"{model_dir} holds a run that differs in {', '.join(different)}; give another --model_dir, "
            "or start over in this one with --resume never"
        )


def same_folder(mine: str | None, theirs: str | None) -> bool:
    return bool(mine and theirs) and os.path.realpath(mine) == os.path.realpath(theirs)


def refuse_what_is_not_ours(model_dir: Path) -> None:
    """Write into a folder that is new, or empty, or holds a run of this script, which its log or a snapshot proves."""
    try:
        if model_dir.exists() and not model_dir.is_dir():
            fail(f"{model_dir} is a file; give another --model_dir")
        found = [path.name for path in model_dir.iterdir()] if model_dir.exists() else []
    except OSError as error:
        fail(f"{model_dir}: {error.strerror}; give another --model_dir")
    others = sorted(name for name in found if not name.startswith("."))  # we write no such file but to remove it again
    if others and not first_row(model_dir) and not any(map(verifies, snapshots(model_dir))):
        fail(f"{model_dir} holds {others[0]}, which this script did not train; give another --model_dir")


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Makes the folder and keeps other writers out while the block runs; one line says which process is there already.

    The system takes the lock back however the process ends, SIGKILL included, and no child inherits it; where a kill
    left the file that carries it, that is in nobody's way. A folder that the block leaves empty goes again.
    """
    path, made = folder / ".writer.lock", not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                if os.name == "nt":
                    import msvcrt

                    os.lseek(file, 1 << 30, os.SEEK_SET)  # what is locked there cannot be read, and the number is at 0
                    msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
                else:
                    import fcntl

                    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                os.lseek(file, 0, os.SEEK_SET)
                owner = os.read(file, 20).decode("ascii", "replace").strip() or "of an unknown number"
                fail(
                    f"{quoted(folder)} is being written by process {owner}; wait until that has ended, or choose another folder"
                )
            except OSError:
                pass  # a file system without locks: better unguarded than not at all
            if os.fstat(file).st_nlink:
                break
            os.close(file)  # its last owner removed it between our two steps
    except OSError as error:
        fail(f"{quoted(folder)}: {error.strerror}; choose a folder that can be written")
    try:
        with contextlib.suppress(OSError):  # on a full disk the lock has no name, and holds
            os.lseek(file, 0, os.SEEK_SET)
            os.write(file, f"{os.getpid():<20}".encode())
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(file)
        if made:
            with contextlib.suppress(OSError):
                folder.rmdir()


@contextlib.contextmanager
def writing(folder: Path, unfinished: Path | None = None):
    """What cannot be written ends the run with one line; what is complete on disk stays, what is half written goes."""
    try:
        yield
    except BaseException as error:
        why, full = first_line(error), getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        with contextlib.suppress(OSError):
            full = full or shutil.disk_usage(folder).free < 2**20
            if unfinished and unfinished.exists():
                shutil.rmtree(unfinished) if unfinished.is_dir() else unfinished.unlink()
        # torch and safetensors wrap the system's errors in some of their own
        of_torch = isinstance(error, RuntimeError) and (full or "PytorchStreamWriter" in why or "unexpected pos" in why)
        if not of_torch and not isinstance(error, (OSError, safetensors.SafetensorError)):
            raise
        full = full or "No space left" in why
        trouble = (
            f"the disk of {folder} is full; make room" if full else f"{folder} cannot be written: {why}; mend that"
        )
        fail(f"{trouble}, then run the same command to go on from the last snapshot")


def write_atomically(path: Path, content: str | bytes) -> None:
    try:
        temporary(path).write_bytes(content.encode() if isinstance(content, str) else content)
        sync_to_disk(temporary(path))
        os.replace(temporary(path), path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary(path).unlink()
        raise


def sync_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(2**22), b""):
            digest.update(block)
    return digest.hexdigest()


def git_commit() -> str | None:
    return output_of("git", "-C", Path(__file__).resolve().parent, "rev-parse", "HEAD").strip() or None


def output_of(*command) -> str:
    """What a helper program prints, or nothing where it is not installed or fails."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return ""


# ---------------------------------------------------------------------------------------------------------
# 11 What is said: screen, metrics.jsonl, TensorBoard, model card


def say(text: str) -> None:
    """Print a line, from the first process of this machine."""
    if os.environ.get("LOCAL_RANK", "0") == "0":
        print(visible(text), flush=True)


class Log:
    """What the run says: on the screen, in metrics.jsonl and in TensorBoard, the same numbers in all three."""

    def __init__(self, args, accelerator, loss_module, rows: Rows, max_steps: float, peak_flops: float, step: int):
        self.args, self.rows, self.max_steps = args, rows, max_steps
        self.card = read_manifest(Path(args.data_dir))["card"]  # now: the end may be days away, and the folder gone
        self.mfu_per_token = flops_per_token(loss_module.model, rows) / peak_flops
        self.on_gpu, self.n_vocab = accelerator.device.type == "cuda", loss_module.n_vocab
        self.recent: list[tuple[int, float]] = []  # (tokens, seconds) of the steps since the last line
        self.metrics = Metrics(Path(args.model_dir), step) if accelerator.is_main_process else None

    def count(self, tokens: int, seconds: float) -> None:
        self.recent.append((tokens, seconds))

    def step(self, step: int, loss: float, grad_norm: float, lr: float, seconds_left: float) -> None:
        tokens, seconds = (sum(column) for column in zip(*self.recent))
        tokens_per_s, step_seconds = tokens / seconds, seconds / len(self.recent)
        rows_per_step = self.args.batch_size * self.args.grad_accum
        row = {"step": step, "loss": loss, "lr": lr, "grad_norm": grad_norm, "tokens_per_s": tokens_per_s,
               "mfu": tokens_per_s * self.mfu_per_token, "epoch": step * rows_per_step / len(self.rows)}  # fmt: skip
        say(
            f"step  {step:>6}{f'/{self.max_steps}' if self.max_steps < math.inf else ''} | loss {loss:.4f} | lr {lr:.1e} | "
            f"norm {grad_norm:.2f} | {1000 * step_seconds:.0f} ms | {tokens_per_s:,.0f} tok/s | MFU {row['mfu']:.0%}"
            + (f" | {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if self.on_gpu else "")
            + f" | eta {duration(min((self.max_steps - step) * step_seconds, seconds_left))}"
        )
        if self.metrics:
            self.metrics.log(**row)
        self.recent.clear()

    def evaluation(self, progress: Progress, val_loss: float, best: bool, samples, untrained: bool) -> None:
        perplexity, step = math.exp(min(val_loss, 700)), progress.step
        say(
            f"eval  {step:>6} | val loss {val_loss:.4f} | perplexity {perplexity:,.2f}"
            + (" | best so far" if best else f" | best {progress.best_val_loss:.4f} at step {progress.best_step}")
            + (f" | ln(vocabulary) {math.log(self.n_vocab):.4f}" if untrained else "")
        )
        if self.metrics:
            self.metrics.log(step=step, val_loss=val_loss, perplexity=perplexity, samples=samples)
        for prompt, answer in samples:
            say(f"      {prompt!r} -> {answer!r}")

    def end(self, progress: Progress, finished: bool, command: str) -> None:
        model_dir = Path(self.args.model_dir)
        if not finished:
            say(f"saved at step {progress.step}. Go on with:\n\n    {command}\n")
        elif self.metrics and not self.metrics.rows[-1].get("finished"):
            with writing(model_dir):
                write_model_card(model_dir, self.args, command, self.card, self.metrics.rows, progress)
                self.metrics.finish(progress.step)
        if self.metrics:
            self.metrics.close()
        if finished:
            skipped = f"; {progress.skipped_steps} steps skipped" if progress.skipped_steps else ""
            say(
                f"\ndone: {progress.step:,} steps in {duration(progress.seconds)}; best validation loss "
                f"{progress.best_val_loss:.4f}, perplexity {math.exp(progress.best_val_loss):.2f}, at step "
                f"{progress.best_step}{skipped}\n\n    python inference.py --model_dir {quoted(model_dir)}\n"
            )


class Metrics:
    """metrics.jsonl and TensorBoard side by side. What cannot be written is said once: no log line is worth a run."""

    def __init__(self, model_dir: Path, step: int):
        self.path, self.rows = model_dir / "metrics.jsonl", read_metrics(model_dir)
        self.said: set[str] = set()
        # TensorBoard writes in a thread of its own: `attempt` says what went wrong there
        threading.excepthook = lambda met: (
            issubclass(met.exc_type, OSError) or sys.excepthook(met.exc_type, met.exc_value, met.exc_traceback)
        )
        self.writer: SummaryWriter | None = None
        purge = step + 1 if step else None  # rows after the resumed step come again
        self.attempt("TensorBoard", self.open, str(model_dir / "runs"), purge)

    def open(self, folder: str, purge_step: int | None) -> None:
        self.writer = SummaryWriter(folder, purge_step=purge_step, filename_suffix=".train")

    def attempt(self, what: str, job, *args) -> None:
        try:
            job(*args)
        except (OSError, ValueError) as error:
            if what not in self.said:
                say(f"warning: {what} cannot be written ({first_line(error)}): the run goes on without")
            self.said.add(what)

    def log(self, **row) -> None:
        self.rows.append(row)
        self.attempt("metrics.jsonl", self.append, json.dumps(row) + "\n")
        if self.writer and "TensorBoard" not in self.said:  # its thread does not come back
            self.attempt("TensorBoard", self.draw, row)

    def append(self, line: str) -> None:
        with self.path.open("ab", buffering=0) as file:
            size = file.tell()
            if file.write(line.encode()) < len(line):  # half a line would spoil the next one
                file.truncate(size)
                raise OSError(errno.ENOSPC, "No space left on device")

    def draw(self, row: dict) -> None:
        for name, value in row.items():
            if isinstance(value, float):
                self.writer.add_scalar(name, value, row["step"])
        for number, (prompt, answer) in enumerate(row.get("samples", [])):
            self.writer.add_text(f"sample {number}", f"`{prompt}{answer}`", row["step"])

    def finish(self, step: int) -> None:
        """The last row, and with it all that could not be written before: the run is done when this is on the disk."""
        rows = [*self.rows, {"step": step, "finished": True}]
        write_atomically(self.path, "".join(json.dumps(row) + "\n" for row in rows))

    def close(self) -> None:
        if self.writer and "TensorBoard" not in self.said:
            self.attempt("TensorBoard", self.writer.close)


def draw_losses(path: Path, rows: list[dict]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for name, label, style in (("loss", "training", "-"), ("val_loss", "validation", "o-")):
        if points := [(row["step"], row[name]) for row in rows if name in row]:
            axes.plot(*zip(*points), style, label=label, linewidth=1, markersize=3)
    axes.set(xlabel="step", ylabel="loss (nats a token)")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(temporary(path), format="png", dpi=120)
    plt.close(figure)
    os.replace(temporary(path), path)


def about_the_base(name: str) -> str:
    """Lines of the card's head: the model of the hub that training started from, and the licence that its own card states.

    `base_model` takes names of the hub alone (huggingface.co/docs/hub/model-cards): of a folder it is what its card names.
    """
    import huggingface_hub

    is_local, licence = Path(name).is_dir(), {}
    base = [] if is_local else [name]
    try:
        head = head_of_card(
            Path(name) / "README.md" if is_local else huggingface_hub.hf_hub_download(name, "README.md")
        )
        base = base or names_of_the_hub(head.get("base_model", []))
        licence = {key: legible(head[key]) for key in ("license", "license_name", "license_link") if key in head}
    except Exception as error:  # no card, no network, or whatever a stranger wrote into it
        say(
            f"warning: the licence of {name} could not be read from its card ({first_line(error)}); look it up before you "
            "pass this model on"
        )
    link = licence.get("license_link")
    if isinstance(link, str) and "://" not in link and not is_local:  # a file of theirs, which is not copied
        licence["license_link"] = f"https://huggingface.co/{name}/blob/main/{link}"
    about = {"base_model": base[0] if len(base) == 1 else base, **licence}
    return "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in about.items() if value)


def head_of_card(path: str | Path) -> dict:
    """The fields at the head of a README.md, all of them text: neither is `no` False nor 2024-01-01 a date."""
    import yaml

    # one byte of another encoding, or a field that the hub would refuse, does not spoil the others
    text = Path(path).read_text(encoding="utf-8-sig", errors="replace")
    lines = [line.rstrip() for line in text.strip().split("\n")]
    if lines[0] != "---":
        return {}
    fields = yaml.load("\n".join(lines[1 : lines.index("---", 1)]), yaml.BaseLoader) or {}
    return {key.lower(): value for key, value in fields.items() if value}


def names_of_the_hub(names: str | list) -> list[str]:
    """Those of the names that the hub could have given: another tool may have written the path of a folder."""
    from huggingface_hub.utils import validate_repo_id

    good = []
    for name in [names] if isinstance(names, str) else names:
        with contextlib.suppress(ValueError):
            validate_repo_id(name)
            good.append(name)
    return good


def legible(value: str | list) -> str | list:
    """A field of a card as it may stand in another: a line break or what cannot be seen could end the head, or lie."""
    if isinstance(value, list):
        return [legible(each) for each in value]
    if not isinstance(value, str) or not value.strip().isprintable() or "\ufffd" in value:
        raise ValueError(f"it says {value!r}")
    return value.strip()


def write_model_card(model_dir: Path, args, command: str, data_card: str, rows: list[dict], progress: Progress) -> None:
    """README.md of the chatbot: what it was trained on and how, its loss curve, and answers as they came out."""
    curve = "![Loss curve](loss.png)"
    try:
        draw_losses(model_dir / "loss.png", rows)
    except ImportError as error:
        say(f"warning: no loss curve in the model card: {first_line(error)}")
        curve = "No curve was drawn."
    best_step, best_loss = progress.best_step, progress.best_val_loss
    samples = next((row["samples"] for row in reversed(rows) if row.get("samples")), [])
    answers = "\n\n".join(f"```text\n{prompt}{answer}\n```" for prompt, answer in samples)
    write_atomically(
        model_dir / "README.md",
        f"""---
library_name: transformers
pipeline_tag: text-generation
{about_the_base(args.init_from) if args.init_from else ""}---
# {model_dir.name}

A {rows[0].get("parameters", 0):,}-parameter `{args.arch}` chatbot, {"started from " + args.init_from if args.init_from else "trained from scratch"}.
The weights here are those of step {best_step:,}: validation loss {best_loss:.4f}, perplexity {math.exp(best_loss):.2f}.

{curve}

```bash
{command}
```

## Data

```text
{data_card}
```

## Greedy answers to held-out prompts at the last evaluation

{answers}

## Limits

It was trained on one data set and repeats what is in it, right or wrong. It knows nothing else, and it has had no
safety training.
""",
    )


# ---------------------------------------------------------------------------------------------------------
# 12 The command line


RANGES: dict[str, tuple[type, float, float]] = {  # of every number: type, lowest, highest
    **dict.fromkeys(("n_layer", "n_head", "keep"), (int, 1, 10**4)),
    **dict.fromkeys(("batch_size", "grad_accum", "n_embd", "seq_len"), (int, 1, 10**6)),
    **dict.fromkeys(("max_steps", "patience", "log_every", "eval_every", "save_every"), (int, 1, 10**12)),
    **dict.fromkeys(("lr", "muon_lr"), (float, 1e-12, 100)),
    **dict.fromkeys(("epochs", "max_hours"), (float, 1e-6, 1e6)),
    "warmup_steps": (int, 0, 10**12),
    "dropout": (float, 0, 0.99),
    "min_lr_ratio": (float, 0, 1),
    "weight_decay": (float, 0, 100),
    "grad_clip": (float, 1e-6, 1e9),
    "vram_gb": (float, 0.1, 10**4),
    "seed": (int, 0, 2**63 - 1),
}


def build_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(__doc__)
    # fmt: off
    add = parser.add_argument_group("files").add_argument
    add("--data_dir", default="data", help="folder that prep_data.py wrote")
    add("--model_dir", required=True, help="folder of this run; the same command, run again, goes on there")
    add("--resume", default="auto", metavar="auto|never|PATH", help="auto: go on from the newest snapshot; never: start "
        "over, replacing what the folder holds; PATH: go on from that step-NNNNNN folder")

    add = parser.add_argument_group("model").add_argument
    add("--cfg", choices=(*CONFIGS, "auto"), default="baseline_355m", help="size: tiny for a laptop, small_test 124 M "
        "parameters, baseline_355m, heavier_420m (505 M in truth); auto: the best that --max_hours can train on this machine, "
        "step and learning rate included")
    add("--arch", choices=("gpt2", "llama", "qwen3"), default="gpt2", help="llama: RMSNorm, RoPE and SwiGLU at the same size; "
        "qwen3: queries and keys normed besides")
    add("--n_layer", help="number of blocks, instead of what --cfg says")
    add("--n_embd", help="width of a token's vector, instead of what --cfg says")
    add("--n_head", help="attention heads, instead of what --cfg says; they divide --n_embd")
    add("--init_from", metavar="MODEL", help="start from these weights, not from scratch: gpt2-medium, another hub id, "
        "or a folder such as checkpoints/base; --cfg is then not used")
    add("--dropout", default=0.0, help="share of activations dropped; 0.1 helps when few rows are seen often")

    add = parser.add_argument_group("batch").add_argument
    add("--seq_len", default=1024, help="tokens in a row; memory and time grow with it")
    add("--batch_size", default=8, help="rows in one forward pass; when memory runs out, halve it and "
        "double --grad_accum")
    add("--grad_accum", default=4, help="forward passes in one optimizer step; tokens a step = "
        "batch_size x grad_accum x seq_len, over all processes together")
    add("--no_packing", action="store_true", help="one padded conversation a row, instead of several that do not see one "
        "another: slower, same mathematics")
    add("--loss_on", choices=("answers", "all"), default="answers", help="learn the assistant's answers, or every token; "
        "plain text is always learned whole")

    add = parser.add_argument_group("limits; the first one reached ends the run (without any: 3 epochs)").add_argument
    add("--max_steps", help="optimizer steps")
    add("--epochs", help="passes over the training set; beyond 20 a model mostly learns it by heart")
    add("--max_hours", help="hours, evaluation and saving included; the learning rate comes down in time")
    add("--patience", help="evaluations in a row without a better validation loss")

    add = parser.add_argument_group("optimizer").add_argument
    add("--optim", choices=("adamw", "adamw8bit", "muon"), default="adamw", help="adamw8bit saves 6 bytes a parameter; "
        "muon needs fewer steps from scratch (its embeddings are AdamW's)")
    add("--lr", help="peak learning rate; by default 5e-5 with --init_from, 4e-3 at a width of 768 with --optim muon, else "
        "by --cfg: " + ", ".join(f"{name} {lr:g}" for name, (*_, lr) in CONFIGS.items()))
    add("--muon_lr", default=0.02, help="peak learning rate of the matrices with --optim muon")
    add("--warmup_steps", help="steps in which the learning rate rises; by default 5 %% of the run, at most 2000")
    add("--schedule", choices=("cosine", "linear", "wsd"), default="cosine", help="how it falls; wsd: level until the "
        "last fifth")
    add("--min_lr_ratio", default=0.1, help="the floor that it falls to, as a share of the peak")
    add("--weight_decay", default=0.1, help="pull of the matrices toward zero; more of it against overfitting")
    add("--grad_clip", default=1.0, help="largest gradient norm; lower it against loss spikes, 1e9 is no limit")
    add("--seed", default=1337, help="of the weights and of the order of the rows")

    group = parser.add_argument_group("speed and memory")
    add, add_precision = group.add_argument, group.add_mutually_exclusive_group().add_argument
    add_precision("--bf16", action="store_true", help="bfloat16 arithmetic on float32 weights; what you get unasked where "
                  "the hardware has it")
    add_precision("--fp16", action="store_true", help="float16 with loss scaling, for GPUs before the RTX 30 series")
    add_precision("--fp32", action="store_true", help="float32 throughout: slowest, for comparing")
    add("--attn", choices=("auto", "documents", "sdpa", "eager"), default="auto", help="documents: each one by itself (auto "
        "where possible); or transformers' own sdpa or eager with a mask")
    add("--use_flash_attn", action="store_true", help="take the kernel of the flash-attn package, where it is installed")
    add("--grad_checkpointing", choices=("auto", "on", "off"), default="auto", help="on: compute activations twice and keep "
        "a fraction of them, for a third more time; auto: only where the predicted memory needs it")
    add("--compile", action="store_true", help="torch.compile, on a CUDA GPU: faster steps after a minute of "
        "compiling, for long runs")
    add("--cpu", action="store_true", help="leave the GPU alone")
    add("--vram_gb", help="hold a larger card to this many GiB, and plan for it; by default the card's own")

    add = parser.add_argument_group("log, evaluation, snapshots").add_argument
    add("--log_every", default=10, help="steps between lines")
    add("--eval_every", default=500, help="steps between evaluations")
    add("--save_every", default=500, help="steps between snapshots: what a power cut costs")
    add("--keep", default=2, help="snapshots kept, of 12 bytes a parameter each")
    add("--dry_run", action="store_true", help="print the plan with predicted memory, disk and time, and stop: "
        "nothing is written")
    # fmt: on
    return parser


# From here on the same to the letter in prep_data.py, train.py and inference.py, which do not import one another: nothing
# that is said can end the program or steer a terminal, a mistake of the user's is one line and exit code 2, every number
# has a range, flags are written out, and the help shows defaults by itself.


class Outlet:
    """Standard output or error that never raises: what a closed terminal, a dead pipe or a full disk does not take is lost.

    A character that its encoding lacks is written as an escape. `error` is the first failure, or None.
    """

    def __init__(self, stream):
        self.stream, self.error = stream, None

    def __getattr__(self, name: str):
        return getattr(self.stream, name)

    def attempt(self, job, *args) -> None:
        try:
            job(*args)
        except UnicodeEncodeError:
            encoding = self.stream.encoding
            self.attempt(job, args[0].encode(encoding, "backslashreplace").decode(encoding))
        except (OSError, ValueError) as error:  # a closed file is a ValueError
            self.error = self.error or error

    def write(self, text: str) -> int:
        self.attempt(self.stream.write, text)
        return len(text)

    def flush(self) -> None:
        self.attempt(self.stream.flush)


def guard_streams() -> None:
    """Make standard output and error Outlets; where a stream was closed before the start, it is empty."""
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115 - for as long as the program runs
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name) or open(os.devnull, "w")  # noqa: SIM115
        if type(stream).__name__ != "Outlet":
            setattr(sys, name, Outlet(stream))


@atexit.register
def give_up_dead_streams() -> None:
    """Python flushes both at its exit and ends in an error when that fails: what cannot be written goes nowhere."""
    for stream in filter(None, (sys.__stdout__, sys.__stderr__)):
        try:
            stream.flush()
        except (OSError, ValueError):
            if not stream.closed:
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


# What could move the cursor, retitle the window or reorder the line: C0, DEL, C1 and the bidirectional controls; and
# halves of surrogate pairs, which is how bytes that are no UTF-8 arrive and what no terminal can be sent.
STEERING = [*range(32), *range(127, 160), 0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
VISIBLE = {code: ascii(chr(code))[1:-1] for code in (*STEERING, *range(0xD800, 0xE000)) if chr(code) not in "\n\t"}
LONGEST_LINE = 1200  # characters of an error: a name in it may be as long as a file


def visible(text: str) -> str:
    """Text that cannot steer a terminal: an escape character is shown as `\\x1b`, a right-to-left override `\\u202e`."""
    return text.translate(VISIBLE)


def quoted(path: str | Path) -> str:
    """A path or a word as it can be pasted into a shell."""
    return visible(shlex.quote(str(path)))


def fail(message: str, code: int = 2) -> NoReturn:
    line = visible(" ".join(message.split()))
    if len(line) > LONGEST_LINE:  # what is wrong stands first, the command that mends it last
        line = f"{line[: LONGEST_LINE * 2 // 3]} ... {line[-LONGEST_LINE // 3 :]}"
    kind = "" if code == 130 else "error: "  # what the user interrupted is none
    print(f"{Path(__file__).name}: {kind}{line}", file=sys.stderr)
    raise SystemExit(code)


def number(name: str, text: str) -> float:
    """The number in `text`, if RANGES allows it for `name`: no NaN, no infinity, no fraction of a thing that is counted."""
    kind, low, high = RANGES[name]
    try:
        value = kind(text)
        if low <= value <= high:  # as NaN never is
            return value
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(
        f"{name} is a {'whole ' * (kind is int)}number from {low:,} to {high:,}, not {text[:40]!r}"
    )


class Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    def _get_help_string(self, action: argparse.Action) -> str | None:
        nothing = action.default is None or action.default is False  # 0 is something
        return action.help if nothing else super()._get_help_string(action)


class OneLineParser(argparse.ArgumentParser):
    """Flags as RANGES has them, written out; a mistake is one line."""

    def __init__(self, description: str):
        # abbreviations would change their meaning with the next flag that begins alike
        super().__init__(Path(__file__).name, description=description, formatter_class=Formatter, allow_abbrev=False)

    def parse_args(self, args=None, namespace=None):
        for action in self._actions:
            if action.dest in RANGES:
                action.type = lambda text, name=action.dest: number(name, text)
        parsed = super().parse_args(args, namespace)
        for name, value in vars(parsed).items():
            if value == [] or value == [[]]:  # what argparse makes of --flag=--
                self.error(f"argument --{name}: expected one argument")
        return parsed

    def error(self, message: str) -> NoReturn:
        fail(f"{message}; see python {self.prog} --help")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        main()
    except KeyboardInterrupt:  # the training loop notes a stop instead
        fail("stopped before the first step; the same command starts again", code=130)
