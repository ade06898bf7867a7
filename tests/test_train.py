"""train.py: the mathematics is exact, nothing hurts a run, and every printed number is what its label says."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import signal
import subprocess
import time
from functools import partialmethod
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from conftest import BATCH, SMALL, call, metrics, mistake, run_script, settings, small_run
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

import train


def uneven_documents(n: int = 48, n_vocab: int = 100) -> list:
    """Documents of 3 to 40 random tokens with 1 to 30 of them learned."""
    rng = np.random.default_rng(0)
    documents = []
    for length in rng.integers(3, 40, size=n):
        learned = np.arange(length) >= rng.integers(1, length)
        documents.append((rng.integers(n_vocab, size=length, dtype=np.int32), learned))
    return documents


def gradients(
    micro_batch: int, attention: str = "documents_by_groups", packing: bool = True, checkpointing: bool = False
):
    """Loss and gradients of one optimizer step over all rows of `uneven_documents`, by train.py's own step."""
    torch.manual_seed(0)
    args = settings(*SMALL, *BATCH)
    args.grad_clip = math.inf
    model = train.build_model(args, 100, attention)
    if checkpointing is not None:  # None: transformers' own model, all activations held
        train.hold_fewer_activations(model, checkpointing)
    rows = train.rows_in_memory(uneven_documents(), 64, packing)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    optimizer.param_groups[0]["peak_lr"] = 0.0
    kept = {}
    optimizer.zero_grad = lambda: kept.update((name, p.grad.clone()) for name, p in model.named_parameters())
    accelerator = Accelerator(cpu=True)
    step_rows = list(range(len(rows)))
    loss, _ = train.training_step(
        accelerator, train.NextTokenLoss(model, 100), [optimizer], rows, step_rows, 1.0, args, micro_batch
    )
    return loss, kept


def same(one, other, tolerance: float = 1e-5) -> None:
    assert one[0] == pytest.approx(other[0], rel=tolerance)
    for name, gradient in one[1].items():
        assert (gradient - other[1][name]).abs().max() <= tolerance * other[1][name].abs().max(), name


# --- the loss and its gradient -----------------------------------------------------------------------------


@pytest.mark.parametrize("micro_batch", [2, 4, 16])
def test_accumulation_does_not_change_the_gradient(micro_batch):
    same(gradients(micro_batch), gradients(1))


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("attention", ["documents_by_groups", "sdpa", "eager"])
def test_packing_does_not_change_the_gradient(attention, checkpointing):
    same(gradients(4, attention, checkpointing=checkpointing), gradients(1, "sdpa", packing=False, checkpointing=None))


@pytest.mark.parametrize("attention", ["documents_by_groups", "sdpa", "eager"])
def test_packed_logits_equal_those_of_each_document_alone(attention):
    torch.manual_seed(0)
    model = train.build_model(settings(*SMALL, *BATCH), 100, attention).eval()
    loss_module = train.NextTokenLoss(model, 100)
    documents = uneven_documents()
    packed = train.rows_in_memory(documents, 64, True)
    with torch.no_grad():
        for row in range(4):
            batch = packed.micro_batch([row], "cpu")
            hidden = loss_module.hidden_states(batch["input_ids"], batch["position_ids"], batch["cu_seqlens"])
            logits, start = model.lm_head(hidden)[0], 0
            for number in packed[row]:
                ids = torch.from_numpy(documents[number][0][None]).long()
                alone = model(ids, use_cache=False).logits[0]
                assert (logits[start : start + len(alone)] - alone).abs().max() <= 1e-5
                start += len(alone)


