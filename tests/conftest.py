"""What the tests share: made-up conversations, the data folder that prep_data.py makes of them, a trained chatbot."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test reaches out; those of the hub path set their own
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # before torch loads, as in train.py
os.environ.setdefault("OMP_NUM_THREADS", "1")  # fastest for models so small; the other core has tests of its own to run

HANG_S = 900  # seconds after which a process counts as hanging: no test may depend on how fast the machine is

# a model and a batch small enough that a run takes a second
SMALL = ["--cfg", "tiny", "--n_layer", "2", "--n_embd", "64", "--n_head", "2", "--seq_len", "64", "--fp32", "--cpu"]
BATCH = ["--batch_size", "4", "--grad_accum", "2", "--lr", "3e-3"]


def conversations() -> list[dict]:
    """Made-up countries with made-up capitals: 30 facts in four wordings, and two-turn conversations about them."""
    heads, tails = ("Ka", "Lo", "Mi", "Tu", "Re", "Va"), ("na", "rin", "dolia", "bel", "stan")
    rows = []
    for i, name in enumerate(head + tail for head in heads for tail in tails):
        capital = f"{tails[i % 5].title()}{heads[i * 7 % 6].lower()}burg"
        answer = f"The capital of {name} is {capital}."
        questions = (f"What is the capital of {name}?", f"capital of {name}", f"Tell me the capital of {name}.",
                     f"Which city is the capital of {name}?")  # fmt: skip
        turns = [[("user", question), ("assistant", answer)] for question in questions]
        if i % 3 == 0:
            turns.append(
                [
                    *turns[0],
                    ("user", "How many letters has it?"),
                    ("assistant", f"{capital} has {len(capital)} letters."),
                ]
            )
        rows += [{"system": "", "messages": [{"role": r, "content": c} for r, c in turn]} for turn in turns]
    return rows


def write_jsonl(path: Path, rows) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def read_jsonl(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def metrics(model_dir: Path, name: str | None = None) -> list:
    """The rows of a run's metrics.jsonl, or the values of one column."""
    rows = read_jsonl(model_dir / "metrics.jsonl")
    return [row[name] for row in rows if name in row] if name else rows


# How a test runs a script: `call` in this process, which is quick; `run_script` as a user does; `start_script` to
# disturb it while it runs. Arguments may be paths and numbers.


def call(main, *arguments) -> None:
    main([str(argument) for argument in arguments])


def run_script(*command, **kwargs) -> subprocess.CompletedProcess:
    kwargs = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": HANG_S, **kwargs}
    return subprocess.run([sys.executable, *map(str, command)], **kwargs)


def start_script(*command, **kwargs) -> subprocess.Popen:
    kwargs = {"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **kwargs}
    return subprocess.Popen([sys.executable, *map(str, command)], **kwargs)


def wait_until_it_loads(process: subprocess.Popen) -> None:
    """Until a script has got as far as its libraries: NumPy is among the first of them."""
    maps = Path(f"/proc/{process.pid}/maps")
    while process.poll() is None and "numpy" not in maps.read_text():
        time.sleep(0.01)


def small_run(data_dir: Path, model_dir: Path, *flags) -> list:
    """The arguments of a run of train.py that takes seconds."""
    return ["--data_dir", data_dir, "--model_dir", model_dir, *SMALL, *BATCH, *flags]


def settings(*flags):
    """The arguments as the functions of train.py take them, filled in as far as that needs no data folder."""
    import train

    args = train.build_parser().parse_args(["--model_dir", "unused", *map(str, flags)])
    args.precision, args.lr = "fp32" if args.fp32 else "bf16", args.lr or 1e-3
    return args


def once_for_all_workers(tmp_path_factory, name: str, make) -> Path:
    """A folder that `make(folder)` fills: each process that runs tests has its own copy, and the first one makes it."""
    own = tmp_path_factory.mktemp(name) / name
    if "PYTEST_XDIST_WORKER" not in os.environ:
        make(own)
        return own
    shared = tmp_path_factory.getbasetemp().parent / name
    with open(f"{shared}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.exists():
            make(own)
            shutil.copytree(own, f"{shared}.tmp")
            os.rename(f"{shared}.tmp", shared)
            return own
    return shutil.copytree(shared, own)


@pytest.fixture(scope="session")
def chat_data(tmp_path_factory) -> Path:
    """A complete data folder made by prep_data.py, with its own tokenizer of 400 tokens."""
    import prep_data

    folder = tmp_path_factory.mktemp("data")
    source = write_jsonl(folder / "source.jsonl", conversations())
    flags = ["--train_tokenizer", 400, "--val_fraction", 0.1, "--seq_len", 64]
    call(prep_data.main, "--dataset", source, "--out_dir", folder / "out", *flags)
    return folder / "out"


@pytest.fixture(scope="session")
def chatbot(tmp_path_factory, chat_data) -> Path:
    """A model folder that train.py wrote after a few seconds of training."""
    import train

    def make(folder: Path) -> None:
        with signals_kept():  # this runs before the fixture of the first test that wants it
            call(train.main, *small_run(chat_data, folder, "--epochs", 40))

    return once_for_all_workers(tmp_path_factory, "bot", make)


@pytest.fixture(scope="session")
def warm(tmp_path_factory) -> Iterator[str]:
    """Where an interpreter that has imported what our scripts need runs commands in forks of itself."""
    import warm_python

    with warm_python.served(tmp_path_factory.mktemp("warm") / "socket", dict(os.environ)) as address:
        yield address


@pytest.fixture(autouse=True)
def no_process_outlives_its_test(monkeypatch):
    """Each process that a test starts leads a group of its own, and the group ends with the test, however that ends."""
    started = []

    class LeaderOfItsGroup(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **{"start_new_session": True, **kwargs})
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", LeaderOfItsGroup)
    yield
    for process in started:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def signals_kept():
    """train.main installs signal handlers; left to others, they keep processes that are forked later from ending."""
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before):
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def signals_as_they_were():
    with signals_kept():
        # of a suite that nohup started, what a test starts would be deaf too
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        yield


def mistake(capsys, main, argv) -> str:
    """Run `main(argv)`, which must end in exit code 2 with one line; returns the line."""
    with pytest.raises(SystemExit) as ended:
        call(main, *argv)
    lines = capsys.readouterr().err.strip().splitlines()
    assert ended.value.code == 2
    assert len(lines) == 1, lines
    return lines[0]
