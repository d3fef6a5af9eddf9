"""Labels of a volume's lines, from picks of the top and base of each body of salt.

On each interpreted line, picks of a horizon are joined linearly. Where all traces of a body are
picked, a trace without a pick has none of it; where picks are sparser, wide gaps are not labelled,
nor are traces with only one of top and base.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from saltseg.core.errors import raise_faults
from saltseg.survey.grid import CROSSLINE, INLINE, PLANES, Grid
from saltseg.survey.lines import OTHER, SALT, UNLABELLED
from saltseg.survey.picks import Picks

NAMED = re.compile(r"(inline|crossline)_(-?\d+)")
USUAL_GAPS = 3  # of the usual spacing of picks: up to so many are joined
FEW = 10  # steps between picks, from which no spacing follows
ROUNDING = 0.1  # samples
Line = tuple[str, int]  # plane and index
# Up to how many traces apart picks are joined, by file and plane.
Gaps = dict[tuple[Path, str], int]


@dataclass(frozen=True)
class Body:
    """Picks of the top and base of a body; without a base it reaches down to the next one's top."""

    top: Picks
    base: Picks | None


@dataclass(frozen=True)
class Trail:
    """A horizon along a line.

    sample: float64 (traces), NaN where it is not
    row: of the pick that gives it or is just before, int64 (traces)
    unknown: traces in gaps that were too wide to join, bool (traces)
    """

    path: Path
    sample: np.ndarray
    row: np.ndarray
    unknown: np.ndarray

    @property
    def there(self) -> np.ndarray:
        """Where the horizon is, bool (traces)."""
        return ~np.isnan(self.sample)


Trails = tuple[Trail, Trail | None]  # of a body's top and base


def choose_lines(bodies: list[Body], grid: Grid, given: list[int | str] | None) -> list[Line]:
    """Return the interpreted lines: those that are ``given``, or those that picks run along.

    A number is an inline's; ``crossline_300`` names a crossline. Raises InputError for lines that
    the volume has not.
    """
    if given is None:
        return _covered(files_of(bodies), grid)
    found, faults = [], []
    for line in given:
        named = NAMED.fullmatch(line) if isinstance(line, str) else None
        plane, number = (named[1], int(named[2])) if named else (INLINE, int(line))
        try:
            found.append((plane, grid.line_axis(plane).index(number)))
        except KeyError:
            faults.append(f"no {plane} {number}; the volume has {grid.line_axis(plane)}")
    raise_faults("data.labels.lines", faults)
    return found


def _covered(picks: list[Picks], grid: Grid) -> list[Line]:
    """Return lines that most of their picks run along: the next pick there is the closest one."""
    there = np.zeros(grid.shape[:2], bool)
    for each in picks:
        there[each.inline, each.crossline] = True
    along = _closest(there), _closest(there.T).T
    lines = []
    for axis, plane in enumerate(PLANES):
        closer = along[axis] <= along[1] if plane == INLINE else along[1] < along[0]
        count, own = there.sum(axis=1 - axis), (there & closer).sum(axis=1 - axis)
        lines += [(plane, int(line)) for line in np.flatnonzero((own > 0) & (2 * own > count))]
    return lines


def _closest(there: np.ndarray) -> np.ndarray:
    """Return how far the closest other pick of each row's picks is, float64; infinite if none."""
    found = np.full(there.shape, np.inf)
    for row in np.flatnonzero(there.any(axis=1)):
        places = np.flatnonzero(there[row])
        steps = np.concatenate([[np.inf], np.diff(places), [np.inf]])
        found[row, places] = np.minimum(steps[:-1], steps[1:])
    return found


def choose_gaps(bodies: list[Body], lines: list[Line], given: int | None) -> Gaps:
    """Return up to how many traces apart picks are joined: as ``given``, or by their usual spacing.

    0 if they are on neighbouring traces, so that each trace of a body is picked. A file with few
    picks is like the others.
    """
    gaps = {}
    for plane in PLANES:
        along = [line for line in lines if line[0] == plane]
        steps = {picks.path: _steps(picks, along) for picks in files_of(bodies)}
        every = np.concatenate(list(steps.values()))
        for path, own in steps.items():
            usual = np.median(own if len(own) >= FEW else every) if len(every) else 1
            by_spacing = 0 if usual <= 1 else round(USUAL_GAPS * usual)
            gaps[path, plane] = by_spacing if given is None else given
    return gaps


def _steps(picks: Picks, lines: list[Line]) -> np.ndarray:
    """Return how many traces apart neighbouring picks are, on all lines."""
    steps = [np.diff(_on_line(picks, line)[0]) for line in lines]
    return np.concatenate([np.zeros(0, np.int64), *steps])


def files_of(bodies: list[Body]) -> list[Picks]:
    """Return the picks of all files."""
    return [each for body in bodies for each in (body.top, body.base) if each]


def refuse_repeated(bodies: list[Body]) -> None:
    """Raise InputError if a file is the top, or the base, of several bodies."""
    faults = []
    for side in ("top", "base"):
        paths = [getattr(body, side).path for body in bodies if getattr(body, side)]
        twice = sorted({str(path) for path in paths if paths.count(path) > 1})
        faults += [
            f"{path} is the {side} of several; give each a file of its own" for path in twice
        ]
    raise_faults("data.labels.bodies", faults)


