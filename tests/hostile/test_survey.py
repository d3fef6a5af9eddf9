"""Surveys with an error in a picture, a table or a label, and the message of their import."""

import numpy as np
from PIL.PngImagePlugin import PngInfo

from support.spoiling import (
    IMAGE,
    MASK,
    add_row,
    depth,
    filled,
    handmade_png,
    put,
    remove,
    rename_first,
    set_rows,
)
from support.stages import Case, assert_refused, cases, zip_survey
from support.surveys import image_png, mask_png, png

TEST = "import_test"
NO_ROW = "has no row in train.csv"
UNSAFE = "may hold only letters, digits, '-' and '_' (64 at most)"
NOT_8_BIT = f"{IMAGE}: expected 8-bit grey or RGB, found mode"
NOT_A_MASK = f"{MASK}: expected a mask of 1, 8 or 16 bits, found mode"
TOO_LARGE = "pixels, more than the 2048 a side allowed"
GREY = np.arange(13 * 17, dtype=np.uint8).reshape(13, 17)
SOUND, SMALL = image_png(GREY), image_png(GREY[:12])


def almost_grey():
    pixels = np.stack([GREY] * 3, axis=-1)
    pixels[3, 4, 2] ^= 1
    return png(pixels)


def zipped_text():
    """A picture with 5 MB of text that compress to 5 kB."""
    info = PngInfo()
    info.add_text("comment", "a" * 5_000_000, zip=True)
    return png(GREY, pnginfo=info)


def masks_of_another_size(survey):
    for name in survey.ids:
        survey.files[f"train/masks/{name}.png"] = mask_png(np.ones((14, 17), dtype=bool))


def label_along_rows(survey):
    # Numbered along rows, the same pixels have other numbers.
    pixels = np.zeros((13, 17), dtype=bool)
    pixels[2, 3:8] = True
    survey.files[f"train/masks/{survey.ids[-1]}.png"] = mask_png(pixels)
    survey.set_label(survey.ids[-1], f"{2 * 17 + 3 + 1} 5")


COLOURED = "expected a grey image, found different colour channels"
DEEP_RGB = handmade_png(17, 13, 16, 2, (b"\0" + b"\x12\x34" * 3 * 17) * 13)
LOW, TURNED = mask_png(np.ones((17, 13), bool)), "13x17 pixels, but train/masks/FIRST.png has 17x13"
LAST = "train/images/LAST.png"
SIZES = "images are (13, 17) pixels, masks (14, 17)"
# 6 kB that decompress to 6 MB.
BOMB = handmade_png(3000, 2000, 8, 0, (b"\0" * 3001) * 2000)
HUGE = handmade_png(2**30, 2**30, 8, 0, b"")
MANY = "expected two values, salt and no salt, found more"
EVIL = "train/images/../../evil.png"
CODES = "train/images/\x1b[2Jevil.png"

PICTURES = [
    Case("no mask", remove(MASK), f"{MASK} is missing from"),
    Case("extra image", put("train/images/a.png", SOUND), f"train/images/a.png {NO_ROW}"),
    Case("path outside", put(EVIL, b"evil"), f"{EVIL} {NO_ROW}"),
    Case("control characters", put(CODES, b"evil"), f"{CODES!r} {NO_ROW}"),
    Case("colour image", put(IMAGE, almost_grey()), f"{IMAGE}: {COLOURED}"),
    Case("RGB image of 16 bits a channel", put(IMAGE, DEEP_RGB), f"{NOT_8_BIT} RGB;16"),
    Case("colour mask", put(MASK, image_png(GREY)), f"{NOT_A_MASK} RGB"),
    Case("mask of many values", put(MASK, png(GREY)), f"{MASK}: {MANY}"),
    Case("image of another size", put(LAST, SMALL), f"{LAST}: 17x12 pixels, but {IMAGE} has 17x13"),
    Case("mask of another size", put(MASK, LOW), f"{MASK}: {TURNED}"),
    Case("masks of another size", masks_of_another_size, SIZES),
    Case("bomb of 6 megapixels", put(IMAGE, BOMB), f"{IMAGE}: 3000x2000 {TOO_LARGE}"),
    Case("bomb of 2^60 pixels", put(IMAGE, HUGE), f"{IMAGE}: image too large (Image size"),
    Case("bomb of text", put(IMAGE, zipped_text()), f"{IMAGE}: damaged PNG file"),
]

