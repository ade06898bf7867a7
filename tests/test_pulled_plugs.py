"""Whatever ends prepare, train, score or chat at any instant, the same command once more ends as if nothing had been.

The commands run in forks of one interpreter that has imported what they need, so that the plug is pulled while they work.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import warm_python
from conftest import conversations, metrics, small_run, write_jsonl
from safetensors.torch import load_file

QUESTIONS = (
    "What is the capital of Kana?\nHow many letters has it?\n/save {disk}/talk.jsonl\nTell me the capital of Loan.\n"
)


class Scene:
    """The four commands on one disk, and what each leaves behind when nobody disturbs it."""

    def __init__(self, folder: Path, disk: Path, address: str, data: Path, chatbot: Path):
        self.folder, self.disk, self.address = folder, disk, address
        source = write_jsonl(folder / "source.jsonl", conversations() * 4)
        self.questions = folder / "questions.txt"
        self.questions.write_text(QUESTIONS.format(disk=disk))
        model = ["inference.py", "--model_dir", chatbot, "--dtype", "fp32"]
        saving = ["--dropout", 0.1, "--max_steps", 30, "--eval_every", 7, "--save_every", 5]
        self.commands = {
            "prepare": ["prep_data.py", "--dataset", source, "--train_tokenizer", 300, "--out_dir", disk / "data"],
            "train": ["train.py", *small_run(data, disk / "run", *saving)],
            "score": [*model, "--prompts_file", data / "val.jsonl", "--out", disk / "answers.jsonl"],
            "chat": [*model, "--seed", 1, "--system", "", "--max_new_tokens", 12],
        }
        self.undisturbed = {name: self.once_more(name) for name in self.commands}

    def start(self, name: str, out: int, terminal: int | None = None) -> warm_python.Command:
        with self.questions.open() as questions:
            streams = (questions.fileno() if terminal is None else terminal, out, out)
            return warm_python.Command(self.address, self.commands[name], streams, dict(os.environ))

    def once_more(self, name: str) -> tuple[float, dict]:
        """Run the command to its end; its seconds, and what is there afterwards."""
        began = time.monotonic()
        with tempfile.TemporaryFile("w+") as said:
            status = self.start(name, said.fileno()).wait()
            seconds = time.monotonic() - began
            said.seek(0)
            text = said.read()
        assert status == 0, f"{name}:\n{text}"
        left = getattr(self, f"left_by_{name}")(text)
        self.clear()
        return seconds, left

    def clear(self) -> None:
        for path in self.disk.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def left_by_prepare(self, said: str) -> dict:
        files = [path for path in (self.disk / "data").rglob("*") if path.is_file() and path.name != ".writer.lock"]
        return {str(path.relative_to(self.disk)): path.read_bytes() for path in files}

    def left_by_train(self, said: str) -> dict:
        untimed = {"tokens_per_s": 0, "mfu": 0}
        rows = [{**row, **untimed} for row in metrics(self.disk / "run")[1:]]
        names = ("model.safetensors", "step-000030/model.safetensors")
        weights = {name: (self.disk / "run" / name).read_bytes() for name in names}
        return {**weights, "metrics": rows, "card": (self.disk / "run/README.md").exists()}

    def left_by_score(self, said: str) -> dict:
        sheet = json.loads((self.disk / "answers.score.json").read_text(encoding="utf-8"))
        return {"answers": (self.disk / "answers.jsonl").read_bytes(), "scores": sheet["scores"]}

    def left_by_chat(self, said: str) -> dict:
        return {"said": said, "saved": (self.disk / "talk.jsonl").read_bytes()}


# What happens to a command ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def read_along(stream: int) -> Iterator[list[bytes]]:
    """Take what a command says, so that it never waits for that."""
    said: list[bytes] = []

    def read() -> None:
        with contextlib.suppress(OSError):  # of a terminal whose last program has gone
            while part := os.read(stream, 65536):
                said.append(part)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    yield said
    reader.join(10)


def pulled(number: signal.Signals):
    def happens(scene: Scene, name: str, seconds: float) -> str:
        outlet, inlet = os.pipe()
        process = scene.start(name, inlet)
        os.close(inlet)
        with read_along(outlet) as said:
            time.sleep(seconds)
            process.send_signal(number)
            process.wait()
        os.close(outlet)
        return b"".join(said).decode(errors="replace")

    return happens


def terminal_closed(scene: Scene, name: str, seconds: float) -> str:
    controller, terminal = pty.openpty()
    process = scene.start(name, terminal, None if name == "chat" else terminal)
    os.close(terminal)
    stop, said = time.monotonic() + seconds, b""
    os.set_blocking(controller, False)
    while time.monotonic() < stop:
        with contextlib.suppress(OSError):
            said += os.read(controller, 65536)
        time.sleep(0.01)
    os.close(controller)
    process.send_signal(signal.SIGHUP)  # the system sends it too, where the terminal is that of standard input
    process.wait()
    return said.decode(errors="replace")


def interrupted_behind_a_pipe(scene: Scene, name: str, seconds: float) -> str:
    outlet, inlet = os.pipe()
    process = scene.start(name, inlet)
    os.close(inlet)
    time.sleep(min(seconds, 0.5))  # a pipe holds what is said until then
    os.close(outlet)
    time.sleep(max(0, seconds - 0.5))
    process.send_signal(signal.SIGINT)
    process.wait()
    return ""


def disk_full(scene: Scene, name: str, seconds: float) -> str:
    """It fills while the command works, and somebody makes room afterwards."""
    outlet, inlet = os.pipe()
    process = scene.start(name, inlet)
    os.close(inlet)
    ballast = scene.disk / "ballast"
    with read_along(outlet) as said:
        time.sleep(seconds)
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(bytes(1 << 16)):
                pass
        status = process.wait()
    os.close(outlet)
    ballast.unlink()
    text = b"".join(said).decode(errors="replace")
    assert status in (0, 2) and (status == 0 or "error: " in text), (status, text)
    return text


HAPPENINGS = {
    "SIGKILL": pulled(signal.SIGKILL),
    "SIGTERM": pulled(signal.SIGTERM),
    "terminal closed": terminal_closed,
    "SIGINT behind a pipe": interrupted_behind_a_pipe,
    "disk full": disk_full,
}


@pytest.fixture
def disk(tmp_path) -> Iterator[tuple[Path, bool]]:
    """A folder, and whether it is a disk of its own that can be filled, for which one has to be root."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", folder]
    is_disk = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    yield folder, is_disk
    if is_disk:
        subprocess.run(["umount", "-l", folder], check=True)


