"""Checksums of the files that stages hand to each other.

``.NAME.crc32`` beside a file NAME is JSON: the file's size in bytes, and the CRC-32 of each 1 MiB
block. It carries the file's own date, by which a later change is noticed without reading the file.
Readers of some rows of a large array check only the blocks that hold them, so time and memory
depend on what is read. A file without checksums, made by hand or brought by a cluster's storage, is
used unchecked.
"""

import errno
import json
import os
import shlex
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from saltseg.core.errors import DamagedError, InputError, printable

BLOCK = 2**20  # bytes
SUFFIX = ".crc32"
NO_SUCH_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


@dataclass(frozen=True)
class Checksums:
    """The size and checksums of a file.

    size: in bytes
    crc32: of each block
    """

    size: int
    crc32: list[int]

    @classmethod
    def measure(cls, path: Path) -> "Checksums":
        """Compute the checksums of a file."""
        with open(path, "rb") as file:
            blocks = list(map(zlib.crc32, iter(partial(file.read, BLOCK), b"")))
            return cls(file.tell(), blocks)

    @classmethod
    def load(cls, path: Path) -> "Checksums | None":
        """Return the checksums written with a file, None if none were; InputError if damaged."""
        beside = checksums_of(path)
        try:
            data = beside.read_bytes()
        except OSError as error:
            if error.errno in NO_SUCH_FILE:
                return None
            raise _unreadable(beside, path, error) from None
        try:
            found = cls(**json.loads(data))
            numbers = [found.size, *found.crc32]
            blocks = -(-found.size // BLOCK)
        except (ValueError, TypeError, RecursionError) as error:
            raise _unreadable(beside, path, error) from None
        if not all(type(number) is int for number in numbers) or len(found.crc32) != blocks:
            raise _unreadable(beside, path, "expected a size and a CRC-32 per block")
        return found

    def save(self, path: Path) -> None:
        """Write the checksums of a file beside it; complete, or not at all."""
        # If this is killed, the next process to write the file removes a part of this name.
        part = path.with_name(f".{path.name}.{os.getpid()}{SUFFIX}.part")
        try:
            with open(part, "w") as file:
                json.dump(vars(self), file)
                file.flush()
                os.fsync(file.fileno())
            _date(part, path.stat())
            part.replace(checksums_of(path))
        finally:
            part.unlink(missing_ok=True)


def checksums_of(path: Path) -> Path:
    """Return the path of a file's checksums."""
    return path.with_name(f".{path.name}{SUFFIX}")


class CheckedFile:
    """A file of which each part is checked before it is used, once.

    Raises OSError if there is no such file, and InputError if it is not what was written.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self.written = Checksums.load(self.path)
        self._unchecked = set()
        if self.written is None:
            return
        size = self.path.stat().st_size
        self._unchecked.update(range(len(self.written.crc32)))
        # A folder has a size, too; opening it says what it is.
        if size != self.written.size and not self.path.is_dir():
            self._refuse(f"expected {self.written.size} bytes, found {size}")

    def check(self, *parts: tuple[int, int]) -> None:
        """Check all blocks that hold some byte of the parts, from a first byte to before a last."""
        if not self._unchecked:
            return
        wanted = (range(start // BLOCK, -(-stop // BLOCK)) for start, stop in parts)
        blocks = sorted(self._unchecked.intersection(chain.from_iterable(wanted)))
        if not blocks:
            return
        with open(self.path, "rb") as file:
            for number in blocks:
                file.seek(number * BLOCK)
                self._compare(number, file.read(BLOCK))

    def read(self) -> bytes:
        """Return the whole content."""
        data = self.path.read_bytes()
        for number in sorted(self._unchecked):
            self._compare(number, memoryview(data)[number * BLOCK : (number + 1) * BLOCK])
        return data

    def _compare(self, number: int, block: bytes | memoryview) -> None:
        expected, found = self.written.crc32[number], zlib.crc32(block)
        if found != expected:
            start = number * BLOCK
            stop = min(start + BLOCK, self.written.size)
            self._refuse(
                f"CRC-32 of bytes {start} to {stop - 1}: expected {expected:08x}, found {found:08x}"
            )
        self._unchecked.discard(number)

    def _refuse(self, difference: str) -> None:
        raise DamagedError(self.path, difference)


def read(path: Path | str) -> bytes:
    """Return the checked content of a file.

    Raises OSError if it cannot be read, and InputError if it is not what was written.
    """
    return CheckedFile(path).read()


def check(path: Path | str) -> None:
    """Raise InputError if a file is not what was written; holds one block of it at a time."""
    file = CheckedFile(path)
    if file.written is not None:
        file.check((0, file.written.size))


def check_folder(folder: Path | str) -> None:
    """Check each file in a folder whose size or date changed since it was written.

    One that was only touched is not checked again the next time. Raises one InputError that lists
    all damaged files and says how to replace them.
    """
    findings, damaged = [], []
    for path in _with_checksums(Path(folder)):
        try:
            _check_if_changed(path)
        except DamagedError as error:
            findings.append(error.finding)
            damaged.append(path)
        except InputError as error:
            findings.append(str(error))
        except OSError as error:
            findings.append(f"{path}: cannot be read ({error.strerror})")
            damaged.append(path)
    if not findings:
        return
    lines = [f"{folder}: damaged files, so nothing was run", *(f"  - {one}" for one in findings)]
    if damaged:
        made = (f"  snakemake {shlex.join(names)}" for names in _in_order_of_making(damaged))
        lines += [
            "Delete them, rebuild them by name, then run the same command again:",
            f"  rm -r {shlex.join(map(str, damaged))}",
            *(f"{command} (plus your other options)" for command in made),
            f"To keep a file that you changed yourself, delete its .NAME{SUFFIX} instead.",
        ]
    raise InputError("\n".join(lines))


def _in_order_of_making(damaged: list[Path]) -> list[list[str]]:
    """Return names of damaged files by folder, in the order in which they were written.

    Rebuilding packed tiles in one command with files that depend on them would retrain members;
    rebuilt first, they turn out to have the same bytes as before.
    """
    folders: dict[Path, list[str]] = {}
    dates: dict[Path, int] = {}
    for path in damaged:
        folders.setdefault(path.parent, []).append(str(path))
        at = checksums_of(path).stat().st_mtime_ns
        dates[path.parent] = min(at, dates.get(path.parent, at))
    return [folders[parent] for parent in sorted(dates, key=dates.__getitem__)]


def _with_checksums(folder: Path) -> Iterator[Path]:
    for parent, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            if name.startswith(".") and name.endswith(SUFFIX):
                yield Path(parent, name.removeprefix(".").removesuffix(SUFFIX))


def _check_if_changed(path: Path) -> None:
    """Check a file unless it has the size and date of its checksums; either may be missing."""
    written = Checksums.load(path)
    if written is None:
        return
    try:
        at, beside = path.stat(), checksums_of(path).stat()
        if at.st_mtime_ns == beside.st_mtime_ns and at.st_size == written.size:
            return
        check(path)
    except FileNotFoundError:
        return
    except DamagedError:
        # A job of another run may have replaced both files in between.
        if Checksums.load(path) == written:
            raise
        return
    follow_date(path)


def follow_date(path: Path | str) -> None:
    """Give a file's checksums, where it has any, its new date after it was only touched."""
    path = Path(path)
    # Where that is not permitted, the file is only checked more often.
    with suppress(OSError):
        _date(checksums_of(path), path.stat())


def _date(path: Path, at: os.stat_result) -> None:
    """Give a file the date of another one."""
    os.utime(path, ns=(at.st_mtime_ns, at.st_mtime_ns))


def _unreadable(beside: Path, path: Path, error: Exception | str) -> InputError:
    return InputError(
        f"{beside}: not readable checksums ({printable(str(error))}); delete it to use {path.name} "
        "unchecked"
    )
