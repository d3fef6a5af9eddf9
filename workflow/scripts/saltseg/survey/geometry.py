"""Geometry of a SEG-Y file, known before anything is computed: format, grid and amplitudes.

``geometry.json`` holds a Geometry. Beside it lie ``traces.npy``, int32 (inlines, crosslines), the
number of each trace in the file, -1 where it is missing, and ``positions.npy``, float64
(2, inlines, crosslines), x and y, NaN if the trace or its coordinates are missing.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from saltseg.core import checksums
from saltseg.core.errors import InputError
from saltseg.core.files import replacing

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
SCAN_AGAIN = "delete it to scan the file again"


@dataclass(frozen=True)
class Axis:
    """Evenly spaced numbers of lines, or times or depths of samples."""

    first: float
    step: float
    count: int

    @property
    def last(self) -> float:
        return self.first + self.step * (self.count - 1)

    def numbers(self) -> np.ndarray:
        """Return all numbers: (count), int64 where first and step are whole, or float64."""
        return self.first + self.step * np.arange(self.count)

    def index(self, number: float) -> int:
        """Return the place of a number; KeyError where there is none."""
        place = round((number - self.first) / self.step)
        if not 0 <= place < self.count or self.first + self.step * place != number:
            raise KeyError(number)
        return place

    def __str__(self) -> str:
        if self.count == 1:
            return f"{self.first:g}"
        return f"{self.first:.10g} to {self.last:.10g}, step {self.step:g}"


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
class Geometry:
    """A post-stack SEG-Y file.

    path, size: as scanned; size in bytes
    endian: "big" or "little"
    format: code of the samples, one of FORMATS
    start: bytes before the first trace
    inline_byte, crossline_byte: where in a trace's header, from 1; None if a 2-D line goes by
        trace number
    coordinates_byte: where x and y are in a trace's header; None if there are none
    sorting: "inline", "crossline" or "none"
    two_d: whether it is a 2-D line, of one inline
    inlines, crosslines: of the grid, which has a place for missing traces; steps are positive
    samples: in milliseconds or metres, from the delay of the first trace
    interval: microseconds, or millimetres, as stored
    traces: in the file
    missing: places of the grid without a trace
    doubled: traces whose place another one, earlier in the file, has taken
    dead: traces that hold zeros alone, or no number at all
    nan: samples that are NaN or infinite
    notes: what else to know
    """

    path: str
    size: int
    endian: str
    format: int
    start: int
    inline_byte: int | None
    crossline_byte: int | None
    coordinates_byte: tuple[int, int] | None
    sorting: str
    two_d: bool
    inlines: Axis
    crosslines: Axis
    samples: Axis
    interval: float
    traces: int
    missing: int
    doubled: int
    dead: int
    nan: int
    amplitude: Amplitude
    notes: list[str] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.inlines.count, self.crosslines.count, self.samples.count

    def save(self, path: Path | str) -> None:
        """Write as JSON; InputError for lack of disk space or permission."""
        with replacing(path) as part:
            part.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, path: Path | str) -> "Geometry":
        """Read from JSON; InputError if it is missing, damaged or something else."""
        try:
            found = json.loads(checksums.read(path))
            for name in ("inlines", "crosslines", "samples"):
                found[name] = Axis(**found[name])
            found["amplitude"] = Amplitude(**found["amplitude"])
            if found["coordinates_byte"] is not None:
                found["coordinates_byte"] = tuple(found["coordinates_byte"])
            return cls(**found)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        except InputError:
            raise
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise InputError(f"{path}: not a readable geometry ({error}); {SCAN_AGAIN}") from None


def load_traces(path: Path | str, geometry: Geometry) -> np.ndarray:
    """Return the numbers of traces: int32 (inlines, crosslines), -1 where missing.

    Raises InputError if the file is missing, damaged or of another geometry.
    """
    return _load(path, np.int32, geometry.shape[:2])


def load_positions(path: Path | str, geometry: Geometry) -> np.ndarray:
    """Return x and y: float64 (2, inlines, crosslines), NaN if missing.

    Raises InputError if the file is missing, damaged or of another geometry.
    """
    return _load(path, np.float64, (2, *geometry.shape[:2]))


def _load(path: Path | str, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    try:
        checksums.check(path)
        array = np.load(path, allow_pickle=False)
    except InputError:
        raise
    except (OSError, ValueError, EOFError, SyntaxError, TypeError) as error:
        raise InputError(f"{path}: not a readable array ({error}); {SCAN_AGAIN}") from None
    if not isinstance(array, np.ndarray) or array.dtype != dtype or array.shape != shape:
        raise InputError(
            f"{path}: expected {np.dtype(dtype)} values of shape {shape}, as the geometry beside "
            f"it; found another array; {SCAN_AGAIN}"
        )
    return array


def describe(geometry: Geometry) -> str:
    """Return a few lines for the terminal: what was found, and what to set where it is wrong."""
    found, samples = geometry.amplitude, geometry.samples
    lines = [
        f"{geometry.path}: {geometry.size / 1e6:,.3g} MB, {geometry.traces:,} traces of "
        f"{samples.count:,} samples, format {geometry.format} ({FORMATS[geometry.format]}), "
        f"{geometry.endian}-endian",
        _describe_lines(geometry),
        f"samples {samples} (ms, or m in a depth volume); sample interval {geometry.interval:g} in "
        "the headers",
        "coordinates in bytes {} and {}".format(*geometry.coordinates_byte)
        if geometry.coordinates_byte
        else "no coordinates",
        f"{geometry.missing:,} traces missing, {geometry.dead:,} dead, {geometry.doubled:,} "
        f"duplicate; {geometry.nan:,} samples NaN or infinite",
        f"amplitudes {found.min:g} to {found.max:g}, mean {found.mean:g}, standard deviation "
        f"{found.std:g}; clipped at {found.clip:g}, the {found.percentile:g}th percentile",
        *(f"note: {note}" for note in geometry.notes),
        "if any of this is wrong, set survey.inline_byte, survey.crossline_byte, survey.endian or "
        "survey.format",
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
