"""Errors that a user can fix; a stage reports them in a line or two, without a traceback."""

import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

LISTED_FAULTS = 20
RESULTS = "results"  # where a run writes, below its working directory and a module's prefix


class InputError(ValueError):
    """A file or a setting is not as expected; the message names it and how to fix it."""


class DamagedError(InputError):
    """A file differs from what was written; ``finding`` is the message without the remedy."""

    def __init__(self, path: Path, difference: str):
        self.finding = f"{path}: its content differs from what was written ({difference})"
        super().__init__(f"{self.finding}; {rebuild_hint(path)}")


class MemoryShortageError(InputError):
    """Too little main memory, of which a scheduler may grant more."""


def raise_faults(what: str, faults: Iterable[str]) -> None:
    """Raise one InputError that lists the first 20 faults and counts the rest, if there are any."""
    faults = list(faults)
    if not faults:
        return
    count = "1 problem" if len(faults) == 1 else f"{len(faults)} problems"
    lines = [f"{what}: {count} found", *(f"  - {fault}" for fault in faults[:LISTED_FAULTS])]
    if len(faults) > LISTED_FAULTS:
        lines.append(f"  ... and {len(faults) - LISTED_FAULTS} more")
    raise InputError("\n".join(lines))


def printable(text: str) -> str:
    """Return text from a file for a message: printable, and shortened if it is very long."""
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= 300 else f"{text[:200]}...{text[-80:]}"


def rebuild_hint(path: Path) -> str:
    """Return, for a message, how to replace a damaged file and nothing else."""
    if path.is_absolute() or RESULTS not in path.parts:
        return "copy it again from its source, or rebuild it there"
    return (
        f"delete it, run 'snakemake {shlex.quote(str(path))}' (plus your other options) to rebuild "
        "it, then run the same command again"
    )


def first_line(error: Exception) -> str:
    """Return the first line of an error's message."""
    return str(error).strip().partition("\n")[0]


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error means out of memory."""
    # PyTorch, which not every stage has, raises its own on a GPU and a RuntimeError on a CPU.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )


@contextmanager
def oom_hint(key: str, value: int, unit: str = "tiles at once") -> Iterator[None]:
    """Raise InputError with the value to try for ``key`` if ``value`` does not fit into memory."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        remedy = f"set {key} to {value // 2}" if value > 1 else "request more"
        # A GPU has no more memory at the next attempt.
        on_gpu = type(error).__name__ == "OutOfMemoryError"
        raise (InputError if on_gpu else MemoryShortageError)(
            f"not enough memory for {value} {unit} ({first_line(error)}); {remedy}, and run the "
            "same command again"
        ) from None
