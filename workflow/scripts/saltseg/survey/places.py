"""From x and y to traces, by the volume's own coordinates."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from saltseg.core.errors import InputError

FITTED = 1_000_000  # traces that a transform is fitted to, of more
FAR = 1e12  # x and y
CROOKED = 0.25  # of a trace's spacing by which traces may miss the transform


class Nearest(NamedTuple):
    """The nearest trace of each place.

    inline, crossline: its indices, int64, which may lie outside the grid
    away: the distance to it, float64, in units of x and y
    inside: whether the grid has it, bool
    """

    inline: np.ndarray
    crossline: np.ndarray
    away: np.ndarray
    inside: np.ndarray


@dataclass(frozen=True)
class Places:
    """Where traces are: by a linear transform or, for a crooked line, by the traces themselves.

    spacing: of neighbouring traces, the smaller of both directions, in units of x and y
    misfit: by how much the transform misses a trace, at most, in these units
    """

    shape: tuple[int, int]
    spacing: float
    misfit: float
    _origin: np.ndarray
    _steps: np.ndarray | None  # float64 (2, 2): to the next inline, and to the next crossline
    _indices: np.ndarray  # of the traces that were looked at, int64 (traces, 2)
    _traces: np.ndarray  # and their x and y, float64 (traces, 2)

    @classmethod
    def find(cls, positions: np.ndarray) -> "Places":
        """Fit the transform to x and y: float64 (2, inlines, crosslines), NaN where missing.

        Raises InputError if fewer than two traces have coordinates.
        """
        indices = np.argwhere(~np.isnan(positions).any(axis=0))
        if len(indices) < 2:
            raise InputError("the volume has no x and y; give inline and crossline instead")
        fitted = indices[:: -(-len(indices) // FITTED)]
        traces = positions[:, *fitted.T].T
        design = np.column_stack([np.ones(len(fitted)), fitted])
        (origin, *steps), _, rank, _ = np.linalg.lstsq(design, traces)
        misfit = np.linalg.norm(design @ [origin, *steps] - traces, axis=1).max()
        spacing = min(np.linalg.norm(steps, axis=1))
        if rank == 3 and misfit <= CROOKED * spacing:
            return cls(
                positions.shape[1:], spacing, misfit, origin, np.array(steps), fitted, traces
            )
        away = KDTree(traces).query(traces, k=2)[0][:, 1]
        return cls(positions.shape[1:], float(np.median(away)), 0.0, origin, None, fitted, traces)

    def nearest(self, places: np.ndarray) -> Nearest:
        """Return the trace that is nearest to each place: x and y, float64 (places, 2)."""
        # Numbers that are no places, such as 1e30, are no indices either.
        places = np.nan_to_num(places).clip(-FAR, FAR)
        if self._steps is None:
            away, number = KDTree(self._traces).query(places)
            return Nearest(*self._indices[number].T, away, away <= self.spacing)
        exact = np.linalg.solve(self._steps.T, (places - self._origin).T).T
        found = np.rint(exact).astype(np.int64)
        away = np.linalg.norm((exact - found) @ self._steps, axis=1)
        inside = np.all((found >= 0) & (found < self.shape), axis=1)
        return Nearest(*found.T, away, inside)

    def __str__(self) -> str:
        low, high = self._traces.min(axis=0), self._traces.max(axis=0)
        return f"x {low[0]:.10g} to {high[0]:.10g}, y {low[1]:.10g} to {high[1]:.10g}"
