"""ZGY, Petrel's own format, by the package pyzgy: optional, and without compression.

It has no missing traces: padding is traces of zeros, which count as dead.
"""

import logging
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from saltseg.core.errors import InputError, first_line
from saltseg.survey.container import Container
from saltseg.survey.grid import Axis, Grid

BRICK = 64  # traces
FOOT = 0.3048
PACKAGE = "pyzgy==0.1.1"

logger = logging.getLogger(__name__)


def open_zgy(path: Path) -> Container:
    """Open a file; InputError if it is damaged or compressed, or the package is not installed."""
    file = _open(path)
    unit, factor = _unit(path, file)
    flips = [step < 0 for step in file.annotinc]
    inlines, crosslines = map(_axis, file.annotstart, file.annotinc, file.size)
    samples = Axis(round(file.zstart * factor, 6), round(file.zinc * factor, 6), int(file.size[2]))
    backwards = tuple(slice(None, None, -1 if flip else 1) for flip in flips)
    count = inlines.count

    def read(lines: slice) -> np.ndarray:
        start, stop, _ = lines.indices(count)
        first = count - stop if flips[0] else start
        values = np.zeros((stop - start, *map(int, file.size[1:])), np.float32)
        try:
            file.read((first, 0, 0), values)
        except Exception as error:  # openzgy raises its own, of no common class
            raise _refused(path, error) from None
        return values[backwards]

    positions = _positions(file)[:, *backwards]
    return Container(Grid(inlines, crosslines, samples), unit, positions, read, BRICK)


def _open(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it cannot read from clouds
            api = import_module("openzgy.api")
    except ImportError:
        raise InputError(f"{path}: to read ZGY files, pip install {PACKAGE}") from None
    try:
        return api.ZgyReader(str(path))
    except Exception as error:
        raise _refused(path, error) from None


def _refused(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path}: not a readable ZGY file ({first_line(error)}); copy it again, or export SEG-Y"
    )


def _unit(path: Path, file: Any) -> tuple[str, float]:
    """Return the unit of samples, and how many of it the file's unit is."""
    kind, factor = file.zunitdim.name, file.zunitfactor
    if kind == "length":
        return ("ft", 1.0) if abs(factor - FOOT) < 1e-4 else ("m", factor)
    if kind != "time":
        logger.warning("%s does not say the unit of its samples; taken for milliseconds", path)
        return "ms", 1.0
    return "ms", round(1000 * factor, 9)


def _axis(start: float, step: float, count: int) -> Axis:
    step = round(step) or 1
    return Axis(round(start) + min(step, 0) * (count - 1), abs(step), int(count))


def _positions(file: Any) -> np.ndarray:
    """Return x and y of traces, in the order of the file: float64 (2, inlines, crosslines)."""
    origin, last_inline, last_crossline, _ = np.array(file.corners, np.float64)
    if not np.any(file.corners):
        return np.full((2, *file.size[:2]), np.nan)
    down, across = (np.linspace(0, 1, int(count)) for count in file.size[:2])
    inline = down[:, None, None] * (last_inline - origin)
    return (origin + inline + across[:, None] * (last_crossline - origin)).transpose(2, 0, 1)
