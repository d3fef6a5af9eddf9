"""Hostile and broken input: tables of (name, stage, spoil, message), each run by the real stage.

FILE_FAULTS, LABEL_FAULTS and TABLE_FAULTS spoil a survey before it is packed, PACKING_FAULTS the
zip or folder, RUN_FAULTS what stages hand on to each other, NEW_TILE_FAULTS tiles to predict,
CONFIG_FAULTS the configuration; SOUND holds odd input that must go through.
"""

import copy
import io
import json
import logging
import math
import os
import pickle
import runpy
import shutil
import stat
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image, PngImagePlugin
from PIL.PngImagePlugin import PngInfo
from safetensors import safe_open
from safetensors.torch import load_file, save

from salt.core.errors import InputError, raise_faults
from salt.core.header import UNSEALED, sealed
from salt.ensemble.predictions import Predictions
from salt.evaluation.decision import write_report
from salt.evaluation.summary import describe
from salt.networks.checkpoint import Checkpoint
from salt.output.masks import SOFTWARE
from salt.settings.config import faults
from support.running import ROOT, run_snakemake
from support.surveys import Survey, forget_checksums, image_png, mask_png, png, zipped

SCRIPTS = ROOT / "workflow/scripts"
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text())

# The default configuration, made fast.
TINY = copy.deepcopy(CONFIG)
TINY["model"] |= {"name": "residual_unet", "width": 1, "depth": "both"}
TINY["training"] |= {"epochs": 1, "passes_per_epoch": 1.0}
TINY["compute"] |= {"device": "cpu", "precision": "fp32"}


class Case(NamedTuple):
    """One fault: ``spoil`` brings it about, and the stage must name it by ``message``."""

    name: str
    stage: str
    spoil: Callable | Any
    message: str


def named(cases):
    """Parameters of a test, each by its case's name."""
    return [pytest.param(case, id=f"{case.stage}: {case.name}") for case in cases]


# How a stage is run, and what it must leave alone


def stage(name: str, *arguments) -> int:
    """Run a stage's script as a user does, but in this process; gives its exit status."""
    level = logging.getLogger().level
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        # The script sets both, for a process of its own.
        patch.setattr(logging, "raiseExceptions", logging.raiseExceptions)
        try:
            runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")
        except SystemExit as end:
            return end.code
        finally:
            logging.captureWarnings(False)
            logging.getLogger().setLevel(level)
    return 0


def arguments(name: str, run: Path, out: Path, **changes) -> list:
    """Arguments of a stage that reads a run's folder and writes to another."""
    settings = json.dumps(copy.deepcopy(TINY) | {k: TINY[k] | v for k, v in changes.items()})
    settings = ["--settings", settings]
    train, test = ["--tiles", run / "train/tiles.csv"], ["--tiles", run / "test/tiles.csv"]
    folds, threshold = ["--folds", run / "folds.csv"], ["--threshold", run / "threshold.json"]
    review, test_tiles = ["--review", run / "review.csv"], ["--test-tiles", run / "test/tiles.csv"]
    models = [run / "models/0.safetensors", run / "models/1.safetensors"]
    histories = [run / "models/0.csv", run / "models/1.csv"]
    validation = ["--predictions", run / "validation/0.npy", run / "validation/1.npy"]
    predicted = ["--predictions", run / "predicted/0.npy", run / "predicted/1.npy"]
    return {
        "import_train": ["--source", run / "survey.zip", "--output", out / "tiles.csv"],
        "import_test": ["--source", run / "survey.zip", "--output", out / "tiles.csv"],
        "split": [*settings, *train, "--output", out / "folds.csv"],
        "train": [
            *(*settings, *train, *folds, "--seed", 0),
            *("--checkpoint", out / "0.safetensors", "--history", out / "0.csv"),
        ],
        "predict_validation": [
            *(*settings, *train, *folds, "--checkpoint", models[0], "--output", out / "0.npy")
        ],
        "predict_test": [*settings, *test, "--checkpoint", models[0], "--output", out / "0.npy"],
        "threshold": [
            *(*settings, *train, *folds, *validation),
            *("--output", out / "threshold.json", "--curve", out / "curve.csv"),
        ],
        "submission": [*test, *threshold, *predicted, "--output", out / "submission.csv"],
        "summary": [
            *(*threshold, "--submission", run / "submission.csv", "--output", out / "summary.txt")
        ],
        "submit": [
            *(*threshold, "--submission", run / "submission.csv", "--output", out / "sent.txt")
        ],
        "review": [*train, *folds, *threshold, *validation, "--output", out / "review.csv"],
        "gallery": [
            *(*train, *review, *threshold, *validation),
            *(x for name in PICTURES for x in (f"--{name}", out / f"{name}.png")),
        ],
        "plot_training": [
            *("--seeds", "0", "1", "--histories", *histories, "--checkpoints", *models),
            *("--benchmarks", run / "benchmarks"),
            *("--learning", out / "learning.svg", "--times", out / "times.svg"),
        ],
        "plot_evaluation": [
            *(*train, *folds, *review, *threshold, "--curve", run / "curve.csv", *validation),
            *("--score", out / "score.svg", "--tile-scores", out / "tile_scores.svg"),
            *("--calibration", out / "calibration.svg", "--members", out / "members.svg"),
        ],
        "plot_data": [
            *(*train, *test_tiles, *review, *threshold, *predicted, "--output", out / "data.svg")
        ],
        "page": [
            *(*train, *test_tiles, *review, *threshold),
            *("--validation", *validation[1:], "--test", *predicted[1:]),
            *("--figures", run / "learning.svg", run / "data.svg"),
            *("--benchmarks", run / "benchmarks"),
            *("--output", out / "index.html", "--pictures", out / "tiles"),
        ],
        "predict": [
            *(*settings, "--source", run / "new", "--checkpoints", *models, *threshold),
            *("--output", out / "masks.csv"),
        ],
    }[name]


PICTURES = ("gallery", "worst", "typical", "best", "disagreement")

# Outputs of an earlier run.
OLD = {
    "import_train": ["tiles.csv", "images.npy", "masks.npy"],
    "import_test": ["tiles.csv", "images.npy"],
    "split": ["folds.csv"],
    "train": ["0.safetensors", "0.csv"],
    "predict_validation": ["0.npy", "0.csv"],
    "predict_test": ["0.npy", "0.csv"],
    "threshold": ["threshold.json", "curve.csv"],
    "submission": ["submission.csv"],
    "summary": ["summary.txt"],
    "submit": ["sent.txt"],
    "review": ["review.csv"],
    "gallery": ["gallery.png", "worst.png"],
    "plot_training": ["learning.svg", "times.svg"],
    "plot_evaluation": ["score.svg"],
    "plot_data": ["data.svg"],
    "page": ["index.html", "tiles/labelled-0-grey.webp"],
    "predict": ["masks.csv", "masks/old.png"],
}


def mask_of_an_earlier_run() -> bytes:
    data, mark = io.BytesIO(), PngInfo()
    mark.add_text("Software", SOFTWARE)
    Image.new("L", (16, 18)).save(data, "PNG", pnginfo=mark)
    return data.getvalue()


OLD_MASK = mask_of_an_earlier_run()


