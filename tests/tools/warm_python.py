"""A `python` that is ready at once: an interpreter that has imported what the scripts need forks for each command.

python tests/tools/warm_python.py ADDRESS    serves; what `client` writes is the program that asks there
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import runpy
import socket
import sys
import textwrap
import traceback


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
        sys.exit(int(connection.recv(8) or 1))
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
        if os.fork() == 0:
            break
        connection.close()
    size, descriptors, *_ = socket.recv_fds(connection, 8, 3)
    with connection.makefile("rb") as stream:
        folder, environment, sys.argv = json.loads(stream.read(int.from_bytes(size, "big")))
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)
        os.close(descriptor)
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
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(str(code).encode())
    os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
