"""This project's import, threshold, averaging and encoding, called the way its stages do."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from survey import tiles_and_masks

from saltseg.core import rle
from saltseg.ensemble.predictions import Predictions, load_all
from saltseg.evaluation import threshold
from saltseg.output.submission import write_submission
from saltseg.survey.import_test import import_test
from saltseg.survey.source import Source


def importing(source: str) -> Callable[[], int]:
    """Decode and check test tiles, from PNG files in a zip to one array."""

    def repeat() -> int:
        with Source(source) as files:
            return len(import_test(files)[1])

    return repeat


def members_and_masks(survey: str, folder: str, members: int, tiles: int):
    paths = [Path(folder) / f"{tiles}/{number}.h5" for number in range(members)]
    ids = Predictions.load(paths[0]).ids
    return load_all(paths, ids), ids, tiles_and_masks(survey, tiles)[1]


def thresholding(survey: str, folder: str, members: int, tiles: int) -> Callable[[], dict]:
    """Find the best threshold of the members' mean, and its score."""

    def repeat() -> dict:
        opened, ids, masks = members_and_masks(survey, folder, members, tiles)
        curve = threshold.steps_of_members(opened, ids, masks).curve(np.ones(tiles, dtype=bool))
        best = curve.best()
        return {"tiles": tiles, "threshold": best, "score": curve.score(best)}

    return repeat


def submitting(folder: str, members: int, tiles: int, output: str) -> Callable[[], int]:
    """Average members, apply the threshold, encode, write and read back."""
    paths = [Path(folder) / f"{tiles}/{number}.h5" for number in range(members)]
    ids = Predictions.load(paths[0]).ids

    def repeat() -> int:
        write_submission(output, ids, load_all(paths, ids), len(paths), 0.5)
        return tiles

    return repeat


def encoding(survey: str, tiles: int) -> Callable[[], int]:
    _, masks = tiles_and_masks(survey, tiles)

    def repeat() -> int:
        for mask in masks:
            rle.encode(mask)
        return tiles

    return repeat
