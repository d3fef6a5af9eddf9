"""New tiles to predict: PNG files anywhere in a folder or a zip, without labels.

A tile's id is its file's name without the extension ``.png``, in upper or lower case. Its logical
name is ``PATH/ID.png``, where PATH is that of the folder or zip; ``depths.csv`` at the top keeps
its name. Other files are left out and listed. Hidden files and folders, which some systems add,
are skipped.
"""

import hashlib
import os
import zipfile
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

from saltseg.core.errors import InputError, printable
from saltseg.survey.source import Files, is_hidden, name_others, open_zip

EXPECTED = "a zip or a folder of PNG files"


def _raise(error: OSError) -> None:
    raise error


class NewTiles(Files):
    """New tiles.

    doubled: an error for each file that has the id of another one
    left_out: sorted names of the files that are no tiles

    Raises InputError where ``path`` is neither a zip nor a folder, the zip is damaged, or there is
    no PNG file.
    """

    def _open(self, stack: ExitStack) -> None:
        self.folder = str(self.path)
        self.doubled: list[str] = []
        self.left_out: list[str] = []
        if self.path.is_dir():
            for folder, inner, names in os.walk(self.path, onerror=_raise):
                inner[:] = [name for name in inner if not is_hidden(name)]
                for file in (Path(folder, name) for name in names):
                    # Not a pipe, which reading would wait for.
                    if file.is_file():
                        self._add(file.relative_to(self.path).as_posix(), file)
        elif self.path.is_file():
            archive = stack.enter_context(open_zip(self.path, str(self.path), EXPECTED))
            for entry in archive.infolist():
                if not entry.is_dir():
                    self._add(entry.filename, (archive, entry))
        else:
            raise InputError(f"{self.path}: no such file or folder; expected {EXPECTED}")
        self.left_out.sort()
        if not self.ids(self.folder):
            raise InputError(f"{self.path}: no PNG file (*.png) in it, so nothing to predict")

    def _add(self, name: str, entry: tuple[zipfile.ZipFile, zipfile.ZipInfo] | Path) -> None:
        file = PurePosixPath(name)
        if any(map(is_hidden, file.parts)):
            return
        if name == "depths.csv":
            logical = name
        elif file.suffix.lower() == ".png":
            logical = f"{self.folder}/{file.stem}.png"
        else:
            self.left_out.append(name)
            return
        if logical in self._files:
            self.doubled.append(
                f"{printable(name)}: another file has the same name; rename or remove one"
            )
        self._files.setdefault(logical, entry)

    def notices(self) -> list[str]:
        """Return a sentence that names what is left out, if anything."""
        return name_others(self.path, self.left_out)

    def fingerprint(self) -> str:
        """Digest of all tiles and depths, however they are packed and wherever they lie."""
        digest = hashlib.sha256()
        for name in sorted(self._files):
            base = name.removeprefix(f"{self.folder}/")
            digest.update(f"{base} {self._checksum(name)}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()