def tree(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def assert_refused(name, run, folder, capsys, message, **changes) -> str:
    """Run a stage beside no earlier outputs, then beside some; gives what it said."""
    for number, old in enumerate(([], OLD[name])):
        out = folder / f"out{number}"
        out.mkdir()
        for file in old:
            (out / file).parent.mkdir(exist_ok=True)
            (out / file).write_bytes(
                OLD_MASK if file == "masks/old.png" else b"id,rle_mask\nold,\n"
            )
        before = tree(out)
        capsys.readouterr()
        log = folder / f"{number}.log"
        assert stage(name, *arguments(name, run, out, **changes), "--log", log) == 1
        told = capsys.readouterr().err
        for text in (told, log.read_text()):
            assert f"Error: {message[1:]}" in text if message[0] == "^" else message in text
            assert "Traceback" not in text
        assert tree(out) == before
    return told


def import_of(survey: Survey, folder: Path, layout: str = "nested zip") -> None:
    survey.write(folder / "survey", layout).rename(folder / "survey.zip")


def whole_run(folder: Path) -> None:
    """Every stage from import to submission, two members of two folds."""

    def go(name, out, **changes):
        status = stage(name, *arguments(name, folder, folder / out, **changes))
        assert status == 0, name

    for part in ("train", "test"):
        go(f"import_{part}", part)
    go("split", ".")
    for seed in ("0", "1"):
        for name, out in (
            ("train", "models"),
            ("predict_validation", "validation"),
            ("predict_test", "predicted"),
        ):
            given = arguments(name, folder, folder / out)
            # As the first member, but for its number.
            given = [Path(str(a).replace("/0.", f"/{seed}.")) for a in given]
            given = [seed if str(a) == "0" else a for a in given]
            assert stage(name, *given) == 0, name
    for name in ("threshold", "submission", "summary", "review", "gallery"):
        go(name, ".")
    for name in ("plot_training", "plot_evaluation", "plot_data", "page"):
        go(name, ".")


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Folder of a finished run on a tiny survey; not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    survey = Survey(train=6, test=3, height=16, width=18)
    import_of(survey, folder)
    whole_run(folder)
    (folder / "new").mkdir()
    for name in ("a", "b", "c"):
        (folder / f"new/{name}.png").write_bytes(image_png(survey.images[survey.ids[0]]))
    (folder / "new/depths.csv").write_text("id,z\na,1\nb,2\nc,3\n")
    return folder


@pytest.fixture
def run(finished, tmp_path) -> Path:
    """A copy of the finished run, to spoil, without the checksums that would tell at once."""
    for path, data in tree(finished).items():
        if data is not None and not path.endswith(".crc32"):
            (tmp_path / "run" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "run" / path).write_bytes(data)
    return tmp_path / "run"


# What may be wrong with a survey's files: how to spoil it, and what must be said of it.
# FIRST, SECOND and LAST are ids of labelled tiles, TEST that of the first test tile.


def image(survey, number=0):
    return f"train/images/{survey.ids[number]}.png"


def mask(survey, number=-1):
    return f"train/masks/{survey.ids[number]}.png"


def unlabelled_image(survey):
    return f"test/images/{survey.test_ids[0]}.png"


def filled(message, survey):
    for word, name in (
        ("FIRST", survey.ids[0]),
        ("SECOND", survey.ids[1]),
        ("LAST", survey.ids[-1]),
        ("TEST", survey.test_ids[0]),
    ):
        message = message.replace(word, name)
    return message


def missing_image(survey):
    del survey.files[image(survey)]


def missing_mask(survey):
    del survey.files[mask(survey)]


def missing_test_image(survey):
    del survey.files[unlabelled_image(survey)]


def extra_image(survey):
    survey.files["train/images/stray.png"] = survey.files[image(survey)]


def extra_mask(survey):
    survey.files["train/masks/stray.png"] = survey.files[mask(survey)]


def extra_test_image(survey):
    survey.files["test/images/stray.png"] = survey.files[unlabelled_image(survey)]


def image_outside(survey):
    survey.files["train/images/../../evil.png"] = b"evil"


def image_at_the_root(survey):
    survey.files["train/images//evil.png"] = b"evil"


def image_in_a_folder(survey):
    survey.files["train/images/sub/evil.png"] = b"evil"


def image_of_control_characters(survey):
    survey.files["train/images/\x1b[2Jevil.png"] = b"evil"


def text_depth(survey):
    survey.set_depth(survey.ids[1], "deep")


def empty_depth(survey):
    survey.set_depth(survey.ids[1], "")


def nan_depth(survey):
    survey.set_depth(survey.ids[1], "nan")


def infinite_depth(survey):
    survey.set_depth(survey.ids[1], "inf")


def depth_beyond_float32(survey):
    survey.set_depth(survey.ids[1], "1e300")


def endless_depth(survey):
    survey.set_depth(survey.ids[1], "9" * 5000)


def doubled_depth(survey):
    survey.tables["depths.csv"].append([survey.ids[1], 7])


def infinite_test_depth(survey):
    survey.set_depth(survey.test_ids[0], "-inf")


def empty_image(survey):
    survey.files[image(survey)] = b""


def empty_mask(survey):
    survey.files[mask(survey)] = b""


def truncated_image(survey):
    survey.files[image(survey)] = survey.files[image(survey)][:-40]


def truncated_mask(survey):
    survey.files[mask(survey)] = survey.files[mask(survey)][:-30]


def truncated_test_image(survey):
    survey.files[unlabelled_image(survey)] = survey.files[unlabelled_image(survey)][:60]


def text_image(survey):
    survey.files[image(survey)] = b"no picture"


def encoded(pixels, mode=None, kind="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, format=kind, **options)
    return buffer.getvalue()


def jpeg_image(survey):
    survey.files[image(survey)] = encoded(survey.images[survey.ids[0]], kind="JPEG")


def jpeg_mask(survey):
    survey.files[mask(survey)] = encoded(survey.images[survey.ids[-1]], kind="JPEG")


def colour_image(survey):
    pixels = np.stack([survey.images[survey.ids[0]]] * 3, axis=-1)
    pixels[3, 4, 2] ^= 1
    survey.files[image(survey)] = png(pixels)


def palette_image(survey):
    survey.files[image(survey)] = encoded(survey.images[survey.ids[0]], "P")


def transparent_image(survey):
    survey.files[image(survey)] = png(np.full((13, 17, 4), 9, dtype=np.uint8))


def grey_and_transparent_image(survey):
    survey.files[image(survey)] = encoded(survey.images[survey.ids[0]], "LA")


def one_bit_image(survey):
    survey.files[image(survey)] = encoded(survey.images[survey.ids[0]], "1")


def deep_image(survey):
    survey.files[image(survey)] = png(np.full((13, 17), 999, dtype=np.uint16))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def handmade_png(width, height, bits, colour, data: bytes) -> bytes:
    """A PNG file that says what it is told to, true or not."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def deep_colour_image(survey):
    rows = (b"\0" + b"\x12\x34" * 3 * 17) * 13
    survey.files[image(survey)] = handmade_png(17, 13, 16, 2, rows)


def palette_mask(survey):
    survey.files[mask(survey)] = encoded(survey.images[survey.ids[-1]], "P")


def colour_mask(survey):
    survey.files[mask(survey)] = image_png(survey.images[survey.ids[-1]])


def grey_mask(survey):
    survey.files[mask(survey)] = png(survey.images[survey.ids[-1]])


def small_image(survey):
    survey.files[image(survey, -1)] = image_png(np.zeros((12, 17), dtype=np.uint8))


def turned_mask(survey):
    survey.files[mask(survey)] = mask_png(np.ones((17, 13), dtype=bool))


def small_test_image(survey):
    name = f"test/images/{survey.test_ids[-1]}.png"
    survey.files[name] = image_png(np.zeros((12, 17), dtype=np.uint8))


def image_of_no_pixels(survey):
    survey.files[image(survey)] = handmade_png(0, 0, 8, 0, b"")


def bomb_that_is_true(survey):
    # 6 kB that unpack to 6 MB.
    survey.files[image(survey)] = handmade_png(3000, 2000, 8, 0, (b"\0" * 3001) * 2000)


def bomb_that_pillow_warns_of(survey):
    survey.files[image(survey)] = handmade_png(12000, 12000, 8, 0, b"")


def bomb_that_pillow_refuses(survey):
    survey.files[image(survey)] = handmade_png(2**30, 2**30, 8, 0, b"")


def long_and_thin_bomb(survey):
    survey.files[mask(survey)] = handmade_png(1, 10**7, 1, 0, b"")


def bomb_of_text(survey):
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "a" * 5_000_000, zip=True)
    survey.files[image(survey)] = encoded(survey.images[survey.ids[0]], pnginfo=info)


def row_twice(survey):
    survey.tables["train.csv"].append([survey.ids[0], ""])


def row_of_a_path(survey):
    survey.tables["train.csv"][1][0] = "../evil"


def row_of_a_windows_path(survey):
    survey.tables["train.csv"][1][0] = "..\\evil"


def row_too_long(survey):
    survey.tables["train.csv"][1][0] = "x" * 65


def row_endless(survey):
    survey.tables["train.csv"][1][0] = "x" * 100_000


def row_empty(survey):
    survey.tables["train.csv"][1][0] = ""


def sample_row_twice(survey):
    survey.tables["sample_submission.csv"].append([survey.test_ids[0], "1 1"])


def sample_row_of_a_path(survey):
    survey.tables["sample_submission.csv"].append(["a/b", "1 1"])


def sample_of_other_tiles(survey):
    survey.tables["sample_submission.csv"][1:] = [["other", "1 1"]]


def row_too_many(survey):
    survey.tables["train.csv"].append(["newcomer", ""])


def row_too_few(survey):
    survey.drop_row("train.csv", survey.ids[0])


def no_test_tiles(survey):
    survey.tables["sample_submission.csv"][1:] = []


def no_labelled_tiles(survey):
    survey.tables["train.csv"][1:] = []


def masks_of_another_size(survey):
    for name in survey.ids:
        survey.files[f"train/masks/{name}.png"] = mask_png(np.ones((14, 17), dtype=bool))


def label_along_rows(survey):
    # Row by row the same mask has other numbers.
    pixels = np.zeros((13, 17), dtype=bool)
    pixels[2, 3:8] = True
    survey.files[mask(survey)] = mask_png(pixels)
    survey.set_label(survey.ids[-1], f"{2 * 17 + 3 + 1} 5")


TRAIN, TEST = "import_train", "import_test"
NO_ROW = "has no row in train.csv"
UNSAFE = "may hold only letters, digits, '-' and '_' (64 at most)"

FILE_FAULTS = [
    Case("no image", TRAIN, missing_image, "train/images/FIRST.png is missing from"),
    Case("no mask", TRAIN, missing_mask, "train/masks/LAST.png is missing from"),
    Case("no test image", TEST, missing_test_image, "test/images/TEST.png is missing from"),
    Case("image too many", TRAIN, extra_image, f"train/images/stray.png {NO_ROW}"),
    Case("mask too many", TRAIN, extra_mask, f"train/masks/stray.png {NO_ROW}"),
    Case(
        *("test image too many", TEST, extra_test_image),
        "test/images/stray.png has no row in sample_submission.csv",
    ),
    Case("path outside", TRAIN, image_outside, f"train/images/../../evil.png {NO_ROW}"),
    Case("absolute path", TRAIN, image_at_the_root, f"train/images//evil.png {NO_ROW}"),
    Case("path below", TRAIN, image_in_a_folder, f"train/images/sub/evil.png {NO_ROW}"),
    Case(
        *("control characters", TRAIN, image_of_control_characters),
        f"'train/images/\\x1b[2Jevil.png' {NO_ROW}",
    ),
    Case("depth in words", TRAIN, text_depth, "depth of SECOND is not a number: 'deep'"),
    Case("empty depth", TRAIN, empty_depth, "depth of SECOND is not a number: ''"),
    Case("depth nan", TRAIN, nan_depth, "depth of SECOND is not a number: 'nan'"),
    Case("depth inf", TRAIN, infinite_depth, "depth of SECOND is not a number: 'inf'"),
    Case("depth 1e300", TRAIN, depth_beyond_float32, "SECOND is not a number: '1e300'"),
    Case("depth of many digits", TRAIN, endless_depth, f"not a number: '{'9' * 199}...999"),
    Case("depth twice", TRAIN, doubled_depth, "id 'SECOND' is there more than once"),
    Case("depth -inf", TEST, infinite_test_depth, "depth of TEST is not a number: '-inf'"),
    Case("empty image", TRAIN, empty_image, "train/images/FIRST.png: empty file"),
    Case("empty mask", TRAIN, empty_mask, "train/masks/LAST.png: empty file"),
    Case("cut image", TRAIN, truncated_image, "train/images/FIRST.png: damaged PNG file"),
    Case("cut mask", TRAIN, truncated_mask, "train/masks/LAST.png: damaged PNG file"),
    Case("cut image", TEST, truncated_test_image, "test/images/TEST.png: damaged PNG file"),
    Case("text as image", TRAIN, text_image, "train/images/FIRST.png: not a PNG file"),
    Case("JPEG as image", TRAIN, jpeg_image, "train/images/FIRST.png: not a PNG file"),
    Case("JPEG as mask", TRAIN, jpeg_mask, "train/masks/LAST.png: not a PNG file"),
    Case(
        *("image in colour", TRAIN, colour_image),
        "train/images/FIRST.png: expected a grey picture, found different colour channels",
    ),
    Case(
        *("image with palette", TRAIN, palette_image),
        "train/images/FIRST.png: expected 8-bit grey or RGB, found mode P",
    ),
    Case(
        *("image with alpha", TRAIN, transparent_image),
        "train/images/FIRST.png: expected 8-bit grey or RGB, found mode RGBA",
    ),
    Case(
        *("grey image with alpha", TRAIN, grey_and_transparent_image),
        "train/images/FIRST.png: expected 8-bit grey or RGB, found mode LA",
    ),
    Case(
        *("image of 1 bit", TRAIN, one_bit_image),
        "train/images/FIRST.png: expected 8-bit grey or RGB, found mode 1",
    ),
    Case(
        *("image of 16 bits", TRAIN, deep_image),
        "train/images/FIRST.png: expected 8-bit grey or RGB, found mode I;16",
    ),
    Case(
        *("image of 16 bits a colour", TRAIN, deep_colour_image),
        "train/images/FIRST.png: expected 8-bit grey or RGB, found mode RGB;16",
    ),
    Case(
        *("mask with palette", TRAIN, palette_mask),
        "train/masks/LAST.png: expected a mask of 1, 8 or 16 bits, found mode P",
    ),
    Case(
        *("mask in colour", TRAIN, colour_mask),
        "train/masks/LAST.png: expected a mask of 1, 8 or 16 bits, found mode RGB",
    ),
    Case(
        *("mask of many values", TRAIN, grey_mask),
        "train/masks/LAST.png: expected two values, salt or not, found more",
    ),
    Case(
        *("image of another size", TRAIN, small_image),
        "train/images/LAST.png: 17x12 pixels, but train/images/FIRST.png has 17x13",
    ),
    Case(
        *("mask of another size", TRAIN, turned_mask),
        "train/masks/LAST.png: 13x17 pixels, but train/masks/FIRST.png has 17x13",
    ),
    Case(
        *("test image of another size", TEST, small_test_image),
        "17x12 pixels, but test/images/TEST.png has 17x13",
    ),
    Case("image of no pixels", TRAIN, image_of_no_pixels, "images/FIRST.png: not a PNG file"),
    Case(
        *("bomb of 6 megapixels", TRAIN, bomb_that_is_true),
        "train/images/FIRST.png: 3000x2000 pixels, more than the 2048 a side allowed",
    ),
    Case(
        *("bomb of 144 megapixels", TRAIN, bomb_that_pillow_warns_of),
        "train/images/FIRST.png: 12000x12000 pixels, more than the 2048 a side allowed",
    ),
    Case(
        *("bomb of 2^60 pixels", TRAIN, bomb_that_pillow_refuses),
        "train/images/FIRST.png: too large a picture (Image size",
    ),
    Case(
        *("bomb of one column", TRAIN, long_and_thin_bomb),
        "train/masks/LAST.png: 1x10000000 pixels, more than the 2048 a side allowed",
    ),
    Case("bomb of text", TRAIN, bomb_of_text, "train/images/FIRST.png: damaged PNG file"),
    Case("id twice", TEST, sample_row_twice, "id 'TEST' is there more than once"),
    Case("no test tiles", TEST, no_test_tiles, "no rows, so there is nothing to predict"),
    Case("no tiles but files", TRAIN, no_labelled_tiles, "no rows, so there is nothing to"),
    Case("id of another tile", TEST, sample_of_other_tiles, "images/other.png is missing from"),
    Case("id of a path", TEST, sample_row_of_a_path, f"csv: id 'a/b' {UNSAFE}"),
    Case("id twice", TRAIN, row_twice, "train.csv: id 'FIRST' is there more than once"),
    Case("id of a path", TRAIN, row_of_a_path, f"train.csv: id '../evil' {UNSAFE}"),
    Case("id of backslashes", TRAIN, row_of_a_windows_path, f"id '..\\\\evil' {UNSAFE}"),
    Case("id of 65 letters", TRAIN, row_too_long, f"train.csv: id '{'x' * 65}' {UNSAFE}"),
    Case("id of 100000 letters", TRAIN, row_endless, f"{'x' * 199}...{'x' * 79}' {UNSAFE}"),
    Case("empty id", TRAIN, row_empty, f"train.csv: id '' {UNSAFE}"),
    Case("row too many", TRAIN, row_too_many, "images/newcomer.png is missing from"),
    Case("row too few", TRAIN, row_too_few, f"train/images/FIRST.png {NO_ROW}"),
    Case(
        *("masks of another size", TRAIN, masks_of_another_size),
        "images are (13, 17) pixels, masks (14, 17)",
    ),
    Case(
        *("label along rows", TRAIN, label_along_rows),
        "train.csv: the mask of LAST differs from train/masks/LAST.png",
    ),
]

LABEL_FAULTS = [
    Case("odd", TRAIN, "1 2 3", "expected pairs of start and length, found 3 numbers"),
    Case("before the tile", TRAIN, "0 3", "run 0 3 is outside the tile's 221 pixels"),
    Case("behind the tile", TRAIN, "221 2", "run 221 2 is outside the tile's 221 pixels"),
    Case("of no length", TRAIN, "7 0", "run 7 0 is outside the tile's 221 pixels"),
    Case("overlapping", TRAIN, "5 5 7 2", "run 7 2 begins before"),
    Case("unsorted", TRAIN, "9 2 1 2", "run 1 2 begins before"),
    Case("in words", TRAIN, "one 1", "expected whole numbers only"),
    Case("with a sign", TRAIN, "+1 1", "expected whole numbers only"),
    Case("negative", TRAIN, "-1 1", "expected whole numbers only"),
    Case("of other digits", TRAIN, "\u0661 \u0662", "expected whole numbers only"),
    Case("with a NUL", TRAIN, "1 2\0", "expected whole numbers only"),
    Case("of 5000 digits", TRAIN, f"1 {'9' * 5000}", "numbers of at most 30 digits"),
    Case("none", TRAIN, "", "differs from train/masks/LAST.png"),
    Case("of another mask", TRAIN, "1 1", "differs from train/masks/LAST.png"),
]

TABLE_FAULTS = [
    Case("empty", TRAIN, ("train.csv", b""), "train.csv: not a readable table"),
    Case("empty", TEST, ("sample_submission.csv", b""), "sample_submission.csv: not a readable"),
    Case(
        "a NUL",
        TRAIN,
        ("depths.csv", b"\0"),
        "depths.csv: expected the columns id,z, found '\\x00'",
    ),
    Case("binary", TRAIN, ("train.csv", b"\x89PNG\r\n\xff\xfe\0"), "train.csv: not a readable"),
    Case("UTF-16", TRAIN, ("depths.csv", "id,z\n".encode("utf-16")), "depths.csv: not a readable"),
    Case("quote left open", TRAIN, ("depths.csv", b'id,z\n"a,1\n'), "depths.csv: not a readable"),
    Case("row too long", TRAIN, ("depths.csv", b"id,z\na,1\nb,2,3\n"), "depths.csv: not a"),
    Case(
        *("rows too long", TRAIN, ("depths.csv", b"id,z\na,1,x\nb,2,x\n")),
        "depths.csv: expected the columns id,z, found rows of more fields than that",
    ),
    Case(
        *("other columns", TRAIN, ("train.csv", b"name,mask\na,1 1\n")),
        "train.csv: expected the columns id,rle_mask, found name,mask",
    ),
    Case(
        *("other columns", TEST, ("sample_submission.csv", b"id\na\n")),
        "sample_submission.csv: expected the columns id,rle_mask, found id",
    ),
    Case(
        *("columns turned", TRAIN, ("depths.csv", b"z,id\n1,a\n")),
        "depths.csv: expected the columns id,z, found z,id",
    ),
    Case(
        *("control characters", TRAIN, ("depths.csv", b"\x1b[2J,z\n1,a\n")),
        "depths.csv: expected the columns id,z, found '\\x1b[2J,z'",
    ),
    Case(
        *("bomb of columns", TRAIN, ("depths.csv", b"z," * 10**6)),
        "depths.csv: expected the columns id,z, found a first line of more than 1000 characters",
    ),
    Case(
        *("bomb of rows", TRAIN, ("depths.csv", b"id,z\n" + b"a,1\n" * 1_000_001)),
        "depths.csv: more than the 1000000 rows allowed",
    ),
]


@pytest.mark.parametrize("case", named(FILE_FAULTS))
def test_a_fault_of_a_survey_is_named(tmp_path, survey, capsys, case):
    case.spoil(survey)
    folder = tmp_path / "some/where"
    folder.mkdir(parents=True)
    import_of(survey, folder)
    told = assert_refused(case.stage, folder, folder, capsys, filled(case.message, survey))
    assert max(map(len, told.splitlines())) < 600
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("case", named(LABEL_FAULTS))
def test_a_label_that_is_not_the_mask_is_named(tmp_path, survey, capsys, case):
    survey.set_label(survey.ids[-1], case.spoil)
    import_of(survey, tmp_path)
    told = assert_refused(case.stage, tmp_path, tmp_path, capsys, filled(case.message, survey))
    assert f"mask of {survey.ids[-1]}" in told
    assert "1 fault found" in told


@pytest.mark.parametrize("case", named(TABLE_FAULTS))
def test_a_table_that_is_none_is_named(tmp_path, survey, capsys, case):
    name, data = case.spoil
    files = survey.all_files()
    survey.all_files = lambda: files | {name: data}
    import_of(survey, tmp_path)
    assert_refused(case.stage, tmp_path, tmp_path, capsys, f"^{case.message}")


# What may be wrong with the zip or folder itself. Each gets a survey and writes it to a path.


def no_file(survey, path):
    pass


def no_zip(survey, path):
    path.write_bytes(b"no zip at all")


def empty_zip(survey, path):
    path.write_bytes(b"")


def headless_zip(survey, path):
    path.write_bytes(b"PK\x03\x04" + b"\0" * 60)


def cut_zip(survey, path):
    data = zipped(survey.all_files())
    path.write_bytes(data[: len(data) // 2])


def zip_of_nothing(survey, path):
    path.write_bytes(zipped({}))


def empty_folder(survey, path):
    path.mkdir()


def broken_nested_zip(survey, path):
    files = {name: data for name, data in survey.all_files().items() if name.endswith(".csv")}
    path.write_bytes(zipped(files | {"train.zip": b"no zip at all"}))


def altered(path, files, name, **attributes):
    """A zip whose list of contents says something else about one of the files."""
    with zipfile.ZipFile(path, "w") as archive:
        for each, data in files.items():
            archive.writestr(each, data)
        for attribute, value in attributes.items():
            setattr(archive.getinfo(name), attribute, value)


def nested_bomb(survey, path):
    altered(path, survey.all_files() | {"train.zip": b""}, "train.zip", file_size=5 * 2**30)


def table_bomb(survey, path):
    altered(path, survey.all_files(), "depths.csv", file_size=300 * 2**20)


def image_bomb(survey, path):
    altered(path, survey.all_files(), image(survey), file_size=2**40)


def encrypted(survey, path):
    altered(path, survey.all_files(), image(survey), flag_bits=1)


def unknown_compression(survey, path):
    altered(path, survey.all_files(), image(survey), compress_type=99)


def outside_the_archive(survey, path):
    altered(path, survey.all_files(), image(survey), header_offset=10**9)


def wrong_checksum(survey, path):
    altered(path, survey.all_files(), image(survey), CRC=1)


def damaged_lzma(survey, path):
    files = survey.all_files()
    data = zipped(files, zipfile.ZIP_LZMA)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        place = archive.getinfo(image(survey)).header_offset + 30 + len(image(survey))
    # Of the properties of the compression.
    path.write_bytes(data[: place + 4] + b"\xff" * 5 + data[place + 9 :])


def name_of_no_letters(survey, path):
    data = zipped(survey.all_files() | {"train/images/\u00e9.png": b""})
    path.write_bytes(data.replace("\u00e9.png".encode(), b"\xff\xff.png"))


def file_twice(survey, path):
    path.write_bytes(zipped(survey.all_files()))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(image(survey), b"another")


def symlink_in_a_zip(survey, path):
    files = survey.all_files() | {image(survey): b"/etc/passwd"}
    altered(path, files, image(survey), external_attr=(stat.S_IFLNK | 0o777) << 16)


def unpacked(survey, path):
    return survey.write(path, "unpacked folder") / image(survey)


def symlink_to_nothing(survey, path):
    file = unpacked(survey, path)
    file.unlink()
    file.symlink_to("nothing")


def symlink_to_itself(survey, path):
    file = unpacked(survey, path)
    file.unlink()
    file.symlink_to(file)


def symlink_to_another_kind(survey, path):
    file = unpacked(survey, path)
    file.unlink()
    file.symlink_to("../../train.csv")


def folder_named_as_an_image(survey, path):
    file = unpacked(survey, path)
    file.unlink()
    file.mkdir()


def pipe(survey, path):
    file = unpacked(survey, path)
    file.unlink()
    os.mkfifo(file)


def unreadable(survey, path):
    file = unpacked(survey, path)
    file.unlink()
    # Which fails to be read also by those whom no permission stops.
    file.symlink_to("/proc/self/mem")


def name_of_no_text(survey, path):
    file = unpacked(survey, path)
    Path(os.fsdecode(os.fsencode(file.parent) + b"/\xff.png")).write_bytes(b"")


def zip_that_is_a_folder(survey, path):
    survey.write(path, "folder of zips")
    (path / "train.zip").unlink()
    (path / "train.zip").mkdir()


NO_ZIP = "expected a survey's zip or a folder, found no readable zip"

PACKING_FAULTS = [
    Case("missing", TRAIN, no_file, "survey.zip: no such file or folder; data.source is"),
    Case("no zip", TRAIN, no_zip, f"survey.zip: {NO_ZIP}"),
    Case("empty", TEST, empty_zip, f"survey.zip: {NO_ZIP}"),
    Case("headless", TRAIN, headless_zip, f"survey.zip: {NO_ZIP}"),
    Case("cut", TRAIN, cut_zip, f"survey.zip: {NO_ZIP}"),
    Case("zip of nothing", TRAIN, zip_of_nothing, "no labelled tiles: expected images/ID.png and"),
    Case("empty folder", TEST, empty_folder, "no test tiles: expected test/images/ID.png"),
    Case("nested no zip", TRAIN, broken_nested_zip, f"survey.zip: train.zip: {NO_ZIP}"),
    Case(
        *("nested bomb", TRAIN, nested_bomb),
        "survey.zip: train.zip: 5368709120 bytes, more than the 4294967296 allowed",
    ),
    Case(
        *("bomb as table", TRAIN, table_bomb),
        "^depths.csv: 314572800 bytes, more than the 268435456 allowed",
    ),
    Case(
        *("bomb as image", TRAIN, image_bomb),
        "train/images/FIRST.png: 1099511627776 bytes, more than the 268435456 allowed",
    ),
    Case("encrypted", TRAIN, encrypted, "train/images/FIRST.png: cannot be read from"),
    Case("unknown compression", TRAIN, unknown_compression, "FIRST.png: cannot be read from"),
    Case("outside the archive", TRAIN, outside_the_archive, "FIRST.png: cannot be read from"),
    Case("wrong checksum", TRAIN, wrong_checksum, "FIRST.png: cannot be read from"),
    Case("damaged LZMA", TRAIN, damaged_lzma, "FIRST.png: cannot be read from"),
    Case("name of no letters", TRAIN, name_of_no_letters, f"survey.zip: {NO_ZIP}"),
    Case("file twice", TRAIN, file_twice, "train/images/FIRST.png is there twice; remove one"),
    Case("symlink in a zip", TRAIN, symlink_in_a_zip, "images/FIRST.png: not a PNG file"),
    Case("symlink to nothing", TRAIN, symlink_to_nothing, "images/FIRST.png is missing from"),
    Case("symlink to itself", TRAIN, symlink_to_itself, "images/FIRST.png is missing from"),
    Case("symlink to a table", TRAIN, symlink_to_another_kind, "FIRST.png: not a PNG file"),
    Case("folder as image", TRAIN, folder_named_as_an_image, "FIRST.png is missing from"),
    Case("pipe", TRAIN, pipe, "train/images/FIRST.png is missing from"),
    Case("unreadable", TRAIN, unreadable, "train/images/FIRST.png: cannot be read from"),
    Case("name of no text", TRAIN, name_of_no_text, f"'train/images/\\udcff.png' {NO_ROW}"),
    Case("folder as zip", TRAIN, zip_that_is_a_folder, "train/images/FIRST.png is missing from"),
]


@pytest.mark.parametrize("case", named(PACKING_FAULTS))
def test_a_fault_of_the_zip_or_folder_is_named(tmp_path, survey, capsys, case):
    case.spoil(survey, tmp_path / "survey.zip")
    assert_refused(case.stage, tmp_path, tmp_path, capsys, filled(case.message, survey))


def test_a_path_that_no_file_can_have_is_named(tmp_path, capsys):
    run = tmp_path / ("x" * 300)
    assert_refused(TRAIN, run, tmp_path, capsys, "cannot be opened (File name too long)")


# What may be wrong with what stages hand on. Each spoils the folder of a finished run.


def edit(path, old, new):
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


def cut(path, by=0.5):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * by)])


class Trap:
    """Unpickling creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def at(path: str, do: Callable, *given) -> Callable:
    """A spoil that does something to one file of the run."""
    return lambda run: do(run / path, *given)


def emptied(path):
    path.write_bytes(b"")


def removed(path):
    path.unlink()


def replaced(path, data):
    path.write_bytes(data)


def pickled(path):
    with open(path, "wb") as file:
        pickle.dump(Trap(path.parents[1] / "sprung"), file)


def saved_by_torch(path):
    torch.save({"weights": Trap(path.parents[1] / "sprung")}, path)


def pickled_array(path):
    np.save(path, np.array([Trap(path.parents[1] / "sprung")], dtype=object))


def array(path, change):
    values = np.load(path)
    np.save(path, change(values))


def zip_of_arrays(path):
    np.savez(path.with_suffix(".npz"), images=np.zeros((6, 16, 18), dtype=np.uint8))
    path.with_suffix(".npz").rename(path)


def table(path, change):
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    changed = change(frame)
    (frame if changed is None else changed).to_csv(path, index=False)


def header(change):
    """A spoil of a checkpoint's header."""

    def spoil(run):
        path = run / "models/0.safetensors"
        state = load_file(path)
        with safe_open(path, "pt") as file:
            about = json.loads(file.metadata()["salt"])
        text = change(about)
        about["digest"] = UNSEALED
        text = text if isinstance(text, str) else json.dumps(about)
        path.write_bytes(sealed(save(state, {"salt": text})))

    return spoil


def weights(change):
    """A spoil of a checkpoint's weights."""

    def spoil(run):
        checkpoint = Checkpoint.load(run / "models/0.safetensors")
        change(checkpoint.state)
        checkpoint.save(checkpoint.path)

    return spoil


def model_of(**settings):
    return header(lambda about: about["model"].update(settings))


def tampered_length(path):
    data = path.read_bytes()
    path.write_bytes(struct.pack("<Q", 2**60) + data[8:])


def report(**changes):
    def spoil(run):
        path = run / "threshold.json"
        write_report(path, json.loads(path.read_text()) | changes)

    return spoil


def sound_submission(run):
    lines = ["id,rle_mask", *(f"{number:010x}," for number in range(18000))]
    (run / "submission.csv").write_text("\n".join(lines) + "\n")


def and_sound_submission(spoil):
    return lambda run: (spoil(run), sound_submission(run))


FIT = "0.safetensors: its weights do not fit the model that its header names"
NO_CHECKPOINT = "0.safetensors: not a readable checkpoint"
NO_REPORT = "threshold.json: expected threshold.json of a finished run, found no JSON"
OLDER = "missing or not as expected"
IMAGES, MASKS, MODEL = "train/images.npy", "train/masks.npy", "models/0.safetensors"
HELD_OUT, HELD_OUT_IDS = "validation/0.npy", "validation/0.csv"
NO_ARRAY = "not a readable array"
SPLIT, VALID, THRESHOLD = "split", "predict_validation", "threshold"

RUN_FAULTS = [
    # A checkpoint that is none, or another.
    *[
        Case(f"checkpoint {name}", by, at(MODEL, do), f"0.safetensors: {message} (")
        for by in ("predict_test", VALID, "predict")
        for name, do, message in [
            ("empty", emptied, "not a readable checkpoint"),
            ("cut", cut, "its content differs from what was written"),
            ("a pickle", pickled, "not a readable checkpoint"),
            ("of torch.save", saved_by_torch, "not a readable checkpoint"),
        ]
    ],
    Case("checkpoint missing", VALID, at(MODEL, removed), NO_CHECKPOINT),
    Case("checkpoint a zip", VALID, at(MODEL, replaced, zipped({"a": b""})), NO_CHECKPOINT),
    Case("checkpoint of another length", VALID, at(MODEL, tampered_length), NO_CHECKPOINT),
    Case("header no JSON", VALID, header(lambda about: "no JSON"), NO_CHECKPOINT),
    Case("header too deep", VALID, header(lambda about: "[" * 10**5), NO_CHECKPOINT),
    Case(
        *("format of another version", VALID),
        header(lambda about: about.update(format="salt-segmentation/1")),
        "0.safetensors: expected a checkpoint of format salt-segmentation/2, found salt-seg",
    ),
    Case("architecture another", VALID, model_of(name="unet"), FIT),
    Case("architecture unknown", VALID, model_of(name="os.system"), FIT),
    Case("architecture wider", "predict_test", model_of(width=2), FIT),
    Case("architecture boundless", "predict_test", model_of(width=10**6), FIT),
    Case("architecture of text", VALID, model_of(width="1"), FIT),
    Case("architecture of no width", VALID, model_of(width=-1), FIT),
    Case("architecture of odd dropout", VALID, model_of(dropout=7), FIT),
    Case("architecture of unknown key", VALID, model_of(code="evil"), FIT),
    Case("architecture without depth", VALID, model_of(depth="none"), FIT),
    Case("no architecture", VALID, header(lambda about: about.pop("model") and None), FIT),
    Case("architecture a list", VALID, header(lambda about: about.update(model=[1])), FIT),
    Case(
        *("seed of text", VALID, header(lambda about: about.update(seed="0"))),
        "0.safetensors: expected the member's seed in its header, found '0'",
    ),
    Case("weight missing", VALID, weights(lambda state: state.pop("head.bias")), FIT),
    Case(
        *("weight too many", VALID, weights(lambda state: state.update(evil=torch.zeros(1)))),
        FIT,
    ),
    Case(
        *("weight of another type", VALID),
        weights(lambda state: state.update({"head.bias": state["head.bias"].half()})),
        FIT,
    ),
    Case(
        *("weight nan", VALID),
        weights(lambda state: state["head.bias"].fill_(math.nan)),
        "0.safetensors: weights that are not finite numbers, in head.bias; delete it to train",
    ),
    # Packed tiles.
    Case("images missing", VALID, at(IMAGES, removed), f"images.npy: {NO_ARRAY}"),
    Case("images empty", VALID, at(IMAGES, emptied), f"images.npy: {NO_ARRAY}"),
    Case("images cut", VALID, at(IMAGES, cut), f"images.npy: {NO_ARRAY}"),
    Case("images a pickle", VALID, at(IMAGES, pickled), f"images.npy: {NO_ARRAY}"),
    Case("images of objects", VALID, at(IMAGES, pickled_array), f"images.npy: {NO_ARRAY}"),
    Case("images of objects", "train", at(IMAGES, pickled_array), f"images.npy: {NO_ARRAY}"),
    Case("images of objects", "gallery", at(IMAGES, pickled_array), f"images.npy: {NO_ARRAY}"),
    Case("masks of objects", THRESHOLD, at(MASKS, pickled_array), f"masks.npy: {NO_ARRAY}"),
    Case("images a zip", VALID, at(IMAGES, zip_of_arrays), f"images.npy: {NO_ARRAY}"),
    Case(
        *("header of too many bytes", VALID, at(IMAGES, edit, b"(6, 16, 18)", b"(6, 1<<60) ")),
        f"images.npy: {NO_ARRAY}",
    ),
    Case(
        *("fewer images than tiles", VALID, at(IMAGES, array, lambda a: a[:5])),
        "images.npy: expected uint8 values of shape (6, height, width) for the 6 tiles of "
        "tiles.csv, found uint8 (5, 16, 18); delete it to import again",
    ),
    Case(
        *("fewer images than tiles", "train", at(IMAGES, array, lambda a: a[:5])),
        "images.npy: expected uint8 values of shape (6, height, width)",
    ),
    Case(
        *("more images than tiles", "predict_test"),
        at("test/images.npy", array, lambda a: a.repeat(2, axis=0)),
        "images.npy: expected uint8 values of shape (3, height, width)",
    ),
    Case(
        *("images of floats", VALID, at(IMAGES, array, lambda a: a / 255)),
        "images.npy: expected uint8 values of shape (6, height, width)",
    ),
    Case(
        *("fewer masks than tiles", THRESHOLD, at(MASKS, array, lambda a: a[:5])),
        "masks.npy: expected bool values of shape (6, height, width)",
    ),
    Case(
        *("masks of two bytes", "train", at(MASKS, array, lambda a: a.astype(np.uint16))),
        "masks.npy: expected bool values of shape (6, height, width)",
    ),
    *[
        Case(
            *("masks of another size than images", by, at(MASKS, array, lambda a: a[:, :15])),
            "masks.npy: expected masks of shape (6, 16, 18), as the images beside them",
        )
        for by in ("train", "gallery")
    ],
    Case("tiles missing", SPLIT, at("train/tiles.csv", removed), "tiles.csv: not a readable"),
    Case("tiles empty", SPLIT, at("train/tiles.csv", emptied), "tiles.csv: not a readable"),
    Case("tiles of no column", SPLIT, at("train/tiles.csv", edit, b"id,", b"x,"), "found x,depth"),
    Case(
        *("tile twice", SPLIT, at("train/tiles.csv", table, lambda t: t.iloc[[0, 0, 2]])),
        "tiles.csv: expected tiles by columns id and depth",
    ),
    Case(
        *("depth of text", SPLIT),
        at("train/tiles.csv", table, lambda t: t.assign(depth="deep")),
        "tiles.csv: expected tiles by columns id and depth",
    ),
    Case(
        *("test tiles", SPLIT),
        lambda run: (run / "test/tiles.csv").rename(run / "train/tiles.csv"),
        "tiles.csv: no column coverage; expected tiles.csv of labelled tiles",
    ),
    # Folds.
    *[
        Case(f"folds {name}", by, at("folds.csv", *spoil), f"folds.csv: {message}")
        for by in ("train", VALID, THRESHOLD)
        for name, spoil, message in [
            ("missing", [removed], "not a readable table"),
            ("empty", [emptied], "not a readable table"),
            ("binary", [replaced, b"\xff\xfe\0"], "not a readable table"),
            ("of no fold", [edit, b",fold", b",x"], "expected the columns id and fold, found id"),
            (
                "of fewer tiles",
                [table, lambda t: t.iloc[1:]],
                "expected the 6 labelled tiles, found 5 rows, different in ",
            ),
            (
                "of other tiles",
                [table, lambda t: t.assign(id=[f"other{i}" for i in range(6)])],
                "expected the 6 labelled tiles, found 6 rows, different in ",
            ),
            (
                "in another order",
                [table, lambda t: t.iloc[::-1]],
                "expected the 6 labelled tiles, found 6 rows, in another order or doubled",
            ),
            (
                "in words",
                [table, lambda t: t.assign(fold="one")],
                "expected folds 0, 1 and so on, found ['one']; delete it to assign",
            ),
            (
                "all one",
                [table, lambda t: t.assign(fold=0)],
                "expected folds 0, 1 and so on, found [0]",
            ),
            (
                "beyond count",
                [table, lambda t: t.assign(fold=[0, 1, 0, 1, 0, 10**6])],
                "expected folds 0, 1 and so on, found [0, 1, 1000000]",
            ),
        ]
    ],
    # Predictions.
    Case("predictions missing", THRESHOLD, at(HELD_OUT, removed), f"0.npy: {NO_ARRAY}"),
    Case("predictions cut", THRESHOLD, at(HELD_OUT, cut), f"0.npy: {NO_ARRAY}"),
    Case("predictions a pickle", THRESHOLD, at(HELD_OUT, pickled), f"0.npy: {NO_ARRAY}"),
    Case("predictions of objects", THRESHOLD, at(HELD_OUT, pickled_array), f"0.npy: {NO_ARRAY}"),
    Case("predictions a zip", THRESHOLD, at(HELD_OUT, zip_of_arrays), f"0.npy: {NO_ARRAY}"),
    Case(
        *("predictions of fewer tiles", THRESHOLD, at(HELD_OUT, array, lambda a: a[:2])),
        "0.npy: expected uint16 values of shape (3, height, width) for the 3 tiles beside it",
    ),
    Case(
        *("predictions of floats", THRESHOLD, at(HELD_OUT, array, lambda a: a / 65535)),
        "0.npy: expected uint16 values of shape (3, height, width)",
    ),
    Case(
        *("predictions of another size", THRESHOLD, at(HELD_OUT, array, lambda a: a[:, :9])),
        "0.npy: expected tiles of 18x16 pixels, found 18x9; delete it to predict again",
    ),
    Case(
        *("predictions of another size", "gallery", at(HELD_OUT, array, lambda a: a[:, :9])),
        "0.npy: expected tiles of 18x16 pixels, found 18x9",
    ),
    Case(
        *("members of two sizes", "submission"),
        at("predicted/1.npy", array, lambda a: a[:, :, :1]),
        "1.npy: expected tiles of 18x16 pixels, found 1x16",
    ),
    Case(
        *("predictions without ids", THRESHOLD, at(HELD_OUT_IDS, removed)),
        "0.csv: not a readable table of the ids in 0.npy",
    ),
    Case(
        *("predictions of one tile twice", THRESHOLD),
        at(HELD_OUT_IDS, table, lambda t: t.iloc[[0, 0, 1]]),
        "0.npy: the ids beside it are not each there once",
    ),
    *[
        Case(
            *("predictions of other tiles", by),
            at(HELD_OUT_IDS, table, lambda t: t.assign(id=["a", "b", "c"])),
            "0.npy: expected some of 6 tiles, found a; delete it to predict again",
        )
        for by in (THRESHOLD, "gallery", "review", "page")
    ],
    # What the report is drawn from.
    *(
        Case(f"review.csv {name}", by, at("review.csv", *spoil), f"review.csv: {message}")
        for by in ("gallery", "plot_data", "plot_evaluation", "page")
        for name, spoil, message in [
            ("missing", [removed], "not a readable table"),
            ("empty", [emptied], "not a readable table"),
            ("binary", [replaced, b"\xff\xfe\0"], "not a readable table"),
            ("of other columns", [edit, b",iou,", b",x,"], "expected the columns id,score,reason,"),
            (
                "of fewer tiles",
                [table, lambda t: t.iloc[1:]],
                "expected the 6 labelled tiles, found 5 rows of others; delete it to rebuild it",
            ),
            (
                "of words",
                [table, lambda t: t.assign(score="good")],
                "expected numbers, found text in their place; delete it to rebuild it",
            ),
        ]
    ),
    *(
        Case(f"history {name}", "plot_training", at("models/1.csv", *spoil), f"1.csv: {message}")
        for name, spoil, message in [
            ("missing", [removed], "not a readable table"),
            ("empty", [emptied], "not a readable table"),
            ("of no epoch", [table, lambda t: t.iloc[:0]], "expected epochs by the columns epoch,"),
            ("of other columns", [edit, b"valid_loss", b"x"], "expected epochs by the columns"),
        ]
    ),
    *(
        Case(
            f"checkpoint {name}",
            "plot_training",
            at("models/1.safetensors", *spoil),
            f"1.safetensors: {message}",
        )
        for name, spoil, message in [
            ("missing", [removed], "not a readable checkpoint"),
            ("empty", [emptied], "not a readable checkpoint"),
            (
                "of another header",
                [edit, b"__metadata__", b"__metadato__"],
                "expected a checkpoint of format",
            ),
            ("of an endless header", [replaced, b"\xff" * 8 + b"["], "not a readable checkpoint"),
            ("too deep", [replaced, b"\xff" * 8 + b"[" * 10**5], "not a readable checkpoint"),
        ]
    ),
    *(
        Case(
            f"curve {name}", "plot_evaluation", at("curve.csv", *spoil), "curve.csv: not a readable"
        )
        for name, spoil in [
            ("missing", [removed]),
            ("empty", [emptied]),
            ("of other columns", [edit, b"threshold,", b"x,"]),
            ("of words", [table, lambda t: t.assign(score="good")]),
        ]
    ),
    Case(
        *("members fewer than predictions", "plot_evaluation", report(seeds=[0])),
        "threshold.json: of 1 members, but predictions of 2 are given",
    ),
    Case(
        *("tiles without coverage", "review"),
        at("train/tiles.csv", table, lambda t: t.drop(columns="coverage")),
        "tiles.csv: no column coverage; expected tiles.csv of labelled tiles",
    ),
    Case("figure missing", "page", at("data.svg", removed), "data.svg: not readable"),
    Case("figure binary", "page", at("data.svg", replaced, b"\xff\xfe"), "data.svg: not readable"),
    Case("figure empty", "page", at("data.svg", emptied), "data.svg: expected a drawing with"),
    Case(
        *("figure without a title", "page", at("data.svg", edit, b"dc:title", b"dc:x")),
        "data.svg: expected a drawing with a title and a description; delete it to draw it again",
    ),
    *(
        Case(
            f"submission {name}",
            "summary",
            at("submission.csv", *spoil),
            "submission.csv: not a readable submission",
        )
        for name, spoil in [
            ("missing", [removed]),
            ("empty", [emptied]),
            ("of no masks", [edit, b"rle_mask", b"x"]),
        ]
    ),
    Case(
        *("predictions of other tiles", "submission"),
        at("predicted/0.csv", table, lambda t: t.assign(id=["a", "b", "c"])),
        "0.npy: expected some of 3 tiles, found a",
    ),
    Case(
        *("predictions of fewer tiles", "submission"),
        lambda run: [
            at("predicted/0.csv", table, lambda t: t.iloc[:2])(run),
            at("predicted/0.npy", array, lambda a: a[:2])(run),
        ],
        "0.npy: expected the 3 test tiles, found 2",
    ),
    # threshold.json.
    *[
        Case(f"threshold.json {name}", by, at("threshold.json", *spoil), message)
        for by in ("submission", "predict", "summary", "gallery", "review", "plot_data", "page")
        for name, spoil, message in [
            ("missing", [removed], "threshold.json: No such file or directory; expected"),
            ("empty", [emptied], NO_REPORT),
            ("cut", [cut], NO_REPORT),
            ("binary", [replaced, b"\xff\xfe"], NO_REPORT),
            ("too deep", [replaced, b"[" * 10**5], NO_REPORT),
            ("a list", [replaced, b"[1]"], "threshold.json: threshold"),
        ]
    ],
    Case("threshold nan", "submission", report(threshold=math.nan), f"threshold {OLDER}"),
    Case("threshold of text", "gallery", report(threshold="0.5"), f"threshold {OLDER}"),
    Case("threshold above one", "predict", report(threshold=17), f"threshold {OLDER}"),
    Case("threshold below zero", "submission", report(threshold=-1), f"threshold {OLDER}"),
    Case("score of text", "summary", report(score="good"), f"score {OLDER}"),
    Case("no seeds", "summary", report(seeds=[]), f"seeds {OLDER}"),
    Case("honest of text", "gallery", report(honest="yes"), f"honest {OLDER}"),
    Case(
        *("threshold.json cut", "submit"),
        and_sound_submission(at("threshold.json", cut)),
        NO_REPORT,
    ),
    Case("score null", "submit", and_sound_submission(report(score=None)), f"score {OLDER}"),
]


@pytest.mark.parametrize("case", named(RUN_FAULTS))
def test_a_fault_of_what_a_stage_hands_on_is_named(tmp_path, run, capsys, case):
    case.spoil(run)
    assert_refused(case.stage, run, tmp_path, capsys, case.message)
    assert not list(run.rglob("sprung"))


@pytest.mark.parametrize(
    ("set_trap", "open_carelessly"),
    [
        (pickled, lambda path: pickle.loads(path.read_bytes())),
        (saved_by_torch, lambda path: torch.load(path, weights_only=False)),
        (pickled_array, lambda path: np.load(path.with_suffix(".npy"), allow_pickle=True)),
    ],
)
def test_the_traps_do_work_where_they_are_run(tmp_path, set_trap, open_carelessly):
    path = tmp_path / "models/trap.npy"
    path.parent.mkdir()
    set_trap(path)
    assert not (tmp_path / "sprung").exists()
    open_carelessly(path)
    assert (tmp_path / "sprung").exists()


# What settings may ask of a survey that cannot be given.


def validation(**changes):
    return {"validation": changes}


def groups_by(column):
    def spoil(run):
        (run / "groups.csv").write_text("id,section\nother,1\n")
        return validation(groups=str(run / "groups.csv"), group_column=column)

    return spoil


def small_tiles(run):
    (run / "survey.zip").unlink()
    import_of(Survey(train=6, test=1, height=12, width=12), run)
    for name, out in (("import_train", run / "train"), ("split", run)):
        assert stage(name, *arguments(name, run, out)) == 0
    return {}


def one_tile(run):
    tiles = pd.read_csv(run / "train/tiles.csv").iloc[:1]
    tiles.to_csv(run / "train/tiles.csv", index=False)
    for path in (run / IMAGES, run / MASKS):
        array(path, lambda values: values[:1])
    return {}


TOO_FEW = "set it to that many or fewer"
SETTING_FAULTS = [
    Case(
        *("more folds than tiles", SPLIT, lambda run: validation(folds=7)),
        f"validation.folds is 7, but there are only 6 labelled tiles; {TOO_FEW}",
    ),
    Case(
        *("more folds than tiles, holdout", SPLIT),
        lambda run: validation(folds=10**30, scheme="holdout"),
        f"validation.folds is {10**30}, but there are only 6 labelled tiles; {TOO_FEW}",
    ),
    Case("one tile", SPLIT, one_tile, "validation.folds is 2, but there are only 1 labelled tile"),
    Case("no group for any tile", SPLIT, groups_by("section"), "^Groups: 6 faults found"),
    Case(
        *("no file of groups", SPLIT, lambda run: validation(groups="gone.csv")),
        "No such file or directory: 'gone.csv'); set validation.groups to a CSV file",
    ),
    Case(
        *("groups by a column that is not there", SPLIT, groups_by("well")),
        "expected the columns id and well, found id,section; validation.group_column names",
    ),
    Case(
        "tiles below 16 pixels", "train", small_tiles, "of at least 16 pixels a side, found 12x12"
    ),
    Case(
        *("loss that is not finite", "train", lambda run: {"training": {"learning_rate": 1e30}}),
        "^member 0: the loss of ",
    ),
]


@pytest.mark.parametrize("case", named(SETTING_FAULTS))
def test_what_settings_ask_in_vain_is_named(tmp_path, run, capsys, case):
    told = assert_refused(case.stage, run, tmp_path, capsys, case.message, **case.spoil(run))
    if "finite" in case.name:
        assert "epoch" in told and "not a finite number" in told


# What may be wrong with new tiles. Each spoils a finished run's folder new.


def new_tile(data):
    return lambda run: (run / "new/b.png").write_bytes(data)


def no_new_tiles(run):
    for path in (run / "new").glob("*.png"):
        path.unlink()


def one_file(data):
    """A spoil that puts a file in the place of the folder."""

    def spoil(run):
        no_new_tiles(run)
        (run / "new/depths.csv").unlink()
        (run / "new").rmdir()
        (run / "new").write_bytes(data)

    return spoil


SOUND_PNG = image_png(np.full((16, 18), 7, dtype=np.uint8))
SMALL_PNG = image_png(np.full((15, 15), 7, dtype=np.uint8))

NEW_TILE_FAULTS = [
    Case("empty", "predict", new_tile(b""), "new/b.png: empty file"),
    Case("cut", "predict", new_tile(SOUND_PNG[:-30]), "new/b.png: damaged PNG file"),
    Case("another size", "predict", new_tile(SMALL_PNG), "15x15 pixels, but "),
    Case("bomb", "predict", new_tile(handmade_png(12000, 12000, 8, 0, b"")), "12000x12000 pixels"),
    Case("none", "predict", no_new_tiles, "no PNG file (*.png) in it, so nothing to predict"),
    Case("missing", "predict", lambda run: (run / "new").rename(run / "old"), "new: no such file"),
    Case(
        "no zip",
        "predict",
        one_file(b"no zip at all"),
        "new: expected a zip or a folder of PNG files, found no readable zip",
    ),
    Case(
        "id unsafe",
        "predict",
        lambda run: (run / "new/b.png").rename(run / "new/b c.png"),
        f"id 'b c' {UNSAFE}",
    ),
    Case(
        *("id of no text", "predict"),
        lambda run: (run / "new/b.png").rename(run / os.fsdecode(b"new/\xff.png")),
        f"id '\\udcff' {UNSAFE}",
    ),
    Case(
        *("id twice", "predict", one_file(zipped({"a/t.png": SOUND_PNG, "b/t.png": SOUND_PNG}))),
        "b/t.png: another file is of the same name; rename or remove one",
    ),
    Case(
        *("no depths", "predict", lambda run: (run / "new/depths.csv").unlink()),
        "members trained with depth need the depth of each tile",
    ),
    Case(
        *("depth nan", "predict", at("new/depths.csv", edit, b"b,2", b"b,nan")),
        "depths.csv: depth of b is not a number: 'nan'",
    ),
    Case(
        *("below 16 pixels", "predict"),
        one_file(zipped({"t.png": SMALL_PNG, "depths.csv": b"id,z\nt,1\n"})),
        "expected tiles of at least 16 pixels a side, found 15x15",
    ),
]


@pytest.mark.parametrize("case", named(NEW_TILE_FAULTS))
def test_a_fault_of_new_tiles_is_named(tmp_path, run, capsys, case):
    case.spoil(run)
    assert_refused(case.stage, run, tmp_path, capsys, case.message)


# What may be wrong with a configuration, which is told before any job.

CONFIG_FAULTS = [
    Case("text for a number", "configuration", {"model.width": "8"}, "model.width: '8' is not of"),
    Case("a half", "configuration", {"training.epochs": 1.5}, "training.epochs: 1.5 is not of"),
    Case("float for a count", "configuration", {"training.epochs": 2.0}, "epochs: 2.0 is not of"),
    Case("yes for a number", "configuration", {"training.epochs": True}, "epochs: True is not of"),
    Case("nothing", "configuration", {"training.loss": None}, "training.loss: None is not one of"),
    Case("nan", "configuration", {"training.learning_rate": math.nan}, "learning_rate: nan is not"),
    Case("infinite", "configuration", {"augmentation.rotation": math.inf}, "rotation: inf is not"),
    Case("negative", "configuration", {"model.dropout": -0.1}, "model.dropout: -0.1 is less than"),
    Case("too great", "configuration", {"model.dropout": 1}, "model.dropout: 1 is greater than or"),
    Case("one fold", "configuration", {"validation.folds": 1}, "validation.folds: 1 is less than"),
    Case("no tiles", "configuration", {"data.demo.tiles": 0}, "data.demo.tiles: 0 is less than"),
    Case("no source", "configuration", {"data.source": ""}, "data.source: ''"),
    Case("unknown loss", "configuration", {"training.loss": "hinge"}, "training.loss: 'hinge' is"),
    Case("unknown key", "configuration", {"model.wdith": 8}, "model.wdith: unknown key; known are"),
    Case("unknown section", "configuration", {"modle": {}}, "modle: unknown key; known are ["),
    Case("a section of none", "configuration", {"model": None}, "model: None is not of type"),
    Case("no seeds", "configuration", {"ensemble.seeds": []}, "ensemble.seeds: [] should be non-e"),
    Case(
        *("seed twice", "configuration", {"ensemble.seeds": [1, 1]}),
        "ensemble.seeds: [1, 1] names one more than once; name each once",
    ),
    Case("seed of text", "configuration", {"ensemble.seeds": ["1"]}, "ensemble.seeds.0: '1' is"),
    Case("seed below 0", "configuration", {"ensemble.seeds": [-1]}, "ensemble.seeds.0: -1 is less"),
    Case(
        *("zoom reversed", "configuration", {"augmentation.zoom": [1.2, 0.9]}),
        "augmentation.zoom: least 1.2 is above greatest 0.9; swap them",
    ),
    Case("zoom of one", "configuration", {"augmentation.zoom": [1.0]}, "augmentation.zoom: [1.0]"),
    Case("zoom of none", "configuration", {"augmentation.zoom": [0, 1]}, "zoom.0: 0 is less than"),
    Case(
        *("floor above rate", "configuration", {"training.minimum_learning_rate": 1}),
        "training.minimum_learning_rate: above training.learning_rate; lower it",
    ),
    Case(
        *("all at once", "configuration", {"model.width": 0, "model.a": 1, "ensemble": 3}),
        "Configuration: 3 faults found",
    ),
]


@pytest.mark.parametrize("case", named(CONFIG_FAULTS))
def test_a_fault_of_the_configuration_is_named(case):
    config = copy.deepcopy(CONFIG)
    for path, value in case.spoil.items():
        *sections, key = path.split(".")
        at = config
        for section in sections:
            at = at[section]
        at[key] = value
    with pytest.raises(InputError) as caught:
        raise_faults("Configuration", faults(config, SCHEMA))
    assert case.message in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 1 + len(case.spoil)


def snakemake(folder: Path, config: dict, *targets) -> subprocess.CompletedProcess:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return run_snakemake(
        *("--snakefile", ROOT / "Snakefile", "--cores", "1"),
        *("--directory", folder / "run", "--configfile", path, "--", *targets),
    )


def test_the_workflow_names_contradictions_before_any_job(tmp_path):
    config = {"augmentation": {"zoom": [1.2, 0.9]}, "training": {"minimum_learning_rate": 1}}
    done = snakemake(tmp_path, config)
    assert done.returncode == 1
    assert "Configuration: 2 faults found" in done.stderr
    assert "augmentation.zoom: least 1.2 is above greatest 0.9" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run/results").exists()


def test_the_workflow_names_a_table_that_its_own_digest_cannot_read(tmp_path, survey):
    # Longer than Python's module for such tables takes.
    survey.set_depth(survey.ids[1], "9" * 200_000)
    path = survey.write(tmp_path / "survey", "flat zip")
    done = snakemake(tmp_path, {"data": {"source": str(path)}}, "results/data/train/tiles.csv")
    assert done.returncode == 1
    assert f"depths.csv: depth of {survey.ids[1]} is not a number: '999" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "run/results").glob("data/train/*"))


