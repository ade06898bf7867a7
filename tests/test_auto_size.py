"""`--cfg auto`: the hours and the speed of the machine decide the size, once, and every later start takes that size."""

from __future__ import annotations

import json
import re
import sys
import weakref

import pytest
import torch
from conftest import ROOT, call, metrics, mistake

import train

sys.path.insert(0, str(ROOT / "tests/benchmarks"))
import hours_table

AUTO = ["--cfg", "auto", "--seq_len", 64, "--fp32", "--cpu", "--max_hours", 0.01]


def a_run(data_dir, model_dir, *flags) -> list:
    return ["--data_dir", data_dir, "--model_dir", model_dir, *AUTO, *flags]


def test_made_up_speeds_give_the_table():
    shown = (ROOT / "tests/benchmarks/results/hours.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in shown if line.startswith("|")] == hours_table.table()


@pytest.mark.parametrize("hours", hours_table.HOURS)
def test_the_choice_is_the_best_of_what_the_hours_can_do(hours):
    sizes = hours_table.sizes(hours)
    best = min(sizes, key=lambda size: size["loss"])
    flops = hours * 3600 * hours_table.FLOPS_PER_S
    # where the law has its minimum with 6 FLOPs a weight and token and a size between sizes: Hoffmann et al., equation 4
    a, b, alpha, beta = 482.01, 2085.43, 0.3478, 0.3658
    optimum = (alpha * a / (beta * b)) ** (1 / (alpha + beta)) * (flops / 6) ** (beta / (alpha + beta))
    assert 0.75 < best["weights"] / optimum < 1.1, "attention costs besides, which makes the best a little smaller"
    flags, of_step = best["flags"], best["flags"]["batch_size"] * best["flags"]["grad_accum"] * 1024
    args = train.build_parser().parse_args(["--model_dir", "none", *map(str, hours_table.FLAGS)])
    vars(args).update({**flags, "precision": "bf16"})
    with torch.device("meta"):
        model = train.build_model(args, 50_260, "sdpa")
    assert train.count_parameters(model, 50_260) == pytest.approx(best["weights"], rel=1e-3)
    config = model.config
    per_token = (
        6 * sum(p.numel() for p in model.parameters()) + 12 * config.num_hidden_layers * config.hidden_size * 1024
    )
    assert best["tokens"] == pytest.approx(flops / per_token, rel=1e-3)
    assert 0.7 < of_step / (0.2920 * flops**0.3271) < 1.42, "the nearest power of two"
    assert flags["lr"] == pytest.approx(4e-3 * (768 / flags["n_embd"]) ** 0.5, rel=0.04), "that of Muon's embeddings"
    seconds_of_step = of_step / best["tokens"] * hours * 3600
    assert flags["save_every"] * seconds_of_step < 1900 + seconds_of_step, "what a power cut costs"
    assert train.predict_memory(config, args, 50_260, flags["batch_size"], False)["total"] < 16 * train.USABLE_VRAM


def test_less_memory_gives_smaller_micro_batches_and_then_smaller_models():
    args = train.build_parser().parse_args(["--model_dir", "none", "--cfg", "auto", "--max_hours", "168"])
    args.precision = "bf16"
    large, small, tiny = (train.sizes_for(args, 50_260, 3e13, 1024, gib) for gib in (24, 8, 2))
    assert {size["flags"]["lr"] for size in large} == {float(f"{0.3118 * (168 * 3600 * 3e13) ** -0.1250:.1e}")}, (
        "AdamW's"
    )
    wide, narrow = (next(s["flags"] for s in sizes if s["flags"]["n_layer"] == 16) for sizes in (large, small))
    assert wide["batch_size"] > narrow["batch_size"]
    assert wide["batch_size"] * wide["grad_accum"] == narrow["batch_size"] * narrow["grad_accum"]
    assert len(tiny) < len(small) <= len(large)


@pytest.mark.parametrize(
    "flags, rate",
    [
        ("--cfg tiny", 1e-3),
        ("--cfg tiny --optim muon", 4e-3 * 3**0.5),
        ("--cfg tiny --optim muon --n_embd 192", 8e-3),
        ("--cfg tiny --optim muon --init_from base", 5e-5),
    ],
)
def test_the_rate_beside_muon_goes_with_the_width(flags, rate):
    args = train.build_parser().parse_args(["--model_dir", "none", *flags.split()])
    assert train.default_lr(args) == pytest.approx(rate)


def test_a_run_takes_its_size_once(chat_data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(train, "sample_answers", lambda *args: [])
    monkeypatch.setattr(train, "draw_losses", lambda *args: None)
    run, speeds = tmp_path / "run", []
    # of the made-up speed, on a law that wants more than the smallest
    monkeypatch.setattr(train, "measure_speed", lambda *args: speeds.append(args[-1]) or 1e9)
    monkeypatch.setattr(train, "expected_loss", lambda n_weights, n_tokens: abs(n_weights - 1_500_000))
    call(train.main, *a_run(chat_data, run, "--max_steps", 2, "--log_every", 1))
    said = capsys.readouterr().out
    assert re.search(r"3 layers x 192 .*<- chosen", said) and "0.001 TFLOP/s, measured here" in said
    assert [flags["n_layer"] for flags in speeds] == [3], "the speed of the size that was chosen, and no other"
    begun = metrics(run)[0]
    assert json.loads((run / "config.json").read_text())["n_layer"] == 3
    assert begun["run"]["size"]["lr"] == begun["arguments"]["lr"] > 5e-3

    # another machine, another law; a power cut has taken the log, and the user wants another rate
    monkeypatch.setattr(train, "measure_speed", lambda *args: pytest.fail("nothing to find out"))
    monkeypatch.setattr(train, "expected_loss", lambda n_weights, n_tokens: n_weights)
    args = train.build_parser().parse_args(["--model_dir", str(run)])
    assert train.size_begun_with(args) == begun["run"]["size"]
    (run / "metrics.jsonl").write_text("gone\n")
    call(train.main, *a_run(chat_data, run, "--max_steps", 3, "--log_every", 1, "--lr", 1e-3))
    said = capsys.readouterr().out
    assert "auto       3 layers x 192, as this run began" in said and "resume     from" in said
    assert metrics(run, "lr")[-1] <= 1e-3 < begun["arguments"]["lr"] / 2

    size = begun["run"]["size"]
    line = mistake(capsys, train.main, ["--data_dir", chat_data, "--model_dir", run, *AUTO[2:], "--cfg", "tiny"])
    assert "holds a run that differs in model" in line
    same = [f"--{name}={size[name]}" for name in ("n_layer", "n_embd", "n_head", "batch_size", "grad_accum")]
    call(train.main, "--data_dir", chat_data, "--model_dir", run, *AUTO[2:], *same, "--max_steps", 4)
    assert "done: 4 steps" in capsys.readouterr().out, "the flags themselves do as well"


def test_the_speed_is_measured_on_a_cpu_too(chat_data, capsys, monkeypatch):
    models, build, alive = weakref.WeakSet(), train.build_model, []

    def watched(*args):
        alive.append(len(models))
        models.add(model := build(*args))
        return model

    monkeypatch.setattr(train, "build_model", watched)
    call(train.main, *a_run(chat_data, "unused", "--max_hours", 1e-4, "--optim", "muon", "--dry_run"))
    said = capsys.readouterr().out
    assert re.search(r"auto +[\d,]+ tokens in 0.0001 hours at [\d.e-]+ TFLOP/s, measured here", said)
    assert "2 layers x 128" in said and "<- chosen" in said
    assert alive == [0, 0], "no memory is left with a model that was tried"


def test_what_ran_out_of_memory_is_not_chosen(chat_data, capsys, monkeypatch):
    tried = []
    monkeypatch.setattr(train, "matmul_peak", lambda *args: 2e11)
    monkeypatch.setattr(train, "expected_loss", lambda n_weights, n_tokens: abs(n_weights - 1_500_000))
    monkeypatch.setattr(
        train, "measure_speed", lambda *args: None if tried.append(args[-1]) or args[-1]["batch_size"] > 2 else 1e11
    )
    call(train.main, *a_run(chat_data, "unused", "--dry_run", "--vram_gb", 16))
    said = capsys.readouterr().out
    (first, *_, last), size = tried, "3 layers x 192 .* {batch_size} rows x {grad_accum} .*<- chosen"
    assert last["batch_size"] <= 2 < first["batch_size"], "fewer rows at a time"
    assert last["batch_size"] * last["grad_accum"] == first["batch_size"] * first["grad_accum"], "of the same step"
    assert re.search(size.format(**last), said) and "out of GPU memory with" in said and "measured here" in said


def test_few_tokens_for_the_hours_are_named(chat_data, capsys, monkeypatch):
    monkeypatch.setattr(train, "measure_speed", lambda *args: 1e12)
    call(train.main, *a_run(chat_data, "unused", "--max_hours", 1, "--dry_run"))
    assert re.search(r"warning: the data has [\d,]+ tokens, which the run reads \d+ times", capsys.readouterr().out)


@pytest.mark.parametrize(
    "flags, says",
    [
        (["--cfg", "auto"], "add --max_hours"),
        ([*AUTO, "--n_layer", 4, "--batch_size", 2], "leave --n_layer and --batch_size out"),
        ([*AUTO, "--init_from", "gpt2-medium"], "leave --init_from out"),
        ([*AUTO, "--vram_gb", 0.1, "--seq_len", 10**6], "use a smaller --seq_len"),
    ],
)
def test_what_auto_cannot_do_is_one_line(chat_data, tmp_path, capsys, monkeypatch, flags, says):
    monkeypatch.setattr(train, "measure_speed", lambda *args: 1e9)
    assert says in mistake(capsys, train.main, ["--data_dir", chat_data, "--model_dir", tmp_path / "run", *flags])
    assert not (tmp_path / "run").exists()


def test_several_processes_are_one_line(chat_data, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "measures one process" in mistake(capsys, train.main, a_run(chat_data, tmp_path / "run"))


def test_a_run_of_a_given_size_is_not_gone_on_with(chatbot, chat_data, capsys):
    assert "holds a run whose size was given" in mistake(capsys, train.main, a_run(chat_data, chatbot))
