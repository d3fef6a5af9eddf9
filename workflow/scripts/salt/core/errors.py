"""Faults that a user can mend; a stage reports them in a line or two, without a traceback."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

LISTED_FAULTS = 20


class InputError(ValueError):
    """A file or a setting is not as expected; the message names it and says how to mend it."""


def raise_faults(what: str, faults: Iterable[str]) -> None:
    """Raise one InputError that lists up to 20 faults and counts the rest; none is no error."""
    faults = list(faults)
    if not faults:
        return
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    lines = [f"{what}: {count} found", *(f"  - {fault}" for fault in faults[:LISTED_FAULTS])]
    if len(faults) > LISTED_FAULTS:
        lines.append(f"  ... and {len(faults) - LISTED_FAULTS} more")
    raise InputError("\n".join(lines))


def shown(text: str) -> str:
    """A name or a value from a file for a message: printable, and cut where it is very long."""
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= 300 else f"{text[:200]}...{text[-80:]}"


def first_line(error: Exception) -> str:
    """What an error says, without the pages that may follow."""
    return str(error).strip().partition("\n")[0]


def is_for_want_of_memory(error: Exception) -> bool:
    """Whether an error says that memory was asked for and not given."""
    # PyTorch, which not every stage has, raises its own on a GPU and a RuntimeError on a CPU.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )


@contextmanager
def fewer_at_once(key: str, value: int, of: str = "tiles at once") -> Iterator[None]:
    """Raise InputError with the value to try for a key where memory is too small for ``value``."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_for_want_of_memory(error):
            raise
        mend = f"set {key} to {value // 2}" if value > 1 else "give the job more"
        raise InputError(
            f"not enough memory for {value} {of} ({first_line(error)}); {mend}, and run the same "
            "command again"
        ) from None
