"""What the benchmarks compute, by hand."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from salt import tiles as packed
from salt.predictions import Predictions, save

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import compare
import findings


@pytest.fixture
def results(tmp_path):
    """Four tiles of two pixels in two folds; half of each tile is salt."""
    masks = np.tile(np.array([[True, False]]), (4, 1, 1))
    table = pd.DataFrame({"id": list("abcd"), "depth": 1.0, "coverage": 0.5})
    packed.save(tmp_path / "data/train/tiles.csv", table, masks.astype(np.uint8), masks)
    folds = pd.DataFrame({"id": list("abcd"), "coverage_class": 5, "fold": [0, 0, 1, 1]})
    folds.to_csv(tmp_path / "data/folds.csv", index=False)
    return tmp_path


def predictions(folder, ids, salt, rest):
    """Predictions of one probability where there is salt and another where there is none."""
    values = np.stack([[[a, b]] for a, b in zip(salt, rest, strict=True)]).astype(np.float32)
    save(folder / "member.npy", ids, (1, 2), [values])
    return Predictions.load(folder / "member.npy")


def test_a_tile_is_scored_with_the_threshold_of_the_other_fold(results, tmp_path):
    # Fold 0 wants a threshold between 0.2 and 0.4, fold 1 one between 0.6 and 0.8.
    member = predictions(tmp_path, list("abcd"), [0.4, 0.4, 0.8, 0.8], [0.2, 0.2, 0.6, 0.6])
    scores = compare.tile_scores([member], results)
    # At 0.7 fold 0 has no salt left and scores 0; at 0.3 fold 1 is all salt, an IoU of 0.5, and 0.
    assert scores.to_dict() == {"a": 0.0, "b": 0.0, "c": 0.0, "d": 0.0}
    member = predictions(tmp_path, list("abcd"), [0.4, 0.8, 0.4, 0.8], [0.2, 0.2, 0.2, 0.2])
    assert compare.tile_scores([member], results).to_dict() == dict.fromkeys("abcd", 1.0)


def test_a_difference_is_paired_by_tile_and_only_over_the_tiles_of_both():
    first = pd.Series({"a": 0.1, "b": 0.5, "c": 0.9, "x": 0.0})
    second = pd.Series({"c": 1.0, "a": 0.3, "b": 0.5, "y": 1.0})
    change, error = compare.difference(first, second)
    assert change == pytest.approx(0.1)
    # Differences 0.2, 0.0 and 0.1: variance 0.01 with two degrees of freedom.
    assert error == pytest.approx(0.1 / 3**0.5)


@pytest.mark.parametrize(
    ("change", "claims_gain", "expected"),
    [
        (0.021, True, "confirmed"),
        (0.019, True, "unresolved"),
        (-0.019, True, "unresolved"),
        (-0.021, True, "refuted"),
        (0.021, False, "refuted"),
        (0.019, False, "unresolved"),
        (-0.009, False, "unresolved"),
        (-0.011, False, "confirmed"),
    ],
)
def test_verdicts_go_by_twice_the_uncertainty(change, claims_gain, expected):
    assert findings.verdict(change, 0.01, claims_gain) == expected
