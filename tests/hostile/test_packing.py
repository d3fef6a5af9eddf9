"""Broken zips and folders, and the message of their import."""

import os
import stat
import zipfile

import pytest

from support.spoiling import IMAGE, filled
from support.stages import Case, assert_refused, cases, stage, tree
from support.surveys import zipped

NO_ZIP = "expected a survey's zip or a folder, found no readable zip"
MISSING = f"{IMAGE} is missing from"
UNREADABLE = f"{IMAGE}: cannot be read from"

# All that follow write a given survey to a path, broken.


def holding(data: bytes):
    return lambda survey, path: path.write_bytes(data)


def nested(data: bytes):
    """Write a zip with the survey's tables and this as train.zip."""

    def write(survey, path):
        tables = {name: text for name, text in survey.all_files().items() if name.endswith(".csv")}
        path.write_bytes(zipped(tables | {"train.zip": data}))

    return write


def altered(name: str, new: dict[str, bytes] | None = None, **attributes):
    """Write a zip, with files added or replaced, whose list of contents is wrong about one file."""

    def write(survey, path):
        added = {filled(each, survey): data for each, data in (new or {}).items()}
        with zipfile.ZipFile(path, "w") as archive:
            for each, data in (survey.all_files() | added).items():
                archive.writestr(each, data)
            for attribute, value in attributes.items():
                setattr(archive.getinfo(filled(name, survey)), attribute, value)

    return write


def undecodable_name(survey, path):
    data = zipped(survey.all_files() | {"train/images/\u00e9.png": b""})
    path.write_bytes(data.replace("\u00e9.png".encode(), b"\xff\xff.png"))


def file_twice(survey, path):
    path.write_bytes(zipped(survey.all_files()))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(filled(IMAGE, survey), b"another")


def instead_of_image(make):
    """Write a folder in which something else replaces an image."""

    def write(survey, path):
        file = survey.write(path, "unpacked folder") / filled(IMAGE, survey)
        file.unlink()
        make(file)

    return write


TEST = "import_test"
SYMLINK = {"external_attr": (stat.S_IFLNK | 0o777) << 16}

NESTED = "survey.zip: train.zip: 5368709120 bytes, more than the 4294967296 allowed"
TABLE = "^depths.csv: 314572800 bytes, more than the 268435456 allowed"
NO_TILES = "no test tiles: expected test/images/ID.png"
LINK = altered(IMAGE, {IMAGE: b"/etc/passwd"}, **SYMLINK)
# Not even root can read it.
UNREAD = instead_of_image(lambda file: file.symlink_to("/proc/self/mem"))

PACKINGS = [
    Case("missing", lambda survey, path: None, "zip: no such file or folder; data.source is"),
    Case("no zip", holding(b"no zip at all"), f"survey.zip: {NO_ZIP}"),
    Case("empty zip", holding(zipped({})), "no labelled tiles: expected images/ID.png and"),
    Case("empty folder", lambda survey, path: path.mkdir(), NO_TILES, TEST),
    Case("nested no zip", nested(b"no zip at all"), f"survey.zip: train.zip: {NO_ZIP}"),
    Case("nested bomb", altered("train.zip", {"train.zip": b""}, file_size=5 * 2**30), NESTED),
    Case("table bomb", altered("depths.csv", file_size=300 * 2**20), TABLE),
    Case("unknown compression", altered(IMAGE, compress_type=99), UNREADABLE),
    Case("wrong checksum", altered(IMAGE, CRC=1), UNREADABLE),
    Case("undecodable name", undecodable_name, f"survey.zip: {NO_ZIP}"),
    Case("file twice", file_twice, f"{IMAGE} appears twice; remove one"),
    Case("symlink in a zip", LINK, f"{IMAGE}: not a PNG file"),
    Case("pipe", instead_of_image(os.mkfifo), MISSING),
    Case("unreadable", UNREAD, UNREADABLE),
]


@cases(PACKINGS)
def test_the_import_names_what_is_wrong_with_a_zip_or_folder(tmp_path, survey, capsys, case):
    case.spoil(survey, tmp_path / "survey.zip")
    case = case._replace(message=filled(case.message, survey))
    assert_refused(case, tmp_path, tmp_path, capsys)


def test_the_import_names_a_path_that_is_too_long(tmp_path, capsys):
    case = Case("long path", None, "cannot be opened (File name too long)")
    assert_refused(case, tmp_path / ("x" * 300), tmp_path, capsys)


def test_symlinks_in_a_folder_are_followed(tmp_path, survey):
    source = survey.write(tmp_path / "survey", "unpacked folder")
    (tmp_path / "linked/train").mkdir(parents=True)
    for name in ("train.csv", "depths.csv", "train/images"):
        (tmp_path / "linked" / name).symlink_to(source / name)
    (tmp_path / "linked/train/masks").mkdir()
    for file in (source / "train/masks").iterdir():
        (tmp_path / "linked/train/masks" / file.name).symlink_to(file)
    for path in (source, tmp_path / "linked"):
        given = ("--source", path, "--tiles", tmp_path / f"{path.name}-out/train.h5")
        assert stage("import_train", *given) == 0
    assert tree(tmp_path / "linked-out") == tree(tmp_path / "survey-out")
