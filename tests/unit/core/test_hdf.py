"""HDF5 files: equal content in equal bytes, and damage reported wherever it is."""

import re
import time

import h5py
import numpy as np
import pandas as pd
import pytest

from saltseg.core import hdf
from saltseg.core.errors import InputError
from saltseg.core.hdf import HdfFile, writing

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 5, 4)).astype(np.uint8)
MASKS = IMAGES > 127
TABLE = pd.DataFrame({"id": ["a", "bé", "", *"defg"], "depth": [np.nan, *range(6)]})


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(hdf, "CHUNK", 60)


def write(path):
    with writing(path) as file:
        file.put_table(TABLE)
        file.put("image", IMAGES)
        file.put("mask", MASKS, compress=True)
    return path


def read(path):
    file = HdfFile(path)
    return (
        file.table({"id": str, "depth": np.float64}),
        file.rows("image", np.uint8, (7, None, None))[:],
        file.rows("mask", bool, (7, 5, 4))[:],
    )


def test_what_was_written_is_read(tmp_path):
    table, images, masks = read(write(tmp_path / "a.h5"))
    pd.testing.assert_frame_equal(table, TABLE)
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(masks, MASKS)


@pytest.mark.parametrize(
    "part",
    [
        0,
        -1,
        np.int64(3),
        slice(2, 6),
        slice(None, None, -2),
        np.array([6, 0, 0, 3]),
        np.array([], dtype=int),
        np.arange(7) % 2 == 0,
    ],
    ids=str,
)
def test_parts_are_those_of_the_array(tmp_path, part):
    rows = HdfFile(write(tmp_path / "a.h5")).rows("image", np.uint8, (7, 5, 4))
    np.testing.assert_array_equal(rows[part], IMAGES[part], strict=True)
    assert (len(rows), rows.shape, rows.ndim) == (7, (7, 5, 4), 3)


