"""The finished run of tiles, as a user finds it."""

import html
import json
import re
import zipfile

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from saltseg.core import metric, rle
from saltseg.core.quantisation import SCALE
from saltseg.ensemble.predictions import Predictions
from saltseg.survey.tiles import Tiles
from support.running import complete, rule_texts
from support.surveys import folds_in


def test_submission_has_the_samples_ids_in_their_order_and_readable_masks(finished):
    with zipfile.ZipFile(finished / "results/demo/survey.zip") as archive:
        sample = pd.read_csv(archive.open("sample_submission.csv"))
    submission = pd.read_csv(finished / "results/submission.csv", dtype=str, keep_default_na=False)
    assert submission.columns.tolist() == ["id", "rle_mask"]
    assert submission["id"].tolist() == sample["id"].tolist()
    for text in submission["rle_mask"]:
        rle.decode(text, (101, 101))


def test_threshold_scores_every_tile_by_the_member_that_held_it_out(finished):
    results = finished / "results"
    report = json.loads((results / "threshold.json").read_text())
    assert report["scheme"] == "kfold" and report["honest"] is True
    assert report["tiles_scored"] == report["tiles"] == 48
    folds = folds_in(results / "data/folds.h5")
    tiles = Tiles(results / "data/train.h5")
    scores, tuned = [], []
    for fold in (0, 1):
        member = Predictions.load(results / f"predictions/validation/{fold}.h5")
        assert member.ids == folds["id"][folds["fold"] == fold].tolist()
        masks = tiles.masks[(folds["fold"] == fold).to_numpy()]
        probabilities = member.values[:] / SCALE
        scores.extend(metric.tile_scores(probabilities > report["threshold"], masks))
        other = report["groups"][str(fold)]["threshold"]
        tuned.extend(metric.tile_scores(probabilities > other, masks))
    assert np.mean(scores) == pytest.approx(report["score_on_tuned_tiles"])
    assert np.mean(tuned) == pytest.approx(report["score"])


def test_the_record_says_what_made_the_results(finished):
    record = yaml.safe_load((finished / "results/run.yaml").read_text())
    assert record["settings"]["model"]["width"] == 2
    assert record["versions"]["numpy"] == np.__version__
    assert {"python", "snakemake", "torch", "pillow", "scipy"} <= record["versions"].keys()
    assert re.match(r"CPU, (bf16|fp32), \d", record["members"]["0"])
    assert record["processor"] and record["project"]["release"]
    assert html.escape(yaml.safe_dump({"versions": record["versions"]}, sort_keys=False)) in (
        (finished / "results/index.html").read_text()
    )


def test_tables_and_masks_have_copies_in_plain_formats(finished):
    data = finished / "results/data"
    for part, table in (("train", "train/tiles.csv"), ("test", "test/tiles.csv")):
        expected = Tiles(data / f"{part}.h5").table
        pd.testing.assert_frame_equal(pd.read_csv(data / table), expected)
    np.testing.assert_array_equal(np.load(data / "train/masks.npy"), Tiles(data / "train.h5").masks)
    folds = pd.read_csv(data / "folds.csv")
    pd.testing.assert_frame_equal(folds[["id", "fold"]], folds_in(data / "folds.h5"))


def test_summary_and_picture_are_there(finished):
    summary = (finished / "results/summary.txt").read_text()
    score = json.loads((finished / "results/threshold.json").read_text())["score"]
    said = "no member trained on the tile, but epochs were selected on it"
    assert f"{score:.4f} over 48 of 48 labelled tiles ({said})" in summary
    for name in ("gallery", "figures/worst", "figures/typical", "figures/best"):
        with Image.open(finished / f"results/{name}.png") as picture:
            assert min(picture.size) > 400


def test_review_scores_every_labelled_tile_as_the_threshold_does(finished):
    results = finished / "results"
    review = pd.read_csv(results / "review.csv", dtype={"id": str}, keep_default_na=False)
    report = json.loads((results / "threshold.json").read_text())
    assert sorted(review["id"]) == sorted(Tiles(results / "data/train.h5").ids)
    assert review["score"].mean() == pytest.approx(report["score_on_tuned_tiles"])
    assert review["score"].is_monotonic_increasing and (review["members"] == 1).all()


def test_figures_for_several_members_say_why_they_are_not_there(finished):
    """In the tiny run each tile is held out by one member."""
    text = (finished / "results/figures/members.svg").read_text()
    assert "Not drawn: some tiles were held out by only one member" in text
    with Image.open(finished / "results/figures/disagreement.png") as picture:
        assert picture.size[1] < 200


def test_a_second_run_has_nothing_to_do(finished):
    assert "Nothing to be done" in complete(finished)


def test_the_summary_is_printed_only_where_it_is_asked_for(copied):
    jobs = (copied, "--forcerun", "submission", "--")
    assert "Score  " in complete(*jobs, "results/summary.txt")
    assert "Score  " not in complete(*jobs, "results/submission.csv")


def test_every_rule_has_what_an_engine_needs_to_know():
    for rule in rule_texts():
        for directive in ("log", "benchmark", "conda", "resources", "shell"):
            assert re.search(rf"^    {directive}:", rule, re.MULTILINE), (rule, directive)
        # Others have one thread, Snakemake's default, or as many as they name.
        assert ("gpu=get_gpus" in rule) == ("threads: THREADS" in rule), rule
