"""Exact search for the decision threshold by the contest's metric.

As the threshold rises past a pixel's probability, the pixel leaves the mask. A tile's score is
therefore a step function of the threshold, with at most one step per distinct probability. The
functions of all tiles are summed in integers. Chosen is the threshold around which the mean score
is highest, which holds better on other tiles than the highest step, a matter of chance.
"""

import math
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, compress

import numpy as np
import pandas as pd

from saltseg.core import metric
from saltseg.core.errors import InputError
from saltseg.core.quantisation import SCALE
from saltseg.ensemble.predictions import Predictions, predicted_rows, sum_values
from saltseg.evaluation.summary import NOT_TUNED, TUNED_ON_ITSELF
from saltseg.survey.tiles import Tiles

# On either side of a threshold, over which the score is averaged; benchmarks/NOTES.md measures it.
NEAR = 0.1


@dataclass(frozen=True)
class Steps:
    """Tiles' scores as step functions of the threshold, in tenths.

    start: score of each tile if every pixel is salt, int64 (tiles)
    tile, value, change: int64 (steps); when the threshold reaches ``value``, the score of ``tile``
        changes by ``change``
    unit: the value that represents a probability of 1
    """

    start: np.ndarray
    tile: np.ndarray
    value: np.ndarray
    change: np.ndarray
    unit: int

    def curve(self, tiles: np.ndarray) -> "Curve":
        """Return the sum over the tiles selected by a bool mask (tiles)."""
        chosen = tiles[self.tile]
        values, index = np.unique(self.value[chosen], return_inverse=True)
        change = np.bincount(index, self.change[chosen], len(values)).astype(np.int64)
        total = self.start[tiles].sum() + np.cumsum(change)
        if not len(values) or values[0] > 0:
            values = np.concatenate([[0], values])
            total = np.concatenate([[self.start[tiles].sum()], total])
        return Curve(values, total, self.unit, int(tiles.sum()))


@dataclass(frozen=True)
class Curve:
    """Score by threshold: segment i spans [starts[i], starts[i + 1]) / unit.

    starts: int64 (segments), the first of them 0
    totals: int64 (segments), tenths of all tiles together
    """

    starts: np.ndarray
    totals: np.ndarray
    unit: int
    tiles: int

    @property
    def scores(self) -> np.ndarray:
        """Mean score of each segment, float64 (segments)."""
        return self.totals / (10 * self.tiles)

    def best(self) -> float:
        """Return the probability around which, by ``NEAR``, the mean score is highest.

        Beyond 0 and 1 the score stays as it is there. Of several probabilities, the midpoint of the
        widest range is returned.
        """
        near = max(round(NEAR * self.unit), 1)
        # Between these the mean is linear.
        ends = np.concatenate([self.starts - near, self.starts + near, [0, self.unit]])
        ends = np.unique(ends.clip(0, self.unit))
        means = self._integral(ends + near) - self._integral(ends - near)
        # Where ranges of the best begin, and where those after them do.
        turns = np.flatnonzero(np.diff(means == means.max(), prepend=False, append=False))
        first, last = ends[turns[::2]], ends[turns[1::2] - 1]
        widest = (last - first).argmax()
        return float((first[widest] + last[widest]) / (2 * self.unit))

    def _integral(self, ends: np.ndarray) -> np.ndarray:
        """Return the integral of the total from 0 to each of some ends, int64."""
        whole = np.concatenate([[0], np.cumsum(self.totals[:-1] * np.diff(self.starts))])
        segment = (np.searchsorted(self.starts, ends, side="right") - 1).clip(0)
        return whole[segment] + self.totals[segment] * (ends - self.starts[segment])

    def score(self, threshold: float) -> float:
        """Return the mean score if pixels with a probability above ``threshold`` are salt."""
        segment = np.searchsorted(self.starts, threshold * self.unit, side="right") - 1
        return float(self.scores[segment])


