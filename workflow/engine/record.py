"""What Snakemake keeps of finished jobs, and which failed jobs it tries again.

Of Snakemake's internals this replaces:

- `finished` and `restore_output` of its persistence, because Snakemake 9 records failed jobs as
  finished: https://github.com/snakemake/snakemake/issues/3808
- `restart_times` of a job and of a group of jobs, because Snakemake retries whatever the error was:
  https://github.com/snakemake/snakemake/issues/2441

tests/unit/engine/test_record.py fails once these have another form.
"""

import os
from contextlib import suppress
from pathlib import Path

from snakemake.jobs import GroupJob, Job
from snakemake.persistence import PersistenceBase

from saltseg.stage.job_log import useful_retries

FINISHED, RESTART_TIMES = PersistenceBase.finished, Job.restart_times


def record_only_finished() -> None:
    """Do not record failed jobs as finished.

    The outputs of a failed job are deleted, or are those of an earlier one if flagged as `update`.
    A missing file counts as up to date while the files made from it exist, so the change that the
    job was to apply would be forgotten.
    """
    kept = set()

    def restore_output(persistence, path: Path) -> bool:
        """Keep a failed job's previous output, which stages replace at once or not at all."""
        kept.add(path)
        persistence.cleanup_backup(path)
        return path.exists()

    async def finished(persistence, job) -> None:
        outputs = {Path(file) for file in job.output}
        if all(file.exists() for file in outputs) and not outputs & kept:
            await FINISHED(persistence, job)
        kept.difference_update(outputs)

    PersistenceBase.finished, PersistenceBase.restore_output = finished, restore_output


def retry_only_what_helps() -> None:
    """Do not run a job again that ended with an error which a repeat would meet again."""

    def restart_times(job) -> int:
        retries = RESTART_TIMES.fget(job)
        return min([useful_retries(Path(log), retries) for log in job.log], default=retries)

    def restart_times_of_group(group) -> int:
        """Return the fewest of the jobs that ended with an error; else the most, as Snakemake."""
        fewer = [job for job in group.jobs if job.restart_times < RESTART_TIMES.fget(job)]
        return min(
            (job.restart_times for job in fewer),
            default=max(job.restart_times for job in group.jobs),
        )

    Job.restart_times = property(restart_times)
    GroupJob.restart_times = property(restart_times_of_group)


def lost_record(results: Path, stamp: Path) -> bool:
    """Return whether results are older than the record of how they were made, or have none.

    Args:
        stamp: a file beside the record, made here if missing: it is as old as the record.
    """
    record = stamp.parents[1]
    # Of finished jobs, in files or in a database, and of those that run.
    kept = any(any(record.glob(name)) for name in ("metadata/*", "metadata.db", "incomplete/*"))
    with suppress(OSError):
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.touch(exist_ok=False)
        if kept:
            # A record of a release that wrote no stamp.
            os.utime(stamp, (0, 0))
    made = [path for path in results.glob("data/*") if path.is_file()]
    with suppress(OSError):
        older = any(path.stat().st_mtime < stamp.stat().st_mtime for path in made)
        return older or bool(made and not kept)
    return False
