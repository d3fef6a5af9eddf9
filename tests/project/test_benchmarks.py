"""How runs are compared, checked by hand, and that each benchmark still runs."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from saltseg.core.hdf import writing
from saltseg.ensemble.predictions import Predictions, save
from saltseg.survey import tiles as packed
from saltseg.synthetic.demo import write_survey

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks/speed"))

import compare
import run
import survey


@pytest.fixture
def results(tmp_path):
    """Four tiles of two pixels in two folds; half of each tile is salt."""
    masks = np.tile(np.array([[True, False]]), (4, 1, 1))
    table = pd.DataFrame({"id": list("abcd"), "depth": 1.0, "coverage": 0.5})
    packed.save(tmp_path / "data/train.h5", table, masks.astype(np.uint8), masks)
    folds = pd.DataFrame({"id": list("abcd"), "coverage_class": 5, "fold": [0, 0, 1, 1]})
    with writing(tmp_path / "data/folds.h5") as file:
        file.put_table(folds)
    return tmp_path


def predictions(folder, ids, salt, rest):
    """Predictions with one probability on salt and another elsewhere."""
    values = np.stack([[[a, b]] for a, b in zip(salt, rest, strict=True)]).astype(np.float32)
    save(folder / "member.h5", ids, (1, 2), [values])
    return Predictions.load(folder / "member.h5")


def test_a_tile_is_scored_with_the_threshold_of_the_other_fold(results, tmp_path):
    # The best threshold of fold 0 is between 0.2 and 0.4, that of fold 1 between 0.6 and 0.8.
    member = predictions(tmp_path, list("abcd"), [0.4, 0.4, 0.8, 0.8], [0.2, 0.2, 0.6, 0.6])
    scores = compare.tile_scores([member], results)
    # At 0.7 fold 0 has no salt left and scores 0; at 0.3 fold 1 is all salt, with an IoU of 0.5.
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


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A benchmark folder with few tiles."""
    folder = tmp_path_factory.mktemp("bench")
    random = np.random.default_rng(0)
    masks = random.random((12, 101, 101)) < np.linspace(0, 0.9, 12)[:, None, None]
    images = random.integers(0, 256, masks.shape, np.uint8)
    np.savez(folder / "tiles.npz", images=images, masks=masks)
    survey.write_members(folder, 3, 30)
    (folder / "unique.zip").symlink_to(small_survey(folder))
    survey.write_test_tiles(folder / "6.zip", 6)
    return folder


def small_survey(folder):
    path = folder / "small.zip"
    sections = folder / "sections.csv"
    write_survey(path, sections, tiles=40, test_tiles=8, tile_size=101, seed=0)
    return path


@pytest.mark.slow
@pytest.mark.long
def test_each_contestant_of_ours_does_its_work(data):
    tiles = {"survey": str(data / "tiles.npz")}
    network = {**tiles, "batch_size": 4, "width": 1, "tiles": 9}
    members = {"folder": str(data), "members": 3, "tiles": 30}
    late = {**tiles, "epoch": 41, "way": "not deterministic"}
    found = run.alternate(
        {
            name: run.Contestant(module, name, **arguments)
            for module, name, arguments in (
                ("ours", "training", network),
                ("gpu", "residual", {**tiles, "way": "as configured", "batch_size": 2, "tiles": 2}),
                ("ours", "shares", network),
                ("ours", "prediction", {**network, "output": str(data / "x.h5")}),
                ("ours_data", "importing", {"source": str(data / "6.zip")}),
                ("ours_data", "thresholding", {**tiles, **members}),
                ("ours_data", "submitting", {**members, "output": str(data / "x.csv")}),
                ("ours_data", "encoding", {**tiles, "tiles": 20}),
                ("roofline", "counted", {**tiles, "batch_size": 4, "width": 1}),
                ("gpu", "contest", {**late, "batch_size": 2, "tiles": 2}),
            )
        },
        repeats=1,
    )
    assert {name: runs[0]["tiles"] for name, runs in found.items()} == {
        "training": 9,
        "residual": 2,
        "shares": 9,
        "prediction": 9,
        "importing": 6,
        "thresholding": 30,
        "submitting": 30,
        "encoding": 20,
        "counted": 4,
        "contest": 2,
    }
    assert all(runs[0]["seconds"] > 0 and runs[0]["peak_mb"] > 50 for runs in found.values())
    assert 0 < found["shares"][0]["training"] < 1
    assert len(Predictions.load(data / "x.h5").ids) == 9
    assert len(pd.read_csv(data / "x.csv")) == 30


@pytest.mark.slow
def test_truncation_is_reported(data):
    with pytest.raises(SystemExit, match="ended before its work was done"):
        run.alternate({"broken": run.Contestant("ours", "training", survey="nowhere")})
