"""The contest's files, wherever they lie: a zip (nested or not) or a folder (unpacked or not).

Whatever the layout, a file goes by its logical name: ``train.csv``, ``depths.csv``,
``sample_submission.csv``, ``train/images/ID.png``, ``train/masks/ID.png``, ``test/images/ID.png``.
Nothing is ever unpacked to disk by a name from an archive.
"""

import hashlib
import shutil
import tempfile
import zipfile
import zlib
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

from salt.errors import InputError

TABLES = ("train.csv", "depths.csv", "sample_submission.csv")
PARTS = ("train", "test")
# A tile is some tens of kB and a table some MB; what claims more is no tile and may be a bomb.
LARGEST_FILE = 256 * 2**20
SPOOLED = 64 * 2**20


class Source:
    """Read-only view of a survey, a context manager.

    Raises InputError where ``path`` is neither a zip nor a folder.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self._stack = ExitStack()
        self._files: dict[str, tuple[zipfile.ZipFile, zipfile.ZipInfo] | Path] = {}
        if self.path.is_dir():
            self._add_folder()
        elif zipfile.is_zipfile(self.path):
            self._add_archive(self.path.open("rb"), prefix="", label=str(self.path))
        elif self.path.exists():
            raise InputError(
                f"{self.path}: expected the contest's zip or a folder, found another kind of file; "
                "download it again if it should be a zip"
            )
        else:
            raise InputError(
                f"{self.path}: no such file or folder; data.source is 'demo' or the path of the "
                "contest's zip, or of the folder it unpacks to"
            )

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *exception) -> None:
        self._stack.close()

    def _add_folder(self) -> None:
        for name in TABLES:
            if (self.path / name).is_file():
                self._files[name] = self.path / name
        for part in PARTS:
            if (self.path / part).is_dir():
                for file in (self.path / part).glob("*/*"):
                    self._files[f"{part}/{file.parent.name}/{file.name}"] = file
            elif zipfile.is_zipfile(self.path / f"{part}.zip"):
                archive = self.path / f"{part}.zip"
                self._add_archive(archive.open("rb"), prefix=f"{part}/", label=str(archive))

    def _add_archive(self, file, prefix: str, label: str) -> None:
        self._stack.enter_context(file)
        try:
            archive = self._stack.enter_context(zipfile.ZipFile(file))
        except zipfile.BadZipFile as error:
            raise InputError(f"{label}: not a readable zip ({error}); download it again") from None
        for entry in archive.infolist():
            if entry.is_dir() or PurePosixPath(entry.filename).parts[0] == "__MACOSX":
                continue
            if prefix == "" and entry.filename in {f"{part}.zip" for part in PARTS}:
                nested = tempfile.SpooledTemporaryFile(SPOOLED)  # noqa: SIM115 (closed by the stack)
                try:
                    with archive.open(entry) as packed:
                        shutil.copyfileobj(packed, nested, 2**20)
                except zipfile.BadZipFile as error:
                    raise InputError(
                        f"{label}: {entry.filename} is damaged ({error}); download it again"
                    ) from None
                part = entry.filename.removesuffix("zip").rstrip(".") + "/"
                self._add_archive(nested, part, f"{label}: {entry.filename}")
                continue
            name = prefix + entry.filename
            if name in self._files:
                raise InputError(f"{label}: {entry.filename} is there twice; remove one")
            self._files[name] = (archive, entry)

    def ids(self, folder: str) -> list[str]:
        """Sorted ids of the PNG files in a logical folder such as ``train/images``."""
        names = (name for name in self._files if name.startswith(f"{folder}/"))
        return sorted(
            name.removeprefix(f"{folder}/").removesuffix(".png")
            for name in names
            if name.endswith(".png")
        )

    def read(self, name: str) -> bytes:
        """Contents of a file; InputError where it is missing, damaged or absurdly large."""
        found = self._files.get(name)
        if found is None:
            raise InputError(f"{name} is missing from {self.path}")
        size = found.stat().st_size if isinstance(found, Path) else found[1].file_size
        if size > LARGEST_FILE:
            raise InputError(f"{name}: {size} bytes, more than the {LARGEST_FILE} allowed")
        if isinstance(found, Path):
            return found.read_bytes()
        archive, entry = found
        try:
            return archive.read(entry)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
            raise InputError(f"{name}: damaged in its zip ({error})") from None

    def fingerprint(self, part: str) -> str:
        """Digest of all that one part ('train' or 'test') is imported from, however it is packed.

        The other part's tiles, and the rows of depths.csv that belong to them, do not count.
        """
        table = "train.csv" if part == "train" else "sample_submission.csv"
        names = [table, *(name for name in self._files if name.startswith(f"{part}/"))]
        digest = hashlib.sha256()
        for name in sorted(names):
            digest.update(f"{name} {self._checksum(name)}\n".encode())
        if "depths.csv" in self._files:
            wanted = {"id", *self.ids(f"{part}/images")}
            for line in self.read("depths.csv").decode(errors="replace").splitlines():
                if line.partition(",")[0] in wanted:
                    digest.update(f"{line}\n".encode())
        return digest.hexdigest()

    def _checksum(self, name: str) -> int | None:
        """CRC-32 of a file, which a zip has at hand; None where there is no such file."""
        found = self._files.get(name)
        if found is None:
            return None
        return zlib.crc32(found.read_bytes()) if isinstance(found, Path) else found[1].CRC
