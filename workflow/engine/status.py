"""Show running jobs with the last line of their logs, and how many jobs of each rule are pending.

    python workflow/engine/status.py [arguments of snakemake, such as --configfile or --directory]

Why a job is pending, `snakemake --dry-run` tells.
"""

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def running(logs: Path) -> Iterator[str]:
    """Yield the last log line of each running job, which holds the lock of its log."""
    for lock in sorted(logs.rglob(".*.log.lock")):
        log = lock.with_name(lock.name.removeprefix(".").removesuffix(".lock"))
        with open(lock, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lines = log.read_text().splitlines() if log.exists() else []
                yield f"{log}: {lines[-1] if lines else 'just started'}"
            except OSError:
                # Some network file systems have no locks.
                pass


def main(args: list[str]) -> int:
    """Print the state of a run; return the exit status of Snakemake."""
    folder = Path(args[args.index("--directory") + 1]) if "--directory" in args else Path()
    for line in running(folder / "results/logs"):
        print(f"Running  {line}", flush=True)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    return subprocess.run([*command, "--dry-run", "--quiet", "rules", "host", *args]).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
