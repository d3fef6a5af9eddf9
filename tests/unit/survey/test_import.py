"""Import of surveys: the same arrays from every layout, and every fault named at once."""

import numpy as np
import pytest

from saltseg.core.errors import InputError
from saltseg.core.hdf import HdfFile, writing
from saltseg.survey import decoding, tiles
from saltseg.survey.import_test import import_test
from saltseg.survey.import_train import import_train
from saltseg.survey.source import Source
from support.surveys import Survey, image_png, png, zipped


def labelled(path):
    with Source(path) as source:
        return import_train(source)


def unlabelled(path):
    with Source(path) as source:
        return import_test(source)


@pytest.mark.parametrize("side", [(13, 17), (101, 101), (12, 12)])
def test_labelled_tiles_are_imported_unchanged_and_sorted_by_id(tmp_path, layout, side):
    survey = Survey(train=4, test=2, height=side[0], width=side[1])
    table, images, masks = labelled(survey.write(tmp_path / "survey", layout))
    assert list(table.columns) == ["id", "depth", "coverage"]
    assert table["id"].tolist() == sorted(survey.ids)
    assert table["depth"].tolist() == [survey.depths[name] for name in survey.ids]
    assert images.dtype == np.uint8
    assert masks.dtype == bool
    np.testing.assert_array_equal(images, [survey.images[name] for name in survey.ids])
    np.testing.assert_array_equal(masks, [survey.masks[name] for name in survey.ids])
    pixels = side[0] * side[1]
    coverage = [sum(survey.masks[name].ravel().tolist()) / pixels for name in survey.ids]
    assert table["coverage"].tolist() == pytest.approx(coverage, rel=1e-12)
    assert table["coverage"].tolist()[:2] == [0, 1]


def test_test_tiles_are_in_the_order_of_the_sample_submission(tmp_path, survey, layout):
    table, images = unlabelled(survey.write(tmp_path / "survey", layout))
    assert survey.test_ids != sorted(survey.test_ids)
    assert list(table.columns) == ["id", "depth"]
    assert table["id"].tolist() == survey.test_ids
    assert table["depth"].tolist() == [survey.depths[name] for name in survey.test_ids]
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, [survey.images[name] for name in survey.test_ids])


@pytest.mark.parametrize(
    ("part", "read", "table"),
    [("train", labelled, "sample_submission.csv"), ("test", unlabelled, "train.csv")],
)
def test_each_part_is_imported_without_the_other(tmp_path, survey, layout, part, read, table):
    whole = read(survey.write(tmp_path / "whole", layout))
    del survey.tables[table]
    survey.files = {n: d for n, d in survey.files.items() if n.startswith(f"{part}/")}
    alone = read(survey.write(tmp_path / "alone", layout))
    assert all(map(np.array_equal, alone, whole))


def test_names_that_look_like_numbers_or_gaps_stay_text(tmp_path, survey):
    names = ["007", "1e5", "NA", "null", "True", "-1"]
    for name in names:
        survey.files[f"test/images/{name}.png"] = survey.files[
            f"test/images/{survey.test_ids[0]}.png"
        ]
        survey.tables["sample_submission.csv"].append([name, "1 1"])
        survey.tables["depths.csv"].append([name, 5])
    table, images = unlabelled(survey.write(tmp_path / "survey", "flat zip"))
    assert table["id"].tolist() == survey.test_ids + names
    tiles.save(tmp_path / "packed.h5", table, images)
    assert tiles.Tiles(tmp_path / "packed.h5").ids == survey.test_ids + names


def faults_of(path, part=labelled):
    with pytest.raises(InputError) as caught:
        part(path)
    return str(caught.value)


def test_problems_of_all_kinds_are_reported_at_once(tmp_path, layout):
    survey = Survey(train=8)
    files, names = survey.files, survey.ids
    images, masks = ([f"train/{part}/{name}.png" for name in names] for part in ("images", "masks"))
    del files[images[0]]
    files[masks[1]] = b""
    files[images[2]] = files[images[2]][:50]
    files[masks[3]] = b"text"
    survey.set_depth(names[4], "deep")
    files[images[5]] = image_png(np.zeros((3, 3), dtype=np.uint8))
    survey.drop_row("train.csv", names[6])
    survey.set_label(names[7], "1 2 3")
    survey.tables["train.csv"].append([names[7], ""])
    found = faults_of(survey.write(tmp_path / "survey", layout))
    told = [
        f"{images[0]} is missing",
        f"{masks[1]}: empty file",
        f"{images[2]}: damaged PNG file",
        f"{masks[3]}: not a PNG file",
        f"depth of {names[4]} is not a number: 'deep'",
        f"{images[5]}: 3x3 pixels",
        f"{images[6]} has no row",
        f"{masks[6]} has no row",
        f"train.csv: mask of {names[7]}: expected pairs",
        f"train.csv: id {names[7]!r} appears more than once",
    ]
    assert all(text in found for text in told)
    assert f"{len(told)} problems found" in found
    assert len(found.splitlines()) == 1 + len(told)