# Odd input that is no fault: the whole run must go through.


def constant_tiles(survey):
    for name in survey.files:
        if "/images/" in name:
            survey.files[name] = image_png(np.full((16, 18), 128, dtype=np.uint8))


def all_black(survey):
    for name in survey.files:
        if "/images/" in name:
            survey.files[name] = image_png(np.zeros((16, 18), dtype=np.uint8))


def masks_all(value):
    def spoil(survey):
        for name in survey.ids:
            full = np.full((16, 18), value)
            survey.files[f"train/masks/{name}.png"] = mask_png(full)
            survey.set_label(name, f"1 {16 * 18}" if value else "")

    return spoil


def masks_of_one_bit(survey):
    for name in survey.ids:
        survey.files[f"train/masks/{name}.png"] = png(survey.masks[name])


def depths_all_one(survey):
    for name in [*survey.ids, *survey.test_ids]:
        survey.set_depth(name, 400)


def paths_outside(survey):
    # Not among the survey's files, wherever they point.
    for name in ("../evil.png", "../../images/evil.png", "/tmp/evil.png", "..\\evil.png"):
        survey.files[name] = b"evil"


def windows_tables(survey):
    survey.tables["depths.csv"][0][0] = "\ufeffid"
    for rows in survey.tables.values():
        for row in rows:
            row[-1] = f"{row[-1]}\r"


