"""Choices that depend on a GPU, each by itself; test_pretended_gpu.py has whole runs on a pretended card."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import sysconfig
import types

import accelerate
import numpy as np
import pytest
import torch
import transformers
from conftest import SMALL, call, run_script, settings, write_jsonl

import inference
import train


def test_compiling_is_for_training():
    """Evaluation and samples come first and would use up what dynamo compiles of a function."""
    torch._dynamo.reset()
    graphs = []
    args = settings(*SMALL)
    model = train.build_model(args, 100, "sdpa")
    model.base_model.compile(backend=lambda graph, _: graphs.append(graph) or graph.forward)
    loss_module = train.NextTokenLoss(model, 100)
    rows = train.rows_in_memory([(np.arange(40), np.arange(40) > 0)] * 4, 64, packing=True)
    train.evaluate(accelerate.Accelerator(cpu=True), loss_module, rows, 2)
    assert not graphs
    loss_module.train()(**rows.micro_batch([0, 1], "cpu"))
    assert graphs


@pytest.mark.parametrize("script", [train, inference])
def test_compiling_needs_a_compiler(script, tmp_path, monkeypatch):
    """Without any of these torch.compile would end in a traceback after minutes."""
    arguments, packages = {train: (), inference: ("cuda",)}[script], {"triton"}
    (tmp_path / "Python.h").touch()
    compiler = tmp_path / "cc"
    compiler.touch(0o755)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (8, 9))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name in packages or None)
    monkeypatch.setattr(sysconfig, "get_paths", lambda scheme: {"include": str(tmp_path)})
    monkeypatch.setenv("CC", str(compiler))
    assert script.why_no_compile(*arguments) is None
    (tmp_path / "Python.h").unlink()
    assert script.why_no_compile(*arguments) == "the headers of Python (sudo apt install python3-dev)"
    monkeypatch.setenv("CC", str(tmp_path / "gone"))
    assert script.why_no_compile(*arguments) == "a C compiler (sudo apt install gcc)"
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert script.why_no_compile(*arguments) == "a C compiler (sudo apt install gcc)"
    compiler.rename(tmp_path / "clang")
    assert "Python" in script.why_no_compile(*arguments)
    packages.clear()
    assert script.why_no_compile(*arguments) == "the package triton (pip install triton)"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (6, 1))
    assert script.why_no_compile(*arguments) == "a GPU of compute capability 7.0 or more"


def test_the_chat_goes_on_without_a_compiler(chatbot, monkeypatch, capsys):
    monkeypatch.setenv("CXX", "no-such-compiler")
    bot = inference.Chatbot(str(chatbot), "cpu", "fp32", None, compile=True)
    assert bot.step is None
    assert "--compile needs a C++ compiler (sudo apt install g++): going on without" in capsys.readouterr().err


def choice(config=None, attn: str = "auto", flash_attn: bool = False):
    args = argparse.Namespace(attn=attn, precision="bf16", use_flash_attn=flash_attn)
    config = config or transformers.GPT2Config(n_embd=64, n_head=2)
    return train.choose_attention(args, config, torch.device("cuda"))


@pytest.fixture
def ampere(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (8, 0))
    kernels = types.ModuleType("torch.nn.attention.varlen")
    monkeypatch.setitem(sys.modules, kernels.__name__, kernels)
    return kernels


def test_the_kernel_of_torch_2_10_takes_no_scale(ampere):
    def varlen_attn(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, is_causal=False, return_aux=None):
        assert is_causal
        return query

    ampere.varlen_attn = varlen_attn
    name, kernel = choice()
    assert name == "documents_by_bounds" and kernel("q", "k", "v", "bounds", 64, 0.5) == "q"
    other_scale = transformers.GPT2Config(n_embd=64, n_head=2, scale_attn_by_inverse_layer_idx=True)
    assert choice(other_scale)[0] == "sdpa"


def test_the_attention_that_is_taken_is_the_one_that_is_said(ampere, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "flash_attn", None)  # not installed
    ampere.varlen_attn = lambda q, k, v, b, b2, n, n2, *, scale=None, window_size=(-1, -1): q
    assert choice(flash_attn=True)[0] == "documents_by_bounds"
    assert "sdpa" not in capsys.readouterr().out
    del ampere.varlen_attn  # torch below 2.10
    assert choice(flash_attn=True)[0] == "sdpa"
    assert "going on with sdpa" in capsys.readouterr().out
    assert choice(attn="documents") == ("documents_by_groups", None)


@pytest.mark.parametrize("attention", ["documents_by_groups", "documents_by_bounds"])
def test_heads_of_keys_and_values_may_be_shared(attention):
    config = transformers.LlamaConfig(
        vocab_size=128, hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2,
    )  # fmt: skip

    def causal(q, k, v, bounds, longest, scale):
        q, k, v = (x.transpose(0, 1) for x in (q, k, v))
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale).transpose(0, 1)

    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()
    ids, places = torch.arange(40)[None], torch.arange(40)[None]
    bounds = torch.tensor([0, 40], dtype=torch.int32)
    ours = train.NextTokenLoss(model, 128, causal).hidden_states(ids, places, bounds)
    model.set_attn_implementation("eager")
    torch.testing.assert_close(ours, model.base_model(ids).last_hidden_state, rtol=1e-4, atol=1e-5)


def test_embeddings_keep_moments_of_32_bits_with_old_bitsandbytes(monkeypatch):
    """Before 0.50 an override counts only for the parameters that are registered after it."""
    optim = pytest.importorskip("bitsandbytes").optim
    calls = []
    manager = optim.GlobalOptimManager.get_instance()
    monkeypatch.setattr(manager, "override_config", lambda *_: calls.append("override"))
    monkeypatch.setattr(manager, "register_parameters", lambda groups: calls.append("register"))
    monkeypatch.setattr(optim, "AdamW8bit", lambda groups, **settings: torch.optim.AdamW(groups, **settings))
    args = settings(*SMALL, "--optim", "adamw8bit")
    train.build_optimizers(train.build_model(args, 100, "sdpa"), args)
    assert calls[-1] == "register" and "override" in calls


def test_rows_on_a_card_are_of_one_width(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self)
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *_, **__: self)
    documents = [(torch.arange(n).numpy(), torch.ones(n, dtype=torch.bool).numpy()) for n in (30, 40)]
    assert train.rows_in_memory(documents, 64, packing=True).micro_batch([0], "cuda")["input_ids"].shape == (1, 64)
    assert train.rows_in_memory(documents, 64, packing=False).micro_batch([1], "cuda")["input_ids"].shape == (1, 40)


def test_a_gpu_that_torch_cannot_use_is_not_left_idle_in_silence(chat_data, tmp_path, capsys, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA GeForce RTX 4060 Ti (UUID: GPU-0)'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    command = ["--data_dir", chat_data, "--model_dir", tmp_path / "run", *SMALL[:-1], "--dry_run"]
    call(train.main, *command)
    assert "update the NVIDIA driver" in capsys.readouterr().out
    call(train.main, *command, "--cpu")
    assert "NVIDIA" not in capsys.readouterr().out


def test_local_files_need_no_datasets(tmp_path):
    """As where the package is not installed: neither importing it nor asking for its version may be needed."""
    rows = [{"messages": [{"role": "user", "content": f"q {i}"}, {"role": "assistant", "content": f"a {i}"}]}
            for i in range(40)]  # fmt: skip
    source = write_jsonl(tmp_path / "rows.jsonl", rows)
    program = """
