"""verify_gpu.py: its miniature runs, a claim that is false fails, and what it would run on a card is what the scripts take."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import os
import shlex
import shutil
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import ROOT, run_script, start_script

import inference
import train

SCRIPT = ROOT / "tests" / "benchmarks" / "verify_gpu.py"
sys.path.insert(0, str(SCRIPT.parent))
import verify_gpu  # noqa: E402

A_CPU = {"cuda": False, "name": "a CPU", "gib": 0.0}  # as survey_job finds it
PLAN = """model      1 parameters (gpt2, 1 layers x 1), bf16, attention documents by bounds, on a card
memory     weights 1.00 + gradients 1.00 = 2.00 GiB predicted peak, fits 16 GiB, gradient checkpointing off
           fastest that fits: --batch_size 8 --grad_accum 4 (12.09 GiB)
speed      MFU is a share of 44.00 TFLOP/s, measured here with bf16 matrices; ready after 1.0 s
           4 layers x 256, 8 rows x 1 <- chosen
time       0.5 s a step here, 1.0 h for 7,200
eval       0 | val loss 10.8700 | perplexity 52,575.23 | best so far | ln(vocabulary) 10.8249
step      20/20 | loss 10.5000 | lr 3.0e-06 | norm 4.03 | 542 ms | 9,000 tok/s | MFU 80% | 7.8 GiB | eta 0.0 min
"""


def table(out) -> dict[str, list[str]]:
    """The rows of verify_gpu.md by claim."""
    lines = (out / "verify_gpu.md").read_text(encoding="utf-8").splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    return {name: cells for name, *cells in rows[1:]}


def test_every_claim_has_a_verdict_in_miniature(tmp_path):
    out = tmp_path / "out"
    result = run_script(SCRIPT, "--out", out, "--miniature", timeout=1200)
    assert result.returncode == 0, result.stdout + result.stderr
    rows = table(out)
    assert list(rows) == [claim.name for claim in verify_gpu.CLAIMS]
    for name, (expected, seen, verdict, seconds, *log) in rows.items():
        assert expected and seconds.isdigit(), name
        assert all((out / file).is_file() for file in log) and len(log) >= (verdict == "holds"), name
        assert (verdict == "holds" and seen) or verdict.startswith("not run: "), (name, verdict, seen)
    not_run = {name for name, cells in rows.items() if cells[2] != "holds"}
    assert not_run <= {
        "--arch qwen3",
        "--optim adamw8bit",
        "--quantize int8",
        "--quantize nf4",
        "--use_flash_attn",
        "waits for the GPU",
        "beside TRL, packed",
    }
    assert len(list(out.glob("[0-9]*.log"))) >= len(rows) - len(not_run)
    assert not [path for path in out.iterdir() if path.is_dir()], "the models and the made-up rows go in the end"
    text = (out / "verify_gpu.md").read_text(encoding="utf-8")
    assert "say nothing about a card" in text and f"torch {train.torch.__version__}" in text


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "--out"),
        (["--out", "OUT", "--data_dir", "nowhere"], "python prep_data.py"),
        (["--out", "."], "not empty"),
        (["--out", "OUT", "--only", "the moon"], "the README's command"),
        (["--out", "OUT", "--minutes", "0"], "--minutes"),
    ],
)
def test_a_mistake_in_the_command_is_one_line(tmp_path, capsys, flags, said):
    with pytest.raises(SystemExit) as ended:
        verify_gpu.main([flag.replace("OUT", str(tmp_path / "out")) for flag in flags])
    error = capsys.readouterr().err.strip()
    assert ended.value.code == 2 and said in error and "\n" not in error


class OnPaper(verify_gpu.Bench):
    """A bench with a card of 16 GB whose runs are noted, not started, and end as `ends` says."""

    def __init__(self, folder, ends: dict):
        (archs,) = (action.choices for action in train.build_parser()._actions if action.dest == "arch")
        card = {"gib": 15.6, "free_gib": 15.1, "name": "a card", "kernel": True, "no_compile": None, "archs": archs}
        super().__init__(folder, folder / "data", miniature=False, budget=1800.0, card={**card, **ends.get("card", {})})
        (folder / "data").mkdir()
        (folder / "data" / "val.jsonl").write_text("{}\n" * 20)
        self.commands, self.ends = [], ends

    def command(self, script, argv):
        self.commands.append((script, argv))
        return self.report(argv, {})

    def job(self, function, patience=None, **arguments):
        if "argv" in arguments:
            script = "inference.py" if function is verify_gpu.chat_job else "train.py"
            self.commands.append((script, arguments["argv"]))
        if function is verify_gpu.attention_job:
            return {"errors": {"output": self.ends.get("error", 1e-3)}}
        if function is verify_gpu.trainer_job:
            return {"learned_per_s": self.ends.get("theirs", 10.0)}
        if "--prompts_file" in arguments.get("argv", ()):
            out = Path(arguments["argv"][arguments["argv"].index("--out") + 1])
            out.write_text("{}\n" * self.ends.get("answers", 16))
            perplexity = {"value": self.ends.get("perplexity", math.exp(10.87))}
            out.with_suffix(".score.json").write_text(json.dumps({"scores": {"perplexity": perplexity}}))
        if function is verify_gpu.chat_job:
            gap = self.ends.get("gap", 0.01) if "--compile" in arguments["argv"] else 0.02
            return {"exit_code": 0, "text": "", "answers": [[0.0, 0.1, 0.1 + gap, 0.1 + 2 * gap]] * 5}
        return self.report(arguments.get("argv", []), arguments)

    def report(self, argv, options):
        """What a healthy run of these flags says; `ends` makes it a sick one."""
        if "--model_dir" not in argv:
            return {"exit_code": 0, "text": ""}
        args = train.build_parser().parse_args(argv)
        resumed = "resume" in self.runs and args.model_dir.endswith("resume")
        first = (20 if args.max_steps == 24 else 10) if resumed else 0
        steps = range(first, options.get("stop_after") or args.max_steps or 0)
        loss = self.ends.get("loss", lambda step, argv: 10.5 - 0.1 * step)
        seen = [
            {"loss": loss(step, argv), "seconds": 1.0, "learned": 1000, "tokens": 2000, "waits": self.ends.get("waits", 1),
             "peak_gib": self.ends.get("peak_gib", 2.1)} for step in steps
        ]  # fmt: skip
        folder = self.out / "models" / args.model_dir.rpartition("/")[2]
        folder.mkdir(parents=True, exist_ok=True)
        tokens_per_s = self.ends.get("short", 9e3) if "short" in args.data_dir else 9e3
        rows = [{"step": 0, "val_loss": 10.87}]
        mfu = self.ends.get("mfu", lambda argv: 0.8)(argv)
        rows += [
            {"step": args.max_steps or 0, "loss": s["loss"], "tokens_per_s": tokens_per_s, "mfu": mfu} for s in seen
        ]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        found = {"exit_code": self.ends.get("exit_code", 0), "text": self.ends.get("text", PLAN)}
        if args.batch_size == 32 and self.ends.get("says", True):
            found["text"] += "out of GPU memory: from here 16 rows x 2, the same step again, the same mathematics\n"
        if "--dry_run" in argv and "timed" in self.ends:
            found["text"] = found["text"].replace("0.5 s a step here", self.ends["timed"])
        if resumed and self.ends.get("says", True):
            found["text"] += "resume     from step-000010\n"
        return found if options == {} else {**found, "steps": seen, "reserved_gib": self.ends.get("reserved_gib", 12.0)}


def look_on_paper(tmp_path, **ends) -> tuple[OnPaper, dict[str, str]]:
    """All claims of the full form over runs that end so; the verdicts by name, and what was seen in `bench.seen`."""
    bench, verdicts = OnPaper(tmp_path, ends), {}
    bench.seen = {}
    for claim in verify_gpu.CLAIMS:
        verdicts[claim.name], seen = verify_gpu.look_at(bench, claim, tmp_path / "claim.log")
        print(verdicts[claim.name], claim.name, seen)
        bench.seen[claim.name] = seen
        assert (
            verdicts[claim.name] != verify_gpu.NOT_RUN or ends or "not installed" in seen or "has no --arch" in seen
        ), seen
    return bench, verdicts


def test_the_scripts_take_every_command_of_the_full_form(tmp_path):
    bench, verdicts = look_on_paper(tmp_path)
    assert verify_gpu.FAILS not in verdicts.values(), verdicts
    parsers = {"train.py": train.build_parser(), "inference.py": inference.build_parser()}
    for script, argv in bench.commands:
        args = parsers[script].parse_args(argv)
        assert script != "train.py" or (args.seq_len >= 1024 and not args.cpu), argv
    command = "python train.py " + shlex.join(bench.commands[0][1])
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").replace("\\\n", " ").split())
    verbatim = command.partition(" --max_steps 20 ")[0]
    assert verbatim.startswith("python train.py --data_dir data --model_dir checkpoints/400m") and verbatim in readme
    shapes = [
        (train.build_parser().parse_args(argv).cfg, "on" in argv) for _, argv in bench.commands if "memory" in argv[-1]
    ]
    assert sorted(shapes) == sorted((cfg, on) for cfg in train.CONFIGS for on in (True, False))


@pytest.mark.parametrize(
    ("ends", "failing"),
    [
        ({"error": 0.5}, {"kernel against mathematics", "refusals of the kernel"}),
        ({"peak_gib": 2.3}, {f"memory of {cfg}, checkpointing {on}" for cfg in train.CONFIGS for on in ("on", "off")}),
        ({"mfu": lambda argv: 0.7}, {"MFU, --compile"}),
        ({"mfu": lambda argv: math.nan}, {"MFU, eager", "MFU, --compile"}),
        ({"mfu": lambda argv: 0.3, "text": PLAN.replace("44.00", "700.00")}, set()),
        (
            {"mfu": lambda argv: 0.3 - 0.1 * ("--compile" in argv), "text": PLAN.replace("44.00", "700.00")},
            {"MFU, --compile"},
        ),
        ({"short": 7e3}, {"isolated packing"}),
        ({"gap": 0.03}, {"chat, --compile"}),
        ({"waits": 2}, {"waits for the GPU"}),
        ({"waits": 0}, {"waits for the GPU"}),  # the count itself is broken
        ({"perplexity": math.exp(10)}, {"score sheet"}),
        ({"answers": 15}, {"score sheet"}),
        ({"timed": "out of GPU memory with --batch_size 2"}, {"dry run"}),
        ({"text": PLAN.replace(" <- chosen", "")}, {"plan of the week"}),
        ({"loss": lambda step, argv: 10.5 - 0.1 * step + ("24" in argv)}, {"bf16 snapshot, another precision"}),
        (
            {"reserved_gib": 15.5},
            {"--cfg heavier_420m --seq_len 1024 within 16 GiB", "--cfg baseline_355m --seq_len 2048 within 16 GiB"},
        ),
        ({"theirs": 1e6}, {"beside the HF Trainer"}),
        ({"loss": lambda step, argv: 10.5 - 0.1 * step + 0.1 * ("32" in argv)}, {"out of memory and back"}),
        ({"loss": lambda step, argv: 10.5 - 0.1 * step + 0.1 * ("--compile" in argv)}, {"compiled losses"}),
        ({"says": False}, {"out of memory and back", "stop and resume"}),
        ({"text": PLAN + "hit config.recompile_limit"}, {"MFU, eager", "MFU, --compile"}),
        (
            {"text": PLAN + "out of GPU memory: from here"},
            {"--cfg heavier_420m --seq_len 1024 within 16 GiB", "--cfg baseline_355m --seq_len 2048 within 16 GiB"},
        ),
        ({"text": PLAN.replace("10.8249", "5.5")}, {"the README's command"}),
        ({"text": PLAN.replace("attention documents by bounds", "attention sdpa")}, {"the README's command"}),
        ({"error": math.nan}, {"kernel against mathematics", "refusals of the kernel"}),
    ],
)
def test_a_sick_run_fails_its_claim(tmp_path, ends, failing):
    _, verdicts = look_on_paper(tmp_path, **ends)
    failed = {name for name, verdict in verdicts.items() if verdict == verify_gpu.FAILS}
    not_everywhere = {"beside TRL, packed", "--quantize int8", "--quantize nf4"}
    assert failed - not_everywhere == failing


@pytest.mark.parametrize(
    ("card", "not_run", "why"),
    [
        (
            {"no_compile": "a C compiler (sudo apt install gcc)"},
            {"MFU, --compile", "compiled losses", "steps of the week", "chat, --compile"},
            "--compile needs a C compiler (sudo apt install gcc)",
        ),
        ({"kernel": False}, {"MFU, eager", "MFU, --compile", "waits for the GPU", "isolated packing"}, "torch 2.10"),
        ({"free_gib": 6.0}, {"MFU, eager", "dry run"}, "6.0 are free, other programs and the driver hold 9.6"),
        ({"gib": 7.6, "free_gib": 7.0}, {"MFU, eager", "dry run"}, "needs 14 GiB, the card has 7.6"),
    ],
)
def test_what_a_machine_cannot_do_is_not_run_and_said(tmp_path, card, not_run, why):
    bench, verdicts = look_on_paper(tmp_path, card=card)
    assert not_run <= {name for name, verdict in verdicts.items() if verdict == verify_gpu.NOT_RUN}
    assert verify_gpu.FAILS not in verdicts.values()
    assert all(why in bench.seen[name] or "did not end" in bench.seen[name] for name in not_run)


def test_a_run_that_ends_badly_fails_every_claim_about_it(tmp_path):
    _, verdicts = look_on_paper(tmp_path, exit_code=1, text="Traceback\nValueError: no index")
    lives = {"kernel against mathematics", "refusals of the kernel"}
    assert {name for name, verdict in verdicts.items() if verdict == verify_gpu.HOLDS} == lives
    assert verdicts["the README's command"] == verify_gpu.FAILS and verdicts["chat"] == verify_gpu.NOT_RUN


def test_a_kernel_that_broke_has_refused_nothing(monkeypatch):
    """What follows an illegal address is a RuntimeError as well."""

    def ends_in(message: str):
        def attention(*args, **kwargs):
            raise RuntimeError(message)

        monkeypatch.setattr(train, "attention_by_groups", attention)

    ends_in("FlashAttention only supports Ampere GPUs or newer.")
    assert "Ampere" in verify_gpu.attention_job("cpu")["refused"]
    ends_in("CUDA error: an illegal memory access was encountered")
    with pytest.raises(RuntimeError, match="illegal"):
        verify_gpu.attention_job("cpu")


def test_an_answer_that_ends_by_itself_has_its_times(monkeypatch):
    """The chat takes no further token after <|endoftext|>, so that the generator is closed where it stands."""

    def generate(bot):
        bot.times = [0.0, 1.0]
        yield 0
        bot.times.append(2.0)
        yield 1

    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setattr(inference.Chatbot, "generate", generate)
    monkeypatch.setattr(inference, "main", lambda argv: next(inference.Chatbot.generate(SimpleNamespace())))
    assert verify_gpu.chat_job([], "cuda") == {"answers": [[0.0, 1.0]]}


@pytest.fixture
def in_process(monkeypatch):
    """A function that lets main find a card, and do without processes of its own; main adds to environment and path."""
    monkeypatch.setattr(sys, "path", [*sys.path])

    def found(card: dict, **environment: str) -> None:
        def job(bench, function, patience=None, **arguments):
            return card if function in (verify_gpu.survey_job, verify_gpu.data_job) else function(**arguments)

        monkeypatch.setattr(os, "environ", {**os.environ, **environment})
        monkeypatch.setattr(verify_gpu.Bench, "job", job)

    return found


def test_a_false_claim_ends_in_exit_code_1(tmp_path, capsys, monkeypatch, in_process):
    """An impossible limit, and a claim that breaks while it is looked at."""
    in_process(A_CPU)
    claims = {claim.name: claim for claim in verify_gpu.CLAIMS}
    impossible = dataclasses.replace(claims["kernel against mathematics"], in_miniature=0.0)
    broken = dataclasses.replace(claims["chat"], name="broken", check=lambda bench, limit: 1 / 0)
    monkeypatch.setattr(verify_gpu, "CLAIMS", [impossible, broken, claims["waits for the GPU"]])
    assert verify_gpu.main(["--out", str(tmp_path / "out"), "--miniature"]) == 1
    rows = table(tmp_path / "out")
    assert [cells[2] for cells in rows.values()] == ["FAILS", "FAILS", "not run: a CPU has nothing to wait for"]
    assert "ZeroDivisionError" in rows["broken"][1]
    assert "ZeroDivisionError" in (tmp_path / "out" / rows["broken"][4]).read_text()
    said = capsys.readouterr().out
    assert "2 of 3 claims fail: kernel against mathematics; broken" in said and rows["broken"][4] in said


def test_a_full_disk_is_one_line(tmp_path, capsys, monkeypatch, in_process):
    in_process({"cuda": True})
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=11e9))
    with pytest.raises(SystemExit) as ended:
        verify_gpu.main(["--out", str(tmp_path / "out")])
    assert ended.value.code == 2 and "need 12 GB of disk and 11.0 GB are free" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir()), "the same command will do, once there is room"


@pytest.mark.parametrize(
    ("visible", "first", "said"),
    [("2,3", "2", "there is no GPU: a miniature"), ("", "", "hides every GPU: a miniature")],
)
def test_one_card_is_looked_at(tmp_path, capsys, monkeypatch, in_process, visible, first, said):
    in_process(A_CPU, CUDA_VISIBLE_DEVICES=visible)
    monkeypatch.setattr(verify_gpu, "driver", lambda: "")
    assert verify_gpu.main(["--out", str(tmp_path / "out"), "--minutes", "1e-6"]) == 0
    assert os.environ["CUDA_VISIBLE_DEVICES"] == first
    assert said in capsys.readouterr().out
    assert {cells[2] for cells in table(tmp_path / "out").values()} == {"not run: no time was left"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_what_runs_on_the_card(tmp_path, number):
    planted = f"""
