"""Rounds of self-training: which members label which tiles for which members."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from saltseg.ensemble.labelling import label
from saltseg.ensemble.predictions import Predictions
from saltseg.ensemble.pseudo_labels import PseudoLabels
from saltseg.networks.checkpoint import Checkpoint
from saltseg.survey.tiles import Tiles
from support.running import SUBMISSION, complete, planned, with_config
from support.spoiling import edit_hdf
from support.surveys import folds_in

pytestmark = pytest.mark.slow

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
