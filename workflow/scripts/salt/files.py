"""Files and folders that are either complete or not there."""

import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Give a temporary path to write to, and put it in the place of ``path`` once complete."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path | str) -> Iterator[Path]:
    """Give a temporary folder to fill, and put it in the place of ``path`` once complete."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # What a killed process left behind.
    for left in path.parent.glob(f".{glob.escape(path.name)}.[0-9]*.part"):
        shutil.rmtree(left)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
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
