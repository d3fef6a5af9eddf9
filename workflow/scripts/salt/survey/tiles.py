"""Tiles: decoding PNG files, packing them to arrays, and reading the arrays again.

A packed part is a folder of ``tiles.csv`` (id of each tile, its depth where known, and its
coverage where the mask is), ``images.npy`` (uint8, tiles x height x width) and, where known,
``masks.npy`` (bool, same shape), all in the same order.
"""

import io
import os
import re
import tokenize
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError

from salt.core.checksums import CheckedFile, DamagedError
from salt.core.errors import InputError, shown
from salt.core.files import replacing, write_npy
from salt.core.tables import read_csv
from salt.survey.source import Files, no_depths

# Ids become file names of predictions and rows of a CSV file.
SAFE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
# The contest's tiles have 101 pixels a side; a small file that unpacks to far more may be a bomb.
LARGEST_SIDE = 2048
# The contest has 22,000 tiles; far longer tables would fill the memory before anything is checked.
LARGEST_ROWS = 1_000_000
LARGEST_HEADER = 1000  # characters
CHUNK = 64  # tiles that a thread decodes at a time
IMPORT_AGAIN = "delete it to import again"
# What NumPy raises for headers that are cut or altered.
DAMAGED_NPY = (
    *(OSError, ValueError, EOFError, SyntaxError, tokenize.TokenError),
    *(TypeError, OverflowError, RecursionError),
)


def decode_image(data: bytes) -> np.ndarray:
    """A seismic tile from a PNG file: uint8 (height, width). Raises ValueError with the reason."""
    pixels, mode = _decode(data)
    if mode == "L":
        return pixels
    if mode == "RGB":
        # The contest's tiles are grey pictures saved as three equal channels.
        grey = np.ascontiguousarray(pixels[..., 0])
        if (pixels[..., 1] != grey).any() or (pixels[..., 2] != grey).any():
            raise ValueError("expected a grey picture, found different colour channels")
        return grey
    raise ValueError(f"expected 8-bit grey or RGB, found mode {mode}")


def decode_mask(data: bytes) -> np.ndarray:
    """A mask from a PNG file: bool (height, width), True where salt. Raises ValueError."""
    pixels, mode = _decode(data)
    if mode not in ("1", "L", "I;16"):
        raise ValueError(f"expected a mask of 1, 8 or 16 bits, found mode {mode}")
    # The contest's masks are 8-bit where empty and {0, 65535} elsewhere: compare before converting.
    mask = pixels > 0
    if len(np.unique(pixels[mask])) > 1:
        raise ValueError("expected two values, salt or not, found more")
    return mask


def _decode(data: bytes) -> tuple[np.ndarray, str]:
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            width, height = picture.size
            if max(width, height) <= LARGEST_SIDE:
                # Pillow cuts 16 bits a channel to 8 without a word.
                cut = picture.mode == "RGB" and data[24] == 16
                return np.asarray(picture), picture.mode + ";16" * cut
    except UnidentifiedImageError:
        raise ValueError("not a PNG file" if data else "empty file") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"too large a picture ({error})") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"damaged PNG file ({error})") from None
    raise ValueError(f"{width}x{height} pixels, more than the {LARGEST_SIDE} a side allowed")


def read_table(source: Files, name: str, columns: list[str]) -> pd.DataFrame:
    """A CSV table as text, empty fields as empty strings; InputError on other columns."""
    data, expected = source.read(name), f"{name}: expected the columns {','.join(columns)}, "
    if len(b"".join(data[: LARGEST_HEADER + 1].splitlines()[:1])) > LARGEST_HEADER:
        raise InputError(f"{expected}found a first line of more than {LARGEST_HEADER} characters")
    try:
        table = pd.read_csv(
            io.BytesIO(data), dtype=str, keep_default_na=False, nrows=LARGEST_ROWS + 1
        )
    except ValueError as error:
        raise InputError(f"{name}: not a readable table ({str(error).strip()})") from None
    if list(table.columns) != columns:
        raise InputError(f"{expected}found {shown(','.join(map(str, table.columns)))}")
    # Where rows are longer than the header, pandas takes their first fields for names of rows.
    if not isinstance(table.index, pd.RangeIndex):
        raise InputError(f"{expected}found rows of more fields than that; remove the others")
    if len(table) > LARGEST_ROWS:
        raise InputError(f"{name}: more than the {LARGEST_ROWS} rows allowed")
    return table


def id_faults(ids: Iterable[str], where: str) -> Iterator[str]:
    """Ids that are doubled or cannot name a file."""
    ids = pd.Series(list(ids), dtype=str)
    for name in ids[ids.duplicated()].unique():
        yield f"{where}: id {shown(repr(name))} is there more than once"
    for name in ids.unique():
        if not SAFE_ID.fullmatch(name):
            yield (
                f"{where}: id {shown(repr(name))} may hold only letters, digits, '-' and '_' "
                "(64 at most)"
            )


