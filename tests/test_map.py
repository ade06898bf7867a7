"""The tutorial's map of the code names what is there: each script's sections, and the functions that a conversation passes."""

from __future__ import annotations

import ast
import json
import re

import pytest
from conftest import ROOT
from tutorial_page import RESULTS, TUTORIAL

SCRIPTS = ("prep_data.py", "train.py", "inference.py")
CHAPTER = TUTORIAL.read_text(encoding="utf-8").partition("### A map of the code\n")[2].partition("\n## ")[0]
SECTIONS, JOURNEY = CHAPTER.split("Here is one conversation")


def below(headline: str, text: str) -> list[str]:
    """The lines of an indented block that stand below its line `headline`."""
    block = re.search(rf"^    {re.escape(headline)}\n((?:     +.*\n)+)", text, re.MULTILINE)
    assert block, f"the map of the code has no line: {headline}"
    return [line[8:] for line in block[1].splitlines()]


def names_in(tree: ast.Module) -> set[str]:
    names = set()
    for node in tree.body:
        names.add(getattr(node, "name", None))
        names |= {f"{node.name}.{part.name}" for part in getattr(node, "body", []) if hasattr(part, "name")}
    return names


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_map_lists_the_sections(script):
    source = (ROOT / script).read_text(encoding="utf-8")
    sections = re.findall(r"^# -{105}\n# (\d+ .+)", source, re.MULTILINE)
    last = re.search(r"^Sections 1 to (\d+) are the lesson", source, re.MULTILINE)[1]
    assert below(f"{script}, sections 1 to {last} are the lesson", SECTIONS) == sections


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_name_on_the_way_is_there(script):
    known = names_in(ast.parse((ROOT / script).read_text(encoding="utf-8")))
    named = [line.split("  ")[0] for line in below(script, JOURNEY) if not line.startswith(" ")]
    assert named and not {name for names in named for name in names.split(", ")} - known


def test_the_ids_are_those_of_the_walk():
    walk = json.loads(RESULTS.read_text(encoding="utf-8"))["walk"]
    shown = next(entry["output"] for entry in walk if "train_tokenized.jsonl" in entry["command"])
    ids = [line.split()[0] for line in shown]
    encoded = next(line for line in below("prep_data.py", JOURNEY) if line.startswith("Encoder.encode"))
    assert encoded.split()[1:] == ids
