"""Make the pictures of README.md and tutorial.md from what the project really does; run it after ./run_all.sh.

Reads   checkpoints/demo and data/demo, which ./run_all.sh makes
Writes  docs/*.png; the chats as text into tests/benchmarks/results/tutorial.json, with which the tutorial is compared
        checkpoints/sick/ and data/sick/: four short training runs, of which three fail on purpose (4 minutes)

    .venv/bin/python docs/make_pictures.py                  all of them
    .venv/bin/python docs/make_pictures.py chat lengths     some of them

The chat needs tmux, a real terminal; TensorBoard's picture needs chromium. Both are skipped, with a word, where there is none.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

ROOT = Path(__file__).resolve().parent.parent
DOCS, MODEL, DATA = ROOT / "docs", ROOT / "checkpoints" / "demo", ROOT / "data" / "demo"
RESULTS = ROOT / "tests" / "benchmarks" / "results" / "tutorial.json"
COLUMNS, LINES = 100, 24
CHAT = ("Who are you?", "What is the capital of Japan?", "And of France?", "Who won the Battle of Waterloo?",
        "What is the meaning of life?")  # fmt: skip
CHAT_THAT_FAILS = ("What is the capital of the Moon?", "/reset", "What is the longest river in Asia?", "/reset",
                   "Is water wet?")  # fmt: skip
COLORS = dict(
    zip(range(30, 38), ("#1d1f21", "#cc6666", "#b5bd68", "#f0c674", "#81a2be", "#b294bb", "#8abeb7", "#c5c8c6"))
)
COLORS |= {code + 60: color for code, color in COLORS.items()} | {90: "#7f8387"}
PLAIN = {"color": COLORS[37], "weight": "normal", "alpha": 1.0}
SICK = {  # title: flags
    "healthy": "--lr 1e-3",
    "learning rate 100 times too high": "--lr 1e-1",
    "learning rate 1,000 times too low": "--lr 1e-6",
    "100 conversations, over and over": "--lr 1e-3",
}


def capture_chat(questions: tuple[str, ...]) -> tuple[str, str]:
    """The screen after a chat, once with its escape sequences and once as plain text without line breaks."""
    tmux = ["tmux", "-L", "pictures"]
    command = f"{sys.executable} inference.py --model_dir {MODEL.relative_to(ROOT)} --greedy"
    capture = [*tmux, "capture-pane", "-p", "-S", "-200"]
    with tempfile.TemporaryDirectory() as home:  # an empty input history
        command = f"XDG_STATE_HOME={home} {command}"
        subprocess.run(
            [*tmux, "new-session", "-d", "-x", str(COLUMNS), "-y", str(LINES), "-c", ROOT, command], check=True
        )
        try:
            for n_prompts, question in enumerate((*questions, None), 1):
                for _ in range(300):  # the next prompt shows that the answer is complete
                    time.sleep(0.2)
                    screen = subprocess.run(capture, check=True, capture_output=True, text=True).stdout
                    if len(re.findall("^User:", screen, re.M)) >= n_prompts:
                        break
                if question:
                    subprocess.run([*tmux, "send-keys", "-l", question], check=True)
                    subprocess.run([*tmux, "send-keys", "Enter"], check=True)
            colored, joined = (
                subprocess.run([*capture, flag], check=True, capture_output=True, text=True).stdout
                for flag in ("-e", "-J")
            )
            return colored, joined
        finally:
            subprocess.run([*tmux, "kill-server"], check=False)


def styled(line: str):
    """(text, style) of the runs of a line with escape sequences."""
    style = PLAIN
    for text, codes in re.findall(r"([^\x1b]+)|\x1b\[([\d;]*)m", line):
        if text:
            yield text, style
            continue
        numbers = re.sub(r"38;5;(\d+)", lambda m: str(30 + int(m[1]) if int(m[1]) < 8 else 82 + int(m[1])), codes)
        for code in map(int, numbers.split(";") if numbers else ["0"]):
            if code in (0, 39):
                style = PLAIN if code == 0 else {**style, "color": COLORS[37]}
            elif code in (1, 2):
                style = {**style, "weight": "bold"} if code == 1 else {**style, "alpha": 0.6}
            else:
                style = {**style, "color": COLORS.get(code, style["color"])}


def draw_screen(screen: str, path: Path) -> None:
    """Draw terminal text on a dark ground: foreground colors, bold and dim."""
    lines, size = screen.rstrip().splitlines(), 10
    advance = TextPath((0, 0), "M" * 101, size=size, prop=FontProperties(family="monospace")).get_extents().width
    advance = (
        advance - TextPath((0, 0), "M", size=size, prop=FontProperties(family="monospace")).get_extents().width
    ) / 7200
    width, height = COLUMNS * advance + 0.3, len(lines) * 0.2 + 0.3  # inches
    figure = plt.figure(figsize=(width, height), facecolor=COLORS[30])
    for row, line in enumerate(lines):
        column = 0
        for text, style in styled(line):
            figure.text((0.15 + column * advance) / width, 1 - (0.15 + (row + 0.8) * 0.2) / height,
                        text.replace("$", r"\$"), family="monospace", size=size, **style)  # fmt: skip
            column += len(text)
    figure.savefig(path, dpi=110, facecolor=figure.get_facecolor())
    plt.close(figure)


def chat() -> None:
    """docs/chat.png, and two chats as text."""
    if not shutil.which("tmux"):
        print("no tmux here: the chat is left as it was")
        return
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    for name, questions in (("chat", CHAT), ("chat that fails", CHAT_THAT_FAILS)):
        screen, text = capture_chat(questions)
        if name == "chat":
            draw_screen("\n".join(screen.rstrip().splitlines()[:-1]), DOCS / "chat.png")
        # without the greeting, the meter below each answer, and the prompt that waits
        kept = [line.rstrip() for line in text.splitlines() if re.match("(User|Assistant): .", line)]
        results["recordings"][name] = kept
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def loss() -> None:
    """docs/loss.png: the loss curve of the demo, from its model card."""
    shutil.copy(MODEL / "loss.png", DOCS / "loss.png")


def tokenized(name: str) -> list[dict]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def lengths() -> None:
    """docs/lengths.png: how long the bundled conversations are, and the share of them that is learned."""
    rows = tokenized("train_tokenized.jsonl")
    total = np.array([len(row["input_ids"]) for row in rows])
    learned = np.array([sum(label != -100 for label in row["labels"]) for row in rows])
    figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
    bins = np.arange(0, total.max() + 8, 8)
    axes.hist(total, bins, color="#81a2be", label=f"tokens in a conversation, median {np.median(total):.0f}")
    axes.hist(learned, bins, color="#6a9f3a", alpha=0.7, label=f"learned ones of them, median {np.median(learned):.0f}")
    axes.set(xlabel="tokens", ylabel="conversations", title=f"{len(rows):,} bundled conversations")
    axes.legend()
    figure.savefig(DOCS / "lengths.png", dpi=110)
    plt.close(figure)


def row() -> None:
    """docs/row.png: a conversation as tokens and ids; green ones are learned."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(DATA / "tokenizer")
    first = tokenized("train_tokenized.jsonl")[0]
    pieces = [
        (tokenizer.decode([i]).replace(" ", "␣"), i, label != -100)
        for i, label in zip(first["input_ids"], first["labels"])
    ]
    figure = plt.figure(figsize=(9.2, 1.6))
    x, y = 0.01, 0.78
    for text, number, is_learned in pieces:
        width = 0.0092 * max(len(text), 5) + 0.012
        if x + width > 0.99:
            x, y = 0.01, y - 0.42
        box = {"boxstyle": "square,pad=0", "facecolor": "none", "edgecolor": "none"}
        color = "#d9ead3" if is_learned else "#e8e8e8"
        figure.patches.append(
            plt.Rectangle((x, y - 0.18), width - 0.004, 0.38, transform=figure.transFigure, facecolor=color)
        )
        center = x + (width - 0.004) / 2
        figure.text(center, y + 0.07, text, family="monospace", size=10, ha="center", va="center", bbox=box)
        figure.text(center, y - 0.1, str(number), family="monospace", size=8, ha="center", va="center", color="#666666")
        x += width
    figure.text(0.01, 0.03, "gray: read only (label -100)     green: learned (label = id)", size=8, color="#444444")
    figure.savefig(DOCS / "row.png", dpi=110, facecolor="white")
    plt.close(figure)


