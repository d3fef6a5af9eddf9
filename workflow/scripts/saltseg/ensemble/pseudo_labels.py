"""Masks of unlabelled tiles from members' own predictions, to train further members on.

``NAME.npy`` holds bool (tiles, height, width), and ``NAME.csv`` beside it the column id and the
column confidence, one row per tile in the same order.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from saltseg.core.arrays import NpyRows, ids_beside, open_npy
from saltseg.core.files import replacing, write_npy

LABEL_AGAIN = "delete it to label again"


@dataclass(frozen=True)
class PseudoLabels:
    """Ids, and masks as bool (tiles, height, width), from a file."""

    path: Path
    ids: list[str]
    masks: NpyRows | np.ndarray

    @classmethod
    def load(cls, path: Path | str) -> "PseudoLabels":
        """Open ``NAME.npy`` and the ids beside it; InputError if they do not fit together."""
        path = Path(path)
        ids = ids_beside(path, LABEL_AGAIN)
        return cls(path, ids, open_npy(path, bool, len(ids), "beside it", LABEL_AGAIN))


def save(path: Path | str, ids: list[str], masks: np.ndarray, sure: np.ndarray) -> None:
    """Write masks, bool (tiles, height, width), with the tiles' ids and confidence."""
    path = Path(path)
    write_npy(path, bool, masks.shape, [masks])
    with replacing(path.with_suffix(".csv")) as part:
        pd.DataFrame({"id": ids, "confidence": sure}).to_csv(part, index=False)