SOUND = [
    Case("constant tiles", "all", constant_tiles, ""),
    Case("black tiles", "all", all_black, ""),
    Case("all masks empty", "all", masks_all(False), ""),
    Case("all masks full", "all", masks_all(True), ""),
    Case("masks of one bit", "all", masks_of_one_bit, ""),
    Case("depths all one", "all", depths_all_one, ""),
    Case("paths outside", "all", paths_outside, ""),
    Case("tables from Windows", "all", windows_tables, ""),
]


@pytest.mark.parametrize("case", named(SOUND))
def test_odd_input_that_is_no_fault_goes_through(tmp_path, case):
    survey = Survey(train=4, test=2, height=16, width=18)
    case.spoil(survey)
    folder = tmp_path / "some/where"
    folder.mkdir(parents=True)
    # At the top of the zip, where a nested one has no other files.
    import_of(survey, folder, "flat zip")
    whole_run(folder)
    found = json.loads((folder / "threshold.json").read_text())
    assert 0 <= found["score"] <= 1 and 0 <= found["threshold"] <= 1
    history = pd.read_csv(folder / "models/0.csv")
    assert np.isfinite(history.select_dtypes("number")).all(axis=None)
    assert Predictions.load(folder / "predicted/0.npy").values.shape == (2, 16, 18)
    assert pd.read_csv(folder / "submission.csv")["id"].tolist() == survey.test_ids
    assert not list(tmp_path.rglob("*evil*")) and not Path("/tmp/evil.png").exists()


