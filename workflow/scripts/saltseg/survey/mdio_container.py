"""MDIO v1 of a post-stack volume: the Zarr store (v3 or v2) that the library multidimio writes.

The group's attribute ``defaultVariableName`` names the amplitudes, (inline, crossline, time or
depth). The coordinates of these names hold the lines that have traces, whole numbers, and the times
or depths. ``trace_mask``, ``cdp_x`` and ``cdp_y``, (inline, crossline), say where traces are;
``headers`` holds the fields of the SEG-Y file that they came from.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import numpy as np
import zarr

from saltseg.core.errors import InputError, first_line
from saltseg.core.stores import DAMAGED_ZARR
from saltseg.survey.container import Container
from saltseg.survey.grid import Axis, Grid

# The project's unit of each of MDIO's, and how many of it one is.
UNITS = {
    "s": ("ms", 1000.0),
    "ms": ("ms", 1.0),
    "us": ("ms", 0.001),
    "\N{MICRO SIGN}s": ("ms", 0.001),
    "m": ("m", 1.0),
    "km": ("m", 1000.0),
    "ft": ("ft", 1.0),
}
LINES, DOMAINS = ("inline", "crossline"), ("time", "depth")
SPARSEST = 50  # lines of the grid for each that is stored

logger = logging.getLogger(__name__)


def open_mdio(path: Path) -> Container:
    """Open a store; InputError if it is damaged, incomplete, pre-stack or something else."""
    with _readable(path):
        group = zarr.open_group(path, mode="r")
        array, domain = _amplitudes(group)
        there = np.broadcast_to(_read(group, "trace_mask", True), array.shape[:2])
        _require_files(path, array, there)
        unit, samples = _samples(group, domain, there)
        numbers = [_read(group, name) for name in LINES]
        axes = [_line_axis(*each) for each in zip(LINES, numbers, strict=True)]
        places = [_read(group, name, np.nan) for name in ("cdp_x", "cdp_y")]
    rows, columns = (
        (each - axis.first) // axis.step for each, axis in zip(numbers, axes, strict=True)
    )
    grid = Grid(*axes, samples)
    positions = np.full((2, *grid.shape[:2]), np.nan)
    for position, place in zip(positions, places, strict=True):
        position[rows[:, None], columns] = np.where(there, place, np.nan)

    def read(inlines: slice) -> np.ndarray:
        start, stop, _ = inlines.indices(len(positions[0]))
        values = np.full((stop - start, *grid.shape[1:]), np.nan, np.float32)
        (own,) = np.nonzero((rows >= start) & (rows < stop))
        if own.size:
            part = slice(own.min(), own.max() + 1)
            with _readable(path):
                found = np.asarray(array[part]).astype(np.float32)
            found[~there[part]] = np.nan
            values[rows[own, None] - start, columns] = found[own - part.start]
        return values

    return Container(grid, unit, positions, read, array.chunks[0])


def _amplitudes(group: zarr.Group) -> tuple[zarr.Array, str]:
    """Return the array of amplitudes, and whether they are of time or depth."""
    version = group.attrs.get("apiVersion", group.attrs.get("api_version"))
    if not str(version).startswith("1."):
        raise ValueError(f"expected apiVersion 1, as multidimio 1 writes it; found {version}")
    name = group.attrs.get("attributes", {}).get("defaultVariableName", "amplitude")
    array = group.get(name)
    if not isinstance(array, zarr.Array):
        raise ValueError(f"no variable {name}, which defaultVariableName names")
    names = getattr(array.metadata, "dimension_names", None) or array.attrs["_ARRAY_DIMENSIONS"]
    *lines, domain = names
    if tuple(lines) != LINES or domain not in DOMAINS:
        raise ValueError(
            f"expected dimensions inline, crossline, and time or depth; found {', '.join(names)}"
        )
    return array, domain


def _read(group: zarr.Group, name: str, default: float | None = None) -> np.ndarray:
    """Return a variable, or the default if there is none; ValueError without either."""
    if name not in group and default is None:
        raise ValueError(f"no variable {name}")
    return np.asarray(group[name][:] if name in group else default)


def _require_files(path: Path, array: zarr.Array, there: np.ndarray) -> None:
    """Raise ValueError for chunks without a file, which Zarr would take for undefined samples."""
    size = array.shards or array.chunks
    counts = (-(-side // each) for side, each in zip(array.shape, size, strict=True))
    for block in product(*map(range, counts)):
        rows, columns = (slice(i * size[k], (i + 1) * size[k]) for k, i in enumerate(block[:2]))
        file = path / array.path / array.metadata.encode_chunk_key(block)
        if there[rows, columns].any() and not file.is_file():
            raise ValueError(f"{file.relative_to(path)}, a chunk with traces, is missing")


def _line_axis(name: str, numbers: np.ndarray) -> Axis:
    """Return the regular grid's numbers of lines, of which those without a trace are not stored."""
    steps = np.diff(np.sort(numbers))
    if numbers.dtype.kind not in "iu" or not steps.all():
        raise ValueError(f"expected whole numbers in {name}, each once; found {numbers}")
    step = int(np.gcd.reduce(steps)) or 1
    axis = Axis(int(numbers.min()), step, int(numbers.max() - numbers.min()) // step + 1)
    if axis.count > SPARSEST * len(numbers):
        raise ValueError(f"expected numbers of a grid in {name}; found {numbers}")
    return axis


def _samples(group: zarr.Group, domain: str, there: np.ndarray) -> tuple[str, Axis]:
    """Return the unit, and the times or depths.

    multidimio 1.1 drops what trace headers say of a delay, and fractions of the interval.
    """
    unit, factor = _unit(group, domain)
    stored = _read(group, domain) * factor
    interval, delay = _interval_and_delay(group, there)
    exact = np.arange(len(stored)) * interval
    if interval % 1 and np.array_equal(stored, np.trunc(exact)):
        logger.warning("interval of %g %s, as trace headers have it", interval, unit)
        stored = exact
    if delay and stored[0] == 0:
        logger.warning("samples begin at %g %s, as trace headers say", delay, unit)
        stored = stored + delay
    steps = np.diff(stored)
    if not steps.size or steps[0] <= 0 or np.ptp(steps) > 1e-3 * steps[0]:
        raise ValueError(f"expected evenly spaced samples in {domain}; found {stored}")
    return unit, Axis(round(float(stored[0]), 6), round(float(steps.mean()), 6), len(stored))


def _unit(group: zarr.Group, domain: str) -> tuple[str, float]:
    """Return the unit of samples, and how many of it MDIO's is; that of x if none is stated."""
    for name, kind in ((domain, domain.replace("depth", "length")), ("cdp_x", "length")):
        attributes = group[name].attrs if name in group else {}
        found = attributes.get("unitsV1", {}).get(kind)
        if found and (name == domain or domain == "depth"):
            if found not in UNITS:
                raise ValueError(f"unit {found} of {name}; expected one of {', '.join(UNITS)}")
            return UNITS[found]
    return UNITS["ms" if domain == "time" else "m"]


def _interval_and_delay(group: zarr.Group, there: np.ndarray) -> tuple[float, float]:
    """Return what the headers of the first trace say, scaled as in SEG-Y; 0 where they do not."""
    if "headers" not in group or not there.any():
        return 0.0, 0.0
    first = np.asarray(group["headers"][tuple(np.argwhere(there)[0])])
    names = first.dtype.names or ()
    interval, delay, scalar = (
        float(first[name]) if name in names else 0.0
        for name in ("sample_interval", "delay_recording_time", "times_scalar")
    )
    return interval / 1000, delay / -scalar if scalar < 0 else delay * (scalar or 1)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raise InputError, with the store's name and the remedy, for what Zarr raises."""
    try:
        with warnings.catch_warnings():
            # Of the type of headers, which is not in Zarr's specification.
            warnings.simplefilter("ignore")
            yield
    except DAMAGED_ZARR as error:
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        raise InputError(
            f"{path}: not a readable post-stack MDIO v1 store ({first_line(error)}); copy or "
            "import it again"
        ) from None