import multiprocessing.connection, os, sys
sys.path.insert(0, {str(SCRIPT.parent)!r})
import verify_gpu
os.environ["VERIFY_GPU_SPAWN"] = "1"  # a process that imports no torch
job, card = verify_gpu.Bench.job, {{"cuda": False, "name": "", "gib": 0.0}}
verify_gpu.Bench.job = lambda bench, function, **how: job(bench, function, **how) if "timeout" in how else card
start = multiprocessing.get_context("spawn").Process.start
def and_say(process):
    start(process)
    print(process.pid, flush=True)
multiprocessing.get_context("spawn").Process.start = and_say
hangs = lambda bench, limit: bench.job(multiprocessing.connection.wait, object_list=[], timeout=600)
verify_gpu.CLAIMS = [verify_gpu.Claim("hangs", "nothing", hangs, 0, 0)]
sys.exit(verify_gpu.main(["--out", {str(tmp_path / "out")!r}, "--miniature"]))
"""
    process = start_script("-c", planted)
    child = int(process.stdout.readline())
    process.send_signal(number)
    said, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (130, "") and said.startswith("stopped")
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_run_that_hangs_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(verify_gpu, "PATIENCE", 0)
    bench = verify_gpu.Bench(tmp_path, tmp_path / "data", True, 4.0, {}, log=tmp_path / "claim.log")
    with pytest.raises(verify_gpu.Failed, match="still running after 1 s"):
        bench.command("train.py", ["--model_dir", "unused"])


def test_what_only_a_card_would_call_is_there():
    """attention_job asks for the kernel on a card alone, so the miniature would not notice another signature."""
    inspect.signature(train.find_flash_kernel).bind(False, config=None)
    inspect.signature(train.attention_by_bounds).bind(None, *"qkv", None, 1.0, bounds=())
