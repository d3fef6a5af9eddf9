"""The submission: mean over members, threshold and run-length encoding."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from saltseg.core import rle
from saltseg.core.errors import InputError
from saltseg.core.files import replacing
from saltseg.core.quantisation import SCALE
from saltseg.ensemble.predictions import PREDICT_AGAIN, Predictions, sum_values


def write_submission(
    path: Path | str, ids: list[str], predictions: list[Predictions], weight: int, threshold: float
) -> int:
    """Write a row per id, in the given order, and return the number of tiles with salt.

    Holds one chunk of one file's probabilities in memory at a time. Raises InputError unless each
    tile was predicted by members of that ``weight`` together.
    """
    return write_table(path, ids, _masks(ids, predictions, weight, threshold))


def _masks(
    ids: list[str], predictions: list[Predictions], weight: int, threshold: float
) -> Iterator[np.ndarray]:
    for rows, total, count in sum_values(predictions, ids):
        for row in np.flatnonzero(count != weight):
            raise InputError(
                f"{predictions[0].path.parent}: expected predictions of the {len(ids)} test tiles "
                f"by members of weight {weight}, found {count[row]} of {ids[rows][row]}; "
                f"{PREDICT_AGAIN}"
            )
        yield from total / (weight * SCALE) > threshold


def write_table(path: Path | str, ids: list[str], masks: Iterable[np.ndarray]) -> int:
    """Write a row per id from an iterable of masks, bool (height, width).

    Return the number of tiles with salt.
    """
    with_salt = 0
    with replacing(path) as part, open(part, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "rle_mask"])
        for name, mask in zip(ids, masks, strict=True):
            with_salt += bool(mask.any())
            writer.writerow([name, rle.encode(mask)])
    return with_salt