def test_the_bytes_depend_on_the_content_alone(tmp_path):
    first = write(tmp_path / "a.h5").read_bytes()
    time.sleep(1.1)
    assert write(tmp_path / "b.h5").read_bytes() == first
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_batches_of_any_size_give_the_same_bytes(tmp_path, size):
    with writing(tmp_path / "whole.h5") as file:
        file.put("image", IMAGES)
    batches = (IMAGES[start : start + size] for start in range(0, 7, size))
    with writing(tmp_path / "batches.h5") as file:
        file.put_batches("image", np.uint8, IMAGES.shape, batches)
    assert (tmp_path / "batches.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


@pytest.mark.parametrize("count", [6, 8])
def test_another_number_of_rows_is_refused_and_nothing_is_left(tmp_path, count):
    with (
        pytest.raises(ValueError, match=r"image: .*shape \(7, 5, 4\)"),
        writing(tmp_path / "a.h5") as file,
    ):
        file.put_batches("image", np.uint8, (7, 5, 4), [np.resize(IMAGES, (count, 5, 4))])
    assert not list(tmp_path.iterdir())


def test_no_rows_are_read_as_none(tmp_path):
    with writing(tmp_path / "a.h5") as file:
        file.put_table(TABLE[:0])
        file.put_batches("image", np.uint16, (0, 5, 4), [])
    file = HdfFile(tmp_path / "a.h5")
    assert file.texts("id") == []
    assert file.rows("image", np.uint16, (0, 5, 4))[:].shape == (0, 5, 4)


def test_a_flipped_byte_is_reported_or_changes_nothing(tmp_path):
    data = write(tmp_path / "a.h5").read_bytes()
    written, reported = read(tmp_path / "a.h5"), 0
    other = tmp_path / "results/b.h5"
    other.parent.mkdir()
    for index in range(0, len(data), 3):
        flipped = bytes([data[index] ^ (1 << index % 8)])
        other.write_bytes(data[:index] + flipped + data[index + 1 :])
        try:
            table, *arrays = read(other)
        except InputError as error:
            assert str(other) in str(error)
            reported += 1
            continue
        pd.testing.assert_frame_equal(table, written[0])
        assert all(map(np.array_equal, arrays, written[1:]))
    assert reported > len(data) / 3 / 2


def test_a_cut_file_is_reported(tmp_path):
    path = write(tmp_path / "a.h5")
    data = path.read_bytes()
    for size in range(0, len(data), 11):
        # Without its end, or without some of its middle.
        path.write_bytes(data[:size] + (data[size + 200 :] if size % 2 else b""))
        with pytest.raises(InputError, match=r"a\.h5: not a readable HDF5 file, or damaged"):
            read(path)


def test_a_lost_page_of_compressed_values_is_reported(tmp_path):
    labels = np.full((7, 40), 255, dtype=np.uint8)
    with writing(tmp_path / "a.h5") as file:
        file.put("labels", labels, compress=True)
    with h5py.File(tmp_path / "a.h5") as file:
        chunk = file["labels"].id.get_chunk_info(0)
    data = bytearray((tmp_path / "a.h5").read_bytes())
    data[chunk.byte_offset : chunk.byte_offset + chunk.size - 4] = bytes(chunk.size - 4)
    (tmp_path / "a.h5").write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        HdfFile(tmp_path / "a.h5").rows("labels", np.uint8, labels.shape)[:]


def test_a_part_is_read_although_another_is_damaged(tmp_path):
    with h5py.File(write(tmp_path / "a.h5")) as file:
        damaged = file["image"].id.get_chunk_info(1)
    data = bytearray((tmp_path / "a.h5").read_bytes())
    data[damaged.byte_offset] ^= 1
    (tmp_path / "a.h5").write_bytes(data)
    rows = HdfFile(tmp_path / "a.h5").rows("image", np.uint8, (7, 5, 4))
    np.testing.assert_array_equal(rows[:3], IMAGES[:3])
    with pytest.raises(InputError, match="damaged"):
        rows[3]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda file: file.rows("picture", np.uint8, (7, None)),
            "expected a dataset picture, uint8 (7, any), found none; it has 'depth', 'id', ",
        ),
        (
            lambda file: file.rows("image", np.uint16, (7, None, None)),
            "expected a dataset image, uint16 (7, any, any), found uint8 (7, 5, 4)",
        ),
        (lambda file: file.rows("mask", bool, (6, 5, 4)), "bool (6, 5, 4), found bool (7, 5, 4)"),
        (lambda file: file.texts("depth"), "expected a dataset depth, text (any), found float64"),
        (lambda file: file.table({"image": np.uint8}), "image, uint8 (any), found uint8 (7, 5, 4)"),
    ],
)
def test_another_dataset_is_refused(tmp_path, ask, message):
    file = HdfFile(write(tmp_path / "a.h5"))
    with pytest.raises(InputError, match=re.escape(message)):
        ask(file)


def test_a_missing_file_and_a_folder_are_reported(tmp_path):
    with pytest.raises(InputError, match=r"a\.h5: .*No such file or directory"):
        HdfFile(tmp_path / "a.h5")
    with pytest.raises(InputError, match=re.escape(str(tmp_path))):
        HdfFile(tmp_path)


def test_columns_of_different_lengths_are_refused(tmp_path):
    with writing(tmp_path / "a.h5") as file:
        file.put("id", np.zeros(3))
        file.put("depth", np.zeros(4))
    with pytest.raises(InputError, match="expected datasets of one length"):
        HdfFile(tmp_path / "a.h5").table({"id": np.float64, "depth": np.float64})


def test_a_full_disk_is_reported_and_leaves_the_old_file(tmp_path, monkeypatch):
    path = write(tmp_path / "a.h5")
    before = path.read_bytes()
    message = "Can't decrement id ref count (unable to extend file properly, errno = 28, error"

    def fail(*_):
        raise RuntimeError(message)

    monkeypatch.setattr(hdf.RowWriter, "flush", fail)
    with (
        pytest.raises(InputError, match=r"a\.h5: cannot be written \(No space left on device\)"),
        writing(path) as file,
    ):
        file.put_batches("image", np.uint8, IMAGES.shape, [IMAGES])
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["a.h5"]
