"""Labelled tiles from a source to packed arrays, every fault found in one go."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from salt.core import labels
from salt.core.errors import raise_faults, shown
from salt.survey.source import Source
from salt.survey.tiles import (
    decode_all,
    decode_image,
    decode_mask,
    depths_of,
    id_faults,
    read_table,
    strays,
)


def import_train(source: Source) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Table (id, depth, coverage), images (uint8) and masks (bool) of labelled tiles, by id.

    Raises InputError with all faults of the tables, the PNG files, and between the two.
    """
    table = read_table(source, "train.csv", ["id", "rle_mask"])
    depths = read_table(source, "depths.csv", ["id", "z"])
    faults = list(id_faults(table["id"], "train.csv"))
    if table.empty:
        faults.append("train.csv: no rows, so there is nothing to train on")

    table = table.drop_duplicates("id").sort_values("id", ignore_index=True)
    ids = table["id"].tolist()
    for folder in ("images", "masks"):
        faults.extend(strays(source, f"train/{folder}", ids, "train.csv"))
    depth = depths_of(depths, ids, faults)
    images, _ = decode_all(source, "train/images", ids, decode_image, faults)
    masks, readable = decode_all(source, "train/masks", ids, decode_mask, faults)
    if images.shape != masks.shape and images.size and masks.size:
        faults.append(f"images are {images.shape[1:]} pixels, masks {masks.shape[1:]}")
    for row in np.flatnonzero(readable):
        faults.extend(_label_faults(ids[row], table["rle_mask"][row], masks[row]))
    raise_faults(f"{source.path} (labelled tiles)", faults)

    coverage = masks.mean(axis=(1, 2), dtype=np.float64)
    return pd.DataFrame({"id": ids, "depth": depth, "coverage": coverage}), images, masks


def _label_faults(name: str, text: str, mask: np.ndarray) -> Iterator[str]:
    try:
        if not np.array_equal(labels.decode(text, mask.shape), mask):
            png = shown(f"train/masks/{name}.png")
            yield f"train.csv: the mask of {shown(name)} differs from {png}"
    except ValueError as error:
        yield f"train.csv: mask of {shown(name)}: {error}"
