"""Geometry of a SEG-Y file, known before anything is computed: format, grid and amplitudes.

``geometry.json`` holds a Geometry. ``traces.h5`` holds ``traces``, int32 (inlines, crosslines), the
number of each trace in the file, -1 where it is missing, and ``positions``, float64
(2, inlines, crosslines), x and y, NaN if the trace or its coordinates are missing.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from saltseg.core.errors import InputError
from saltseg.core.hdf import HdfFile, writing
from saltseg.core.sealed_json import read_sealed, write_sealed
from saltseg.survey.grid import Axis, Grid

FORMATS = {
    1: "IBM float",
    2: "int32",
    3: "int16",
    5: "IEEE float",
    6: "IEEE double",
    8: "int8",
    9: "int64",
    10: "uint32",
    11: "uint16",
    12: "uint64",
    16: "uint8",
}
Endian = Literal["big", "little"]
SCAN_AGAIN = "delete it to scan the file again"


@dataclass(frozen=True)
class Amplitude:
    """Amplitudes of all traces that are not dead, NaN and infinite values aside.

    clip: what is taken for full scale, from ``percentile`` of the absolute amplitudes
    """

    min: float
    max: float
    mean: float
    std: float
    percentile: float
    clip: float


@dataclass(frozen=True)
class Geometry(Grid):
    """A post-stack SEG-Y file: its grid, which includes missing traces, and how it is stored.

    path, size: as scanned; size in bytes
    format: code of the samples, one of FORMATS
    start: bytes before the first trace
    inline_byte, crossline_byte: where in a trace's header, from 1; None if a 2-D line goes by
        trace number
    coordinates_byte: where x and y are in a trace's header; None if there are none
    sorting: "inline", "crossline" or "none"
    two_d: whether it is a 2-D line, of one inline
    interval: microseconds, or millimetres, as stored
    traces: in the file
    missing: positions of the grid without a trace
    doubled: traces at the position of another one, earlier in the file
    dead: traces that hold zeros alone, or no number at all
    nan: samples that are NaN, infinite or undefined
    notes: what else to know
    unit: of samples: ms of time; m, or ft, of depth
    """

    path: str
    size: int
    endian: Endian
    format: int
    start: int
    inline_byte: int | None
    crossline_byte: int | None
    coordinates_byte: tuple[int, int] | None
    sorting: str
    two_d: bool
    interval: float
    traces: int
    missing: int
    doubled: int
    dead: int
    nan: int
    amplitude: Amplitude
    notes: list[str] = field(default_factory=list)
    unit: str = "ms"

    def save(self, path: Path | str) -> None:
        """Write as JSON; InputError for lack of disk space or permission."""
        write_sealed(path, asdict(self))

    @classmethod
    def load(cls, path: Path | str) -> "Geometry":
        """Read from JSON; InputError if it is missing, damaged or something else."""
        try:
            found = read_sealed(path)
            for name in ("inlines", "crosslines", "samples"):
                found[name] = Axis(**found[name])
            found["amplitude"] = Amplitude(**found["amplitude"])
            if found["coordinates_byte"] is not None:
                found["coordinates_byte"] = tuple(found["coordinates_byte"])
            return cls(**found)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise InputError(f"{path}: not a readable geometry ({error}); {SCAN_AGAIN}") from None


def save_traces(path: Path | str, traces: np.ndarray, positions: np.ndarray) -> None:
    """Write numbers and positions of traces; InputError for lack of disk space or permission."""
    with writing(path) as file:
        # Fletcher-32 alone would not notice changes of -1.
        file.put("traces", traces, compress=True)
        file.put("positions", positions)


def load_traces(path: Path | str, grid: Grid) -> np.ndarray:
    """Return the numbers of traces: int32 (inlines, crosslines), -1 where missing.

    Raises InputError if the file is missing, damaged or of another grid.
    """
    return HdfFile(path).rows("traces", np.int32, grid.shape[:2])[:]


def load_positions(path: Path | str, grid: Grid) -> np.ndarray:
    """Return x and y: float64 (2, inlines, crosslines), NaN if missing.

    Raises InputError if the file is missing, damaged or of another grid.
    """
    return HdfFile(path).rows("positions", np.float64, (2, *grid.shape[:2]))[:]


def describe(geometry: Geometry) -> str:
    """Return a few lines for the terminal: what was found, and what to set where it is wrong."""
    found, samples = geometry.amplitude, geometry.samples
    lines = [
        f"{geometry.path}: {geometry.size / 1e6:,.3g} MB, {geometry.traces:,} traces of "
        f"{samples.count:,} samples, format {geometry.format} ({FORMATS[geometry.format]}), "
        f"{geometry.endian}-endian",
        _describe_lines(geometry),
        f"samples {samples} {geometry.unit}; sample interval {geometry.interval:g} in the headers",
        "coordinates in bytes {} and {}".format(*geometry.coordinates_byte)
        if geometry.coordinates_byte
        else "no coordinates",
        f"{geometry.missing:,} traces missing, {geometry.dead:,} dead, {geometry.doubled:,} "
        f"duplicate; {geometry.nan:,} samples NaN, infinite or undefined (1e30, -999.25)",
        f"amplitudes {found.min:g} to {found.max:g}, mean {found.mean:g}, standard deviation "
        f"{found.std:g}; clipped at {found.clip:g}, the {found.percentile:g}th percentile",
        *(f"note: {note}" for note in geometry.notes),
        "if any of this is wrong, set survey.inline_byte, survey.crossline_byte, survey.endian, "
        "survey.format or survey.domain",
    ]
    return "\n  ".join(lines)


def _describe_lines(geometry: Geometry) -> str:
    if geometry.inline_byte is None:
        return "2-D line by trace number: no inline and crossline numbers in its headers"
    inlines, crosslines = geometry.inlines, geometry.crosslines
    order = {"none": "in no order", "inline": "inline by inline"}
    return (
        f"{'2-D line' if geometry.two_d else 'grid'} of {inlines.count:,} x {crosslines.count:,}: "
        f"inlines {inlines} (byte {geometry.inline_byte}), crosslines {crosslines} (byte "
        f"{geometry.crossline_byte}), traces "
        f"{order.get(geometry.sorting, 'crossline by crossline')}"
    )
