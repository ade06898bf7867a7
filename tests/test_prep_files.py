"""prep_data.py: from bytes on a disk or a hub to rows, and from rows to a folder that nobody else writes into."""

from __future__ import annotations

import datetime
import decimal
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import HANG_S, mistake, write_jsonl

import prep_data


def pairs(prefix: str, count: int) -> list[dict]:
    return [{"question": f"{prefix}{n}", "answer": f"answer {n}"} for n in range(count)]


# ----------------------------------------------------------------------------------------------------------- cells


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        (-0.5, "-0.5"),
        (10**30, "1" + "0" * 30),
        (True, "True"),
        (float("nan"), None),
        (None, None),
        ("nan", "nan"),
        (decimal.Decimal("1.50"), "1.50"),
        (decimal.Decimal("nan"), None),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        ("é".encode(), "é"),
        (b"\xff", "\udcff"),  # and with that its row is dropped as broken
        ([5], [5]),
    ],
)
def test_a_cell_is_text(value, text):
    assert prep_data.cell(value) == text


# ------------------------------------------------------------------------------------------- one writer per folder

HOLDER = "import pathlib, sys, prep_data\nwith prep_data.hold(pathlib.Path(sys.argv[1])):\n print('held', flush=True)\n input()"


def start_holder(folder: Path) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_writer_is_told_who_the_first_is(tmp_path, capsys):
    file, out = write_jsonl(tmp_path / "x.jsonl", pairs("q", 9)), tmp_path / "out"
    command = ["--dataset", str(file), "--out_dir", str(out), "--train_tokenizer", "260"]
    process = start_holder(out)
    line = mistake(capsys, prep_data.main, command)
    assert f"is being written by process {process.pid};" in line
    assert [path.name for path in out.iterdir()] == [".writer.lock"]
    process.send_signal(signal.SIGKILL)
    process.wait(HANG_S)
    assert (out / ".writer.lock").exists()  # and still it is free
    prep_data.main(command)
    assert (out / "manifest.json").exists() and not (out / ".writer.lock").exists()


def test_a_lock_goes_with_its_process_and_not_with_a_child(tmp_path, capsys):
    with prep_data.hold(tmp_path / "new"):
        child = os.fork()
        if not child:
            signal.pause()
    try:
        assert not (tmp_path / "new").exists()  # it was left empty
        process = start_holder(tmp_path / "new")
        with pytest.raises(SystemExit), prep_data.hold(tmp_path / "new"):
            pass
        assert f"process {process.pid};" in capsys.readouterr().err
        process.communicate("\n", HANG_S)
        assert not (tmp_path / "new").exists()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_file_system_without_locks_is_written_all_the_same(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.lockf", unsupported)
    with prep_data.hold(tmp_path):
        assert (tmp_path / ".writer.lock").read_text().strip() == str(os.getpid())
    assert not (tmp_path / ".writer.lock").exists()


def test_a_folder_that_cannot_be_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(SystemExit), prep_data.hold(folder):
            pass
        assert "choose a folder that can be written" in capsys.readouterr().err
