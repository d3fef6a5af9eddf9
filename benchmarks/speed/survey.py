"""Benchmark data: the demo survey's tiles, repeated as needed."""

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
from scipy import ndimage

from saltseg.ensemble.predictions import save
from saltseg.survey.import_train import import_train
from saltseg.survey.source import Source
from saltseg.synthetic.demo import write_survey

UNIQUE = 640
BLUR, NOISE = 3.0, 0.05  # of the predictions: blur in pixels, noise as a standard deviation


def unique(folder: Path) -> Path:
    """Write a demo survey of ``UNIQUE`` labelled tiles, and its arrays to ``tiles.npz``."""
    path = folder / "unique.zip"
    if not path.exists():
        sections = folder / "sections.csv"
        write_survey(path, sections, tiles=UNIQUE, test_tiles=16, tile_size=101, seed=0)
    if not (folder / "tiles.npz").exists():
        with Source(path) as source:
            _, images, masks = import_train(source)
        np.savez(folder / "tiles.npz", images=images, masks=masks)
    return path


def tiles_and_masks(survey: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images, uint8, and masks, bool, both (count, 101, 101)."""
    with np.load(survey) as arrays:
        rows = np.arange(count) % len(arrays["images"])
        return arrays["images"][rows], arrays["masks"][rows]


def write_test_tiles(path: Path, count: int) -> None:
    """Write a survey of ``count`` test tiles as PNG files with distinct ids."""
    if path.exists():
        return
    with Source(unique(path.parent)) as source, zipfile.ZipFile(path, "w") as archive:
        names = source.ids("train/images")
        pictures = [source.read(f"train/images/{name}.png") for name in names]
        ids = [f"{number:010x}" for number in range(count)]
        for number, name in enumerate(ids):
            archive.writestr(f"test/images/{name}.png", pictures[number % len(pictures)])
        for table, column, value in (
            ("sample_submission.csv", "rle_mask", ""),
            ("depths.csv", "z", "500"),
        ):
            text = io.StringIO()
            csv.writer(text).writerows([["id", column], *([name, value] for name in ids)])
            archive.writestr(table, text.getvalue())


def write_members(folder: Path, members: int, tiles: int) -> None:
    """Write predictions to ``folder``/TILES: blurred masks, with noise per member."""
    with np.load(folder / "tiles.npz") as arrays:
        blurred = ndimage.gaussian_filter(arrays["masks"].astype(np.float32), (0, BLUR, BLUR))
    rows = np.arange(tiles) % len(blurred)
    for number in range(members):
        path = folder / f"{tiles}/{number}.h5"
        if not path.exists():
            noise = np.random.default_rng(number).normal(0, NOISE, blurred.shape)
            values = np.clip(blurred + noise, 0, 1).astype(np.float32)
            ids = [f"{row:010x}" for row in range(tiles)]
            save(path, ids, values.shape[1:], (values[[row]] for row in rows))
