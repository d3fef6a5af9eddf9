"""The threshold search, compared with brute force over every distinct threshold."""

from fractions import Fraction
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from saltseg.core.errors import InputError
from saltseg.core.quantisation import SCALE
from saltseg.ensemble.predictions import Predictions
from saltseg.evaluation.summary import NOT_TUNED, describe, honesty, warning
from saltseg.evaluation.threshold import evaluate, steps, steps_of_members, tune
from saltseg.survey import tiles as packed
from support.surveys import slow_score

UNIT = 10


@st.composite
def surveys(draw, least=1):
    """Draw a few tiles with few distinct values, for many ties, near enough the truth to score."""
    shape = draw(st.tuples(st.integers(least, 5), st.integers(1, 4), st.integers(1, 4)))
    masks = draw(arrays(bool, shape))
    noise = draw(arrays(np.int64, shape, elements=st.integers(-5, 5)))
    values = np.where(masks, 5, 3) + noise
    return np.clip(values, 0, UNIT).astype(np.uint32), masks


def slow_scores(values, masks, limit):
    """Return the tiles' scores, in fractions, if values above a limit are salt."""
    return tuple(
        slow_score((tile > limit).tolist(), mask.tolist())
        for tile, mask in zip(values.astype(object), masks, strict=True)
    )


def slow_segments(values, masks, unit):
    """Return start, end and scores of the threshold intervals in which no score changes."""
    segments = []
    for limit in range(unit + 1):
        scores = slow_scores(values, masks, limit)
        if not segments or segments[-1][1] != scores:
            segments.append((limit, scores))
    ends = [start for start, _ in segments[1:]] + [unit]
    return [(start, end, scores) for (start, scores), end in zip(segments, ends, strict=True)]


def slow_best(values, masks, unit):
    """Return the midpoint of the first widest range of the best thresholds, as a fraction of one.

    Best by the mean score within a tenth, beyond whose ends the score stays.
    """
    segments = slow_segments(values, masks, unit)
    near, far = Fraction(unit, 10), 2 * unit
    segments[0] = (-far, *segments[0][1:])
    segments[-1] = (segments[-1][0], far, segments[-1][2])

    def around(limit):
        low, high = limit - near, limit + near
        return sum(
            sum(scores) * max(min(end, high) - max(start, low), 0)
            for start, end, scores in segments
        )

    ends = {start + side for start, _, _ in segments for side in (-near, near)}
    ends = sorted({0, unit} | {end for end in ends if 0 < end < unit})
    runs = [list(run) for _, run in groupby(ends, around)]
    top = max(around(run[0]) for run in runs)
    best = max((run for run in runs if around(run[0]) == top), key=lambda run: run[-1] - run[0])
    return Fraction(best[0] + best[-1]) / (2 * unit)


def whole_curve(values, masks, unit=UNIT):
    return steps(values, masks, unit).curve(np.ones(len(values), dtype=bool))


@given(surveys())
def test_the_score_at_every_threshold_equals_the_definition(survey):
    values, masks = survey
    curve = whole_curve(values, masks)
    # At every value, between them, and beyond the last.
    for quarter in range(4 * UNIT + 3):
        expected = slow_scores(values, masks, Fraction(quarter, 4))
        found = curve.score(quarter / (4 * UNIT))
        assert found == pytest.approx(float(sum(expected) / len(expected)), abs=1e-12)


SHAPE = (3, 2)


@st.composite
def ensembles(draw):
    """Draw members that predicted different tiles, each tile at least once."""
    count = draw(st.integers(1, 4))
    ids = [f"tile{i}" for i in range(count)]
    masks = draw(arrays(bool, (count, *SHAPE)))
    members = []
    for _ in range(draw(st.integers(1, 3))):
        some = draw(st.lists(st.sampled_from(ids), unique=True))
        members.append(draw(member_of(some)))
    seen = {name for member in members for name in member.ids}
    rest = [name for name in ids if name not in seen]
    if rest:
        members.append(draw(member_of(rest)))
    return members, ids, masks


