"""Packed tiles of a dataset: one HDF5 file of the labelled ones, one of the test tiles.

Its datasets are, in the same order, ``id``, ``depth`` (NaN where not known), ``image`` (uint8,
tiles x height x width) and, of labelled tiles, ``coverage`` (share of the tile that is salt) and
``mask`` (bool, shaped as the images); of tiles cut from a volume, also the ``line`` they are of.
"""

from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from saltseg.core.errors import LISTED_FAULTS, InputError, printable
from saltseg.core.files import replacing
from saltseg.core.hdf import HdfFile, Rows, writing
from saltseg.core.tables import write_csv

COLUMNS = {"id": str, "depth": np.float64, "coverage": np.float64, "line": str}


def save(
    path: Path | str, table: pd.DataFrame, images: np.ndarray, masks: np.ndarray | None = None
) -> None:
    """Write tiles: a table of some COLUMNS, images and, where known, masks."""
    with writing(path) as file:
        file.put_table(table.astype({name: COLUMNS[name] for name in table}))
        file.put("image", images)
        if masks is not None:
            file.put("mask", masks, compress=True)


def save_copies(
    table_path: Path | None, masks_path: Path | None, table: pd.DataFrame, masks: np.ndarray
) -> None:
    """Write what was imported of the labels to where users want plain files, which no stage reads.

    Args:
        table_path: of a CSV file.
        masks_path: of a NumPy file.
    """
    if table_path:
        write_csv(table, table_path)
    if masks_path:
        with replacing(masks_path) as path, open(path, "wb") as file:
            # Not by np.save, whose error says nothing of a full disk.
            header = np.lib.format.header_data_from_array_1_0(masks)
            np.lib.format.write_array_header_1_0(file, header)
            for mask in masks:
                file.write(mask.tobytes())


class RowRange:
    """Some neighbouring rows of an array, read as used."""

    def __init__(self, array: Rows | np.ndarray, rows: range):
        self.array, self.rows = array, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, part: slice) -> np.ndarray:
        rows = self.rows[part]
        return self.array[rows.start : rows.stop]


class Tiles:
    """Tiles in a file; images and masks are read from disk as used.

    table: columns id (str), depth (float64) and, where masks are known, coverage (float64)
    images: uint8 (tiles, height, width)
    masks: bool (tiles, height, width)
    """

    def __init__(self, path: Path | str):
        """Open ``train.h5`` or ``test.h5``; InputError if it is damaged."""
        self.path = Path(path)
        self._file = HdfFile(self.path)
        optional = {name for name in ("coverage", "line") if name not in self._file}
        self.table = self._file.table(
            {name: kind for name, kind in COLUMNS.items() if name not in optional}
        )
        self.images = self._file.rows("image", np.uint8, (len(self.table), None, None))

    @property
    def ids(self) -> list[str]:
        return self.table["id"].tolist()

    @property
    def depths(self) -> np.ndarray:
        """Depth of each tile, float32 (tiles), NaN if it is not known."""
        return self.table["depth"].to_numpy(dtype=np.float32)

    def require_depths(self) -> None:
        """Raise InputError, naming the tiles, where the depth of any is not known."""
        missing = self.table["id"][self.table["depth"].isna()].tolist()
        if missing:
            raise InputError(no_depths(missing, len(self.table)))

    @cached_property
    def masks(self) -> Rows:
        return self._file.rows("mask", bool, self.images.shape)

    def require_labels(self) -> None:
        """Raise InputError if the tiles are not labelled."""
        if "coverage" not in self.table:
            raise InputError(f"{self.path}: expected labelled tiles, found no masks")


def no_depths(missing: list[str], tiles: int) -> str:
    """Return the message for tiles without the depths that networks need."""
    names = ", ".join(map(printable, missing[:LISTED_FAULTS])) + ", ..." * (
        len(missing) > LISTED_FAULTS
    )
    return (
        f"depths.csv: no depth for {len(missing)} of {tiles} tiles ({names}), which model.depth "
        "needs; add them, or set model.depth to none"
    )
