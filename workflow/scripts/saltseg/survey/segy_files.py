"""SEG-Y files by their names, which tell a volume from a survey of tiles."""

from pathlib import Path

from saltseg.core.errors import InputError, printable
from saltseg.survey.source import is_hidden

SUFFIXES = (".sgy", ".segy")


def is_segy(path: Path | str) -> bool:
    """Return whether a path names a SEG-Y file, whether it is there or not."""
    return Path(path).suffix.lower() in SUFFIXES and not Path(path).is_dir()


def require_file(path: Path | str) -> None:
    """Raise InputError if there is no file of this path."""
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file in {Path.cwd()}")


def segy_files(folder: Path | str) -> dict[str, Path]:
    """Return the SEG-Y files of a folder by their names without the suffix, sorted.

    Hidden ones are skipped; of two with the same name the first counts (``refuse_mixture``).
    """
    found: dict[str, Path] = {}
    for path in sorted(Path(folder).iterdir()):
        if not is_hidden(path.name) and is_segy(path) and path.is_file():
            found.setdefault(path.stem, path)
    return found


def refuse_mixture(folder: Path | str) -> None:
    """Raise InputError if a folder's SEG-Y files share a name, or lie beside tiles.

    A prediction is of one kind or the other, and each file has a folder of results by its name.
    """
    found = segy_files(folder)
    for path in sorted(Path(folder).iterdir()):
        if path.is_file() and is_segy(path) and found.get(path.stem, path) != path:
            raise InputError(
                f"{path}: {printable(found[path.stem].name)} has the same name; rename one"
            )
        if found and path.suffix.lower() == ".png":
            raise InputError(
                f"{folder}: expected SEG-Y files or PNG files, found both ({printable(path.name)} "
                f"beside {printable(min(each.name for each in found.values()))}); move one kind "
                "elsewhere"
            )
