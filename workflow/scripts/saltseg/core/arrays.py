"""Arrays of one row per tile in NPY files, read as used, and the ids in a CSV file beside them."""

import tokenize
from pathlib import Path

import numpy as np

from saltseg.core.checksums import CheckedFile
from saltseg.core.errors import DamagedError, InputError, printable
from saltseg.core.tables import TEXTS, read_csv

# Raised by NumPy for truncated or altered headers.
DAMAGED_NPY = (
    *(OSError, ValueError, EOFError, SyntaxError, tokenize.TokenError),
    *(TypeError, OverflowError, RecursionError),
)


class NpyRows:
    """An array in an NPY file, checked and read from disk as used, and not kept in memory.

    Pages read from a memory map count as memory of the process while the map exists, so each
    piece has its own map. ``array[rows]``, for a number, a slice or an array of numbers or
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


def open_npy(
    path: Path,
    dtype: type,
    rows: int,
    of: str,
    remedy: str,
    *,
    each: str = "tiles",
    axes: tuple[str, ...] = ("height", "width"),
) -> NpyRows:
    """Open an NPY file of shape (rows, *axes), which is read from disk as used.

    ``each`` names the rows, and ``of`` what they belong to, in messages.

    Raises InputError, with ``remedy``, if it is damaged or another array; never unpickles.
    """
    try:
        array = NpyRows(path)
    except DamagedError:
        raise
    except DAMAGED_NPY as error:
        raise InputError(f"{path}: not a readable array ({error}); {remedy}") from None
    if array.dtype != dtype or array.ndim != 1 + len(axes) or len(array) != rows:
        raise InputError(
            f"{path}: expected {np.dtype(dtype)} values of shape ({rows}, {', '.join(axes)}) for "
            f"the {rows} {each} {of}, found {array.dtype} {array.shape}; {remedy}"
        )
    return array


def ids_beside(path: Path, remedy: str) -> list[str]:
    """Return the ids in ``NAME.csv`` beside an array's ``NAME.npy``.

    Raises InputError, with ``remedy``, if they are not readable or not unique.
    """
    beside = path.with_suffix(".csv")
    table = read_csv(beside, remedy, f"table of the ids in {path.name}", **TEXTS)
    if "id" not in table:
        found = printable(",".join(map(str, table.columns)))
        raise InputError(f"{beside}: expected the column id, found {found}; {remedy}")
    ids = table["id"].tolist()
    if len(set(ids)) < len(ids):
        raise InputError(f"{path}: the ids beside it are not unique; {remedy}")
    return ids
