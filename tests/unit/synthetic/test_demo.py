"""The demo survey: the contest's formats, quirks and proportions, and reproducible bytes."""

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saltseg.synthetic.demo import write_survey

SMALL = {"tiles": 40, "test_tiles": 8, "tile_size": 48, "seed": 7}


def table(data: bytes) -> list[dict]:
    return list(csv.DictReader(io.StringIO(data.decode())))


class Survey:
    """A survey as written, read without the project's own readers."""

    def __init__(self, folder: Path, **settings):
        self.archive, self.sections = folder / "survey.zip", folder / "sections.csv"
        write_survey(self.archive, self.sections, **settings)
        with zipfile.ZipFile(self.archive) as whole:
            self.entries = whole.infolist()
            self.labels, self.depths, self.sample = (
                table(whole.read(f"{name}.csv"))
                for name in ("train", "depths", "sample_submission")
            )
            self.train, self.test = (
                zipfile.ZipFile(io.BytesIO(whole.read(f"{part}.zip"))) for part in ("train", "test")
            )
        self.places = table(self.sections.read_bytes())
        self.ids = [row["id"] for row in self.labels]

    def image(self, name: str) -> Image.Image:
        return Image.open(io.BytesIO(self.train.read(f"images/{name}.png")))

    def mask(self, name: str) -> Image.Image:
        return Image.open(io.BytesIO(self.train.read(f"masks/{name}.png")))

    def coverages(self) -> np.ndarray:
        return np.array([(np.asarray(self.mask(name)) > 0).mean() for name in self.ids])


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return Survey(tmp_path_factory.mktemp("small"), **SMALL)


@pytest.fixture(scope="module")
def medium(tmp_path_factory):
    settings = {"tiles": 400, "test_tiles": 50, "tile_size": 64, "seed": 11}
    return Survey(tmp_path_factory.mktemp("medium"), **settings)


def test_same_settings_same_bytes_and_another_seed_another_survey(small, tmp_path):
    for folder in ("again", "other"):
        (tmp_path / folder).mkdir()
    again = Survey(tmp_path / "again", **SMALL)
    assert again.archive.read_bytes() == small.archive.read_bytes()
    assert again.sections.read_bytes() == small.sections.read_bytes()
    other = Survey(tmp_path / "other", **SMALL | {"seed": 8})
    assert not set(other.ids) & set(small.ids)
    images = {small.train.read(name) for name in small.train.namelist() if "images" in name}
    others = {other.train.read(name) for name in other.train.namelist() if "images" in name}
    assert len(images & others) <= 1  # the black one


def test_members_are_stored_and_undated(small):
    assert [entry.filename for entry in small.entries] == [
        "train.csv", "depths.csv", "sample_submission.csv", "train.zip", "test.zip"
    ]  # fmt: skip
    for entry in [*small.entries, *small.train.infolist(), *small.test.infolist()]:
        assert entry.compress_type == zipfile.ZIP_STORED
        assert entry.date_time == (1980, 1, 1, 0, 0, 0)


def test_masks_are_16_bit_unless_empty(small):
    masks = [small.mask(name) for name in small.ids]
    assert {mask.mode for mask in masks} == {"L", "I;16"}
    for mask in masks:
        values = set(np.unique(np.asarray(mask)))
        assert values == ({0} if mask.mode == "L" else {0, 65535})


def test_proportions_are_the_contests(medium):
    coverages = medium.coverages()
    assert (coverages == 0).mean() == pytest.approx(0.39, abs=0.01)
    assert coverages.mean() == pytest.approx(0.25, abs=0.02)
    assert coverages[coverages > 0].mean() == pytest.approx(0.41, abs=0.03)
    assert ((coverages > 0) & (coverages <= 0.01)).sum() >= 10
    assert (coverages > 0.97).sum() >= 8
    assert coverages.max() < 1


def test_sections_cover_all_tiles_without_overlap(medium):
    splits = {row["id"]: row["split"] for row in medium.places}
    assert len(splits) == len(medium.places)
    train, test = set(medium.ids), {row["id"] for row in medium.sample}
    assert {name for name, split in splits.items() if split == "train"} == train
    assert {name for name, split in splits.items() if split == "test"} == test
    corners = np.array(
        [[int(row[key]) for key in ("section", "row", "column")] for row in medium.places]
    )
    apart = np.abs(corners[:, None] - corners[None])
    beside = (apart[:, :, 0] == 0) & (apart[:, :, 1] < 64) & (apart[:, :, 2] < 64)
    assert beside.sum() == len(corners)  # each only with itself