def varlen_by_mask(q, k, v, bounds, longest, scale):
    """What a variable-length flash kernel computes for q, k, v (tokens, heads, size), on any device."""
    place = torch.arange(len(q))
    document = torch.bucketize(place, bounds[1:], right=True)
    mask = (document[:, None] == document) & (place[:, None] >= place)
    q, k, v = (x.transpose(0, 1) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale).transpose(0, 1)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_path_of_a_gpu_gives_the_same_gradient_and_compiles_once(checkpointing, monkeypatch):
    """As on a GPU: documents by way of their bounds, and torch.compile, which must not start over when the bounds move."""
    torch._dynamo.reset()
    rows = train.rows_in_memory(uneven_documents(), 64, True)
    how = {"backend": "aot_eager" if checkpointing else "eager", "fullgraph": True}  # all but the generated code
    monkeypatch.setattr(torch.nn.Module, "compile", partialmethod(torch.nn.Module.compile, **how))

    def gradient(varlen, steps: int = 4) -> list[torch.Tensor]:
        torch.manual_seed(0)
        model = train.build_model(
            settings(*SMALL, *BATCH), 100, "documents_by_bounds" if varlen else "documents_by_groups"
        )
        train.hold_fewer_activations(model, checkpointing)
        loss_module = train.NextTokenLoss(model, 100, varlen).train()
        if varlen:
            train.compile_blocks(loss_module)
        for step in range(steps):
            with torch._dynamo.config.patch(error_on_recompile=step > 0):
                loss_module(**rows.micro_batch([2 * step, 2 * step + 1], "cpu", full_width=True)).backward()
        return [parameter.grad for parameter in model.parameters()]

    for one, other in zip(gradient(varlen_by_mask), gradient(None)):
        assert (one - other).abs().max() <= 1e-5 * other.abs().max()


def test_what_needs_a_gpu_is_left_out_with_a_word(chat_data, capsys):
    call(train.main, *small_run(chat_data, "unused", "--use_flash_attn", "--compile", "--dry_run"))
    said = capsys.readouterr().out
    assert "--use_flash_attn needs a CUDA GPU" in said and "--compile needs a CUDA GPU" in said


def test_loss_is_the_plain_cross_entropy_over_all_learned_tokens():
    torch.manual_seed(0)
    model = train.build_model(settings(*SMALL, *BATCH), 100, "sdpa")
    total, count = 0.0, 0
    for ids, learned in uneven_documents():
        labels = torch.from_numpy(np.where(learned, ids, -100)).long()
        logits = model(torch.from_numpy(ids[None]).long(), use_cache=False).logits[0, :-1, :100]
        total = total + F.cross_entropy(logits, labels[1:], reduction="sum")
        count += int(learned[1:].sum())
    (total / count).backward()
    same(gradients(4), ((total / count).item(), {name: p.grad for name, p in model.named_parameters()}))


def test_chunked_cross_entropy_equals_the_plain_one(monkeypatch):
    monkeypatch.setattr(train, "LOGITS_PER_CHUNK", 128 * 64)  # 64 tokens at a time, the last chunk shorter
    torch.manual_seed(0)
    hidden, weight = torch.randn(150, 16, requires_grad=True), torch.randn(128, 16, requires_grad=True)
    targets = torch.randint(0, 100, (150,))
    (train.ChunkedCrossEntropy.apply(hidden, weight, targets, 100) * 0.5).backward()
    ours = hidden.grad.clone(), weight.grad.clone()
    hidden.grad = weight.grad = None
    (F.cross_entropy((hidden @ weight.T)[:, :100], targets, reduction="sum") * 0.5).backward()
    torch.testing.assert_close(ours, (hidden.grad, weight.grad), rtol=1e-5, atol=1e-5)
    assert ours[1][100:].abs().max() == 0, "rows that only pad the vocabulary learn nothing"


LAUNCH = ["-m", "accelerate.commands.launch", "--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no",
          "--dynamo_backend", "no"]  # fmt: skip


