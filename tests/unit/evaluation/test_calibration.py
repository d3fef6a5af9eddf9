"""What held-out lines say of how to fuse and cut, and of labels."""

import numpy as np
import pytest
from scipy.special import expit

from saltseg.core.errors import InputError
from saltseg.ensemble.fusion import LOGITS, average, typical
from saltseg.evaluation.calibration import (
    Calibration,
    HeldOutLine,
    calibrate,
    choose_threshold,
    hold_out,
    score_lines,
)
from saltseg.evaluation.held_out_lines import LinePredictions, save_predictions
from saltseg.survey import lines
from saltseg.survey.grid import CROSSLINE, INLINE, Axis, Grid
from saltseg.survey.interpolation import Interpolation
from saltseg.survey.lines import UNLABELLED, Line, Lines, labels_by_line

GRID = Grid(Axis(0, 1, 41), Axis(0, 1, 50), Axis(0.0, 4.0, 60))


def layer(top):
    labels = np.zeros((50, 60), np.uint8)
    labels[:, top : top + 20] = 1
    return labels


def survey(folder, tops, wrong=None):
    """Labelled inlines by their tops of salt, and members as sure of the true ones as can be."""
    folder.mkdir()
    labelled = [
        Line(
            INLINE,
            at,
            0,
            np.zeros((50, 60), np.float16),
            layer(wrong if at == 20 and wrong else top),
        )
        for at, top in tops.items()
    ]
    lines.save(folder / "lines.h5", labelled)
    loaded, members = Lines(folder / "lines.h5"), []
    for member in range(len(tops)):
        at, top = list(tops.items())[member]
        noise = np.random.default_rng(at).normal(0, 1, (50, 60))
        found = expit(np.where(layer(top), 2.5, -2.5) + noise).astype(np.float32)
        save_predictions(
            folder / f"{member}.h5", loaded, [f"inline_{at}"], iter([{INLINE: found}]), [INLINE]
        )
        members.append(LinePredictions(folder / f"{member}.h5"))
    return loaded, hold_out(loaded, GRID, members), members


TOPS = {0: 20, 10: 22, 20: 24, 30: 26, 40: 28}


def test_lines_are_held_out_of_members_and_interpolation(tmp_path):
    loaded, held_out, members = survey(tmp_path / "run", TOPS)
    assert [line.line for line in held_out] == list(TOPS)
    middle = held_out[2]
    np.testing.assert_array_equal(middle.members[INLINE], LOGITS[members[2]["inline_20"][INLINE]])
    others = Interpolation(labels_by_line(loaded, GRID)).without({(INLINE, 20)})
    np.testing.assert_array_equal(middle.distance, others.distance(slice(20, 21), slice(0, 50))[0])
    # Halfway between tops of 22 and 26.
    assert (np.diff(np.signbit(middle.distance), axis=1)[:, 23] == 1).all()
    with pytest.raises(InputError, match="no member predicted any of these lines"):
        hold_out(loaded, GRID, [])


def test_all_members_that_held_out_a_line_have_a_say(tmp_path):
    loaded, _, members = survey(tmp_path / "run", TOPS)
    other = {INLINE: np.full((50, 60), 0.25, np.float32)}
    save_predictions(tmp_path / "9.h5", loaded, ["inline_20"], iter([other]), [INLINE])
    for weight in (1, 3):
        held_out = hold_out(loaded, GRID, [*members, LinePredictions(tmp_path / "9.h5", weight)])
        own = LOGITS[members[2]["inline_20"][INLINE]]
        expected = (own + weight * np.log(1 / 3)) / (1 + weight)
        np.testing.assert_allclose(held_out[2].members[INLINE], expected, atol=1e-3)


def test_members_and_interpolation_are_fused_and_scored(tmp_path):
    _, held_out, _ = survey(tmp_path / "run", TOPS)
    calibration = calibrate(held_out, honest=True, interpolated=True)
    assert calibration.fusion.weight > 0 == calibration.alone.weight
    table, together = score_lines(held_out, calibration)
    assert together["iou"] > max(together["members"]["iou"], together["interpolation"]["iou"])
    assert together["compared"] == {key: together[key] for key in together["compared"]}
    assert set(table["note"]) == {""}
    assert calibrate(held_out, honest=True, interpolated=False).fusion.weight == 0
    unlearnt = calibrate(held_out, honest=False, interpolated=True)
    assert unlearnt == Calibration(typical([INLINE]), typical([INLINE], alone=True), 0.5, 0.5)


def test_a_label_that_members_contradict_is_suspect(tmp_path):
    _, held_out, _ = survey(tmp_path / "run", TOPS, wrong=38)
    table, _ = score_lines(held_out, calibrate(held_out, honest=True, interpolated=True))
    assert table.loc[table["note"] != "", "line"].tolist() == [20]


def test_nothing_is_learnt_from_a_suspect_label(tmp_path):
    _, held_out, _ = survey(tmp_path / "run", TOPS, wrong=38)
    others = [line for line in held_out if line.line != 20]
    assert len(others) < len(held_out)
    found = calibrate(held_out, honest=True, interpolated=True)
    assert found == calibrate(others, honest=True, interpolated=True)


def test_the_threshold_is_pulled_to_a_half_and_stays_near_it():
    random = np.random.default_rng(3)
    logits = random.normal(0, 2, (40, 60)).astype(np.float32)
    # Everything above a probability of 0.8 is salt, and nothing below.
    labels = (expit(logits) > 0.8).astype(np.uint8)
    labels[:, :5] = UNLABELLED
    line = HeldOutLine("a", INLINE, 1, labels, {INLINE: logits}, np.zeros_like(logits))
    found = [choose_threshold([line] * count, average([INLINE])) for count in (0, 1, 10, 1000)]
    assert found[0] == 0.5 < found[1] < found[2] < found[3] <= 0.7


def test_what_was_learnt_is_read_back_and_a_changed_file_is_refused(tmp_path):
    path = tmp_path / "calibration.json"
    planes = [INLINE, CROSSLINE]
    calibration = Calibration(typical(planes), typical(planes, alone=True), 0.45, 0.5)
    calibration.save(path)
    assert Calibration.load(path) == calibration
    path.write_text(path.read_text().replace("0.45", "0.44"))
    with pytest.raises(InputError, match=r"calibration\.json: expected calibration\.json of a run"):
        Calibration.load(path)
