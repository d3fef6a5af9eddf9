"""Kill a run repeatedly at random instants and compare its final outputs byte by byte.

A reference run finishes undisturbed. The same workflow then runs in another folder, on another
number of cores, and is killed: a job, the main process, or all processes at once, during training,
saving, predicting, or at any time. The same command resumes it after each kill, once it is
unlocked. Whenever the run finishes, its outputs must equal the reference byte by byte, with no
files left over; then it starts over, until the number of kills is reached.

    python tests/support/soak.py --kills 25 --folder experiments/soak
"""

import argparse
import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import cycle
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.running import ROOT, snakemake_command, wait_for

HOWS = ("job", "job, politely", "main process", "whole group")
WHENS = ("training", "saving", "predicting", "any time")
TIMED = (
    "logs/",
    "benchmarks/",
    "figures/times.svg",
    "figures/.times.svg",
    "index.html",
    "run.yaml",
)
PATIENCE = 900  # timeout of a run, in seconds


def is_timed(name: str) -> bool:
    """Whether an output, by its path in results/, tells times, and is never the same again."""
    return re.sub(r"^rounds/\d+/", "", name).startswith(TIMED)


class Run:
    """A run of the workflow in a folder, in its own process group."""

    def __init__(self, folder: Path, cores: int, options: list[str]):
        self.folder = folder
        where = ("--snakefile", ROOT / "Snakefile", "--directory", folder, "--cores", cores)
        self.command = snakemake_command(*where, *options)
        self.unlocking = snakemake_command("--unlock", *where, *options)
        self.main: subprocess.Popen | None = None

    def start(self) -> None:
        """Run, without the lock of a run that was killed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if list(self.folder.glob(".snakemake/locks/*")):
            subprocess.run(self.unlocking, cwd=ROOT, check=True, capture_output=True)
        with open(self.folder / "soak.log", "a") as log:
            self.main = subprocess.Popen(
                self.command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )

    def jobs(self, stage: str = "") -> list[int]:
        """Return the stage processes in this folder, including orphans."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().decode().split("\0")
                here = (entry / "cwd").readlink() == self.folder
            except OSError:
                continue
            script = words[1] if len(words) > 1 else ""
            if here and "workflow/scripts" in script and Path(script).name.startswith(stage):
                found.append(int(entry.name))
        return found

    def await_end(self) -> None:
        """Wait until no stage runs in this folder; AssertionError that tells what is left doing."""
        wait_for(lambda: not self.jobs(), otherwise=lambda: [*map(doing, self.jobs())])

    def saving(self) -> list[int]:
        """Return the processes that are saving training state."""
        parts = (self.folder / "results/states").glob(".*.part")
        return [int(part.name.split(".")[-2]) for part in parts]

    def kill(self, how: str, victims: list[int]) -> None:
        try:
            if how == "main process":
                self.main.kill()
            elif how == "whole group":
                os.killpg(self.main.pid, signal.SIGKILL)
            else:
                os.kill(victims[0], signal.SIGKILL if how == "job" else signal.SIGTERM)
        except ProcessLookupError:
            pass
        if how in ("main process", "whole group"):
            self.main.wait(PATIENCE)


def doing(process: int) -> str:
    """Return a process's command, and for each thread its state and what it waits for."""
    place, threads = Path("/proc", str(process)), []
    try:
        command = (place / "cmdline").read_bytes().decode().replace("\0", " ")
        for thread in (place / "task").iterdir():
            state = (thread / "stat").read_text().rpartition(")")[2].split()[0]
            threads.append(f"{state} {(thread / 'wchan').read_text()}")
    except OSError:
        return f"{process} has ended"
    return f"{process} {threads} {command[:200]}"


def outputs(folder: Path) -> dict[str, str]:
    """Return the digest of each output by path, except logs, benchmarks and what shows them."""
    results = folder / "results"
    files = (file for file in results.rglob("*") if file.is_file())
    names = {str(file.relative_to(results)): file for file in files}
    return {
        name: hashlib.sha256(file.read_bytes()).hexdigest()
        for name, file in sorted(names.items())
        if not is_timed(name)
    }


def await_victims(run: Run, when: str, latest: float) -> list[int] | None:
    """Wait for an instant of a kind; return the processes to kill, or None if the run ends."""
    look = {
        "training": lambda: run.jobs("train"),
        "saving": run.saving,
        "predicting": lambda: run.jobs("predict"),
        "any time": run.jobs,
    }[when]
    begun = time.monotonic()
    # A run resumes from the last kill, so a fraction of its total time is enough.
    delay = random.uniform(0, latest / 4 if when == "any time" else 3.0)
    if when != "saving":
        while run.main.poll() is None and not (when == "any time" or look()):
            time.sleep(0.05)
        time.sleep(min(delay, max(0.0, PATIENCE - (time.monotonic() - begun))))
    while run.main.poll() is None and time.monotonic() - begun < PATIENCE:
        victims = look()
        if victims:
            return victims
        # A save takes a few milliseconds.
        time.sleep(0.001 if when == "saving" else 0.02)
    return None


def soak(folder: Path, kills: int, options: list[str], seed: int = 0) -> Counter:
    """Kill ``kills`` times; return counts by kind; raise AssertionError on any difference."""
    random.seed(seed)
    shutil.rmtree(folder, ignore_errors=True)
    reference, run = Run(folder / "reference", 1, options), Run(folder / "killed", 2, options)
    begun = time.monotonic()
    reference.start()
    assert reference.main.wait(PATIENCE) == 0, f"see {reference.folder / 'soak.log'}"
    seconds = time.monotonic() - begun
    expected = outputs(reference.folder)
    print(f"reference: {len(expected)} outputs in {seconds:.0f} s", flush=True)

    done, compared = Counter(), 0
    # Any four kills cover all hows and whens, and any sixteen all combinations.
    plan = cycle((HOWS[k % 4], WHENS[(k + k // 4) % 4]) for k in range(16))
    how, when = next(plan)
    run.start()
    while True:
        if done.total() < kills:
            victims = await_victims(run, when, seconds)
            if victims:
                run.kill(how, victims)
                done[how, when] += 1
                print(f"kill {done.total()}: {how}, {when}", flush=True)
                how, when = next(plan)
        elif run.main.wait(PATIENCE) == 0 and not run.jobs():
            break
        if run.main.poll() == 0:
            compared += compare(run, expected)
            shutil.rmtree(run.folder / "results")
        if run.main.poll() is not None:
            run.start()
    compared += compare(run, expected)
    print(f"{done.total()} kills, {compared} runs to the end, all of them with equal bytes")
    return done


def compare(run: Run, expected: dict[str, str]) -> int:
    found = outputs(run.folder)
    different = {
        name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)
    }
    assert not different, f"{run.folder}: other bytes, missing or left over: {sorted(different)}"
    assert not list((run.folder / ".snakemake/locks").glob("*")), "a lock is left"
    return 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("options", nargs="*", help="further arguments of Snakemake, after --")
    args = parser.parse_args()
    counts = soak(args.folder.resolve(), args.kills, args.options, args.seed)
    for (how, when), count in sorted(counts.items()):
        print(f"{count:3d} x {how}, {when}")