@st.composite
def member_of(draw, ids):
    # Multiples of 1/5, so that means tie.
    fifths = draw(arrays(np.uint16, (len(ids), *SHAPE), elements=st.integers(0, 5)))
    return Predictions(Path("member.h5"), ids, fifths * np.uint16(SCALE // 5))


def slow_means(members, ids):
    """Return each pixel's mean probability over the members with its tile, in fractions."""
    means = []
    for name in ids:
        own = [member.values[member.ids.index(name)] for member in members if name in member.ids]
        means.append(
            [
                [
                    Fraction(sum(int(tile[y, x]) for tile in own), len(own) * SCALE)
                    for x in range(SHAPE[1])
                ]
                for y in range(SHAPE[0])
            ]
        )
    return np.array(means, dtype=object)


@given(ensembles())
def test_members_are_averaged_exactly_over_those_that_have_the_tile(ensemble):
    members, ids, masks = ensemble
    curve = steps_of_members(members, ids, masks).curve(np.ones(len(ids), dtype=bool))
    means = slow_means(members, ids)
    values = sorted({Fraction(0), *means.ravel().tolist()})
    between = [(a + b) / 2 for a, b in pairwise(values)]
    for threshold in (*values, *between, Fraction(1)):
        expected = sum(slow_scores(means, masks, threshold))
        segment = sum(Fraction(int(s), curve.unit) <= threshold for s in curve.starts) - 1
        assert Fraction(int(curve.totals[segment]), 10) == expected
    best = max(sum(slow_scores(means, masks, value)) for value in values)
    assert Fraction(int(curve.totals.max()), 10) == best


def test_tiles_are_summed_chunk_by_chunk_without_a_seam():
    random = np.random.default_rng(0)
    ids = [f"tile{i}" for i in range(300)]
    masks = random.random((300, *SHAPE)) < 0.5
    order = random.permutation(300)
    values = random.integers(0, 2, (300, *SHAPE)).astype(np.uint16) * np.uint16(SCALE)
    member = Predictions(Path("member.h5"), [ids[i] for i in order], values[order])
    found = steps_of_members([member], ids, masks)
    expected = slow_scores(values, masks, SCALE // 2)
    for i in (0, 127, 128, 255, 256, 299):
        only = np.arange(300) == i
        assert found.curve(only).score(0.5) == float(expected[i])


def test_too_many_different_numbers_of_members_are_refused():
    # 5, 7, 8, 9, 11 and 13 members have no common multiple below 360360.
    counts = [5, 7, 8, 9, 11, 13]
    members = []
    for number in range(13):
        ids = [f"tile{count}" for count in counts if count > number]
        values = np.zeros((len(ids), *SHAPE), dtype=np.uint16)
        members.append(Predictions(Path("member.h5"), ids, values))
    masks = np.zeros((len(counts), *SHAPE), dtype=bool)
    with pytest.raises(InputError, match=r"ensemble\.seeds"):
        steps_of_members(members, [f"tile{count}" for count in counts], masks)


def slow_tune(values, masks, groups, unit):
    """Score each group at the best threshold of the other groups, by brute force."""
    by_group, total = {}, Fraction(0)
    for group in sorted(set(groups)):
        here = [i for i, g in enumerate(groups) if g == group]
        others = [i for i, g in enumerate(groups) if g != group]
        threshold = slow_best(values[others], masks[others], unit)
        scores = slow_scores(values[here], masks[here], threshold * unit)
        total += sum(scores)
        by_group[str(group)] = {
            "threshold": pytest.approx(float(threshold), abs=1e-4),
            "score": pytest.approx(float(sum(scores) / len(here)), abs=1e-12),
            "tiles": len(here),
        }
    best = slow_best(values, masks, unit)
    mean = {
        name: float(sum(slow_scores(values, masks, limit)) / len(values))
        for name, limit in [("best", best * unit), ("half", Fraction(unit, 2))]
    }
    return {
        "threshold": pytest.approx(float(best), abs=1e-4),
        "score": pytest.approx(float(total / len(values)), abs=1e-12),
        "score_on_tuned_tiles": pytest.approx(mean["best"], abs=1e-12),
        "score_at_half": pytest.approx(mean["half"], abs=1e-12),
        "groups": by_group,
    }


@given(surveys(least=3), st.lists(st.integers(0, 2), min_size=5, max_size=5))
def test_each_group_is_scored_at_the_threshold_of_the_others(survey, folds):
    values, masks = survey
    groups = np.array([0, 1, *folds][: len(values)])
    result = tune(steps(values, masks, UNIT), groups)
    assert result == slow_tune(values, masks, groups.tolist(), UNIT)


@pytest.fixture
def labelled(tmp_path):
    """Twelve packed tiles in three folds, and each fold's held-out predictions."""
    random = np.random.default_rng(1)
    ids = [f"tile{i:02d}" for i in range(12)]
    masks = random.random((12, 4, 5)) < 0.5
    masks[:4] = False
    sevenths = np.clip(np.where(masks, 5, 2) + random.integers(-2, 3, masks.shape), 0, 7)
    sevenths[2:4] = 0
    values = sevenths.astype(np.uint16) * np.uint16(SCALE // 7)
    table = pd.DataFrame({"id": ids, "depth": 1.0, "coverage": masks.mean(axis=(1, 2))})
    packed.save(tmp_path / "train.h5", table, np.zeros(masks.shape, dtype=np.uint8), masks)
    folds = pd.DataFrame({"id": ids, "fold": np.arange(12) % 3})
    members = []
    for fold in range(3):
        rows = np.flatnonzero(folds["fold"] == fold)[::-1]
        members.append(Predictions(Path(f"{fold}.h5"), [ids[r] for r in rows], values[rows]))
    return members, packed.Tiles(tmp_path / "train.h5"), folds, values, masks


def coarse(values):
    """Round values to sevenths, so that brute force need not try 65535 thresholds."""
    return (values // (SCALE // 7)).astype(np.uint32)


@pytest.mark.parametrize(
    ("held_out", "tuned_on", "empty"),
    [
        ([0, 1, 2], "the other folds", 4 / 12),
        # Tiles of a fold that no member held out do not count.
        ([2, 0], "the other folds", 3 / 8),
        ([1], "the other half of the fold", 1 / 4),
        # As in the scheme `full`: each member predicted every tile, and the score is not honest.
        ([None, None], "the other folds", 4 / 12),
    ],
)
def test_tiles_are_scored_by_the_members_that_predicted_them(labelled, held_out, tuned_on, empty):
    members, tiles, folds, values, masks = labelled
    whole = Predictions(Path("all.h5"), tiles.ids[::-1], values[::-1])
    members = [whole if fold is None else members[fold] for fold in held_out]
    honest = None not in held_out
    result, curve = evaluate(members, tiles, folds, honest=honest)
    covered = np.flatnonzero(folds["fold"].isin(held_out) | (not honest))
    groups = [0, 1, 0, 1] if len(held_out) == 1 else folds["fold"][covered].tolist()
    expected = slow_tune(coarse(values[covered]), masks[covered], groups, 7)
    assert result == expected | {
        "score_all_empty": pytest.approx(empty),
        "tuned_on": tuned_on,
        "honest": honest,
        "tiles_scored": len(covered),
        "tiles": 12,
    }
    assert list(curve.columns) == ["threshold", "score", "honest"]
    assert curve["honest"].tolist() == [honest] * len(curve)
    assert curve["threshold"].is_monotonic_increasing and curve["threshold"].iloc[0] == 0
    for row in curve.itertuples():
        limit = Fraction(round(7 * row.threshold))
        scores = slow_scores(coarse(values[covered]), masks[covered], limit)
        assert row.score == pytest.approx(float(sum(scores) / len(covered)), abs=1e-12)


@pytest.mark.parametrize("held_out", [[0, 1, 2], [1]])
def test_a_chosen_threshold_is_scored_as_it_is_and_tuned_on_nothing(labelled, held_out):
    members, tiles, folds, values, masks = labelled
    members = [members[fold] for fold in held_out]
    result, _ = evaluate(members, tiles, folds, honest=True, chosen=0.3)
    covered = np.flatnonzero(folds["fold"].isin(held_out))
    scores = slow_scores(values[covered], masks[covered], 0.3 * SCALE)
    expected = float(sum(scores) / len(covered))
    assert (result["threshold"], result["tuned_on"], result["honest"]) == (0.3, NOT_TUNED, True)
    assert result["score"] == result["score_on_tuned_tiles"] == pytest.approx(expected)
    assert {group["threshold"] for group in result["groups"].values()} == {0.3}


@pytest.mark.parametrize("selected", [False, True])
def test_a_score_says_where_its_tiles_chose_the_epoch(selected):
    result = {"honest": True, "selected": selected, "tuned_on": "the other folds"}
    assert ("selected on it" in honesty(result)) is selected and warning(result) == ""
    assert honesty(result).startswith("no member trained on the tile")


def test_a_score_of_a_single_tile_is_blamed_on_the_threshold_only(labelled):
    """The threshold can only be tuned on that tile, but no member trained on it."""
    _, tiles, folds, values, _ = labelled
    folds["fold"] = np.arange(12).clip(0, 1)
    member = Predictions(Path("0.h5"), tiles.ids[:1], values[:1])
    result, _ = evaluate([member], tiles, folds, honest=True)
    assert result["tiles_scored"] == 1 and not result["honest"]
    result |= {"members": {"0": 1}, "selected": False}
    for text in (describe(result), warning(result)):
        assert "the threshold was tuned on the same tile" in text
        assert "members trained" not in text and "training tiles" not in text
