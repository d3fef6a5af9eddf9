"""Start Snakemake as forks of a process that has imported it, which takes a second off each start.

Each fork is a process like any other start of Snakemake, with its own folder, arguments, output and
copy of the project. Its local jobs' stages are forks, too.
"""

import ast
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from functools import lru_cache, partial
from pathlib import Path

from support.forked_stages import stage_python
from support.forking import run_to_the_end

ROOT = Path(__file__).parents[2]

# A server has one request at a time, so each thread has its own.
servers = threading.local()


def run_forked(
    args: list[str], cwd: Path, env: dict[str, str] | None = None, timeout: int = 0
) -> subprocess.CompletedProcess:
    """Run `python -m snakemake` with its arguments; return its exit status and what it printed.

    Raises subprocess.TimeoutExpired after ``timeout`` seconds, unless it is 0.
    """
    if getattr(servers, "process", None) is None or servers.process.poll() is not None:
        # It ends with this process, which closes its input.
        servers.process = subprocess.Popen(
            [sys.executable, "-m", "support.forked"],
            **{"cwd": ROOT / "tests", "stdin": subprocess.PIPE, "stdout": subprocess.PIPE},
            text=True,
        )
    server = servers.process
    with tempfile.TemporaryDirectory() as folder:
        request = {
            **{"args": args, "cwd": str(cwd), "env": dict(os.environ if env is None else env)},
            "files": [f"{folder}/stdout", f"{folder}/stderr"],
            **{"python": stage_python(), "timeout": timeout},
        }
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        printed = [Path(file).read_text() for file in request["files"]]
    if code == -signal.SIGALRM:
        raise subprocess.TimeoutExpired(["snakemake", *args], timeout, *printed)
    return subprocess.CompletedProcess(["snakemake", *args], code, *printed)


def serve() -> None:
    """Answer each request, a line of JSON, with the exit status of its Snakemake."""
    import jsonschema  # noqa: F401
    import pandas  # noqa: F401
    import smart_open  # noqa: F401
    import snakemake.report.html_reporter  # noqa: F401
    from snakemake import cli

    # Looks for plugins in all of the environment, and remembers them.
    cli.get_argument_parser()
    # Each start of the workflow parses all of its modules.
    ast.parse = lru_cache(maxsize=None)(ast.parse)
    for file in (ROOT / "workflow/scripts").rglob("*.py"):
        ast.parse(file.read_text())

    # Not `for line in sys.stdin`: forks would share what that has read ahead.
    while line := sys.stdin.readline():
        child = os.fork()
        if not child:
            start(cli.main, **json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def start(
    main,
    *,
    args: list[str],
    cwd: str,
    env: dict[str, str],
    files: list[str],
    python: str,
    timeout: int,
) -> None:
    """Become the Snakemake of a request; does not return."""
    signal.alarm(timeout)
    for number, file in enumerate([os.devnull, *files]):
        opened = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    # Short-lived: looking for garbage takes a tenth of its time.
    gc.disable()
    # Whose folder the workflow has its jobs' shells search first.
    sys.executable = python
    # As of `python -m snakemake`.
    sys.argv = [sys.argv[0], *args]
    sys.path.insert(0, cwd)
    run_to_the_end(partial(main, args))


if __name__ == "__main__":
    # The tests' folder, whose modules are not meant for Snakemake.
    del sys.path[0]
    serve()