import importlib.metadata, sys
real = importlib.metadata.version
def version(name):
    if name == "datasets": raise importlib.metadata.PackageNotFoundError(name)
    return real(name)
importlib.metadata.version, sys.modules["datasets"] = version, None
import prep_data
prep_data.main(sys.argv[1:])
"""
    done = run_script("-c", program, "--dataset", source, "--out_dir", tmp_path / "out", "--train_tokenizer", "300")
    assert done.returncode == 0, done.stderr


def test_a_new_conversation_keeps_the_static_cache(chatbot, monkeypatch):
    """A new one would have the step compiled again."""
    monkeypatch.setattr(torch, "compile", lambda forward, **_: forward)
    monkeypatch.setattr(inference, "why_no_compile", lambda device: None)
    bot = inference.Chatbot(str(chatbot), "cpu", "fp32", None, compile=True)
    settings = {"max_new_tokens": 8, "temperature": 0, "repetition_penalty": 1}
    prompts = [bot.ids("", [{"role": "user", "content": text}], add_generation_prompt=True) for text in ("Hi", "Kana?")]
    cache, generator = bot.cache, torch.Generator()
    first = list(bot.generate(prompts[0], settings, generator))
    bot.forget()
    list(bot.generate(prompts[1], settings, generator))
    bot.forget()
    assert list(bot.generate(prompts[0], settings, generator)) == first, "nothing is left of the conversation before"
    assert bot.cache is cache
