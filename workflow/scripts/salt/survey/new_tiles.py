"""New tiles to predict: PNG files in a folder, or anywhere in a zip, without any labels.

A tile's id is its file's name without ``.png``. It goes by the logical name ``PATH/ID.png``, where
PATH is that of the folder or zip, and ``depths.csv`` at the top goes by that. Other files are left
out, and so are hidden ones, which some systems add to a zip.
"""

import hashlib
import zipfile
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

from salt.core.errors import InputError, shown
from salt.survey.source import Files, open_zip

EXPECTED = "a zip or a folder of PNG files"


class NewTiles(Files):
    """New tiles.

    doubled: a fault for each file whose id another file has, too

    Raises InputError where ``path`` is neither a zip nor a folder, the zip is damaged, or there is
    no PNG file.
    """

    def _open(self, stack: ExitStack) -> None:
        self.folder = str(self.path)
        self.doubled: list[str] = []
        if self.path.is_dir():
            for file in self.path.iterdir():
                if file.is_file():
                    self._add(file.name, file)
        elif self.path.is_file():
            archive = stack.enter_context(open_zip(self.path, str(self.path), EXPECTED))
            for entry in archive.infolist():
                self._add(entry.filename, (archive, entry))
        else:
            raise InputError(f"{self.path}: no such file or folder; expected {EXPECTED}")
        if not self.ids(self.folder):
            raise InputError(f"{self.path}: no PNG file (*.png) in it, so nothing to predict")

    def _add(self, name: str, place: tuple[zipfile.ZipFile, zipfile.ZipInfo] | Path) -> None:
        base = PurePosixPath(name).name
        if name == "depths.csv":
            logical = name
        elif base.endswith(".png") and not base.startswith("."):
            logical = f"{self.folder}/{base}"
        else:
            return
        if logical in self._files:
            self.doubled.append(
                f"{shown(name)}: another file is of the same name; rename or remove one"
            )
        self._files.setdefault(logical, place)

    def fingerprint(self) -> str:
        """Digest of all tiles and depths, however they are packed and wherever they lie."""
        digest = hashlib.sha256()
        for name in sorted(self._files):
            base = name.removeprefix(f"{self.folder}/")
            digest.update(f"{base} {self._checksum(name)}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()
