"""Masks of unlabelled tiles from members' own predictions, to train further members on.

An HDF5 file of the datasets ``id``, ``confidence`` and ``mask``, bool (tiles, height, width), in
the same order.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from saltseg.core.hdf import HdfFile, Rows, writing


@dataclass(frozen=True)
class PseudoLabels:
    """Ids, and masks as bool (tiles, height, width), from a file."""

    path: Path
    ids: list[str]
    masks: Rows | np.ndarray

    @classmethod
    def load(cls, path: Path | str) -> "PseudoLabels":
        """Open a file of pseudo-labels; InputError if it is damaged."""
        file = HdfFile(path)
        ids = file.texts("id")
        return cls(file.path, ids, file.rows("mask", bool, (len(ids), None, None)))


def save(path: Path | str, ids: list[str], masks: np.ndarray, sure: np.ndarray) -> None:
    """Write masks, bool (tiles, height, width), with the tiles' ids and confidence."""
    with writing(path) as file:
        file.put_table(pd.DataFrame({"id": pd.Series(ids, dtype=str), "confidence": sure}))
        file.put("mask", masks, compress=True)
