"""Walk the tutorial: run every unmarked command in full, as a reader does, in a fresh clone, and record time and output.

    python tests/tools/walk_tutorial.py FOLDER                       what is not recorded yet
    python tests/tools/walk_tutorial.py FOLDER COMMAND_NUMBER ...    these as well

Fills in tests/benchmarks/results/tutorial.json, then the outputs and the numbers on the pages that it finds changed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tutorial_page import NUMBER, README, RESULTS, ROOT, TUTORIAL, mask, measured, named, read_fences


def walk(folder: Path, only: set[int]) -> None:
    """Run the unmarked commands as a reader does, in a clone, and record time and output of each."""
    if not folder.exists():
        subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    environment = {**os.environ, "PATH": f"{folder}/.venv/bin:{os.environ['PATH']}", "NO_COLOR": "1"}
    environment.pop("HF_HUB_OFFLINE", None)  # conftest.py keeps the tests offline; a reader is not
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    commands = [fence for fence in read_fences(TUTORIAL.read_text(encoding="utf-8")) if fence.kind == "bash"]
    known = {entry["command"]: entry for entry in results["walk"]}
    walked = []
    for number, fence in enumerate(commands, 1):
        if fence.mark:
            continue
        entry = known.get(fence.text)
        if entry is None or number in only:
            print(f"== {number}\n{fence.text}", end="", flush=True)
            began = time.monotonic()
            with tempfile.TemporaryFile("w+") as said:
                process = subprocess.Popen(["bash", "-euo", "pipefail", "-c", fence.text], cwd=folder, env=environment,
                                           stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT)  # fmt: skip
                _, status, usage = os.wait4(process.pid, 0)
                said.seek(0)
                output = said.read()
            entry = {"command": fence.text, "seconds": round(time.monotonic() - began, 1)}
            entry["peak_mb"] = usage.ru_maxrss // 1024  # of the largest process
            # a progress line is what remains of it
            entry["output"] = [re.sub(r".*\r", "", line).rstrip() for line in output.splitlines()]
            print(output + f"-- {entry['seconds']} s", flush=True)
            if status:
                sys.exit(f"command {number} ended with wait status {status}")
        walked.append(entry)
        rest = [entry for entry in results["walk"] if entry["command"] not in {entry["command"] for entry in walked}]
        save({**results, "walk": walked + rest})
    results["walk"] = walked
    for entry in results["numbers"].values():
        entry["value"] = measured(entry, results) or entry["value"]
    save(results)
    for page in (TUTORIAL, README):
        page.write_text(updated(page.read_text(encoding="utf-8"), results), encoding="utf-8")


def save(results: dict) -> None:
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def updated(markdown: str, results: dict) -> str:
    """The page with what was recorded where it shows another run's digits; what differs in words stays, for a person."""
    walked, command = {entry["command"]: entry for entry in results["walk"]}, ""
    lines = markdown.splitlines(keepends=True)
    for fence in read_fences(markdown):
        if fence.kind == "bash":
            command = fence.text
        elif fence.kind == "text" and not fence.mark.startswith(("from ", "recorded: ")):
            output, place = walked.get(named(fence, walked) or command, {}).get("output", []), 0
            masked = [mask(line) for line in output]
            for number, line in enumerate(fence.text.splitlines(), fence.line - 1):
                with contextlib.suppress(ValueError):
                    place = masked.index(mask(line), place) if line.strip() not in ("", "...") else place
                    lines[number] = output[place].rstrip() + "\n" if line.strip() not in ("", "...") else lines[number]
                    place += line.strip() not in ("", "...")
    for name, entry in results["numbers"].items():
        lines = [re.sub(rf"{NUMBER}(?=[^\d<]*<!--{name}-->)", entry["value"], line) for line in lines]
    return "".join(lines)


if __name__ == "__main__":
    walk(Path(sys.argv[1]).resolve(), {int(number) for number in sys.argv[2:]})
