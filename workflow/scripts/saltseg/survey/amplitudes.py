"""Grey values of seismic amplitudes: the 8 bits that networks are trained on and predict from.

Amplitudes are in units of the survey's clip, so that most lie in -1 to 1; missing samples are NaN,
and count as amplitude 0, or in sections as those of the nearest trace. ``survey.normalisation``
names the way to grey values:

volume: -1 to 1 become 0 to 255 everywhere, and what lies beyond is cut off.
window: the least and the greatest amplitude of each tile become 0 and 255, as in the contest's
    tiles. A section larger than a tile gets bounds that change smoothly (``LocalBounds``).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

NORMALISATIONS = ("volume", "window")
PART = 2**24  # amplitudes to be measured at a time
MIDDLE = 128  # grey value of amplitude 0 by volume, and of a tile of one amplitude


def to_8bit(amplitude: np.ndarray, normalisation: str) -> np.ndarray:
    """Turn the amplitudes of one tile, floats of any shape in units of the clip, to uint8.

    Raises ValueError for another normalisation than those of ``NORMALISATIONS``.
    """
    amplitude = fill_with_zero(amplitude)
    if normalisation == "volume":
        return stretch(amplitude, -1, 1)
    if normalisation == "window":
        return stretch(amplitude, amplitude.min(), amplitude.max())
    raise ValueError(f"expected one of {', '.join(NORMALISATIONS)}, found {normalisation!r}")


def fill_with_zero(amplitude: np.ndarray) -> np.ndarray:
    """Copy amplitudes as float32 of the same shape, with 0 where they are missing."""
    return np.nan_to_num(amplitude.astype(np.float32), copy=False)


def fill_gaps(sections: np.ndarray) -> np.ndarray:
    """Fill missing samples of sections, floats (..., samples, traces), from the nearest trace.

    Without, networks take the flat grey beyond the edge of a survey for salt. Samples that no trace
    has stay as they are.
    """
    missing = np.isnan(sections)
    if not missing.any():
        return sections
    sections = sections.copy()
    for one in np.ndindex(missing.shape[:-2]):
        if missing[one].any():
            nearest = _nearest_live(missing[one])
            sections[one] = np.take_along_axis(sections[one], nearest, axis=1)
    return sections


def _nearest_live(missing: np.ndarray) -> np.ndarray:
    """Return the nearest trace that has each sample, the former of two: int32 (samples, traces)."""
    traces = np.arange(missing.shape[1], dtype=np.int32)
    far = np.int32(2 * missing.shape[1])
    before = np.maximum.accumulate(np.where(missing, -far, traces), axis=1)
    after = np.minimum.accumulate(np.where(missing, far, traces)[:, ::-1], axis=1)[:, ::-1]
    nearest = np.where(traces - before <= after - traces, before, after)
    return np.where(np.abs(nearest) == far, traces, nearest)


def stretch(amplitude: np.ndarray, low: np.ndarray | float, high: np.ndarray | float) -> np.ndarray:
    """Turn amplitudes, float32, to uint8 so that ``low`` to ``high`` become 0 to 255.

    Either bound is a number or an array that broadcasts; where both are equal the middle stands.
    """
    least, span = np.float32(low), np.float32(high) - np.float32(low)
    flat = span <= 0
    grey = amplitude - least
    # In place: such large arrays take longer to allocate than to compute.
    grey *= 255 / np.where(flat, 1, span)
    np.clip(np.rint(grey, out=grey), 0, 255, out=grey)
    grey = grey.astype(np.uint8)
    if flat.any():
        grey[np.broadcast_to(flat, grey.shape)] = MIDDLE
    return grey


@dataclass(frozen=True)
class LocalBounds:
    """Least and greatest amplitude around each pixel of some sections, without seams.

    They are measured in overlapping tiles, half a tile apart, and interpolated linearly between the
    tiles' centres. All tiles that a pixel lies between hold it, so that no amplitude is cut off,
    and in the middle of each tile the bounds are that tile's own.

    centres: of the tiles, pairs of float32 arrays: down the section, and across it
    low, high: float32 (..., centres down, centres across)
    """

    centres: tuple[np.ndarray, np.ndarray]
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def measure(cls, sections: np.ndarray, tile: int) -> "LocalBounds":
        """Measure bounds of sections, floats (..., samples, traces), in tiles of a given side."""
        return cls.measure_in_parts(lambda traces: sections[..., traces], sections.shape, tile)

    @classmethod
    def measure_in_parts(
        cls, read: Callable[[slice], np.ndarray], shape: tuple[int, ...], tile: int
    ) -> "LocalBounds":
        """Measure bounds of sections of a shape that are read part by part.

        ``read`` returns all samples of some traces, floats (..., samples, traces).
        """
        down, across = (_edges(side, tile) for side in shape[-2:])
        # Cells between the edges, as many a part as fit.
        column = int(np.prod(shape[:-1])) * int(np.diff(across).max())
        step = max(1, PART // column)
        extremes = ([], [])
        for start in range(0, len(across) - 1, step):
            edges = across[start : start + step + 1]
            part = read(slice(int(edges[0]), int(edges[-1]))).astype(np.float32)
            # These two leave out what is missing.
            for extreme, found in zip((np.fmin, np.fmax), extremes, strict=True):
                cells = extreme.reduceat(part, down[:-1], axis=-2)
                found.append(extreme.reduceat(cells, edges[:-1] - edges[0], axis=-1))
        low, high = (
            _extremes_of_tiles(extreme, np.nan_to_num(fill_gaps(np.concatenate(found, axis=-1))))
            for extreme, found in zip((np.minimum, np.maximum), extremes, strict=True)
        )
        return cls((_centres(down), _centres(across)), low, high)

    def to_8bit(self, windows: np.ndarray, top: int, left: int) -> np.ndarray:
        """Turn windows of the sections, floats (..., samples, traces) from a corner, to uint8."""
        height, width = windows.shape[-2:]
        down, across = np.arange(top, top + height), np.arange(left, left + width)
        # Across first, while there are few rows.
        low, high = (
            _interpolate(self.centres[1], bound, across, -1) for bound in (self.low, self.high)
        )
        grey = np.empty(windows.shape, np.uint8)
        # Section by section, which stays in a CPU's cache.
        for one in np.ndindex(windows.shape[:-2]):
            ends = (_interpolate(self.centres[0], bound[one], down, -2) for bound in (low, high))
            grey[one] = stretch(fill_with_zero(windows[one]), *ends)
        return grey


def _edges(side: int, tile: int) -> np.ndarray:
    """Return ends of cells along a side, of at most half a tile each, about, as int64."""
    return np.linspace(0, side, 1 + -(-side * 2 // tile)).astype(np.int64)


def _extremes_of_tiles(extreme: np.ufunc, cells: np.ndarray) -> np.ndarray:
    """Return extremes of tiles from those of their cells (..., down, across), two a side."""
    for axis in (-2, -1):
        cells = np.moveaxis(cells, axis, 0)
        if len(cells) > 1:
            cells = extreme(cells[:-1], cells[1:])
        cells = np.moveaxis(cells, 0, axis)
    return cells


def _centres(edges: np.ndarray) -> np.ndarray:
    """Return centres of the tiles that each two neighbouring cells make."""
    middles = edges[1:-1] if len(edges) > 2 else edges.mean(keepdims=True)
    return middles.astype(np.float32) - np.float32(0.5)


def _interpolate(
    centres: np.ndarray, values: np.ndarray, indices: np.ndarray, axis: int
) -> np.ndarray:
    """Interpolate float32 values at centres linearly along an axis; the ends are kept beyond."""
    # Not as a product of matrices, whose library would take threads of its own.
    at = np.interp(indices, centres, np.arange(len(centres)))
    former = np.minimum(at.astype(np.intp), max(len(centres) - 2, 0))
    share = np.expand_dims((at - former).astype(np.float32), axis=tuple(range(1, -axis)))
    start = values.take(former, axis)
    step = np.diff(values, axis=axis, append=values.take([-1], axis)).take(former, axis)
    step *= share
    step += start
    return step


def section_to_8bit(section: np.ndarray, normalisation: str, tile: int) -> np.ndarray:
    """Turn a whole section, floats (samples, traces) in units of the clip, to uint8.

    By window, bounds change smoothly from tile to tile (``LocalBounds``), so that no seam shows.
    """
    if normalisation == "window":
        return LocalBounds.measure(section, tile).to_8bit(fill_gaps(section), 0, 0)
    return to_8bit(fill_gaps(section), normalisation)
