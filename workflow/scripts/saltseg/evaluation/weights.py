"""Weights of kinds of members that are compared, to choose those of the best score."""

from collections import Counter
from collections.abc import Iterable
from math import comb, gcd, lcm

from saltseg.settings.members import kind_of

FINEST, MOST = 20, 100  # steps from 0 to 1, and mixtures that are compared


def mixtures(names: Iterable[str]) -> list[dict[str, int]]:
    """Return weights of members by name: equal ones first, then a grid over the shares of kinds.

    Members of a kind weigh the same; a kind's share is the sum of its members' weights. The grid
    has shares of a twentieth for two kinds, and coarser ones for more.
    """
    counts = Counter(map(kind_of, names))
    common = lcm(*counts.values())
    found = [dict.fromkeys(counts, 1)]
    for shares in _compositions(_steps(len(counts)), len(counts)):
        weights = [
            share * common // count for share, count in zip(shares, counts.values(), strict=True)
        ]
        whole = gcd(*weights)
        kinds = {kind: weight // whole for kind, weight in zip(counts, weights, strict=True)}
        found += [kinds] if kinds not in found else []
    return [{name: kinds[kind_of(name)] for name in names} for kinds in found]


def _steps(kinds: int) -> int:
    """Return the finest steps of shares that make no more than ``MOST`` mixtures, at least 1."""
    fits = [steps for steps in range(1, FINEST + 1) if comb(steps + kinds - 1, kinds - 1) <= MOST]
    return max(fits, default=1)


def _compositions(total: int, parts: int) -> Iterable[tuple[int, ...]]:
    """Yield all tuples of so many numbers from 0 on with a sum."""
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for others in _compositions(total - first, parts - 1):
            yield (first, *others)
