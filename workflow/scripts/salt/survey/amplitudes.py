"""Grey values of seismic amplitudes: the 8 bits that networks are trained on and predict from.

Amplitudes are in units of the survey's clip, so that most lie in -1 to 1; missing traces are NaN,
and count as amplitude 0. ``survey.normalisation`` names the way to grey values:

volume: -1 to 1 become 0 to 255 everywhere, and what lies beyond is cut off.
window: the least and the greatest amplitude of each tile become 0 and 255, as in the contest's
    tiles. A section larger than a tile gets bounds that change smoothly (``LocalBounds``).
"""

from dataclasses import dataclass

import numpy as np

NORMALISATIONS = ("volume", "window")
MIDDLE = 128  # grey value of amplitude 0 by volume, and of a tile of one amplitude


def to_8bit(amplitude: np.ndarray, normalisation: str) -> np.ndarray:
    """Turn the amplitudes of one tile, floats of any shape in units of the clip, to uint8.

    Raises ValueError for another normalisation than those of ``NORMALISATIONS``.
    """
    amplitude = filled(amplitude)
    if normalisation == "volume":
        return stretched(amplitude, -1, 1)
    if normalisation == "window":
        return stretched(amplitude, amplitude.min(), amplitude.max())
    raise ValueError(f"expected one of {', '.join(NORMALISATIONS)}, found {normalisation!r}")


def filled(amplitude: np.ndarray) -> np.ndarray:
    """Copy amplitudes as float32 of the same shape, with 0 where they are missing."""
    return np.nan_to_num(amplitude.astype(np.float32), copy=False)


def stretched(
    amplitude: np.ndarray, low: np.ndarray | float, high: np.ndarray | float
) -> np.ndarray:
    """Turn amplitudes, float32, to uint8 so that ``low`` to ``high`` become 0 to 255.

    Either bound is a number or an array that broadcasts; where both are equal the middle stands.
    """
    low, span = np.float32(low), np.float32(high) - np.float32(low)
    flat = span <= 0
    grey = (amplitude - low) * (255 / np.where(flat, 1, span))
    np.clip(np.rint(grey, out=grey), 0, 255, out=grey)
    return np.where(flat, np.uint8(MIDDLE), grey.astype(np.uint8))


@dataclass(frozen=True)
class LocalBounds:
    """Least and greatest amplitude around each pixel of a section, without seams.

    They are measured in overlapping tiles, half a tile apart, and interpolated linearly between the
    tiles' centres. All tiles that a pixel lies between hold it, so that no amplitude is cut off,
    and in the middle of each tile the bounds are that tile's own.

    centres: of the tiles, pairs of float32 arrays: down the section, and across it
    low, high: float32 (centres down, centres across)
    """

    centres: tuple[np.ndarray, np.ndarray]
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def measure(cls, section: np.ndarray, tile: int) -> "LocalBounds":
        """Measure bounds of a section, floats (samples, traces), by tiles of so many pixels."""
        # At most half a tile each, so that two in a row make a tile or less.
        edges = [
            np.linspace(0, side, 1 + -(-side * 2 // tile)).astype(int) for side in section.shape
        ]
        section, bounds = filled(section), []
        for extreme in (np.minimum, np.maximum):
            # Of the cells between edges, then of each two neighbours either way.
            cells = section
            for axis, at in enumerate(edges):
                cells = extreme.reduceat(cells, at[:-1], axis=axis)
                if cells.shape[axis] > 1:
                    former, latter = (
                        cells.take(range(*part), axis=axis)
                        for part in ((0, len(at) - 2), (1, len(at) - 1))
                    )
                    cells = extreme(former, latter)
            bounds.append(cells)
        centres = tuple(
            (at[1:-1] if len(at) > 2 else at.mean(keepdims=True)).astype(np.float32) - 0.5
            for at in edges
        )
        return cls(centres, *bounds)

    def to_8bit(self, window: np.ndarray, top: int, left: int) -> np.ndarray:
        """Turn a window of the section, floats (samples, traces) from a corner, to uint8."""
        height, width = window.shape
        down = _weights(self.centres[0], np.arange(top, top + height))
        across = _weights(self.centres[1], np.arange(left, left + width))
        low, high = (down @ bound @ across.T for bound in (self.low, self.high))
        return stretched(filled(window), low, high)


def _weights(centres: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Linear weights of centres at places, float32 (places, centres); the ends are kept beyond."""
    identity = np.eye(len(centres), dtype=np.float32)
    return np.stack([np.interp(places, centres, row) for row in identity], 1).astype(np.float32)
