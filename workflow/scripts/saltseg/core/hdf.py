"""Arrays and tables in HDF5 files that check themselves while any part of them is read.

All datasets are chunked along their first axis with Fletcher-32 checksums. The format is that of
HDF5 1.10, whose metadata have checksums, too, so that a damaged file either raises InputError or
reads as it was written. Equal content is written as equal bytes.

Texts have a fixed length, since HDF5 has no checksums of texts of any length.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from saltseg.core.errors import InputError, first_line, is_out_of_memory, rebuild_hint
from saltseg.core.files import replacing

FORMAT = ("v110", "v110")
CHUNK = 2**18  # bytes; a single row is read and checked with those that share its chunk
# Raised by h5py for files that are damaged, cut or no HDF5 files.
DAMAGED_HDF = (OSError, RuntimeError, LookupError, ValueError, TypeError)
ERRNO = re.compile(r"errno = (\d+)")

Shape = tuple[int | None, ...]


class HdfWriter:
    """Writes the datasets of a new file.

    Fletcher-32 takes 0xFFFF and 0x0000 for the same, so data with long runs of 0xFFFF, such as
    labels or numbers where -1 stands for missing, need ``compress``.
    """

    def __init__(self, file: h5py.File):
        self._file = file
        self._unfinished: list[RowWriter] = []

    def put(self, name: str, values: np.ndarray, *, compress: bool = False) -> None:
        """Write an array of any shape and of at least one dimension."""
        self._create(name, values.dtype, values.shape, compress)[...] = values

    def put_table(self, table: pd.DataFrame) -> None:
        """Write each column of texts, numbers or bools as a dataset of its name."""
        for name, column in table.items():
            numeric = pd.api.types.is_numeric_dtype(column)
            self.put(name, column.to_numpy() if numeric else _encode(column))

    def rows(
        self, name: str, dtype: np.dtype | type, shape: tuple[int, ...], *, compress: bool = False
    ) -> "RowWriter":
        """Return a writer of a dataset that is too large for memory."""
        self._unfinished.append(RowWriter(self._create(name, dtype, shape, compress)))
        return self._unfinished[-1]

    def put_batches(
        self,
        name: str,
        dtype: np.dtype | type,
        shape: tuple[int, ...],
        batches: Iterable[np.ndarray],
        *,
        compress: bool = False,
    ) -> None:
        """Write batches of rows as they come; ValueError unless they are as many as in ``shape``.

        The file does not depend on the sizes of the batches.
        """
        rows, row = self.rows(name, dtype, shape, compress=compress), 0
        for batch in batches:
            for values in batch:
                rows[row] = values
                row += 1
        if row != shape[0]:
            raise ValueError(f"{name}: {row} rows for shape {shape}")

    def finish(self) -> None:
        """Write the rows that are still waiting for the rest of their chunk."""
        for rows in self._unfinished:
            rows.flush()

    def _create(
        self, name: str, dtype: np.dtype | type, shape: tuple[int, ...], compress: bool
    ) -> h5py.Dataset:
        dtype = np.dtype(dtype)
        if 0 in shape:
            return self._file.create_dataset(name, shape, dtype, track_times=False)
        row = int(np.prod(shape[1:])) * dtype.itemsize
        chunk = min(max(CHUNK // row, 1), shape[0])
        return self._file.create_dataset(
            name,
            shape,
            dtype,
            chunks=(chunk, *shape[1:]),
            compression=1 if compress else None,
            fletcher32=True,
            track_times=False,
        )


class RowWriter:
    """Fills a dataset, ``writer[row] = values``, by rows in rising order."""

    def __init__(self, dataset: h5py.Dataset):
        self.shape, self.dtype = dataset.shape, dataset.dtype
        self._dataset, self._chunk = dataset, 0
        # Only whole chunks are written, so that the file does not depend on how rows come.
        self._buffer = np.zeros(dataset.chunks or dataset.shape, dataset.dtype)

    def __setitem__(self, row: int, values: np.ndarray) -> None:
        if not 0 <= row < len(self._dataset):
            raise ValueError(f"{self._dataset.name}: no row {row} in shape {self.shape}")
        chunk, index = divmod(row, len(self._buffer))
        if chunk != self._chunk:
            self.flush()
            self._chunk = chunk
        self._buffer[index] = values

    def flush(self) -> None:
        """Write the rows of the chunk at hand."""
        start = self._chunk * len(self._buffer)
        count = len(self._dataset) - start
        if count:
            self._dataset[start : start + len(self._buffer)] = self._buffer[:count]


@contextmanager
def writing(path: Path | str) -> Iterator[HdfWriter]:
    """Yield the writer of a file, which replaces ``path`` once complete.

    Raises InputError for lack of disk space or permission.
    """
    with replacing(path) as part:
        try:
            with h5py.File(part, "w", libver=FORMAT, locking=False, rdcc_nbytes=0) as file:
                writer = HdfWriter(file)
                yield writer
                writer.finish()
        except (OSError, RuntimeError) as error:
            # Closing a file on a full disk raises an error without a number.
            number = ERRNO.search(str(error))
            if not number:
                raise
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error


class HdfFile:
    """The datasets of a file; InputError if it is damaged or has no dataset that is expected."""

    def __init__(self, path: Path | str):
        self.path = Path(path)
        with _reading(self.path) as file:
            self._found = {
                name: (item.dtype, item.shape)
                for name, item in file.items()
                if isinstance(item, h5py.Dataset)
            }

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def rows(self, name: str, dtype: np.dtype | type, shape: Shape) -> "Rows":
        """Return a dataset of ``shape``, in which None is any number, to read as used."""
        found_dtype, found = self._found.get(name, (None, ()))
        if found_dtype != np.dtype(dtype) or not _fits(found, shape):
            self._refuse(name, np.dtype(dtype).name, shape)
        return Rows(self.path, name, np.dtype(dtype), found)

    def texts(self, name: str) -> list[str]:
        """Return a dataset of texts."""
        dtype, shape = self._found.get(name, (np.dtype(bool), ()))
        if dtype.kind != "S" or len(shape) != 1:
            self._refuse(name, "text", (None,))
        values = Rows(self.path, name, dtype, shape)[:].tolist()
        with _readable(self.path):
            return [value.decode() for value in values]

    def table(self, columns: Mapping[str, type]) -> pd.DataFrame:
        """Return datasets of one length as a table; type ``str`` stands for texts."""
        found = {
            name: self.texts(name) if kind is str else self.rows(name, kind, (None,))[:]
            for name, kind in columns.items()
        }
        lengths = {name: len(values) for name, values in found.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(
                f"{self.path}: expected datasets of one length, found {lengths}; "
                f"{rebuild_hint(self.path)}"
            )
        return pd.DataFrame(found)

    def _refuse(self, name: str, dtype: str, shape: Shape) -> None:
        expected = f"a dataset {name}, {dtype} ({_listed(shape)})"
        found = "none; it has " + (", ".join(map(repr, self._found)) or "no datasets")
        if name in self._found:
            found = f"{self._found[name][0]} ({_listed(self._found[name][1])})"
        raise InputError(
            f"{self.path}: expected {expected}, found {found}; {rebuild_hint(self.path)}"
        )


class Rows:
    """A dataset in a file, read from disk as used.

    ``rows[part]``, for a number, a slice, or an array of numbers or bools along the first axis, is
    a copy; InputError if that part is damaged.
    """

    def __init__(self, path: Path, name: str, dtype: np.dtype, shape: tuple[int, ...]):
        self.path, self.name, self.dtype, self.shape = path, name, dtype, shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: int | slice | np.ndarray) -> np.ndarray:
        rows = np.arange(len(self))[part]
        flat = np.atleast_1d(rows)
        values = np.empty((len(flat), *self.shape[1:]), self.dtype)
        if not len(flat):
            return values
        # Opened for each read, so that any number of files can be in use.
        with _reading(self.path) as file:
            dataset = file[self.name]
            size = dataset.chunks[0] if dataset.chunks else max(len(self), 1)
            chunk = flat // size
            for start in (np.unique(chunk) * size).tolist():
                here = np.flatnonzero(chunk == start // size)
                values[here] = dataset[start : start + size][flat[here] - start]
        return values if np.ndim(rows) else values[0]

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)


@contextmanager
def _reading(path: Path) -> Iterator[h5py.File]:
    # Results are replaced, never changed, so they need no locks, which some file systems lack.
    with _readable(path), h5py.File(path, "r", locking=False, rdcc_nbytes=0) as file:
        yield file


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raise InputError, with the file's name and the remedy, for what h5py raises."""
    try:
        yield
    except DAMAGED_HDF as error:
        if isinstance(error, InputError) or is_out_of_memory(error):
            raise
        number = getattr(error, "errno", None)
        reason = os.strerror(number) if number else first_line(error)
        raise InputError(
            f"{path}: not a readable HDF5 file, or damaged ({reason}); {rebuild_hint(path)}"
        ) from None


def _encode(texts: Iterable[str]) -> np.ndarray:
    encoded = [text.encode() for text in texts]
    longest = max(map(len, encoded), default=0)
    return np.array(encoded, h5py.string_dtype("utf-8", max(longest, 1)))


def _fits(found: tuple[int, ...], shape: Shape) -> bool:
    return len(found) == len(shape) and all(
        wanted in (None, side) for side, wanted in zip(found, shape, strict=True)
    )


def _listed(shape: Shape) -> str:
    return ", ".join("any" if side is None else str(side) for side in shape)
