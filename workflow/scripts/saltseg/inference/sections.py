"""Probabilities of whole sections, window by window without a seam.

Windows begin and end where the network's poolings do in the whole section, which is padded by
reflection to a whole number of the network's steps.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import product

import numpy as np

from saltseg.core.errors import oom_hint
from saltseg.device.compute import Compute
from saltseg.inference.predict import predict_batch
from saltseg.networks.network import Network
from saltseg.survey.windows import Windows

# Gives grey values, uint8 (lines, samples, traces), of a part of some neighbouring sections.
Read = Callable[[slice, slice], np.ndarray]


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
        batches = predict_core(
            networks,
            lambda rows, columns: section[None, rows, columns],
            (1, *section.shape),
            core,
            compute,
            windows=windows,
            flip=flip,
            batch_size=batch_size,
        )
        for found in batches:
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
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Predict the same core of some sections of equal size, ``batch_size`` of them at a time.

    Args:
        read: gives grey values of the sections, of parts that lie within them.
        shape: of all the sections together: (lines, samples, traces).
        core: rows and columns.

    Yields mean and standard deviation over members, float32 (lines, rows, columns), of each batch.
    """
    cuts = []
    for network in networks:
        network.eval()
        outer = [
            around(windows, part, side, network) for part, side in zip(core, shape[1:], strict=True)
        ]
        inner = tuple(
            slice(part.start - whole.start, part.stop - whole.start)
            for part, whole in zip(core, outer, strict=True)
        )
        cuts.append((network, outer, inner))
    for start in range(0, shape[0], batch_size):
        lines, found = slice(start, start + batch_size), []
        for network, outer, inner in cuts:
            pixels = _read_padded(
                lambda rows, columns, lines=lines: read(rows, columns)[lines], shape[1:], outer
            )
            with _smaller(windows, batch_size):
                found.append(predict_batch(network, pixels, None, compute, flip)[:, *inner])
        if len(found) == 1:
            yield found[0], np.zeros_like(found[0])
        else:
            yield np.mean(found, axis=0), np.std(found, axis=0)


def windows_for(networks: list[Network], window: int, margin: int | None = None) -> Windows:
    """Return how to cut sections for some members: ``inference.window`` and ``inference.margin``.

    A margin of None is the greatest of the networks' reach, so that each pixel is what it is in the
    whole section. Raises InputError if there is no such margin.
    """
    if margin is None:
        margin = max(network.receptive_radius for network in networks)
    return Windows.at_least(window, margin)


def around(windows: Windows, core: slice, side: int, network: Network) -> slice:
    """Return the window that a network needs around a core; see ``Windows.around``."""
    return windows.around(core, side, network.padding(side), network.stride)


def at_once(windows: Windows, shape: tuple[int, int], batch_size: int, tile: int) -> int:
    """Return how many windows of sections of a shape have the pixels of a batch of tiles, or 1."""
    sides = [min(windows.core(side) + 2 * windows.margin, side) for side in shape]
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


def _smaller(windows: Windows, batch_size: int) -> AbstractContextManager:
    """Return a context that names the setting to lower if memory runs out."""
    if batch_size > 1:
        return oom_hint("inference.batch_size", batch_size, "windows at once")
    return oom_hint("inference.window", windows.window, "pixels a side of a window")
