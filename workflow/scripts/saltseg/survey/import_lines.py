"""Labels of a volume's lines, from a SEG-Y file of the same geometry or a folder of masks."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from saltseg.core.errors import LISTED_FAULTS, InputError, printable, raise_faults
from saltseg.survey.decoding import decode_mask
from saltseg.survey.grid import CROSSLINE, INLINE, Axis, Grid
from saltseg.survey.lines import OTHER, SALT, UNLABELLED, Line
from saltseg.survey.volume import Volume

MASK_NAME = re.compile(r"(inline|crossline)_(-?\d+)\.png", re.IGNORECASE)
# A crossline is no line of its own where labelled inlines give this share of its labels.
COVERED = 0.9


def import_lines(
    volume: Volume,
    grid: Grid,
    labels: Iterator[tuple[str, int, np.ndarray]],
    pieces_of: int,
) -> list[Line]:
    """Return labelled lines with their amplitudes, cut where there are fewer than ``pieces_of``.

    Args:
        labels: plane, number and labels, uint8 (traces, samples), of each line.
    """
    lines = []
    for plane, number, of_line in labels:
        index = grid.line_axis(plane).index(number)
        one = slice(index, index + 1)
        if plane == INLINE:
            amplitude = volume.read(one, slice(None))[0]
        else:
            amplitude = volume.read(slice(None), one)[:, 0]
        # A missing trace cannot have been interpreted.
        known = np.where(np.isnan(amplitude), UNLABELLED, of_line).astype(np.uint8)
        if (known != UNLABELLED).any():
            lines.append(Line(plane, number, 0, amplitude, known))
    if not lines:
        raise InputError("data.labels: no trace of the volume is labelled")
    if len(lines) < pieces_of:
        return [piece for line in lines for piece in line.cut(-(-pieces_of // len(lines)))]
    return lines


def labels_from_masks(folder: Path, grid: Grid) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield plane, number and labels of the lines that masks ``inline_NNN.png`` are drawn of.

    A mask has a column per trace of its line and a row per sample. Raises InputError with all
    faults: other names, lines that the volume has not, masks of another size.
    """
    found, faults = {}, []
    for path in sorted(folder.iterdir()):
        named = MASK_NAME.fullmatch(path.name)
        if path.name.startswith(".") or path.suffix.lower() != ".png":
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
            mask = decode_mask(path.read_bytes())
        except (OSError, ValueError) as error:
            faults.append(f"{printable(path.name)}: {error}")
            continue
        expected = (grid.samples.count, grid.trace_axis(plane).count)
        if mask.shape != expected:
            faults.append(
                f"{printable(path.name)}: expected {expected[1]} traces by {expected[0]} samples, "
                f"one pixel each, found {mask.shape[1]}x{mask.shape[0]} pixels"
            )
        elif (plane, number) in found:
            faults.append(f"{printable(path.name)}: {plane} {number} appears twice")
        found[plane, number] = mask
    if not found and not faults:
        faults.append("no masks; expected PNG files such as inline_120.png or crossline_300.png")
    raise_faults(f"{folder} (data.labels)", faults)
    for (plane, number), mask in found.items():
        yield plane, number, mask.T.astype(np.uint8)


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


def labels_from_segy(
    labels: Grid,
    traces: np.ndarray,
    read: Callable[[np.ndarray], np.ndarray],
    volume: Grid,
    tile: int,
    unlabelled: float | None,
) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield plane, number and labels, uint8 (traces, samples), of lines labelled in a SEG-Y file.

    A value above 0 is salt; traces that the file lacks, and the value ``unlabelled``, are not
    labelled. A line counts from ``tile`` labelled traces on; crosslines only where they hold more
    than the labelled inlines tell.

    Args:
        traces: int32 (inlines, crosslines), number of each trace in the file, -1 where missing.
        read: gives the samples of traces by their numbers, floats (traces, samples).
    """
    # Indices of the file's lines in the volume.
    rows = [volume.inlines.index(number) for number in labels.inlines.numbers().tolist()]
    columns = [volume.crosslines.index(number) for number in labels.crosslines.numbers().tolist()]
    there = traces >= 0
    straight = np.flatnonzero(there.sum(axis=1) >= min(tile, volume.crosslines.count))
    told = np.zeros_like(there)
    told[straight] = there[straight]
    own = there.sum(axis=0)
    across = np.flatnonzero(
        (own >= min(tile, volume.inlines.count)) & (told.sum(axis=0) < COVERED * own)
    )
    for line in straight.tolist():
        number = int(labels.inlines.numbers()[line])
        here = _labels_along(traces[line], read, volume.crosslines, columns, unlabelled)
        yield INLINE, number, here
    for line in across.tolist():
        number = int(labels.crosslines.numbers()[line])
        here = _labels_along(traces[:, line], read, volume.inlines, rows, unlabelled)
        yield CROSSLINE, number, here


def _labels_along(
    traces: np.ndarray,
    read: Callable[[np.ndarray], np.ndarray],
    axis: Axis,
    indices: list[int],
    unlabelled: float | None,
) -> np.ndarray:
    """Return labels, uint8 (traces of the axis, samples), with the file's at some indices."""
    there = np.flatnonzero(traces >= 0)
    values = read(traces[there])
    labels = np.full((axis.count, values.shape[1]), UNLABELLED, dtype=np.uint8)
    own = np.where(values > 0, SALT, OTHER)
    own[np.isnan(values) if unlabelled is None else np.isnan(values) | (values == unlabelled)] = (
        UNLABELLED
    )
    labels[np.asarray(indices)[there]] = own
    return labels
