"""Import unlabelled tiles to packed arrays, with all problems reported at once."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from saltseg.core.errors import raise_faults
from saltseg.survey.decoding import (
    decode_all,
    decode_image,
    depths_of,
    id_faults,
    read_table,
    strays,
)
from saltseg.survey.source import Source


def import_test(source: Source, room: Callable = np.zeros) -> tuple[pd.DataFrame, np.ndarray]:
    """Table (id, depth) and images (uint8) of test tiles, in sample_submission.csv's order.

    Without sample_submission.csv, they are sorted by id. Depths that are not known are NaN.

    ``room`` returns where the images go, as in ``decode_all``.

    Raises InputError that lists all problems of the tables, the PNG files, and between them.
    """
    faults: list[str] = []
    if source.has("sample_submission.csv"):
        table = read_table(source, "sample_submission.csv", ["id", "rle_mask"])
        faults.extend(id_faults(table["id"], "sample_submission.csv"))
        if table.empty:
            faults.append("sample_submission.csv: no rows, so there is nothing to predict")
        ids = table["id"].drop_duplicates().tolist()
        faults.extend(strays(source, "test/images", ids, "sample_submission.csv"))
    else:
        ids = source.ids("test/images")
        faults.extend(id_faults(ids, "test/images"))
        if not ids:
            faults.append("no test tiles: expected test/images/ID.png")
    depth = depths_of(source, ids, faults)
    images, _ = decode_all(source, "test/images", ids, decode_image, faults, room)
    raise_faults(f"{source.path} (test tiles)", faults)
    return pd.DataFrame({"id": ids, "depth": depth}), images
