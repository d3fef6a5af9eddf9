"""Run one contestant in its own process, repeating its work on request.

    python benchmarks/speed/worker.py MODULE FUNCTION '{"argument": 1}'

The function does the setup and returns a callable that is run once per repeat; the callable returns
the number of tiles processed and any extra numbers. The first repeat is a warm-up.
"""

import importlib
import json
import re
import sys
import time
from pathlib import Path

STATUS = Path("/proc/self/status")


def main(module: str, function: str, arguments: str) -> None:
    # Keep libraries' output off the stream of answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    repeat = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    for _ in iter(sys.stdin.readline, ""):
        started = time.perf_counter()
        found = repeat()
        seconds = time.perf_counter() - started
        found = found if isinstance(found, dict) else {"tiles": found}
        # Not from getrusage, whose peak includes the parent process before exec.
        peak = int(re.search(r"VmHWM:\s*(\d+)", STATUS.read_text(encoding="utf-8")).group(1)) / 1024
        print(json.dumps({**found, "seconds": seconds, "peak_mb": peak}), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
