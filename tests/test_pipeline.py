"""run_all.sh as a user runs it, on a cut-down copy of the project so that it trains for seconds."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import warm_python
from conftest import HANG_S, ROOT

SCRIPTS = ("prep_data.py", "train.py", "inference.py")


@pytest.fixture
def project(tmp_path) -> Path:
    """The project with a fortieth of the bundled conversations, seen once, and this environment in place of a fresh .venv."""
    folder = tmp_path / "project"
    (folder / "data" / "sample").mkdir(parents=True)
    for name in (*SCRIPTS, "run_all.sh", "requirements.txt"):
        shutil.copy2(ROOT / name, folder)
    script = (folder / "run_all.sh").read_text(encoding="utf-8")
    once, n_changes = re.subn(r"--epochs \d+\.\d+", "--epochs 1", script)
    assert n_changes == 1
    (folder / "run_all.sh").write_text(once, encoding="utf-8")
    for name, n in (("train", 600), ("val", 30), ("strangers", 30)):
        lines = (ROOT / "data" / "sample" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        (folder / "data" / "sample" / f"{name}.jsonl").write_text("".join(random.Random(0).sample(lines, n)))
    (folder / ".venv").mkdir()
    for part in ("bin", "lib", "pyvenv.cfg"):
        (folder / ".venv" / part).symlink_to(Path(sys.prefix) / part)
    stamp = subprocess.run(
        "cat requirements.txt | cksum | cut -d' ' -f1", shell=True, cwd=folder, capture_output=True, text=True
    )
    (folder / ".venv" / f"installed-{stamp.stdout.strip()}").touch()
    return folder


@pytest.fixture
def quick(project, warm) -> Path:
    """The same with a Python that is ready at once: ten starts of it take a minute on a slow machine."""
    programs = project / ".venv" / "bin"
    programs.unlink()
    programs.mkdir()
    (programs / "python").write_text(warm_python.client(warm, {name: [] for name in SCRIPTS}))
    (programs / "python").chmod(0o755)
    return project


def run_all(project: Path, *args: str, **kwargs) -> subprocess.CompletedProcess:
    kwargs = {
        "cwd": project,
        "stdin": subprocess.DEVNULL,
        "capture_output": True,
        "text": True,
        "timeout": HANG_S,
        **kwargs,
    }
    return subprocess.run(["./run_all.sh", *args], **kwargs)


def start_all(project: Path) -> subprocess.Popen:
    return subprocess.Popen(["./run_all.sh"], cwd=project, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)  # fmt: skip


def test_the_demo_from_data_to_answers_and_a_second_run_that_has_nothing_to_do(quick):
    project, first = quick, run_all(quick)
    assert first.returncode == 0, first.stdout + first.stderr
    scores = {
        name: json.loads((project / f"checkpoints/demo/answers-{name}.score.json").read_text())["scores"]
        for name in ("known", "val", "strangers")
    }
    said = first.stdout
    shown = re.search(r"exact match +([\d.]+)% on wordings from training, ([\d.]+)% on unseen", said)
    assert [float(x) for x in shown.groups()] == [
        round(100 * scores[name]["exact_match"]["value"], 1) for name in ("known", "val")
    ]
    answers = (project / "checkpoints/demo/answers-strangers.jsonl").read_text(encoding="utf-8").splitlines()
    right = {True: [], False: []}
    for answer in map(json.loads, answers):
        right[answer["reference"].startswith("I don't know")].append(answer["exact_match"])
    shown = re.search(r"([\d.]+)% of what it was taught answered, ([\d.]+)% of the rest admitted", said)
    assert [float(x) for x in shown.groups()] == [
        round(100 * sum(right[admits]) / len(right[admits]), 1) for admits in (False, True)
    ]
    assert re.search(r"validation perplexity +[\d,.]+ before, [\d.]+ after", said)
    assert re.search(r"stopped by itself +[\d.]+%, [\d.]+% and [\d.]+%", said)
    assert "User: Who are you?" in said and "how long it took" in said
    weights = (project / "checkpoints/demo/model.safetensors").read_bytes()

    second = run_all(project)
    assert second.returncode == 0, second.stderr
    assert "== test known" not in second.stdout and not re.search(r"^step  +\d+/", second.stdout, re.M)
    assert (project / "checkpoints/demo/model.safetensors").read_bytes() == weights


def test_a_stop_in_the_middle_is_gone_on_from(project):
    shutil.copy2(ROOT / "run_all.sh", project)  # an epoch would be over too soon
    process = start_all(project)
    for line in process.stdout:
        if line.startswith("step") and "/" in line:
            break
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C in a terminal does
    rest = process.communicate()[0]
    assert process.returncode == 130 and "run ./run_all.sh demo to go on" in rest and "saved at step" in rest
    again = start_all(project)
    said = "".join(itertools.takewhile(lambda line: "== test known" not in line, again.stdout))
    assert "resume     from checkpoints/demo/step-" in said and "done: " in said
    assert again.poll() is None, "it goes on to the score sheets, as the other test has seen"


def test_what_is_missing_is_said_in_one_line(project, tmp_path):
    def complaint(*args, **env) -> str:
        done = run_all(project, *args, env={**os.environ, **env})
        lines = done.stderr.strip().splitlines()
        assert done.returncode == 2 and len(lines) == 1, done.stdout + done.stderr
        return lines[0]

    assert "unknown mode" in complaint("everything")
    assert "CUDA GPU" in complaint("full", CUDA_VISIBLE_DEVICES="")
    assert "./run_all.sh week 0.2" in complaint("week", CUDA_VISIBLE_DEVICES="")
    begun = run_all(project, "week", "8", env={**os.environ, "WEEK_TEXT": "--dataset gone.jsonl"})
    assert begun.returncode == 2 and "gone.jsonl" in begun.stderr
    assert "== 8 hours: some 5.5088 to pretrain and 1.2713 to learn to chat" in begun.stdout
    assert "takes hours" in complaint("week", "eight") and "takes hours" in complaint("week", "0.0")

    shutil.rmtree(project / ".venv")
    assert "not installed" in complaint(PYTHON="python-of-nowhere")
    fakes = tmp_path / "fakes"
    fakes.mkdir()

    def fake(name: str, body: str) -> str:
        (fakes / name).write_text(f"#!/bin/sh\n{body}\n")
        (fakes / name).chmod(0o755)
        return str(fakes / name)

    old = fake("old", 'case "$1" in --version) echo Python 3.7.1 ;; *) exit 1 ;; esac')
    assert "Python 3.7.1 is too old" in complaint(PYTHON=old)
    bare = fake("bare", f'case "$2" in *ensurepip*) exit 1 ;; *) exec {sys.executable} "$@" ;; esac')
    assert "python3-venv" in complaint(PYTHON=bare)
    fake("df", "echo header; echo disk 1 1 1024 1 /")
    assert "make room" in complaint(PYTHON=sys.executable, PATH=f"{fakes}:{os.environ['PATH']}")
    (fakes / "df").unlink()
    nowhere = {
        "PIP_INDEX_URL": "http://127.0.0.1:9/",
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": "",
        "PIP_RETRIES": "0",
        "PIP_CONFIG_FILE": os.devnull,
    }
    assert "check the network" in complaint(PYTHON=sys.executable, **nowhere)
