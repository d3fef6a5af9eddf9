"""SEG-Y files by their names, which tell a volume from a survey of tiles."""

from pathlib import Path

from salt.core.errors import InputError, shown
from salt.survey.source import is_hidden

SUFFIXES = (".sgy", ".segy")


def is_segy(path: Path | str) -> bool:
    """Return whether a path names a SEG-Y file, whether it is there or not."""
    return Path(path).suffix.lower() in SUFFIXES and not Path(path).is_dir()


def require_file(path: Path | str) -> None:
    """Raise InputError where there is no file of this path."""
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file in {Path.cwd()}")


def segy_files(folder: Path | str) -> dict[str, Path]:
    """Return the SEG-Y files of a folder by their names without the suffix, sorted.

    Hidden ones are skipped. Raises InputError where two have the same name, and where there are
    tiles (PNG files) beside them, since a prediction is of one or the other.
    """
    found: dict[str, Path] = {}
    files = sorted(Path(folder).iterdir())
    for path in files:
        if is_hidden(path.name) or not is_segy(path) or not path.is_file():
            continue
        if path.stem in found:
            raise InputError(
                f"{path}: {shown(found[path.stem].name)} has the same name; rename one"
            )
        found[path.stem] = path
    pictures = [path.name for path in files if path.suffix.lower() == ".png"]
    if found and pictures:
        raise InputError(
            f"{folder}: expected SEG-Y files or PNG files, found both ({shown(pictures[0])} beside "
            f"{shown(min(path.name for path in found.values()))}); move one kind elsewhere"
        )
    return found
