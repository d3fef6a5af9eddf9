"""Odd input that every stage has to accept."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from saltseg.ensemble.predictions import Predictions
from support.stages import arguments, run_all, stage, tree, zip_survey
from support.surveys import Survey, image_png, mask_png


def constant_tiles(grey):
    def spoil(survey):
        for name in survey.files:
            if "/images/" in name:
                survey.files[name] = image_png(np.full((16, 18), grey, dtype=np.uint8))

    return spoil


def equal_masks(value, label):
    def spoil(survey):
        for name in survey.ids:
            survey.files[f"train/masks/{name}.png"] = mask_png(np.full((16, 18), value))
            survey.set_label(name, label)

    return spoil


def equal_depths(survey):
    for name in [*survey.ids, *survey.test_ids]:
        survey.set_depth(name, 400)


ODD_SURVEYS = {
    "black tiles": constant_tiles(0),
    "all masks empty": equal_masks(False, ""),
    "all masks full": equal_masks(True, f"1 {16 * 18}"),
    "equal depths": equal_depths,
}


@pytest.mark.parametrize("name", ODD_SURVEYS)
def test_an_odd_survey_runs_through_all_stages(tmp_path, name):
    survey = Survey(train=4, test=2, height=16, width=18)
    ODD_SURVEYS[name](survey)
    zip_survey(survey, tmp_path, "flat zip")
    run_all(tmp_path)
    report = json.loads((tmp_path / "threshold.json").read_text())
    assert 0 <= report["score"] <= 1 and 0 <= report["threshold"] <= 1
    history = pd.read_csv(tmp_path / "models/0.csv")
    assert np.isfinite(history.select_dtypes("number")).all(axis=None)
    assert Predictions.load(tmp_path / "predicted/0.h5").values.shape == (2, 16, 18)
    assert pd.read_csv(tmp_path / "submission.csv")["id"].tolist() == survey.test_ids


def files_outside(survey):
    # Not files of the survey, wherever they point.
    for name in ("../evil.png", "../../images/evil.png", "/tmp/evil.png", "..\\evil.png"):
        survey.files[name] = b"evil"


def windows_tables(survey):
    survey.tables["depths.csv"][0][0] = "\ufeffid"
    for rows in survey.tables.values():
        for row in rows:
            row[-1] = f"{row[-1]}\r"


@pytest.mark.parametrize("spoil", [files_outside, windows_tables])
def test_another_form_of_the_same_survey_is_imported_alike(tmp_path, spoil):
    imported = []
    for change in (lambda survey: None, spoil):
        survey = Survey(train=4, test=2, height=16, width=18)
        change(survey)
        folder = tmp_path / "some/where" / str(len(imported))
        folder.mkdir(parents=True)
        # In a flat zip, since a nested one has no files beside the parts.
        zip_survey(survey, folder, "flat zip")
        for part in ("train", "test"):
            name = f"import_{part}"
            assert stage(name, *arguments(name, folder, folder / "imported")) == 0
        imported.append(tree(folder / "imported"))
    assert imported[0] == imported[1]
    assert not list(tmp_path.rglob("*evil*")) and not Path("/tmp/evil.png").exists()
