"""Labelled tiles from a source to packed arrays, every fault found in one go."""

import numpy as np
import pandas as pd

from salt import rle
from salt.errors import raise_faults
from salt.source import Source
from salt.tiles import decode_all, decode_image, decode_mask, depths_of, id_faults, read_table


def import_train(source: Source) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Table (id, depth, coverage), images (uint8) and masks (bool) of labelled tiles, by id.

    Raises InputError with all faults of the tables, the PNG files, and between the two.
    """
    table = read_table(source, "train.csv", ["id", "rle_mask"])
    depths = read_table(source, "depths.csv", ["id", "z"])
    faults = list(id_faults(table["id"], "train.csv"))
    if table.empty:
        faults.append("train.csv: no rows")
    raise_faults(f"{source.path} (labelled tiles)", faults)

    table = table.sort_values("id", ignore_index=True)
    ids = table["id"].tolist()
    for folder in ("images", "masks"):
        present = set(source.ids(f"train/{folder}"))
        faults.extend(
            f"train/{folder}/{name}.png has no row in train.csv"
            for name in sorted(present - set(ids))
        )
    depth = depths_of(depths, ids, faults)
    images = decode_all([f"train/images/{i}.png" for i in ids], source.read, decode_image, faults)
    masks = decode_all([f"train/masks/{i}.png" for i in ids], source.read, decode_mask, faults)
    if images is not None and masks is not None and images.shape[1:] != masks.shape[1:]:
        faults.append(f"images are {images.shape[1:]} pixels and masks {masks.shape[1:]}")
    raise_faults(f"{source.path} (labelled tiles)", faults)

    faults.extend(_label_faults(ids, table["rle_mask"], masks))
    raise_faults(f"{source.path} (labelled tiles)", faults)
    coverage = masks.mean(axis=(1, 2), dtype=np.float64)
    return pd.DataFrame({"id": ids, "depth": depth, "coverage": coverage}), images, masks


def _label_faults(ids, texts, masks):
    for name, text, mask in zip(ids, texts, masks, strict=True):
        try:
            if not np.array_equal(rle.decode(text, mask.shape), mask):
                yield f"train.csv: the mask of {name} differs from train/masks/{name}.png"
        except ValueError as error:
            yield f"train.csv: mask of {name}: {error}"
