"""Probabilities of whole sections, window by window without a seam.

Windows begin and end where the network's poolings do in the whole section, which is padded by
reflection to a whole number of the network's strides.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.special import expit

from saltseg.core.errors import InputError, oom_hint
from saltseg.device.compute import Compute
from saltseg.ensemble.fusion import to_logits
from saltseg.inference.predict import predict_batch
from saltseg.networks.network import Network
from saltseg.survey.windows import Windows

# Returns grey values, uint8 (lines, samples, traces), of a part of some neighbouring sections.
Read = Callable[[slice, slice], np.ndarray]
Core = tuple[slice, ...]  # rows and columns


@dataclass(frozen=True)
class SectionPredictor:
    """Predicts sections with all members.

    flip: whether predictions are averaged over the flip
    weights: how much each member counts in their mean, None for the same
    """

    networks: list[Network]
    compute: Compute
    windows: Windows
    flip: bool
    weights: list[int] | None = None

    @property
    def is_seamless(self) -> bool:
        """Whether each pixel is what it is in the whole section, however that is cut."""
        try:
            return all(each.receptive_radius <= self.windows.margin for each in self.networks)
        except InputError:
            # An encoder sees all of a window.
            return False

    def predict(self, section: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation over members of a section, uint8 (samples, traces).

        Both are float32 of its shape.
        """
        mean, deviation = np.zeros((2, *section.shape), dtype=np.float32)
        for core in product(*map(self.windows.cores, section.shape)):
            batches = self.predict_core(
                lambda rows, columns: section[None, rows, columns], (1, *section.shape), core
            )
            for found in batches:
                mean[core], deviation[core] = (each[0] for each in found)
        return mean, deviation

    def predict_core(
        self, read: Read, shape: tuple[int, int, int], core: Core, batch_size: int = 1
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Predict the same core of some sections of equal size, ``batch_size`` at a time.

        Args:
            read: returns grey values of a part that lies within the sections.
            shape: of all the sections together: (lines, samples, traces).

        Yields the probability of the members' mean logits, and the standard deviation of their
        probabilities, float32 (lines, rows, columns), of each batch.
        """
        cuts = []
        for network in self.networks:
            network.eval()
            outer = [
                self._around(network, part, side)
                for part, side in zip(core, shape[1:], strict=True)
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
                with _smaller(self.windows, batch_size):
                    mean = predict_batch(network, pixels, None, self.compute, self.flip)
                found.append(mean[:, *inner])
            if len(found) == 1:
                yield found[0], np.zeros_like(found[0])
            else:
                yield (
                    expit(self._mean(to_logits(np.stack(found)))),
                    np.std(found, axis=0),
                )

    def _mean(self, logits: np.ndarray) -> np.ndarray:
        if self.weights is None:
            return np.mean(logits, axis=0)
        shares = np.array(self.weights, np.float32) / np.float32(sum(self.weights))
        return np.tensordot(shares, logits, 1)

    def around(self, core: Core, shape: tuple[int, int]) -> Core:
        """Return the part of sections of a shape that all members need to predict a core."""
        part = []
        for inner, side in zip(core, shape, strict=True):
            outer = [self._around(network, inner, side) for network in self.networks]
            start, stop = min(each.start for each in outer), max(each.stop for each in outer)
            part.append(slice(max(start, 0), min(stop, side)))
        return part[0], part[1]

    def _around(self, network: Network, core: slice, side: int) -> slice:
        return self.windows.around(core, side, network.padding(side), network.stride)

    def batch_size(self, shape: tuple[int, int], tiles: int, tile: int) -> int:
        """Return how many windows of sections have the pixels of some tiles, at least 1."""
        margin = self.windows.margin
        sides = [min(self.windows.core(side) + 2 * margin, side) for side in shape]
        return max(1, tiles * tile**2 // (sides[0] * sides[1]))


def windows_for(networks: list[Network], window: int, margin: int | None = None) -> Windows:
    """Return how to cut sections for some members: ``inference.window`` and ``inference.margin``.

    A margin of None is the greatest of the networks' receptive radii, so that each pixel is what it
    is in the whole section. Raises InputError if there is no such margin.
    """
    if margin is None:
        margin = max(network.receptive_radius for network in networks)
    return Windows.at_least(window, margin)


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
