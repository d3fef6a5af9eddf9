"""Scan a SEG-Y file in one pass; see ``geometry``."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np

from saltseg.core.errors import InputError
from saltseg.survey.geometry import Amplitude, Endian, Geometry
from saltseg.survey.grid import Axis
from saltseg.survey.segy import Segy, decode, field, require_stated_format

KEYS = "survey.inline_byte and survey.crossline_byte"
STANDARD = (189, 193)
# Where else inline and crossline are found in files older than the standard, or made in passing.
ALTERNATIVES = ((9, 21), (17, 13), (5, 21), (9, 13), (17, 21), (9, 193), (189, 21), (17, 25))
COORDINATES = ((181, 185), (73, 77))
# The first looks for trace numbers that grow along a 2-D line: CDP, shot point, and two of traces.
LINE_BYTES = (21, 17, 5, 1)
LONGEST_LINE = 100_000  # traces
# Offset in a file of the measurement system, and what stands for feet there.
MEASUREMENT, FEET = 3254, 2
PREVIEW_BLOCKS, PREVIEW_TRACES = 64, 256
MOST_THREADS = 8  # each holds some 40 MB
SAMPLED = 2**23  # values for the percentile
# A grid may be sparse (labels on a few lines), but not made of meaningless numbers.
BLOCK = 2**20  # traces
LARGEST_EMPTY_GRID, LEAST_FILL = 1_000_000, 1 / 50


@dataclass(frozen=True)
class HeaderSettings:
    """What to use instead of what a file's headers say; None to find it."""

    inline_byte: int | None = None
    crossline_byte: int | None = None
    endian: Endian | None = None
    format: int | None = None
    domain: str | None = None


def scan(
    path: str | Path,
    header: HeaderSettings | None = None,
    percentile: float = 99.9,
    threads: int = 1,
) -> tuple[Geometry, np.ndarray, np.ndarray]:
    """Find the geometry of a post-stack SEG-Y file, and every setting of its headers that is None.

    percentile: of the absolute amplitudes, which becomes the clip

    Returns the geometry, the numbers of traces, int32 (inlines, crosslines), and the positions,
    float64 (2, inlines, crosslines).

    Raises InputError, naming the key to set, if the file cannot be used.
    """
    header = header or HeaderSettings()
    with Segy(path, header.endian, header.format) as file:
        if header.format is None:
            require_stated_format(file)
        where = _where(file, header.inline_byte, header.crossline_byte)
        headers, found = _read_all(file, where, threads)
        grid = _grid(file, where, headers)
        samples, interval, notes = _samples(file, headers)
        amplitude = found.amplitude(percentile)
        if amplitude.min >= 0 < amplitude.max or amplitude.max <= 0 > amplitude.min:
            notes.append("amplitudes never change sign: is this a velocity or another attribute?")
        layout = file.layout
        geometry = Geometry(
            path=str(path),
            size=file.size,
            endian=layout.endian,
            format=layout.format,
            start=layout.start,
            inline_byte=where.inline,
            crossline_byte=where.crossline,
            coordinates_byte=where.coordinates,
            sorting=grid.sorting,
            two_d=grid.inlines.count == 1,
            inlines=grid.inlines,
            crosslines=grid.crosslines,
            samples=samples,
            interval=interval,
            traces=layout.traces,
            missing=int((grid.traces < 0).sum()),
            doubled=grid.doubled,
            dead=found.dead,
            nan=found.nan,
            amplitude=amplitude,
            notes=[*file.notes, *where.notes, *grid.notes, *notes],
            unit=choose_unit(file, header.domain),
        )
    # No longer needed, and positions need much memory.
    del headers.inlines, headers.crosslines, headers.offset, headers.delay
    return geometry, grid.traces, _positions(grid.traces, headers)


def choose_unit(file: Segy, domain: str | None) -> str:
    """Return the unit of a file's samples, whose domain no header has a field for.

    Without a ``domain``, "time" or "depth", it is depth where the text header speaks of that alone.
    """
    said = file.text.lower()
    if domain is None:
        times = any(word in said for word in ("time", "twt", "msec"))
        domain = "depth" if "depth" in said and not times else "time"
    system = int.from_bytes(file.bytes(MEASUREMENT, 2), file.layout.endian)
    return "ms" if domain == "time" else "ft" if system == FEET else "m"


