"""verify_gpu.py: its miniature runs, a claim that is false fails, and what it would run on a card is what the scripts take."""

from __future__ import annotations

import inspect
import json
import math
import shlex
import sys

import pytest
from conftest import ROOT, run_script

import inference
import train

SCRIPT = ROOT / "tests" / "benchmarks" / "verify_gpu.py"
sys.path.insert(0, str(SCRIPT.parent))
import verify_gpu  # noqa: E402

PLAN = """model      1 parameters (gpt2, 1 layers x 1), bf16, attention documents by bounds, on a card
memory     weights 1.00 + gradients 1.00 = 2.00 GiB predicted peak, fits 16 GiB, gradient checkpointing off
           fastest that fits: --batch_size 8 --grad_accum 4 (12.09 GiB)
speed      MFU is a share of 44.00 TFLOP/s, measured here with bf16 matrices; ready after 1.0 s
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
    for name, (expected, seen, verdict, seconds) in rows.items():
        assert expected and seconds.isdigit(), name
        assert (verdict == "holds" and seen) or verdict.startswith("not run: "), (name, verdict, seen)
    not_run = {name for name, (*_, verdict, _) in rows.items() if verdict != "holds"}
    assert not_run <= {
        "--arch qwen3",
        "--optim adamw8bit",
        "--use_flash_attn",
        "waits for the GPU",
        "beside TRL, packed",
    }
    assert len(list(out.glob("[0-9]*.log"))) >= len(rows) - len(not_run) - 1  # one claim looks at earlier runs only
    assert not [path for path in out.iterdir() if path.is_dir()], "the models and the made-up rows go in the end"
    text = (out / "verify_gpu.md").read_text(encoding="utf-8")
    assert "say nothing about a card" in text and f"torch {train.torch.__version__}" in text


def test_a_false_claim_ends_in_exit_code_1(tmp_path):
    """Impossible limits, and a claim that breaks while it is looked at."""
    planted = f"""
import dataclasses, sys
sys.path.insert(0, {str(SCRIPT.parent)!r})
import verify_gpu
claims = {{claim.name: claim for claim in verify_gpu.CLAIMS}}
impossible = dataclasses.replace(claims["kernel against mathematics"], in_miniature=0.0)
fast = dataclasses.replace(claims["MFU, eager"], in_miniature=2.0)
broken = dataclasses.replace(claims["chat"], name="broken", check=lambda bench, limit: 1 / 0)
verify_gpu.CLAIMS = [impossible, fast, broken, claims["waits for the GPU"]]
sys.exit(verify_gpu.main(["--out", {str(tmp_path / "out")!r}, "--miniature"]))
"""
    result = run_script("-c", planted)
    assert result.returncode == 1, result.stderr
    assert [verdict for *_, verdict, _ in table(tmp_path / "out").values()][:3] == ["FAILS"] * 3
    assert "ZeroDivisionError" in table(tmp_path / "out")["broken"][1]
    assert "3 of 4 claims fail: kernel against mathematics; MFU, eager; broken" in result.stdout


def test_time_that_ran_out_is_said(tmp_path):
    result = run_script(SCRIPT, "--out", tmp_path / "out", "--miniature", "--minutes", "0.01")
    assert result.returncode == 0, result.stderr
    assert {verdict for *_, verdict, _ in table(tmp_path / "out").values()} == {"not run: no time was left"}


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
        card = {"gib": 15.6, "name": "a card", "kernel": True, "archs": archs}
        super().__init__(folder, folder / "data", miniature=False, budget=1800.0, card=card)
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
        rows += [{"step": args.max_steps or 0, "loss": s["loss"], "tokens_per_s": tokens_per_s, "mfu": self.ends.get("mfu", 0.8)}
                 for s in seen]  # fmt: skip
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        found = {"exit_code": self.ends.get("exit_code", 0), "text": self.ends.get("text", PLAN)}
        if args.batch_size == 32 and self.ends.get("says", True):
            found["text"] += "out of GPU memory: from here 16 rows x 2, the same step again, the same mathematics\n"
        if resumed and self.ends.get("says", True):
            found["text"] += "resume     from step-000010\n"
        return found if options == {} else {**found, "steps": seen, "reserved_gib": 12.0}


def look_on_paper(tmp_path, **ends) -> tuple[OnPaper, dict[str, str]]:
    """All claims of the full form over runs that end so; the verdicts by name."""
    bench, verdicts = OnPaper(tmp_path, ends), {}
    for claim in verify_gpu.CLAIMS:
        verdicts[claim.name], seen = verify_gpu.look_at(bench, claim, tmp_path / "claim.log")
        print(verdicts[claim.name], claim.name, seen)
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
        ({"mfu": 0.7}, {"MFU, --compile"}),
        ({"mfu": math.nan}, {"MFU, eager", "MFU, --compile"}),
        ({"short": 7e3}, {"isolated packing"}),
        ({"gap": 0.03}, {"chat, --compile"}),
        ({"waits": 2}, {"waits for the GPU"}),
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
    assert failed - {"beside TRL, packed"} == failing  # TRL is not everywhere


def test_a_run_that_ends_badly_fails_every_claim_about_it(tmp_path):
    _, verdicts = look_on_paper(tmp_path, exit_code=1, text="Traceback\nValueError: no index")
    lives = {"kernel against mathematics", "refusals of the kernel"}
    assert {name for name, verdict in verdicts.items() if verdict == verify_gpu.HOLDS} == lives
    assert verdicts["the README's command"] == verify_gpu.FAILS and verdicts["chat"] == verify_gpu.NOT_RUN


def test_a_run_that_hangs_is_ended(tmp_path):
    bench = verify_gpu.Bench(tmp_path, tmp_path / "data", True, 4.0, {}, log=tmp_path / "claim.log")
    with pytest.raises(verify_gpu.Failed, match="still running after 1 s"):
        bench.command("train.py", ["--model_dir", "unused"])


def test_what_only_a_card_would_call_is_there():
    """attention_job asks for the kernel on a card alone, so the miniature would not notice another signature."""
    inspect.signature(train.find_flash_kernel).bind(False, config=None)
    inspect.signature(train.attention_by_bounds).bind(None, *"qkv", None, 1.0, bounds=())
