"""Terminal output of a run: stages, progress and, at the end, the cause of a failure.

Each job's script prints its own lines. Snakemake's blocks of inputs, outputs and commands go to its
log file only, unless options ask for more (--printshellcmds, --verbose) or less (--quiet). Of a job
that a scheduler ended, for example at its time limit, the scheduler's reason is shown.

Of Snakemake's internals this uses the events of its log records, a public interface of its logger
plugins, and the name of its handler (9.27); if that changes, the terminal shows everything.
"""

import atexit
import logging
import re
import shlex
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from saltseg.stage.cli import TIME, job_name

SHOWN = 6  # lines of each cause
PATIENCE = 60  # seconds for a stage to import its modules
STREAM = "DefaultStreamHandler"
# Blocks about a job's files, and what is reported elsewhere.
LEFT_OUT = {
    *("workflow_started", "shellcmd", "resources_info"),
    *("job_info", "job_started", "job_finished"),
}
CHATTER = (
    *("Select jobs to execute", "Using shell:", "Conda environments:", "Assuming unrestricted"),
    *("Building DAG", "RuleException"),
)
TIMED = re.compile(r"^\d\d:\d\d:\d\d ")
# The message, logs and command of a failed job, or of one in a group.
FAILED = re.compile(
    r"(?:^ +message: (.+)\n(?: +(?:jobid|input|output): .*\n)*)?"
    r"^ +log: (.+) \(check log file.*\n(?: +conda-env: .*\n)?(?: +shell:\n +(.+)\n)?",
    re.MULTILINE,
)
# Signs that the system or a scheduler killed a job, by Python, by a shell, and by Slurm.
KILLED = ("Signals.SIGKILL", "exit status 137", "'OUT_OF_MEMORY'")
# What Snakemake appends to the message of each job that was submitted.
ADVICE = "For further error details see the cluster/cloud log"


def event_of(record: logging.LogRecord) -> str:
    """Return the name of a log record's event; empty if it has none."""
    event = getattr(record, "event", None)
    return "" if event is None else str(getattr(event, "value", event))


def reason_of(message: str | None) -> str:
    """Return why a scheduler ended a job, from Snakemake's message; empty if it does not say."""
    reason = (message or "").partition(ADVICE)[0].strip()
    # Snakemake writes the missing message of a job of this machine as None.
    return "" if reason == "None" else reason


class Terse(logging.Filter):
    """Leave out a log record that repeats what the jobs themselves print."""

    def filter(self, record: logging.LogRecord) -> bool:
        event = event_of(record)
        if event == "job_error":
            return bool(reason_of(getattr(record, "rule_msg", None)))
        return event not in LEFT_OUT and not record.getMessage().startswith(CHATTER)


class Brief(logging.Formatter):
    """Write the error of a submitted job as one line like those of stages, all else as before."""

    def __init__(self, other: logging.Formatter):
        super().__init__()
        self.other = other

    def format(self, record: logging.LogRecord) -> str:
        if event_of(record) != "job_error":
            return self.other.format(record)
        log = next(iter(record.log), None)
        job = job_name(Path(record.rule_name), log and Path(log))
        time = self.formatTime(record, TIME)
        return f"{time} {job} | {reason_of(record.rule_msg)}"


def make_terse(logger: logging.Logger, asked: bool) -> None:
    """Reduce Snakemake's output to a few lines per job, unless options ask for more."""
    for handler in logger.handlers:
        if handler.name == STREAM and not asked:
            handler.addFilter(Terse())
            handler.setFormatter(Brief(handler.formatter))


def cause(log: Path) -> list[str]:
    """Return the lines of a job's log that explain why it failed.

    These are the last error with the lines that belong to it, or the last line; none if nothing
    was written.
    """
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    begins = [number for number, line in enumerate(lines) if " Error: " in line]
    if not begins:
        return lines[-1:]
    first = begins[-1]
    # An error's further lines have no time of their own.
    last = next((i for i in range(first + 1, len(lines)) if TIMED.match(lines[i])), len(lines))
    found = lines[first:last]
    found[0] = TIMED.sub("", found[0])
    if len(found) > SHOWN:
        found = [*found[: SHOWN - 1], f"  ... and {len(found) - SHOWN + 1} more lines in the log"]
    return found


def cause_outside(others: list[Path], command: list[str]) -> list[str]:
    """Return why a job with an empty log failed.

    Args:
        others: where a scheduler put what the job printed; empty for a job of this machine.
        command: the job's, by words.
    """
    for other in filter(Path.is_file, others):
        lines = other.read_text(errors="replace").splitlines()
        if said := [line for line in lines if line.strip()][-SHOWN:]:
            return [f"its log is empty; {other} ends with:", *(f"  {x}" for x in said)]
    where = f"see {', '.join(map(str, others))}" if others else "the job's own output is above"
    above = [f"its log is empty; {where}"]
    script = next((word for word in command if word.endswith(".py")), None)
    if script is None:
        return above
    # A stage opens its log after its imports; with --help it does nothing else.
    with suppress(OSError, subprocess.TimeoutExpired):
        tried = subprocess.run(
            [sys.executable, script, "--help"], capture_output=True, text=True, timeout=PATIENCE
        )
        said = tried.stderr.strip().splitlines()
        if tried.returncode and said:
            return ["its log is empty, since the stage does not start:", f"  {said[-1]}"]
    return above


def failures(printed: str) -> dict[str, list[str]]:
    """Return the cause of each failed job, by its log, from what Snakemake printed."""
    found = {}
    for failed in FAILED.finditer(printed):
        # A scheduler's log comes after the job's own.
        log, *others = failed[2].replace(".log, ", ".log\0").split("\0")
        command = []
        with suppress(ValueError):
            command = shlex.split(failed[3] or "")
        reason = reason_of(failed[1])
        found[log] = [reason] if reason else []
        found[log] += cause(Path(log)) or cause_outside([Path(x) for x in others], command)
    return found


def last_words(printed: str) -> str:
    """Return the last lines of a failed run, from Snakemake's output."""
    if "Terminating processes on user request" in printed:
        return "Interrupted. Finished results are kept; run the same command again to continue."
    told = []
    for name, lines in failures(printed).items():
        told += [f"{name}:", *(f"  {line}" for line in lines)]
    if told:
        told.insert(0, "Failed, by the log to open:")
    if any("'TIMEOUT'" in line for line in told):
        told.append(
            "A job reached its time limit. Raise it, for example with --set-resources "
            "train:runtime=600 (minutes), and run the same command again: training resumes from "
            "the last saved epoch."
        )
    if any(sign in printed for sign in KILLED):
        told.append(
            "A job was killed, probably because the machine ran out of memory. Request more, or "
            "lower --cores, training.micro_batch or inference.batch_size, and run the same command "
            "again: training resumes from the last saved epoch."
        )
    return "\n".join(told)


def print_at_exit(text: str) -> None:
    """Print a text when the process ends, below Snakemake's own last lines."""
    if text:
        atexit.register(print, f"\n{text}", file=sys.stderr)
