"""Which lines to interpret next: where members disagree, spread over the survey.

An interpreted line is assumed to settle itself and, decreasingly, its neighbours: 60 % of those
``INFLUENCE`` lines away. Lines are chosen one by one, each settling most of the disagreement that
the previous ones leave, and never closer than that in the same direction. What an interpretation of
each would change follows from its own probabilities, as far as they are calibrated. 2-D lines
settle nothing of each other, and are ranked by their disagreement alone.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from saltseg.core.files import replacing
from saltseg.core.quantisation import MISSING, SCALE
from saltseg.output.shards import DEVIATIONS
from saltseg.output.volume import Block
from saltseg.survey.grid import INLINE, PLANES, Grid

INFLUENCE = 5  # lines
COUNT = 20  # lines that are listed
COLUMNS = ["rank", "plane", "line", "disagreement", "settled"]
FILE_COLUMNS = ["rank", "file", "disagreement", "changed", "expected_iou"]


class Disagreement:
    """How much members disagree at each trace, from blocks of the volume.

    per_trace: mean over samples, float32 (inlines, crosslines); 0 where a trace is missing
    """

    def __init__(self, shape: tuple[int, int, int], predictions: int):
        """``predictions`` is how many the disagreement is of: members times planes.

        If it is one, the distance of its probabilities from 0 and 1 is used instead.
        """
        self.per_trace = np.zeros(shape[:2], dtype=np.float32)
        self._single = predictions == 1

    def add(self, block: Block) -> None:
        if self._single:
            p = block.probability / np.float32(SCALE)
            values = np.sqrt((p * (1 - p)).clip(0)).mean(axis=2)
        else:
            values = block.disagreement.mean(axis=2, dtype=np.float32) / DEVIATIONS
        self.per_trace[block.inlines, block.crosslines] = np.where(block.live, values, 0)


class Change:
    """What interpreting each line is expected to change of the mask, from blocks of the volume."""

    def __init__(self, shape: tuple[int, int, int]):
        # Samples marked and there, and probabilities within and outside the mask, of each line.
        self._sums = {
            plane: np.zeros((4, lines)) for plane, lines in zip(PLANES, shape, strict=False)
        }

    def add(self, block: Block, salt: np.ndarray) -> None:
        """Add a block, and what is marked there, bool (inlines, crosslines, samples)."""
        there = block.probability != MISSING
        salt = salt & there
        likely = np.where(there, block.probability, 0) / np.float32(SCALE)
        within = np.where(salt, likely, 0).sum(axis=2)
        values = [salt.sum(axis=2), there.sum(axis=2), within, likely.sum(axis=2) - within]
        for axis, plane in enumerate(PLANES):
            part = block.inlines if plane == INLINE else block.crosslines
            self._sums[plane][:, part] += np.stack(values).sum(axis=2 - axis)

    def of(self, table: pd.DataFrame, grid: Grid) -> pd.DataFrame:
        """Return a table of ``choose_lines`` with two columns more.

        changed: the share of the line's samples that the mask is expected to have wrong
        expected_iou: of the mask on this line; NaN without any salt
        """
        rows = []
        for plane, number in table[["plane", "line"]].itertuples(index=False):
            index = grid.line_axis(plane).index(number)
            marked, there, within, outside = self._sums[plane][:, index]
            iou = within / (marked + outside) if marked + outside else np.nan
            rows.append(((marked - within + outside) / max(there, 1), iou))
        more = pd.DataFrame(rows, columns=["changed", "expected_iou"], index=table.index)
        return table.join(more)


def choose_lines(
    disagreement: np.ndarray,
    grid: Grid,
    interpreted: dict[str, list[int]],
    count: int = COUNT,
) -> pd.DataFrame:
    """Choose lines to interpret, best first.

    Args:
        disagreement: at each trace, float32 (inlines, crosslines).
        interpreted: numbers of interpreted lines by plane, ``inline`` or ``crossline``.

    Columns: rank, from 1; plane; line, its number; disagreement, its mean over the line; and
    settled, the share of all disagreement that this line would settle. Fewer rows than ``count``
    where others would settle none. A survey of one line has just that.
    """
    left = disagreement.astype(np.float64)
    total = left.sum()
    numbers = {plane: grid.line_axis(plane).numbers() for plane in PLANES}
    candidates = {}
    for axis, plane in enumerate(PLANES):
        done = np.isin(numbers[plane], interpreted.get(plane, []))
        # Sections of one trace show nothing.
        wide = grid.trace_axis(plane).count > 1
        candidates[plane] = ~done & wide
        for line in np.flatnonzero(done & wide):
            _settle(left, axis, line)
    rows = []
    while len(rows) < count:
        gains = {
            plane: np.where(candidates[plane], _gains(left.sum(axis=1 - axis)), 0)
            for axis, plane in enumerate(PLANES)
        }
        plane = max(PLANES, key=lambda each: gains[each].max())
        line = int(gains[plane].argmax())
        gain, axis = gains[plane][line], PLANES.index(plane)
        if gain <= 1e-6 * max(total, 1e-12):
            break
        mean = disagreement.take(line, axis).mean()
        rows.append((len(rows) + 1, plane, numbers[plane][line], mean, gain / total))
        _settle(left, axis, line)
        candidates[plane][max(line - INFLUENCE + 1, 0) : line + INFLUENCE] = False
    return pd.DataFrame(rows, columns=COLUMNS)


def rank_files(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Rank the 2-D lines that are not interpreted, from the table of ``choose_lines`` of each file.

    Columns: rank; file; and disagreement, changed and expected_iou of its line.
    """
    rows = [table.assign(file=file) for file, table in tables.items() if len(table)]
    found = pd.concat(rows) if rows else pd.DataFrame(columns=FILE_COLUMNS)
    ranked = found.sort_values("disagreement", ascending=False, kind="stable", ignore_index=True)
    return ranked.assign(rank=ranked.index + 1)[FILE_COLUMNS]


def save(path: Path, table: pd.DataFrame) -> None:
    """Write the table; InputError for lack of disk space or permission."""
    with replacing(path) as part:
        table.to_csv(part, index=False, float_format="%.6g")


def _weights(away: np.ndarray) -> np.ndarray:
    """Share of the disagreement that a line settles so many lines away."""
    return np.exp(-np.square(away / INFLUENCE) / 2)


def _gains(profile: np.ndarray) -> np.ndarray:
    """What each line would settle, from the sums over each line."""
    kernel = _weights(np.arange(-4 * INFLUENCE, 4 * INFLUENCE + 1))
    return np.convolve(profile, kernel)[4 * INFLUENCE : 4 * INFLUENCE + len(profile)]


def _settle(left: np.ndarray, axis: int, line: int) -> None:
    kept = 1 - _weights(np.arange(left.shape[axis]) - line)
    left *= kept[:, None] if axis == 0 else kept
