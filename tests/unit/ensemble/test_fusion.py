"""Smoothing across lines and learnt weights, against slow references."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from saltseg.core.quantisation import MISSING, SCALE
from saltseg.ensemble.fusion import (
    LOGITS,
    Fusion,
    average,
    halo,
    learn,
    smooth,
    typical,
)
from saltseg.survey.grid import PLANES


def test_logits_are_those_of_probabilities_within_what_members_are_trusted_for():
    values = np.arange(700, SCALE - 700, 997)
    np.testing.assert_allclose(expit(LOGITS[values]), values / SCALE, atol=1e-6)
    assert LOGITS[[0, SCALE]].tolist() == [-7, 7]
    assert np.isnan(LOGITS[MISSING])


@given(seed=st.integers(0, 2**32 - 1), deviation=st.sampled_from([0, 0.4, 1.0, 1.5]))
def test_smoothing_is_a_mean_of_the_known_samples_near(seed, deviation):
    random = np.random.default_rng(seed)
    values = random.integers(0, SCALE, (9, 2, 3), dtype=np.uint16)
    values[random.random(values.shape) < 0.2] = MISSING
    axis = int(random.integers(3))
    count = values.shape[axis]
    found = smooth(values, axis, range(1, count), deviation)
    assert found.dtype == np.float32
    for place in np.ndindex(found.shape):
        line = place[axis] + 1
        weights, total = 0.0, 0.0
        for other in range(count):
            if abs(other - line) <= halo(deviation):
                at = tuple(other if k == axis else p for k, p in enumerate(place))
                if values[at] != MISSING:
                    weight = np.exp(-(((other - line) / (deviation or 1)) ** 2) / 2)
                    weights, total = weights + weight, total + weight * LOGITS[values[at]]
        own = tuple(line if k == axis else p for k, p in enumerate(place))
        if values[own] == MISSING:
            assert np.isnan(found[place])
        else:
            assert found[place] == pytest.approx(total / weights, abs=1e-3)


def lines_of(fusion, count, size=4000):
    random, lines = np.random.default_rng(7), []
    for _ in range(count):
        *members, distance = random.normal(0, 2, (3, size)).astype(np.float32)
        members = dict(zip(PLANES, members, strict=True))
        salt = random.random(size) < expit(fusion.logits(members, distance))
        lines.append((members, distance, salt))
    return lines


def weights(fusion):
    return {**fusion.slopes, "weight": fusion.weight, "offset": fusion.offset}


def test_weights_are_learnt_the_better_the_more_lines_there_are():
    truth = Fusion({"inline": 0.6, "crossline": 0.1}, weight=1.1, offset=-0.8)
    usual = weights(typical(PLANES))
    many, few = (weights(learn(lines_of(truth, count), typical(PLANES))) for count in (40, 1))
    assert many == pytest.approx(weights(truth), abs=0.05)
    for name, value in weights(truth).items():
        low, high = sorted([value, usual[name]])
        assert low - 0.1 <= few[name] <= high + 0.1


def test_without_lines_weights_are_typical_and_alone_nothing_is_interpolated():
    usual, alone = typical(PLANES), typical(PLANES, alone=True)
    assert learn([], usual) == usual
    empty = np.zeros(0, np.float32)
    assert learn([(dict.fromkeys(PLANES, empty), empty, empty > 0)], usual) == usual
    assert learn(lines_of(usual, 3), alone).weight == 0


def test_other_planes_than_were_calibrated_share_the_slopes():
    members = {"inline": np.float32([-1, 2]), "crossline": np.float32([3, 4])}
    np.testing.assert_array_equal(average(PLANES).logits(members), [1, 3])
    np.testing.assert_array_equal(average(["inline"]).logits(members), [1, 3])
    np.testing.assert_array_equal(average(PLANES).logits({"section": members["inline"]}), [-1, 2])
