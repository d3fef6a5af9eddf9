"""A survey's files, wherever they lie: a zip (nested or not) or a folder (unpacked or not).

In any layout, a file has a logical name: ``train.csv``, ``depths.csv``,
``sample_submission.csv``, ``train/images/ID.png``, ``train/masks/ID.png``, ``test/images/ID.png``.
An enclosing folder, hidden files and the case of ``.png`` are ignored; without ``train/``,
``images/`` and ``masks/`` take its place. No name from an archive is ever used to write to disk.
"""

import csv
import hashlib
import lzma
import os
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import chain
from pathlib import Path
from typing import IO, Self

from saltseg.core.errors import InputError, printable
from saltseg.core.fingerprint import Known, checksum
from saltseg.survey.tiles import no_depths

LOGICAL_NAME = re.compile(
    r"train\.csv|depths\.csv|sample_submission\.csv"
    r"|((train/)?(images|masks)|test/images)/.+\.png"
)
OF_TILES = re.compile(r"((train/)?(images|masks)|test/images)/.+")
PICTURES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
NESTED = ("train.zip", "test.zip")
LABELLED = ("images/", "masks/")  # short for train/images/ and train/masks/
PARTS = ("train", "test", "images", "masks")  # folders that are no folder around a survey
# A tile is some tens of kB and a table some MB; what claims more is no tile and may be a bomb.
LARGEST_FILE = 256 * 2**20
# The contest's train.zip has some tens of MB; what claims a hundred times that may be a bomb, which
# would fill the disk that a nested zip is copied to.
LARGEST_ARCHIVE = 4 * 2**30
OUTSIDE = "outside of images/, masks/ and test/images/"
LISTED = 5  # files that a notice names
SPOOLED = 64 * 2**20  # bytes of a nested zip that are held in memory and not in a nameless file
# What zipfile raises for archives that are cut, altered, encrypted or of an unknown kind.
UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError),
    *(RuntimeError, EOFError, OSError, ValueError),
)


def open_zip(
    file: IO[bytes] | Path, label: str, expected: str, remedy: str = ""
) -> zipfile.ZipFile:
    """Open a zip; raise InputError, with what was expected and the remedy, if it is not one."""
    try:
        return zipfile.ZipFile(file)
    except UNREADABLE as error:
        raise InputError(
            f"{label}: expected {expected}, found no readable zip ({error}){remedy}"
        ) from None


class Files:
    """Read-only view of files by their logical names, a context manager; subclasses find them.

    Args:
        known: size, date and CRC-32 of files by their paths, which grows.
    """

    def __init__(self, path: Path | str, known: Known | None = None):
        self.path = Path(path)
        self._known = {} if known is None else known
        self._files: dict[str, tuple[zipfile.ZipFile, zipfile.ZipInfo] | Path] = {}
        with ExitStack() as stack:
            try:
                self._open(stack)
            except OSError as error:
                raise InputError(f"{self.path}: cannot be opened ({error.strerror})") from None
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception) -> None:
        self._stack.close()

    def _open(self, stack: ExitStack) -> None:
        """Fill ``_files`` with each file's location; put what needs closing on the stack."""
        raise NotImplementedError

    def ids(self, folder: str) -> list[str]:
        """Sorted ids of the PNG files in a logical folder such as ``train/images``."""
        names = (name for name in self._files if name.startswith(f"{folder}/"))
        return sorted(name.removeprefix(f"{folder}/").removesuffix(".png") for name in names)

    def has(self, name: str) -> bool:
        """Return whether there is a file with this logical name."""
        return name in self._files

    def called(self, name: str) -> str:
        """Return a logical name as messages show it."""
        return printable(name)

    def read(self, name: str) -> bytes:
        """Contents of a file; InputError if it is missing, damaged or absurdly large."""
        found = self._files.get(name)
        if found is None:
            raise InputError(f"{self.called(name)} is missing from {self.path}")
        try:
            size = found.stat().st_size if isinstance(found, Path) else found[1].file_size
            if size <= LARGEST_FILE:
                return found.read_bytes() if isinstance(found, Path) else found[0].read(found[1])
        except UNREADABLE as error:
            raise InputError(
                f"{self.called(name)}: cannot be read from {self.path} ({error})"
            ) from None
        raise InputError(f"{self.called(name)}: {size} bytes, more than the {LARGEST_FILE} allowed")

    def _checksum(self, name: str) -> int:
        """CRC-32 of a file, which a zip has at hand."""
        found = self._files[name]
        if not isinstance(found, Path):
            return found[1].CRC
        try:
            return checksum(found, self._known)
        except OSError as error:
            raise InputError(f"{self.called(name)}: cannot be read ({error.strerror})") from None


