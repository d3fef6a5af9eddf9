"""Import, threshold, averaging and encoding in their simplest form."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ours_data import members_and_masks
from PIL import Image
from survey import tiles_and_masks

from saltseg.core import metric
from saltseg.core.quantisation import SCALE
from saltseg.ensemble.predictions import Predictions


def importing(source: str) -> Callable[[], int]:
    """Import one file after another, keeping the first channel."""

    def repeat() -> int:
        with zipfile.ZipFile(source) as archive:
            names = [name for name in archive.namelist() if name.startswith("test/images/")]
            pictures = [np.array(Image.open(io.BytesIO(archive.read(name)))) for name in names]
        return len(np.stack([p if p.ndim == 2 else p[..., 0] for p in pictures]))

    return repeat


def thresholding(survey: str, folder: str, members: int, tiles: int) -> Callable[[], dict]:
    """Search a grid in three steps from coarse to fine, with 20 evaluations each."""

    def repeat() -> dict:
        opened, _, masks = members_and_masks(survey, folder, members, tiles)
        mean = np.mean([m.values for m in opened], axis=0, dtype=np.float32) / SCALE
        low, high = 0.0, 1.0
        for _ in range(3):
            grid = np.linspace(low, high, 20)
            scores = [metric.tile_scores(mean > value, masks).mean() for value in grid]
            best = int(np.argmax(scores))
            low, high = grid[max(best - 1, 0)], grid[min(best + 1, 19)]
        return {"tiles": tiles, "threshold": float(grid[best]), "score": float(max(scores))}

    return repeat


def submitting(folder: str, members: int, tiles: int, output: str) -> Callable[[], int]:
    """Average all members in memory at once, and encode masks pixel by pixel."""
    paths = [Path(folder) / f"{tiles}/{number}.h5" for number in range(members)]

    def repeat() -> int:
        mean = np.mean([Predictions.load(path).values[:] for path in paths], axis=0) / SCALE
        with open(output, "w", encoding="utf-8") as file:
            file.write("id,rle_mask\n")
            for number, mask in enumerate(mean > 0.5):
                file.write(f"{number},{encode(mask)}\n")
        return tiles

    return repeat


def encode(mask: np.ndarray) -> str:
    runs, start, length = [], 0, 0
    for place, pixel in enumerate(mask.T.flatten(), start=1):
        if pixel:
            start, length = (start, length + 1) if length else (place, 1)
        elif length:
            runs += [start, length]
            length = 0
    if length:
        runs += [start, length]
    return " ".join(map(str, runs))


def encoding(survey: str, tiles: int) -> Callable[[], int]:
    _, masks = tiles_and_masks(survey, tiles)

    def repeat() -> int:
        for mask in masks:
            encode(mask)
        return tiles

    return repeat
