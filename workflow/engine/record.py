"""What Snakemake keeps of a run in .snakemake: locks, and the record of finished jobs.

Of Snakemake's internals, as of 9.27, this uses:

- locks as `.snakemake/locks/*.lock`, which outlive a killed run. tests/workflow/test_crash.py fails
  (`test_the_same_command_recovers_from_a_killed_run_and_leaves_a_live_one_alone`) once they are
  elsewhere: "Directory cannot be locked".
- `finished`, a coroutine of the workflow's `persistence` that takes a job, called also for a job
  that failed. tests/unit/engine/test_record.py fails (`test_snakemake_still_has_what_is_replaced`)
  once it is of another form, and tests/workflow/test_crash.py
  (`test_a_change_is_not_forgotten_by_a_kill`) once it is not called.
"""

import fcntl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO


def clear_locks(folder: Path = Path(".snakemake")) -> IO[str] | None:
    """Remove the locks of killed runs, unless another run is alive in this folder.

    Return a file to keep open for as long as this run lasts: it holds a lock that the system
    releases when the process ends, however it ends. None if no file can be locked.
    """
    with suppress(OSError):
        folder.mkdir(exist_ok=True)
        held = open(folder / "alive", "a")  # noqa: SIM115, since the caller keeps it open
        with suppress(BlockingIOError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for lock in (folder / "locks").glob("*.lock"):
                lock.unlink()
        fcntl.flock(held, fcntl.LOCK_SH)
        return held
    return None


def record_only_finished(persistence, touched: Callable[[str], None]) -> None:
    """Do not record failed jobs as finished, which Snakemake 9 does.

    The outputs of a failed job are deleted. A missing file counts as up to date while the files
    made from it exist, so the change that the job was to apply would be forgotten.

    Args:
        touched: called with each output of an ended job, which Snakemake has just touched.
    """
    finished = persistence.finished

    async def record(job) -> None:
        for file in job.output:
            touched(file)
        if all(Path(file).exists() for file in job.output):
            await finished(job)

    persistence.finished = record


def has_lost_record(folder: Path = Path(), results: str = "results") -> bool:
    """Return whether a folder has results, but no `.snakemake/metadata` on how they were made.

    As of Snakemake 9.27; the case "`.snakemake` deleted" of tests/workflow/test_staleness.py shows
    what follows.
    """
    return (folder / results / "data").exists() and not (folder / ".snakemake/metadata").exists()


def remove_states(results: Path) -> None:
    """Remove the saved state of each member, of any round, that has its checkpoint."""
    for folder in [results / "states", *results.glob("rounds/*/states")]:
        for state in folder.glob("*.pt"):
            if (folder.parent / f"models/{state.stem}/checkpoint.safetensors").exists():
                state.unlink()
        with suppress(OSError):
            folder.rmdir()


def fresh_summary(results: Path) -> str:
    """Return the summary of a run; empty if it is older than the threshold, or missing.

    A run of other targets leaves an older summary in place.
    """
    summary, threshold = results / "summary.txt", results / "threshold.json"
    if not summary.exists() or not threshold.exists():
        return ""
    fresh = summary.stat().st_mtime >= threshold.stat().st_mtime
    return f"\n{summary.read_text()}" if fresh else ""
