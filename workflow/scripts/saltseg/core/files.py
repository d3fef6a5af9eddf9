"""Write files and folders completely or not at all."""

import errno
import glob
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from saltseg.core.errors import InputError

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


@contextmanager
def writable(path: Path | str) -> Iterator[None]:
    """Raise InputError if ``path`` cannot be written for lack of disk space or permission."""
    try:
        yield
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise InputError(
            f"{path}: cannot be written ({error.strerror}); free disk space or fix its "
            "permissions, and run the same command again: finished results are kept"
        ) from None


@contextmanager
def replacing(path: Path | str, *, checksums: bool = True) -> Iterator[Path]:
    """Yield a temporary path to write to, which replaces ``path`` once complete.

    Raises InputError for lack of disk space or permission.
    """
    path = Path(path)
    with writable(path):
        part = _part(path)
        try:
            yield part
            with open(part, "rb+") as file:
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path | str) -> Iterator[Path]:
    """Yield a temporary folder to fill, which replaces ``path`` once complete.

    Raises InputError for lack of disk space or permission.
    """
    path = Path(path)
    with writable(path):
        part = _part(path)
        old = path.with_name(f".{path.name}.{os.getpid()}.old.part")
        part.mkdir()
        try:
            yield part
            # A folder cannot replace one that is not empty.
            if path.exists():
                path.replace(old)
            part.replace(path)
        finally:
            for left in (part, old):
                shutil.rmtree(left, ignore_errors=True)


def _part(path: Path) -> Path:
    """Return a temporary path beside ``path``; make the folder, and remove what a kill left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.[0-9]*.part"):
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    return path.with_name(f".{path.name}.{os.getpid()}.part")


class NpyFile:
    """An NPY file of ``shape`` and ``dtype`` that is filled row by row, in any order."""

    def __init__(self, file: BinaryIO, shape: tuple, dtype: np.dtype):
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._file = file
        write_npy_header(file, shape, self.dtype)
        self._start = file.tell()
        self._row = int(np.prod(shape[1:])) * self.dtype.itemsize

    def __setitem__(self, row: int, values: np.ndarray) -> None:
        self._file.seek(self._start + row * self._row)
        self._file.write(np.ascontiguousarray(values, dtype=self.dtype).data)


@contextmanager
def filling_npy(path: Path | str) -> Iterator[Callable[[tuple, np.dtype], NpyFile]]:
    """Yield a function that makes an NpyFile, which replaces ``path`` once filled.

    Raises InputError for lack of disk space or permission.
    """
    with replacing(path) as part, open(part, "wb") as file:
        yield partial(NpyFile, file)


def write_npy_header(file: BinaryIO, shape: tuple, dtype: np.dtype) -> None:
    """Write the header of an NPY file."""
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def write_npy(path: Path | str, dtype: type, shape: tuple, chunks: Iterable[np.ndarray]) -> None:
    """Write an NPY file of ``dtype`` and ``shape`` from chunks of its rows, as they come.

    On a full disk, a memory map would kill the process, and numpy.save would give no reason.
    Raises InputError for lack of disk space or permission.
    """
    with replacing(path) as part:
        with open(part, "wb") as file:
            write_npy_header(file, shape, dtype)
            start = file.tell()
            for chunk in chunks:
                file.write(np.ascontiguousarray(chunk, dtype=dtype).data)
            size = file.tell() - start
        expected = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if size != expected:
            raise ValueError(f"{path}: {size} bytes for {shape} values of {np.dtype(dtype)}")
