"""Scores of held-out lines against a slow reference, pixel by pixel."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from saltseg.evaluation.held_out_lines import (
    Counts,
    count,
)
from saltseg.survey.lines import SALT, UNLABELLED


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
