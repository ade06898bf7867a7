"""The parts of `run_all.sh week`, which of them a call wants and what hours they get: the three scripts are played, so that a
week is over in a second. tests/benchmarks/rehearse_week.py runs the real ones."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from conftest import read_jsonl
from test_pipeline import project, run_all  # noqa: F401

# Takes the place of Python: notes the command, and does what the script would, as far as run_all.sh looks at it.
PLAYED = """#!{python} -SE
import json, os, sys
from pathlib import Path
argv = sys.argv[1:]
if argv[0] == "-W":  # is there a GPU?
    sys.exit(1)
if not argv[0].endswith(".py"):
    os.execv({python!r}, [{python!r}, *argv])
with open("commands.jsonl", "a") as log:
    log.write(json.dumps(argv) + "\\n")
value = dict(zip(argv, argv[1:]))
folder = Path(value.get("--out_dir") or value["--model_dir"])
if os.environ.get("STOP_AT") in (str(folder), folder.name):
    sys.exit("stopped")
if argv[0] == "prep_data.py":
    folder.mkdir(parents=True)
    for name in ("manifest.json", "val.jsonl"):
        (folder / name).write_text("a line\\n")
elif "--dry_run" in argv:
    print("auto       36,000,000 tokens in", value["--max_hours"], "hours")
elif argv[0] == "train.py":
    folder.mkdir(parents=True)
    size = {{"batch_size": 4, "grad_accum": 8}}
    first = {{"run": {{"size": size}}, "arguments": {{"max_hours": float(value["--max_hours"]), "seed": 1337}}}}
    rows = [first, *({{"step": step, "tokens_per_s": 100.0 * step}} for step in (9, 10, 30)), {{"finished": True}}]
    if folder.name == os.environ.get("CUT_OFF"):
        rows.pop()
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\\n" for row in rows))
    (folder / "model.safetensors").write_text("")
elif "--prompts_file" in value:
    (folder / f"answers-{{Path(value['--prompts_file']).stem}}.score.json").write_text("")
else:
    print("I am played.\\n" * 3, end="")
