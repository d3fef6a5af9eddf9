"""Top and base of salt as tables: a row per trace with salt, ready to load as a surface.

Columns: inline and crossline, their numbers; x and y, empty if they are not known; z, the time
or depth of the first salt sample from above (top) or from below (base), in the source's unit; and
thickness, that of all salt in the trace, in the same unit.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from saltseg.core.files import replacing
from saltseg.output.volume import Axes, Block

COLUMNS = ["inline", "crossline", "x", "y", "z", "thickness"]


def surfaces(
    salt: np.ndarray, step: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Find top and base of salt, bool (inlines, crosslines, samples), a sample each ``step``.

    Return which traces have salt as bool (inlines, crosslines), and of these the places of the
    first and of the last salt sample as int64, and the thickness as float64.
    """
    has = salt.any(axis=2)
    found = salt[has]
    top = found.argmax(axis=1)
    base = found.shape[1] - 1 - found[:, ::-1].argmax(axis=1)
    return has, top, base, found.sum(axis=1) * step


class Surfaces:
    """The two tables, written as blocks of the volume come."""

    def __init__(self, top: Path, base: Path, axes: Axes, threshold: float):
        self._files, self._axes, self._threshold = (top, base), axes, threshold
        for path in self._files:
            _write(path, pd.DataFrame(columns=COLUMNS), "w")

    def add(self, block: Block) -> int:
        """Add the rows of a block's traces; return how many of its samples are salt."""
        axes = self._axes
        samples = axes.samples
        step = float(samples[1] - samples[0]) if len(samples) > 1 else 1.0
        salt = block.salt(self._threshold)
        has, top, base, thickness = surfaces(salt, step)
        x, y = axes.positions[:, block.inlines, block.crosslines][:, has]
        inline, crossline = np.nonzero(has)
        for path, place in zip(self._files, (top, base), strict=True):
            columns = (
                axes.inlines[block.inlines][inline],
                axes.crosslines[block.crosslines][crossline],
                *(x, y, samples[place], thickness),
            )
            _write(path, pd.DataFrame(dict(zip(COLUMNS, columns, strict=True))), "a")
        return int(salt.sum())


@contextmanager
def writing(top: Path, base: Path, axes: Axes, threshold: float) -> Iterator[Surfaces]:
    """Yield the tables to add blocks to, which replace the old ones once complete.

    Raises InputError for lack of disk space or permission.
    """
    with replacing(top) as top_part, replacing(base) as base_part:
        yield Surfaces(top_part, base_part, axes, threshold)


def _write(path: Path, rows: pd.DataFrame, mode: str) -> None:
    rows.to_csv(path, index=False, header=mode == "w", mode=mode, float_format="%.10g")
