"""What the three scripts have in common is the same to the letter, since none imports another."""

from __future__ import annotations

import ast
import importlib
import re

import pytest
from conftest import ROOT, mistake

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
        f"\n{part}" in found[0] for part in ("def visible(", "def fail(", "class Formatter(", "class OneLineParser(")
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
