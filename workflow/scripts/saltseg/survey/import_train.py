"""Import labelled tiles to packed arrays, with all problems reported at once."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from saltseg.core import rle
from saltseg.core.errors import printable, raise_faults
from saltseg.survey.decoding import (
    decode_all,
    decode_image,
    decode_mask,
    depths_of,
    id_faults,
    read_table,
    strays,
)
from saltseg.survey.source import Source


def import_train(source: Source) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Table (id, depth, coverage), images (uint8) and masks (bool) of labelled tiles, by id.

    Without train.csv, the names of images and masks are the ids. Depths that are not known are NaN.

    Raises InputError that lists all problems of the tables, the PNG files, and between them.
    """
    faults: list[str] = []
    if source.has("train.csv"):
        table = read_table(source, "train.csv", ["id", "rle_mask"])
        faults.extend(id_faults(table["id"], "train.csv"))
        if table.empty:
            faults.append("train.csv: no rows, so there is nothing to train on")
        table = table.drop_duplicates("id").sort_values("id", ignore_index=True)
        ids, runs = table["id"].tolist(), table["rle_mask"].tolist()
        for folder in ("images", "masks"):
            faults.extend(strays(source, f"train/{folder}", ids, "train.csv"))
    else:
        ids, runs = _paired(source, faults), None
    depth = depths_of(source, ids, faults)
    images, _ = decode_all(source, "train/images", ids, decode_image, faults)
    masks, readable = decode_all(source, "train/masks", ids, decode_mask, faults)
    if images.shape != masks.shape and images.size and masks.size:
        faults.append(f"images are {images.shape[1:]} pixels, masks {masks.shape[1:]}")
    if runs is not None:
        for row in np.flatnonzero(readable):
            faults.extend(_label_faults(source, ids[row], runs[row], masks[row]))
    raise_faults(f"{source.path} (labelled tiles)", faults)

    coverage = masks.mean(axis=(1, 2), dtype=np.float64)
    return pd.DataFrame({"id": ids, "depth": depth, "coverage": coverage}), images, masks


def _paired(source: Source, faults: list[str]) -> list[str]:
    """Ids that have both an image and a mask, sorted; adds what lacks the other to ``faults``."""
    images, masks = set(source.ids("train/images")), set(source.ids("train/masks"))
    folders = ", ".join(map(source.called, ("train/images", "train/masks")))
    faults.extend(id_faults(sorted(images | masks), folders))
    for here, there, folder, other in (
        (images, masks, "images", "masks"),
        (masks, images, "masks", "images"),
    ):
        for name in sorted(here - there):
            png, partner = (f"train/{each}/{name}.png" for each in (folder, other))
            faults.append(f"{source.called(png)} has no {source.called(partner)}")
    if not images | masks:
        faults.append(
            "no labelled tiles: expected images/ID.png and masks/ID.png, or the same in train/"
        )
    return sorted(images & masks)


def _label_faults(source: Source, name: str, text: str, mask: np.ndarray) -> Iterator[str]:
    try:
        if not np.array_equal(rle.decode(text, mask.shape), mask):
            png = source.called(f"train/masks/{name}.png")
            yield f"train.csv: the mask of {printable(name)} differs from {png}"
    except ValueError as error:
        yield f"train.csv: mask of {printable(name)}: {error}"
