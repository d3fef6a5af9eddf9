"""Probabilities of whole sections, window by window without a seam.

A section is cut to cores, side by side on a grid that depends on its size alone. Each core is
predicted within a larger window, whose margin is thrown away: there the network sees a border that
the section does not have. Windows begin and end where the network's poolings do in the whole
section, which is padded by reflection to a whole number of the network's steps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count, product

import numpy as np

from salt.core.errors import fewer_at_once
from salt.device.compute import Compute
from salt.inference.predict import predict_batch
from salt.networks.network import Network

GRID = 32  # pixels; cores end at multiples of it, as the chunks of volumes do

# Gives grey values, uint8 (lines, samples, traces), of a part of some neighbouring sections.
Read = Callable[[slice, slice], np.ndarray]


@dataclass(frozen=True)
class Windows:
    """How sections are cut.

    window: pixels a side of the largest window, about; a section that is no larger is not cut
    margin: pixels that are thrown away at each side of a window but at the section's own ends
    """

    window: int
    margin: int

    def cores(self, side: int) -> list[slice]:
        """Cut a side of so many pixels to as few cores as can be, of one size but the last."""
        for parts in count(1):
            core = -(-side // (parts * GRID)) * GRID
            margins = min(parts - 1, 2) * self.margin
            if (
                (parts == 1 and side <= self.window)
                or core + margins <= self.window
                or core == GRID
            ):
                break
        return [slice(start, min(start + core, side)) for start in range(0, side, core)]

    def around(self, core: slice, side: int, network: Network) -> slice:
        """Return the window around a core, which may begin before the side and end after it."""
        before, after = network.padding(side)
        # From where the padded side begins.
        start = max(core.start + before - self.margin, 0)
        stop = min(core.stop + before + self.margin, before + side + after)
        start, stop = start - start % network.step, stop + -stop % network.step
        return slice(start - before, stop - before)


def predict_section(
    networks: list[Network],
    section: np.ndarray,
    compute: Compute,
    *,
    windows: Windows,
    flip: bool,
    batch_size: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean probability of members over a section, and their standard deviation.

    Takes uint8 (samples, traces) and gives two arrays of float32 of that shape. ``flip`` is as in
    ``predict``.
    """
    mean, deviation = np.zeros((2, *section.shape), dtype=np.float32)
    for core in product(*map(windows.cores, section.shape)):
        found = predict_core(
            networks,
            lambda rows, columns: section[None, rows, columns],
            (1, *section.shape),
            core,
            compute,
            windows=windows,
            flip=flip,
            batch_size=batch_size,
        )
        mean[core], deviation[core] = (each[0] for each in found)
    return mean, deviation


def predict_core(
    networks: list[Network],
    read: Read,
    shape: tuple[int, int, int],
    core: tuple[slice, slice],
    compute: Compute,
    *,
    windows: Windows,
    flip: bool,
    batch_size: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Predict the same core of some sections of equal size, ``batch_size`` of them at a time.

    Args:
        read: gives grey values of the sections, of parts that lie within them.
        shape: of all the sections together: (lines, samples, traces).
        core: rows and columns.

    Gives mean and standard deviation over members, float32 (lines, rows, columns).
    """
    found = []
    for network in networks:
        network.eval()
        outer = [
            windows.around(part, side, network) for part, side in zip(core, shape[1:], strict=True)
        ]
        pixels = _read_padded(read, shape[1:], outer)
        inner = tuple(
            slice(part.start - around.start, part.stop - around.start)
            for part, around in zip(core, outer, strict=True)
        )
        probabilities = []
        for start in range(0, shape[0], batch_size):
            batch = pixels[start : start + batch_size]
            with _smaller(windows, batch_size):
                values = predict_batch(network, batch, None, compute, flip)
            probabilities.append(values[:, *inner])
        found.append(np.concatenate(probabilities))
    if len(found) == 1:
        return found[0], np.zeros_like(found[0])
    stack = np.stack(found)
    return stack.mean(0), stack.std(0)


def at_once(windows: Windows, shape: tuple[int, int], batch_size: int, tile: int) -> int:
    """Return how many windows of sections of a shape have the pixels of a batch of tiles, or 1."""
    sides = [
        min(cores[0].stop + 2 * windows.margin, side)
        for side, cores in zip(shape, map(windows.cores, shape), strict=True)
    ]
    return max(1, batch_size * tile**2 // (sides[0] * sides[1]))


def _read_padded(read: Read, shape: tuple[int, int], outer: list[slice]) -> np.ndarray:
    """Read windows that may reach beyond the sections, where these are reflected."""
    inside = [
        slice(max(part.start, 0), min(part.stop, side))
        for part, side in zip(outer, shape, strict=True)
    ]
    beyond = [
        (within.start - part.start, part.stop - within.stop)
        for within, part in zip(inside, outer, strict=True)
    ]
    return np.pad(read(*inside), [(0, 0), *beyond], mode="reflect")


def _smaller(windows: Windows, batch_size: int):
    """Context that names the setting to lower where memory is too small."""
    if batch_size > 1:
        return fewer_at_once("inference.batch_size", batch_size, "windows at once")
    return fewer_at_once("inference.window", windows.window, "pixels a side of a window")
