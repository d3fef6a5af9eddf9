"""Labelled lines of a volume: whole sections, of which training sees windows cut anywhere.

``lines.h5`` holds ``amplitude`` (float16) and ``labels`` (uint8: 0 other rock, 1 salt, 255 not
interpreted), both (traces, samples), all lines one after another, and a table of lines: the id, the
plane (inline or crossline), the line's number, the index of its first trace, the rows ``start`` to
``stop`` of its traces in the arrays, and the name of its SEG-Y file, empty where there is only one.
Of several files, lines end in samples that are not interpreted if others are longer.

If there are fewer lines than folds, each is cut into pieces, which count as lines, as long as each
piece has room for a window.
"""

from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from itertools import pairwise
from math import isnan
from pathlib import Path

import numpy as np
import pandas as pd

from saltseg.core.errors import InputError, rebuild_hint
from saltseg.core.files import plain_name
from saltseg.core.hdf import HdfFile, writing
from saltseg.survey.amplitudes import to_8bit
from saltseg.survey.character import Character, agreed_sign
from saltseg.survey.grid import INLINE, PLANES, Grid

OTHER, SALT, UNLABELLED = 0, 1, 255
# Labels, uint8 (traces, samples), of lines by their plane and index.
Labels = dict[tuple[str, int], np.ndarray]
PICK = 1  # samples by which labels may miss a reflector
COLUMNS = {
    "id": str,
    "plane": str,
    "line": np.int64,
    "first": np.int64,
    "start": np.int64,
    "stop": np.int64,
    "file": str,
}


@dataclass(frozen=True)
class Line:
    """A labelled line, or a piece of one.

    plane: "inline" or "crossline"
    number: of the line, as in the trace headers
    first: index of the first trace along the line, from 0
    amplitude: float16 (traces, samples), in units of the survey's clip, NaN if missing
    labels: uint8 (traces, samples): OTHER, SALT or UNLABELLED
    piece: number of the piece, or None if the line is whole
    file: name of its SEG-Y file among several
    """

    plane: str
    number: int
    first: int
    amplitude: np.ndarray
    labels: np.ndarray
    piece: int | None = None
    file: str = ""

    @property
    def id(self) -> str:
        piece = "" if self.piece is None else f"_piece{self.piece}"
        # Ids hold no sign but '-' and '_'.
        file = f"{plain_name(self.file)}_" if self.file else ""
        return f"{file}{self.plane}_{self.number}{piece}"

    def cut(self, pieces: int) -> list["Line"]:
        """Return pieces of the line with as many traces each, to one, from first to last label.

        The first and the last piece also have the unlabelled traces beyond.
        """
        labelled = np.flatnonzero((self.labels != UNLABELLED).any(axis=1))
        inner = np.linspace(labelled[0], labelled[-1] + 1, pieces + 1)[1:-1].astype(int).tolist()
        return self.cut_at(inner)

    def cut_at(self, inner: list[int]) -> list["Line"]:
        """Return the pieces between some of its traces; the line itself without any."""
        if not inner:
            return [self]
        bounds = [0, *inner, len(self.labels)]
        return [
            Line(
                self.plane,
                self.number,
                self.first + start,
                self.amplitude[start:stop],
                self.labels[start:stop],
                piece,
            )
            for piece, (start, stop) in enumerate(pairwise(bounds))
        ]

    def cut_for(self, tile: int, most: int) -> list["Line"]:
        """Return as many pieces as all have a labelled window of ``tile``, up to ``most``.

        The whole line if not even two have.
        """
        for pieces in range(most, 1, -1):
            found = self.cut(pieces)
            if all(free_starts(piece.labels, tile).any() for piece in found):
                return found
        return [self]


def free_starts(labels: np.ndarray, tile: int) -> np.ndarray:
    """Return where windows of ``tile`` x ``tile`` may start that are labelled all over.

    Bool (traces - tile + 1, samples - tile + 1) of labels, uint8 (traces, samples); empty along an
    axis that is shorter than a window.
    """
    traces, samples = (max(side - tile + 1, 0) for side in labels.shape)
    if not traces or not samples:
        return np.zeros((traces, samples), dtype=bool)
    unknown = labels == UNLABELLED
    if not unknown.any():
        return np.ones((traces, samples), dtype=bool)
    total = np.zeros(np.add(labels.shape, 1), dtype=np.int64)
    np.cumsum(np.cumsum(unknown, axis=0), axis=1, out=total[1:, 1:])
    within = total[tile:, tile:] - total[:-tile, tile:] - total[tile:, :-tile]
    return within + total[:-tile, :-tile] == 0


