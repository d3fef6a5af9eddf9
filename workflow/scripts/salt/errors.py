"""Faults that a user can mend; a stage reports them in a line or two, without a traceback."""

from collections.abc import Iterable

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
