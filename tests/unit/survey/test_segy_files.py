"""SEG-Y files by name and content: which are predicted, and which folders are refused."""

import pytest

from saltseg.core.errors import InputError
from saltseg.survey.segy_files import is_segy, labelled_files, refuse_mixture, segy_files
from support.segy_files import amplitudes, grid_numbers, write_segy


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


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["-a.sgy"], r"-a\.sgy: a name that begins with a hyphen"),
        (["a b.sgy", "a~b.sgy"], "differ in nothing but signs"),
    ],
)
def test_names_that_make_no_folder_of_results_are_refused(tmp_path, names, message):
    (tmp_path / "lines").mkdir()
    (tmp_path / "labels").mkdir()
    folder_of(tmp_path / "lines", *names)
    with pytest.raises(InputError, match=rf"data\.source: .*{message}"):
        labelled_files(tmp_path / "lines", tmp_path / "labels", "data")


def test_a_file_that_is_segy_only_by_its_content_is_not_left_out(tmp_path):
    write_segy(tmp_path / "b.seg", amplitudes(12), *grid_numbers(range(3), range(4)))
    refuse_mixture(tmp_path)
    folder_of(tmp_path, "a.sgy")
    with pytest.raises(InputError, match=r"b\.seg: a SEG-Y file by its content.*b\.seg\.sgy"):
        refuse_mixture(tmp_path)


def test_tiles_alone_are_no_volumes(tmp_path):
    folder_of(tmp_path, "tile.png")
    refuse_mixture(tmp_path)
    assert segy_files(tmp_path) == {}


@pytest.mark.parametrize("options", [{}, {"endian": "little", "format": 1}])
@pytest.mark.parametrize("header", [None, "C 1 SURVEY", "made by hand"])
def test_files_of_any_name_are_recognised_by_their_content(tmp_path, header, options):
    path = tmp_path / "volume.seismic"
    write_segy(path, amplitudes(12), *grid_numbers(range(3), range(4)), **options)
    if header:
        cards = [header, *(f"C{number:2}" for number in range(2, 41))]
        text = "".join(card.ljust(80) for card in cards).encode()
        path.write_bytes(text + path.read_bytes()[3200:])
    assert is_segy(path)
    # One that cannot be read is no other kind of file; a prediction says what is wrong with it.
    path.write_bytes(path.read_bytes()[:-1])
    assert is_segy(path) == (header != "made by hand")


@pytest.mark.parametrize("content", [b"", b"PK\3\4" + bytes(9000), b"\x89PNG" + bytes(9000)])
def test_other_files_are_no_volumes(tmp_path, content):
    (tmp_path / "survey").write_bytes(content)
    assert not is_segy(tmp_path / "survey")
