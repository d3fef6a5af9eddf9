"""Surveys with an error in a picture, a table or a label, and the message of their import."""

import numpy as np
from PIL.PngImagePlugin import PngInfo

from support.spoiling import (
    IMAGE,
    MASK,
    add_row,
    change,
    depth,
    encoded,
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
NO_ROW, NO_ROW_T = "has no row in train.csv", "has no row in sample_submission.csv"
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
    return encoded(GREY, pnginfo=info)


def masks_of_another_size(survey):
    for name in survey.ids:
        survey.files[f"train/masks/{name}.png"] = mask_png(np.ones((14, 17), dtype=bool))


def label_along_rows(survey):
    # Numbered along rows, the same pixels have other numbers.
    pixels = np.zeros((13, 17), dtype=bool)
    pixels[2, 3:8] = True
    survey.files[f"train/masks/{survey.ids[-1]}.png"] = mask_png(pixels)
    survey.set_label(survey.ids[-1], f"{2 * 17 + 3 + 1} 5")


PICTURES = [
    Case("no image", remove(IMAGE), f"{IMAGE} is missing from"),
    Case("no mask", remove(MASK), f"{MASK} is missing from"),
    Case("extra image", put("train/images/a.png", SOUND), f"train/images/a.png {NO_ROW}"),
    Case(
        "path outside",
        put("train/images/../../evil.png", b"evil"),
        f"train/images/../../evil.png {NO_ROW}",
    ),
    Case(
        "control characters",
        put("train/images/\x1b[2Jevil.png", b"evil"),
        f"'train/images/\\x1b[2Jevil.png' {NO_ROW}",
    ),
    Case("empty image", put(IMAGE, b""), f"{IMAGE}: empty file"),
    Case("truncated image", change(IMAGE, lambda data: data[:-40]), f"{IMAGE}: damaged PNG file"),
    Case(
        "colour image",
        put(IMAGE, almost_grey()),
        f"{IMAGE}: expected a grey image, found different colour channels",
    ),
    Case(
        "RGB image of 16 bits a channel",
        put(IMAGE, handmade_png(17, 13, 16, 2, (b"\0" + b"\x12\x34" * 3 * 17) * 13)),
        f"{NOT_8_BIT} RGB;16",
    ),
    Case("colour mask", put(MASK, image_png(GREY)), f"{NOT_A_MASK} RGB"),
    Case(
        "mask of many values",
        put(MASK, png(GREY)),
        f"{MASK}: expected two values, salt and no salt, found more",
    ),
    Case(
        "image of another size",
        put("train/images/LAST.png", SMALL),
        f"train/images/LAST.png: 17x12 pixels, but {IMAGE} has 17x13",
    ),
    Case(
        "mask of another size",
        put(MASK, mask_png(np.ones((17, 13), bool))),
        f"{MASK}: 13x17 pixels, but train/masks/FIRST.png has 17x13",
    ),
    Case(
        "masks of another size", masks_of_another_size, "images are (13, 17) pixels, masks (14, 17)"
    ),
    # 6 kB that decompress to 6 MB.
    Case(
        "bomb of 6 megapixels",
        put(IMAGE, handmade_png(3000, 2000, 8, 0, (b"\0" * 3001) * 2000)),
        f"{IMAGE}: 3000x2000 {TOO_LARGE}",
    ),
    Case(
        "bomb of 2^60 pixels",
        put(IMAGE, handmade_png(2**30, 2**30, 8, 0, b"")),
        f"{IMAGE}: image too large (Image size",
    ),
    Case("bomb of text", put(IMAGE, zipped_text()), f"{IMAGE}: damaged PNG file"),
]

TABLES = [
    Case("depth in words", depth("SECOND", "deep"), "depth of SECOND is not a number: 'deep'"),
    Case("depth nan", depth("SECOND", "nan"), "depth of SECOND is not a number: 'nan'"),
    # Beyond float32.
    Case("depth 1e300", depth("SECOND", "1e300"), "SECOND is not a number: '1e300'"),
    Case(
        "depth of many digits", depth("SECOND", "9" * 200_000), f"not a number: '{'9' * 199}...999"
    ),
    Case("no tiles but files", set_rows("train.csv"), "no rows, so there is nothing to train on"),
    Case("depth twice", add_row("depths.csv", "SECOND", 7), "id 'SECOND' appears more than once"),
    Case(
        "no test tiles",
        set_rows("sample_submission.csv"),
        "no rows, so there is nothing to predict",
        TEST,
    ),
    Case(
        "id twice",
        add_row("train.csv", "FIRST", ""),
        "train.csv: id 'FIRST' appears more than once",
    ),
    Case("id of a path", rename_first("../evil"), f"train.csv: id '../evil' {UNSAFE}"),
    Case(
        "id of 100000 letters", rename_first("x" * 100_000), f"{'x' * 199}...{'x' * 79}' {UNSAFE}"
    ),
    Case("empty id", rename_first(""), f"train.csv: id '' {UNSAFE}"),
    Case(
        "missing row",
        lambda survey: survey.drop_row("train.csv", survey.ids[0]),
        f"{IMAGE} {NO_ROW}",
    ),
    Case("label along rows", label_along_rows, f"train.csv: the mask of LAST differs from {MASK}"),
    Case("empty", put("train.csv", b""), "^train.csv: not a readable table"),
    Case("NUL", put("depths.csv", b"\0"), "^depths.csv: expected the columns id,z, found '\\x00'"),
    Case("binary", put("train.csv", b"\x89PNG\r\n\xff\xfe\0"), "^train.csv: not a readable"),
    Case("row too long", put("depths.csv", b"id,z\na,1\nb,2,3\n"), "^depths.csv: not a"),
    Case(
        "rows too long",
        put("depths.csv", b"id,z\na,1,x\nb,2,x\n"),
        "^depths.csv: expected the columns id,z, found rows of more fields than that",
    ),
    Case(
        "other columns",
        put("train.csv", b"name,mask\na,1 1\n"),
        "^train.csv: expected the columns id,rle_mask, found name,mask",
    ),
    Case(
        "bomb of columns",
        put("depths.csv", b"z," * 10**6),
        "^depths.csv: expected the columns id,z, found a first line of more than 1000 characters",
    ),
    Case(
        "bomb of rows",
        put("depths.csv", b"id,z\n" + b"a,1\n" * 1_000_001),
        "^depths.csv: more than the 1000000 rows allowed",
    ),
]

LABELS = [
    Case("odd", "1 2 3", "expected pairs of start and length, found 3 numbers"),
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
