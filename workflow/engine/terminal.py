"""Terminal output of a run: stages, progress and, at the end, the cause of a failure.

Each job's script prints its own lines. Snakemake's blocks of inputs, outputs and commands go to its
log file only, unless options ask for more (--printshellcmds, --verbose) or less (--quiet). Of
Snakemake's internals this uses the events of its log records, a public interface of its logger
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

SHOWN = 6  # lines of each cause
PATIENCE = 60  # seconds for a stage to import its modules
STREAM = "DefaultStreamHandler"
# Blocks about a job's files, and what is reported elsewhere.
LEFT_OUT = {
    *("workflow_started", "shellcmd", "resources_info"),
    *("job_info", "job_started", "job_finished", "job_error"),
}
CHATTER = (
    *("Select jobs to execute", "Using shell:", "Conda environments:", "Assuming unrestricted"),
    *("Building DAG", "RuleException"),
)
TIMED = re.compile(r"^\d\d:\d\d:\d\d ")
# The logs and the command of a failed job, or of one in a group.
FAILED = re.compile(
    r"^ +log: (.+) \(check log file.*\n(?: +conda-env: .*\n)?(?: +shell:\n +(.+)\n)?", re.MULTILINE
)


class Terse(logging.Filter):
    """Leave out a log record that repeats what the jobs themselves print."""

    def filter(self, record: logging.LogRecord) -> bool:
        event = getattr(record, "event", None)
        if event is not None and str(getattr(event, "value", event)) in LEFT_OUT:
            return False
        return not record.getMessage().startswith(CHATTER)


def make_terse(logger: logging.Logger, asked: bool) -> None:
    """Reduce Snakemake's output to a few lines per job, unless options ask for more."""
    for handler in logger.handlers:
        if handler.name == STREAM and not asked:
            handler.addFilter(Terse())


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
        log, *others = failed[1].replace(".log, ", ".log\0").split("\0")
        command = []
        with suppress(ValueError):
            command = shlex.split(failed[2] or "")
        found[log] = cause(Path(log)) or cause_outside([Path(x) for x in others], command)
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
    if "Signals.SIGKILL" in printed or "exit status 137" in printed:
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
