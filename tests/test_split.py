"""Folds: balanced, complete, reproducible; and the tiles that a member holds out."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salt.errors import InputError
from salt.split import coverage_class, held_out, split


def table(coverage):
    return pd.DataFrame(
        {"id": [f"tile{number}" for number in range(len(coverage))], "coverage": coverage}
    )


def slow_class(salt, pixels):
    """0 without salt, else the tenth that the share lies in, its upper bound included."""
    if salt == 0:
        return 0
    for tenth in range(1, 11):
        if Fraction(salt, pixels) <= Fraction(tenth, 10):
            return tenth
    raise AssertionError("more salt than pixels")


@st.composite
def deals(draw):
    folds = draw(st.integers(2, 7))
    coverage = draw(
        st.lists(st.integers(0, 100).map(lambda i: i / 100), min_size=folds, max_size=60)
    )
    return table(coverage), folds, draw(st.integers(0, 2**32 - 1))


def counts(values, folds):
    return [sum(fold == number for fold in values) for number in range(folds)]


@given(deals())
def test_folds_are_balanced_in_size_and_in_every_class(deal):
    tiles, folds, seed = deal
    dealt = split(tiles, folds=folds, seed=seed)
    sizes = counts(dealt["fold"].tolist(), folds)
    assert sum(sizes) == len(tiles)
    assert max(sizes) - min(sizes) <= 1
    for number in set(dealt["coverage_class"]):
        here = dealt.loc[dealt["coverage_class"] == number, "fold"].tolist()
        of_class = counts(here, folds)
        assert sum(of_class) == len(here)
        assert max(of_class) - min(of_class) <= 1


@given(deals())
def test_every_tile_is_in_one_fold_and_in_its_place(deal):
    tiles, folds, seed = deal
    dealt = split(tiles, folds=folds, seed=seed)
    assert list(dealt.columns) == ["id", "coverage_class", "fold"]
    assert dealt["id"].tolist() == tiles["id"].tolist()
    assert set(dealt["fold"]) == set(range(folds))
    expected = [slow_class(round(100 * share), 100) for share in tiles["coverage"]]
    assert dealt["coverage_class"].tolist() == expected


@given(deals())
def test_a_seed_deals_the_same_again(deal):
    tiles, folds, seed = deal
    pd.testing.assert_frame_equal(
        split(tiles, folds=folds, seed=seed), split(tiles, folds=folds, seed=seed)
    )


def test_another_seed_deals_another_way():
    tiles = table(np.linspace(0, 1, 40))
    deals = {tuple(split(tiles, folds=4, seed=seed)["fold"]) for seed in range(10)}
    assert len(deals) == 10


def test_tiles_of_a_class_are_shuffled_over_the_folds():
    # Neighbours in the table must not always be dealt to neighbouring folds.
    dealt = split(table([0.5] * 60), folds=3, seed=0)["fold"].to_numpy()
    assert len({tuple((dealt[i : i + 3] - dealt[i]) % 3) for i in range(0, 60, 3)}) > 2


@pytest.mark.parametrize("tiles", [0, 1, 4])
def test_fewer_tiles_than_folds_are_refused(tiles):
    message = f"validation.folds is 5, but there are only {tiles} labelled tiles"
    with pytest.raises(InputError, match=message):
        split(table([0.5] * tiles), folds=5, seed=0)


def test_as_many_tiles_as_folds_are_one_each():
    assert sorted(split(table([0.1, 0.2, 0.3]), folds=3, seed=1)["fold"]) == [0, 1, 2]


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_a_member_holds_out_the_fold_of_its_seed(folds):
    dealt = split(table(np.linspace(0, 1, 23)), folds=folds, seed=0)
    for seed in [0, 1, 4, 17, 2**32 - 1]:
        out = held_out(dealt, seed)
        assert out.dtype == bool
        assert out.tolist() == [fold == seed % folds for fold in dealt["fold"]]


def test_members_of_successive_seeds_hold_out_each_tile_once():
    dealt = split(table(np.linspace(0, 1, 23)), folds=5, seed=0)
    assert sum(held_out(dealt, seed).astype(int) for seed in range(7, 12)).tolist() == [1] * 23


@pytest.mark.parametrize("pixels", [10, 100, 1000, 101 * 101, 130 * 130])
def test_coverage_classes_equal_their_definition_at_their_bounds(pixels):
    bounds = {pixels * tenth // 10 + step for tenth in range(11) for step in (-1, 0, 1)}
    areas = sorted(area for area in bounds if 0 <= area <= pixels)
    classes = coverage_class(np.array([area / pixels for area in areas]))
    assert classes.tolist() == [slow_class(area, pixels) for area in areas]


@given(pixels=st.integers(1, 256**2), share=st.floats(0, 1))
def test_coverage_classes_equal_their_definition(pixels, share):
    area = round(pixels * share)
    coverage = np.zeros(pixels, dtype=bool)
    coverage[:area] = True
    assert coverage_class(np.array([coverage.mean()])) == [slow_class(area, pixels)]
