"""The containers of volumes that ``data.source`` and ``predict.source`` may name.

SEG-Y files are read as they are. Any other is copied to SEG-Y first, since results are copies of
the source with other samples. A new one is a function from a path to a ``container.Container``, in
a module of its own, and a line here. It is imported only where it is used.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from saltseg.core.errors import InputError
from saltseg.survey.container import Container

# By the suffix of a file or folder. The module's name is a literal, since the files that a stage
# depends on are found by reading its imports.
READERS: dict[str, Callable[[], Callable[[Path], Container]]] = {
    ".zarr": lambda: import_module("saltseg.survey.zarr_container").open_zarr,
    ".mdio": lambda: import_module("saltseg.survey.mdio_container").open_mdio,
    ".zgy": lambda: import_module("saltseg.survey.zgy_container").open_zgy,
}


def has_reader(path: Path | str) -> bool:
    """Return whether a path names a container of the registry, whether it is there or not."""
    return Path(path).suffix.lower() in READERS


def open_container(path: Path) -> Container:
    """Open a container; InputError if it cannot be read."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder in {Path.cwd()}")
    return READERS[path.suffix.lower()]()(path)
