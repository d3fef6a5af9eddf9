"""Supported layouts of the contest's files, and the digest that detects changes in them."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from saltseg.core import fingerprint as module
from saltseg.core.errors import InputError
from saltseg.core.fingerprint import remembered
from saltseg.survey.import_test import import_test
from saltseg.survey.import_train import import_train
from saltseg.survey.source import Source
from support.surveys import LAYOUTS, Survey, image_png, zipped


def fingerprint(path: Path, part: str) -> str:
    with Source(path) as source:
        return source.fingerprint(part)


def fingerprints(survey: Survey, path: Path, layout: str) -> dict[str, str]:
    written = survey.write(path, layout)
    return {part: fingerprint(written, part) for part in ("train", "test")}


def test_every_layout_order_and_date_of_files_gives_the_same_fingerprints(survey, tmp_path):
    found = []
    for layout in LAYOUTS:
        for order in (list, sorted, lambda names: names[::-1]):
            path = survey.write(tmp_path / str(len(found)), layout, order)
            for file in [path, *path.rglob("*")]:
                os.utime(file, (len(found), 1))
            found.append({part: fingerprint(path, part) for part in ("train", "test")})
    assert all(prints == found[0] for prints in found)
    assert found[0]["train"] != found[0]["test"]


def with_tile(survey, part, table, label):
    survey.files[f"{part}/images/new.png"] = image_png(np.zeros((13, 17), dtype=np.uint8))
    survey.tables["depths.csv"].insert(2, ["new", 77])
    survey.tables[table].append(["new", label])


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        (lambda survey: with_tile(survey, "test", "sample_submission.csv", "1 1"), {"test"}),
        (lambda survey: with_tile(survey, "train", "train.csv", ""), {"train"}),
        (lambda survey: survey.set_depth(survey.ids[2], 12345), {"train"}),
        # Longer than Python's csv module reads by default, so that the whole table counts.
        (lambda survey: survey.set_depth(survey.ids[2], "9" * 200_000), {"train", "test"}),
        (lambda survey: survey.tables.pop("train.csv"), {"train"}),
        (lambda survey: survey.tables.pop("depths.csv"), {"train", "test"}),
    ],
)
def test_a_change_changes_the_fingerprint_of_its_part_only(
    tmp_path, survey, layout, change, changed
):
    before = fingerprints(survey, tmp_path / "before", layout)
    change(survey)
    after = fingerprints(survey, tmp_path / "after", layout)
    assert {part for part in before if after[part] != before[part]} == changed


def test_a_changed_byte_of_any_labelled_file_changes_the_fingerprint(tmp_path, survey, layout):
    files = survey.all_files()
    found = {fingerprint(survey.write(tmp_path / "before", layout), "train")}
    spoilt = [name for name in files if name.startswith("train")]
    assert len(spoilt) == 1 + 2 * len(survey.ids)
    for number, name in enumerate(spoilt):
        data = bytearray(files[name])
        data[len(data) // 2] ^= 1
        survey.all_files = lambda name=name, data=data: {**files, name: bytes(data)}
        found.add(fingerprint(survey.write(tmp_path / str(number), layout), "train"))
    assert len(found) == 1 + len(spoilt)


def outcome(path, survey):
    """Import both parts; return whether they are correct, or the error message."""
    try:
        with Source(path) as source:
            _, images, masks = import_train(source)
            _, test_images = import_test(source)
    except InputError as error:
        return str(error)
    assert np.array_equal(images, [survey.images[i] for i in survey.ids])
    assert np.array_equal(masks, [survey.masks[i] for i in survey.ids])
    assert np.array_equal(test_images, [survey.images[i] for i in survey.test_ids])
    return "right"


@pytest.mark.parametrize("kind", ["flat zip", "nested zip"])
def test_a_damaged_zip_is_told_or_does_no_harm(tmp_path, kind):
    survey = Survey(train=2, test=1, height=4, width=5)
    data = survey.write(tmp_path / "survey", kind).read_bytes()
    path = tmp_path / "damaged.zip"
    kinds, failures = set(), []
    for place in range(0, len(data), 7):
        damaged = bytearray(data)
        damaged[place] ^= 0b10100110
        path.write_bytes(damaged)
        try:
            kinds.add(outcome(path, survey) == "right")
        except Exception as error:
            failures.append(f"byte {place}: {type(error).__name__}: {error}")
    assert not failures, "\n".join(failures)
    assert kinds == {True, False}


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_compressed_zip_inside_that_is_damaged_is_named(tmp_path, survey, part):
    nested = survey.write(tmp_path / "survey", "nested zip")
    with zipfile.ZipFile(nested) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    path = tmp_path / "compressed.zip"
    path.write_bytes(zipped(files, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo(f"{part}.zip").header_offset + 30 + len(f"{part}.zip")
    data = bytearray(path.read_bytes())
    data[place : place + 10] = b"\xff" * 10
    path.write_bytes(data)
    with pytest.raises(InputError, match=rf"compressed\.zip: {part}\.zip"):
        Source(path)


@pytest.mark.parametrize("packed", [False, True])
def test_labelled_tiles_beside_those_of_train_are_left_out_with_a_notice(tmp_path, survey, packed):
    for part in ("images", "masks"):
        survey.files[f"{part}/extra.png"] = survey.files[f"train/{part}/{survey.ids[0]}.png"]
    path = survey.write(tmp_path / "survey", "flat zip" if packed else "unpacked folder")
    with Source(path) as source:
        (notice,) = source.notices("train")
        assert import_train(source)[0]["id"].tolist() == survey.ids
    assert f"{path}: 2 PNG files in images/ and masks/ ignored, since there is also" in notice


def test_files_of_the_same_size_and_date_are_read_once(tmp_path, survey, monkeypatch):
    path = survey.write(tmp_path / "survey", "unpacked folder")
    image = path / f"train/images/{survey.ids[0]}.png"
    read = []

    def fingerprint():
        read.clear()
        with remembered(tmp_path / "known.json") as known, Source(path, known) as source:
            return source.fingerprint("train")

    real = module.crc
    monkeypatch.setattr(module, "crc", lambda file: read.append(file) or real(file))
    first = fingerprint()
    assert len(read) > 2 * len(survey.ids)
    assert fingerprint() == first and not read
    image.write_bytes(image.read_bytes() + b"more")
    assert fingerprint() != first
    assert read == [image]
    (tmp_path / "known.json").write_text("damaged")
    image.write_bytes(image.read_bytes()[: -len(b"more")])
    assert fingerprint() == first


def test_files_of_other_kinds_are_named(survey, tmp_path, layout):
    survey.files |= {f"{part}/a.tif": b"" for part in ("train/images", "train/masks")}
    survey.files |= {"test/images/b.jpg": b"", "test/c.png": b"", "train/new/d.BMP": b""}
    with Source(survey.write(tmp_path / "survey", layout)) as source:
        path, outside = source.path, "ignoring 1 file outside of images/, masks/ and test/images/"
        assert source.notices("train") == [
            f"{path}: ignoring 2 files other than PNG: train/images/a.tif, train/masks/a.tif",
            f"{path}: {outside}: train/new/d.BMP",
        ]
        assert source.notices("test") == [
            f"{path}: ignoring 1 file other than PNG: test/images/b.jpg",
            f"{path}: {outside}: test/c.png",
        ]


def test_tiles_in_further_folders_are_found_as_in_a_zip(survey, tmp_path, layout):
    """To be refused by name, or they would be missing without a word."""
    survey.files["train/images/new/a.png"] = b""
    with Source(survey.write(tmp_path / "survey", layout)) as source:
        assert source.ids("train/images") == sorted([*survey.ids, "new/a"])


@pytest.mark.parametrize("where", ["Images/a.png", "a.tiff"])
def test_tiles_beside_the_folders_of_tiles_are_named(tmp_path, where):
    for name in ("images/a.png", where):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with Source(tmp_path) as source:
        assert source.notices("train")[0].endswith(f"test/images/: {where}")


def test_test_tiles_that_are_all_of_another_kind_are_named_at_the_first_import(tmp_path, survey):
    for part in ("images", "masks", "test/images"):
        (tmp_path / part).mkdir(parents=True)
    (tmp_path / "images/a.png").write_bytes(image_png(np.zeros((8, 8), np.uint8)))
    (tmp_path / "test/images/b.jpg").write_bytes(b"")
    with Source(tmp_path) as source:
        assert "1 file other than PNG: test/images/b.jpg" in source.notices("train")[0]
