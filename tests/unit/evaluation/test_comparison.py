"""Scores of experiments and their paired differences, against a loop over tiles."""

import math
from statistics import mean, stdev

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saltseg.evaluation.comparison import compare
from saltseg.report.experiments import format_table

SCORES = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 10), min_size=2)


def slow_estimate(values):
    return mean(values), stdev(values) / math.sqrt(len(values))


@given(SCORES, SCORES)
def test_a_table_equals_a_loop_over_tiles(first, second):
    scores = {"one": pd.Series(first) / 10, "two": pd.Series(second) / 10}
    one, two = compare(scores).to_dict("records")
    assert math.isnan(one["difference"]) and math.isnan(one["difference_error"])
    for row, tiles in ((one, first), (two, second)):
        expected = slow_estimate([score / 10 for score in tiles.values()])
        assert (row["score"], row["standard_error"]) == pytest.approx(expected)
        assert row["tiles"] == len(tiles)
    pairs = [(second[tile] - first[tile]) / 10 for tile in first if tile in second]
    found = two["difference"], two["difference_error"]
    if len(pairs) > 1:
        assert found == pytest.approx(slow_estimate(pairs))
    else:
        assert found == pytest.approx((*pairs, math.nan, math.nan)[:2], nan_ok=True)


def test_what_is_unknown_is_not_shown_as_a_number():
    table = compare({"one": pd.Series({"a": 0.5, "b": 1.0}), "two": pd.Series({"c": 1.0})})
    table["training_seconds"], table["model.width"] = [61.0, np.nan], ["8", "16"]
    assert format_table(table).to_dict("list") == {
        "name": ["one", "two"],
        "score": ["0.7500 ± 0.2500", "1.0000"],
        "difference": ["", ""],
        "tiles": ["2", "1"],
        "training": ["1 min 1 s", "not recorded"],
        "model.width": ["8", "16"],
    }
