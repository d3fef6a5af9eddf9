"""Fingerprints of a user's files: of contents, whatever their dates."""

import os

import pytest

from saltseg.core import fingerprint as module
from saltseg.core.errors import InputError
from saltseg.core.fingerprint import fingerprint


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "masks"
    folder.mkdir()
    for name in ("inline_1.png", "inline_2.png"):
        (folder / name).write_text(name)
    return folder


def test_contents_and_names_count_and_dates_do_not(folder):
    before = fingerprint(folder, {})
    (folder / ".DS_Store").touch()
    os.utime(folder / "inline_1.png", (1, 1))
    assert fingerprint(folder, {}) == before
    (folder / "inline_1.png").write_text("inline_3.png")
    edited = fingerprint(folder, {})
    (folder / "inline_1.png").rename(folder / "inline_4.png")
    assert len({before, edited, fingerprint(folder, {})}) == 3


@pytest.mark.parametrize("date", [None, 1, 4_000_000_000])
def test_an_edit_is_noticed_whatever_its_date(folder, date):
    file, known = folder / "inline_1.png", {}
    os.utime(file, (2, 2))
    before = fingerprint(folder, known)
    file.write_text("inline_9.png")
    os.utime(file, (date or 2, date or 2))
    assert fingerprint(folder, known) != before


def test_a_name_that_is_not_utf_8_is_no_obstacle(folder):
    before = fingerprint(folder, {})
    (folder / os.fsdecode(b"inline_\xe9.png")).touch()
    assert fingerprint(folder, {}) != before


def test_a_large_file_goes_by_size_and_date(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LARGEST", 10)
    monkeypatch.setattr(module, "crc", None)
    file = tmp_path / "volume.sgy"
    file.write_bytes(bytes(100))
    before = fingerprint(file, {})
    os.utime(file, (1, 1))
    assert fingerprint(file, {}) != before


def test_a_file_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(module, "crc", refuse)
    (tmp_path / "mine.csv").touch()
    with pytest.raises(InputError, match=r"mine\.csv: cannot be read \(Permission denied\)"):
        fingerprint(tmp_path / "mine.csv", {})
