"""Which lines to interpret next: where members disagree, spread over the survey.

An interpreted line is assumed to settle itself and, decreasingly, its neighbours: 60 % of those
``REACH`` lines away. Lines are chosen one by one, each settling most of the disagreement that the
previous ones leave, and never closer than that in the same direction.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from saltseg.core.files import replacing
from saltseg.output.shards import DEVIATIONS, PLANES, SCALE
from saltseg.output.volume import Block

REACH = 5  # lines
COUNT = 20  # lines that are listed
COLUMNS = ["rank", "direction", "line", "disagreement", "settled"]


class Doubt:
    """How much members disagree at each trace, from blocks of the volume.

    per_trace: mean over samples, float32 (inlines, crosslines); 0 where a trace is missing
    """

    def __init__(self, shape: tuple[int, int, int], predictions: int):
        """``predictions`` are as many as the disagreement is of: members times planes.

        One alone does not disagree with itself; then it is how far it is from 0 and 1 that counts.
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


def next_lines(
    doubt: np.ndarray,
    inlines: np.ndarray,
    crosslines: np.ndarray,
    interpreted: dict[str, list[int]],
    count: int = COUNT,
) -> pd.DataFrame:
    """Choose lines to interpret, best first.

    Args:
        doubt: disagreement at each trace, float32 (inlines, crosslines).
        inlines, crosslines: numbers of lines.
        interpreted: numbers of those that are, by direction, ``inline`` or ``crossline``.

    Columns: rank, from 1; direction; line, its number; disagreement, its mean over the line; and
    settled, the share of all disagreement that this line would settle. Fewer rows than ``count``
    where others would settle none. A survey of one line has just that.
    """
    left = doubt.astype(np.float64)
    total = left.sum()
    numbers = dict(zip(PLANES, (inlines, crosslines), strict=True))
    # Sections of one trace show nothing.
    open_ = {
        plane: ~np.isin(numbers[plane], interpreted.get(plane, [])) & (doubt.shape[1 - axis] > 1)
        for axis, plane in enumerate(PLANES)
    }
    for axis, plane in enumerate(PLANES):
        for place in np.flatnonzero(~open_[plane] & (doubt.shape[1 - axis] > 1)):
            _settle(left, axis, place)
    rows = []
    while len(rows) < count:
        gains = {
            plane: np.where(open_[plane], _gains(left.sum(axis=1 - axis)), 0)
            for axis, plane in enumerate(PLANES)
        }
        plane = max(PLANES, key=lambda each: gains[each].max())
        place = int(gains[plane].argmax())
        gain, axis = gains[plane][place], PLANES.index(plane)
        if gain <= 1e-6 * max(total, 1e-12):
            break
        mean = doubt.take(place, axis).mean()
        rows.append((len(rows) + 1, plane, numbers[plane][place], mean, gain / total))
        _settle(left, axis, place)
        open_[plane][max(place - REACH + 1, 0) : place + REACH] = False
    return pd.DataFrame(rows, columns=COLUMNS)


def save(path: Path, table: pd.DataFrame) -> None:
    """Write the table; InputError for lack of disk space or permission."""
    with replacing(path) as part:
        table.to_csv(part, index=False, float_format="%.6g")


def _weights(away: np.ndarray) -> np.ndarray:
    """Share of the disagreement that a line settles so many lines away."""
    return np.exp(-np.square(away / REACH) / 2)


def _gains(profile: np.ndarray) -> np.ndarray:
    """What each line would settle, from the sums over each line."""
    kernel = _weights(np.arange(-4 * REACH, 4 * REACH + 1))
    return np.convolve(profile, kernel)[4 * REACH : 4 * REACH + len(profile)]


def _settle(left: np.ndarray, axis: int, place: int) -> None:
    kept = 1 - _weights(np.arange(left.shape[axis]) - place)
    left *= kept[:, None] if axis == 0 else kept