@pytest.mark.parametrize(
    "launch",
    [
        [*LAUNCH, "--cpu", "train.py"],
        [*LAUNCH, "--use_fsdp", "--fsdp_version", "2", "--fsdp_auto_wrap_policy", "TRANSFORMER_BASED_WRAP",
         "tests/tools/fsdp_on_cpu.py", "train.py"],
    ],
    ids=["ddp", "fsdp"],
)  # fmt: skip
def test_two_processes_train_the_same_model_as_one_and_either_goes_on_for_the_other(chat_data, tmp_path, launch):
    flags = ["--batch_size", 2, "--grad_accum", 4, "--max_steps", 4, "--save_every", 2, "--log_every", 1]
    one, two = tmp_path / "one", tmp_path / "two"

    def run(processes: int, folder: Path) -> None:
        command = small_run(chat_data, folder, *flags)
        if processes == 1:
            return call(train.main, *command)
        done = run_script(*launch, *command, env={**os.environ, "OMP_NUM_THREADS": "1"})
        assert done.returncode == 0, done.stderr

    def same_end(folder: Path) -> None:
        losses = [metrics(end, "loss") for end in (one, folder)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
        weights = [load_file(end / "step-000004" / "model.safetensors") for end in (one, folder)]
        for name, weight in weights[0].items():
            assert (weight - weights[1][name]).norm() <= 1e-4 * weight.norm(), name

    run(1, one)
    run(2, two)
    same_end(two)
    for begun, processes in ((one, 2), (two, 1)):
        folder = tmp_path / f"on {processes}"
        shutil.copytree(begun, folder)
        shutil.rmtree(folder / "step-000004")
        run(processes, folder)
        same_end(folder)


def test_isolation_check_refuses_attention_that_leaks(chat_data, tmp_path, capsys, monkeypatch):
    def leaking(self, input_ids, position_ids, cu_seqlens):
        return self.model.base_model(input_ids, position_ids=position_ids, use_cache=True).last_hidden_state

    monkeypatch.setattr(train.NextTokenLoss, "hidden_states", leaking)
    argv = small_run(chat_data, tmp_path / "run", "--attn", "sdpa")
    assert "see one another" in mistake(capsys, train.main, argv)


@pytest.mark.parametrize("at_once", [2**20, 180])  # of which the last is not full
def test_packing_fills_rows_and_loses_nothing(at_once, monkeypatch):
    monkeypatch.setattr(train, "PACKED_AT_ONCE", at_once)
    lengths = np.random.default_rng(0).integers(0, 33, size=500).tolist()
    documents, bounds = train.pack(np.array(lengths), 64)
    rows = [documents[start:end].tolist() for start, end in zip(bounds, bounds[1:])]
    assert sorted(i for row in rows for i in row) == [i for i, length in enumerate(lengths) if length]
    assert max(sum(lengths[i] for i in row) for row in rows) <= 64
    assert len(rows) <= 1.02 * sum(lengths) / 64


def test_a_conversation_is_cut_after_a_complete_answer_and_text_is_split(tmp_path):
    chat = {"input_ids": [5, 6, 7, 0, 5, 6, 8, 9, 0], "labels": [-100, -100, 7, 0, -100, -100, 8, 9, 0]}
    text = {"input_ids": [9, 8, 7, 6, 5, 4, 3, 0], "labels": [9, 8, 7, 6, 5, 4, 3, 0]}
    too_long = {"input_ids": [5, 5, 5, 5, 5, 5, 5, 5, 0], "labels": [-100] * 8 + [0]}
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in (chat, text, too_long)))
    documents = train.Documents(train.read_jsonl(path, 10)[0], 6)
    pairs = [documents[i] for i in range(4)]
    assert [ids.tolist() for ids, _ in pairs] == [[5, 6, 7, 0], [9, 8, 7, 6, 5, 4], [3, 0], []]
    assert [learned.tolist() for _, learned in pairs[:2]] == [[False, False, True, True], [False] + 5 * [True]]
    assert documents.counts == {"conversations cut": 1, "conversations too long": 1}
    assert documents.n_learned.tolist() == [2, 5, 1, 0] == [learned.sum() for _, learned in pairs]
    documents = train.Documents(train.read_jsonl(path, 10)[0], 9, learn_all=True)
    assert all(documents[i][1][1:].all() for i in range(3)) and documents.n_learned.tolist() == [8, 7, 8]


# --- a run, its numbers and its folder ----------------------------------------------------------------------


def test_the_folder_is_a_chatbot_for_any_hugging_face_tool(chatbot):
    model, tokenizer = AutoModelForCausalLM.from_pretrained(chatbot), AutoTokenizer.from_pretrained(chatbot)
    assert isinstance(model, GPT2LMHeadModel)
    assert model.config.vocab_size == len(tokenizer) == 400, "the padding of the vocabulary is not written out"
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    question = [{"role": "user", "content": "What is the capital of Kana?"}]
    ids = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    out = model.generate(**ids, do_sample=False, max_new_tokens=40)[0]
    assert tokenizer.decode(out[ids["input_ids"].shape[1] :]) == "The capital of Kana is Naka" + "burg.<|endoftext|>"
    card = (chatbot / "README.md").read_text()
    assert "library_name: transformers" in card and "loss.png" in card and (chatbot / "loss.png").stat().st_size > 5000