def steps(values: np.ndarray, masks: np.ndarray, unit: int) -> Steps:
    """Return the score steps of values, uint32, and masks, bool, both (tiles, height, width)."""
    values, masks = values.reshape(len(values), -1), masks.reshape(len(masks), -1)
    # A tile without salt scores only once every pixel has left the mask, so no sort is needed.
    salt = masks.any(axis=1)
    empty = np.flatnonzero(~salt)
    salty = np.flatnonzero(salt)
    # Sort value and truth as one key, which is faster than argsort.
    keys = values[salty] * np.uint32(2) + masks[salty]
    keys.sort(axis=1)
    # State k: the k pixels with the lowest values have left the mask.
    intersection = np.zeros((len(salty), values.shape[1] + 1), dtype=np.int32)
    np.cumsum((keys & 1).view(np.int32), axis=1, out=intersection[:, 1:])
    union = intersection + np.arange(values.shape[1], -1, -1, dtype=np.int32)
    np.subtract(intersection[:, -1:], intersection, out=intersection)
    score = metric.tenths(intersection, union)
    tile, pixel = np.nonzero(score[:, 1:] != score[:, :-1])
    change = score[tile, pixel + 1] - score[tile, pixel]
    # Pixels of equal value leave together: merge their changes, and drop those that cancel out.
    joined = np.concatenate([salty[tile], empty])
    reached = np.concatenate([keys[tile, pixel] >> 1, values[empty].max(axis=1, initial=0)])
    step, index = np.unique(
        joined.astype(np.int64) << 32 | reached.astype(np.int64), return_inverse=True
    )
    total = np.bincount(index, np.concatenate([change, np.full(len(empty), 10)]), len(step))
    step, total = step[total != 0], total[total != 0].astype(np.int64)
    start = np.zeros(len(values), dtype=np.int64)
    start[salty] = score[:, 0]
    return Steps(start, step >> 32, step & (2**32 - 1), total, unit)


def steps_of_members(members: list[Predictions], ids: list[str], masks: np.ndarray) -> Steps:
    """Return the steps of the mean over members; each tile needs at least one prediction.

    Raises InputError if the means of tiles have no common unit of 32 bits.
    """
    totals = total_weights(members, ids)
    common = common_unit(totals)
    if common is None:
        raise InputError(
            f"the tiles were predicted by {totals.tolist()} members, too many different "
            "numbers to average exactly; choose ensemble.seeds to hold out each fold equally often"
        )
    unit = common * SCALE

    def parts_of(share: np.ndarray) -> list[tuple[np.ndarray, ...]]:
        first, parts = int(share[0]), []
        for rows, total, count in sum_values(members, [ids[row] for row in share]):
            weight = (common // count).astype(np.uint32)[:, None, None]
            here = slice(first + rows.start, first + rows.stop)
            part = steps(total * weight, masks[here], unit)
            parts.append((part.start, part.tile + here.start, part.value, part.change))
        return parts

    # NumPy releases the GIL while sorting and counting.
    cores = min(os.cpu_count() or 1, len(ids))
    with ThreadPoolExecutor(cores) as pool:
        shares = pool.map(parts_of, np.array_split(np.arange(len(ids)), cores))
        parts = list(chain.from_iterable(shares))
    return Steps(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)), unit=unit)


def total_weights(members: list[Predictions], ids: list[str]) -> np.ndarray:
    """Return the different sums of weights of the members that predicted a tile, rising."""
    order = pd.Index(ids)
    counts = sum(
        member.weight * (pd.Index(member.ids).get_indexer(order) >= 0) for member in members
    )
    return np.unique(counts)


def common_unit(totals: np.ndarray) -> int | None:
    """Return what keeps means over different weights integers; None if they would not fit."""
    common = math.lcm(*totals.tolist())
    return common if common > 0 and 2 * common * SCALE + 1 < 2**32 else None


def weighted(members: list[Predictions], weights: dict[str, int]) -> list[Predictions]:
    """Return the members that weigh more than nothing, with weights by the names of their files."""
    return [
        replace(member, weight=weights[member.path.stem])
        for member in members
        if weights[member.path.stem]
    ]


