"""Text files of picks as tables of numbers: what Petrel, OpendTect, Kingdom and Charisma export.

Comments and the lines that programs write around picks are skipped, but for the names of columns
and the unit of z, which they may give.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from saltseg.core.errors import InputError, printable, raise_faults

COMMENTS = ("#", "!", "@", "%", "//", "->")
# Rows of CPS-3, EPIC and Petrel around picks.
WORDS = re.compile(r"(epic|profile|snapping|eod|version|begin|end|ff[a-z]+|fs[a-z]+)\b", re.I)
# Charisma names the numbers in each row: INLINE : 1025 XLINE : 340.
LABELS = re.compile(r"\b(in|x|cross)-?line\b\s*:?\s*(?=[-\d])", re.I)
TOKENS = re.compile(r'"[^"]*"|[^\s,;]+(?:\s*[(\[][^)\]]*[)\]])?')
# "# Field: 3 z meters" of EarthVision, "# 3: Z (ms)" of OpendTect.
NUMBERED = re.compile(r"(?:field\s*:\s*(\d+)\s+|(\d+)\s*:\s*)(.+)", re.I)
# Other words count as units in brackets only. The US survey foot is a foot to two millionths.
UNITS = {
    "ms": "ms msec millisec millisecs millisecond milliseconds",
    "s": "s sec secs second seconds",
    "m": "m meter meters metre metres",
    "ft": "ft feet foot usft ftus surveyft surveyfeet surveyfoot ussurveyfeet ussurveyfoot",
    "km": "km",
    "kft": "kft",
}
UNIT_OF = {alias: unit for unit, aliases in UNITS.items() for alias in aliases.split()}
BRACKETS = re.compile(r"[\s_]*[(\[]\s*([a-z][a-z\s_.-]*)[)\]]$", re.I)
SUFFIX = re.compile(r"[\s_/]+([a-z]+(?:[\s_-](?:ft|feet|foot|us))?)$", re.I)
# In the comments of Petrel.
DEPTH_UNIT = re.compile(r"\W*unit in depth\s*:\s*(\w+)", re.I)
DOWN = ("z", "time", "depth")
NAMES = {
    "inline": "inline il iline inl ilno inlineno inlinenumber inline3d line",
    "crossline": "crossline xline xl crl xlno xlineno crosslinenumber crossline3d xline3d trace",
    "x": "x xcoord xcoordinate cdpx easting utmx",
    "y": "y ycoord ycoordinate cdpy northing utmy",
    "z": "z zvalue",
    "time": "time twt t",
    "depth": "depth tvd tvdss",
}
COLUMN_OF = {alias: name for name, aliases in NAMES.items() for alias in aliases.split()}
# Of a pick that is none, with all values from 1e20 on; IRAP's, too.
UNDEFINED = (-999.25, 9999900.0)
NOTHING = ("", "*", "-", "nan", "null", "none", "undef", "undefined")
LEAST_NUMBERS = 3


@dataclass
class PickTable:
    """Rows of numbers, as a file has them.

    rows: number of each row in the file, from 1, int64 (rows)
    values: float64 (rows, columns), NaN where there is no number
    texts: what stands there instead, by index, unless it means nothing
    columns: names of columns as the file gives them, None for others; empty if it gives none
    units: of columns, in the same way
    unit: of z, if the file gives it apart from names
    example: the first row, as text
    head, tail: lines before it, and after the last one
    """

    path: Path
    rows: np.ndarray
    values: np.ndarray
    texts: dict[tuple[int, int], str] = field(default_factory=dict)
    columns: list[str | None] = field(default_factory=list)
    units: list[str | None] = field(default_factory=list)
    unit: str | None = None
    example: str = ""
    head: list[str] = field(default_factory=list)
    tail: list[str] = field(default_factory=list)


def read_table(path: Path) -> PickTable:
    """Read a file of picks.

    Raises InputError, naming rows, if it cannot be read or its rows differ in length.
    """
    lines = _lines(path)
    head, tail = [], []
    rows, values, texts, faults = [], [], {}, []
    for row, line in enumerate(lines, 1):
        fields = [line[start:stop].strip() for start, stop in field_spans(line)]
        numbers = list(map(_number, fields))
        if _is_around(line) or (not rows and _count(numbers) < LEAST_NUMBERS):
            # A row without a pick is none of a header.
            if rows or not _is_empty_pick(numbers):
                (tail if rows else head).append(line)
            if not _is_around(line) and _is_numeric(line):
                faults.append(
                    f"row {row}: columns separated in more than one way, or decimals with a "
                    f"comma: {printable(line.strip())}"
                )
            continue
        if rows and len(numbers) != len(values[0]):
            faults.append(
                f"row {row}: expected {len(values[0])} columns as in row {rows[0]}, found "
                f"{len(numbers)}: {printable(line.strip())}"
            )
            continue
        texts |= {(len(rows), i): fields[i] for i, n in enumerate(numbers) if n is None}
        tail.clear()
        rows.append(row)
        values.append([np.nan if number is None else number for number in numbers])
    raise_faults(str(path), faults)
    if not rows:
        found = [f"{printable(line.strip())} in row {row}" for row, line in enumerate(lines, 1)]
        raise InputError(
            f"{path}: no picks; expected rows of at least {LEAST_NUMBERS} numbers, found "
            f"{found[-1] if found else 'nothing'}"
        )
    columns, units = _names(head, len(values[0]))
    return PickTable(
        path, np.array(rows), np.array(values, np.float64), texts, columns, units,
        unit=next((unit_named(found[1]) for found in map(DEPTH_UNIT.match, head) if found), None),
        example=lines[rows[0] - 1], head=head, tail=tail,
    )  # fmt: skip


def field_spans(line: str) -> list[tuple[int, int]]:
    """Return where each column of a row begins and ends."""
    # As long as before, without the words of Charisma.
    line = LABELS.sub(lambda label: " " * len(label[0]), line)
    for separator in ",;":
        if separator in line:
            cuts = [i for i, sign in enumerate(line) if sign == separator]
            return list(zip([0, *(cut + 1 for cut in cuts)], [*cuts, len(line)], strict=True))
    return [found.span() for found in re.finditer(r"\S+", line)]


def is_undefined(z: np.ndarray) -> np.ndarray:
    """Return which values of z stand for no pick, bool; see ``UNDEFINED``."""
    return np.isnan(z) | (np.abs(z) >= 1e20) | np.isin(z, UNDEFINED)


def _lines(path: Path) -> list[str]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace").splitlines()
    if b"\0" in data[:4096]:
        raise InputError(f"{path}: not a text file; export picks as text")
    return data.decode("utf-8-sig", errors="replace").splitlines()


def _is_around(line: str) -> bool:
    """Return whether a row is blank, a comment, or one that programs write around picks."""
    return (
        not line.strip() or line.lstrip().startswith(COMMENTS) or bool(WORDS.match(line.lstrip()))
    )


def _number(text: str) -> float | None:
    """Return the number that a text is, NaN if it means nothing, or None."""
    try:
        return float(text)
    except ValueError:
        return np.nan if text.strip('"').lower() in NOTHING else None


def _is_numeric(line: str) -> bool:
    """Return whether a row holds numbers alone, however they are separated."""
    numbers = list(map(_number, re.split(r"[\s,;]+", LABELS.sub(" ", line).strip())))
    return _count(numbers) == len(numbers) >= LEAST_NUMBERS


def _is_empty_pick(numbers: list[float | None]) -> bool:
    """Return whether a row has a place, and something that means no number."""
    return len(numbers) >= LEAST_NUMBERS and None not in numbers and _count(numbers) >= 2


def _count(numbers: list[float | None]) -> int:
    return sum(number is not None and not np.isnan(number) for number in numbers)


def _names(head: list[str], count: int) -> tuple[list[str | None], list[str | None]]:
    """Return the columns that the lines above picks name, and their units."""
    for names in _candidates(head, count):
        columns, units = map(list, zip(*map(_column, names), strict=True))
        named = {name for name in columns if name}
        if {*DOWN} & named and ({"inline", "crossline"} <= named or {"x", "y"} <= named):
            return columns, units
    return [], []


def _candidates(head: list[str], count: int) -> Iterator[list[str]]:
    """Yield names of all columns: one to a numbered row, one to a row, or all in a row."""
    plain = [line.strip().lstrip("".join(COMMENTS)).strip() for line in head]
    numbered = {}
    for line in plain:
        if found := NUMBERED.match(line):
            numbered[int(found[1] or found[2])] = found[3]
    yield [numbered.get(number, "") for number in range(1, count + 1)]
    upper = [line.upper() for line in plain]
    if "BEGIN HEADER" in upper and "END HEADER" in upper:
        yield (plain[upper.index("BEGIN HEADER") + 1 : upper.index("END HEADER")] + [""] * count)[
            :count
        ]
    for line, raw in zip(plain, head, strict=True):
        parts = line.split(","), line.split(";"), raw.split("\t")
        for names in (TOKENS.findall(line), line.split(), *parts):
            if len(names) == count:
                yield names


def _column(name: str) -> tuple[str | None, str | None]:
    """Return what a column is called here, and its unit: "Z (ms)" is z in ms."""
    name = name.strip().lstrip("".join(COMMENTS)).strip().strip('"').strip()
    found = BRACKETS.search(name) or SUFFIX.search(name)
    if found and (found.re is BRACKETS or unit_named(found[1]) in UNITS):
        name, unit = name[: found.start()], unit_named(found[1])
    else:
        unit = None
    return COLUMN_OF.get(re.sub(r"[^a-z0-9]", "", name.lower())), unit


def unit_named(text: str) -> str:
    """Return how a unit is written here, such as ft for "feet"; one that is not known as it is."""
    plain = re.sub(r"[^a-z]", "", text.lower())
    return UNIT_OF.get(plain, plain)
