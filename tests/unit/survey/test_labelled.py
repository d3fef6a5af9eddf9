"""Further surveys: files of their own, folds of their own, and messages that name their keys."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from saltseg.core.errors import InputError
from saltseg.core.hdf import writing
from saltseg.ensemble.fusion import Fusion
from saltseg.evaluation.calibration import Calibration, hold_out_alone, score_alone
from saltseg.evaluation.held_out_lines import LinePredictions, save_predictions
from saltseg.survey import tiles
from saltseg.survey.folds import masks_of_lines
from saltseg.survey.former import Former, digests, digests_of_lines
from saltseg.survey.grid import INLINE
from saltseg.survey.labelled import LabelledSurvey
from saltseg.survey.lines import SALT, UNLABELLED, Line, Lines, hold_out_blocks, save
from saltseg.survey.segy_files import labelled_files
from saltseg.training.lines import LabelledLines
from support.stages import TINY, import_survey, stage


def line(file="", samples=40, value=0.0, number=1, traces=30):
    """A line whose amplitude is one value, with salt in its lower half."""
    labels = np.repeat([[0, SALT]], traces, axis=0).repeat(samples // 2, axis=1).astype(np.uint8)
    amplitude = np.full(labels.shape, value, np.float16)
    return Line(INLINE, number, 0, amplitude, labels, file=file)


def saved(path, *lines):
    save(path, list(lines))
    return Lines(path)


def test_lines_of_several_files_have_their_lengths_and_do_not_touch(tmp_path):
    lines = saved(tmp_path / "two.h5", line("L1", 40, 0.5), line("L 2.b", 60, -0.5))
    assert lines.table["id"].tolist() == ["L1_inline_1", "L-2-b_inline_1"]
    assert hold_out_blocks(lines.table, None, 5).tolist() == ["L1", "L 2.b"]
    amplitude, labels = lines["L1_inline_1"]
    assert np.isnan(amplitude[:, 40:]).all() and (labels[:, 40:] == UNLABELLED).all()
    every = pd.Series([True, True])
    of = LabelledLines([(lines, every)], 16, "volume", torch.device("cpu"))
    images, _, _ = of.take(of.draw(200, torch.Generator().manual_seed(0)))
    # A window is of one line or the other, and knows nothing of what makes them equally long.
    assert {tuple(np.unique(image)) for image in images.numpy()} == {(191,), (64,)}
    # What a line shows does not depend on others beside it.
    alone = saved(tmp_path / "one.h5", line("L1", 40, 0.5))
    shown = [digests_of_lines(each)["L1_inline_1"] for each in (lines, alone)]
    assert shown[0] == shown[1]


def test_windows_are_as_often_of_a_small_survey_as_of_a_large_one(tmp_path):
    small = saved(tmp_path / "small.h5", line(value=1, traces=20))
    large = saved(tmp_path / "large.h5", *(line(value=-1, number=n, traces=90) for n in range(5)))
    surveys = [(each, each.table["line"] >= 0) for each in (small, large)]
    of = LabelledLines(surveys, 16, "volume", torch.device("cpu"))
    images, _, _ = of.take(of.draw(1000, torch.Generator().manual_seed(0)))
    assert 0.45 < (images[:, 0, 0, 0] == 255).float().mean() < 0.55
    assert torch.isin(images, torch.tensor([0, 255])).all()


def test_a_single_fold_is_trained_on_and_none_of_it_held_out():
    folds = pd.DataFrame({"fold": [0, 0, 0]})
    for scheme in ("kfold", "holdout"):
        trains, held_out = masks_of_lines(folds, scheme, seed=3)
        assert trains.all() and not held_out.any()
    # With fewer folds than members, each still holds one out.
    folds = pd.DataFrame({"fold": [0, 1, 2]})
    assert [masks_of_lines(folds, "kfold", seed)[1].argmax() for seed in range(5)] == [
        0,
        1,
        2,
        0,
        1,
    ]


def test_labels_of_2d_lines_have_the_names_of_their_files(tmp_path):
    lines, labels = tmp_path / "lines", tmp_path / "labels"
    for path in (lines / "L1.sgy", lines / "L2.SGY", lines / "L3.segy", labels / "L1.png"):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (labels / "L2.sgy").touch()
    (labels / "notes.txt").touch()
    found = labelled_files(lines, str(labels), "data")
    assert found == {
        "L1": (lines / "L1.sgy", labels / "L1.png"),
        "L2": (lines / "L2.SGY", labels / "L2.sgy"),
    }
    for name, message in (("L2.png", "has labels already"), ("L9.png", "no such SEG-Y file in")):
        (labels / name).touch()
        with pytest.raises(InputError, match=f"data.labels: .*{name[:2]}.*: {message}"):
            labelled_files(lines, str(labels), "data")
        (labels / name).unlink()
    with pytest.raises(
        InputError, match=r"data\.labels: expected a folder, .* such as L1\.png; found"
    ):
        labelled_files(lines, str(lines / "L1.sgy"), "data")
    (lines / "L_1.sgy").touch()
    (lines / "L_1 .sgy").touch()
    (lines / "L_1+.sgy").touch()
    with pytest.raises(InputError, match=r"data\.source: L_1  and L_1\+ differ in nothing but"):
        labelled_files(lines, labels, "data")
    (lines / "L_1+.sgy").unlink()
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no SEG-Y or PNG file with the name of one in .*L1, L2"):
        labelled_files(lines, tmp_path / "empty", "data")


def test_a_further_survey_is_scored_by_members_alone(tmp_path):
    lines = saved(tmp_path / "lines.h5", line("L1", 40), line("L2", 60), line("L3", 40))
    salt = [np.where(lines[name][1] == SALT, 0.9, 0.1) for name in ("L1_inline_1", "L2_inline_1")]
    found = [{INLINE: each[:, :samples]} for each, samples in zip(salt, (40, 60), strict=True)]
    path = tmp_path / "0.h5"
    save_predictions(path, lines, ["L1_inline_1", "L2_inline_1"], iter(found), [INLINE])
    held_out = hold_out_alone(lines, [LinePredictions(path)])
    fusion = Fusion({INLINE: 1.0}, 0, 0)
    table, together = score_alone(held_out, Calibration(fusion, fusion, 0.99, 0.5))
    assert table["id"].tolist() == ["L1_inline_1", "L2_inline_1"]
    assert together["iou"] == together["dice"] == 1 and together["lines"] == 2
    # None of it is held out.
    save_predictions(path, lines, [], iter([]), [INLINE])
    assert hold_out_alone(lines, [LinePredictions(path)]) == []


def survey_in(folder):
    data = folder / "surveys/north/data"
    return LabelledSurvey.load(data / "lines.h5", data / "train.h5", data / "folds.h5")


@pytest.mark.parametrize(("labelled", "pieces", "folds"), [([4], 1, 1), ([2, 6], 4, 4)])
def test_a_single_line_is_whole_and_only_trained_on(tmp_path, labelled, pieces, folds):
    assert import_survey(tmp_path, name="north", inlines=labelled) == 0
    survey = survey_in(tmp_path)
    assert survey.name == "north" and len(survey.lines.table) == pieces
    assert survey.folds["fold"].nunique() == folds
    trains, held_out = survey.masks("kfold", seed=0)
    assert survey.chosen(trains).sum() == pieces - (folds > 1)
    assert survey.chosen(held_out).sum() == (folds > 1)


def test_messages_name_the_keys_of_the_survey(tmp_path, capsys):
    assert import_survey(tmp_path, name="north", inlines=[2, 6], first=7) == 1
    said = capsys.readouterr().err
    assert "data.surveys.north.labels: expected a value for salt, above 0" in said
    assert "set data.surveys.north.unlabelled to it" in said
    bytes_ = {"survey": {"inline_byte": 1, "crossline_byte": 1}}
    assert import_survey(tmp_path, name="north", inlines=[2, 6], changes=bytes_) == 1
    assert "set data.surveys.north.inline_byte and data.surveys." in capsys.readouterr().err


def test_a_finished_run_knows_what_its_further_surveys_showed(tmp_path):
    assert import_survey(tmp_path, name="north", inlines=[2, 4, 6]) == 0
    filled = saved(tmp_path / "lines.h5", *(line(number=n, value=n) for n in (1, 2)))
    (tmp_path / "data").mkdir()
    (tmp_path / "lines.h5").rename(tmp_path / "data/lines.h5")
    table = pd.DataFrame(
        {"id": ["a", "b"], "depth": 0.0, "coverage": 0.5, "line": filled.table["id"]}
    )
    pixels = np.zeros((2, 16, 16), np.uint8)
    tiles.save(tmp_path / "data/train.h5", table, pixels, pixels > 0)
    with writing(tmp_path / "data/folds.h5") as file:
        file.put_table(pd.DataFrame({"id": ["a", "b"], "fold": [0, 1]}))
    own, further = Former.load_all(tmp_path)
    assert (own.count, further.count) == (2, 5)
    survey = survey_in(tmp_path)
    shown = digests(survey.tiles, survey.lines)
    # Each line in its fold, and what another seed held out was learnt from.
    assert further.kept(shown) == further.folds
    _, held_out = survey.masks("kfold", seed=1)
    for name in survey.tiles.table["line"][held_out].unique():
        assert shown[name] <= further.learnt("kfold", 0) and not shown[name] & further.learnt(
            "kfold", 1
        )


def test_a_survey_that_is_there_under_another_name_is_refused(tmp_path, capsys):
    assert import_survey(tmp_path, name="north", inlines=[2, 4, 6]) == 0
    data = tmp_path / "surveys/north/data"
    files = {"lines": "lines.h5", "tiles": "train.h5", "folds": "folds.h5"}
    given = [(f"--{name}", data / file) for name, file in files.items()]
    given += [(f"--survey-{name}", data / file) for name, file in files.items()]
    settings = TINY | {"model": TINY["model"] | {"depth": "none"}}
    report = ("--report", tmp_path / "check.txt")
    arguments = [each for pair in given for each in pair]
    assert stage("check", "--settings", json.dumps(settings), *arguments, *report) == 1
    said = capsys.readouterr().err
    assert "data.surveys.north: data.source has its labelled line inline_2_piece0, too" in said