@pytest.mark.parametrize(("count", "more"), [(20, None), (21, 1), (30, 10)])
def test_twenty_problems_are_listed_and_the_rest_counted(tmp_path, count, more):
    survey = Survey(train=4, test=1)
    for number in range(count):
        survey.files[f"train/images/stray{number:02d}.png"] = b""
    lines = faults_of(survey.write(tmp_path / "survey", "nested zip")).splitlines()
    assert f"{count} problems found" in lines[0]
    listed = [line for line in lines if "stray" in line]
    assert [line.split("/")[2][:7] for line in listed] == [f"stray{n:02d}" for n in range(20)]
    assert lines[21:] == ([f"  ... and {more} more"] if more else [])


def test_tables_are_not_needed(tmp_path, survey, layout):
    whole = survey.write(tmp_path / "whole", layout)
    survey.tables = {}
    bare = survey.write(tmp_path / "bare", layout)
    table, *arrays = labelled(bare)
    assert table["id"].tolist() == survey.ids
    assert table["depth"].isna().all()
    for array, other in zip(arrays, labelled(whole)[1:], strict=True):
        assert np.array_equal(array, other)
    table, images = unlabelled(bare)
    assert table["id"].tolist() == sorted(survey.test_ids)
    assert table["depth"].isna().all()
    np.testing.assert_array_equal(images, [survey.images[i] for i in sorted(survey.test_ids)])


def test_depths_that_are_not_known_stay_so_when_packed(tmp_path, survey, layout):
    for name in survey.test_ids[:1] + survey.ids[:1]:
        survey.drop_row("depths.csv", name)
    path = survey.write(tmp_path / "survey", layout)
    table, images, masks = labelled(path)
    tiles.save(tmp_path / "packed.h5", table, images, masks)
    packed = tiles.Tiles(tmp_path / "packed.h5")
    assert packed.ids == survey.ids
    assert np.isnan(packed.depths).tolist() == [True, False, False, False]
    assert packed.table["coverage"].tolist() == table["coverage"].tolist()
    np.testing.assert_array_equal(packed.images, images)
    np.testing.assert_array_equal(packed.masks, masks)
    with pytest.raises(InputError, match=f"for 1 of 4 tiles .{survey.ids[0]}.*model.depth"):
        packed.require_depths()
    with Source(path) as source, pytest.raises(InputError, match="no depth for 2 of 7 tiles"):
        source.require_depths(["train", "test"])


def test_without_a_table_each_image_needs_its_mask_and_each_mask_its_image(
    tmp_path, survey, layout
):
    del survey.tables["train.csv"]
    one, two = survey.ids[:2]
    del survey.files[f"train/masks/{one}.png"], survey.files[f"train/images/{two}.png"]
    found = faults_of(survey.write(tmp_path / "survey", layout))
    assert f"train/images/{one}.png has no train/masks/{one}.png" in found
    assert f"train/masks/{two}.png has no train/images/{two}.png" in found


def test_images_and_masks_alone_are_labelled_tiles_and_no_test_part(tmp_path, survey):
    survey.tables = {}
    files = {n[6:-4] + ".PNG": d for n, d in survey.files.items() if n.startswith("train/")}
    (tmp_path / "s.zip").write_bytes(zipped({f"mine/{n}": d for n, d in files.items()}))
    for name, data in files.items():
        (tmp_path / "folder/mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder/mine" / name).write_bytes(data)
    (tmp_path / "folder/.DS_Store").write_bytes(b"")
    for path in (tmp_path / "s.zip", tmp_path / "folder", tmp_path / "folder/mine"):
        table, images, masks = labelled(path)
        assert table["id"].tolist() == survey.ids
        np.testing.assert_array_equal(images, [survey.images[i] for i in survey.ids])
        np.testing.assert_array_equal(masks, [survey.masks[i] for i in survey.ids])
        with Source(path) as source:
            assert not source.has_test
        assert "no test tiles" in faults_of(path, unlabelled)


@pytest.mark.parametrize("value", [1, 255])
@pytest.mark.parametrize("kind", ["1", "L", "I;16"])
def test_a_mask_is_salt_where_it_is_not_zero(kind, value):
    truth = np.arange(12).reshape(3, 4) % 3 == 0
    if kind == "1":
        data = png(truth)
    else:
        data = png(truth.astype(np.uint8 if kind == "L" else np.uint16) * value)
    decoded = decoding.decode_mask(data)
    assert decoded.dtype == bool
    np.testing.assert_array_equal(decoded, truth)


def test_test_tiles_go_to_disk_as_they_are_decoded(tmp_path, survey):
    path = survey.write(tmp_path / "survey", "flat zip")
    with Source(path) as source:
        _, expected = import_test(source)
        with writing(tmp_path / "test.h5") as file:
            _, images = import_test(source, lambda shape, dtype: file.rows("image", dtype, shape))
    assert images.shape == expected.shape
    found = HdfFile(tmp_path / "test.h5").rows("image", np.uint8, expected.shape)
    np.testing.assert_array_equal(found, expected)
