"""Interpolation of labelled lines, against a slow reference, trace by trace."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saltseg.survey.grid import CROSSLINE, INLINE
from saltseg.survey.interpolation import LIMIT, NEAREST, TYPICAL, Interpolation, signed_distance
from saltseg.survey.lines import UNLABELLED


def slow_distance(labels):
    """Distances to the next sample of the other kind, less half a sample."""
    known = [t for t, trace in enumerate(labels) if UNLABELLED not in trace]
    # Between two as near ones, any will do.
    salt = labels == 1
    points = [(t, s) for t in known for s in range(labels.shape[1])]
    found = np.zeros(labels.shape)
    for t, s in points:
        other = [np.hypot(t - a, s - b) for a, b in points if salt[a, b] != salt[t, s]]
        away = min(min(other, default=np.inf) - 0.5, LIMIT)
        found[t, s] = away if salt[t, s] else -away
    return found


def drawn(seed, shape, unknown=()):
    labels = (np.random.default_rng(seed).random(shape) < 0.4).astype(np.uint8)
    labels[list(unknown), 0] = UNLABELLED
    return labels


@given(seed=st.integers(0, 2**32 - 1), shape=st.tuples(st.integers(1, 6), st.integers(1, 7)))
def test_distances_are_to_the_next_sample_of_the_other_kind(seed, shape):
    distance, known = signed_distance(drawn(seed, shape))
    np.testing.assert_allclose(distance, slow_distance(drawn(seed, shape)), atol=2e-3)
    assert known.all()


def test_unknown_traces_have_the_distances_of_the_nearest_known_one():
    labels = drawn(3, (6, 5), unknown=[0, 3])
    labels[4:] = 0
    distance, known = signed_distance(labels)
    assert known.tolist() == [False, True, True, False, True, True]
    filled = labels.copy()
    filled[[0, 3]] = labels[[1, 2]]
    np.testing.assert_array_equal(distance, signed_distance(filled)[0])
    assert signed_distance(np.full((2, 3), UNLABELLED, np.uint8))[1].tolist() == [False, False]


def slow_at(lines, line, trace):
    """Distance and reach at a trace of a line, from (distance, known) by line."""
    known = {at: distance[trace] for at, (distance, known) in lines.items() if known[trace]}
    before, after = ([at for at in known if side * (at - line) >= 0] for side in (-1, 1))
    if line in known:
        return known[line], 0.0
    if not before or not after:
        nearest = max(before) if before else min(after, default=None)
        return (None, np.inf) if nearest is None else (known[nearest], abs(line - nearest))
    a, b = max(before), min(after)
    share = (b - line) / (b - a)
    reach = (line - a) * (b - line) / (b - a)
    return share * known[a] + (1 - share) * known[b], reach


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_volume_is_interpolated_as_trace_by_trace(seed):
    random = np.random.default_rng(seed)
    shape = 9, 7, 5
    labels = {}
    for plane, count, traces in ((INLINE, 9, 7), (CROSSLINE, 7, 9)):
        for line in random.choice(count, random.integers(0, 4), replace=False).tolist():
            unknown = np.flatnonzero(random.random(traces) < 0.3)
            labels[plane, line] = drawn(seed + line, (traces, shape[2]), unknown)
    found = Interpolation(labels)
    planes = {
        plane: {at: signed_distance(each) for (name, at), each in labels.items() if name == plane}
        for plane in (INLINE, CROSSLINE)
    }
    planes = {
        plane: {at: each for at, each in lines.items() if each[1].any()}
        for plane, lines in planes.items()
    }
    planes = {plane: lines for plane, lines in planes.items() if len(lines) > 1}
    assert bool(found) == bool(planes)
    if not planes:
        return
    distance = found.distance(slice(1, 9), slice(0, 6))
    assert distance.dtype == np.float32
    for i in range(1, 9):
        for j in range(6):
            weighted, weights = np.zeros(shape[2]), 0
            for plane, (line, trace) in ((INLINE, (i, j)), (CROSSLINE, (j, i))):
                if plane in planes:
                    at, reach = slow_at(planes[plane], line, trace)
                    if at is not None:
                        weight = 1 / max(reach, NEAREST) ** 2
                        weighted, weights = weighted + weight * at, weights + weight
            expected = weighted / np.sqrt(weights) / found.growth if weights else weighted
            np.testing.assert_allclose(distance[i - 1, j], expected, rtol=2e-3, atol=2e-3)


def layer(top, traces=20, samples=40):
    """Salt between two flat surfaces."""
    labels = np.zeros((traces, samples), np.uint8)
    labels[:, top : top + 12] = 1
    return labels


def test_the_error_is_measured_by_leaving_lines_out():
    # A layer that jumps up and down by four samples: off by that, two lines from either side.
    labels = {(INLINE, 4 * k): layer(14 + 4 * (k % 2)) for k in range(5)}
    inner = Interpolation(labels).growth
    assert 1 < inner < 2.5
    flat = Interpolation({(INLINE, 4 * k): layer(14) for k in range(5)}).growth
    assert flat < inner / 3
    assert Interpolation({(INLINE, 1): layer(9)}).growth == TYPICAL


def test_lines_left_out_change_nothing_but_themselves():
    labels = {(INLINE, k): layer(10 + k) for k in (0, 4, 8)}
    everything = Interpolation(labels)
    others = everything.without({(INLINE, 4)})
    here = slice(0, 9), slice(0, 20)
    middle = others.distance(*here)[4] * others.growth * 2  # a reach of 2 lines
    expected = (signed_distance(layer(10))[0] + signed_distance(layer(18))[0].astype(float)) / 2
    np.testing.assert_allclose(middle, expected, atol=0.02)
    assert others.growth == everything.growth
    assert not others.without({(INLINE, 0)})
    own = everything.distance(*here)[4] * everything.growth * NEAREST
    assert own == pytest.approx(signed_distance(layer(14))[0], abs=0.02)