def tile_starts(labels: np.ndarray, tile: int) -> list[tuple[int, int]]:
    """Return starts (trace, sample) of windows that cover what is labelled of a line.

    As few along each axis as cover all of it, evenly spaced, so that neighbours may overlap; those
    that are not labelled all over are left out. If that leaves none, some windows elsewhere that do
    not overlap.
    """
    free = free_starts(labels, tile)
    if not free.size:
        return []
    starts = [
        np.rint(np.linspace(0, last - 1, -(-side // tile))).astype(int).tolist()
        for last, side in zip(free.shape, labels.shape, strict=True)
    ]
    spaced = [(trace, sample) for trace in starts[0] for sample in starts[1] if free[trace, sample]]
    return spaced or _disjoint_starts(free, tile)


def _disjoint_starts(free: np.ndarray, tile: int) -> list[tuple[int, int]]:
    """Return some of the free starts whose windows do not overlap."""
    free, found = free.copy(), []
    while free.any():
        trace, sample = divmod(int(free.argmax()), free.shape[1])
        found.append((trace, sample))
        free[trace : trace + tile, max(sample - tile + 1, 0) : sample + tile] = False
    return found


def cut_tiles(
    lines: list[Line], tile: int, normalisation: str, grid: Grid
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Cut lines to tiles at fixed starts, to validate on.

    A tile's id names its line, the number of its first trace, and the time or depth of its first
    sample. Return a table (id, depth, coverage, line), images, uint8, and masks, bool, both (tiles,
    height, width) with samples down and traces across.
    """
    rows, images, masks = [], [], []
    for line in lines:
        for trace, sample in tile_starts(line.labels, tile):
            window = (slice(trace, trace + tile), slice(sample, sample + tile))
            images.append(to_8bit(line.amplitude[window].T, normalisation))
            masks.append(line.labels[window].T == SALT)
            number = grid.trace_axis(line.plane).numbers()[line.first + trace]
            other = PLANES[line.plane == INLINE]
            at = f"{grid.samples.numbers()[sample]:.10g}".replace(".", "_")
            name = f"{line.id}_{other}{number}_{at}"
            rows.append((name, np.nan, masks[-1].mean(), line.id))
    table = pd.DataFrame(rows, columns=["id", "depth", "coverage", "line"])
    if not rows:
        return table, np.zeros((0, tile, tile), np.uint8), np.zeros((0, tile, tile), bool)
    return table, np.stack(images), np.stack(masks)


def save(path: Path, lines: list[Line], character: Character | None = None) -> None:
    """Write lines and the character of their volume, if known.

    Raises InputError for lack of disk space or permission.
    """
    stops = np.cumsum([len(line.labels) for line in lines]).tolist()
    rows = [
        (line.id, line.plane, line.number, line.first, stop - len(line.labels), stop, line.file)
        for line, stop in zip(lines, stops, strict=True)
    ]
    samples = max(line.labels.shape[1] for line in lines)
    shape = (stops[-1], samples)
    with writing(path) as file:
        # None becomes NaN.
        file.put("character", np.array(astuple(character or Character()), np.float64))
        file.put_table(pd.DataFrame(rows, columns=list(COLUMNS)))
        amplitudes = (lengthen(line.amplitude, samples, np.nan) for line in lines)
        file.put_batches("amplitude", np.float16, shape, amplitudes)
        # Fletcher-32 alone would not notice changes of UNLABELLED.
        labels = (lengthen(line.labels, samples, UNLABELLED) for line in lines)
        file.put_batches("labels", np.uint8, shape, labels, compress=True)


def lengthen(values: np.ndarray, samples: int, filler: float) -> np.ndarray:
    """Return values (..., samples) with so many samples, the last ones being ``filler``."""
    more = samples - values.shape[-1]
    return np.pad(values, [*[(0, 0)] * (values.ndim - 1), (0, more)], constant_values=filler)


class Lines:
    """Lines that ``save`` wrote.

    table: a row per line, with COLUMNS
    amplitude: float16 (traces, samples), read as used
    labels: uint8 (traces, samples), read as used
    character: of their volume
    """

    def __init__(self, path: Path | str, of_file: str | None = None):
        """Open lines, of several files those ``of_file`` alone; InputError if they are damaged."""
        self.path = Path(path)
        file = HdfFile(path)
        # Runs of earlier versions, whose members others may start from, have no files.
        self.table = file.table({name: kind for name, kind in COLUMNS.items() if name != "file"})
        self.table["file"] = file.texts("file") if "file" in file else ""
        if self.table.empty or self.table["id"].duplicated().any():
            raise InputError(f"{path}: expected distinct lines; {rebuild_hint(self.path)}")
        traces = int(self.table["stop"].max())
        self.amplitude = file.rows("amplitude", np.float16, (traces, None))
        self.labels = file.rows("labels", np.uint8, (traces, None))
        found = file.rows("character", np.float64, (len(fields(Character)),))[:].tolist()
        self.character = Character(*(None if isnan(value) else value for value in found))
        if of_file is not None:
            self.table = self.table[self.table["file"] == of_file]

    def __getitem__(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the amplitude and labels of a line, each (traces, samples), by its id."""
        row = self.table.set_index("id").loc[name]
        traces = slice(int(row["start"]), int(row["stop"]))
        return self.amplitude[traces], self.labels[traces]


def hold_out_blocks(table: pd.DataFrame, grid: Grid | None, folds: int) -> pd.Series:
    """Return the block of each line by its row, to hold out together.

    A block is a run of neighbouring lines of one plane, as short as it may be so that a line held
    out is as far from the lines trained on as an unlabelled line is, on average, from the labelled
    ones; but never so long that there are fewer blocks than ``folds``. The pieces of a cut line are
    blocks of their own. Of several files, each is a block.

    Args:
        table: lines, with COLUMNS.
        grid: of the volume, None for several files.
    """
    if grid is None:
        return table["file"]
    named = {}
    for plane, lines in table.groupby("plane"):
        numbers = np.sort(lines["line"].unique())
        if lines["line"].duplicated().any():
            named |= {name: name for name in lines["id"]}
            continue
        length = _block_length(numbers, grid.line_axis(plane).numbers(), folds)
        block = pd.Series(np.arange(len(numbers)) // length, index=numbers)
        for name, number in zip(lines["id"], lines["line"], strict=True):
            named[name] = f"{plane}_{block[number]}"
    return table["id"].map(named)


def near_lines(table: pd.DataFrame, folds: dict[str, int]) -> dict[str, int]:
    """Return folds of lines by id, those of others of their plane from the nearest that has one.

    So that a new line, or a piece of one, is held out with its neighbours. Those of another plane
    have none.

    table: lines, with COLUMNS
    """
    found = dict(folds)
    for _, lines in table.groupby("plane"):
        known = lines[lines["id"].isin(folds)]
        new = lines if len(known) else known
        for name, number, first in new[["id", "line", "first"]].itertuples(index=False):
            away = (known["first"] - first).abs(), (known["line"] - number).abs()
            found.setdefault(name, folds[known["id"].iloc[np.lexsort(away)[0]]])
    return found


def _block_length(labelled: np.ndarray, every: np.ndarray, folds: int) -> int:
    """Return the lines to a block of one plane; see ``hold_out_blocks``."""
    longest = max(len(labelled) // folds, 1)
    others = np.setdiff1d(every, labelled)
    if not len(others):
        return longest
    aim = _distances(others, labelled).mean()
    for length in range(1, longest):
        block = np.arange(len(labelled)) // length
        away = [
            _distances(labelled[block == number], labelled[block != number])
            for number in range(block[-1] + 1)
        ]
        if np.concatenate(away).mean() >= aim:
            return length
    return longest


def _distances(lines: np.ndarray, from_lines: np.ndarray) -> np.ndarray:
    """Return the distance of each line to the nearest of others, both sorted int64."""
    following = np.searchsorted(from_lines, lines)
    before = from_lines[np.maximum(following - 1, 0)]
    after = from_lines[np.minimum(following, len(from_lines) - 1)]
    return np.minimum(np.abs(lines - before), np.abs(after - lines))


def possible_folds(folds: int, table: pd.DataFrame, blocks: np.ndarray) -> tuple[int, list[str]]:
    """Return how many folds lines can be dealt to, and notices about their score, usually none.

    Args:
        folds: as many as are wanted
        table: lines, with COLUMNS
        blocks: those that have tiles, which are held out together

    Raises InputError for a single block.
    """
    possible, notices = len(np.unique(blocks)), []
    if possible < 2:
        raise InputError(
            "validation.folds: the labelled lines have room for a window of survey.tile on one "
            "line, and not for a second beside it to hold out; label more, lower survey.tile, or "
            "set validation.scheme to full, which gives no honest score"
        )
    if possible < folds:
        notices.append(
            f"{possible} folds instead of {folds}, since labelled lines have no room for more "
            "pieces with a window of survey.tile; lower it, or label more"
        )
    if table["line"].duplicated().any() and table.groupby("plane")["line"].nunique().sum() == 1:
        notices.append(
            "labels on a single line: folds are pieces of it, so the score shows how well the rest "
            "of this line would be marked, and little about lines farther away"
        )
    if table["plane"].nunique() > 1:
        notices.append(
            "labelled inlines cross labelled crosslines: members see single traces of the lines "
            "they hold out, so the score is slightly too high"
        )
    return min(folds, possible), notices


def count_lines(table: pd.DataFrame) -> str:
    """Return how many lines a table with plane and line lists, in words: "2 pieces of 1 line"."""
    named_by = [name for name in ("file", "plane", "line") if name in table]
    whole = table.groupby(named_by).ngroups
    named = f"{whole} line{'s' if whole > 1 else ''}"
    return named if whole == len(table) else f"{len(table)} pieces of {named}"


def label_notices(lines: list[Line]) -> list[str]:
    """Return questions about labels that look wrong, usually none."""
    known = np.concatenate([line.labels[line.labels != UNLABELLED] for line in lines])
    share = (known == SALT).mean()
    whole = {(line.file, line.plane, line.number) for line in lines}
    salt = {(line.file, line.plane, line.number) for line in lines if (line.labels == SALT).any()}
    notices = []
    if share > 0.5:
        notices.append(
            f"data.labels: {share:.0%} of all labelled samples are salt; is a value above 0 salt "
            "there, and not what nobody interpreted? If it is not, set survey.unlabelled"
        )
    if 2 * len(salt) < len(whole):
        notices.append(
            f"data.labels: {len(whole - salt)} of {len(whole)} labelled lines have no salt; if "
            "nobody interpreted them, leave them out, or set survey.unlabelled"
        )
    return notices


def top_polarity(lines: list[Line]) -> float | None:
    """Return the sign of most amplitudes at the labelled top of salt, 1 or -1; None if unclear.

    Salt is harder than most rocks, as the sea floor is than water.
    """
    found = [np.empty(0)]
    for line in lines:
        begins = (line.labels[:, 1:] == SALT) & (line.labels[:, :-1] == OTHER)
        trace = np.flatnonzero(begins.any(axis=1))
        # Labels are a sample off.
        near = begins[trace].argmax(axis=1)[:, None] + np.arange(-PICK, PICK + 2)
        near = np.clip(near, 0, line.labels.shape[1] - 1)
        values = np.nan_to_num(line.amplitude[trace[:, None], near].astype(np.float32))
        loudest = np.abs(values).argmax(axis=1)
        found.append(values[np.arange(len(trace)), loudest])
    return agreed_sign(np.concatenate(found))


def labels_by_line(lines: Lines, grid: Grid) -> Labels:
    """Return labels, uint8 (traces, samples), of each labelled line by its plane and its index."""
    found = {}
    for row in lines.table.itertuples():
        key = row.plane, grid.line_axis(row.plane).index(row.line)
        unknown = (grid.trace_axis(row.plane).count, grid.samples.count), UNLABELLED
        whole = found.setdefault(key, np.full(*unknown, np.uint8))
        # Of several files, lines are as long as the longest.
        labels = lines[row.id][1][:, : grid.samples.count]
        whole[row.first : row.first + len(labels)] = labels
    return found


def on_part(
    labels: Labels, inlines: slice, crosslines: slice
) -> Iterator[tuple[tuple[slice | int, ...], np.ndarray]]:
    """Yield where labelled lines lie in a part of the volume, and their labels there.

    The index selects (traces, samples) of an array of the part; labels are uint8 of that shape.
    """
    for (plane, line), of_line in labels.items():
        lines, traces = (inlines, crosslines) if plane == INLINE else (crosslines, inlines)
        if lines.start <= line < lines.stop:
            index: tuple[slice | int, ...] = (line - lines.start, slice(None))
            yield index if plane == INLINE else index[::-1], of_line[traces]


def labelled_traces(labels: Labels, grid: Grid) -> np.ndarray:
    """Return which traces are labelled all along, bool (inlines, crosslines); see above."""
    found = np.zeros(grid.shape[:2], bool)
    for part, of_line in on_part(labels, *(slice(0, count) for count in found.shape)):
        found[part] |= (of_line != UNLABELLED).all(axis=1)
    return found


def salt_by_line(lines: Lines, grid: Grid) -> dict[tuple[str, int], np.ndarray]:
    """Return salt, bool (samples, traces), of each labelled line by its plane and its index."""
    return {key: (labels == SALT).T for key, labels in labels_by_line(lines, grid).items()}


def lines_by_plane(table: pd.DataFrame) -> dict[str, list[int]]:
    """Return the numbers of labelled lines by plane, of a table with COLUMNS."""
    return {plane: table["line"][table["plane"] == plane].unique().tolist() for plane in PLANES}