def sick() -> None:
    """docs/sick.png: three runs that fail on purpose, beside one that does not."""
    few = ROOT / "data" / "sick"
    python = [sys.executable]
    prepare = ["prep_data.py", "--dataset", "data/sample/train.jsonl", "--val_dataset", "data/sample/val.jsonl",
               "--max_rows", "100", "--train_tokenizer", "400", "--seq_len", "256", "--out_dir", few]  # fmt: skip
    subprocess.run(python + prepare, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    figure, panels = plt.subplots(1, 4, figsize=(13, 3.2), layout="constrained")
    for number, (axes, (title, flags)) in enumerate(zip(panels, SICK.items())):
        folder = ROOT / "checkpoints" / "sick" / str(number)
        train = ["train.py", "--data_dir", few if "over and over" in title else DATA, "--model_dir", folder, "--cfg", "tiny",
                 "--n_layer", "2", "--n_embd", "128", "--seq_len", "256", "--batch_size", "8", "--grad_accum", "1",
                 "--max_steps", "160", "--eval_every", "20", "--log_every", "4", *flags.split()]  # fmt: skip
        subprocess.run(python + train, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for name, label, style in (("loss", "training", "-"), ("val_loss", "validation", "o-")):
            points = [(row["step"], row[name]) for row in rows if name in row]
            axes.plot(*zip(*points), style, label=label, linewidth=1, markersize=3)
        axes.set(xlabel="step", title=title, ylim=(0, 9))
        axes.title.set_fontsize(10)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("loss (nats a token)")
    panels[0].legend()
    figure.savefig(DOCS / "sick.png", dpi=110)
    plt.close(figure)


def tensorboard() -> None:
    """docs/tensorboard.png: a headless browser looks at the runs in checkpoints/."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not browser:
        print("no chromium here: TensorBoard's picture is left as it was")
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [Path(sys.executable).with_name("tensorboard"), "--logdir", "checkpoints", "--port", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(15)
        url = (
            f"http://127.0.0.1:{port}/?darkMode=false#scalars&regexInput=demo%7Cadamw&tagFilter=loss&_smoothingWeight=0"
        )
        options = ["--headless=new", "--disable-gpu", "--hide-scrollbars", "--window-size=1280,620",
                   "--virtual-time-budget=20000", f"--screenshot={DOCS / 'tensorboard.png'}"]  # fmt: skip
        options += ["--no-sandbox"] if os.geteuid() == 0 else []
        with tempfile.TemporaryDirectory() as profile:
            subprocess.run([browser, *options, f"--user-data-dir={profile}", url], check=True, capture_output=True)
    finally:
        server.terminate()
        server.wait()


PICTURES = {function.__name__: function for function in (chat, loss, lengths, row, sick, tensorboard)}

if __name__ == "__main__":
    if not (MODEL / "loss.png").exists():
        sys.exit("docs/make_pictures.py: error: no demo here yet; run ./run_all.sh first")
    unknown = set(sys.argv[1:]) - set(PICTURES)
    if unknown:
        sys.exit(f"docs/make_pictures.py: error: no picture {', '.join(unknown)}; there are {', '.join(PICTURES)}")
    for name in sys.argv[1:] or PICTURES:
        PICTURES[name]()