@dataclass
class _Where:
    """Bytes of trace headers to use, from 1; None if there are none."""

    inline: int | None
    crossline: int | None
    coordinates: tuple[int, int] | None
    notes: list[str]


def _where(file: Segy, inline: int | None, crossline: int | None) -> _Where:
    """Choose the bytes of inline, crossline and coordinates by headers from all over the file."""
    layout = file.layout
    count = min(PREVIEW_TRACES, layout.traces)
    # So few that none overlap, whose traces would look like duplicates.
    blocks = min(PREVIEW_BLOCKS, layout.traces // count)
    starts = np.unique(np.linspace(0, layout.traces - count, blocks).astype(np.int64))
    headers = [file.read_headers(int(start), count) for start in starts]

    def values(byte: int) -> list[np.ndarray]:
        return [field(block, byte, layout.endian) for block in headers]

    coordinates = next(
        (pair for pair in COORDINATES if any(_varies(values(b)) for b in pair)
         or (layout.traces == 1 and any(v[0].any() for v in map(values, pair)))),
        None,
    )  # fmt: skip
    if inline is not None or crossline is not None:
        return _Where(inline or STANDARD[0], crossline or STANDARD[1], coordinates, [])
    standard = [values(byte) for byte in STANDARD]
    if _runs_across(file, standard):
        note = (
            "inline and crossline numbers in bytes {} and {} both run along the file: treated as a "
            "2-D line by trace number; for a volume, set {}".format(*STANDARD, KEYS)
        )
        return _Where(None, None, coordinates, [note])
    if _is_grid(*standard):
        return _Where(*STANDARD, coordinates, [])
    stacked = not _varies(values(37))
    for pair in ALTERNATIVES if stacked else ():
        lines = [values(byte) for byte in pair]
        if all(map(_varies, lines)) and _is_grid(*lines):
            note = (
                "inline and crossline numbers taken from bytes {} and {}, since those in {} and {} "
                "form no grid".format(*pair, *STANDARD)
            )
            return _Where(*pair, coordinates, [note])
    if any(map(_varies, standard)):
        return _Where(*STANDARD, coordinates, [])
    if layout.traces == 1 and any(lines[0].any() for lines in standard):
        return _Where(*STANDARD, coordinates, [])
    _require_line(file, coordinates)
    note = (
        "no inline and crossline numbers in bytes {} and {}: treated as a 2-D line by trace "
        "number; for a volume, set {}".format(*STANDARD, KEYS)
    )
    return _Where(None, None, coordinates, [note])


def _runs_across(file: Segy, blocks: list[list[np.ndarray]]) -> bool:
    """Return whether both numbers of traces rise or fall from end to end, as on no volume's lines.

    Args:
        blocks: of inline and crossline, by which most files are told without reading all.
    """
    if file.layout.traces > LONGEST_LINE or not all(_runs(np.concatenate(each)) for each in blocks):
        return False
    headers = _all_headers(file)
    numbers = [field(headers, byte, file.layout.endian).astype(np.int64) for byte in STANDARD]
    # Traces of the same numbers are those of a gather, unless they have the same offset.
    stacked = any(map(_is_monotonic, numbers)) or not np.ptp(field(headers, 37, file.layout.endian))
    return stacked and all(map(_runs, numbers))


def _all_headers(file: Segy) -> np.ndarray:
    return np.concatenate([file.read_headers(*block) for block in file.blocks()])


def _runs(numbers: np.ndarray) -> bool:
    """Return whether numbers differ, and never turn back."""
    steps = np.diff(numbers.astype(np.int64))
    return bool(steps.any() and ((steps >= 0).all() or (steps <= 0).all()))


def _varies(blocks: list[np.ndarray]) -> bool:
    return any((block != blocks[0][0]).any() for block in blocks)


def _is_grid(inlines: list[np.ndarray], crosslines: list[np.ndarray]) -> bool:
    """Whether blocks of neighbouring traces follow lines: one number changes, the other stays."""
    pairs = np.stack([np.concatenate(inlines), np.concatenate(crosslines)], axis=1)
    if len(pairs) < 2 or len(np.unique(pairs, axis=0)) < 0.9 * len(pairs):
        return False
    changes = [
        (np.diff(inline) != 0) ^ (np.diff(crossline) != 0)
        for inline, crossline in zip(inlines, crosslines, strict=True)
    ]
    return bool(np.concatenate(changes).mean() >= 0.5)


def _require_line(file: Segy, coordinates: tuple[int, int] | None) -> None:
    """Raise InputError where traces without inline and crossline make no 2-D line either."""
    layout = file.layout
    if layout.traces == 1:
        return
    nothing = (
        f"{file.path}: expected inline and crossline numbers in bytes {STANDARD[0]} and "
        f"{STANDARD[1]} of the trace headers, found the same in all traces"
    )
    remedy = f"set {KEYS} to where they are"
    if layout.traces > LONGEST_LINE:
        raise InputError(f"{nothing}, {layout.traces} of them; {remedy}")
    headers = _all_headers(file)

    def values(byte: int) -> np.ndarray:
        return field(headers, byte, layout.endian).astype(np.int64)

    offsets = np.unique(values(37))
    # One trace a CDP is stacked, whatever is left of its offsets.
    if len(offsets) > 1 and not _is_monotonic(values(21)):
        raise InputError(
            f"{nothing}, and {len(offsets)} offsets ({offsets[0]} to {offsets[-1]}), as in "
            f"pre-stack data; stack it first or, if it is stacked, {remedy}"
        )
    if not any(_is_monotonic(values(byte)) for byte in LINE_BYTES):
        raise InputError(
            f"{nothing}, and no trace or CDP numbers that would make it a 2-D line; {remedy}"
        )
    if coordinates:
        x, y = (np.diff(values(byte)) for byte in coordinates)
        steps = np.hypot(x, y)
        if (steps > 20 * np.median(steps)).sum() > 1:
            raise InputError(
                f"{nothing}, and coordinates that jump as from line to line of a volume; {remedy}"
            )


def _is_monotonic(numbers: np.ndarray) -> bool:
    steps = np.diff(numbers)
    return bool((steps > 0).all() or (steps < 0).all())


@dataclass
class _Headers:
    """Fields of all trace headers, one value a trace.

    inlines and crosslines are None for a 2-D line without them, x and y in a file without either.
    """

    inlines: Any
    crosslines: Any
    x: Any
    y: Any
    scalar: np.ndarray
    offset: np.ndarray
    delay: np.ndarray


@dataclass
class _Amplitudes:
    """What is summed up of the samples."""

    dead: int
    nan: int
    count: int
    min: float
    max: float
    total: float
    squares: float
    some: np.ndarray  # of absolute values

    def amplitude(self, percentile: float) -> Amplitude:
        if not self.count:
            return Amplitude(0.0, 0.0, 0.0, 0.0, percentile, 1.0)
        mean = self.total / self.count
        clip = float(np.percentile(self.some, percentile)) if len(self.some) else 0.0
        # Where nearly all samples are zero, as those of labels, their largest says more.
        clip = clip or float(max(-self.min, self.max)) or 1.0
        std = max(self.squares / self.count - mean**2, 0.0) ** 0.5
        return Amplitude(self.min, self.max, mean, std, percentile, clip)


def _read_all(file: Segy, where: _Where, threads: int) -> tuple[_Headers, _Amplitudes]:
    """Read every trace once."""
    layout = file.layout
    # One trace of every so many, each at another offset among them, lest they follow the lines.
    every = max(1, layout.traces * layout.samples // SAMPLED)
    groups = np.arange(0, layout.traces, every)
    chosen = groups + np.random.default_rng(0).integers(0, every, len(groups))

    def summary(block: tuple[int, int]) -> tuple[dict, dict, np.ndarray]:
        first, count = block
        traces = file.read(first, count)
        part = np.searchsorted(chosen, [first, first + count])
        return (
            _fields(traces["header"], layout.endian, where),
            *_measure(decode(traces["samples"], layout.format), chosen[slice(*part)] - first),
        )

    fields, totals, some = {}, [], []
    with ThreadPoolExecutor(min(threads, MOST_THREADS)) as pool:
        start = 0
        for found, total, values in pool.map(summary, file.blocks()):
            for name, column in found.items():
                if name not in fields:
                    fields[name] = np.empty(layout.traces, column.dtype)
                fields[name][start : start + len(column)] = column
            start += len(column)
            totals.append(total)
            some.append(values)
    columns: dict[str, Any] = {name: fields.get(name) for name in _Headers.__annotations__}
    live = [total for total in totals if total["count"]]
    return _Headers(**columns), _Amplitudes(
        **{name: sum(t[name] for t in totals) for name in ("dead", "nan", "count")},
        min=min((t["min"] for t in live), default=0.0),
        max=max((t["max"] for t in live), default=0.0),
        **{name: float(sum(t[name] for t in live)) for name in ("total", "squares")},
        some=np.concatenate(some),
    )


def _fields(headers: np.ndarray, endian: Endian, where: _Where) -> dict[str, np.ndarray]:
    four = {"inlines": where.inline, "crosslines": where.crossline, "offset": 37}
    if where.coordinates:
        four |= {"x": where.coordinates[0], "y": where.coordinates[1]}
    found = {name: field(headers, byte, endian) for name, byte in four.items() if byte}
    found["scalar"] = field(headers, 71, endian, 2)
    found["delay"] = field(headers, 109, endian, 2)
    return found


def _measure(values: np.ndarray, chosen: np.ndarray) -> tuple[dict, np.ndarray]:
    """Sum up a block of traces, float32 (traces, samples); and return absolute values of some."""
    finite = np.isfinite(values)
    nan = int(values.size - finite.sum())
    if nan:
        values = np.where(finite, values, 0)
    live = np.any(values, axis=1)
    some = np.abs(values[chosen[live[chosen]]])[finite[chosen[live[chosen]]]]
    counted = int(finite[live].sum()) if nan else int(live.sum()) * values.shape[1]
    total = {"dead": int(len(live) - live.sum()), "nan": nan, "count": counted}
    if counted:
        if nan or not live.all():
            values = values[live][finite[live]]
        wide = values.astype(np.float64).ravel()
        total |= {
            "min": float(values.min()),
            "max": float(values.max()),
            "total": float(wide.sum()),
            "squares": float(wide @ wide),
        }
    return total, some


@dataclass
class _Grid:
    inlines: Axis
    crosslines: Axis
    traces: np.ndarray
    doubled: int
    sorting: str
    notes: list[str]


def _grid(file: Segy, where: _Where, headers: _Headers) -> _Grid:
    """Assign each trace to a cell of the grid."""
    count = file.layout.traces
    if where.inline is None:
        traces = np.arange(count, dtype=np.int32)[None]
        return _Grid(Axis(1, 1, 1), Axis(1, 1, count), traces, 0, "inline", [])
    lines = headers.inlines, headers.crosslines
    axes, placed, notes = _axes(lines)
    numbers = (
        f"inlines {axes[0]} (byte {where.inline}) and crosslines {axes[1]} (byte {where.crossline})"
    )
    cells = axes[0].count * axes[1].count
    if count > 1 and cells == 1:
        raise InputError(
            f"{file.path}: expected inline and crossline numbers, found {numbers} in all {count} "
            f"traces; set {KEYS} to where they are"
        )
    if cells > max(LARGEST_EMPTY_GRID, count / LEAST_FILL):
        raise InputError(
            f"{file.path}: expected a grid that its {count} traces fill, found {numbers}, "
            f"{cells} cells; set {KEYS} to where the numbers are, or survey.format where the "
            "header's is wrong"
        )
    traces, cell = _assign_cells(lines, axes, placed)
    bins = int((traces >= 0).sum())
    doubled = int(placed.sum()) - bins
    if doubled:
        _refuse_gathers(file, headers, placed, traces[cell[placed]], bins, numbers)
        notes.append(f"of {doubled} duplicate traces only the first each is used")
    sorting = _sorting(*(numbers if placed.all() else numbers[placed] for numbers in lines))
    shape = axes[0].count, axes[1].count
    return _Grid(*axes, traces.reshape(shape), doubled, sorting, notes)


def _axes(lines: tuple[np.ndarray, np.ndarray]) -> tuple[list[Axis], np.ndarray, list[str]]:
    """Return the axes of inlines and crosslines, which traces lie on them, and what to note."""
    axes, count = [_axis(numbers) for numbers in lines], len(lines[0])
    none = (lines[0] == 0) & (lines[1] == 0)
    if 1 <= none.sum() < count:
        # Fillers without numbers would stretch the grid to 0.
        without = [_axis(numbers[~none]) for numbers in lines]
        if 2 * without[0].count * without[1].count < axes[0].count * axes[1].count:
            note = f"{none.sum()} traces without inline and crossline numbers are left out"
            return without, ~none, [note]
    return axes, np.ones(count, bool), []


def _assign_cells(
    lines: tuple[np.ndarray, np.ndarray], axes: list[Axis], placed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the trace in each cell of the grid, -1 where there is none, and each trace's cell.

    Of several traces in a cell the first is used.
    """
    count, cells = len(placed), axes[0].count * axes[1].count
    # Block by block, and in 4 bytes if they suffice: there may be tens of millions.
    cell = np.empty(count, np.int32 if cells < 2**31 else np.int64)
    traces = np.full(cells, -1, np.int32)
    # From the last to the first, which overwrites the others.
    for first in reversed(range(0, count, BLOCK)):
        block = slice(first, first + BLOCK)
        row, column = (
            (numbers[block].astype(np.int64) - int(axis.first)) // int(axis.step)
            for numbers, axis in zip(lines, axes, strict=True)
        )
        cell[block] = np.where(placed[block], row * axes[1].count + column, 0)
        order = np.flatnonzero(placed[block])[::-1]
        traces[cell[block][order]] = first + order
    return traces, cell


def _refuse_gathers(
    file: Segy, headers: _Headers, placed: np.ndarray, firsts: np.ndarray, bins: int, numbers: str
) -> None:
    """Raise InputError if many traces share one of ``bins`` cells with the first trace there."""
    total = len(firsts)
    doubled = total - bins
    offsets = headers.offset[placed] != headers.offset[firsts]
    if doubled > 0.5 * bins or (doubled > 0.1 * bins and offsets.any()):
        several = len(np.unique(headers.offset))
        raise InputError(
            f"{file.path}: expected one trace at each position, found {total} traces at "
            f"{bins} positions, of {several} offsets, by {numbers}; "
            + ("it is pre-stack: stack it first, or " if offsets.any() else "")
            + f"set {KEYS} to where the numbers are"
        )


def _axis(numbers: np.ndarray) -> Axis:
    """Return the axis that holds all numbers: its step is their largest common one."""
    found = np.unique(numbers).astype(np.int64)
    step = gcd(*np.unique(np.diff(found)).tolist()) or 1
    return Axis(int(found[0]), step, int(found[-1] - found[0]) // step + 1)


def _sorting(inlines: np.ndarray, crosslines: np.ndarray) -> str:
    """Return which lines' traces lie together."""
    for name, numbers in (("inline", inlines), ("crossline", crosslines)):
        if np.count_nonzero(np.diff(numbers)) + 1 == len(np.unique(numbers)):
            return name
    return "none"


def _samples(file: Segy, headers: _Headers) -> tuple[Axis, float, list[str]]:
    """Return times or depths of samples, the interval as stored, and what to note."""
    notes, first = [], file.read_headers(0, 1)
    interval = file.interval
    in_trace = int(field(first, 117, file.layout.endian, 2)[0]) & 0xFFFF
    if not interval:
        interval = in_trace
        if interval:
            notes.append(
                f"interval {interval} from the first trace's header, since the file's has none"
            )
        else:
            notes.append("no interval in the headers: samples are numbered from 0")
    # A trace's header has whole numbers.
    elif in_trace and abs(in_trace - interval) >= 1:
        notes.append(
            f"interval {interval:g} from the file's header, the first trace's has {in_trace}"
        )
    delays = np.unique(headers.delay)
    scalar = int(field(first, 215, file.layout.endian, 2)[0])
    delay = _scaled(float(headers.delay[0]), scalar)
    if len(delays) > 1:
        notes.append(
            f"delays of {delays[0]} to {delays[-1]}: only that of the first trace is used, "
            f"{delay:g}"
        )
    return Axis(delay, interval / 1000 or 1.0, file.layout.samples), interval, notes


def _scaled(value: float, scalar: int) -> float:
    """Apply a scalar of SEG-Y: a factor or, negative, a divisor."""
    return value * scalar if scalar > 0 else value / -scalar if scalar < 0 else value


def _positions(traces: np.ndarray, headers: _Headers) -> np.ndarray:
    positions = np.full((2, *traces.shape), np.nan)
    if headers.x is None:
        return positions
    for axis, values in enumerate((headers.x, headers.y)):
        for line, found in zip(traces, positions[axis], strict=True):
            there = line >= 0
            numbers = line[there]
            scalar = headers.scalar[numbers].astype(np.float64)
            factor, divisor = np.where(scalar > 0, scalar, 1.0), np.where(scalar < 0, -scalar, 1.0)
            found[there] = values[numbers] * factor / divisor
    return positions
