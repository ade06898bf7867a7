"""What the three scripts have in common is the same to the letter, since none imports another."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys

import pytest
from conftest import HANG_S, ROOT, mistake

SCRIPTS = ("prep_data", "train", "inference")
HOSTILE = "a\x1b[2J\x9b\u202e\udcff\r\n b"
SHOWN = r"a\x1b[2J\x9b\u202e\udcff b"


@pytest.fixture(params=SCRIPTS)
def script(request):
    return importlib.import_module(request.param)


def test_the_preamble_is_the_same_to_the_letter():
    found = []
    for name in SCRIPTS:
        _, begin, rest = (
            (ROOT / f"{name}.py").read_text(encoding="utf-8").partition("\n# From here on the same to the ")
        )
        preamble, end, _ = rest.partition('\n\nif __name__ == "__main__":\n')
        assert begin and end, name
        found.append(preamble)
    assert found[0] == found[1] == found[2]
    assert all(
        f"\n{part}" in found[0]
        for part in ("class Outlet:", "def visible(", "def quoted(", "def fail(", "def number(", "class OneLineParser(")
    )


@pytest.mark.parametrize("flag", ["--data", "--ou", "--model", "--syste", "--nonsense", HOSTILE])
def test_a_flag_that_is_not_there_is_one_harmless_line(script, flag, capsys):
    required = {"prep_data": ["--dataset", "x"]}.get(script.__name__, ["--model_dir", "x"])
    line = mistake(capsys, script.main, [*required, flag, "y"])
    shown = SHOWN if flag == HOSTILE else flag
    start, end = f"{script.__name__}.py: error: ", f"; see python {script.__name__}.py --help"
    assert line == f"{start}unrecognized arguments: {shown} y{end}"


def test_an_escape_sequence_in_a_value_arrives_harmless(script, tmp_path, capsys):
    folder = tmp_path / HOSTILE.replace("\r\n ", " ")
    argv = {
        "prep_data": ["--dataset", f"{folder}/rows.jsonl", "--out_dir", tmp_path / "out"],
        "train": ["--data_dir", folder, "--model_dir", tmp_path / "model", "--cpu", "--fp32"],
        "inference": ["--model_dir", folder, "--prompt", "Hi"],
    }
    line = mistake(capsys, script.main, argv[script.__name__])
    assert line.startswith(f"{script.__name__}.py: error: ") and f"{tmp_path}/{SHOWN}" in line


def test_the_exit_code_can_be_another(script, capsys):
    with pytest.raises(SystemExit) as ended:
        script.fail("two\n lines", code=3)
    assert (ended.value.code, capsys.readouterr().err) == (3, f"{script.__name__}.py: error: two lines\n")


def test_the_help_shows_each_default_once(script):
    parser = script.build_parser()
    texts = {action.option_strings[-1]: parser._get_formatter()._expand_help(action) for action in parser._actions[1:]}
    for action in parser._actions[1:]:
        flag = action.option_strings[-1]
        if action.default is None or action.default is False:
            assert "%(default)" not in action.help, flag
        else:
            assert texts[flag].count("default") == 1 and texts[flag].endswith(f"(default: {action.default})"), flag


def test_the_lesson_comes_first_and_main_ends_it(script):
    source = (ROOT / f"{script.__name__}.py").read_text(encoding="utf-8")
    sections = [int(number) for number in re.findall(r"^# -{105}\n# (\d+) ", source, re.MULTILINE)]
    assert sections == list(range(1, len(sections) + 1))
    lesson = re.search(r"^Sections 1 to (\d+) are the lesson", script.__doc__, re.MULTILINE)
    assert lesson and "`main` ends it" in script.__doc__
    read_so_far = source[: source.index(f"\n# {int(lesson[1]) + 1} ")]
    last = ast.parse(read_so_far).body[-1]
    assert last.name == "main" and last.end_lineno - last.lineno < {"train": 80}.get(script.__name__, 60)


STREAMS = """
import os, sys
import {script}
{script}.guard_streams()
print("one \\u20ac", flush=True)
print("two", file=sys.stderr, flush=True)
open("{seen}", "w").write(f"{{type(sys.stdout.error).__name__}} {{type(sys.stderr.error).__name__}}")
{script}.fail("three \\u20ac")
"""


def gone_pipe() -> int:
    read, write = os.pipe()
    os.close(read)
    return write


def closed_terminal() -> int:
    controller, terminal = os.openpty()
    os.close(controller)
    return terminal


def full_disk() -> int:
    return os.open("/dev/full", os.O_WRONLY)


@pytest.mark.parametrize("outlet", [gone_pipe, closed_terminal, full_disk, None])
@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_stream_that_is_gone_is_no_reason_to_end(tmp_path, outlet, name):
    program = STREAMS.format(script="prep_data", seen=tmp_path / "seen")
    closed = {"stdout": ">&-", "stderr": "2>&-"}[name] if outlet is None else ""
    command = ["bash", "-c", f'exec "$@" {closed}', "bash", sys.executable, "-c", program]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **({name: outlet()} if outlet else {})}
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    process = subprocess.Popen(command, cwd=ROOT, text=True, env=environment, **streams)
    out, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 2
    assert [part == "NoneType" for part in (tmp_path / "seen").read_text().split(" ")].count(False) == bool(outlet)
    if name == "stderr":
        assert out == "one \\u20ac\n"
    else:
        assert err == "two\nprep_data.py: error: three \\u20ac\n"


@pytest.mark.parametrize("encoding", ["ascii:strict", "latin-1:strict", "utf-8:strict"])
def test_a_character_that_the_encoding_lacks_is_shown_as_an_escape(encoding):
    program = "import prep_data; prep_data.guard_streams(); print('\\u20ac \\ud800 \\u00e9'); prep_data.fail('\\u20ac')"
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding}
    )
    codec = encoding.partition(":")[0]
    assert result.stdout == "\u20ac \ud800 \u00e9\n".encode(codec, "backslashreplace")
    assert (result.returncode, result.stderr) == (2, "prep_data.py: error: \u20ac\n".encode(codec, "backslashreplace"))


def test_help_into_a_pipe_that_closes_ends_quietly():
    process = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' prep_data.py --help | head -1; echo ${{PIPESTATUS[0]}}"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert process.stdout.startswith("usage: ") and process.stdout.endswith("\n0\n") and process.stderr == ""


def numbers(script) -> list[str]:
    """Flags that take a number."""
    actions = script.build_parser()._actions
    return [action.dest for action in actions if action.dest in script.RANGES]


def test_every_number_has_a_range(script):
    parser, named = script.build_parser(), set(numbers(script))
    assert named == set(script.RANGES)
    for action in parser._actions:
        assert action.type not in (int, float), action.dest
        if isinstance(action.default, (int, float)) and not isinstance(action.default, bool):
            kind, low, high = script.RANGES[action.dest]
            assert isinstance(action.default, (kind, int)) and low <= action.default <= high


@pytest.mark.parametrize("bad", ["nan", "inf", "-inf", "", "x", "1e400", "9" * 320, "9" * 5000, "-1", "1.5.2", "0x10"])
def test_a_number_out_of_its_range_is_one_line(script, bad, capsys):
    required = {"prep_data": ["--dataset", "x"]}.get(script.__name__, ["--model_dir", "x"])
    for name in numbers(script):
        line = mistake(capsys, script.main, [*required, f"--{name}={bad}"])
        assert line.startswith(f"{script.__name__}.py: error: argument --{name}: {name} is a ") and len(line) < 250
        kind, low, high = script.RANGES[name]
        assert f"number from {low:,} to {high:,}, not " in line
        for beyond in (high + high / 2 if kind is float else high + 1, low - 1):
            assert "number from" in mistake(capsys, script.main, [*required, f"--{name}={beyond}"])
        if kind is int:
            assert "whole number" in mistake(capsys, script.main, [*required, f"--{name}={low + 0.5}"])


@pytest.mark.parametrize(
    "path", ["plain", "with space", "quo'te", "dollar $HOME", "-dash", "\u0645\u06cc\u200c\u062e", "\x1b[2J"]
)
def test_a_quoted_path_is_one_harmless_word(script, path):
    text = script.quoted(path)
    assert "\x1b" not in text
    if path != "\x1b[2J":
        assert subprocess.run(["bash", "-c", f"printf %s {text}"], capture_output=True, text=True).stdout == path


def test_a_long_line_keeps_what_is_wrong_and_what_mends_it(script, capsys):
    with pytest.raises(SystemExit):
        script.fail("begin " + "x" * 10**6 + " end")
    line = capsys.readouterr().err
    assert len(line) < 2000 and "begin x" in line and line.endswith("x end\n")