def depths_of(
    source: Files, ids: list[str], faults: list[str], required: bool = False
) -> np.ndarray:
    """Depths of ``ids`` from depths.csv as float64, NaN where it has none, or is not there.

    Adds doubled and unreadable ones to ``faults``, and missing ones where all are ``required``.

    Raises InputError where the table has other columns, or is required and missing.
    """
    if not required and not source.has("depths.csv"):
        return np.full(len(ids), np.nan)
    table = read_table(source, "depths.csv", ["id", "z"])
    wanted = table[table["id"].isin(set(ids))]
    faults.extend(id_faults(wanted["id"], "depths.csv"))
    values = pd.to_numeric(wanted["z"], errors="coerce")
    with np.errstate(over="ignore"):
        # As the networks will have them.
        finite = np.isfinite(values.to_numpy(np.float32))
    for name, text in wanted.loc[~finite, ["id", "z"]].itertuples(index=False):
        faults.append(f"depths.csv: depth of {shown(name)} is not a number: {shown(repr(text))}")
    depths = dict(zip(wanted["id"], values, strict=True))
    if required:
        missing = [name for name in ids if name not in depths]
        faults.extend(f"depths.csv: no depth for {shown(name)}" for name in missing)
    return np.array([depths.get(name, np.nan) for name in ids], dtype=np.float64)


def strays(source: Files, folder: str, ids: list[str], table: str) -> Iterator[str]:
    """Files of a folder whose ids the table does not have."""
    for name in sorted(set(source.ids(folder)) - set(ids)):
        yield f"{shown(f'{folder}/{name}.png')} has no row in {table}"


def decode_all(
    source: Files,
    folder: str,
    ids: list[str],
    decode: Callable,
    faults: list[str],
    room: Callable = np.zeros,
) -> tuple[np.ndarray, np.ndarray]:
    """Decode a folder's PNG files side by side.

    Adds what is wrong with any of them to ``faults``, in the order of the ids; all must have the
    size of the first that is readable. Gives the tiles (ids, height, width) and which of them are
    readable as bool (ids). The tiles are put to what ``room`` makes of their shape and type: an
    array, or a file (``filling_npy``) where they are too many to be held in memory.
    """

    def attempt(name: str) -> np.ndarray | str:
        try:
            return decode(source.read(name))
        except InputError as error:
            return str(error)
        except ValueError as error:
            return f"{shown(name)}: {error}"

    def attempt_all(names: list[str]) -> list[np.ndarray | str]:
        return [attempt(name) for name in names]

    stack, readable, first = np.zeros((len(ids), 0, 0)), np.zeros(len(ids), dtype=bool), ""
    names = [f"{folder}/{name}.png" for name in ids]
    # Pillow decodes without holding the interpreter's lock. One by one, handing over takes a
    # quarter of the time on top.
    chunks = [names[start : start + CHUNK] for start in range(0, len(names), CHUNK)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        tiles = chain.from_iterable(pool.map(attempt_all, chunks))
        for row, (name, tile) in enumerate(zip(names, tiles, strict=True)):
            if isinstance(tile, str):
                faults.append(tile)
                continue
            if not first:
                stack, first = room((len(ids), *tile.shape), tile.dtype), name
            if tile.shape != stack.shape[1:]:
                faults.append(
                    f"{name}: {tile.shape[1]}x{tile.shape[0]} pixels, but {first} "
                    f"has {stack.shape[2]}x{stack.shape[1]}"
                )
                continue
            stack[row], readable[row] = tile, True
    return stack, readable


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


class NpyRows:
    """An array of an NPY file, checked and read from disk as used, and held no longer.

    What was read of a map counts as memory of the process for as long as that map is there, so each
    piece has a map of its own. ``array[rows]``, for a number, a slice or an array of numbers or
    bools along the first axis, is a copy.
    """

    def __init__(self, path: Path | str):
        """Open the array; OSError, or one of DAMAGED_NPY, where it is not readable."""
        self._file = CheckedFile(path)
        self._file.check((0, 1))
        # Not numpy.load, which opens zip files as well.
        array = np.lib.format.open_memmap(path, mode="r")
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim
        self._start = array.offset

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: int | slice | np.ndarray) -> np.ndarray:
        size = int(np.prod(self.shape[1:])) * self.dtype.itemsize
        starts = self._start + size * np.atleast_1d(np.arange(len(self))[rows])
        self._file.check(*((start, start + size) for start in starts.tolist()))
        array = np.memmap(self._file.path, self.dtype, "r", self._start, self.shape)
        return np.array(array[rows])

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)


def open_npy(path: Path, dtype: type, tiles: int, of: str, mend: str) -> NpyRows:
    """Open an NPY file of shape (tiles, height, width), to be read from disk as used.

    Raises InputError, with ``mend``, where it is damaged or another array; never unpickles.
    """
    try:
        array = NpyRows(path)
    except DamagedError:
        raise
    except DAMAGED_NPY as error:
        raise InputError(f"{path}: not a readable array ({error}); {mend}") from None
    if array.dtype != dtype or array.ndim != 3 or len(array) != tiles:
        raise InputError(
            f"{path}: expected {np.dtype(dtype)} values of shape ({tiles}, height, width) for the "
            f"{tiles} tiles {of}, found {array.dtype} {array.shape}; {mend}"
        )
    return array


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
        """Open the part of a ``tiles.csv``; InputError where it is damaged, or its arrays are."""
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
                f"{self.path}: expected tiles by columns id and depth, and coverage where they are "
                "labelled, each id once and all others numbers, or no depth; found "
                f"{shown(','.join(map(str, self.table.columns)))} of {len(self.table)} rows; "
                f"{IMPORT_AGAIN}"
            )

    @property
    def ids(self) -> list[str]:
        return self.table["id"].tolist()

    @property
    def depths(self) -> np.ndarray:
        """Depth of each tile, float32 (tiles), NaN where it is not known."""
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
