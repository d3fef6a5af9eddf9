"""The review of labelled tiles, checked by hand."""

import numpy as np
import pandas as pd
import pytest

from saltseg.ensemble.predictions import Predictions, save
from saltseg.evaluation.review import (
    COLUMNS,
    counts,
    dilate,
    disagreement,
    read_review,
    reasons,
    review,
)
from saltseg.survey import tiles as packed
from saltseg.survey.tiles import Tiles

SIDE = 20


def half(columns: int) -> np.ndarray:
    """Return a mask whose first columns are salt, except one pixel, so that it is not a stripe."""
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[:, :columns] = True
    mask[0, columns - 1] = False
    return mask


EMPTY, FULL = np.zeros((SIDE, SIDE), dtype=bool), np.ones((SIDE, SIDE), dtype=bool)
BAND = half(8) | (np.arange(SIDE) < 8)
NOISE = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)


@pytest.mark.parametrize(
    ("image", "mask", "predicted", "reason"),
    [
        (NOISE, half(10), half(10), ""),
        (NOISE, EMPTY, EMPTY, ""),
        (NOISE, FULL, FULL, ""),
        (NOISE, half(10), half(12), "boundary"),
        (NOISE, half(10), half(7), "boundary"),
        (NOISE, half(10), half(14), "shape"),
        (NOISE, half(10), ~half(10), "shape"),
        (NOISE, EMPTY, half(2), "empty_called_salt"),
        (NOISE, half(2), EMPTY, "salt_called_empty"),
        (NOISE, FULL, EMPTY, "salt_called_empty"),
        (NOISE, BAND, half(10), "stripe_mask"),
        (NOISE, BAND.T, EMPTY, "stripe_mask"),
        (NOISE, BAND, BAND, "stripe_mask"),
        (NOISE * 0, EMPTY, EMPTY, "black_tile"),
        (NOISE * 0, BAND, EMPTY, "black_tile"),
    ],
)
def test_a_tile_has_the_first_reason_that_holds(image, mask, predicted, reason):
    assert reasons(image[None], mask[None], predicted[None]).tolist() == [reason]


def test_a_mask_grows_by_so_many_pixels_also_across_corners_and_not_round_the_edge():
    mask = np.zeros((1, 7, 9), dtype=bool)
    mask[0, 0, 8] = True
    expected = np.zeros_like(mask)
    expected[0, :3, 6:] = True
    assert (dilate(mask, 2) == expected).all()
    assert dilate(mask, 100).all()
    assert not dilate(~np.ones_like(mask), 2).any()


def member(path, ids, values) -> Predictions:
    pictures = np.array([np.full((1, 2), value, dtype=np.float32) for value in values])
    save(path, ids, (1, 2), [pictures])
    return Predictions.load(path)


def test_disagreement_is_the_deviation_over_members_and_needs_two(tmp_path):
    one = member(tmp_path / "0.h5", ["a", "b", "c"], [0.2, 0.5, 1.0])
    two = member(tmp_path / "1.h5", ["c", "a"], [0.0, 0.4])
    found = disagreement([one, two], ["a", "b", "c", "d"])
    assert found == pytest.approx([0.1, np.nan, 0.5, np.nan], abs=1e-4, nan_ok=True)
    assert disagreement([one, two], ["a", "b", "c"], chunk=1) == pytest.approx(
        found[:3], nan_ok=True
    )
    assert counts([one, two], ["a", "b", "c", "d"]).tolist() == [2, 1, 2, 0]


@pytest.fixture
def run(tmp_path):
    """Five tiles of two pixels; no member predicted the last."""
    ids = list("abcde")
    masks = np.array([[[1, 0]], [[1, 0]], [[0, 0]], [[1, 1]], [[1, 0]]], dtype=bool)
    images = np.tile(np.array([[1, 2]], dtype=np.uint8), (5, 1, 1))
    table = pd.DataFrame({"id": ids, "depth": range(5), "coverage": masks.mean((1, 2))})
    packed.save(tmp_path / "train.h5", table, images, masks)
    folds = pd.DataFrame({"id": ids, "fold": [0, 1, 0, 1, 0]})
    # a is right, b and c are entirely wrong, c more confidently; d is half right.
    values = np.array([[[0.9, 0.1]], [[0.4, 0.8]], [[1.0, 1.0]], [[0.7, 0.5]]], dtype=np.float32)
    save(tmp_path / "0.h5", ids[:4], (1, 2), [values])
    members = [Predictions.load(tmp_path / "0.h5")]
    return Tiles(tmp_path / "train.h5"), folds, members


def test_the_worst_come_first_and_the_surest_of_these(run, tmp_path):
    table = review(*run, threshold=0.6, honest=True)
    assert table["id"].tolist() == ["c", "b", "d", "a", "e"]
    assert table["score"].tolist()[:4] == [0, 0, 0, 1]
    assert table["iou"].tolist()[:4] == [0, 0, 0.5, 1]
    assert table["error"].tolist()[:4] == pytest.approx([1.0, 0.7, 0.4, 0.1], abs=1e-4)
    assert table["predicted_coverage"].tolist()[:4] == [1, 0.5, 0.5, 0.5]
    assert table["members"].tolist() == [1, 1, 1, 1, 0]
    assert table["reason"].tolist() == [
        "empty_called_salt",
        "stripe_mask",
        "shape",
        "stripe_mask",
        "",
    ]
    assert table["fold"].tolist() == [0, 1, 1, 0, 0]
    assert table.iloc[4][["score", "iou", "error", "predicted_coverage"]].isna().all()
    path = tmp_path / "review.csv"
    table.to_csv(path, index=False)
    back = read_review(path, list("abcde"))
    pd.testing.assert_frame_equal(back, table, check_dtype=False)
    assert list(back.columns) == COLUMNS


def test_tiles_of_a_suspect_line_say_so_whatever_their_score(run):
    tiles, folds, members = run
    tiles.table["line"] = ["inline_5", "inline_5", "inline_9", "inline_9", "inline_9"]
    table = review(tiles, folds, members, threshold=0.6, honest=True, suspect=("inline_9",))
    assert table.set_index("id")["reason"].to_dict() == {
        **dict.fromkeys("cde", "suspect_line"),
        **dict.fromkeys("ab", "stripe_mask"),
    }


def test_a_tile_may_be_named_like_something_missing(run, tmp_path):
    table = review(*run, threshold=0.6, honest=True)
    path = tmp_path / "review.csv"
    table.assign(id=["NA", "nan", "null", "None", "007"]).to_csv(path, index=False)
    found = read_review(path, ["NA", "nan", "null", "None", "007"])
    assert found["id"].tolist() == ["NA", "nan", "null", "None", "007"]
