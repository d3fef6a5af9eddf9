"""Packed tiles: writing their arrays, and reading them again.

A packed part is a folder of ``tiles.csv`` (id of each tile, its depth where known, and its
coverage where the mask is), ``images.npy`` (uint8, tiles x height x width) and, where known,
``masks.npy`` (bool, same shape), all in the same order.
"""

from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from saltseg.core.arrays import NpyRows, open_npy
from saltseg.core.errors import LISTED_FAULTS, InputError, printable
from saltseg.core.files import replacing, write_npy
from saltseg.core.tables import read_csv

IMPORT_AGAIN = "delete it to import again"


def save(
    path: Path | str, table: pd.DataFrame, images: np.ndarray, masks: np.ndarray | None = None
) -> None:
    """Write the table to ``path``, and images.npy and, where given, masks.npy beside it."""
    path = Path(path)
    for name, array in (("images", images), ("masks", masks)):
        if array is not None:
            write_npy(path.with_name(f"{name}.npy"), array.dtype, array.shape, [array])
    with replacing(path) as part:
        table.to_csv(part, index=False)


class Rows:
    """Some neighbouring rows of an array, read as used."""

    def __init__(self, array: NpyRows | np.ndarray, rows: range):
        self.array, self.rows = array, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, part: slice) -> np.ndarray:
        rows = self.rows[part]
        return self.array[rows.start : rows.stop]


class Tiles:
    """A packed part; its arrays are opened when first asked for, and read from disk as used.

    table: columns id (str), depth (float64) and, where masks are known, coverage (float64, share
        of the tile that is salt)
    images: uint8 (tiles, height, width)
    masks: bool (tiles, height, width)
    """

    def __init__(self, path: Path | str):
        """Open the part of a ``tiles.csv``; InputError if it is damaged, or its arrays are."""
        self.path = Path(path)
        self.table = read_csv(
            self.path,
            IMPORT_AGAIN,
            dtype={"id": str},
            keep_default_na=False,
            na_values={"depth": [""]},
        )
        numbers = [name for name in ("depth", "coverage") if name in self.table]
        if (
            not {"id", "depth"} <= set(self.table.columns)
            or self.table["id"].duplicated().any()
            or not all(pd.api.types.is_numeric_dtype(self.table[name]) for name in numbers)
            or np.isinf(self.table[numbers].to_numpy(np.float64)).any()
            or self.table[numbers].drop(columns="depth").isna().any(axis=None)
        ):
            raise InputError(
                f"{self.path}: expected the columns id, depth and, of labelled tiles, coverage, "
                "with distinct ids and numbers (depths may be missing); found "
                f"{printable(','.join(map(str, self.table.columns)))} of {len(self.table)} rows; "
                f"{IMPORT_AGAIN}"
            )

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
    def images(self) -> NpyRows:
        return self._open("images.npy", np.uint8)

    @cached_property
    def masks(self) -> NpyRows:
        masks = self._open("masks.npy", bool)
        # Not every stage has the images.
        images = self.__dict__.get("images", masks)
        if images.shape != masks.shape:
            raise InputError(
                f"{self.path.with_name('masks.npy')}: expected masks of shape {images.shape}, as "
                f"the images beside them, found {masks.shape}; {IMPORT_AGAIN}"
            )
        return masks

    def _open(self, name: str, dtype: type) -> NpyRows:
        path, tiles = self.path.with_name(name), len(self.table)
        return open_npy(path, dtype, tiles, f"of {self.path.name}", IMPORT_AGAIN)


def no_depths(missing: list[str], tiles: int) -> str:
    """Return the message for tiles without the depths that networks need."""
    names = ", ".join(map(printable, missing[:LISTED_FAULTS])) + ", ..." * (
        len(missing) > LISTED_FAULTS
    )
    return (
        f"depths.csv: no depth for {len(missing)} of {tiles} tiles ({names}), which model.depth "
        "needs; add them, or set model.depth to none"
    )
