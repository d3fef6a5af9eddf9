"""Salt between labelled lines, as interpreters draw it: signed distances, interpolated.

On a labelled line, each sample has the distance to the nearest border of salt, positive within it.
Between two lines of a plane it is interpolated linearly; beyond the last one it is that line's. Its
error is taken for that of a Brownian bridge, whose standard deviation is here proportional to
a b / (a + b) between lines a and b away, and to a beyond the last line: the reach.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from saltseg.survey.grid import PLANES
from saltseg.survey.lines import SALT, UNLABELLED, Labels

LIMIT = 30  # samples, to which distances are clipped
BAND = 20  # samples around borders of salt, where interpolation is judged
NEAREST = 0.5  # lines, the least reach: a label's own error
TYPICAL = 1.0  # samples by which interpolation is off, for each line of reach


def signed_distance(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return distances to the border of salt, and which traces have them, of a labelled line.

    Distances are float16 (traces, samples), in samples or traces, at most ``LIMIT`` and positive
    within salt. A trace has them, bool (traces), if it is labelled all along; others are taken for
    the nearest one that is.

    labels: uint8 (traces, samples): OTHER, SALT or UNLABELLED
    """
    known = (labels != UNLABELLED).all(axis=1)
    if not known.any():
        return np.zeros(labels.shape, np.float16), known
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    salt = labels[nearest[0]] == SALT
    # Half a sample less, to the border instead of to the next sample's centre.
    inside, outside = (
        ndimage.distance_transform_edt(each) - 0.5 if not each.all() else np.full(each.shape, LIMIT)
        for each in (salt, ~salt)
    )
    distance = np.where(salt, inside, -outside)
    return distance.clip(-LIMIT, LIMIT).astype(np.float16), known


class Interpolation:
    """Distances between labelled lines, from the inlines, the crosslines, or both.

    Empty, and false, where no plane has two labelled lines.

    growth: by how many samples distances are off for each line of reach
    """

    def __init__(self, labels: Labels):
        """Take labelled lines, and measure ``growth`` by leaving out each of them."""
        distances = {key: signed_distance(each) for key, each in labels.items()}
        self._distances = {key: each for key, each in distances.items() if each[1].any()}
        self._planes = _planes(self._distances)
        self.growth = self._measure_growth()

    def __bool__(self) -> bool:
        return bool(self._planes)

    def without(self, lines: set[tuple[str, int]]) -> "Interpolation":
        """Return the interpolation from all lines but some, with the same growth."""
        other = object.__new__(Interpolation)
        other._distances = {k: each for k, each in self._distances.items() if k not in lines}
        other._planes = _planes(other._distances)
        other.growth = self.growth
        return other

    def distance(self, inlines: slice, crosslines: slice) -> np.ndarray:
        """Return distances in standard deviations, float32 (inlines, crosslines, samples).

        Planes are weighted by the inverse square of their reach; 0 where there is no line.
        """
        weighted = weights = np.float32(0)
        for axis, plane in self._planes.items():
            lines, traces = (inlines, crosslines)[axis], (inlines, crosslines)[1 - axis]
            found = [plane.at(line, traces) for line in range(lines.start, lines.stop)]
            distance, reach = (np.stack(each, axis=axis) for each in zip(*found, strict=True))
            weight = 1 / np.square(np.maximum(reach, NEAREST))[..., None]
            weighted, weights = weighted + weight * distance, weights + weight
        return weighted / np.sqrt(np.maximum(weights, 1e-12)) / np.float32(self.growth)

    def _measure_growth(self) -> float:
        """Return the typical error for each line of reach, of lines left out one by one."""
        ratios = []
        for (plane, line), (truth, known) in self._distances.items():
            others = {
                at: each
                for (name, at), each in self._distances.items()
                if name == plane and at != line
            }
            if not others:
                continue
            distance, reach = _Plane.of(others).at(line, slice(0, len(truth)))
            near = (np.minimum(np.abs(distance), np.abs(truth)) < BAND) & known[:, None]
            near &= np.isfinite(reach)[:, None]
            if near.any():
                error = np.sqrt(np.square(distance - truth, dtype=np.float32)[near].mean())
                ratios.append(max(float(error), 0.5) / float(np.median(reach[near.any(axis=1)])))
        return float(np.exp(np.mean(np.log(ratios)))) if ratios else TYPICAL


@dataclass(frozen=True)
class _Plane:
    """The labelled lines of a plane.

    lines: their indices, ascending
    before, after: for each of them, distances (traces, samples) and lines (traces) of the nearest
        labelled line from there back, or on; lines are infinite where a trace has none
    """

    lines: list[int]
    before: list[tuple[np.ndarray, np.ndarray]]
    after: list[tuple[np.ndarray, np.ndarray]]

    @classmethod
    def of(cls, distances: dict[int, tuple[np.ndarray, np.ndarray]]) -> "_Plane":
        """Take distances and known traces of lines, by their index."""
        lines = [(line, *distances[line]) for line in sorted(distances)]
        return cls(sorted(distances), _fill(lines), _fill(lines[::-1])[::-1])

    def at(self, line: int, traces: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return distances, float32 (traces, samples), and reach, float32 (traces), at a line."""
        following = int(np.searchsorted(self.lines, line))
        if following < len(self.lines) and self.lines[following] == line:
            sides = [self.before[following], self.after[following]]
        else:
            sides = [*self.before[max(following - 1, 0) : following]]
            sides += self.after[following : following + 1]
        away = [np.abs(at[traces] - line) for _, at in sides]
        distances = [each[traces].astype(np.float32) for each, _ in sides]
        if len(sides) == 1:
            return distances[0], away[0]
        # Infinite where a side has no line; never 0 on both sides but on a line, where both agree.
        first, second = (1 / np.maximum(each, np.float32(1e-6)) for each in away)
        share = (first / np.maximum(first + second, np.float32(1e-12)))[:, None]
        with np.errstate(divide="ignore"):
            reach = 1 / (first + second)
        return share * distances[0] + (1 - share) * distances[1], reach


def _planes(
    distances: dict[tuple[str, int], tuple[np.ndarray, np.ndarray]],
) -> dict[int, _Plane]:
    """Return the planes with two labelled lines at least, by their axis."""
    found = {}
    for axis, plane in enumerate(PLANES):
        own = {line: each for (name, line), each in distances.items() if name == plane}
        if len(own) > 1:
            found[axis] = _Plane.of(own)
    return found


def _fill(lines: list[tuple[int, np.ndarray, np.ndarray]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return, for each line in turn, what each trace has from the last line that knows it."""
    filled, found = lines[0][1], np.full(len(lines[0][2]), np.inf, np.float32)
    result = []
    for line, distance, known in lines:
        filled = distance if known.all() else np.where(known[:, None], distance, filled)
        found = np.where(known, np.float32(line), found)
        result.append((filled, found))
    return result