def pull_plugs(scene: Scene, is_disk: bool, times: int, seed: int) -> None:
    rng, seen = random.Random(seed), Counter()
    happenings = [name for name in HAPPENINGS if is_disk or name != "disk full"]
    for number in range(times):
        name, happening = list(scene.commands)[number % 4], happenings[number % len(happenings)]
        duration, undisturbed = scene.undisturbed[name]
        for _ in range(rng.randint(1, 3) if name == "train" else 1):  # what was gone on with is ended as well
            said = HAPPENINGS[happening](scene, name, rng.uniform(0.02, 1.0) * duration)
            assert "Traceback" not in said, f"{name}, {happening}:\n{said}"
            if name == "train" and (scene.disk / "run/model.safetensors").exists():
                load_file(scene.disk / "run/model.safetensors")  # a whole one at any time
        if name == "chat" and (talk := scene.disk / "talk.jsonl").exists():  # a whole one, and nobody overwrites it
            assert talk.read_bytes() == undisturbed["saved"]
            talk.unlink()
        assert scene.once_more(name)[1] == undisturbed, f"{name} after {happening} (number {number})"
        seen[f"{name}, {happening}"] += 1
    print({name: f"{seconds:.1f} s" for name, (seconds, _) in scene.undisturbed.items()}, dict(seen))


def test_the_same_command_ends_as_if_nothing_had_been(warm, disk, tmp_path, chat_data, chatbot):
    pull_plugs(Scene(tmp_path, disk[0], warm, chat_data, chatbot), disk[1], times=10, seed=0)


@pytest.mark.slow
def test_two_hundred_plugs(warm, disk, tmp_path, chat_data, chatbot):
    pull_plugs(Scene(tmp_path, disk[0], warm, chat_data, chatbot), disk[1], times=200, seed=1)
