"""Tests with the contest's real tiles; opt-in by SALT_CONTEST_ZIP, the path of their zip."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from saltseg.core.errors import InputError
from saltseg.survey.folds import split
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


def test_folds_share_every_class(labelled):
    folds = split(labelled[0], folds=5, seed=0, stratified=True)
    counts = folds.groupby(["coverage_class", "fold"]).size().unstack(fill_value=0)
    assert (counts.max(axis=1) - counts.min(axis=1) <= 1).all()
    assert folds["fold"].value_counts().tolist() == [640] * 5


@pytest.fixture(scope="module")
def mle_bench(tmp_path_factory):
    """Folder with the contest's tiles in MLE-bench's layout: unpacked, no depth of a test tile."""
    folder = tmp_path_factory.mktemp("mle-bench") / "public"
    with Source(Path(ZIP)) as source:
        tables = ["train.csv", "sample_submission.csv"]
        names = [f"{part}/{name}.png" for part in FOLDERS for name in source.ids(part)]
        for name in [*tables, *names]:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(source.read(name))
        unknown = set(source.ids("test/images"))
        header, *rows = source.read("depths.csv").decode().splitlines()
        known = [row for row in rows if row.split(",")[0] not in unknown]
    assert len(known) == len(rows) - len(unknown)
    (folder / "depths.csv").write_text("\n".join([header, *known, ""]))
    return folder


FOLDERS = ("train/images", "train/masks", "test/images")


@pytest.mark.parametrize("packed", [False, True])
def test_the_layout_of_mle_bench_has_the_same_tiles(labelled, mle_bench, packed, tmp_path):
    survey = mle_bench
    if packed:
        survey = tmp_path / "public.zip"
        with zipfile.ZipFile(survey, "w") as archive:
            for file in sorted(filter(Path.is_file, mle_bench.rglob("*"))):
                archive.write(file, file.relative_to(mle_bench.parent))
    with Source(Path(ZIP)) as source:
        expected = {"train": labelled, "test": import_test(source)}
    with Source(survey) as source:
        found = {"train": import_train(source), "test": import_test(source)}
        source.require_depths(["train"])
        with pytest.raises(InputError, match=r"no depth for (\d+) of \1 tiles .* model.depth"):
            source.require_depths(["test"])
    for part, (table, *arrays) in found.items():
        columns = [name for name in table if part == "train" or name != "depth"]
        assert table[columns].equals(expected[part][0][columns])
        for array, other in zip(arrays, expected[part][1:], strict=True):
            assert np.array_equal(array, other)
    assert found["test"][0]["depth"].isna().all()
    assert expected["test"][0]["depth"].notna().all()
