"""Losses, networks and augmentation of a user's own files, which the key ``plugins`` names.

A file adds them as it is imported: by the configuration's check, so that their names are accepted,
and by the stages that train and predict.
"""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from saltseg.core.errors import InputError, first_line, raise_faults
from saltseg.networks.registry import NETWORKS, Entry
from saltseg.settings import choices

Loss = TypeVar("Loss", bound=Callable)
Transform = TypeVar("Transform", bound=Callable)
Class = TypeVar("Class", bound=type)

LOSSES: dict[str, Callable] = {}
AUGMENTATIONS: dict[str, Callable] = {}
_LOADED: set[Path] = set()


def add_loss(loss: Loss) -> Loss:
    """Make a function a value of ``training.loss`` and ``late_loss``, by its name.

    It takes logits and masks, both float32 (batch, 1, height, width), and returns a scalar. Raises
    InputError if a loss has that name.
    """
    _add(LOSSES, choices.LOSSES, loss)
    return loss


def add_augmentation(transform: Transform) -> Transform:
    """Make a function a value of ``augmentation.extra``, by its name.

    It takes and returns images, in [0, 1], and masks, both float32 (batch, 1, height, width), and
    draws from PyTorch's own random numbers, which are seeded. Raises InputError for a name twice.
    """
    _add(AUGMENTATIONS, {}, transform)
    return transform


def add_network(network: Class, takes: frozenset[tuple[str, str]] = frozenset()) -> Class:
    """Make a subclass of ``networks.network.Network`` a value of ``model.name``, by its name.

    Its arguments are ``width``, ``dropout`` and those of ``networks.registry.OPTIONAL`` that it
    ``takes``. Raises InputError if a network has that name.
    """
    _add(NETWORKS, {}, network, Entry(lambda: network, takes))
    return network


def _add(registry: dict, others: dict, part: Any, entry: object = None) -> None:
    name = part.__name__
    if name in registry or name in others:
        where = inspect.getsourcefile(part)
        raise InputError(f"{where}: {name} is the name of another one already; rename it")
    registry[name] = entry or part


def load_plugins(paths: object) -> None:
    """Import the files of the key ``plugins``, each once; InputError that lists all that fail.

    What is no list of paths is left to the check of types.
    """
    if isinstance(paths, list) and all(isinstance(path, str) for path in paths):
        raise_faults("plugins", list(_failing(paths)))


def _failing(paths: list[str]) -> Iterator[str]:
    for path in map(Path, paths):
        if not path.is_file():
            yield f"{path}: no such file in {Path.cwd()}; give the path of a Python file"
        elif path.resolve() not in _LOADED:
            try:
                _import(path)
            except InputError as error:
                yield str(error)
            except Exception as error:
                yield (
                    f"{path}: cannot be imported ({type(error).__name__}: {first_line(error)}"
                    f"{_line_of(error, path)}); fix it, or leave it out"
                )


def _import(path: Path) -> None:
    name = f"plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path}: expected a Python file, whose name ends in .py; rename it")
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    _LOADED.add(path.resolve())


def _line_of(error: Exception, path: Path) -> str:
    """Return the last line of a file that an error passed, for a message; empty if none."""
    line, trace = "", error.__traceback__
    while trace:
        if Path(trace.tb_frame.f_code.co_filename) == path.absolute():
            line = f", line {trace.tb_lineno}"
        trace = trace.tb_next
    return line
