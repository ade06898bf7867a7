"""The chat on a real terminal: the program runs in a pseudo-terminal and is typed at, as a user does."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import termios
from pathlib import Path
from typing import ClassVar

import pexpect
import pexpect.fdpexpect
import pytest
import warm_python
from conftest import HANG_S
from test_inference import FACTS, endless, one_thread, shared_bot  # noqa: F401

import inference

ACCEPTED, PROMPT = r"\x1b\[\?2004l", r"\x1b\[\?2004h.*?User:.*?\x1b\[\?25h"  # bracketed paste goes off and on
METER = r"\[[\d,]+/512 tokens, [\d.]+ tokens/s, the first after [\d.]+ s\]"
ENTER, ALT_ENTER, CTRL_C, CTRL_D = "\r", "\x1b\r", "\x03", "\x04"
ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\].*?\x07|[()].|[=>78])")


@pytest.fixture(scope="module")
def bot_dir(tmp_path_factory) -> Path:
    return shared_bot(tmp_path_factory)


class Terminal:
    """The program in a pseudo-terminal of 24 x 80 characters."""

    opened: ClassVar[list[Terminal]] = []
    address = ""  # of the warm interpreter

    def __init__(self, model_dir: Path, home: Path, *flags: str, color: bool = False):
        env = {"PATH": "/usr/bin:/bin", "HOME": str(home), "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1",
               "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1", **({} if color else {"NO_COLOR": "1"})}  # fmt: skip
        command = ["inference.py", "--model_dir", str(model_dir), "--greedy", "--system", "Be brief.", *flags]
        self.screen, terminal = pty.openpty()
        self.resize(24, 80)
        self.program = warm_python.Command(self.address, command, (terminal, terminal, terminal), env)
        os.close(terminal)
        self.child = pexpect.fdpexpect.fdspawn(self.screen, encoding="utf-8", timeout=HANG_S)
        self.opened.append(self)
        self.log = ""
        self.expect(PROMPT)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.screen, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def expect(self, pattern: str) -> str:
        """Wait for the pattern; returns what was shown up to its end, without the escape sequences."""
        self.child.expect(pattern)
        shown = self.child.before + self.child.after
        self.log += shown
        return ESCAPES.sub("", shown).replace("\r", "")

    def type(self, text: str, key: str = ENTER) -> str:
        """Type a line; returns what is shown from then on, the next prompt included."""
        self.child.send(text + key)
        self.expect(ACCEPTED)
        return self.expect(PROMPT)

    def leave(self, text: str = CTRL_D, status: int = 0) -> None:
        self.child.send(text)
        self.child.expect(pexpect.EOF)
        self.log += self.child.before
        assert self.program.wait() == status and "Traceback" not in self.log

    def close(self) -> None:
        os.close(self.screen)
        self.program.send_signal(signal.SIGKILL)


@pytest.fixture(autouse=True)
def no_terminal_outlives_its_test(warm):
    Terminal.address = warm
    yield
    while Terminal.opened:
        Terminal.opened.pop().close()


def test_a_conversation_with_every_command(bot_dir, tmp_path):
    terminal, saved = Terminal(bot_dir, tmp_path), tmp_path / "chat.jsonl"
    shown = terminal.type("Hi")
    assert "Assistant: Hello! 😀" in shown and re.search(METER, shown)
    assert FACTS["Say hello in Chinese"] in terminal.type("Say hello in Chinese")
    assert FACTS["Say hello in Chinese"] in terminal.type("/retry")
    assert "taken back: Say hello in Chinese" in terminal.type("/undo")
    assert re.search(r"\d+ of 512 tokens; 2 messages, 0 of them forgotten", terminal.type("/tokens"))
    assert "temperature = 0.7" in terminal.type("/set temperature=0.7")
    assert "temperature is a number from 0 to 100" in terminal.type("/set temperature=hot")
    assert "temperature = 0.0" in terminal.type("/set temperature=0")
    shown = terminal.type("/show")
    assert "temperature=0.0" in shown and "user: Hi\nassistant: Hello! 😀" in shown
    assert terminal.type("/edit").endswith("User: Hi")  # the last question stands there to be changed
    assert FACTS["Count"] in terminal.type("\x7f\x7fCount")
    assert "saved 2 messages" in terminal.type(f"/save {saved}")
    assert json.loads(saved.read_text())["messages"][0] == {"role": "user", "content": "Count"}
    assert "a new conversation" in terminal.type("/reset")
    assert "0 messages" in terminal.type("/tokens")
    assert "2 messages from" in terminal.type(f"/load {saved}")
    assert "No such file" in terminal.type("/load nothing.jsonl")
    assert "system prompt: Rhyme." in terminal.type("/system Rhyme.")
    assert "unknown command /retyr; did you mean /retry" in terminal.type("/retyr")
    shown = terminal.type("/help")
    assert all(name in shown for name in inference.COMMANDS)
    terminal.child.send("/tok\t")
    terminal.expect("/tokens")  # completed
    terminal.type("")
    terminal.leave("/exit" + ENTER)
    again = Terminal(bot_dir, tmp_path)  # the history outlives the program
    again.child.send("\x1b[A")
    again.expect("/exit")
    again.leave(ENTER)


def test_ctrl_c_and_ctrl_d(bot_dir, tmp_path):
    terminal = Terminal(endless(bot_dir, tmp_path), tmp_path, "--max_new_tokens", "450", "--dtype", "fp32")
    terminal.child.send("Repeat" + ENTER)
    terminal.expect("Assistant: ....................")  # the answer comes while it is made
    terminal.child.send(CTRL_C)
    shown = terminal.expect(PROMPT)
    used = int(re.search(r"\[(\d+)/512", shown).group(1))
    assert "[stopped]" in shown and used < 470
    shown = terminal.type("/tokens")  # what there was of the answer is part of the conversation
    assert "2 messages" in shown and abs(int(re.search(r"(\d+) of 512", shown).group(1)) - used) < 5
    assert "again" not in terminal.type("half a line", CTRL_C)
    assert "press Ctrl-C again or type /exit to leave" in terminal.type("", CTRL_C)
    assert "2 messages" in terminal.type("/tokens")
    assert "press Ctrl-C again" in terminal.type("", CTRL_C)
    terminal.leave(CTRL_C)
    Terminal(bot_dir, tmp_path).leave(CTRL_D)


def test_sixty_turns_pastes_long_messages_and_a_resized_window(bot_dir, tmp_path):
    terminal = Terminal(bot_dir, tmp_path, "--max_new_tokens", "48")
    lines = "\n".join(f"line {i}: 你好 😀" for i in range(200))
    terminal.child.send(f"\x1b[200~{lines}\x1b[201~")  # a bracketed paste is one message
    shown = terminal.type("")
    assert shown.count("Assistant: ") == 1 and "your message is too long" in shown
    terminal.child.send(f"\x1b[200~{'word ' * 5000}\x1b[201~")
    assert "your message is too long" in terminal.type("")
    assert "a new conversation" in terminal.type("/reset")
    terminal.child.send("first" + ALT_ENTER + "second\\" + ENTER)
    terminal.type("third")
    assert "user: first\nsecond\nthird\n" in terminal.type("/show")
    for turn in range(60):
        terminal.resize(10 + turn, 40 + 3 * turn)
        terminal.expect(PROMPT)  # drawn again for the new size
        question = (
            "Hi",
            "Say hello in Chinese",
            "😀 你好 é",
            "What is the capital of France?",
            "\x1b[200~\x1b]0;x\x07\x1b[201~",
        )[turn % 5]
        assert "Assistant: " in terminal.type(question)
    assert "the context is full" in ESCAPES.sub("", terminal.log)
    terminal.leave()


def test_colors_only_where_they_are_wanted(bot_dir, tmp_path):
    colored, plain = (
        Terminal(bot_dir, tmp_path, color=True),
        Terminal(bot_dir, Path("/proc")),
    )  # a read-only home is fine
    colored.type("Hi")
    plain.type("Hi")
    colored.leave()
    plain.leave()
    assert "\x1b[1;32mAssistant: \x1b[0m" in colored.log
    assert not re.search(r"\x1b\[[\d;]*[1-9][\d;]*m", plain.log)
