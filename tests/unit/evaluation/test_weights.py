"""Weights of kinds: which are compared, and that the best are chosen, compared with brute force."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from saltseg.core import metric
from saltseg.core.quantisation import SCALE
from saltseg.ensemble.predictions import Predictions
from saltseg.evaluation.comparison import tile_scores
from saltseg.evaluation.summary import describe_weights
from saltseg.evaluation.threshold import evaluate, steps_of_members, weighted
from saltseg.evaluation.weights import MOST, mixtures
from saltseg.survey import tiles as packed

FOLDS = 3
NAMES = [name for fold in range(FOLDS) for name in (f"{fold}", f"wide-{fold}")]


@pytest.mark.parametrize(
    ("names", "steps"),
    [(["0", "1"], 1), (["0", "a-0"], 20), (["0", "1", "a-0"], 20), (["0", "a-0", "b-0"], 12)],
)
def test_shares_of_kinds_are_a_grid_with_equal_weights_first(names, steps):
    found = mixtures(names)
    assert found[0] == dict.fromkeys(names, 1) and len(found) <= MOST + 1
    kinds = {name.rpartition("-")[0] for name in names}
    shares = set()
    for weights in found[1:]:
        assert all(
            len({weights[n] for n in names if n.rpartition("-")[0] == k}) == 1 for k in kinds
        )
        total = sum(weights.values())
        share = [sum(weights[n] for n in names if n.rpartition("-")[0] == k) for k in sorted(kinds)]
        shares.add(tuple(round(each / total * steps, 6) for each in share))
    assert all(each.is_integer() for share in shares for each in share)
    assert len(mixtures([f"{kind}-0" for kind in range(30)])) > 1


@pytest.fixture
def ensemble(tmp_path):
    """Members of two kinds, of which one knows half of the tiles' salt, and the other the rest."""
    random = np.random.default_rng(5)
    masks = random.random((18, 4, 5)) < 0.5
    masks[:3] = False
    ids, fold = [f"tile{i:02d}" for i in range(18)], np.arange(18) % FOLDS
    table = pd.DataFrame({"id": ids, "depth": 1.0, "coverage": masks.mean(axis=(1, 2))})
    packed.save(tmp_path / "train.h5", table, np.zeros(masks.shape, np.uint8), masks)
    members = []
    for name in NAMES:
        rows = np.flatnonzero(fold == int(name[-1]))
        noise = 7 if name.startswith("wide") else 3
        sevenths = np.clip(
            np.where(masks, 5, 2) + random.integers(-noise, noise + 1, masks.shape), 0, 7
        )
        values = (sevenths[rows] * (SCALE // 7)).astype(np.uint16)
        members.append(Predictions(Path(f"{name}.h5"), [ids[row] for row in rows], values))
    return members, packed.Tiles(tmp_path / "train.h5"), pd.DataFrame({"id": ids, "fold": fold})


def means(members, weights, ids):
    """The weighted mean of each tile, float64, from a loop."""
    found = []
    for name in ids:
        own = [each for each in members if name in each.ids and weights[each.path.stem]]
        parts = [
            weights[each.path.stem] * each.values[each.ids.index(name)].astype(float)
            for each in own
        ]
        found.append(sum(parts) / sum(weights[each.path.stem] for each in own) / SCALE)
    return np.array(found)


def score(probabilities, masks, threshold):
    return metric.tile_scores(probabilities > threshold, masks).mean()


def best(members, among, tiles, rows):
    """The number of the first mixture with the best score on some rows, at its threshold there."""
    masks, chosen, reached = tiles.masks[:], np.isin(np.arange(18), rows), []
    for weights in among:
        curve = steps_of_members(weighted(members, weights), tiles.ids, masks).curve(chosen)
        mean = means(members, weights, tiles.ids)
        reached.append(score(mean[rows], masks[rows], curve.best()))
    return int(np.argmax(np.round(reached, 12))), max(reached)


def test_weights_are_the_best_of_the_other_folds(ensemble):
    members, tiles, folds = ensemble
    among = [each for each in mixtures(NAMES) if {*each.values()} <= {0, 1, 2, 3, 4, 5}]
    result, _ = evaluate(members, tiles, folds, True, mixtures=among)
    candidates, masks = [means(members, each, tiles.ids) for each in among], tiles.masks[:]
    number, reached = best(members, among, tiles, np.arange(18))
    assert result["members"] == among[number] and len({*result["members"].values()}) > 1
    assert result["score_on_tuned_tiles"] == pytest.approx(reached)
    total = 0.0
    for name, found in result["groups"].items():
        here = np.flatnonzero(folds["fold"] == int(name))
        number, _ = best(members, among, tiles, np.flatnonzero(folds["fold"] != int(name)))
        assert found["members"] == among[number]
        own = score(candidates[number][here], masks[here], found["threshold"])
        assert found["score"] == pytest.approx(own)
        total += own / FOLDS
    assert result["score"] == pytest.approx(total)
    # Tile by tile, what is compared adds up to what is reported.
    assert tile_scores(members, tiles, folds, result["groups"]).mean() == pytest.approx(total)


def test_a_kind_without_members_of_each_fold_does_not_weigh_all(ensemble):
    members, tiles, folds = ensemble
    some = [each for each in members if each.path.stem not in ("1", "2", "wide-0")]
    names = [each.path.stem for each in some]
    result, _ = evaluate(some, tiles, folds, True, mixtures=mixtures(names))
    assert result["tiles_scored"] == 18 and min(result["members"].values()) > 0


def test_weights_are_described_by_kind_unless_equal():
    assert describe_weights({"0": 1, "a-0": 1}) == ""
    assert describe_weights({"0": 1, "1": 1, "a-0": 3}) == "without a name 0.40, a 0.60"
