"""The rehearsal of `./run_all.sh week`: all its parts on a CPU, against a small hub on the loopback device, killed in between.

    python tests/benchmarks/rehearse_week.py                   # 0.2 hours and two kills: some 13 minutes
    python tests/benchmarks/rehearse_week.py --hours 0.05 --kills 0 --keep /tmp/week

Writes results/week.md: what each part took, whether the hours were kept, and what the chatbot says. The text is made up, and
the conversations are the bundled ones, so nothing here tells how good the recipe is: it tells that it runs, and ends in time.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import RESULTS, ROOT, stamp, write

sys.path.insert(0, str(ROOT / "tests"))
import json

from loopback_hub import alpaca_rows, gpt2_files, hub, parquet


def made_up_texts(count: int) -> list[dict]:
    """Pages of sentences from a small grammar, no two alike."""
    draw = random.Random(0)
    nouns = [
        "river",
        "market",
        "teacher",
        "engine",
        "garden",
        "planet",
        "letter",
        "window",
        "soldier",
        "island",
        "doctor",
        "forest",
    ]
    verbs = ["follows", "builds", "finds", "leaves", "watches", "needs", "remembers", "carries", "paints", "measures"]
    kinds = ["old", "small", "quiet", "heavy", "distant", "bright", "careful", "famous", "empty", "northern"]
    places = [
        "near the harbor",
        "in the evening",
        "before winter",
        "without a word",
        "for many years",
        "under the bridge",
    ]

    def sentence() -> str:
        a, b = draw.sample(nouns, 2)
        return f"The {draw.choice(kinds)} {a} {draw.choice(verbs)} the {draw.choice(kinds)} {b} {draw.choice(places)}."

    return [
        {"text": f"Page {number}. " + " ".join(sentence() for _ in range(draw.randint(5, 60)))}
        for number in range(count)
    ]


def repositories() -> dict[str, dict[str, bytes]]:
    """What the week asks the hub for, under the same names."""
    texts = made_up_texts(6000)
    lines = (ROOT / "data/sample/train.jsonl").read_text(encoding="utf-8").splitlines()[::4]
    chats = [{"messages": json.loads(line)["messages"], "source": "bundled"} for line in lines]
    words = [page["text"] for page in texts[:200]] + [m["content"] for row in chats[:500] for m in row["messages"]]
    return {
        "models/gpt2": gpt2_files(words, 1000),
        "datasets/HuggingFaceFW/fineweb-edu": {
            "README.md": b"---\nconfigs:\n- config_name: sample-10BT\n  data_files: sample/10BT/*\n---\n",
            "sample/10BT/000.parquet": parquet(texts),
        },
        "datasets/HuggingFaceTB/smol-smoltalk": {
            "data/train-00000-of-00001.parquet": parquet(chats[200:]),
            "data/test-00000-of-00001.parquet": parquet(chats[:200]),
        },
        "datasets/tatsu-lab/alpaca": {"data/train-00000-of-00001.parquet": parquet(alpaca_rows(600))},
    }


def project(folder: Path) -> Path:
    """A copy of the project with this environment in place of a fresh .venv."""
    for name in ("prep_data.py", "train.py", "inference.py", "run_all.sh", "requirements.txt"):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder)
    (folder / ".venv").mkdir(exist_ok=True)
    for part in ("bin", "lib", "pyvenv.cfg"):
        with contextlib.suppress(FileExistsError):
            (folder / ".venv" / part).symlink_to(Path(sys.prefix) / part)
    stamped = subprocess.run(
        "cat requirements.txt | cksum | cut -d' ' -f1", shell=True, cwd=folder, capture_output=True
    )
    (folder / ".venv" / f"installed-{stamped.stdout.decode().strip()}").touch()
    return folder


def run(folder: Path, hours: str, environment: dict, until: str | None) -> tuple[int | None, float, list[str]]:
    """(exit code, seconds, lines) of the week, killed soon after it has said something that matches `until`."""
    began, lines = time.monotonic(), []
    process = subprocess.Popen(["./run_all.sh", "week", hours], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)  # fmt: skip
    for line in process.stdout:
        lines.append(re.sub(r".*\r", "", line).rstrip())
        print(lines[-1], flush=True)
        if until and re.search(until, line):
            time.sleep(1)
            os.killpg(process.pid, signal.SIGKILL)
            break
    process.stdout.close()
    return process.wait(), time.monotonic() - began, lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", default="0.2")
    parser.add_argument("--kills", type=int, choices=(0, 1, 2), default=2)
    parser.add_argument("--keep", type=Path, help="a folder to work in, which stays")
    args = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = args.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        address = stack.enter_context(hub(repositories(), folder / "cache"))
        environment = {
            **os.environ,
            **address,
            "NO_PROXY": "*",
            "no_proxy": "*",
            "NO_COLOR": "1",
            "PYTHONUNBUFFERED": "1",
        }
        place = project(folder / "project")
        # in the middle of pretraining, where a snapshot may be there, and where the chatbot begins to learn
        moments = [r"^step +[1-9]\d+ ", r"/chat .*--init_from"][: args.kills]
        seconds, said = 0.0, []
        for moment in [*moments, None]:
            code, took, lines = run(place, args.hours, environment, moment)
            seconds += took
            said.append(lines)
            print(f"-- {took:.0f} s, exit code {code}", flush=True)
    if code:
        sys.exit(f"rehearse_week.py: error: it ended with {code}")
    share = seconds / 3600 / float(args.hours)
    told = [line for lines in said for line in lines]
    shown = [
        line
        for line in told
        if re.match(r"== |auto|  .*\d s$|resume|eval|done:|User:|Assistant:|exact|perpl|stopped", line)
    ]
    shown += [line for line in told if line.endswith("<- chosen")][:1]
    page = [
        f"`python tests/benchmarks/rehearse_week.py --hours {args.hours} --kills {args.kills}`: "
        f"{stamp('torch', 'transformers')}", "",
        f"It took {seconds:.0f} s, {share:.0%} of the hours it was given, with {args.kills} kills.", "",
        "```text", *shown, "```",
    ]  # fmt: skip
    print("\n".join(page))
    write(RESULTS / "week.md", "The week, rehearsed", page)


if __name__ == "__main__":
    main()