def test_printed_perplexity_is_that_of_all_validation_tokens(chatbot, chat_data):
    """An independent count with the plain library on the exported model."""
    model = AutoModelForCausalLM.from_pretrained(chatbot)
    total, count = 0.0, 0
    for line in (chat_data / "val_tokenized.jsonl").read_text().splitlines():
        row = {name: torch.tensor([ids]) for name, ids in json.loads(line).items()}
        n = int((row["labels"] != -100).sum())
        with torch.no_grad():
            total += model(**row).loss.item() * n
        count += n
    best = min((row for row in metrics(chatbot) if "val_loss" in row), key=lambda row: row["val_loss"])
    assert best["val_loss"] == pytest.approx(total / count, rel=1e-5)
    assert best["perplexity"] == pytest.approx(math.exp(total / count), rel=1e-5)


def test_tensorboard_and_metrics_hold_loss_perplexity_and_learning_rate(chatbot):
    first, *rows = metrics(chatbot)
    assert {"arguments", "hardware", "torch", "transformers", "git_commit", "parameters"} <= first.keys()
    events = EventAccumulator(str(chatbot / "runs"))
    events.Reload()
    for name in ("loss", "val_loss", "perplexity", "lr", "tokens_per_s"):
        logged = [row[name] for row in rows if name in row]
        assert [event.value for event in events.Scalars(name)] == pytest.approx(logged)
    assert events.Tags()["tensors"], "the sample answers"


def test_overfits_one_batch(chat_data, tmp_path):
    few = tmp_path / "few"
    shutil.copytree(chat_data, few)
    lines = (few / "train_tokenized.jsonl").read_text().splitlines()[:8]
    (few / "train_tokenized.jsonl").write_text("\n".join(lines) + "\n")
    manifest = json.loads((few / "manifest.json").read_text())
    manifest["sha256"]["train_tokenized.jsonl"] = hashlib.sha256(
        (few / "train_tokenized.jsonl").read_bytes()
    ).hexdigest()
    (few / "manifest.json").write_text(json.dumps(manifest))
    call(train.main, *small_run(few, tmp_path / "run", "--max_steps", 150))
    assert metrics(tmp_path / "run", "loss")[-1] < 0.01


@pytest.mark.parametrize(
    "usual, next_one, said", [(2.0, 3.1, True), (2.0, 2.9, False), (0.02, 0.05, False), (0.02, 0.6, True)]
)
def test_a_loss_spike_is_said(usual, next_one, said, tmp_path, capsys):
    watch = train.Watch(Accelerator(cpu=True), tmp_path, settings())
    rows = train.rows_in_memory(uneven_documents(), 64, True)
    for step, loss in enumerate([usual] * 20 + [next_one]):
        assert watch.saw_good_step(step, loss, 1.0, rows, [0])
    assert ("loss spike at step 20" in capsys.readouterr().out) == said


@pytest.mark.parametrize(
    "fastest, begun, chosen", [("bf16", None, "bf16"), ("fp32", None, "fp32"), ("bf16", "fp32", "fp32")]
)
def test_the_precision_of_a_run_is_measured_once(tmp_path, monkeypatch, fastest, begun, chosen):
    """A CPU could measure otherwise after a stop, and the run would go on with other mathematics."""
    rates = {"bf16": {torch.bfloat16: 2.0, torch.float32: 1.0}, "fp32": {torch.bfloat16: 0.5, torch.float32: 1.0}}
    monkeypatch.setattr(train, "matmul_peak", lambda device, dtype, **_: rates[fastest][dtype])
    if begun:
        (tmp_path / "metrics.jsonl").write_text(json.dumps({"run": {}, "arguments": {"precision": begun}}) + "\n")
    args = train.build_parser().parse_args(["--model_dir", str(tmp_path), "--cpu"])
    assert train.choose_precision(args) == chosen


def test_first_ten_losses_are_pinned(chat_data, tmp_path):
    call(train.main, *small_run(chat_data, tmp_path / "run", "--max_steps", 10, "--log_every", 1))
    pinned = [6.0375, 5.5347, 5.2760, 5.0176, 4.8758, 4.8130, 4.7230, 4.5835, 4.5226, 4.4803]
    assert metrics(tmp_path / "run", "loss") == pytest.approx(pinned, rel=2e-3)


