"""The submission: mean over members, threshold, run-length encoding, and a last check."""

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from salt import labels, rle
from salt.errors import InputError
from salt.files import replacing
from salt.predictions import Predictions, averaged


def write_submission(
    path: Path | str, ids: list[str], members: list[Predictions], threshold: float
) -> int:
    """Write a row per id, in the given order, and give the number of tiles with salt.

    Holds the probabilities of some tiles and one member at a time. Raises InputError where a
    member's tiles are others, or where the written file does not read back as what was meant.
    """
    for member in members:
        odd = sorted(set(ids) ^ set(member.ids))
        if odd:
            raise InputError(
                f"{member.path}: expected the {len(ids)} test tiles, found {len(member.ids)}, "
                f"different in {odd[0]}; delete it to predict again"
            )
    masks = (mask for _, mean in averaged(members, ids) for mask in mean > threshold)
    return write_table(path, ids, members[0].values.shape[1:], masks)


def write_table(
    path: Path | str, ids: list[str], shape: tuple[int, int], masks: Iterable[np.ndarray]
) -> int:
    """Write a row per id for masks, bool of ``shape`` (height, width), one by one as they come.

    Gives the number of tiles with salt. Raises InputError where the written file does not read back
    as what was meant.
    """
    areas = []
    with replacing(path) as part:
        with open(part, "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["id", "rle_mask"])
            for name, mask in zip(ids, masks, strict=True):
                areas.append(int(mask.sum()))
                writer.writerow([name, rle.encode(mask)])
        _check(part, ids, shape, areas)
    return int(np.count_nonzero(areas))


def _check(path: Path, ids: list[str], shape: tuple[int, int], areas: list[int]) -> None:
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if table["id"].tolist() != ids:
        raise InputError(f"{path}: its ids do not read back as the {len(ids)} meant")
    for name, text, area in zip(ids, table["rle_mask"], areas, strict=True):
        if int(labels.decode(text, shape).sum()) != area:
            raise InputError(f"{path}: mask of {name} does not read back with {area} pixels")