def test_symlinks_in_a_folder_are_followed(tmp_path, survey):
    source = survey.write(tmp_path / "survey", "unpacked folder")
    (tmp_path / "linked/train").mkdir(parents=True)
    for name in ("train.csv", "depths.csv", "train/images"):
        (tmp_path / "linked" / name).symlink_to(source / name)
    (tmp_path / "linked/train/masks").mkdir()
    for file in (source / "train/masks").iterdir():
        (tmp_path / "linked/train/masks" / file.name).symlink_to(file)
    for path in (source, tmp_path / "linked"):
        given = ("--source", path, "--output", tmp_path / f"{path.name}-out/tiles.csv")
        assert stage("import_train", *given) == 0
    assert tree(tmp_path / "linked-out") == tree(tmp_path / "survey-out")


CATALOGUE = [
    *(FILE_FAULTS, LABEL_FAULTS, TABLE_FAULTS, PACKING_FAULTS, RUN_FAULTS),
    *(SETTING_FAULTS, NEW_TILE_FAULTS, CONFIG_FAULTS, SOUND),
]


def test_the_catalogue_is_long_and_no_case_hides_another():
    for table in CATALOGUE:
        names = [(case.stage, case.name) for case in table]
        assert len(set(names)) == len(names)
    assert sum(map(len, CATALOGUE)) >= 60


