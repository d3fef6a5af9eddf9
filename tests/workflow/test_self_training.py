"""Pseudo-labels and rounds of self-training: which members label which tiles for which members."""

import hashlib
from pathlib import Path

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
from saltseg.networks.checkpoint import Checkpoint
from saltseg.survey.tiles import Tiles
from saltseg.survey.tiles import save as save_tiles
from saltseg.training.data import Labelled
from support.running import SUBMISSION, complete, planned, with_config
from support.spoiling import edit_hdf
from support.surveys import folds_in

pytestmark = pytest.mark.slow


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


SEEDS = (0, 1, 2)  # 0 and 2 hold out fold 0 of 2, and 1 holds out fold 1
SELF_TRAINING = {
    "ensemble": {"seeds": [*SEEDS]},
    # With the validation loss, a member's held-out fold would choose its epoch.
    "training": {"monitor": "last"},
    "self_training": {"rounds": 1, "share": 0.5},
}


@pytest.fixture(scope="module")
def trained(run_once) -> Path:
    return run_once(
        "self_training",
        lambda folder: complete(folder, *SUBMISSION, config=with_config(folder, SELF_TRAINING)),
    )


def weights(folder, seed, stage="results"):
    state = Checkpoint.load(folder / stage / f"models/{seed}/checkpoint.safetensors").state
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(state[name].numpy().tobytes())
    return digest.hexdigest()


def test_each_fold_is_labelled_by_the_members_that_held_it_out(trained):
    earlier = trained / "results/rounds/0"
    ids = Tiles(trained / "results/data/test.h5").ids
    for fold, seeds in ((0, [0, 2]), (1, [1])):
        own = [Predictions.load(earlier / f"predictions/test/{seed}/0.h5") for seed in seeds]
        chosen, masks, _ = label(own, ids, 0.5)
        found = PseudoLabels.load(earlier / f"pseudo_labels/{fold}.h5")
        assert found.ids == [ids[row] for row in chosen]
        np.testing.assert_array_equal(found.masks, masks)
        assert len(found.ids) == 6
    for seed in SEEDS:
        assert weights(trained, seed) != weights(trained, seed, "results/rounds/0")


def test_the_last_round_trains_on_the_labels_of_its_fold(trained):
    for seed in SEEDS:
        log = (trained / f"results/logs/train/{seed}.log").read_text()
        assert "and on 6 tiles with pseudo-labels" in log
        first = (trained / f"results/rounds/0/logs/train/{seed}.log").read_text()
        assert "pseudo-labels" not in first
    assert not (trained / "results/states").exists()
    assert not (trained / "results/rounds/0/states").exists()
    assert planned(trained, *SUBMISSION, config=trained / "config.yaml") == {}


def test_what_is_true_of_a_held_out_fold_reaches_no_member_that_is_scored_on_it(trained):
    """With the fold's masks inverted, those members stay the same and the others change."""
    before = {seed: weights(trained, seed) for seed in SEEDS}
    labels = {fold: (trained / f"results/rounds/0/pseudo_labels/{fold}.h5").read_bytes()
              for fold in (0, 1)}  # fmt: skip
    path = trained / "results/data/train.h5"
    kept = path.read_bytes()
    out = folds_in(trained / "results/data/folds.h5")["fold"].to_numpy() == 0
    edit_hdf(path, mask=lambda masks: masks ^ out[:, None, None])
    try:
        jobs = planned(trained, *SUBMISSION, config=trained / "config.yaml")
        assert jobs["train"] == 6
        members = [f"results/models/{seed}/checkpoint.safetensors" for seed in SEEDS]
        complete(trained, "--", *members, config=trained / "config.yaml")
        assert weights(trained, 0) == before[0]
        assert weights(trained, 2) == before[2]
        assert weights(trained, 1) != before[1]
        again = trained / "results/rounds/0/pseudo_labels"
        assert (again / "0.h5").read_bytes() == labels[0]
    finally:
        path.write_bytes(kept)


@pytest.mark.parametrize(
    ("rounds", "scheme", "jobs"),
    [
        # Rounds follow each other; members that all hold out the same fold label together.
        (2, "kfold", {"train": 6, "predict_test": 6, "pseudo_labels": 4, "predict_validation": 2}),
        (1, "full", {"train": 4, "pseudo_labels": 1}),
        (1, "holdout", {"train": 4, "pseudo_labels": 1}),
    ],
)
def test_rounds_and_schemes_plan_these_jobs(tmp_path, rounds, scheme, jobs):
    changes = {"validation": {"scheme": scheme}, "self_training": {"rounds": rounds, "share": 0.5}}
    assert jobs.items() <= planned(tmp_path, config=with_config(tmp_path, changes)).items()
