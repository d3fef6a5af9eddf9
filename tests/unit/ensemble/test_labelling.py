"""Pseudo-labels: which tiles the members' mean labels, and how they join the labelled ones."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saltseg.core.errors import InputError
from saltseg.core.quantisation import SCALE
from saltseg.ensemble.labelling import confidence, label
from saltseg.ensemble.predictions import Predictions
from saltseg.ensemble.predictions import save as save_predictions
from saltseg.ensemble.pseudo_labels import PseudoLabels, save
from saltseg.survey.tiles import Tiles
from saltseg.survey.tiles import save as save_tiles
from saltseg.training.data import Labelled


def slow_confidence(tile):
    """Loop over the pixels of one tile."""
    overlap = union = 0.0
    for probability in tile.flatten().tolist():
        if probability > 0.5:
            overlap += probability
            union += 1
        else:
            union += probability
    return overlap / union if (tile > 0.5).any() else 1 - tile.max()


@given(st.integers(0, 10**6), st.integers(1, 5), st.floats(0.1, 10))
def test_confidence_equals_a_loop_over_pixels(seed, side, power):
    tiles = np.random.default_rng(seed).random((4, side, side + 1)) ** power
    expected = [slow_confidence(tile) for tile in tiles]
    np.testing.assert_allclose(confidence(tiles), expected, rtol=1e-12)


def members(folder, count=2, tiles=9, side=6):
    ids = [f"t{number}" for number in range(tiles)]
    found = []
    for number in range(count):
        random = np.random.default_rng(number)
        probabilities = random.random((tiles, side, side)).astype(np.float32) ** 2
        path = folder / f"{number}.h5"
        save_predictions(path, ids, (side, side), [probabilities])
        found.append(Predictions.load(path))
    return found, ids


@pytest.mark.parametrize(("share", "count"), [(1.0, 9), (0.5, 4), (0.34, 3), (0.01, 0)])
def test_the_most_confident_share_is_labelled_by_the_members_mean(tmp_path, share, count):
    found, ids = members(tmp_path)
    mean = np.mean([member.values[:] / SCALE for member in found], axis=0)
    chosen, masks, sure = label(found, ids, share)
    assert len(chosen) == count
    assert chosen.tolist() == sorted(chosen.tolist())
    np.testing.assert_array_equal(masks, mean[chosen] > 0.5)
    np.testing.assert_allclose(sure, confidence(mean)[chosen])
    others = np.setdiff1d(np.arange(9), chosen)
    if count and len(others):
        assert confidence(mean)[others].max() <= sure.min()


def part(path, ids, side=4):
    """Write a packed part without labels."""
    images = np.arange(len(ids) * side * side).reshape(-1, side, side).astype(np.uint8)
    table = pd.DataFrame({"id": ids, "depth": np.arange(len(ids)) + 100.0})
    save_tiles(path, table, images)
    return Tiles(path)


def test_labels_come_with_their_own_tiles_and_depths(tmp_path):
    tiles = part(tmp_path / "test.h5", ["a", "b", "c"])
    masks = np.random.default_rng(1).random((2, 4, 4)) > 0.5
    save(tmp_path / "0.h5", ["c", "a"], masks, np.ones(2))
    device = torch.device("cpu")
    found = Labelled.of(PseudoLabels.load(tmp_path / "0.h5"), tiles, device)
    assert found.images.dtype == found.masks.dtype == torch.uint8
    np.testing.assert_array_equal(found.images[:, 0], tiles.images[[2, 0]])
    np.testing.assert_array_equal(found.masks[:, 0], masks)
    assert found.depths.tolist() == [102, 100]
    both = found + found
    assert len(both) == 4
    assert both.depths.tolist() == [102, 100, 102, 100]


@pytest.mark.parametrize(("ids", "side"), [(["a", "x"], 4), (["a", "b"], 5)])
def test_labels_of_other_tiles_are_refused(tmp_path, ids, side):
    tiles = part(tmp_path / "test.h5", ["a", "b", "c"])
    save(tmp_path / "0.h5", ids, np.zeros((2, side, side), dtype=bool), np.ones(2))
    with pytest.raises(InputError, match="labels tiles other than those of"):
        Labelled.of(PseudoLabels.load(tmp_path / "0.h5"), tiles, torch.device("cpu"))


def test_test_tiles_of_another_size_than_the_labelled_ones_are_refused():
    one, other = (
        Labelled(*(torch.zeros(3, 1, *size),) * 2, torch.zeros(3)) for size in ((4, 5), (4, 6))
    )
    with pytest.raises(InputError, match="have 6x4 pixels, labelled tiles 5x4; use test tiles"):
        one + other
