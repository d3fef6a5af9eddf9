"""Picks of a horizon on a volume's grid, from a text file in any of its columns' orders."""

import logging
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from saltseg.core.errors import InputError, raise_faults
from saltseg.survey.geometry import Geometry
from saltseg.survey.grid import PLANES, Axis
from saltseg.survey.pick_tables import PickTable, is_undefined, read_table
from saltseg.survey.places import Places

POSITIONS = (PLANES, ("x", "y"))
SAMPLED = 2000  # rows by which columns are recognised
MOST = 0.9  # of rows, which columns have to fit to be recognised
# Samples by which z may miss another one and count as equal: a sample, and rounding.
SAME = 1.1
# What z times a factor is, by its unit and the volume's.
FACTORS = {
    ("ms", "ms"): 1.0,
    ("s", "ms"): 1000.0,
    ("m", "m"): 1.0,
    ("ft", "m"): 0.3048,
    ("ft", "ft"): 1.0,
    ("m", "ft"): 1 / 0.3048,
}
SECONDS = 100  # of a volume's last sample, of which picks in seconds or km are always less
# Besides ``pick_tables.UNDEFINED``, what programs write for no pick: these are in doubt if so many
# samples away from all other picks.
NULLS = (0.0, -999.0, -9999.0)
ALONE = 20


@dataclass(frozen=True)
class Survey:
    """A volume's geometry, and x and y of its traces: float64 (2, inlines, crosslines)."""

    geometry: Geometry
    positions: np.ndarray

    @cached_property
    def places(self) -> Places:
        """The way from x and y to traces; InputError if the volume has none."""
        return Places.find(self.positions)


class Reading(NamedTuple):
    """How to read a file, None where it says so itself.

    columns: what each is: inline, crossline, x, y, z, or - for another
    unit: of z: ms, s, m or ft
    """

    columns: list[str] | None = None
    unit: str | None = None


class Found(NamedTuple):
    """How a file was read.

    columns: index of z, and of inline and crossline or x and y
    unit: of z, and whether it is ``negative`` down
    about: all of that in words, and how well x and y fit
    """

    columns: dict[str, int]
    unit: str
    negative: bool
    about: str


@dataclass(frozen=True)
class Picks:
    """Picks of a horizon, one to a trace at most, in the order of the file.

    row: in the file, from 1, int64 (picks)
    inline, crossline: indices of the trace, int64 (picks)
    sample: index of z among the samples, float64 (picks)
    found: how the file was read
    """

    path: Path
    row: np.ndarray
    inline: np.ndarray
    crossline: np.ndarray
    sample: np.ndarray
    found: Found


def read_picks(path: Path, survey: Survey, reading: Reading | None = None) -> Picks:
    """Read the picks of a horizon.

    Raises InputError, naming rows, if columns or units are not clear, or picks lie off the grid or
    are given twice.
    """
    reading, table = reading or Reading(), read_table(path)
    of = choose_columns(table, survey, reading.columns)
    _refuse_texts(table, of)
    z = table.values[:, of["z"]]
    there = ~is_undefined(z)
    if not there.any():
        raise InputError(f"{path}: no pick has a z; all are undefined")
    table = replace(table, rows=table.rows[there], values=table.values[there])
    trace, misfit = _traces(table, of, survey)
    sample, unit, negative = _samples(table, of, survey, reading.unit)
    names = ", ".join(sorted(of, key=of.__getitem__))
    sign = "negative " if negative else ""
    about = f"{path}: {names}, z {sign}in {unit}{misfit}"
    found = Found(of, unit, negative, about)
    return _once(Picks(path, table.rows, *trace, sample, found), survey)


def choose_columns(table: PickTable, survey: Survey, given: list[str] | None) -> dict[str, int]:
    """Return the index of z and of two columns that say where, by name.

    They are as ``given``, as the file names them, or as alone they fit the volume's grid.
    """
    if given is not None:
        if len(given) != table.values.shape[1]:
            raise InputError(
                f"{table.path}: data.labels.columns names {len(given)} columns, row "
                f"{table.rows[0]} has {table.values.shape[1]}"
            )
        return {name: i for i, name in enumerate(given) if name != "-"}
    time = survey.geometry.unit == "ms"
    for z in ("time", "z", "depth") if time else ("depth", "z", "time"):
        for pair in POSITIONS:
            if {z, *pair} <= {*table.columns}:
                _refuse_other_places(table, survey)
                return {name: table.columns.index(name) for name in pair} | {
                    "z": table.columns.index(z)
                }
    return _recognise(table, survey)


