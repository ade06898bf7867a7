"""The tutorial is true: its commands run, its outputs are what the commands print, its numbers were measured.

A text fence without a mark is output of the bash fence before it. It is compared twice: word for word with what the
command printed when the tutorial was walked (tools/walk_tutorial.py; `...` stands for lines left out), and with digits
masked with what it prints here, with fewer steps and a smaller model. The marks: tools/tutorial_page.py.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import warm_python
from conftest import HANG_S, ROOT
from loopback_hub import hub, tutorial_repositories
from tutorial_page import (
    README,
    RESULTS,
    TUTORIAL,
    check_commands,
    check_flags,
    check_links,
    check_numbers,
    check_outputs,
    check_tables,
    complaints,
    in_order,
    mask,
    measured,
    named,
    read_fences,
)
from walk_tutorial import updated

CUTS = {  # appended to a script's arguments: the last one given counts
    "train.py": ["--max_steps", "2", "--batch_size", "1", "--n_layer", "2", "--n_embd", "64", "--n_head", "2"],
    "inference.py": ["--max_new_tokens", "4"],
    "prep_data.py": [],
}


@pytest.fixture(scope="module")
def page() -> str:
    return TUTORIAL.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def results() -> dict:
    return json.loads(RESULTS.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Iterator[Callable[[str], subprocess.CompletedProcess]]:
    """Runs a command as the reader would: in a copy of the project, with `.venv` and a hub that is at hand."""
    folder = tmp_path_factory.mktemp("reader") / "project"
    shutil.copytree(ROOT / "data/sample", folder / "data/sample")
    for name in ("prep_data.py", "train.py", "inference.py", "run_all.sh", "requirements.txt"):
        shutil.copy2(ROOT / name, folder)
    for name, n_rows in (("train", 600), ("val", 60)):  # of which a fifth is enough to make a tokenizer of 2,048
        path = folder / "data" / "sample" / f"{name}.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(lines[:: len(lines) // n_rows]), encoding="utf-8")
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    address = tmp_path_factory.mktemp("warm") / "socket"
    (programs / "python").write_text(warm_python.client(str(address), CUTS))
    (programs / "python").chmod(0o755)
    (programs / "activate").write_text(f"export PATH={shlex.quote(str(programs))}:$PATH\n")
    stamp = subprocess.run("cat requirements.txt | cksum | cut -d' ' -f1", shell=True, cwd=folder, capture_output=True)
    (folder / ".venv" / f"installed-{stamp.stdout.decode().strip()}").touch()

    with hub(tutorial_repositories(), tmp_path_factory.mktemp("cache")) as hub_environment:
        # one thread is fastest for models this small, and OpenMP reads that when the warm interpreter starts
        environment = {**os.environ, **hub_environment, "NO_PROXY": "*", "no_proxy": "*", "NO_COLOR": "1",
                       "OMP_NUM_THREADS": "1",
                       "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"}  # fmt: skip
        with warm_python.served(address, environment):
            yield lambda command: subprocess.run(
                ["bash", "-euo", "pipefail", "-c", command], cwd=folder, env=environment, timeout=HANG_S,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip


def test_the_page_is_true(page, results):
    assert not complaints(page, results)


FALSE = [  # (what is true, what is not, the check that must see it, what it says)
    ("(docs/loss.png)", "(docs/lost.png)", check_links, "there is no docs/lost.png"),
    ("(#four-recipes)", "(#five-recipes)", check_links, "no section #five-recipes"),
    ("| `--patience` | none |", "| `--patent` | none |", check_flags, "train.py has no --patent"),
    ("| `--patience` | none |", "| `--seed` | `1337` |", check_flags, "train.py: --patience is not explained"),
    (
        "| `--val_fraction` | `0.02` |",
        "| `--val_fraction` | `0.2` |",
        check_flags,
        "the default of --val_fraction is `0.02`",
    ),
    ("`--patience 5`", "`--patient 5`", check_flags, "no script has --patient"),
    ("--epochs 3 --use_flash_attn", "--epochs 3 --flash_attn", check_commands, "unrecognized arguments: --flash_attn"),
    ("--cfg heavier_420m", "--cfg heavier_505m", check_commands, "invalid choice: 'heavier_505m'"),
    ("--num_processes 2 train.py", "--num_processes two train.py", check_commands, "accelerate launch"),
    ("train.py --data_dir data --model_dir checkpoints/two", "train.py --data data", check_commands, "--model_dir"),
    ("./run_all.sh\n```", "./run_all.sh everything\n```", check_commands, "no mode everything"),
    ("echo /help |", "echo /help |&|", check_commands, "syntax error"),
    (re.compile(r"\d+ s(?=<!--demo_train_s-->)"), "9 s", check_numbers, ": 9 is "),
    ("<!--demo_train_s-->", "", check_numbers, "s is neither measured"),
    ("<!--demo_train_s-->", "<!--demo_nights-->", check_numbers, "nobody measured demo_nights"),
    ("354,826,240<!--=", "354,826,241<!--=", check_numbers, "354,826,241 is 354,826,240"),
    ("≈ 59 to 77 hours<!--~", "59 to 77 hours<!--~", check_numbers, "has the sign ≈"),
    ("≈ 59 to 77 hours<!--~", "≈ 59 to 78 hours<!--~", check_numbers, "78 is 77.1"),
    (re.compile(r"(?m)^(step +10/\d+ \| loss) [\d.]+"), r"\1 9.8765", check_outputs, "did not print: step      10/"),
    ("The longest river in Europe is the Volga", "It is the Yangtze", check_outputs, "not what was recorded"),
    ("n_learned = rows.", "n_graded = rows.", check_outputs, "train.py does not say this"),
    ("./run_all.sh\n```", "./run_all.sh demo\n```", check_outputs, "this command was not walked"),
    (
        "| TRL `SFTTrainer`, packed | 1",
        "| TRL `SFTTrainer`, packed | 2",
        check_tables,
        "this row is not in tests/bench",
    ),
]


@pytest.mark.parametrize(("true", "false", "check", "says"), FALSE, ids=[case[3] for case in FALSE])
def test_what_is_false_is_seen(page, results, true, false, check, says):
    pattern = re.compile(re.escape(true)) if isinstance(true, str) else true
    changed, n_changes = pattern.subn(false if isinstance(true, re.Pattern) else lambda _: false, page)
    assert n_changes
    arguments = (results,) if check in (check_numbers, check_outputs) else ()
    assert any(says in complaint for complaint in check(changed, *arguments))


def test_a_number_that_was_not_printed_is_seen(page, results):
    number = results["numbers"]["demo_train_s"]
    numbers = {**results["numbers"], "demo_train_s": {**number, "value": "9"}}
    found = list(check_numbers(page, {**results, "numbers": numbers}))
    assert any(f"demo_train_s is 9, but {number['value']} in walk: ./run_all.sh" in complaint for complaint in found)


def test_the_page_follows_a_new_walk(page, results):
    walk = json.loads(json.dumps(results["walk"]).replace(results["numbers"]["demo_train_s"]["value"], "9"))
    numbers = {name: dict(entry) for name, entry in results["numbers"].items()}
    for entry in numbers.values():
        entry["value"] = measured(entry, {**results, "walk": walk}) or entry["value"]
    other = {**results, "walk": walk, "numbers": numbers}
    assert [*check_outputs(page, other)] and [*check_numbers(page, other)]
    assert not [*check_outputs(updated(page, other), other), *check_numbers(updated(page, other), other)]


def test_outputs_differ_in_digits_only():
    shown = ["step      10/259 | loss 5.2744 | 2,898 tok/s | eta 5.8 min", "...", "done"]
    printed = ["step       2/2 | loss 7.1 | 12,000 tok/s | eta 1.0 h", "and more", "done"]
    assert in_order(shown, printed, mask) is None
    assert in_order(shown, printed, str) == shown[0]
    assert in_order(["done", *shown], printed, mask) == shown[0]  # the order counts
    assert in_order(["step 10/259 | train loss 5.2744"], printed, mask)


def test_the_readme_is_true(results):
    readme = README.read_text(encoding="utf-8")
    of_the_page = [complaint for complaint in check_numbers(readme, results) if complaint.startswith("line")]
    assert not [*check_links(readme), *check_commands(readme), *of_the_page]


def test_every_command_runs_and_prints_what_is_shown(page, reader):
    assert reader("python train.py --no_such_flag").returncode == 2  # exit codes come through
    said: dict[str, list[str]] = {}
    for fence in read_fences(page):
        if fence.kind == "bash" and fence.mark in ("", "takes hours"):
            began = time.monotonic()
            done, command = reader(fence.text), fence.text
            said[command] = [re.sub(r".*\r", "", line) for line in done.stdout.splitlines()]
            print(f"{time.monotonic() - began:.1f} s: {fence.text}", end="")
            assert done.returncode == 0, f"tutorial.md, line {fence.line}:\n{fence.text}\n{done.stdout}"
        elif fence.kind == "text" and (not fence.mark or named(fence, said)):
            printed = said[named(fence, said) or command]
            wrong = in_order(fence.text.splitlines(), printed, mask)
            assert wrong is None, f"tutorial.md, line {fence.line}: not printed: {wrong}\n\n" + "\n".join(printed)