class Source(Files):
    """A survey's files.

    Raises InputError where ``path`` is neither a zip nor a folder, or the zip is damaged.
    """

    def _open(self, stack: ExitStack) -> None:
        self._others: list[str] = []
        self._elsewhere: list[str] = []
        if self.path.is_dir():
            self._add_folder(stack)
        elif self.path.is_file():
            self._add_archive(stack, self.path, str(self.path), "")
        else:
            raise InputError(
                f"{self.path}: no such file or folder; data.source is demo, kaggle, or the path "
                "of a survey's zip or folder"
            )
        # Labelled tiles need no folder of their own where nothing else claims to be them.
        bare = [name for name in self._files if name.startswith(LABELLED)]
        taken = any(name.startswith("train/") for name in self._files)
        for name in bare:
            entry = self._files.pop(name)
            if not taken:
                self._files[f"train/{name}"] = entry
        self.left_out = bare if taken else []
        self._is_bare = bool(bare) and not taken

    def called(self, name: str) -> str:
        """Return a file's name as the user has it: without train/ where there is no such folder."""
        return printable(name.removeprefix("train/") if self._is_bare else name)

    def _add_folder(self, stack: ExitStack) -> None:
        root = self.path
        inside = [path for path in root.iterdir() if not is_hidden(path.name)]
        if len(inside) == 1 and inside[0].is_dir() and inside[0].name not in PARTS:
            root = inside[0]
        # Also Images/, whose tiles are named as left out; but no other folder, such as results/.
        folders = [path for path in root.iterdir() if path.name.lower() in PARTS and path.is_dir()]
        # Not a pipe, which reading would wait for.
        for file in filter(Path.is_file, chain(root.iterdir(), *map(_files_below, folders))):
            self._add(file.relative_to(root).as_posix(), file)
        for part in NESTED:
            unpacked, packed = root / part.removesuffix(".zip"), root / part
            if packed.is_file() and not unpacked.is_dir():
                self._add_archive(stack, packed, str(packed), f"{unpacked.name}/")

    def _add(self, name: str, entry: tuple[zipfile.ZipFile, zipfile.ZipInfo] | Path) -> None:
        if any(map(is_hidden, name.split("/"))):
            return
        if name.lower().endswith(".png"):
            name = f"{name[:-4]}.png"
        if name in self._files:
            raise InputError(f"{self.path}: {printable(name)} appears twice; remove one")
        if LOGICAL_NAME.fullmatch(name):
            self._files[name] = entry
        elif OF_TILES.fullmatch(name) and not name.endswith("/"):
            self._others.append(name)
        elif name.lower().endswith(PICTURES):
            self._elsewhere.append(name)

    def _add_archive(
        self, stack: ExitStack, file: IO[bytes] | Path, label: str, prefix: str
    ) -> None:
        archive = open_zip(file, label, "a survey's zip or a folder", "; download it again")
        stack.enter_context(archive)
        top = "" if prefix else _top_folder(archive.namelist())
        for entry in archive.infolist():
            name = entry.filename.removeprefix(top)
            if not prefix and name in NESTED:
                inner = f"{label}: {entry.filename}"
                if entry.file_size > LARGEST_ARCHIVE:
                    raise InputError(
                        f"{inner}: {entry.file_size} bytes, more than the {LARGEST_ARCHIVE} allowed"
                    )
                nested = tempfile.SpooledTemporaryFile(SPOOLED)  # noqa: SIM115 (closed by the stack)
                stack.enter_context(nested)
                try:
                    with archive.open(entry) as packed:
                        shutil.copyfileobj(packed, nested, 2**20)
                except UNREADABLE as error:
                    raise InputError(f"{inner} is damaged ({error}); download it again") from None
                self._add_archive(stack, nested, inner, name.replace(".zip", "/"))
            else:
                self._add(prefix + name, (archive, entry))

    def notices(self, part: str) -> list[str]:
        """Return sentences that name the files of 'train' or 'test' that are left out.

        Those of 'train' include the test tiles' where there are no others.
        """
        parts = ["test"] if part == "test" else ["train"] if self.has_test else ["train", "test"]

        def of_parts(names: list[str]) -> list[str]:
            return [n for n in names if ("test" if n.startswith("test/") else "train") in parts]

        found = name_others(self.path, of_parts(self._others))
        found += name_others(self.path, of_parts(self._elsewhere), OUTSIDE)
        if part == "test":
            return found
        if self.left_out:
            folders = sorted({f"{name.partition('/')[0]}/" for name in self.left_out})
            found.append(
                f"{self.path}: {len(self.left_out)} PNG files in {' and '.join(folders)} ignored, "
                "since there is also train/; move those to train on to train/images and train/masks"
            )
        return found

    @property
    def has_test(self) -> bool:
        """Whether there are tiles to predict, or a table that lists some."""
        return self.has("sample_submission.csv") or bool(self.ids("test/images"))

    def require_depths(self, parts: list[str]) -> None:
        """Raise InputError, naming the tiles, where an image of 'train' or 'test' has no depth."""
        ids = [name for part in parts for name in self.ids(f"{part}/images")]
        found = set()
        if self.has("depths.csv"):
            lines = self.read("depths.csv").decode(errors="replace").splitlines()
            # What is wrong with the table, the import says.
            with suppress(csv.Error):
                found.update(row[0] for row in csv.reader(lines) if row)
        missing = [name for name in ids if name not in found]
        if missing:
            raise InputError(no_depths(missing, len(ids)))

    def fingerprint(self, part: str) -> str:
        """Digest of all that one part ('train' or 'test') is imported from, however it is packed.

        The other part's tiles, and the rows of depths.csv that belong to them, do not count.
        """
        table = "train.csv" if part == "train" else "sample_submission.csv"
        digest = hashlib.sha256()
        for name in sorted(self._files):
            if name == table or name.startswith(f"{part}/"):
                digest.update(f"{name} {self._checksum(name)}\n".encode(errors="surrogateescape"))
        if "depths.csv" in self._files:
            wanted = {"id", *self.ids(f"{part}/images")}
            lines = self.read("depths.csv").decode(errors="replace").splitlines()
            try:
                for row in csv.reader(lines):
                    if row and row[0] in wanted:
                        digest.update(f"{row}\n".encode())
            except csv.Error:
                # No good table; the import says so, and again only once it is another one.
                digest.update(f"depths.csv {self._checksum('depths.csv')}\n".encode())
        return digest.hexdigest()


