"""One contestant in a process of its own, which repeats its work each time it is asked to.

    python benchmarks/speed/worker.py MODULE FUNCTION '{"argument": 1}'

The function prepares and gives what is to be repeated, which gives how many tiles it did and any
numbers beside. The first repeat, which warms up, is not timed but told.
"""

import importlib
import json
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow/scripts"))

STATUS = Path("/proc/self/status")


def main(module: str, function: str, arguments: str) -> None:
    # What libraries print must not come between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    repeat = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    for _ in iter(sys.stdin.readline, ""):
        started = time.perf_counter()
        found = repeat()
        seconds = time.perf_counter() - started
        found = found if isinstance(found, dict) else {"tiles": found}
        # Not getrusage's, which knows of the process that started this one.
        peak = int(re.search(r"VmHWM:\s*(\d+)", STATUS.read_text()).group(1)) / 1024
        print(json.dumps({**found, "seconds": seconds, "peak_mb": peak}), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