def evaluate(
    members: list[Predictions],
    tiles: Tiles,
    folds: pd.DataFrame,
    honest: bool,
    chosen: float | None = None,
    mixtures: Sequence[dict[str, int]] = (),
) -> tuple[dict, pd.DataFrame]:
    """Tune the threshold on the members' mean; return the content of threshold.json and the curve.

    A ``chosen`` threshold is scored instead. Of several ``mixtures``, weights of members by name,
    the best is chosen like the threshold. Only tiles with predictions are scored. ``honest`` states
    that no member trained on the tiles it is scored on. Each row of the curve holds up to, but
    excluding, the next threshold.
    """
    rows = predicted_rows(members, tiles.ids)
    ids = tiles.table["id"].iloc[rows].tolist()
    masks = tiles.masks[rows]
    tuned_on, groups = tuning_groups(folds["fold"].to_numpy()[rows])
    tuned_on = tuned_on if chosen is None else NOT_TUNED
    mixed = [weighted(members, weights) for weights in mixtures] or [members]
    # Each tile has to have a mean.
    fits = [common_unit(total_weights(each, ids)) is not None for each in mixed]
    mixed = list(compress(mixed, fits)) or [members]
    result = tune_among((steps_of_members(each, ids, masks) for each in mixed), groups, chosen)
    best = mixed[result["mixture"]]
    _name_weights([result, *result["groups"].values()], mixed, mixtures)
    curve = steps_of_members(best, ids, masks).curve(np.ones(len(ids), dtype=bool))
    result |= {
        "score_all_empty": float((~masks.any(axis=(1, 2))).mean()),
        "tuned_on": tuned_on,
        # The best score that some threshold reaches is too good, whoever trained on the tile.
        "honest": honest and tuned_on != TUNED_ON_ITSELF,
        "tiles_scored": len(ids),
        "tiles": len(tiles.table),
    }
    columns = {"threshold": curve.starts / curve.unit, "score": curve.scores, "honest": honest}
    return result, pd.DataFrame(columns)


def _name_weights(
    tuned: list[dict], mixed: list[list[Predictions]], mixtures: Sequence[dict[str, int]]
) -> None:
    """Replace the number of each chosen mixture by the members' weights, if there are several."""
    for each in tuned:
        found = {member.path.stem: member.weight for member in mixed[each.pop("mixture")]}
        if mixtures:
            each["members"] = {name: found.get(name, 0) for name in mixtures[0]}


def tune(steps: Steps, groups: np.ndarray, chosen: float | None = None) -> dict:
    """Return what ``tune_among`` does, of a single candidate."""
    result = tune_among([steps], groups, chosen)
    for each in (result, *result["groups"].values()):
        del each["mixture"]
    return result


def tune_among(
    candidates: Iterable[Steps], groups: np.ndarray, chosen: float | None = None
) -> dict:
    """Return the best candidate and threshold over all tiles, and a cross-validated score of both.

    ``score`` is the one to quote: each group is scored with the candidate, ``mixture``, and the
    threshold that are best on the other groups. ``score_on_tuned_tiles`` is with those tuned on
    all, and so slightly optimistic. Of equally good candidates the first is taken.

    Args:
        groups: int64 (tiles). If all are equal, there is nothing to tune across, and ``score`` is
            ``score_on_tuned_tiles``.
        chosen: threshold to score instead of any that is tuned.
    """
    everything = np.ones(len(groups), dtype=bool)
    names = np.unique(groups).tolist()
    tuned_on = {None: everything} | {name: groups != name for name in names if len(names) > 1}
    best: dict = {}
    for number, steps in enumerate(candidates):
        for name, tiles in tuned_on.items():
            curve = steps.curve(tiles)
            threshold = curve.best() if chosen is None else chosen
            reached = curve.score(threshold)
            if name not in best or reached > best[name]["reached"]:
                scored = curve if name is None else steps.curve(~tiles)
                best[name] = {
                    "mixture": number,
                    "threshold": threshold,
                    "reached": reached,
                    "score": scored.score(threshold),
                    "half": scored.score(0.5),
                }
    by_group, total = {}, 0.0
    for name in names:
        found, tiles = best.get(name, best[None]), int((groups == name).sum())
        total += found["score"] * tiles
        kept = {key: found[key] for key in ("threshold", "score", "mixture")}
        by_group[str(name)] = kept | {"tiles": tiles}
    return {
        "mixture": best[None]["mixture"],
        "threshold": best[None]["threshold"],
        "score": total / len(groups),
        "score_on_tuned_tiles": best[None]["reached"],
        "score_at_half": best[None]["half"],
        "groups": by_group,
    }


def tuning_groups(folds: np.ndarray) -> tuple[str, np.ndarray]:
    """Return the groups for tuning: the folds, two halves of a single fold, or a single tile."""
    if len(np.unique(folds)) > 1:
        return "the other folds", folds
    if len(folds) < 2:
        return TUNED_ON_ITSELF, folds
    return "the other half of the fold", np.arange(len(folds)) % 2
