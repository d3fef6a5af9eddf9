"""Labels of a volume's lines, from a SEG-Y file of the same geometry or a folder of masks."""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from saltseg.core.errors import LISTED_FAULTS, InputError, printable, raise_faults
from saltseg.survey.decoding import decode_drawing
from saltseg.survey.geometry import Geometry
from saltseg.survey.grid import CROSSLINE, INLINE, Grid
from saltseg.survey.lines import OTHER, SALT, UNLABELLED, Line, Lines
from saltseg.survey.source import PICTURES, name_others
from saltseg.survey.volume import Volume

MASK_NAME = re.compile(r"(inline|crossline)_(-?\d+)\.png", re.IGNORECASE)
# A crossline is no line of its own where labelled inlines give this share of its labels.
COVERED = 0.9


def read_lines(
    volume: Volume, grid: Grid, labels: Iterator[tuple[str, int, np.ndarray]], file: str = ""
) -> list[Line]:
    """Return labelled lines with their amplitudes.

    Args:
        labels: plane, number and labels, uint8 (traces, samples), of each line.
        file: name of the volume's SEG-Y file, if there are several.

    Raises InputError if nothing is labelled.
    """
    lines = []
    for plane, number, of_line in labels:
        index = grid.line_axis(plane).index(number)
        one = slice(index, index + 1)
        if plane == INLINE:
            amplitude = volume.read(one, slice(None))[0]
        else:
            amplitude = volume.read(slice(None), one)[:, 0]
        # A missing or dead trace cannot have been interpreted.
        missing = np.isnan(amplitude).all(axis=1, keepdims=True)
        known = np.where(missing, UNLABELLED, of_line).astype(np.uint8)
        if (known != UNLABELLED).any():
            lines.append(Line(plane, number, 0, amplitude, known, file=file))
    if not lines:
        raise InputError("data.labels: no trace of the volume is labelled")
    return lines


