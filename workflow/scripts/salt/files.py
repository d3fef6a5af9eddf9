"""Files and folders that are either complete or not there."""

import errno
import glob
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from salt.errors import InputError

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


@contextmanager
def writable(path: Path | str) -> Iterator[None]:
    """Raise InputError where there is no room, or no permission, to write to ``path``."""
    try:
        yield
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise InputError(
            f"{path}: cannot be written ({error.strerror}); make room or mend its permissions, "
            "and run the same command again: what is finished is kept"
        ) from None


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Give a temporary path to write to, and put it in the place of ``path`` once complete.

    Raises InputError where there is no room or no permission.
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
    """Give a temporary folder to fill, and put it in the place of ``path`` once complete.

    Raises InputError where there is no room or no permission.
    """
    path = Path(path)
    with writable(path):
        part = _part(path)
        old = path.with_name(f".{path.name}.{os.getpid()}.old.part")
        part.mkdir()
        try:
            yield part
            # A folder cannot be put over one that holds anything.
            if path.exists():
                path.replace(old)
            part.replace(path)
        finally:
            for left in (part, old):
                shutil.rmtree(left, ignore_errors=True)


def _part(path: Path) -> Path:
    """A temporary path beside ``path``, whose folder is made, and freed of what a kill left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.[0-9]*.part"):
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def write_npy(path: Path | str, dtype: type, shape: tuple, chunks: Iterable[np.ndarray]) -> None:
    """Write an NPY file of ``dtype`` and ``shape`` from chunks of its rows, as they come.

    On a full disk a memory map would end the process by a signal, and numpy.save without a reason.
    Raises InputError where there is no room or no permission.
    """
    header = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
        "fortran_order": False,
        "shape": shape,
    }
    with replacing(path) as part:
        with open(part, "wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            start = file.tell()
            for chunk in chunks:
                file.write(np.ascontiguousarray(chunk, dtype=dtype).data)
            size = file.tell() - start
        expected = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if size != expected:
            raise ValueError(f"{path}: {size} bytes for {shape} values of {np.dtype(dtype)}")
