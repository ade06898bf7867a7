"""A `python` that is ready at once: an interpreter that has imported what the scripts need forks for each command.

python tests/tools/warm_python.py ADDRESS    serves; what `client` writes is the program that asks there
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import termios
import textwrap
import traceback
from collections.abc import Iterator
from pathlib import Path


def client(address: str, cuts: dict[str, list[str]]) -> str:
    """The `python` of the scratch copy: our scripts and what is in line go to the warm interpreter, all else to the real one."""
    return textwrap.dedent(f"""\
        #!{sys.executable} -ESs
        import json, os, socket, sys
        cuts = {{"-c": [], "-": [], **{cuts!r}}}
        if len(sys.argv) < 2 or sys.argv[1] not in cuts:
            os.execv({sys.executable!r}, [{sys.executable!r}, *sys.argv[1:]])
        arguments = [word for word in sys.argv[1:] if word != "--compile"] + cuts[sys.argv[1]]
        connection = socket.socket(socket.AF_UNIX)
        connection.connect({address!r})
        request = json.dumps([os.getcwd(), dict(os.environ), arguments]).encode()
        socket.send_fds(connection, [len(request).to_bytes(8, "big")], [0, 1, 2])
        connection.sendall(request)
        _, code = connection.makefile()
        sys.exit(int(code) % 256)
        """)


def serve(address: str) -> None:
    """Run scripts in forks of an interpreter that has imported what they need: seconds less for each command."""
    import accelerate  # noqa: F401
    import datasets  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import torch.utils.tensorboard  # noqa: F401
    import transformers.models.gpt2.modeling_gpt2
    import transformers.models.llama.modeling_llama  # noqa: F401

    gc.freeze()  # or each fork would look at all of this again, and get a copy of what it touches
    server = socket.socket(socket.AF_UNIX)
    server.bind(address)
    server.listen()
    print("ready", flush=True)
    while True:
        connection, _ = server.accept()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if os.fork() == 0:  # one to wait for the command, which a signal may end at any instant
            end_with_parent()
            worker = os.fork()
            if worker == 0:
                run(connection)
            connection.sendall(f"{worker}\n".encode())
            status = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
            with contextlib.suppress(BrokenPipeError):  # who asked may have been killed as well
                connection.sendall(f"{status}\n".encode())
            os._exit(0)
        connection.close()


def run(connection: socket.socket) -> None:
    """Be the Python that was asked for: its folder, environment, streams and terminal, and its exit code."""
    end_with_parent()
    size, descriptors, *_ = socket.recv_fds(connection, 8, 3)
    with connection.makefile("rb") as stream:
        folder, environment, sys.argv = json.loads(stream.read(int.from_bytes(size, "big")))
    connection.close()
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)
        os.close(descriptor)
    # as a Python does that starts on them: a terminal's lines are not held back
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.setsid()
    if os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    code = 0
    try:
        if sys.argv[0] in ("-c", "-"):
            exec(sys.argv.pop(1) if sys.argv[0] == "-c" else sys.stdin.read(), {"__name__": "__main__"})
        else:
            runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as stop:
        code = stop.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)


def end_with_parent() -> None:
    """A session of its own is out of reach of whoever ends the server's group."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


@contextlib.contextmanager
def served(address: Path, environment: dict[str, str]) -> Iterator[str]:
    """The address of a server that is ready, until the end of the block."""
    server = subprocess.Popen([sys.executable, __file__, str(address)], env=environment, stdout=subprocess.PIPE)
    try:
        assert server.stdout.readline() == b"ready\n"
        yield str(address)
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


class Command:
    """A command that a warm interpreter runs: as much of subprocess.Popen as the tests need."""

    def __init__(self, address: str, argv: list, streams: tuple[int, int, int], environment: dict[str, str]):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(address)
        request = json.dumps([os.getcwd(), environment, [str(word) for word in argv]]).encode()
        socket.send_fds(connection, [len(request).to_bytes(8, "big")], streams)
        connection.sendall(request)
        self.answers = connection.makefile()
        self.pid = int(self.answers.readline())

    def send_signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self) -> int:
        """The exit code, or the number of the signal that ended it, negative."""
        return int(self.answers.readline())


if __name__ == "__main__":
    serve(sys.argv[1])