"""


@pytest.fixture
def played(project) -> Path:  # noqa: F811
    programs = project / ".venv" / "bin"
    programs.unlink()
    programs.mkdir()
    (programs / "python").write_text(PLAYED.format(python=sys.executable))
    (programs / "python").chmod(0o755)
    return project


def week(folder: Path, hours: str = "8", code: int = 0, **environment) -> tuple[list[list[str]], str]:
    """(the commands of a call, without the chat's at its end; what it said)."""
    (folder / "commands.jsonl").unlink(missing_ok=True)
    done = run_all(folder, "week", hours, env={**os.environ, **environment})
    assert done.returncode == code, done.stdout + done.stderr
    commands = read_jsonl(folder / "commands.jsonl") if (folder / "commands.jsonl").exists() else []
    return commands[: len(commands) - (code == 0)], done.stdout + done.stderr


def parts(commands: list[list[str]]) -> list[str]:
    """What each command makes: the name of its folder; of a score, `score`."""
    names = []
    for argv in commands:
        value = dict(zip(argv, argv[1:]))
        folder = "score" if "--prompts_file" in value else Path(value.get("--out_dir") or value["--model_dir"]).name
        names.append(f"plan of {folder}" if "--dry_run" in argv else folder)
    return names


def test_each_part_is_made_once_also_where_the_language_has_decimal_commas(played, tmp_path):
    (tmp_path / "awk").write_text(
        f'#!/bin/sh\n[ "$LC_ALL" = C ] || {{ {shutil.which("awk")} "$@" | tr . ,; exit; }}\nexec {shutil.which("awk")} "$@"\n'
    )
    (tmp_path / "awk").chmod(0o755)
    commands, _ = week(played, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert parts(commands) == ["taste", "plan of week-8-base", "text", "week-8-base", "chat", "week-8", "score"]
    assert not [word for argv in commands for word in argv if "," in word]
    assert parts(week(played)[0]) == []


def test_a_week_keeps_the_data_that_it_began_with(played):
    text, chat = "--dataset mine.txt", "--dataset chats.jsonl --split train"
    commands, said = week(played, code=1, WEEK_TEXT=text, WEEK_CHAT=chat, STOP_AT="text")
    assert parts(commands)[-1] == "text"
    commands, _ = week(played)
    made = {name: " ".join(argv) for name, argv in zip(parts(commands), commands)}
    assert text in made["text"] and chat in made["chat"]
    assert parts(week(played, WEEK_TEXT=text)[0]) == [], "to repeat them is no mistake"
    for name in ("WEEK_TEXT", "WEEK_CHAT"):
        commands, said = week(played, code=2, **{name: "--dataset other.txt"})
        (line,) = [line for line in said.splitlines() if "error: " in line]
        assert not commands and name in line and "rm -r data/week-8 checkpoints/week-8-base" in line
    # where the text has gone, so has what it was: nobody is to think that the base has read another
    shutil.rmtree(played / "data/week-8")
    commands, said = week(played, code=2, WEEK_TEXT="--dataset other.txt")
    assert not commands and "what it read is gone; leave WEEK_TEXT out" in said


def test_nothing_is_made_again_for_what_is_trained(played):
    commands, _ = week(played, code=1, STOP_AT="checkpoints/week-8")
    chats = next(argv for argv in commands if argv[-1] == "data/week-8/chat")
    shutil.rmtree(played / "data/week-8")  # gigabytes of text
    again, _ = week(played, code=1, STOP_AT="checkpoints/week-8")
    assert parts(again) == ["chat", "week-8"]
    # as many conversations as before, since the base knows how fast it was; a second less for what the others took
    number = chats.index("--max_tokens") + 1
    assert int(again[0][number]) == pytest.approx(int(chats[number]), rel=0.1)
    assert parts(week(played)[0]) == ["week-8", "score"]
    shutil.rmtree(played / "data/week-8")
    shutil.rmtree(played / "checkpoints/week-8-base")
    assert parts(week(played)[0]) == []


def test_a_plan_that_is_gone_or_says_nothing_is_one_line(played):
    week(played, code=130, CUT_OFF="week-8-base")
    (played / "data/week-8/plan.txt").write_text("damaged\n")
    for mend in ("rm data/week-8/plan.txt", "rm -r checkpoints/week-8-base"):
        commands, said = week(played, code=2)
        (line,) = [line for line in said.splitlines() if "error: " in line]
        assert not commands and line.endswith(mend)
        (played / "data/week-8/plan.txt").unlink(missing_ok=True)


def hours_of(commands: list[list[str]], part: str) -> float:
    argv = commands[parts(commands).index(part)]
    return float(argv[argv.index("--max_hours") + 1])


@pytest.mark.parametrize("text_took, pretrain", [(3600, 5.35), (9 * 3600, 1.6)])
def test_training_gets_what_the_data_leave_of_the_hours(played, text_took, pretrain):
    week(played, code=1, STOP_AT="text")
    with (played / "data/week-8/seconds").open("a") as seconds:
        seconds.write(f"{text_took}\n")
    commands, said = week(played, code=130, CUT_OFF="week-8-base")
    assert hours_of(commands, "week-8-base") == pytest.approx(pretrain, abs=0.01)
    assert f"hours to pretrain, the data took {text_took // 3600}" in said
    # what has begun keeps its hours; what the day after takes for data is taken from what is not yet given
    with (played / "data/week-8/seconds").open("a") as seconds:
        seconds.write("360\n")
    log = played / "checkpoints/week-8-base/metrics.jsonl"
    log.write_text(log.read_text() + '{"finished": true}\n')
    commands, said = week(played)
    left = 8 - 0.42 - pretrain - text_took / 3600 - 0.1
    assert hours_of(commands, "week-8") == pytest.approx(max(left, pretrain / 8), abs=0.01)