# A score of one tile


def test_a_score_of_one_tile_is_not_laid_to_the_members(finished, tmp_path):
    """Its threshold can be tuned on nothing else, but no member trained on it."""
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    folds = pd.read_csv(run / "folds.csv", dtype={"id": str})
    folds["fold"] = [0, *[1] * (len(folds) - 1)]
    folds.to_csv(run / "folds.csv", index=False)
    forget_checksums(run)
    holdout = {"validation": {"scheme": "holdout"}}
    for seed in ("0", "1"):
        given = arguments("predict_validation", run, run / "validation", **holdout)
        given = [Path(str(a).replace("/0.", f"/{seed}.")) for a in given]
        assert stage("predict_validation", *given) == 0
    for name in ("threshold", "review", "gallery", "plot_evaluation", "summary"):
        log = ["--log", run / f"{name}.log"]
        assert stage(name, *arguments(name, run, run, **holdout), *log) == 0
    report = json.loads((run / "threshold.json").read_text())
    assert report["tiles_scored"] == 1 and not report["honest"]
    said = {
        "message": describe(report),
        **{
            name: (run / name).read_text()
            for name in ("threshold.log", "summary.txt", "score.svg", "tile_scores.svg")
        },
        "calibration.svg": (run / "calibration.svg").read_text(),
        "members.svg": (run / "members.svg").read_text(),
    }
    for name, text in said.items():
        text = " ".join(text.split())
        assert "the threshold was tuned on the same tile" in text, name
        assert "members trained" not in text and "training tiles" not in text, name
    assert pd.read_csv(run / "review.csv")["honest"].all()
