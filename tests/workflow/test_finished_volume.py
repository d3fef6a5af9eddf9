"""The finished run of a volume, as a user finds it: SEG-Y to SEG-Y."""

import json

import numpy as np
import pandas as pd
import pytest

from saltseg.output.bodies import Bodies
from saltseg.survey.geometry import Geometry
from saltseg.survey.lines import SALT, UNLABELLED, Lines, labels_by_line
from saltseg.survey.segy import Segy
from saltseg.survey.tiles import Tiles
from support.running import planned, with_config
from support.surveys import TINY_VOLUME, folds_in


def read(path):
    with Segy(path) as file:
        return file.read(0, file.layout.traces)


def test_a_finished_run_has_nothing_to_do(finished_volume):
    assert planned(finished_volume, config=finished_volume / "config.yaml") == {}


@pytest.mark.parametrize(
    ("key", "value", "rerun"),
    [
        ("threshold", 0.3, {"mask_volume"}),
        # Again what its shards were deleted of.
        ("window", 512, {"predict_volume", "merge_volume", "mask_volume"}),
    ],
)
def test_a_change_predicts_again_only_what_it_has_to(finished_volume, tmp_path, key, value, rerun):
    assert not list(finished_volume.glob("results/predictions/volume/*"))
    config = with_config(tmp_path, TINY_VOLUME | {"inference": {key: value}})
    jobs = planned(finished_volume, config=config)
    of_volume = {"import_volume", "train", "predict_volume", "merge_volume", "mask_volume"}
    assert of_volume & jobs.keys() == rerun


def test_figures_of_tiles_say_that_the_volume_has_another_threshold(finished_volume):
    drawn = (finished_volume / "results/figures/threshold.svg").read_text()
    assert "have a threshold of their own" in drawn


def test_the_filled_volume_has_the_sources_headers_and_traces(finished_volume):
    source = read(finished_volume / "results/demo/volume.sgy")
    probability, mask = (
        read(finished_volume / "results/volume" / name) for name in ("probability.sgy", "mask.sgy")
    )
    for copy in (probability, mask):
        np.testing.assert_array_equal(copy["header"], source["header"])
    assert ((probability["samples"] >= 0) & (probability["samples"] <= 1)).all()
    facts = json.loads((finished_volume / "results/volume/volume.json").read_text())
    marked = probability["samples"] > facts["threshold"]
    # Apart from bodies and holes that are too small.
    assert (mask["samples"] != marked).mean() < 0.05
    assert facts["salt_share"] == pytest.approx(mask["samples"].mean(), abs=5e-3)
    assert 0 < facts["expected_iou"] < facts["expected_dice"] < 1
    for name in ("mask.sgy", "bodies.sgy"):
        with Segy(finished_volume / "results/volume" / name) as file:
            text = " ".join(file.text.split())
        assert f"above {facts['threshold']:g}" in text and "Synthetic post-stack survey" in text
        assert " of salt-segmentation " in text and "Source volume.sgy of 20" in text


def test_labelled_lines_are_as_they_were_labelled(finished_volume):
    results = finished_volume / "results"
    geometry, lines = (
        Geometry.load(results / "data/geometry.json"),
        Lines(results / "data/lines.h5"),
    )
    bodies = Bodies(results / "volume/bodies.zarr")
    for (_, line), labels in labels_by_line(lines, geometry).items():
        found = bodies.read(slice(line, line + 1))[0] > 0
        np.testing.assert_array_equal(
            found[labels != UNLABELLED], (labels == SALT)[labels != UNLABELLED]
        )


def test_the_score_covers_all_labelled_lines_by_members_that_held_them_out(finished_volume):
    results = finished_volume / "results"
    scores = json.loads((results / "volume/scores.json").read_text())
    lines = Lines(results / "data/lines.h5")
    assert scores["lines"] == scores["of_lines"] == len(lines.table) == 4
    assert scores["honest"] is True
    copy = pd.read_csv(results / "data/train/lines.csv")
    pd.testing.assert_frame_equal(copy, lines.table.drop(columns="file"))
    folds = folds_in(results / "data/folds.h5").merge(Tiles(results / "data/train.h5").table)
    # No line is trained on in part, and held out in part.
    assert (folds.groupby("line")["fold"].nunique() == 1).all()


def test_the_page_has_a_viewer_of_the_volume(finished_volume):
    page = (finished_volume / "results/index.html").read_text()
    assert 'href="#volume"' in page
    assert list((finished_volume / "results/volume/sections").glob("inline-*-grey.webp"))
