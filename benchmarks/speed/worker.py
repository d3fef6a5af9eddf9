"""One contestant in a process of its own, which repeats its work each time it is asked to.

    python benchmarks/speed/worker.py MODULE FUNCTION '{"argument": 1}'

The function prepares and gives what is to be repeated, which gives how many tiles it did and any
numbers beside. The first repeat, which warms up, is not timed but told.
"""

import importlib
import json
import resource
import sys
import time


def main(module: str, function: str, arguments: str) -> None:
    # What libraries print must not come between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    repeat = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    for _ in iter(sys.stdin.readline, ""):
        started = time.perf_counter()
        found = repeat()
        seconds = time.perf_counter() - started
        found = found if isinstance(found, dict) else {"tiles": found}
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({**found, "seconds": seconds, "peak_mb": peak}), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
