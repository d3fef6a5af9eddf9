"""A logger plugin for Snakemake: one line per event of a run, and the cause of a failure last.

Profiles select it by `logger: saltseg`. The scripts of jobs print lines of their own, so what
Snakemake prints about each job goes to its log file only, unless --dry-run, --verbose or
--printshellcmds ask for it.
"""

import re
import sys
from contextlib import suppress
from logging import LogRecord
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from saltseg.stage.job_log import cause, job_name, last_error, read_lines, time_of

HIDDEN = {
    LogEvent.WORKFLOW_STARTED,
    LogEvent.JOB_INFO,
    LogEvent.JOB_STARTED,
    LogEvent.JOB_FINISHED,
    LogEvent.GROUP_INFO,
    LogEvent.SHELLCMD,
    LogEvent.RESOURCES_INFO,
}
ERRORS = {LogEvent.JOB_ERROR, LogEvent.GROUP_ERROR}
# Plain messages that repeat what the plan or an error says.
CHATTER = (
    "Building DAG",
    "Select jobs to execute",
    "Execute ",
    "Using shell:",
    "Conda environments:",
    "Assuming unrestricted",
    "RuleException",
    "Removing output files of failed job",
)
# What Snakemake's executors append to a scheduler's reason.
ADVICE = "For further error details see the cluster/cloud log"
INTERRUPTED = "Interrupted. Finished results are kept; run the same command again to continue."
TIMEOUT = (
    "A job reached its time limit. Raise it, for example with --set-resources train:runtime=600 "
    "(minutes), and run the same command again: training resumes from the last saved epoch."
)
KILLED = (
    "A job was killed before it could report why, probably because the machine ran out of memory. "
    "Request more, or lower --cores, training.micro_batch or inference.batch_size, and run the "
    "same command again: training resumes from the last saved epoch."
)


class LogHandler(LogHandlerBase):
    """Print a run's plan, progress and errors to standard error."""

    writes_to_stream = True
    writes_to_file = False
    # Snakemake's own, which know its options such as --quiet.
    has_filter = False
    has_formatter = False
    needs_rulegraph = False

    def __post_init__(self) -> None:
        settings = self.common_settings
        self.brief = not (settings.dryrun or settings.verbose or settings.printshellcmds)
        self.stream = sys.stdout if settings.stdout else sys.stderr
        self.failed: dict[int, LogRecord] = {}
        self.names: dict[str, str] = {}
        self.groups: list[set[int]] = []
        self.scheduler_logs: dict[int, list[str]] = {}
        self.interrupted = False

    def emit(self, record: LogRecord) -> None:
        """Print a record, and remember the jobs that failed."""
        event = getattr(record, "event", None)
        self.remember(event, record)
        if not self.brief:
            self.print(self.format(record))
        elif event in ERRORS:
            self.print_reason(record)
        elif event not in HIDDEN and not record.getMessage().startswith(CHATTER):
            self.print(self.with_names(self.format(record)))

    def remember(self, event: LogEvent | None, record: Any) -> None:
        """Remember names of jobs, failed ones unless a later attempt succeeds, and interrupts."""
        if event == LogEvent.JOB_INFO:
            self.names[str(record.jobid)] = name_of(record)
        elif event == LogEvent.GROUP_INFO:
            names = ", ".join(job_name(Path(job.rule.name), log_of(job)) for job in record.jobs)
            # A group is called after one of its jobs.
            self.names.update((job.uuid(), names) for job in record.jobs)
        elif event == LogEvent.GROUP_ERROR:
            group = {job["jobid"] for job in record.job_error_info}
            self.groups.append(group)
            self.scheduler_logs.update(dict.fromkeys(group, record.aux_logs))
        elif event == LogEvent.JOB_ERROR:
            self.failed[record.jobid] = record
        elif event == LogEvent.JOB_FINISHED:
            self.failed.pop(record.job_id, None)
        elif event is None and "on user request" in record.getMessage():
            self.interrupted = True

    def with_names(self, text: str) -> str:
        """Return a message such as "Submitted job 8 with ..." with the name of each job."""

        def named(found: re.Match[str]) -> str:
            name = self.names.get(found[1])
            return f"{found[0]} ({name})" if name else found[0]

        return re.sub(r"\b[Jj]ob ([0-9a-f]{8}(?:-[0-9a-f]+)+|\d+)\b", named, text)

    def print_reason(self, record: LogRecord) -> None:
        """Print why a scheduler ended a job; what a job itself reports is on the screen already."""
        reason = reason_of(record)
        if reason:
            self.print(f"{time_of(record.created)} {name_of(record)} | {reason}")

    def print(self, text: str) -> None:
        # A closed pipe or a full disk must not end the run.
        with suppress(OSError, ValueError):
            print(text, file=self.stream, flush=True)

    def close(self) -> None:
        """Print the causes of a failed run as its last lines."""
        if self.brief:
            for line in self.last_lines():
                self.print(line)
        # Snakemake may close twice.
        self.failed, self.interrupted = {}, False
        super().close()

    def causes(self) -> list[Any]:
        """Return the jobs that failed, of a group only those with an error, if there are any.

        Snakemake names all of a group, also those that had succeeded or were not begun.
        """
        wrong = {jobid for jobid, record in self.failed.items() if has_error(record)}
        innocent = {jobid for group in self.groups if group & wrong for jobid in group - wrong}
        return [record for jobid, record in self.failed.items() if jobid not in innocent]

    def last_lines(self) -> list[str]:
        """Return what a failed or interrupted run ends with; nothing if it succeeded."""
        if self.interrupted:
            return ["", INTERRUPTED]
        if not self.failed:
            return []
        lines = ["", "Failed, by the log to open:"]
        killed = False
        for record in self.causes():
            of_group = self.scheduler_logs.get(record.jobid, [])
            log, *others = map(Path, [*(record.log or []), *of_group])
            reason, found = reason_of(record), cause(log, others)
            lines.append(f"{log}:")
            lines += [f"  {line}" for line in [reason, *found.lines] if line]
            killed = killed or (found.killed and not reason)
        if any("'TIMEOUT'" in line for line in lines):
            lines.append(TIMEOUT)
        if killed or any("'OUT_OF_MEMORY'" in line for line in lines):
            lines.append(KILLED)
        return lines


def reason_of(record: LogRecord) -> str:
    """Return why a scheduler ended a job; empty if it does not say."""
    message = getattr(record, "rule_msg", None) or ""
    return message.partition(ADVICE)[0].strip()


def name_of(record: Any) -> str:
    """Return a job's name, such as ``train 3``."""
    return job_name(Path(record.rule_name), log_of(record))


def log_of(job: Any) -> Path | None:
    """Return the log of a job, if it has one."""
    log = next(iter(job.log or []), None)
    return log and Path(log)


def has_error(record: Any) -> bool:
    """Return whether a job's log ends with an error of its own."""
    log = log_of(record)
    return log is not None and bool(last_error(read_lines(log)))