def _refuse_other_places(table: PickTable, survey: Survey) -> None:
    """Raise InputError if most picks have x and y of another trace than their numbers'."""
    if not {*PLANES, "x", "y"} <= {*table.columns} or np.isnan(survey.positions).all():
        return
    inline, crossline, *place = (
        table.values[:, table.columns.index(name)] for name in (*PLANES, "x", "y")
    )
    there = _on_lines(inline, crossline, survey) & ~np.isnan(place).any(axis=0)
    nearest = survey.places.nearest(np.column_stack(place)[there])
    axes = survey.geometry.inlines, survey.geometry.crosslines
    own = [
        _index(numbers[there], axis)[0]
        for numbers, axis in zip((inline, crossline), axes, strict=True)
    ]
    same = (abs(nearest.inline - own[0]) <= 1) & (abs(nearest.crossline - own[1]) <= 1)
    if there.any() and same.mean() < 0.5:
        raise InputError(
            f"{table.path}: in {(~same).sum()} rows, first in row {table.rows[there][~same][0]}, x "
            "and y are not those of that inline and crossline in the volume; correct one of both, "
            "or name the columns that are right in data.labels.columns"
        )


def _recognise(table: PickTable, survey: Survey) -> dict[str, int]:
    """Return the columns that fit the grid, in the usual order if another one does, too."""
    values = table.values[:: -(-len(table.values) // SAMPLED)]
    deep = [_is_deep(column, survey.geometry) for column in values.T]
    found = []
    for a, b in permutations(range(values.shape[1]), 2):
        for pair, here in ((PLANES, _on_lines), (("x", "y"), _on_places)):
            good = here(values[:, a], values[:, b], survey)
            if good.mean() < MOST:
                continue
            for z in {*range(values.shape[1])} - {a, b}:
                if (good & deep[z]).mean() >= MOST:
                    rank = pair != PLANES, not a < b < z
                    found.append((rank, {pair[0]: a, pair[1]: b, "z": z}))
    usual = min((rank for rank, _ in found), default=(False, False))
    best = [columns for rank, columns in found if rank == usual]
    if len(best) == 1:
        if [rank[0] for rank, _ in found].count(usual[0]) > 1:
            logging.warning(
                "%s: columns taken as %s, though another order would fit the grid, too; if it is "
                "wrong, set data.labels.columns", table.path, ", ".join(best[0]),
            )  # fmt: skip
        return best[0]
    what = "columns could be more than one way" if best else "no columns recognised"
    raise InputError(
        f"{table.path}: {what}, of inline, crossline and z, or x, y and z, in row {table.rows[0]}: "
        f"{' '.join(f'{value:.10g}' for value in table.values[0])}; the volume has "
        f"{_extent(survey)}; set data.labels.columns, and data.labels.unit if z is in another unit"
    )


def all_columns(table: PickTable, survey: Survey, found: dict[str, int]) -> dict[str, int]:
    """Return the columns that were found, and those that give the same traces the other way."""
    if {*PLANES, "x", "y"} <= {*table.columns}:
        return {name: table.columns.index(name) for name in (*PLANES, "x", "y")} | found
    values = table.values[:: -(-len(table.values) // SAMPLED)]
    others = [i for i in range(values.shape[1]) if i not in found.values()]
    if "x" in found or np.isnan(survey.positions).all():
        return found
    own = [_index(values[:, found[plane]], survey.geometry.line_axis(plane))[0] for plane in PLANES]
    for a, b in permutations(others, 2):
        nearest = survey.places.nearest(values[:, [a, b]])
        if ((nearest.inline == own[0]) & (nearest.crossline == own[1])).mean() >= MOST:
            return found | {"x": a, "y": b}
    return found


def _extent(survey: Survey) -> str:
    geometry = survey.geometry
    known = ~np.isnan(survey.positions).all()
    return (
        f"inlines {geometry.inlines}, crosslines {geometry.crosslines}, z {geometry.samples} "
        f"{geometry.unit}" + (f", {survey.places}" if known else ", no x and y")
    )


def _on_lines(inline: np.ndarray, crossline: np.ndarray, survey: Survey) -> np.ndarray:
    return (
        _index(inline, survey.geometry.inlines)[1]
        & (_index(crossline, survey.geometry.crosslines)[1])
    )


def _on_places(x: np.ndarray, y: np.ndarray, survey: Survey) -> np.ndarray:
    good = ~np.isnan(x) & ~np.isnan(y)
    # Without coordinates, and for numbers of lines, which are no places.
    if np.isnan(survey.positions).all() or not good.any():
        return np.zeros(len(x), bool)
    good[good] = survey.places.nearest(np.column_stack([x, y])[good]).inside
    return good


def _is_deep(z: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Return which values may be a z, in any unit and of any sign, bool."""
    good = is_undefined(z) & ~np.isnan(z).all()  # such as a column of text
    for (_, own), factor in FACTORS.items():
        if own == geometry.unit:
            good |= _within(np.abs(z).clip(max=1e20) * factor, geometry.samples)
    return good


def _fits(z: np.ndarray, geometry: Geometry) -> bool:
    """Return whether z is within the volume, as it is or converted from a unit of its domain."""
    factors = [factor for (_, own), factor in FACTORS.items() if own == geometry.unit]
    return any(_within(z * factor, geometry.samples).mean() >= MOST for factor in factors)


def _within(z: np.ndarray, samples: Axis) -> np.ndarray:
    half = samples.step / 2
    return (z >= samples.first - half) & (z <= samples.last + half)


def _index(numbers: np.ndarray, axis: Axis) -> tuple[np.ndarray, np.ndarray]:
    """Return indices of numbers, int64, and which of them there are, bool."""
    exact = (np.nan_to_num(numbers, nan=np.inf).clip(-1e15, 1e15) - axis.first) / axis.step
    found = np.rint(exact).astype(np.int64)
    return found, (np.abs(exact - found) < 1e-6) & (found >= 0) & (found < axis.count)


def _refuse_texts(table: PickTable, of: dict[str, int]) -> None:
    faults = [
        f"row {table.rows[row]}: expected a number for {name}, found {text}"
        for (row, column), text in table.texts.items()
        for name, used in of.items()
        if used == column
    ]
    raise_faults(str(table.path), faults)


def _traces(
    table: PickTable, of: dict[str, int], survey: Survey
) -> tuple[tuple[np.ndarray, np.ndarray], str]:
    """Return indices of inlines and crosslines, and how well x and y fit."""
    names = PLANES if "inline" in of else ("x", "y")
    values = table.values[:, [of[name] for name in names]]
    here, has, misfit = _on_places, "", ""
    if names == PLANES:
        axes = survey.geometry.inlines, survey.geometry.crosslines
        found, good = zip(*map(_index, values.T, axes), strict=True)
        here, has = _on_lines, f"inlines {axes[0]}, crosslines {axes[1]}"
        inside = good[0] & good[1]
    else:
        nearest = survey.places.nearest(values)
        found, inside = (nearest.inline, nearest.crossline), nearest.inside
        inside = inside & ~np.isnan(values).any(axis=1)
        has = f"{survey.places}"
        misfit = _misfit(nearest.away[inside], survey.places)
    swapped = "" if inside.any() or here(*values.T[::-1], survey).mean() < MOST else (
        f"; {' and '.join(names)} look swapped: correct the header or data.labels.columns"
    )  # fmt: skip
    raise_faults(f"{table.path}: picks off the grid, which has {has}{swapped}", [
        f"row {row}: {names[0]} {a:.10g}, {names[1]} {b:.10g}"
        for row, (a, b) in zip(table.rows[~inside], values[~inside], strict=True)
    ])  # fmt: skip
    return found, misfit


def _misfit(away: np.ndarray, places: Places) -> str:
    if not len(away):
        return ""
    return (
        f"; x and y up to {away.max():.3g} from a trace (half up to {np.median(away):.3g}), of "
        f"{places.spacing:.4g} between traces, whose own x and y miss the grid by up to "
        f"{places.misfit:.3g}"
    )


def _samples(
    table: PickTable, of: dict[str, int], survey: Survey, unit: str | None
) -> tuple[np.ndarray, str, bool]:
    """Return indices of z among the samples, its unit, and whether it is negative down."""
    z, samples = table.values[:, of["z"]], survey.geometry.samples
    negative = _is_negative(table.path, z, survey.geometry)
    z = -z if negative else z
    named = table.units[of["z"]] if table.units else None
    unit = unit or named or table.unit or _unit(table.path, z, survey.geometry)
    if (unit, survey.geometry.unit) not in FACTORS:
        known = unit in {each for each, _ in FACTORS}
        remedy = "correct survey.domain or" if known else "convert it, or set"
        raise InputError(
            f"{table.path}: z in {unit}, but the volume is in {survey.geometry.unit}; {remedy} "
            "data.labels.unit"
        )
    z = z * FACTORS[unit, survey.geometry.unit]
    _refuse_nulls(table, table.values[:, of["z"]], z, samples)
    inside = _within(z, samples)
    own = survey.geometry.unit
    raise_faults(f"{table.path}: z in {unit} outside the volume, {samples} {own}", [
        f"row {row}: z {value:.10g}, {deep:.10g} {own} down"
        for row, value, deep in zip(
            table.rows[~inside], table.values[~inside, of["z"]], z[~inside], strict=True)
    ])  # fmt: skip
    if samples.count > 1 and z.max() < samples.first + samples.step:
        raise InputError(
            f"{table.path}: z in {unit} cannot be right: all of it is within the volume's first "
            f"sample, of {samples} {own}; set data.labels.unit"
        )
    return (z - samples.first) / samples.step, unit, negative


def _is_negative(path: Path, z: np.ndarray, geometry: Geometry) -> bool:
    """Return whether z is negative down: never above 0, unless it fits the volume like that."""
    samples = geometry.samples
    if (z > 0).any() or not (z < 0).any() or samples.last <= 0:
        return False
    if samples.first >= 0 or not _fits(z, geometry):
        return True
    if _fits(-z, geometry):
        logging.warning(
            "%s: z is negative, and taken as above 0, where the volume begins (%s); if it is down "
            "from 0, write it without the sign", path, samples,
        )  # fmt: skip
    return False


def _refuse_nulls(table: PickTable, written: np.ndarray, z: np.ndarray, samples: Axis) -> None:
    """Raise InputError for values that programs write for no pick, far from all other picks.

    Args:
        written: z as in the file.
        z: in the volume's unit, down.
    """
    faults = []
    for null in NULLS:
        same = written == null
        if same.any() and not same.all():
            far = np.abs(z[~same] - z[same][0]).min() > ALONE * samples.step
            # A volume that begins above 0 may have a pick there.
            if far and not (null == 0 and samples.first < 0):
                faults += [f"row {row}: z {null:g}" for row in table.rows[same]]
    raise_faults(
        f"{table.path}: picks far from all others, with a value that often stands for none; delete "
        "these rows, or write 1e30",
        faults,
    )


def _unit(path: Path, z: np.ndarray, geometry: Geometry) -> str:
    """Return the unit of z in which it fits the volume: its own, or seconds.

    Raises InputError if it only fits in another.
    """
    own, samples = geometry.unit, geometry.samples
    in_seconds = z * FACTORS["s", "ms"]
    if own == "ms" and z.max() * SECONDS <= samples.last and _within(in_seconds, samples).any():
        return "s"
    if own != "ms" and z.max() * SECONDS <= samples.last and _within(1000 * z, samples).all():
        raise InputError(
            f"{path}: z from {z.min():.10g} to {z.max():.10g} looks like k{own}, since the volume "
            f"has {samples} {own}; convert it, or set data.labels.unit: {own}"
        )
    for (unit, of), factor in FACTORS.items():
        fits = _within(z * factor, samples).mean() >= MOST
        if of == own != unit and fits and _within(z, samples).mean() < MOST:
            raise InputError(
                f"{path}: z from {z.min():.10g} to {z.max():.10g} cannot be in {own}, of which the "
                f"volume has {samples}, but could be in {unit}; set data.labels.unit: {unit}"
            )
    return own


def _once(picks: Picks, survey: Survey) -> Picks:
    """Return picks without those that repeat one, as where lines cross.

    Raises InputError if they differ, or repeat a line.
    """
    number = picks.inline * survey.geometry.crosslines.count + picks.crossline
    _, first, of = np.unique(number, return_index=True, return_inverse=True)
    again = np.setdiff1d(np.arange(len(number)), first)
    other = first[of[again]]
    differ = np.abs(picks.sample[again] - picks.sample[other]) > SAME
    raise_faults(f"{picks.path}: two picks on one trace", [
        f"row {row}: {_name(picks, i, survey)} was at another z in row {picks.row[j]}; give each "
        "of several surfaces a file of its own"
        for row, i, j in zip(
            picks.row[again[differ]], again[differ], other[differ], strict=True)
    ])  # fmt: skip
    raise_faults(f"{picks.path}: one line given twice", _repeated(picks, first, again, survey))
    kept = np.sort(first)
    parts = picks.row, picks.inline, picks.crossline, picks.sample
    return Picks(picks.path, *(part[kept] for part in parts), picks.found)


def _repeated(picks: Picks, first: np.ndarray, again: np.ndarray, survey: Survey) -> list[str]:
    """Return faults for lines of which most traces are given again."""
    faults = []
    for plane, lines in zip(PLANES, (picks.inline, picks.crossline), strict=True):
        for line in np.unique(lines[again]):
            twice = again[lines[again] == line]
            if len(twice) > max(1, (lines[first] == line).sum() / 2):
                number = survey.geometry.line_axis(plane).numbers()[line]
                faults.append(
                    f"{plane} {number} from row {picks.row[twice[0]]} to {picks.row[twice[-1]]}; "
                    "keep one"
                )
        if faults:
            break
    return faults


def _name(picks: Picks, i: int, survey: Survey) -> str:
    """Return the trace of a pick in words."""
    inline = survey.geometry.inlines.numbers()[picks.inline[i]]
    return f"inline {inline}, crossline {survey.geometry.crosslines.numbers()[picks.crossline[i]]}"
