"""Whether a user's files changed, by their contents: dates and places make no difference."""

import hashlib
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from saltseg.core.errors import InputError
from saltseg.core.files import replacing

# Size, dates of contents and of any change, and CRC-32 of files, by their paths.
Known = dict[str, list[int]]

# Bytes up to which contents are compared, at about a second for each GB; above, sizes and dates.
LARGEST = 2 * 10**9
PIECE = 2**22


@contextmanager
def remembered(path: Path) -> Iterator[Known]:
    """Yield checksums that an earlier run left in a file, and leave there what is added.

    So that files whose size and dates are the same are not read at each start.
    """
    try:
        known = json.loads(path.read_bytes())
    except (OSError, ValueError):
        known = {}
    before = dict(known)
    yield known
    if known != before:
        # Without permission to write, files are only read more often.
        with suppress(InputError), replacing(path) as part:
            part.write_text(json.dumps(known))


def checksum(path: Path, known: Known) -> int:
    """Return the CRC-32 of a file, or for a large one its date in nanoseconds.

    Raises OSError if the file cannot be read.
    """
    key, found = str(path.absolute()), path.stat()
    # The second date, unlike the first, cannot be set: an edit that keeps the first is noticed.
    stamp = [found.st_size, found.st_mtime_ns, found.st_ctime_ns]
    if known.get(key, [])[:-1] != stamp:
        known[key] = [*stamp, crc(path) if found.st_size <= LARGEST else found.st_mtime_ns]
    return known[key][-1]


def crc(path: Path) -> int:
    """Return the CRC-32 of a file's contents."""
    value = 0
    with open(path, "rb") as file:
        while piece := file.read(PIECE):
            value = zlib.crc32(piece, value)
    return value


def fingerprint(path: Path | str, known: Known) -> str:
    """Return a digest of a file's contents, or of the names and contents of a folder's files.

    Hidden files, which systems add to folders, do not count. Raises InputError if a file cannot be
    read.
    """
    path = Path(path)
    files = sorted(path.rglob("[!.]*")) if path.is_dir() else [path]
    digest = hashlib.sha256()
    try:
        for file in filter(Path.is_file, files):
            name = file.relative_to(path).as_posix()
            line = f"{name} {file.stat().st_size} {checksum(file, known)}\n"
            digest.update(line.encode(errors="surrogateescape"))
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror})") from None
    return digest.hexdigest()
