"""Folds: balanced, complete, reproducible; and the tiles that a member trains on."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saltseg.core.errors import InputError
from saltseg.settings.schema import schema
from saltseg.survey.folds import coverage_class, is_honest, read_groups, split, train_valid_masks


def table(coverage):
    return pd.DataFrame(
        {"id": [f"tile{number}" for number in range(len(coverage))], "coverage": coverage}
    )


def slow_class(salt, pixels):
    """Return 0 without salt, else the tenth that contains the share, including its upper bound."""
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


@st.composite
def grouped_deals(draw):
    """Draw tiles in groups of very different sizes, with at least as many groups as folds."""
    folds = draw(st.integers(2, 5))
    sizes = draw(st.lists(st.integers(1, 9), min_size=folds, max_size=14))
    names = np.repeat([f"line {i}" for i in range(len(sizes))], sizes)
    groups = np.array(draw(st.permutations(names.tolist())), dtype=object)
    coverage = draw(
        st.lists(st.integers(0, 10).map(lambda i: i / 10), min_size=sum(sizes), max_size=sum(sizes))
    )
    return table(coverage), groups, folds, draw(st.integers(0, 2**32 - 1)), draw(st.booleans())


def counts(values, folds):
    return [sum(fold == number for fold in values) for number in range(folds)]


@given(deals())
def test_folds_are_balanced_in_size_and_in_every_class(deal):
    tiles, folds, seed = deal
    dealt = split(tiles, folds=folds, seed=seed, stratified=True)
    sizes = counts(dealt["fold"].tolist(), folds)
    assert sum(sizes) == len(tiles)
    assert max(sizes) - min(sizes) <= 1
    for number in set(dealt["coverage_class"]):
        here = dealt.loc[dealt["coverage_class"] == number, "fold"].tolist()
        of_class = counts(here, folds)
        assert sum(of_class) == len(here)
        assert max(of_class) - min(of_class) <= 1


@pytest.mark.parametrize("stratified", [True, False])
@given(deal=deals())
def test_every_tile_is_in_one_fold_and_in_its_place(stratified, deal):
    tiles, folds, seed = deal
    dealt = split(tiles, folds=folds, seed=seed, stratified=stratified)
    assert list(dealt.columns) == ["id", "coverage_class", "fold"]
    assert dealt["id"].tolist() == tiles["id"].tolist()
    assert set(dealt["fold"]) == set(range(folds))
    expected = [slow_class(round(100 * share), 100) for share in tiles["coverage"]]
    assert dealt["coverage_class"].tolist() == expected


@pytest.mark.parametrize("tiles", [0, 1, 4])
def test_fewer_tiles_than_folds_are_refused(tiles):
    message = f"validation.folds is 5, but there are only {tiles} labelled tiles"
    with pytest.raises(InputError, match=message):
        split(table([0.5] * tiles), folds=5, seed=0, stratified=True)


@given(grouped_deals())
def test_every_group_is_in_one_fold_and_no_fold_is_empty(deal):
    tiles, groups, folds, seed, stratified = deal
    dealt = split(tiles, folds=folds, seed=seed, stratified=stratified, groups=groups)
    assert list(dealt.columns) == ["id", "coverage_class", "group", "fold"]
    assert dealt["id"].tolist() == tiles["id"].tolist()
    assert dealt["group"].tolist() == groups.tolist()
    expected = [slow_class(round(10 * share), 10) for share in tiles["coverage"]]
    assert dealt["coverage_class"].tolist() == expected
    assert dealt["fold"].dtype == np.int64
    assert set(dealt["fold"]) == set(range(folds))
    folds_of = {}
    for group, fold in zip(groups, dealt["fold"], strict=True):
        folds_of.setdefault(group, set()).add(fold)
    assert {len(where) for where in folds_of.values()} == {1}


def test_groups_of_one_kind_are_spread_over_the_folds_if_stratified():
    # Twelve groups of five tiles, half of them empty and half full.
    groups = np.repeat(np.arange(12), 5)
    tiles = table((groups % 2).astype(float))
    gaps = {True: [], False: []}
    for stratified, found in gaps.items():
        for seed in range(10):
            dealt = split(tiles, folds=3, seed=seed, stratified=stratified, groups=groups)
            assert counts(dealt["fold"].tolist(), 3) == [20, 20, 20]
            empty = counts(dealt.loc[dealt["coverage_class"] == 0, "fold"].tolist(), 3)
            found.append(max(empty) - min(empty))
    assert gaps[True] == [0] * 10
    assert sum(gaps[False]) / 10 >= 5


@pytest.mark.parametrize("stratified", [True, False])
def test_a_group_larger_than_a_fold_stays_whole_and_the_others_share_the_rest(stratified):
    groups = np.array(["a", "b", "c", "d", "e", "f"] + ["big"] * 12)
    # Assigned first, for any seed, so that the small groups can balance it.
    for seed in range(10):
        settings = {"folds": 3, "seed": seed, "stratified": stratified, "groups": groups}
        dealt = split(table([0.5] * 18), **settings)
        assert sorted(counts(dealt["fold"].tolist(), 3)) == [3, 3, 12]


@pytest.mark.parametrize(
    ("names", "folds", "message"),
    [
        ("xy", 3, "validation.folds is 3, but there are only 2 groups of labelled tiles; .*fewer"),
        # Fewer folds would not help.
        ("x", 2, r"only 1 groups (?!.*fewer).*; name another column"),
    ],
)
def test_fewer_groups_than_folds_are_refused(names, folds, message):
    groups = np.array([*names] * 10)
    tiles = table([0.5] * len(groups))
    with pytest.raises(InputError, match=message):
        split(tiles, folds=folds, seed=0, stratified=True, groups=groups)


@pytest.fixture
def sections(tmp_path):
    """Path of a table of three tiles in two sections, plus an irrelevant tile."""
    path = tmp_path / "sections.csv"
    path.write_text("line,id,section\nA,t2,north\nB,other,\nA,0010,007\nC,t3,north\n")
    return path


def test_groups_are_read_as_text_in_the_order_of_the_tiles(sections):
    groups = read_groups(sections, "section", ["0010", "t2", "t3"])
    assert groups.tolist() == ["007", "north", "north"]
    assert read_groups(str(sections), "line", ["t3", "0010"]).tolist() == ["C", "A"]


@pytest.mark.parametrize("header", ["id,other", "name,section"])
def test_a_missing_column_names_the_existing_ones(sections, header):
    sections.write_text(f"{header}\nt1,1\n")
    message = f"expected the columns id and section, found {header}; validation.group_column"
    with pytest.raises(InputError, match=message):
        read_groups(sections, "section", ["t1"])


def test_tiles_without_a_group_or_with_two_are_named_together(sections):
    sections.write_text("id,section\nt1,1\nt2,\nt3,1\nt3,1\nt5,2\nt5,\nx,1\n")
    with pytest.raises(InputError) as caught:
        read_groups(sections, "section", ["t1", "t2", "t3", "t4", "t5"])
    title, *lines = str(caught.value).splitlines()
    assert title == "Groups: 4 problems found"
    assert [line.split("sections.csv: ")[1] for line in lines] == [
        "tile t3 appears more than once",
        "tile t5 appears more than once",
        "no section for tile t2",
        "no section for tile t4",
    ]


def held_out(scheme, fold, seed, folds):
    return {"kfold": fold == seed % folds, "holdout": fold == 0, "full": True}[scheme]


@pytest.mark.parametrize(
    "scheme", schema()["properties"]["validation"]["properties"]["scheme"]["enum"]
)
@pytest.mark.parametrize("folds", [2, 3, 5])
def test_a_member_holds_out_what_its_scheme_says(scheme, folds):
    dealt = split(table(np.linspace(0, 1, 23)), folds=folds, seed=0, stratified=True)
    for seed in [0, 1, 4, 17, 2**32 - 1]:
        trains, validates = train_valid_masks(dealt, scheme, seed)
        assert trains.dtype == validates.dtype == bool
        assert validates.tolist() == [held_out(scheme, fold, seed, folds) for fold in dealt["fold"]]
        # A score is honest if no member trains on tiles that it validates on.
        assert trains.tolist() == ((~validates).tolist() if is_honest(scheme) else [True] * 23)
    assert is_honest(scheme) == (scheme != "full")


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
