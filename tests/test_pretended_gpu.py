"""What a CUDA card would do with train.py and inference.py, as far as a CPU can tell.

The card is pretended (tools/pretended_gpu): tensors that say cuda:0, with their numbers on the CPU. Proven is
what depends on a tensor's device, type and shape: which way the program takes, that its operands meet on one device,
that flash kernel, scaler and optimizers take what they are given, that it goes on after out of memory and NaN, how many
graphs torch.compile captures, and how often the program waits for the card. Numbers are held against those of a run on
the CPU. Not proven is what depends on CUDA itself: its kernels and their rounding, speed, how much memory is in use and
how it fragments, and the code that torch.compile would generate.

All cases run in one process, since imports take longer than a case; each is a test of its own.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import platform
import shutil
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import HANG_S, metrics, read_jsonl, start_script, write_jsonl

pytestmark = [
    pytest.mark.skipif(not (shutil.which("g++") or shutil.which("c++")), reason="needs a C++ compiler"),
    pytest.mark.skipif(
        sys.platform != "linux" or platform.machine() != "x86_64", reason="compiles for Linux on x86-64"
    ),
]

PROGRAM = Path(__file__).parent / "tools" / "pretended_gpu" / "run_cases.py"
SMALL = (
    "--cfg tiny --n_layer 1 --n_embd 64 --n_head 2 --seq_len 64 --batch_size 4 --grad_accum 2 --lr 3e-3 "
    "--warmup_steps 0 --max_steps 3 --log_every 1"
)
TURING, AMPERE, ADA = (7, 5), (8, 0), (8, 9)
TORCH = tuple(map(int, version("torch").split(".")[:2]))
WITH_KERNEL = "documents by bounds" if TORCH >= (2, 10) else "sdpa"

# name: (flags, capability, what goes wrong), of runs of train.py on the card
TRAINING = {
    "bf16": ("", ADA, None),
    "fp16": ("--fp16", ADA, None),
    "fp32": ("--fp32", ADA, None),
    "Ampere": ("--compile", AMPERE, "no compiler"),
    "--vram_gb": ("--vram_gb 8", ADA, None),
    "Turing": ("", TURING, None),
    "Turing in fp32": ("--fp32", TURING, None),
    "llama": ("--arch llama", ADA, None),
    "llama in fp16": ("--arch llama --fp16", ADA, None),
    "muon": ("--optim muon", ADA, None),
    "heads of 12": ("--n_embd 60 --n_head 5", ADA, None),
    "documents in fp32": ("--fp32 --attn documents", ADA, None),
    "no packing": ("--no_packing", ADA, None),
    "torch 2.10": ("", ADA, "torch 2.10"),
    "torch 2.8": ("--use_flash_attn", ADA, "torch 2.8"),
    "compiled": ("--compile --eval_every 2", ADA, None),
    "dropout": ("--dropout 0.1", ADA, None),
    "dropout, checkpointing": ("--dropout 0.1 --grad_checkpointing on", ADA, None),
    "--cpu": ("--fp32 --cpu", ADA, None),
    "short in forward": ("--fp32", ADA, "forward"),
    "short in backward": ("--fp32", ADA, "backward"),
    "short in forward, fp16": ("--fp16", ADA, "forward"),
    "short in backward, fp16": ("--fp16", ADA, "backward"),
    "short in evaluation": ("--fp32", ADA, "evaluation"),
    "short for one row": ("", ADA, "every forward"),
    "short in optimizer": ("", ADA, "optimizer"),
    "short in optimizer, muon": ("--optim muon", ADA, "optimizer"),
    "short in optimizer, fp16": ("--fp16", ADA, "optimizer"),
    "NaN": ("", ADA, "nan"),
    "NaN, fp16": ("--fp16 --max_steps 4", ADA, "nan"),
    "dry run": ("--dry_run", ADA, None),
    "dry run, short": ("--dry_run", ADA, "forward"),
    "hours": ("--cfg auto --max_hours 0.01 --seq_len 64 --compile --dry_run", ADA, None),
    "hours, short": ("--cfg auto --max_hours 0.1 --seq_len 64 --dry_run", ADA, "forward"),
    "card, then CPU": ("--fp32 --max_steps 2", ADA, None),
    "CPU, then card": ("--fp32 --max_steps 4", ADA, None),
    "bf16, then fp16: first": ("--max_steps 2", ADA, None),
    "bf16, then fp16": ("--fp16 --max_steps 4", ADA, None),
}
ON_CPU = {  # name: flags, of the runs that those are held against
    "gpt2": "",
    "llama, on the CPU": "--arch llama",
    "muon, on the CPU": "--optim muon",
    "heads of 12, on the CPU": "--n_embd 60 --n_head 5",
    "no packing, on the CPU": "--no_packing",
    "CPU alone": "--max_steps 4",
}
SAMPLING = ("bf16", "fp16", "fp32", "Turing", "llama", "llama in fp16", "compiled")  # where samples are drawn besides
SHORT = "--max_new_tokens 8"  # so that both questions are in the context of 64 tokens
# name: (flags, capability), of questions on standard input to a trained chatbot on the card
ASKING = {
    "greedy": (f"{SHORT} --greedy --dtype fp32", ADA),
    "drawn": (f"{SHORT} --seed 1 --repetition_penalty 1.1 --dtype fp32", ADA),
    "in bf16": (f"{SHORT} --greedy", ADA),
    "on Turing": (f"{SHORT} --greedy", TURING),
    "compiled chat": (f"{SHORT} --greedy --dtype fp32 --compile", ADA),
    "prompt": (f"{SHORT} --prompt Hello --greedy --dtype fp32", ADA),
    "score sheet": (f"--prompts_file {{rows}} --out {{out}} {SHORT} --dtype fp32", ADA),
}
QUESTIONS = "What is the capital of Kana?\nHow many letters has it?\n"


class Runs:
    """All runs: those on the card, in a process of their own, and on the CPU those that they are held against."""

    def __init__(self, folder: Path, data: Path, chatbot: Path):
        self.folder, self.data, self.chatbot = folder, data, chatbot
        self.card: dict[str, SimpleNamespace] = {}  # how each ended: what run_cases.py answers
        self.said_by_cpu: dict[str, str] = {}
        self.rows = write_jsonl(folder / "rows.jsonl", read_jsonl(data / "val.jsonl")[:4])

    def model_dir(self, name: str) -> Path:
        return self.folder / name.removesuffix(": first")

    def losses(self, name: str, what: str = "loss") -> list[float]:
        return metrics(self.model_dir(name), what)

    def training(self, name: str, flags: str) -> list[str]:
        small = [] if "--cfg auto" in flags else SMALL.split()
        return [*small, *flags.split(), "--data_dir", str(self.data), "--model_dir", str(self.model_dir(name))]

    def asking(self, name: str, flags: str) -> list[str]:
        places = {"rows": self.rows, "out": self.folder / f"{name}.jsonl"}
        return ["--model_dir", str(self.chatbot), *(flag.format(**places) for flag in flags.split())]

    def train_on_cpu(self, name: str, flags: str) -> None:
        import train

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(train, "sample_answers", partial(train.sample_answers, max_new_tokens=3))
            self.said_by_cpu[name] = heard(train.main, self.training(name, f"--fp32 --cpu {flags}"))

    def ask_on_cpu(self, name: str, flags: str) -> None:
        import inference

        argv = self.asking(f"{name} on the CPU", flags.replace("--compile", ""))
        self.said_by_cpu[name] = heard(inference.main, [*argv, "--device", "cpu", "--dtype", "fp32"])

    def all_on_cpu(self) -> None:
        for name, flags in ON_CPU.items():
            self.train_on_cpu(name, flags)
        for name, (flags, _) in ASKING.items():
            self.ask_on_cpu(name, flags)

    @contextlib.contextmanager
    def all_on_card(self):
        """Start them; at the end, wait until they have ended."""
        every = [
            ("train", name, self.training(name, flags), sm, plant) for name, (flags, sm, plant) in TRAINING.items()
        ]
        every += [("inference", name, self.asking(name, flags), sm, None) for name, (flags, sm) in ASKING.items()]
        cases = [case for case in every if not why_left_out(case[1])]
        keys = ("script", "name", "argv", "capability", "plant")
        asked, answered = self.folder / "cases.json", self.folder / "ends.jsonl"
        given = [{**dict(zip(keys, case)), "stdin": QUESTIONS, "samples": case[1] in SAMPLING} for case in cases]
        asked.write_text(json.dumps(given))
        with answered.open("w") as answers, (self.folder / "said.txt").open("w") as said:
            process = start_script(PROGRAM, asked, stdout=answers, stderr=said)
            try:
                yield
                process.wait(HANG_S)
            finally:
                process.kill()
                process.wait()
        self.card = {end["name"]: SimpleNamespace(**end) for end in read_jsonl(answered)}


def heard(main, argv: list[str]) -> str:
    """What `main(argv)` prints, with the questions on standard input."""
    with contextlib.redirect_stdout(io.StringIO()) as out, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.StringIO(QUESTIONS))
        out.reconfigure = sys.stdin.reconfigure = lambda **kwargs: None  # what only real files have
        main(argv)
        return out.getvalue()


@pytest.fixture(scope="module")
def runs(chat_data, chatbot, tmp_path_factory) -> Runs:
    runs = Runs(tmp_path_factory.mktemp("pretended"), chat_data, chatbot)
    runs.train_on_cpu("CPU, then card", "--max_steps 2")
    shutil.copytree(runs.model_dir("CPU, then card"), runs.model_dir("CPU alone"))
    with runs.all_on_card():
        runs.all_on_cpu()  # on the other core
    runs.train_on_cpu("card, then CPU", "--max_steps 4")
    return runs


def why_left_out(name: str) -> str:
    """What this torch lacks for a case."""
    flags, *_, plant = TRAINING.get(name) or (*ASKING[name], None)
    compiles = "--compile" in flags and plant != "no compiler"
    return "its torch.compile leaves the pretended card alone" if compiles and TORCH < (2, 13) else ""


def ended(runs: Runs, name: str) -> SimpleNamespace:
    if why_left_out(name):
        pytest.skip(f"torch {version('torch')}: {why_left_out(name)}")
    assert name in runs.card, "the process has died:\n" + (runs.folder / "said.txt").read_text()[-2000:]
    return runs.card[name]


def trained(runs: Runs, name: str) -> SimpleNamespace:
    """How the run ended, which must be well."""
    end = ended(runs, name)
    assert end.code == 0, end.trace or end.err
    return end


@pytest.mark.parametrize(
    "name, on_cpu, tolerance",
    [
        ("bf16", "gpt2", 3e-3),
        ("fp16", "gpt2", 3e-3),
        ("fp32", "gpt2", 1e-4),
        ("Ampere", "gpt2", 3e-3),
        ("--vram_gb", "gpt2", 3e-3),
        ("Turing", "gpt2", 3e-3),
        ("Turing in fp32", "gpt2", 1e-4),
        ("llama", "llama, on the CPU", 3e-3),
        ("llama in fp16", "llama, on the CPU", 3e-3),
        ("muon", "muon, on the CPU", 1e-2),  # its iteration in bf16 is rough
        ("heads of 12", "heads of 12, on the CPU", 3e-3),
        ("documents in fp32", "gpt2", 1e-4),
        ("no packing", "no packing, on the CPU", 3e-3),
        ("torch 2.10", "gpt2", 3e-3),
        ("torch 2.8", "gpt2", 3e-3),
        ("short in evaluation", "gpt2", 1e-4),
        ("short in forward", "gpt2", 1e-4),
        ("short in backward", "gpt2", 1e-4),
        ("short in forward, fp16", "gpt2", 3e-3),
        ("short in backward, fp16", "gpt2", 3e-3),
    ],
)
def test_a_card_trains_as_the_cpu_does(runs, name, on_cpu, tolerance):
    trained(runs, name)
    for what in ("loss", "val_loss"):
        assert runs.losses(name, what) == pytest.approx(runs.losses(on_cpu, what), abs=tolerance)


@pytest.mark.parametrize(
    "name, model, why",
    [
        ("bf16", f"bf16, attention {WITH_KERNEL}", ""),
        ("Ampere", f"bf16, attention {WITH_KERNEL}", ""),
        ("fp16", f"fp16, attention {WITH_KERNEL}", ""),
        ("torch 2.10", f"bf16, attention {WITH_KERNEL}", ""),
        ("torch 2.8", "bf16, attention sdpa", "going on with sdpa"),
        ("Turing", "fp16, attention sdpa", "no flash kernel for a GPU before the RTX 30 series: going on with sdpa"),
        ("fp32", "fp32, attention sdpa", "no flash kernel for fp32: going on with sdpa"),
        ("documents in fp32", "fp32, attention documents by groups", "going on with documents by groups"),
        ("heads of 12", "bf16, attention sdpa", "heads of 12, no multiple of 8 up to 256: going on with sdpa"),
    ],
)
def test_the_way_that_the_card_allows_is_taken_and_said(runs, name, model, why):
    said = trained(runs, name).out
    (line,) = [line for line in said.splitlines() if line.startswith("model ")]
    assert model in line
    assert line.endswith("on Pretended GPU")
    assert why in said


@pytest.mark.parametrize("name", ["bf16", "fp16", "llama", "muon", "no packing", "dropout, checkpointing", "compiled"])
def test_a_step_waits_for_the_card_once(runs, name):
    assert [step["waits"] for step in trained(runs, name).steps] == [["tolist"]] * 3


def test_recomputed_dropout_is_the_same_dropout(runs):
    trained(runs, "dropout")
    trained(runs, "dropout, checkpointing")
    assert runs.losses("dropout, checkpointing") == pytest.approx(runs.losses("dropout"), abs=1e-4)
    assert runs.losses("dropout") != pytest.approx(runs.losses("bf16"), abs=1e-3)


def test_every_compiled_step_runs_a_graph(runs):
    """Evaluation and samples run before the first step and between steps; none of them may use up recompilations."""
    end = trained(runs, "compiled")
    assert end.graphs == [1], "one, captured in the first step, though batches differ in their documents"
    assert [step["runs"] for step in end.steps] == [2, 2, 2], "one for each micro-batch"
    assert runs.losses("compiled") == pytest.approx(runs.losses("bf16"), abs=1e-4)


def test_a_run_goes_on_without_a_compiler(runs):
    end = trained(runs, "Ampere")
    assert "--compile needs a C compiler (sudo apt install gcc): going on without" in end.out
    assert not end.graphs


def test_the_card_is_left_alone_when_asked_to(runs):
    end = trained(runs, "--cpu")
    assert end.operations == 0
    assert runs.losses("--cpu") == pytest.approx(runs.losses("gpt2"), abs=1e-5)


@pytest.mark.parametrize("phase", ["forward", "backward"])
@pytest.mark.parametrize("precision", ["", ", fp16"])
def test_a_batch_too_large_is_halved(runs, phase, precision):
    end = trained(runs, f"short in {phase}{precision}")
    assert end.out.count("out of GPU memory: from here 2 rows x 4") == 1
    assert len(end.steps) == 4, "the first one twice"


def test_a_batch_too_large_to_evaluate_is_halved(runs):
    end = trained(runs, "short in evaluation")
    assert end.out.count("out of GPU memory: from here 2 rows x 4") == 1
    assert len(end.steps) == 3


def test_memory_short_for_one_row_ends_with_advice(runs):
    end = ended(runs, "short for one row")
    assert (end.code, end.trace) == (2, "")
    assert [f"from here {n} rows" in end.out for n in (2, 1)] == [True, True]
    assert "out of GPU memory with 1 row(s) of 64 tokens: use --grad_checkpointing on" in end.err


@pytest.mark.parametrize("which", ["", ", muon", ", fp16"])
def test_memory_short_in_the_optimizer_ends_with_advice(runs, which):
    """Half of the weights may have moved, half of the moments are made: there is nothing to go on with."""
    end = ended(runs, f"short in optimizer{which}")
    assert (end.code, end.trace) == (2, "")
    (line,) = [line for line in end.err.splitlines() if "error" in line]
    assert "out of GPU memory" in line
    assert "--grad_checkpointing on" in line


def test_a_nan_is_skipped(runs):
    end = trained(runs, "NaN")
    losses = runs.losses("NaN")
    assert [math.isfinite(loss) for loss in losses] == [True, False, True]
    assert "step 1 skipped" in end.out


def test_a_nan_under_the_scaler_is_skipped(runs):
    end = trained(runs, "NaN, fp16")
    losses = runs.losses("NaN, fp16")
    assert [math.isfinite(loss) for loss in losses] == [True, False, True, True]
    assert losses[3] < losses[2] < losses[0]
    assert "1 steps skipped" in end.out


def test_a_dry_run_measures_a_step(runs):
    end = trained(runs, "dry run")
    assert "s a step here" in end.out
    assert len(end.steps) >= 2
    assert not runs.model_dir("dry run").exists()


def test_a_size_is_chosen_for_the_card(runs):
    end = trained(runs, "hours")
    assert "measured here" in end.out and "on Pretended GPU" in end.out
    chosen = next(line for line in end.out.splitlines() if line.endswith("<- chosen"))
    assert " rows x 1 " in chosen, "the card holds the step"
    assert end.graphs
    assert len(end.steps) == 5 * len(end.graphs), "compiled once for each size: two steps to warm up, three measured"


def test_a_size_that_the_card_does_not_hold_is_measured_again_with_less(runs):
    end = trained(runs, "hours, short")
    said = end.out.splitlines()
    (short,) = [i for i, line in enumerate(said) if line.startswith("out of GPU memory with ")]
    (measured,) = [i for i, line in enumerate(said) if "measured here" in line]
    assert short < measured and len(end.steps) > 4, "one that had no memory, and those of a measurement"


def test_a_dry_run_says_that_memory_is_short(runs):
    end = trained(runs, "dry run, short")
    assert "memory" in end.out.splitlines()[-1], end.out[-500:]
    assert not runs.model_dir("dry run, short").exists()


@pytest.mark.parametrize("name", ["card, then CPU", "CPU, then card"])
def test_a_run_moves_between_card_and_cpu(runs, name):
    trained(runs, name)
    assert runs.losses(name) == pytest.approx(runs.losses("CPU alone"), abs=1e-4)
    assert len(runs.losses(name)) == 4


def test_a_bf16_run_goes_on_in_fp16(runs):
    trained(runs, "bf16, then fp16: first")
    end = trained(runs, "bf16, then fp16")
    assert "resume     from" in end.out
    losses = runs.losses("bf16, then fp16")
    assert losses == pytest.approx(runs.losses("CPU alone"), abs=3e-3)


def test_samples_at_an_evaluation_are_those_of_the_cpu(runs):
    samples, on_cpu = (
        [line for line in said.splitlines() if " -> " in line]
        for said in (trained(runs, "fp32").out, runs.said_by_cpu["gpt2"])
    )
    assert len(samples) == 2, "a question, before the first step and after the last"
    assert samples == on_cpu[::3]  # of three held-out questions the card is asked the first


@pytest.mark.parametrize("name", ["greedy", "drawn", "in bf16", "on Turing", "compiled chat", "prompt"])
def test_the_chatbot_answers_as_on_the_cpu(runs, name):
    end = trained(runs, name)
    assert end.operations > 100
    assert end.out == runs.said_by_cpu[name]
    assert end.out.strip()


def test_the_chatbot_is_in_bf16_where_the_card_has_it(runs):
    assert trained(runs, "in bf16").dtypes == ["torch.bfloat16"]
    assert "torch.bfloat16" not in trained(runs, "on Turing").dtypes


def test_a_score_sheet_is_that_of_the_cpu(runs):
    trained(runs, "score sheet")
    rows, on_cpu = (read_jsonl(runs.folder / f"{name}.jsonl") for name in ("score sheet", "score sheet on the CPU"))
    assert [row["answer"] for row in rows] == [row["answer"] for row in on_cpu]
    assert [row["reference_nats"] for row in rows] == pytest.approx([row["reference_nats"] for row in on_cpu], rel=1e-3)
