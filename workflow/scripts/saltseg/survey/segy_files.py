"""SEG-Y files by their names or contents, which tell a volume from a survey of tiles."""

from pathlib import Path

from saltseg.core.errors import InputError, printable
from saltseg.core.files import plain_name
from saltseg.survey.segy import CARD, Segy
from saltseg.survey.source import NESTED, PARTS, is_hidden

SUFFIXES = (".sgy", ".segy")
ZIP = b"PK"


def is_segy(path: Path | str) -> bool:
    """Return whether a path names a SEG-Y file, whether it is there or not, or is one in fact."""
    if Path(path).suffix.lower() in SUFFIXES:
        return not Path(path).is_dir()
    return Path(path).is_file() and _is_segy_inside(Path(path))


def _is_segy_inside(path: Path) -> bool:
    """Return whether a file starts with the cards of a text header, or is readable as SEG-Y."""
    try:
        with open(path, "rb") as file:
            begin = file.read(3 * CARD)
        if begin[::CARD] in (b"CCC", "CCC".encode("cp037")):
            return True
        if begin.startswith(ZIP):
            return False
        Segy(path).close()
    except (OSError, InputError):
        return False
    return True


def require_file(path: Path | str) -> None:
    """Raise InputError if there is no file of this path."""
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file in {Path.cwd()}")


def segy_files(folder: Path | str) -> dict[str, Path]:
    """Return the files named as SEG-Y in a folder by their names without the suffix, sorted.

    Hidden ones are skipped; of two with the same name the first counts (``refuse_mixture``).
    """
    found: dict[str, Path] = {}
    for path in sorted(Path(folder).iterdir()):
        if not is_hidden(path.name) and path.suffix.lower() in SUFFIXES and path.is_file():
            found.setdefault(path.stem, path)
    return found


def is_folder_of_lines(path: Path | str) -> bool:
    """Return whether a path is a folder with SEG-Y files, such as 2-D lines, and no tiles."""
    if not Path(path).is_dir() or any(Path(path, part).exists() for part in (*PARTS, *NESTED)):
        return False
    return bool(segy_files(path))


def refuse_mixture(folder: Path | str) -> None:
    """Raise InputError if a folder's SEG-Y files share a name, or lie beside tiles or unnamed ones.

    A prediction is of one kind or the other, and each file has a folder of results by its name.
    """
    found = segy_files(folder)
    for path in sorted(Path(folder).iterdir()):
        named = path.is_file() and path.suffix.lower() in SUFFIXES
        if named and found.get(path.stem, path) != path:
            raise InputError(
                f"{path}: {printable(found[path.stem].name)} has the same name; rename one"
            )
        if found and path.suffix.lower() == ".png":
            raise InputError(
                f"{folder}: expected SEG-Y files or PNG files, found both ({printable(path.name)} "
                f"beside {printable(min(each.name for each in found.values()))}); move one kind "
                "elsewhere"
            )
        if found and not (named or is_hidden(path.name)) and is_segy(path):
            raise InputError(
                f"{path}: a SEG-Y file by its content, which would be left out; rename it to "
                f"{printable(path.name)}.sgy, or move it elsewhere"
            )


def labelled_files(folder: Path | str, labels: object, key: str) -> dict[str, tuple[Path, Path]]:
    """Return the SEG-Y files in a folder that have labels of the same name in another, with these.

    Labels are SEG-Y or PNG files. Raises InputError, naming the ``key`` of both, such as data, if
    no file has some, or if some fit none.
    """
    refuse_mixture(folder)
    lines = segy_files(folder)
    if not isinstance(labels, str | Path) or not Path(labels).is_dir():
        raise InputError(
            f"{key}.labels: expected a folder, since {key}.source is one, with a SEG-Y or PNG file "
            f"for each labelled line, such as {next(iter(lines), 'L1')}.png; found {labels}"
        )
    alike = [name for name in lines if list(map(plain_name, lines)).count(plain_name(name)) > 1]
    if alike:
        raise InputError(
            f"{key}.source: {' and '.join(alike)} differ in nothing but signs other than letters, "
            "digits, - and _; rename one"
        )
    options = [path for name, path in lines.items() if name.startswith("-")]
    if options:
        raise InputError(
            f"{key}.source: {options[0]}: a name that begins with a hyphen is an option to "
            "programs; rename it"
        )
    found: dict[str, tuple[Path, Path]] = {}
    for path in sorted(Path(labels).iterdir()):
        if is_hidden(path.name) or path.suffix.lower() not in (*SUFFIXES, ".png"):
            continue
        if path.stem not in lines or path.stem in found:
            said = "has labels already" if path.stem in found else f"no such SEG-Y file in {folder}"
            raise InputError(f"{key}.labels: {path}: {said}; rename it, or move it elsewhere")
        found[path.stem] = lines[path.stem], path
    if not found:
        raise InputError(
            f"{key}.labels: {labels}: no SEG-Y or PNG file with the name of one in {folder} "
            f"({', '.join(lines) or 'which has no SEG-Y files'})"
        )
    return found