def cut_lines(
    lines: list[Line], pieces_of: int, tile: int, former: Sequence[Lines] = ()
) -> list[Line]:
    """Return lines, cut where there are fewer than ``pieces_of``.

    Pieces have room for a window of ``tile``, so that there may be fewer.

    Args:
        former: those of another run's surveys, of which lines are cut as they are there.
    """
    most, found = -(-pieces_of // len(lines)), []
    for line in lines:
        known = (_cuts_in(each, line) for each in former)
        inner = next((cuts for cuts in known if cuts is not None), None)
        found += line.cut_for(tile, most) if inner is None else line.cut_at(inner)
    return found


def _cuts_in(former: Lines, line: Line) -> list[int] | None:
    """Return the traces at which another run cut a line; None if it does not have the line."""
    table = former.table.query("plane == @line.plane and line == @line.number")
    for row in table.itertuples():
        here = line.amplitude[row.first : row.first + row.stop - row.start]
        if not np.array_equal(here, former.amplitude[row.start : row.stop], equal_nan=True):
            return None
    return sorted(table["first"].tolist())[1:] if len(table) else None


def labels_from_masks(folder: Path, grid: Grid) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield plane, number and labels of the lines that masks ``inline_NNN.png`` are drawn of.

    A mask has a column per trace of its line, missing ones included, by rising numbers, and a row
    per sample. Raises InputError with all faults: other names, lines that the volume has not, masks
    of another size. Names what else is in the folder.
    """
    found, faults, others = {}, [], []
    for path in sorted(folder.iterdir()):
        named = MASK_NAME.fullmatch(path.name)
        if path.name.startswith("."):
            continue
        if path.suffix.lower() not in PICTURES:
            others.append(path.name)
            continue
        if path.suffix.lower() != ".png":
            faults.append(f"{printable(path.name)}: expected a PNG file; convert it")
            continue
        if not named:
            faults.append(f"{printable(path.name)}: expected a name such as inline_120.png")
            continue
        plane, number = named[1].lower(), int(named[2])
        if number not in grid.line_axis(plane).numbers():
            faults.append(
                f"{printable(path.name)}: no such {plane}; the volume has {grid.line_axis(plane)}"
            )
            continue
        try:
            mask = _read_mask(path, grid, plane)
        except InputError as error:
            faults.append(str(error))
            continue
        if (plane, number) in found:
            faults.append(f"{printable(path.name)}: {plane} {number} appears twice")
        found[plane, number] = mask
    if not found and not faults:
        faults.append("no masks; expected PNG files such as inline_120.png or crossline_300.png")
    raise_faults(f"{folder} (data.labels)", faults)
    for notice in name_others(folder, others):
        logging.warning("data.labels: %s", notice)
    for (plane, number), mask in found.items():
        yield plane, number, mask


def labels_from_mask(
    path: Path, grid: Grid, traces: np.ndarray
) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield plane, number and labels of a 2-D line that a mask is drawn of.

    A mask has a column per trace of its line, missing ones included, in the order of the file.

    Args:
        traces: int32 (inlines, crosslines), number of each trace in the file, -1 where missing.

    Raises InputError if the file has several lines, or the mask another size.
    """
    plane = INLINE if grid.inlines.count == 1 else CROSSLINE
    if grid.line_axis(plane).count > 1:
        raise InputError(
            f"{path} (data.labels): a picture is the mask of a 2-D line, but its SEG-Y file has "
            f"{grid.inlines.count} inlines and {grid.crosslines.count} crosslines; give it SEG-Y "
            "labels, or a survey of its own"
        )
    try:
        mask = _read_mask(path, grid, plane)
    except InputError as error:
        raise InputError(f"{path.parent} (data.labels): {error}") from None
    order = traces[traces >= 0]
    falls = len(order) > 1 and (np.diff(order) < 0).all()
    yield plane, int(grid.line_axis(plane).numbers()[0]), mask[::-1] if falls else mask


def _read_mask(path: Path, grid: Grid, plane: str) -> np.ndarray:
    """Read the mask of a line, uint8 (traces, samples); InputError if it does not fit."""
    try:
        mask = decode_drawing(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{printable(path.name)}: {error}") from None
    expected = (grid.samples.count, grid.trace_axis(plane).count)
    if mask.shape != expected:
        raise InputError(
            f"{printable(path.name)}: expected {expected[1]} traces, missing ones included, by "
            f"{expected[0]} samples, one pixel each, found {mask.shape[1]}x{mask.shape[0]} pixels"
        )
    return mask.T.astype(np.uint8)


def refuse_other_geometry(path: Path, labels: Grid, volume: Grid) -> None:
    """Raise InputError if the geometry of labels does not fit the volume's."""
    faults = []
    for name in ("inlines", "crosslines"):
        own, whole = getattr(labels, name), getattr(volume, name)
        strangers = sorted(set(own.numbers().tolist()) - set(whole.numbers().tolist()))
        if strangers:
            more = ", ..." if len(strangers) > LISTED_FAULTS else ""
            listed = ", ".join(map(str, strangers[:LISTED_FAULTS])) + more
            faults.append(f"{name} {listed}: the volume has only {whole}")
    if labels.samples != volume.samples:
        faults.append(f"samples: the labels have {labels.samples}, the volume {volume.samples}")
    raise_faults(f"{path} (data.labels): its geometry differs from data.source", faults)


def refuse_part_of_line(path: Path, labels: Geometry, line: Geometry) -> None:
    """Raise InputError if labels have other traces than a 2-D line, and nothing says which."""
    if line.inline_byte is None and labels.traces != line.traces:
        raise InputError(
            f"{path} (data.labels): has {labels.traces} traces, its line {line.traces}, which "
            "have no inline and crossline numbers; write labels of all traces, and what nobody "
            "interpreted as survey.unlabelled"
        )


def labels_from_segy(
    labels: Grid,
    traces: np.ndarray,
    read: Callable[[np.ndarray], np.ndarray],
    volume: Grid,
    tile: int,
    unlabelled: float | None,
) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield plane, number and labels, uint8 (traces, samples), of lines labelled in a SEG-Y file.

    A value above 0 is salt; traces that the file lacks, undefined samples, and the value
    ``unlabelled``, are not labelled. A line is used from ``tile`` labelled traces on; crosslines
    only where labelled inlines do not give their labels.

    Args:
        traces: int32 (inlines, crosslines), number of each trace in the file, -1 where missing.
        read: returns the samples of traces by their numbers, floats (traces, samples).

    Raises InputError if there are more than two values, such as a third for undefined samples.
    """
    # Indices of the file's lines in the volume.
    rows = [volume.inlines.index(number) for number in labels.inlines.numbers().tolist()]
    columns = [volume.crosslines.index(number) for number in labels.crosslines.numbers().tolist()]
    there = traces >= 0
    straight = np.flatnonzero(there.sum(axis=1) >= min(tile, volume.crosslines.count))
    by_inlines = np.zeros_like(there)
    by_inlines[straight] = there[straight]
    own = there.sum(axis=0)
    across = np.flatnonzero(
        (own >= min(tile, volume.inlines.count)) & (by_inlines.sum(axis=0) < COVERED * own)
    )
    values_so_far = np.empty(0, np.float32)
    for plane, line in [(INLINE, i) for i in straight] + [(CROSSLINE, i) for i in across]:
        numbers, indices = (traces[line], columns) if plane == INLINE else (traces[:, line], rows)
        here = np.flatnonzero(numbers >= 0)
        values = read(numbers[here])
        known = ~np.isnan(values) & (values != (np.nan if unlabelled is None else unlabelled))
        values_so_far = np.union1d(values_so_far, values[known])
        _require_two_values(values_so_far)
        whole = np.full((volume.trace_axis(plane).count, values.shape[1]), UNLABELLED, np.uint8)
        own = np.where(values > 0, SALT, OTHER)
        whole[np.asarray(indices)[here]] = np.where(known, own, UNLABELLED)
        yield plane, int(labels.line_axis(plane).numbers()[line]), whole


def _require_two_values(values: np.ndarray) -> None:
    """Raise InputError if labels have more than a value for salt and one for other rock."""
    if len(values) <= 2:
        return
    listed = ", ".join(f"{value:g}" for value in values[:5])
    raise InputError(
        f"data.labels: expected a value for salt, above 0, and 0 for other rock; found {listed}"
        f"{', ...' if len(values) > 5 else ''}; if one of them marks what nobody interpreted, set "
        "survey.unlabelled to it; cut probabilities to 0 and 1"
    )
