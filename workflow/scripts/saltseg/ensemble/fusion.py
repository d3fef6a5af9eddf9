"""Members and interpretation, fused: how likely salt is, from what members and interpolation say.

The logit of salt is ``slope`` times that of the members, plus ``weight`` times the interpolated
distance from salt's border in its standard deviations, plus ``offset``. So interpolation counts
most beside a labelled line, and ever less away from it. The three are learnt on lines that members
held out and that were left out of the interpolation (logistic regression), which also calibrates
probabilities.
"""

from dataclasses import dataclass

import numpy as np
from scipy import optimize

from saltseg.core.quantisation import SCALE

# Logits of quantised probabilities; as far from 0 as members are to be trusted.
MOST = np.float32(7)
with np.errstate(divide="ignore"):
    _share = np.arange(SCALE + 1) / SCALE
    LOGITS = np.log(_share / (1 - _share)).clip(-MOST, MOST).astype(np.float32)
LOGITS = np.append(LOGITS, np.float32(np.nan))  # MISSING
REACH = 3  # standard deviations of a Gaussian, beyond which it is cut


@dataclass(frozen=True)
class Fusion:
    """Weights of what is fused; see above."""

    slope: float
    weight: float
    offset: float

    def logits(self, members: np.ndarray, distance: np.ndarray | None = None) -> np.ndarray:
        """Return logits of salt, float32, from members' logits and interpolated distances."""
        found = np.float32(self.slope) * members + np.float32(self.offset)
        return found if distance is None else found + np.float32(self.weight) * distance


# Members as they are.
MEMBERS = Fusion(slope=1, weight=0, offset=0)
# What learning starts from and, with few lines, stays near; found on synthetic surveys.
TYPICAL = Fusion(slope=0.9, weight=0.3, offset=0.7)
ALONE = Fusion(slope=0.9, weight=0, offset=0.7)
# How strongly, in lines.
STRENGTH = 0.03


def learn(lines: list[tuple[np.ndarray, np.ndarray, np.ndarray]], alone: bool) -> Fusion:
    """Learn the weights on held-out lines, each of which counts as much as any other.

    Args:
        lines: members' logits, interpolated distances and whether there is salt, of each line's
            labelled samples: float32, float32 and bool, all (samples).
        alone: whether to leave the interpolation out.
    """
    start = ALONE if alone else TYPICAL
    lines = [each for each in lines if len(each[0])]
    if not lines:
        return start
    members, distances, salt = (np.concatenate(each) for each in zip(*lines, strict=True))
    share = np.concatenate([np.full(len(each[0]), 1 / len(each[0])) for each in lines])
    inputs = np.stack(
        [members, np.zeros_like(distances) if alone else distances, np.ones_like(members)]
    )
    typical = np.array([start.slope, start.weight, start.offset])

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logits = weights @ inputs
        off = weights - typical
        error = share * (probability(logits) - salt)
        total = share @ (np.logaddexp(0, logits) - salt * logits) + STRENGTH / 2 * off @ off
        return float(total), inputs @ error + STRENGTH * off

    bounds = [(0.1, 3), (0, 3), (-3, 3)]
    found = optimize.minimize(loss, typical, jac=True, bounds=bounds).x
    return Fusion(*(float(each) for each in found))


def probability(logits: np.ndarray) -> np.ndarray:
    """Return probabilities of logits, of any shape, in their type."""
    return 1 / (1 + np.exp(-logits))


def smooth(values: np.ndarray, axis: int, lines: range, deviation: float) -> np.ndarray:
    """Return members' logits, smoothed across lines by a Gaussian, float32; NaN where missing.

    Args:
        values: uint16, as in ``core.quantisation``, of any shape.
        axis: that of the lines.
        lines: which of them to return; those around them take part.
        deviation: standard deviation of the Gaussian in lines; 0 for none.
    """
    logits = LOGITS[values]
    middle = _part(logits, axis, lines.start, lines.stop)
    if not deviation:
        return middle
    total, weights = np.zeros_like(middle), np.zeros_like(middle)
    for offset in range(-halo(deviation), halo(deviation) + 1):
        first, last = max(lines.start + offset, 0), min(lines.stop + offset, values.shape[axis])
        if first >= last:
            continue
        here = slice(first - offset - lines.start, last - offset - lines.start)
        weight = np.float32(np.exp(-((offset / deviation) ** 2) / 2))
        each = _part(logits, axis, first, last)
        known = ~np.isnan(each)
        target = tuple(here if k == axis else slice(None) for k in range(values.ndim))
        total[target] += weight * np.where(known, each, 0)
        weights[target] += weight * known
    # A missing sample has no value, whatever its neighbours say.
    with np.errstate(invalid="ignore"):
        return np.where(np.isnan(middle), np.nan, total / weights)


def halo(deviation: float) -> int:
    """Return how many lines around a line smoothing needs."""
    return round(REACH * deviation)


def _part(values: np.ndarray, axis: int, start: int, stop: int) -> np.ndarray:
    return values[
        tuple(slice(start, stop) if k == axis else slice(None) for k in range(values.ndim))
    ]
