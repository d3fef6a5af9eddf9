"""Members of two kinds in one run: averaged, scored by who held tiles out, and known by name."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

import saltseg
from saltseg.core.quantisation import SCALE
from saltseg.ensemble.predictions import Predictions, load_shards, mean_probabilities, save
from saltseg.networks.checkpoint import Checkpoint
from saltseg.survey.tiles import Tiles
from support.running import SUBMISSION, complete, planned, with_config
from support.surveys import slow_encode

WIDE = {"name": "wide", "seeds": [0, 1], "model": {"width": 3}}
SUMMARY = ("--", "results/summary.txt", "results/run.yaml")
ONCE = {"threshold": 1, "submission": 1}
NAMES = ["0", "1", "wide-0", "wide-1"]


@pytest.mark.slow
def test_members_of_two_kinds_are_one_ensemble_that_another_adopts(copied, finished, tmp_path):
    given = {"seeds": None, "members": [WIDE, {"seeds": [1, 0]}]}
    config = with_config(copied, {"ensemble": given})
    results = copied / "results"
    before = (results / "models/0/checkpoint.safetensors").read_bytes()
    complete(copied, *SUMMARY, config=config)
    assert planned(copied, *SUMMARY, config=config) == {}
    assert (results / "models/0/checkpoint.safetensors").read_bytes() == before

    assert json.loads((results / "threshold.json").read_text())["members"] == dict.fromkeys(
        NAMES, 1
    )
    assert list(yaml.safe_load((results / "run.yaml").read_text())["members"]) == NAMES
    assert "for MEMBER 0,1,wide-0,wide-1" in (results / "summary.txt").read_text()
    members = [Checkpoint.load(results / f"models/{name}/checkpoint.safetensors") for name in NAMES]
    assert [each.about["model"]["width"] for each in members] == [2, 2, 3, 3]
    # Members of both kinds hold out the fold of their seed.
    held_out = [
        set(Predictions.load(results / f"predictions/validation/{name}.h5").ids) for name in NAMES
    ]
    assert held_out[0] == held_out[2] and held_out[1] == held_out[3]
    assert not held_out[0] & held_out[1]

    tiles = Tiles(results / "data/test.h5")
    predicted = [Predictions.load(results / f"predictions/test/{name}/0.h5") for name in NAMES]
    means = np.concatenate([mean for _, mean in mean_probabilities(predicted, tiles.ids)])
    run = saltseg.load_run(results, device="cpu", threads=1)
    np.testing.assert_allclose(run.predict(tiles.images[:]), means, atol=1e-4)

    # A run of the same tiles and folds that has the other kind only by its results.
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    ensemble = {"runs": [str(results)], "weights": "out_of_fold"}
    other = with_config(tmp_path, {"ensemble": ensemble})
    jobs = planned(tmp_path, *SUBMISSION, config=other)
    assert jobs == {"adopt": 4, "predict_validation": 4, "predict_test": 4} | ONCE
    complete(tmp_path, *SUBMISSION, config=other)
    report = json.loads((tmp_path / "results/threshold.json").read_text())
    names = [*NAMES[:2], *(f"{copied.name}-{name}" for name in NAMES)]
    assert list(report["members"]) == names
    adopted = tmp_path / f"results/models/{copied.name}-wide-1/checkpoint.safetensors"
    assert adopted.read_bytes() == members[3].path.read_bytes()

    # A kind weighs what it is worth on tiles that it held out, and so in whatever averages.
    train = Tiles(tmp_path / "results/data/train.h5")
    for name in NAMES[:2]:
        path = tmp_path / f"results/predictions/validation/{name}.h5"
        ids = Predictions.load(path).ids
        masks = train.masks[:][[train.ids.index(each) for each in ids]]
        save(path, ids, masks.shape[1:], [np.where(masks, 0.6, 0.4).astype(np.float32)])
    other = with_config(tmp_path, {"ensemble": ensemble, "inference": {"threshold": 0.5}})
    complete(tmp_path, *SUBMISSION, config=other)
    weights = json.loads((tmp_path / "results/threshold.json").read_text())["members"]
    assert weights["0"] == weights["1"] and len({*weights.values()}) > 1
    total = sum(weights.values())
    summed = np.zeros(tiles.images.shape, np.int64)
    for name, weight in weights.items():
        (found,) = load_shards([tmp_path / f"results/predictions/test/{name}/0.h5"], tiles.ids)
        summed += weight * found.values[:].astype(np.int64)
    mean = summed / (total * SCALE)
    run = saltseg.load_run(tmp_path / "results", device="cpu", threads=1)
    np.testing.assert_allclose(run.predict(tiles.images[:]), mean, atol=1e-4)
    submission = pd.read_csv(tmp_path / "results/submission.csv", dtype=str, keep_default_na=False)
    assert submission["rle_mask"].tolist() == [slow_encode(mask) for mask in mean > 0.5]