def count_picks(bodies: list[Body], line: Line) -> int:
    """Return how many picks there are on a line."""
    return sum(len(_on_line(picks, line)[0]) for picks in files_of(bodies))


def _on_line(picks: Picks, line: Line) -> tuple[np.ndarray, np.ndarray]:
    """Return the traces of picks on a line, rising, and the picks' indices."""
    plane, index = line
    own, traces = picks.inline, picks.crossline
    if plane == CROSSLINE:
        own, traces = traces, own
    here = np.flatnonzero(own == index)
    here = here[np.argsort(traces[here])]
    return traces[here], here


def name_line(line: Line, grid: Grid) -> str:
    """Return a line in words: "inline 120"."""
    return f"{line[0]} {grid.line_axis(line[0]).numbers()[line[1]]}"


def join(picks: Picks, line: Line, traces: int, gap: int) -> Trail:
    """Return a horizon along a line of so many ``traces``, its picks joined up to ``gap`` apart."""
    at, here = _on_line(picks, line)
    sample, unknown = np.full(traces, np.nan), np.zeros(traces, bool)
    row = np.zeros(traces, np.int64)
    sample[at], row[at] = picks.sample[here], picks.row[here]
    for before, after in zip(at[:-1][np.diff(at) > 1], at[1:][np.diff(at) > 1], strict=True):
        between = np.arange(before + 1, after)
        row[between] = row[before]
        if after - before <= gap:
            ends = sample[[before, after]]
            sample[between] = np.interp(between, [before, after], ends)
        else:
            unknown[between] = gap > 0
    return Trail(picks.path, sample, row, unknown)


def labels_from_horizons(
    bodies: list[Body], grid: Grid, lines: list[Line], gaps: Gaps
) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield plane, number and labels, uint8 (traces, samples), of each line.

    Raises InputError that lists where a base is above its top, and where bodies overlap.
    """
    faults, found = [], []
    for plane, index in lines:
        number = int(grid.line_axis(plane).numbers()[index])
        traces = grid.trace_axis(plane).count

        def follow(picks: Picks, line: Line = (plane, index), traces: int = traces) -> Trail:
            return join(picks, line, traces, gaps[picks.path, line[0]])

        trails = [(follow(body.top), follow(body.base) if body.base else None) for body in bodies]
        wrong = _contradictions(trails)
        others = grid.trace_axis(plane).numbers()
        faults += [f"{plane} {number}, trace {others[trace]}: {text}" for trace, text in wrong]
        if not faults:
            found.append((plane, number, fill(trails, traces, grid.samples.count)))
    raise_faults("data.labels", faults)
    yield from found


def fill(trails: list[Trails], traces: int, samples: int) -> np.ndarray:
    """Return the labels of a line, uint8 (traces, samples), from top and base of each body."""
    labels = np.full((traces, samples), OTHER, np.uint8)
    unknown = np.zeros(traces, bool)
    down = np.arange(samples)
    for number, (top, base) in enumerate(trails):
        others = [other.sample for i, (other, _) in enumerate(trails) if i != number]
        last = base.sample if base else _next_top(top.sample, others, samples)
        salt = (down >= top.sample[:, None] - ROUNDING) & (down <= last[:, None] + ROUNDING)
        labels[salt] = SALT
        unknown |= top.unknown
        if base:
            unknown |= base.unknown | (top.there != base.there)
    labels[unknown] = UNLABELLED
    return labels


def _next_top(top: np.ndarray, others: list[np.ndarray], samples: int) -> np.ndarray:
    """Return the closest of other tops below a top, or the last sample, float64 (traces)."""
    found = np.full(len(top), samples - 1.0)
    for other in others:
        found = np.where(other > top, np.fmin(found, other), found)
    return found


def _contradictions(trails: list[Trails]) -> Iterator[tuple[int, str]]:
    """Yield traces at which horizons contradict each other, and how."""
    for top, base in trails:
        if base:
            for trace in np.flatnonzero(base.sample < top.sample - ROUNDING):
                yield int(trace), f"{_at(base, trace)} is above its top, {_at(top, trace)}"
    for one, other in combinations(trails, 2):
        yield from _crossings(one, other)
        for (top, _), (above, base) in ((one, other), (other, one)):
            if base:
                inside = top.sample >= above.sample - ROUNDING
                inside &= top.sample < base.sample - ROUNDING
                for trace in np.flatnonzero(inside):
                    yield (
                        int(trace),
                        (
                            f"the body of {_at(top, trace)} begins inside another, whose base is "
                            f"{_at(base, trace)}"
                        ),
                    )


def _crossings(one: Trails, other: Trails) -> Iterator[tuple[int, str]]:
    """Yield traces from which tops of bodies without a base are in another order than before."""
    if one[1] or other[1]:
        return
    both = np.flatnonzero(one[0].there & other[0].there)
    order = np.sign(one[0].sample[both] - other[0].sample[both])
    for i in np.flatnonzero(order[1:] * order[:-1] < 0):
        trace = int(both[i + 1])
        yield trace, f"the top of {_at(one[0], trace)} crosses that of {_at(other[0], trace)}"


def _at(trail: Trail, trace: int) -> str:
    return f"row {trail.row[trace]} of {trail.path}"
