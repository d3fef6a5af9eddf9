"""Measure what jobs cost beyond their work: imports of each stage, and the whole tiny workflow.

.venv/bin/python benchmarks/overhead.py [--runs 5] [CHECKOUT ...]

Without a checkout it measures this one. Several are measured in turn, so that a machine that grows
slower does so for all; each runs with the Python that runs this. Figures are the smallest of all
runs, in CPU seconds (user and system), on which other load has the least effect, and in seconds.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from jobs import jobs

ROOT = Path(__file__).resolve().parents[1]
WHOLE = "the whole workflow"
NOTHING = "nothing to be done"


def timed(command: list) -> tuple[float, float]:
    """Run a command; return its CPU seconds, with those of its own processes, and its seconds."""

    def cpu() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    # Users have their modules compiled, and so has every run but the first here.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    before, started = cpu(), time.perf_counter()
    subprocess.run(list(map(str, command)), check=True, capture_output=True, env=environment)
    return cpu() - before, time.perf_counter() - started


def measure(project: Path) -> dict[tuple[str, str], tuple[float, float]]:
    """Return CPU seconds and seconds, by rule and by what it did, of one run of a checkout."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "snakemake", "--snakefile", project / "Snakefile"]
        command += ["--configfile", project / ".test/config/config.yaml", "--cores", "2"]
        command += ["--directory", folder]
        found[WHOLE, "run"] = timed(command)
        found[NOTHING, "run"] = timed(command)
        for job in jobs(Path(folder, "results")).itertuples():
            # Of a rule's jobs the fastest. Snakemake samples CPU seconds too rarely to use them.
            seconds = min(found.get((job.rule, "run"), (0, job.seconds))[1], job.seconds)
            found[job.rule, "run"] = (0, seconds)
    for rule, _ in list(found):
        if (script := project / f"workflow/scripts/{rule}.py").exists():
            found[rule, "imports"] = timed([sys.executable, script, "--help"])
    return found


def table(best: dict[tuple[str, str], tuple[float, float]]) -> str:
    """Return a Markdown table of the smallest figures."""
    lines = ["| job | s | of which imports | CPU s | of which imports |", "|---|---|---|---|---|"]
    for rule in sorted(
        {rule for rule, _ in best}, key=lambda rule: (rule in (NOTHING, WHOLE), rule)
    ):
        (cpu, seconds), imports = best[rule, "run"], best.get((rule, "imports"), (0, 0))
        values = (seconds, imports[1], cpu, imports[0])
        lines.append(f"| {rule} | {' | '.join(f'{x:.2f}' if x else '' for x in values)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkouts", type=Path, nargs="*", default=[ROOT])
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    best = {
        checkout: defaultdict(lambda: (float("inf"), float("inf"))) for checkout in args.checkouts
    }
    for _ in range(args.runs):
        for checkout, known in best.items():
            for what, values in measure(checkout.resolve()).items():
                known[what] = tuple(map(min, known[what], values))
    for checkout, known in best.items():
        print(f"{checkout}\n\n{table(known)}\n")
