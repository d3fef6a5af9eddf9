"""Run-length encoding compared with a loop over pixels, and invalid input to decoding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from saltseg.core import rle
from support.surveys import slow_encode

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12))


def slow_decode(text, height, width):
    """Paint pixel by pixel, numbered from 1 down each column first."""
    mask = [[False] * width for _ in range(height)]
    numbers = [int(word) for word in text.split(" ")] if text else []
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        for pixel in range(start, start + length):
            mask[(pixel - 1) % height][(pixel - 1) // height] = True
    return mask


@given(masks)
def test_encodes_as_a_loop_over_pixels_does(mask):
    assert rle.encode(mask) == slow_encode(mask.tolist())


@given(masks)
def test_decoding_an_encoded_mask_gives_the_mask(mask):
    decoded = rle.decode(rle.encode(mask), mask.shape)
    assert decoded.dtype == bool
    np.testing.assert_array_equal(decoded, mask)


def test_the_contest_s_example_runs_down_the_columns():
    mask = np.zeros((101, 101), dtype=bool)
    mask[0:3, 0] = True
    mask[100, 4] = mask[0, 5] = True
    # Pixel 101 * 4 + 101 is the last of column 4; the run continues in column 5.
    assert rle.encode(mask) == "1 3 505 2"


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    steps=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), max_size=12),
)
def test_decodes_any_rising_runs_as_a_loop_does(height, width, steps):
    # Including gaps of zero: adjacent runs are valid.
    words, end = [], 0
    for gap, length in steps:
        if end + gap + length > height * width:
            break
        words += [end + gap + 1, length]
        end += gap + length
    text = " ".join(map(str, words))
    assert rle.decode(text, (height, width)).tolist() == slow_decode(text, height, width)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1", "pairs of start and length, found 1 numbers"),
        ("0 1", "run 0 1 is outside the tile's 12 pixels"),
        ("1 0", "run 1 0 is outside"),
        ("12 2", "run 12 2 is outside"),
        ("1 99999999999999999999", "is outside"),
        ("1 2 2 1", r"run 2 1 begins before the previous one ends \(2\)"),
        ("1 -2", "whole numbers only"),
        ("1 +1", "whole numbers only"),
        ("1_0 1", "whole numbers only"),
        ("1.0 2", "whole numbers only"),
        ("nan nan", "whole numbers only"),
        ("\u0661 \u0662", "whole numbers only"),  # Arabic-Indic digits
    ],
)
def test_decoding_refuses(text, message):
    with pytest.raises(ValueError, match=message):
        rle.decode(text, (3, 4))
