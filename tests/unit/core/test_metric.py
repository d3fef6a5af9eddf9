"""The contest's metric, compared with its definition in exact fractions."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from saltseg.core import metric
from support.surveys import slow_score


@st.composite
def pairs_of_masks(draw):
    """Draw predictions near the truth, since distant ones all score zero."""
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6)))
    truth = draw(arrays(bool, shape))
    wrong = draw(arrays(bool, shape, elements=st.integers(0, 5).map(lambda i: i == 0)))
    return truth ^ wrong, truth


@given(pairs_of_masks())
def test_scores_equal_the_definition(masks):
    predicted, truth = masks
    expected = [slow_score(p, t) for p, t in zip(predicted.tolist(), truth.tolist(), strict=True)]
    scores = metric.tile_scores(predicted, truth)
    assert [Fraction(round(10 * score), 10) for score in scores] == expected
    np.testing.assert_allclose(scores, [float(score) for score in expected], rtol=0, atol=1e-15)


@given(pairs_of_masks())
def test_numpy_and_pytorch_agree(masks):
    scores = metric.tile_scores(*masks)
    tensors = metric.tile_scores(*(torch.from_numpy(mask) for mask in masks))
    np.testing.assert_allclose(tensors.numpy(), scores, rtol=1e-6)


@pytest.mark.parametrize("percent", range(50, 100, 5))
@pytest.mark.parametrize("scale", [1, 3, 101])
def test_an_iou_of_exactly_a_threshold_does_not_pass_it(percent, scale):
    passed = (percent - 50) // 5
    areas = percent * scale, 100 * scale
    assert metric.tenths(*map(np.array, areas)) == passed
    assert metric.tenths(*map(torch.tensor, areas)) == passed
    # One more pixel does.
    assert metric.tenths(np.array(areas[0] + 1), np.array(areas[1])) == passed + 1
