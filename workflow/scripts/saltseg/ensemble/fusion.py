"""Members and interpretation, fused: how likely salt is, from what members and interpolation say.

The logit of salt is that of the members in each plane times a slope, plus ``weight`` times the
interpolated distance from salt's border in its standard deviations, plus ``offset``. So
interpolation counts most beside a labelled line, and ever less away from it; and the plane of the
labelled lines, which is what members were trained on, counts more than the other. All are learnt on
lines that members held out and that were left out of the interpolation (logistic regression), which
also calibrates probabilities.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, optimize, special

from saltseg.core.quantisation import SCALE

MOST = 7  # as far from 0 as logits of members are to be trusted


def to_logits(probabilities: np.ndarray) -> np.ndarray:
    """Return logits of probabilities, of any shape, within ``MOST``, in their type."""
    return special.logit(probabilities).clip(-MOST, MOST)


# Of quantised probabilities, the last of which is missing.
LOGITS = np.append(to_logits(np.arange(SCALE + 1) / SCALE), np.nan).astype(np.float32)
REACH = 3  # standard deviations of a Gaussian, beyond which it is cut


# Logits of members, by plane.
Members = dict[str, np.ndarray]


@dataclass(frozen=True)
class Fusion:
    """Weights of what is fused; see above."""

    slopes: dict[str, float]
    weight: float
    offset: float

    def logits(self, members: Members, distance: np.ndarray | None = None) -> np.ndarray:
        """Return logits of salt, float32, from members' logits and interpolated distances.

        Other planes than the weights were learnt for, as of a volume by members of 2-D lines, share
        the slopes evenly.
        """
        slopes = self.slopes
        if members.keys() != slopes.keys():
            slopes = dict.fromkeys(members, sum(slopes.values()) / len(members))
        parts = [np.float32(slopes[plane]) * each for plane, each in members.items()]
        if distance is not None:
            parts.append(np.float32(self.weight) * distance)
        return np.float32(self.offset) + sum(parts[1:], parts[0])


# What learning starts from and, with few lines, stays near; found on synthetic surveys. The slope
# is that of all planes together.
SLOPE, WEIGHT, OFFSET = 0.9, 0.3, 1.0
# How strongly, in lines.
STRENGTH = 0.03


def typical(planes: Iterable[str], alone: bool = False) -> Fusion:
    """Return what fusion usually is, of members in some planes."""
    planes = list(planes)
    slopes = dict.fromkeys(planes, SLOPE / len(planes))
    return Fusion(slopes, 0 if alone else WEIGHT, OFFSET)


def average(planes: Iterable[str]) -> Fusion:
    """Return the fusion of members that says what they say, in the mean of some planes."""
    planes = list(planes)
    return Fusion(dict.fromkeys(planes, 1 / len(planes)), 0, 0)


def learn(lines: list[tuple[Members, np.ndarray, np.ndarray]], start: Fusion) -> Fusion:
    """Learn the weights on held-out lines, each of which counts as much as any other.

    Args:
        lines: members' logits, interpolated distances and whether there is salt, of each line's
            labelled samples: float32, float32 and bool, all (samples).
        start: what to start from and stay near; without a weight, nothing is interpolated.
    """
    lines = [each for each in lines if len(each[1])]
    if not lines:
        return start
    salt = np.concatenate([each[2] for each in lines])
    share = np.concatenate([np.full(len(each[2]), 1 / len(each[2])) for each in lines])
    inputs = [np.concatenate([each[0][plane] for each in lines]) for plane in start.slopes]
    inputs.append(np.concatenate([each[1] for each in lines]) if start.weight else 0 * inputs[0])
    inputs = np.stack([*inputs, np.ones_like(inputs[0])])
    usual = np.array([*start.slopes.values(), start.weight, start.offset])

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logits = weights @ inputs
        off = weights - usual
        error = share * (special.expit(logits) - salt)
        total = share @ (np.logaddexp(0, logits) - salt * logits) + STRENGTH / 2 * off @ off
        return float(total), inputs @ error + STRENGTH * off

    bounds = [*[(0, 3)] * (len(usual) - 1), (-3, 3)]
    *slopes, weight, offset = optimize.minimize(loss, usual, jac=True, bounds=bounds).x.tolist()
    return Fusion(dict(zip(start.slopes, slopes, strict=True)), weight, offset)


def smooth(values: np.ndarray, axis: int, lines: range, deviation: float) -> np.ndarray:
    """Return members' logits, smoothed across lines by a Gaussian, float32; NaN where missing.

    Args:
        values: uint16, as in ``core.quantisation``, of any shape.
        axis: that of the lines.
        lines: which of them to return; those around them take part.
        deviation: standard deviation of the Gaussian in lines; 0 for none.
    """
    logits = LOGITS[values]
    known = ~np.isnan(logits)
    if deviation:
        wide = halo(deviation)
        kernel = np.exp(-np.square(np.arange(-wide, wide + 1) / deviation) / 2)
        total, weights = (
            ndimage.correlate1d(each, kernel, axis, np.float32, "constant")
            for each in (np.where(known, logits, np.float32(0)), known)
        )
        # A missing sample has no value, whatever its neighbours say.
        logits = np.divide(total, weights, out=logits, where=known)
    return logits.take(lines, axis)


def halo(deviation: float) -> int:
    """Return how many lines around a line smoothing needs."""
    return round(REACH * deviation)


def surround(lines: range, count: int, deviation: float) -> tuple[range, range]:
    """Return the lines that smoothing some of ``count`` needs, and which of them these are."""
    wide = halo(deviation)
    near = range(max(lines.start - wide, 0), min(lines.stop + wide, count))
    return near, range(lines.start - near.start, lines.stop - near.start)
