"""Make the pictures of README.md and tutorial.md from what the demo really does; run it after ./run_all.sh.

Reads   checkpoints/demo (metrics and the chatbot), through a real terminal that tmux provides
Writes  docs/chat.png, docs/loss.png

    .venv/bin/python docs/make_pictures.py
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "checkpoints" / "demo"
COLUMNS, LINES = 84, 24
QUESTIONS = ("Who are you?", "What is the capital of Japan?", "And of France?", "Who won the Battle of Waterloo?",
             "What is the meaning of life?")  # fmt: skip
COLORS = dict(
    zip(range(30, 38), ("#1d1f21", "#cc6666", "#b5bd68", "#f0c674", "#81a2be", "#b294bb", "#8abeb7", "#c5c8c6"))
)
COLORS |= {code + 60: color for code, color in COLORS.items()} | {90: "#7f8387"}


def capture_chat() -> str:
    """The screen, with its escape sequences, after a chat of QUESTIONS."""
    tmux = ["tmux", "-L", "pictures"]
    command = f"{sys.executable} inference.py --model_dir {MODEL.relative_to(ROOT)} --seed 1 --temperature 0.3"
    subprocess.run([*tmux, "new-session", "-d", "-x", str(COLUMNS), "-y", str(LINES), "-c", ROOT, command], check=True)
    try:
        screen = ""
        for n_prompts, question in enumerate((*QUESTIONS, None), 1):
            for _ in range(300):  # the next prompt shows that the answer is complete
                time.sleep(0.2)
                screen = subprocess.run(
                    [*tmux, "capture-pane", "-e", "-p", "-S", "-200"], check=True, capture_output=True, text=True
                ).stdout
                if len(re.findall(r"^(?:\x1b\[[\d;]*m)*User:", screen, re.M)) >= n_prompts:
                    break
            if question:
                subprocess.run([*tmux, "send-keys", "-l", question], check=True)
                subprocess.run([*tmux, "send-keys", "Enter"], check=True)
        return screen
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)


def draw_screen(screen: str, path: Path) -> None:
    """Draw terminal text on a dark ground: foreground colors, bold and dim."""
    lines = screen.rstrip().splitlines()
    figure = plt.figure(figsize=(COLUMNS * 0.098, len(lines) * 0.21 + 0.4), facecolor=COLORS[30])
    for row, line in enumerate(lines):
        column, style = 0, {"color": COLORS[37], "weight": "normal", "alpha": 1.0}
        for text, codes in re.findall(r"([^\x1b]+)|\x1b\[([\d;]*)m", line):
            for code in map(int, filter(None, codes.split(";"))):
                style |= ({"color": COLORS[37], "weight": "normal", "alpha": 1.0} if code == 0 else {"weight": "bold"} if code == 1
                          else {"alpha": 0.6} if code == 2 else {"color": COLORS.get(code, COLORS[37])})  # fmt: skip
            x, y = 0.015 + 0.97 * column / COLUMNS, 1 - (row + 1.2) / (len(lines) + 1.5)
            figure.text(x, y, text.replace("$", r"\$"), family="monospace", size=10, **style)
            column += len(text)
    figure.savefig(path, dpi=110, facecolor=figure.get_facecolor())


if __name__ == "__main__":
    if not (MODEL / "loss.png").exists():
        sys.exit("docs/make_pictures.py: error: no demo here yet; run ./run_all.sh first")
    draw_screen(capture_chat(), ROOT / "docs" / "chat.png")
    shutil.copy(MODEL / "loss.png", ROOT / "docs" / "loss.png")