def test_memory_prediction_follows_the_flags(chat_data, capsys, monkeypatch):
    monkeypatch.setattr(train, "dry_run", lambda *args: "")  # which would measure the steps of each

    def predicted(*flags) -> float:
        shape = ["--n_embd", 384, "--seq_len", 512, "--batch_size", 4, "--vram_gb", 16]
        call(train.main, *small_run(chat_data, "unused", *shape, "--dry_run", *flags))
        return float(re.search(r"= ([\d.]+) GiB predicted peak, fits 16 GiB", capsys.readouterr().out).group(1))

    base = predicted()
    weights = 4 * 3.9e6 / 2**30
    assert base > 4 * weights, "weights, gradients and two moments"
    assert predicted("--batch_size", 2) < base
    assert predicted("--grad_checkpointing", "on") < 0.9 * base
    assert predicted("--optim", "adamw8bit") < base


def test_plan_tells_the_epochs_and_warns_beyond_twenty(chat_data, tmp_path, capsys):
    argv = small_run(chat_data, tmp_path / "run", "--dry_run")
    call(train.main, *argv, "--max_steps", 10000)
    said = capsys.readouterr().out
    n_rows = int(re.search(r"in (\d+) rows of 64", said).group(1))
    assert f"10,000 steps = {10000 * 8 / n_rows:,.1f} epochs" in said
    assert "warning" in said
    call(train.main, *argv, "--epochs", 3)
    assert "warning" not in capsys.readouterr().out
    assert not (tmp_path / "run").exists(), "a dry run writes nothing"


@pytest.mark.parametrize(
    "cfg, parameters", [("small_test", 124_442_112), ("baseline_355m", 354_826_240), ("heavier_420m", 505_407_744)]
)
def test_parameter_counts_are_those_of_the_design(cfg, parameters):
    args = settings("--cfg", cfg)
    with torch.device("meta"):
        model = train.build_model(args, 50_260, "sdpa")
    assert train.count_parameters(model, 50_260) == parameters


@pytest.mark.parametrize("schedule", ["cosine", "linear", "wsd"])
def test_learning_rate_rises_falls_and_ends_at_its_floor(schedule):
    factors = [train.lr_factor((step + 1) / 100, 0.1, schedule, 0.1) for step in range(100)]
    assert factors[0] == pytest.approx(0.1) and max(factors) == pytest.approx(1.0) and factors[-1] == pytest.approx(0.1)
    assert factors[:10] == sorted(factors[:10]) and factors[9:] == sorted(factors[9:], reverse=True)
    assert (schedule == "wsd") == (factors[60] == 1.0)


def test_max_hours_ends_in_time_with_the_learning_rate_down(chat_data, tmp_path):
    began, command = time.perf_counter(), small_run(chat_data, tmp_path / "run", "--max_hours", 0.003, "--log_every", 1)
    call(train.main, *command)
    took = time.perf_counter() - began
    assert 0.003 * 3600 * 0.9 < took < 0.003 * 3600 * 1.1 + 4, "loading the data comes on top"
    rates = metrics(tmp_path / "run", "lr")
    # a step of a busy machine takes so long that the last one begins some way before the end
    assert 3e-4 <= rates[-1] < 1e-3 and max(rates) == pytest.approx(3e-3, rel=0.05)
    call(train.main, *command)
    assert metrics(tmp_path / "run", "lr") == rates, "what the hours ended is not trained on by the same command"


def test_patience_ends_the_run_and_the_best_model_is_kept(chat_data, tmp_path):
    folder = tmp_path / "run"
    flags = ["--lr", 0.5, "--max_steps", 1000, "--eval_every", 3, "--patience", 2]
    call(train.main, *small_run(chat_data, folder, *flags))
    evaluations = [row for row in metrics(folder) if "val_loss" in row]
    best = min(range(len(evaluations)), key=lambda i: evaluations[i]["val_loss"])
    assert len(evaluations) == best + 3
    saved = torch.load(train.snapshots(folder)[0] / "trainer_state.pt", weights_only=True)
    assert saved["state"]["best_step"] == evaluations[best]["step"]
    call(train.main, *small_run(chat_data, folder, *flags))
    assert metrics(folder, "val_loss") == [row["val_loss"] for row in evaluations], "nor by the same command once more"


