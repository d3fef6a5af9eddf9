"""SEG-Y files by their names: which of a folder are predicted, and which folders are refused."""

import pytest

from saltseg.core.errors import InputError
from saltseg.survey.segy_files import is_segy, refuse_mixture, segy_files


def folder_of(folder, *names):
    for name in names:
        (folder / name).touch()
    return folder


def test_file_names_match_in_any_case(tmp_path):
    folder_of(tmp_path, "b.SGY", "a.segy", ".hidden.sgy", "notes.txt")
    (tmp_path / "c.sgy").mkdir()
    assert {name: path.name for name, path in segy_files(tmp_path).items()} == {
        "a": "a.segy",
        "b": "b.SGY",
    }
    refuse_mixture(tmp_path)


def test_a_missing_file_is_recognised_by_its_name_and_a_folder_is_not_a_file(tmp_path):
    (tmp_path / "folder.sgy").mkdir()
    assert is_segy("nowhere/volume.sgy")
    assert not is_segy(tmp_path / "folder.sgy") and not is_segy("tiles.zip")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("a.sgy", r"a\.sgy: a\.segy has the same name; rename one"),
        ("tile.png", r"found both \(tile\.png beside a\.segy\)"),
    ],
)
def test_files_that_do_not_go_together_are_refused(tmp_path, other, message):
    folder_of(tmp_path, "a.segy", other)
    with pytest.raises(InputError, match=message):
        refuse_mixture(tmp_path)


def test_tiles_alone_are_no_volumes(tmp_path):
    folder_of(tmp_path, "tile.png")
    refuse_mixture(tmp_path)
    assert segy_files(tmp_path) == {}
