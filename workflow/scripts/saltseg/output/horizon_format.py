"""Surfaces as text files like those of picks that a user gave as labels."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from saltseg.survey.pick_tables import field_spans, read_table
from saltseg.survey.picks import FACTORS, Reading, Survey, all_columns, read_picks

MOST_DECIMALS = 6
NOTHING = "1e30"  # in place of numbers that only picks have, such as a quality


@dataclass(frozen=True)
class HorizonFormat:
    """How to write a surface as a file of picks is written: its columns, widths and decimals.

    suffix: of the file's name
    head, tail: lines before and after all rows
    row: a template with a place for each of ``columns``
    factor: of z, from the volume's unit
    """

    suffix: str
    head: str
    tail: str
    row: str
    columns: list[str]
    factor: float

    @classmethod
    def of(cls, path: Path, survey: Survey, reading: Reading) -> "HorizonFormat":
        """Return the format of a file of picks; InputError if it cannot be read."""
        table, found = read_table(path), read_picks(path, survey, reading).found
        names = {i: name for name, i in all_columns(table, survey, found.columns).items()}
        factor = (-1 if found.negative else 1) / FACTORS[found.unit, survey.geometry.unit]
        step = f"{survey.geometry.samples.step * abs(factor):.{MOST_DECIMALS}f}".rstrip("0")
        row = ""
        for i, (between, text) in enumerate(_parts(table.example)):
            if i in names:
                column = table.values[:, i]
                row += _place(between, text, _decimals(step) if names[i] == "z" else _most(column))
            else:
                same = not text or (0, i) in table.texts
                row += (between + (text if same else NOTHING)).replace("%", "%%")
        head, tail = ("".join(f"{line}\n" for line in lines) for lines in (table.head, table.tail))
        return cls(path.suffix, head, tail, f"{row}\n", [names[i] for i in sorted(names)], factor)

    def rows(self, surface: pd.DataFrame) -> str:
        """Return rows of a surface, a table with inline, crossline, x, y and z."""
        scaled = surface.assign(z=surface["z"] * self.factor)[self.columns]
        return "".join(map(self.row.__mod__, scaled.itertuples(index=False, name=None)))


def _parts(line: str) -> Iterator[tuple[str, str]]:
    """Yield the text of each column, and what is between it and the one before."""
    stop = 0
    for start, end in field_spans(line):
        text = line[start:end].strip()
        start = line.index(text, start)
        yield line[stop:start], text
        stop = start + len(text)


def _place(between: str, text: str, decimals: int) -> str:
    """Return the template of a number like ``text``; columns that are aligned stay so."""
    words = between.rstrip(" ")
    blanks = len(between) - len(words)
    width = blanks - 1 + len(text) if blanks > 1 else ""
    before = words.replace("%", "%%") + " " * min(blanks, 1)
    return f"{before}%{width}.{max(decimals, _decimals(text))}f"


def _most(numbers: np.ndarray) -> int:
    """Return how many decimals some numbers need, up to ``MOST_DECIMALS``."""
    known = numbers[~np.isnan(numbers)]
    for decimals in range(MOST_DECIMALS):
        if np.abs(known - known.round(decimals)).max(initial=0) < 0.5 * 10**-MOST_DECIMALS:
            return decimals
    return MOST_DECIMALS


def _decimals(number: str) -> int:
    """Return how many decimals the text of a number has."""
    return MOST_DECIMALS if "e" in number.lower() else len(number.partition(".")[2])
