"""Scores of held-out lines against a slow reference, pixel by pixel."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saltseg.core.errors import InputError
from saltseg.core.files import write_npy
from saltseg.evaluation.held_out_lines import Counts, LinePredictions, count, score_lines
from saltseg.survey import lines
from saltseg.survey.lines import INLINE, SALT, UNLABELLED, Line, Lines


def slow(labels, marked):
    """Counts pixel by pixel and trace by trace."""
    pixels = salt = found = both = traces = one_sided = distance = 0
    for truth, mask in zip(labels.tolist(), marked.tolist(), strict=True):
        for true, mark in zip(truth, mask, strict=True):
            if true != UNLABELLED:
                pixels += 1
                salt += true == SALT
                found += mark
                both += true == SALT and mark
        if UNLABELLED not in truth:
            if SALT in truth and True in mask:
                traces += 1
                distance += abs(truth.index(SALT) - mask.index(True))
            elif SALT in truth or True in mask:
                one_sided += 1
    return Counts(pixels, salt, found, both, traces, one_sided, distance)


@given(seed=st.integers(0, 2**32 - 1), shape=st.tuples(st.integers(1, 8), st.integers(1, 8)))
def test_counts_equal_those_pixel_by_pixel(seed, shape):
    random = np.random.default_rng(seed)
    labels = random.choice(np.array([0, SALT, UNLABELLED], np.uint8), shape, p=[0.6, 0.35, 0.05])
    marked = random.random(shape) < 0.4
    assert count(labels, marked) == slow(labels, marked)


def test_scores_of_one_line_by_hand():
    labels = np.array([[0, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 0]], np.uint8)
    marked = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1]], bool)
    assert count(labels, marked).scores() == {
        "iou": 3 / 6, "dice": 6 / 9, "top_distance": 0.5, "salt_share": 4 / 12
    }  # fmt: skip


def test_nothing_to_divide_by_gives_no_score():
    empty = np.zeros((3, 4), np.uint8)
    scores = count(empty, empty > 0).scores()
    assert [scores[key] for key in ("iou", "dice", "top_distance")] == [None] * 3


@pytest.fixture
def labelled(tmp_path):
    labels = np.array([[0, 1, 1], [0, 0, 1]], np.uint8)
    lines.save(
        tmp_path / "lines.csv",
        [Line(INLINE, number, 0, np.zeros((2, 3), np.float16), labels) for number in (1, 2, 3)],
    )
    return Lines(tmp_path / "lines.csv")


def predictions(path, of):
    """What a member predicts: a value for all pixels of each line."""
    rows = np.concatenate([np.full((2, 3), value, np.uint16) for value in of.values()])
    write_npy(path, np.uint16, rows.shape, [rows])
    table = pd.DataFrame({"id": list(of), "start": range(0, 2 * len(of), 2)})
    table.assign(stop=table["start"] + 2).to_csv(path.with_suffix(".csv"), index=False)
    return LinePredictions(path)


def test_members_that_held_out_the_same_line_are_averaged(labelled, tmp_path):
    members = [
        predictions(tmp_path / "0.npy", {"inline_1": 65535, "inline_2": 65535}),
        predictions(tmp_path / "1.npy", {"inline_2": 0}),
    ]
    table, together = score_lines(labelled, members, 0.6)
    # All of line 1 is marked, and nothing of line 2, whose mean is a half.
    assert table["id"].tolist() == ["inline_1", "inline_2"]
    assert table["iou"].tolist() == [0.5, 0]
    assert together["lines"] == 2 and together["of_lines"] == 3
    assert together["iou"] == 3 / 9


def test_lines_that_nobody_predicted_are_no_score(labelled, tmp_path):
    with pytest.raises(InputError, match="no member predicted any of these lines"):
        score_lines(labelled, [predictions(tmp_path / "0.npy", {"inline_9": 1})], 0.5)


def test_damaged_predictions_are_refused(tmp_path):
    predictions(tmp_path / "0.npy", {"inline_1": 7})
    path = tmp_path / "0.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="its content differs"):
        LinePredictions(path)["inline_1"]