NO_NUMBER = "depth of SECOND is not a number"
DIGITS, LETTERS = "9" * 200_000, "x" * 100_000
NO_TILES = "no rows, so there is nothing to predict"
TWICE = "appears more than once"
COLUMNS = "expected the columns id,z, found"
LONG_ROWS = b"id,z\na,1,x\nb,2,x\n"
WIDE = f"{COLUMNS} a first line of more than 1000 characters"
RENAMED = "expected the columns id,rle_mask, found name,mask"
MANY_ROWS = b"id,z\n" + b"a,1\n" * 1_000_001


TABLES = [
    Case("depth nan", depth("SECOND", "nan"), f"{NO_NUMBER}: 'nan'"),
    # Beyond float32.
    Case("depth 1e300", depth("SECOND", "1e300"), f"{NO_NUMBER}: '1e300'"),
    Case("depth of many digits", depth("SECOND", DIGITS), f"not a number: '{DIGITS[:199]}...999"),
    Case("no tiles but files", set_rows("train.csv"), "no rows, so there is nothing to train on"),
    Case("depth twice", add_row("depths.csv", "SECOND", 7), f"id 'SECOND' {TWICE}"),
    Case("no test tiles", set_rows("sample_submission.csv"), NO_TILES, TEST),
    Case("id of a path", rename_first("../evil"), f"train.csv: id '../evil' {UNSAFE}"),
    Case("long id", rename_first(LETTERS), f"{LETTERS[:199]}...{LETTERS[:79]}' {UNSAFE}"),
    Case("empty id", rename_first(""), f"train.csv: id '' {UNSAFE}"),
    Case("label along rows", label_along_rows, f"train.csv: the mask of LAST differs from {MASK}"),
    Case("empty", put("train.csv", b""), "^train.csv: not a readable table"),
    Case("NUL", put("depths.csv", b"\0"), f"^depths.csv: {COLUMNS} '\\x00'"),
    Case("binary", put("train.csv", b"\x89PNG\r\n\xff\xfe\0"), "^train.csv: not a readable"),
    Case("row too long", put("depths.csv", b"id,z\na,1\nb,2,3\n"), "^depths.csv: not a"),
    Case("rows too long", put("depths.csv", LONG_ROWS), f"^depths.csv: {COLUMNS} rows of more"),
    Case("other columns", put("train.csv", b"name,mask\na,1 1\n"), f"^train.csv: {RENAMED}"),
    Case("bomb of columns", put("depths.csv", b"z," * 10**6), f"^depths.csv: {WIDE}"),
    Case("bomb of rows", put("depths.csv", MANY_ROWS), "^depths.csv: more than the 1000000 rows"),
]

LABELS = [
    Case("beyond the tile", "221 2", "run 221 2 is outside the tile's 221 pixels"),
    Case("overlapping", "5 5 7 2", "run 7 2 begins before"),
    Case("of 5000 digits", f"1 {'9' * 5000}", "numbers of at most 30 digits"),
    Case("empty", "", f"differs from {MASK}"),
]


def refused(case, spoil, survey, folder, capsys):
    """Spoil a survey and expect the message of its import; return what that printed."""
    spoil(survey)
    case = case._replace(message=filled(case.message, survey))
    zip_survey(survey, folder)
    return assert_refused(case, folder, folder, capsys)


@cases(PICTURES + TABLES)
def test_the_import_names_what_is_wrong(tmp_path, survey, capsys, case):
    folder = tmp_path / "some/where"
    folder.mkdir(parents=True)
    printed = refused(case, case.spoil, survey, folder, capsys)
    assert max(map(len, printed.splitlines())) < 600
    assert not list(tmp_path.rglob("*evil*"))


@cases(LABELS)
def test_the_import_names_a_label_that_differs_from_its_mask(tmp_path, survey, capsys, case):
    printed = refused(
        case, lambda survey: survey.set_label(survey.ids[-1], case.spoil), survey, tmp_path, capsys
    )
    assert f"mask of {survey.ids[-1]}" in printed
    assert "1 problem found" in printed
