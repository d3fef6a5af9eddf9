"""Run stages as forks of a process that has imported their libraries, which takes seconds each.

A folder holds a `python` for them: a client that hands its arguments, folder, environment and open
files to the server, and ends as the fork does. It runs anything but a script by the real Python.
"""

import atexit
import gc
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from functools import cache, partial
from pathlib import Path
from shlex import quote

from support.forking import run_to_the_end

ROOT = Path(__file__).parents[2]

# A first line of `#!` takes no path with a space.
SHELL = """#!/bin/sh
exec {python} -SE {client} "$@"
"""
CLIENT = """
import json, os, signal, socket, sys
if not sys.argv[1:] or not sys.argv[1].endswith(".py"):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
server = socket.socket(socket.AF_UNIX)
server.connect({path!r})
request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(request).to_bytes(8, "big")], [0, 1, 2])
server.sendall(request)
pid = int.from_bytes(server.recv(8), "big")
for each in (signal.SIGTERM, signal.SIGINT):
    signal.signal(each, lambda number, frame: os.kill(pid, number))
code = int.from_bytes(server.recv(8), "big", signed=True)
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


lock = threading.Lock()


def stage_python() -> str:
    """Return the path of the client of this process's server, which the first call starts."""
    with lock:
        folder, _ = _server()
    return f"{folder}/python"


# Kept with the server, which ends when its input is closed.
@cache
def _server() -> tuple[str, subprocess.Popen]:
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    server = subprocess.Popen(
        [sys.executable, "-m", "support.forked_stages", folder],
        **{"cwd": ROOT / "tests", "stdin": subprocess.PIPE, "stdout": subprocess.PIPE},
    )
    assert server.stdout.readline() == b"ready\n"
    return folder, server


def serve(folder: Path) -> None:
    """Serve clients, each by a fork that forks the stage and sends its exit status."""
    import jinja2  # noqa: F401
    import jsonschema  # noqa: F401
    import matplotlib.backends.backend_agg
    import matplotlib.backends.backend_svg
    import matplotlib.figure  # noqa: F401
    import pandas  # noqa: F401
    import safetensors.torch  # noqa: F401
    import scipy.ndimage  # noqa: F401
    import tqdm.contrib.logging  # noqa: F401

    path = folder / "socket"
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen(64)
    client, shell = folder / "client.py", folder / "python"
    client.write_text(CLIENT.format(python=sys.executable, path=str(path)))
    shell.write_text(SHELL.format(python=quote(sys.executable), client=quote(str(client))))
    shell.chmod(0o755)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    while listening in select.select([listening, sys.stdin], [], [])[0]:
        connection, _ = listening.accept()
        if not os.fork():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listening.close()
            run_to_the_end(partial(answer, connection))
        connection.close()


def answer(connection: socket.socket) -> None:
    """Become a client's stage, or the process that waits for it."""
    head, files, _, _ = socket.recv_fds(connection, 8, 3)
    request = connection.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
    pid = os.fork()
    if pid:
        for file in files:
            os.close(file)
        connection.sendall(pid.to_bytes(8, "big"))
        _, status = os.waitpid(pid, 0)
        connection.sendall(os.waitstatus_to_exitcode(status).to_bytes(8, "big", signed=True))
        return
    connection.close()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    args, cwd, env = json.loads(request)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    # As of `python SCRIPT`.
    sys.argv = args
    sys.path.insert(0, str(Path(args[0]).resolve().parent))
    runpy.run_path(args[0], run_name="__main__")


if __name__ == "__main__":
    # The tests' folder, whose modules are not meant for stages.
    del sys.path[0]
    serve(Path(sys.argv[1]))
