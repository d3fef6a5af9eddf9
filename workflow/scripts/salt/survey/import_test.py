"""Unlabelled tiles from a source to packed arrays, every fault found in one go."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from salt.core.errors import raise_faults
from salt.survey.source import Source
from salt.survey.tiles import decode_all, decode_image, depths_of, id_faults, read_table, strays


def import_test(source: Source, room: Callable = np.zeros) -> tuple[pd.DataFrame, np.ndarray]:
    """Table (id, depth) and images (uint8) of test tiles, in sample_submission.csv's order.

    The images are put to what ``room`` makes of their shape and type, as in ``decode_all``.

    Raises InputError with all faults of the tables, the PNG files, and between the two.
    """
    table = read_table(source, "sample_submission.csv", ["id", "rle_mask"])
    depths = read_table(source, "depths.csv", ["id", "z"])
    faults = list(id_faults(table["id"], "sample_submission.csv"))
    if table.empty:
        faults.append("sample_submission.csv: no rows, so there is nothing to predict")
    ids = table["id"].drop_duplicates().tolist()
    faults.extend(strays(source, "test/images", ids, "sample_submission.csv"))
    depth = depths_of(depths, ids, faults)
    images, _ = decode_all(source, "test/images", ids, decode_image, faults, room)
    raise_faults(f"{source.path} (test tiles)", faults)
    return pd.DataFrame({"id": ids, "depth": depth}), images
