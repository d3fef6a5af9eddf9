"""What the text header of a SEG-Y file says of it, beside what the source's says."""

import re
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from saltseg.survey.segy import CARD, TEXT, decode_text

PREFIX = re.compile(r"C ?\d{1,2} ?")
LAST = 38  # cards up to the two that end a header


def describe_output(what: str, run: str, source: Path | str) -> list[str]:
    """Return lines for a text header: what a file is, of which run, and of which source."""
    day = datetime.fromtimestamp(Path(source).stat().st_mtime, UTC).date()
    return [what, f"Run {run} of salt-segmentation", f"Source {Path(source).name} of {day}"]


def with_lines(header: bytes, lines: Sequence[str]) -> bytes:
    """Return a text header of 3200 bytes with more lines, in its own encoding.

    They replace its first blank cards or, if there are too few, the last ones before its end.
    """
    text = decode_text(header)
    encoding = "latin-1" if text == header.decode("latin-1") else "cp037"
    cards = [text[start : start + CARD] for start in range(0, TEXT, CARD)]
    numbered = cards[0].startswith("C")
    wrapped = [part for line in lines for part in textwrap.wrap(line, CARD - 4)]
    blank = [i for i, card in enumerate(cards) if not PREFIX.sub("", card, count=1).strip(" \0")]
    full = [i for i in reversed(range(LAST)) if i not in blank]
    chosen = sorted([*blank, *full][: len(wrapped)])
    found = bytearray(header)
    for place, line in zip(chosen, wrapped, strict=False):
        card = (f"C{place + 1:2} {line}" if numbered else line).ljust(CARD)
        found[place * CARD : (place + 1) * CARD] = card.encode(encoding, errors="replace")
    return bytes(found)
