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
from saltseg.survey.grid import Grid

COLUMNS = ["inline", "crossline", "x", "y", "z", "thickness"]


def find_surfaces(
    salt: np.ndarray, step: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Find top and base of salt, bool (inlines, crosslines, samples), a sample each ``step``.

    Return which traces have salt as bool (inlines, crosslines), and of these the indices of the
    first and of the last salt sample as int64, and the thickness as float64.
    """
    has = np.any(salt, axis=2)
    found = salt[has]
    top = found.argmax(axis=1)
    base = found.shape[1] - 1 - found[:, ::-1].argmax(axis=1)
    return has, top, base, found.sum(axis=1) * step


class SurfaceWriter:
    """Writes the two tables as blocks of the volume come."""

    def __init__(self, top: Path, base: Path, grid: Grid, positions: np.ndarray):
        """``positions`` are x and y, float64 (2, inlines, crosslines), NaN if unknown."""
        self._files, self._grid, self._positions = (top, base), grid, positions
        for path in self._files:
            _write(path, pd.DataFrame(columns=COLUMNS), "w")

    def add(self, inlines: slice, crosslines: slice, salt: np.ndarray) -> None:
        """Add the rows of some traces, by index; salt is bool (inlines, crosslines, samples)."""
        samples = self._grid.samples
        has, top, base, thickness = find_surfaces(salt, samples.step if samples.count > 1 else 1.0)
        x, y = self._positions[:, inlines, crosslines][:, has]
        inline, crossline = np.nonzero(has)
        for path, sample in zip(self._files, (top, base), strict=True):
            columns = {
                "inline": self._grid.inlines.numbers()[inlines][inline],
                "crossline": self._grid.crosslines.numbers()[crosslines][crossline],
                "x": x,
                "y": y,
                "z": samples.numbers()[sample].astype(np.float64),
                "thickness": thickness,
            }
            _write(path, pd.DataFrame(columns), "a")


@contextmanager
def writing_surfaces(
    top: Path, base: Path, grid: Grid, positions: np.ndarray
) -> Iterator[SurfaceWriter]:
    """Yield the tables to add blocks to, which replace the old ones once complete.

    Raises InputError for lack of disk space or permission.
    """
    with replacing(top) as top_part, replacing(base) as base_part:
        yield SurfaceWriter(top_part, base_part, grid, positions)


def _write(path: Path, rows: pd.DataFrame, mode: str) -> None:
    rows.to_csv(path, index=False, header=mode == "w", mode=mode, float_format="%.10g")