def name_others(path: Path, names: list[str], which: str = "other than PNG") -> list[str]:
    """Return a sentence that names files that are left out; none if there are none."""
    if not names:
        return []
    what = "1 file" if len(names) == 1 else f"{len(names)} files"
    more = ", ..." if len(names) > LISTED else ""
    listed = ", ".join(map(printable, sorted(names)[:LISTED]))
    return [f"{path}: ignoring {what} {which}: {listed}{more}"]


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield what is in a folder and below, also in links to folders, but not in links in those."""
    for inner, folders, names in os.walk(folder, followlinks=True):
        path = Path(inner)
        folders[:] = [
            name
            for name in folders
            if not is_hidden(name) and (path == folder or not (path / name).is_symlink())
        ]
        yield from (path / name for name in names)


def is_hidden(part: str) -> bool:
    """Return whether a name is one that systems add to folders, such as .DS_Store or __MACOSX."""
    return part == "__MACOSX" or (part.startswith(".") and part != "..")


def _top_folder(names: list[str]) -> str:
    """The one folder, with its slash, that all files of a zip lie in; empty if there is none."""
    split = [name.split("/") for name in names if name]
    files = [parts for parts in split if not any(part and is_hidden(part) for part in parts)]
    tops = {parts[0] if len(parts) > 1 else "" for parts in files}
    top = tops.pop() if len(tops) == 1 else ""
    return f"{top}/" if top and top not in PARTS else ""
