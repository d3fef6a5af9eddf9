"""Write files and folders completely or not at all."""

import errno
import glob
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
def replacing(path: Path | str) -> Iterator[Path]:
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


def plain_name(name: str) -> str:
    """Return a file's name as ids may hold it, of letters, digits, - and _."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name)
