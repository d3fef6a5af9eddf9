"""The log of a job: its name on the terminal, and why the job failed."""

import re
import time
from dataclasses import dataclass
from pathlib import Path

from saltseg.core.errors import RESULTS

TIME = "%H:%M:%S"
# How the last message of a failed stage begins. A repeat would meet an error again, and need not
# meet what interrupted it; each repeat may get more memory, up to its third attempt.
ERROR, INTERRUPTED, OUT_OF_MEMORY = "Error: ", "Interrupted: ", "Out of memory: "
MEMORY_RETRIES = 2
SHOWN = 6  # lines of each cause
TIMED = re.compile(r"^\d\d:\d\d:\d\d ")


@dataclass(frozen=True)
class Cause:
    """Why a job failed: some lines, and whether it ended without a message of its own."""

    lines: list[str]
    killed: bool = False


def time_of(seconds: float) -> str:
    """Return the time of day of a time stamp."""
    return time.strftime(TIME, time.localtime(seconds))


def job_name(script: Path, log: Path | None) -> str:
    """Return a job's name for the terminal: its stage and, by its log, its seed or the like.

    ``train 3`` for ``results/logs/train/3.log``, and ``rounds/0 train 3`` in an earlier round or
    ``experiments/wide train 3`` in an experiment; ``surveys/north split`` of a further survey.
    """
    if log is None or "logs" not in log.parts:
        return script.stem
    index = len(log.parts) - 1 - log.parts[::-1].index("logs")
    stage, *which = log.with_suffix("").parts[index + 1 :]
    before = "/".join(log.parts[:index]).rpartition(f"{RESULTS}/")[2]
    parts = [before] if before.startswith(("experiments/", "rounds/", "surveys/")) else []
    return " ".join([*parts, stage, *(["/".join(which)] if which else [])])


def cause(log: Path, others: list[Path]) -> Cause:
    """Return why a job failed: its last error, or the end of a log that names none.

    Args:
        log: the job's own.
        others: where a scheduler put what the job printed; empty for a job of this machine.
    """
    lines = read_lines(log)
    error = last_error(lines)
    if error:
        return Cause(error)
    if lines:
        return Cause([f"ended without an error message, after: {lines[-1]}"], killed=True)
    for other in others:
        printed = [line for line in read_lines(other) if line.strip()][-SHOWN:]
        if printed:
            return Cause([f"its log is empty; {other} ends with:", *(f"  {x}" for x in printed)])
    if others:
        return Cause([f"its log is empty; see {', '.join(map(str, others))}"])
    return Cause(["its log is empty; its output is above, or it was killed, perhaps out of memory"])


def useful_retries(log: Path, retries: int) -> int:
    """Return how many of a failed job's retries can help, by the end of its log."""
    message = "".join(last_error(read_lines(log))[:1])
    if message.startswith(ERROR):
        return 0
    return min(retries, MEMORY_RETRIES) if message.startswith(OUT_OF_MEMORY) else retries


def last_error(lines: list[str]) -> list[str]:
    """Return the last error in a log with the lines that belong to it; empty if there is none."""
    begins = [n for n, line in enumerate(lines) if is_error(line)]
    if not begins:
        return []
    first = begins[-1]
    # An error's further lines have no time of their own.
    last = next((i for i in range(first + 1, len(lines)) if TIMED.match(lines[i])), len(lines))
    found = [TIMED.sub("", lines[first]), *lines[first + 1 : last]]
    if len(found) > SHOWN:
        found = [*found[: SHOWN - 1], f"  ... and {len(found) - SHOWN + 1} more lines in the log"]
    return found


def is_error(line: str) -> bool:
    """Return whether a line of a log begins the message of a failure."""
    begins = (ERROR, INTERRUPTED, OUT_OF_MEMORY)
    return bool(TIMED.match(line)) and TIMED.sub("", line).startswith(begins)


def read_lines(log: Path) -> list[str]:
    """Return the lines of a log; none if it does not exist."""
    return log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
