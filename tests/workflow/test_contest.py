"""Tests with the contest's real tiles; opt-in by SALT_CONTEST_ZIP, the path of their zip."""

import os
from pathlib import Path

import numpy as np
import pytest

from saltseg.survey.import_test import import_test
from saltseg.survey.import_train import import_train
from saltseg.survey.source import Source

ZIP = os.environ.get("SALT_CONTEST_ZIP")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ZIP, reason="SALT_CONTEST_ZIP does not name the contest's zip"),
]


@pytest.fixture(scope="module")
def labelled():
    with Source(Path(ZIP)) as source:
        return import_train(source)


def test_labelled_tiles_are_imported_whole(labelled):
    # The import also checks RLE against PNG for every tile.
    table, images, masks = labelled
    assert images.shape == masks.shape == (3200, 101, 101)
    assert images.dtype == np.uint8 and masks.dtype == bool
    assert table["id"].is_monotonic_increasing and table["id"].is_unique
    assert int((table["coverage"] == 0).sum()) == 1250
    assert table["coverage"].mean() == pytest.approx(0.248, abs=0.001)
    assert table["coverage"].max() == pytest.approx(10200 / 10201)
    assert (table["depth"].min(), table["depth"].max()) == (53, 959)
    black = (images == 0).all(axis=(1, 2))
    assert int(black.sum()) == 63 and not masks[black].any()


def test_test_tiles_are_imported_in_the_samples_order():
    with Source(Path(ZIP)) as source:
        table, images = import_test(source)
        sample = source.read("sample_submission.csv").decode().split()
    assert images.shape == (800, 101, 101)
    assert table["id"].tolist() == [line.split(",")[0] for line in sample if "," in line][1:]