@pytest.mark.parametrize("optim", ["adamw8bit", "muon"])
def test_other_optimizers_learn_and_resume_exactly(chat_data, tmp_path, optim):
    if optim == "adamw8bit" and metadata.version("bitsandbytes") < "0.50":
        pytest.skip("the 8-bit optimizers of older versions run on GPUs alone")
    flags = ["--optim", optim, "--max_steps", 12, "--save_every", 6]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for folder in (whole, cut):
        call(train.main, *small_run(chat_data, folder, *flags))
    shutil.rmtree(cut / "step-000012")
    call(train.main, *small_run(chat_data, cut, *flags))
    assert same_weights(whole, cut)
    losses = metrics(whole, "val_loss")
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch.optim.Muon came with torch 2.9")
@pytest.mark.parametrize("iterate_in, tolerance", [(torch.bfloat16, 1e-6), (torch.float32, 0.05)])
def test_muon_sees_q_k_and_v_one_by_one_and_steps_as_torchs_own(iterate_in, tolerance):
    """In bfloat16 nearly to the bit, in float32 up to the rounding of torch's bfloat16 (2.4 % seen after three steps)."""
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(32, 96))  # stored (in, out) with q, k, v side by side
    settings = {"lr": 0.1, "weight_decay": 0.1}
    ours = train.MatrixMuon([(weight, True, 3)], iterate_in, **settings)
    parts = [torch.nn.Parameter(weight.detach()[:, start : start + 32].T.clone()) for start in (0, 32, 64)]
    torchs = torch.optim.Muon(parts, **settings)
    for _ in range(3):
        before = weight.detach().clone()
        weight.grad = torch.randn(32, 96)
        for part, gradient in zip(parts, weight.grad.chunk(3, dim=1)):
            part.grad = gradient.T.clone()
        ours.step()
        torchs.step()
        expected = torch.cat([part.detach().T for part in parts], dim=1)
        assert (weight - expected).norm() <= tolerance * (expected - before).norm()


def test_llama_trains_and_loads(chat_data, tmp_path):
    folder = tmp_path / "run"
    call(train.main, *small_run(chat_data, folder, "--arch", "llama", "--max_steps", 30))
    losses = metrics(folder, "val_loss")
    assert losses[-1] < 0.8 * losses[0]
    assert AutoModelForCausalLM.from_pretrained(folder).config.model_type == "llama"


# --- a stop is not a loss -----------------------------------------------------------------------------------


def same_weights(one: Path, other: Path) -> bool:
    newest = train.snapshots(one)[0].name
    return all(
        (one / name).read_bytes() == (other / name).read_bytes()
        for name in (f"{newest}/model.safetensors", "model.safetensors")
    )


INTERRUPTED = ["--dropout", 0.1, "--max_steps", 60, "--eval_every", 7, "--save_every", 5]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_saves_and_the_same_command_goes_on(chat_data, tmp_path, capsys, monkeypatch, number):
    folder = tmp_path / "run"
    argv = small_run(chat_data, folder, *INTERRUPTED, "--max_steps", 15)
    steps = iter(range(1000))
    original = train.training_step

    def interrupt_at_step_9(*args, **kwargs):
        if next(steps) == 9:
            os.kill(os.getpid(), number)
        return original(*args, **kwargs)

    monkeypatch.setattr(train, "training_step", interrupt_at_step_9)
    call(train.main, *argv)
    said = capsys.readouterr().out
    assert "saved at step 10" in said and f"python train.py --data_dir {chat_data}" in said
    monkeypatch.setattr(train, "training_step", original)
    call(train.main, *argv)
    said = capsys.readouterr().out
    assert "step-000010" in said and "done: 15 steps" in said
    call(train.main, *argv)
    assert "done: 15 steps" in capsys.readouterr().out, "a finished run only says so"


def test_a_damaged_snapshot_is_passed_over(chat_data, tmp_path, capsys):
    argv = small_run(chat_data, tmp_path / "run", *INTERRUPTED, "--max_steps", 15)
    call(train.main, *argv)
    reference = (tmp_path / "run" / "step-000015" / "model.safetensors").read_bytes()
    capsys.readouterr()
    damaged = tmp_path / "run" / "step-000015" / "model.safetensors"
    damaged.write_bytes(reference[:-1] + bytes([reference[-1] ^ 1]))
    call(train.main, *argv)
    said = capsys.readouterr().out
    assert "step-000015 is damaged" in said and "from " + str(tmp_path / "run" / "step-000010") in said
    assert damaged.read_bytes() == reference


def test_a_full_disk_ends_the_run_with_one_line_and_loses_nothing(chat_data, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], capture_output=True, check=False
    ).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        argv = ["train.py", *small_run(chat_data, disk / "run", *INTERRUPTED, "--keep", 50)]
        done = run_script(*argv)
        assert done.returncode == 2, done.stdout + done.stderr
        assert len(done.stderr.strip().splitlines()) == 1 and "is full" in done.stderr
        AutoModelForCausalLM.from_pretrained(disk / "run")
        newest = train.snapshots(disk / "run")[0]
        assert train.verifies(newest) and not list((disk / "run").rglob("*.tmp"))
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        done = run_script(*argv)
        assert done.returncode == 0 and f"from {newest}" in done.stdout, done.stderr
    finally:
        subprocess.run(["umount", disk], check=True)


# --- guards -------------------------------------------------------------------------------------------------


def plant(monkeypatch, at_calls, disturb) -> None:
    """Disturb the loss of the given training micro-batches, counted from 0."""
    original, calls = train.NextTokenLoss.forward, iter(range(10**9))

    def forward(self, *args, **kwargs):
        loss = original(self, *args, **kwargs)
        return disturb(loss, kwargs) if self.training and next(calls) in at_calls else loss

    monkeypatch.setattr(train.NextTokenLoss, "forward", forward)


def test_a_step_that_is_not_finite_is_skipped_and_kept_for_a_look(chat_data, tmp_path, capsys, monkeypatch):
    plant(monkeypatch, {8}, lambda loss, _: loss * float("nan"))  # step 4 of two micro-batches
    folder = tmp_path / "run"
    call(train.main, *small_run(chat_data, folder, "--max_steps", 12))
    said = capsys.readouterr().out
    assert "step 4 skipped" in said and "1 steps skipped" in said
    kept = json.loads((folder / "bad-step-000004.json").read_text())
    assert kept["input_ids"] and all(isinstance(i, int) for i in kept["input_ids"][0])
    assert all(torch.isfinite(weight).all() for weight in load_file(folder / "model.safetensors").values())


def test_steps_that_stay_not_finite_end_the_run_with_advice(chat_data, tmp_path, capsys, monkeypatch):
    plant(monkeypatch, range(4, 1000), lambda loss, _: loss * float("inf"))
    with pytest.raises(SystemExit) as ended:
        call(train.main, *small_run(chat_data, tmp_path / "run", "--max_steps", 50))
    assert ended.value.code == 1
    assert "lower --lr" in capsys.readouterr().err


def test_out_of_memory_halves_the_micro_batch_and_changes_nothing_else(chat_data, tmp_path, capsys, monkeypatch):
    flags = ["--max_steps", 6, "--log_every", 1]
    call(train.main, *small_run(chat_data, tmp_path / "calm", *flags))

    def too_large(loss, batch):
        if len(batch["input_ids"]) > 2:
            raise torch.OutOfMemoryError("planted")
        return loss

    plant(monkeypatch, range(5, 10**6), too_large)
    call(train.main, *small_run(chat_data, tmp_path / "tight", *flags))
    assert "from here 2 rows x 4" in capsys.readouterr().out
    losses = [metrics(tmp_path / name, "loss") for name in ("calm", "tight")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)

    plant(monkeypatch, range(10**6), lambda loss, batch: too_large(loss, {"input_ids": [0] * 3}))
    message = mistake(capsys, train.main, small_run(chat_data, tmp_path / "hopeless", *flags))
    assert "--grad_checkpointing on" in message


# --- starting points ----------------------------------------------------------------------------------------


@pytest.fixture
def gpt2_folder(tmp_path, chat_data) -> Path:
    """A GPT-2 as it would come from the hub: the base vocabulary without role tokens, weights not at their start."""
    torch.manual_seed(1)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=397, n_positions=64, n_embd=64, n_layer=2, n_head=2))
    for parameter in model.parameters():
        parameter.data.mul_(3)
    model.save_pretrained(tmp_path / "gpt2")
    return tmp_path / "gpt2"


def test_role_tokens_hardly_change_the_perplexity_of_plain_text(tmp_path):
    """Three rows more among 8,000 dilute every probability by some 0.04 %; among GPT-2's 50,257 by less."""
    torch.manual_seed(1)
    before = GPT2LMHeadModel(GPT2Config(vocab_size=8000, n_positions=64, n_embd=64, n_layer=2, n_head=2)).eval()
    before.transformer.wte.weight.data.mul_(10)  # so that tokens are told apart
    before.save_pretrained(tmp_path / "gpt2")
    args = settings("--init_from", tmp_path / "gpt2", "--seq_len", 64)
    after = train.build_model(args, 8003, "sdpa").eval()
    ids = before.generate(torch.arange(32)[:, None], do_sample=True, max_new_tokens=40, pad_token_id=0)
    with torch.no_grad():
        loss = before(ids, labels=ids).loss.item()
        logits = after(ids).logits[:, :-1, :8003]
        ratio = math.exp(F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten()).item() - loss)
    assert loss < math.log(8000) - 0.1, "the text is not noise to this model"
    assert ratio == pytest.approx(1, abs=1e-3)


def test_training_goes_on_from_a_folder(chatbot, chat_data, tmp_path):
    argv = ["--data_dir", chat_data, "--model_dir", tmp_path / "run", "--init_from", chatbot, *BATCH, "--seq_len", 64]
    call(train.main, *argv, "--cpu", "--fp32", "--max_steps", 1)
    before = min(metrics(chatbot, "val_loss"))
    assert metrics(tmp_path / "run", "val_loss")[0] == pytest.approx(before, rel=1e-5)


# --- mistakes -----------------------------------------------------------------------------------------------


def test_each_mistake_ends_in_one_line(chat_data, chatbot, gpt2_folder, tmp_path, capsys):
    ours = small_run(chat_data, tmp_path / "run")
    mistakes = [
        ("prep_data.py", small_run(tmp_path / "none", tmp_path / "m")),
        ("--cfg", ["--model_dir", "m", "--cfg", "gigantic"]),
        ("--fp16", ["--model_dir", "m", "--bf16", "--fp16"]),
        ("CUDA", ["--data_dir", chat_data, "--model_dir", "m", "--fp16", "--cpu"]),
        ("--n_head", [*ours, "--n_head", 5]),
        ("--n_layer", [*ours, "--n_layer", 0]),
        ("64 positions", [*ours, "--init_from", gpt2_folder, "--seq_len", 128]),
        ("not a model folder", [*ours, "--init_from", tmp_path]),
        ("hub", [*ours, "--init_from", "gpt2-medium"]),
        ("--seq_len 64 -> 32", small_run(chat_data, chatbot, "--seq_len", 32)),
        ("did not train", small_run(chat_data, gpt2_folder)),
        ("snapshot", [*ours, "--resume", tmp_path / "nowhere"]),
    ]
    for says, argv in mistakes:
        assert says in mistake(capsys, train.main, argv)
    assert not (tmp_path / "run").exists()

    broken = tmp_path / "broken"
    shutil.copytree(chat_data, broken)
    lines = (broken / "train_tokenized.jsonl").read_text().splitlines()
    for bad in (
        '{"input_ids": [1, 2',
        '{"input_ids": [1]}',
        '{"input_ids": [99999], "labels": [1]}',
        "[]",
        '{"input_ids": [], "labels": []}',
    ):
        (broken / "train_tokenized.jsonl").write_text("\n".join([*lines[:2], bad, *lines[2:]]))
        assert "train_tokenized.jsonl:3:" in mistake(capsys, train.main, small_run(broken, tmp_path / "run"))
    (broken / "train_tokenized.jsonl").write_text('{"input_ids": [1, 2], "labels": [-100, -100]}\n')
    manifest = json.loads((broken / "manifest.json").read_text())
    manifest["sha256"]["train_tokenized.jsonl"] = train.sha256(broken / "train_tokenized.jsonl")
    (broken / "manifest.json").write_text(json.dumps(manifest))
    assert "supervised" in mistake(capsys, train.main, small_run(broken, tmp_path / "run"))
    (broken / "manifest.json").unlink()
    assert "not complete" in mistake(capsys, train.main, small_run(broken, tmp_path / "run"))
