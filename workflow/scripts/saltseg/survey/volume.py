"""The amplitudes of a volume as a Zarr store: read in any direction, checked as it is read.

``volume.zarr`` is a group (Zarr v3) with ``amplitude``, float16 (inline, crossline, sample), in
units of the clip, NaN if a sample is undefined or its trace missing or dead, and its coordinates
``inline``, ``crossline`` and ``sample``. A file holds whole traces.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np
import zarr

from saltseg.core.errors import InputError
from saltseg.core.files import replacing_folder
from saltseg.core.stores import CHUNK, SHARD_BYTES, ArraySpec, Store, create_store, shard_shape
from saltseg.survey.character import Character, choose_traces
from saltseg.survey.geometry import Geometry
from saltseg.survey.grid import DIMENSIONS, Grid
from saltseg.survey.segy import Segy

VERSION = 2
LARGEST = 60_000.0  # of float16, near enough
PROGRESS = 30  # seconds between messages

logger = logging.getLogger(__name__)


class Volume:
    """A store of amplitudes.

    shape: (inlines, crosslines, samples)
    clip: what is full scale, in the units of the source
    percentile: of the absolute amplitudes, which became the clip
    polarity: ``survey.polarity``, by which amplitudes have the file's sign or the other
    character: of the amplitudes in the store
    """

    def __init__(self, path: Path | str):
        """Open a store; InputError if it is missing, damaged or something else."""
        self._store = Store(path, "volume", VERSION)
        self.shape = self._store.arrays["amplitude"].shape
        self.clip: float = self._store.attributes.get("clip", 1.0)
        self.percentile: float = self._store.attributes["percentile"]
        self.polarity: str = self._store.attributes.get("polarity", "normal")
        self.character = Character.of(self._store.attributes.get("character", {}))

    def coordinates(self) -> list[np.ndarray]:
        """Return the numbers of lines, int64, and the times or depths of samples, float64."""
        return [self._store.read(name, slice(None)) for name in DIMENSIONS]

    def read(
        self,
        inlines: slice = slice(None),
        crosslines: slice = slice(None),
        samples: slice = slice(None),
    ) -> np.ndarray:
        """Return a copy of a part: float16 (inlines, crosslines, samples), by index.

        Raises InputError if the store is damaged.
        """
        return self._store.read("amplitude", inlines, crosslines, samples)


def create(path: Path | str, grid: Grid, **attributes: object) -> zarr.Array:
    """Create an empty store, in a new or an empty folder; return its amplitudes to fill."""
    arrays = coordinates(grid) | {
        "amplitude": ArraySpec(
            grid.shape, "float16", DIMENSIONS, CHUNK, shard_shape(grid.shape), np.nan
        )
    }
    created = create_store(Path(path), {"version": VERSION, **attributes}, arrays)
    fill_coordinates(created, grid)
    return created["amplitude"]


def coordinates(grid: Grid) -> dict[str, ArraySpec]:
    """Return the arrays of a store by which xarray finds lines and samples."""
    dtypes = zip(DIMENSIONS, ("int64", "int64", "float64"), grid.shape, strict=True)
    return {name: ArraySpec([count], dtype, [name]) for name, dtype, count in dtypes}


def fill_coordinates(arrays: dict[str, zarr.Array], grid: Grid) -> None:
    """Write the numbers of lines, and the times or depths of samples."""
    for name, axis in zip(DIMENSIONS, grid.axes, strict=True):
        arrays[name][:] = axis.numbers().astype(arrays[name].dtype)


def open_source(path: Path | str, geometry: Geometry) -> Segy:
    """Open the file that a geometry is of; InputError if it is not as it was scanned."""
    file = Segy(path, geometry.endian, geometry.format)
    layout = file.layout
    found = file.size, layout.start, layout.samples, layout.traces
    expected = geometry.size, geometry.start, geometry.samples.count, geometry.traces
    if found != expected:
        file.close()
        raise InputError(
            f"{path}: expected {expected[0]} bytes, {expected[3]} traces of {expected[2]} samples, "
            f"as it was scanned; found {found[0]} bytes, {found[3]} traces of {found[2]}; delete "
            "geometry.json to scan it again"
        )
    return file


def import_volume(
    source: Path | str,
    geometry: Geometry,
    traces: np.ndarray,
    output: Path | str,
    threads: int = 1,
    polarity: str = "normal",
) -> None:
    """Write the amplitudes of a SEG-Y file to a store, complete or not at all.

    Reads each trace once. If killed, it starts over: 100 GB take some five minutes.

    traces: numbers of traces, int32 (inlines, crosslines), -1 where missing
    polarity: "reversed" to change the sign of all amplitudes

    Raises InputError if the source cannot be read or is not as scanned, or the disk is full.
    """
    clip = geometry.amplitude.clip * (-1 if polarity == "reversed" else 1)
    with open_source(source, geometry) as file, replacing_folder(output) as part:
        some = scale(file.read_traces(choose_traces(traces)), clip)
        array = create(
            part,
            geometry,
            clip=geometry.amplitude.clip,
            percentile=geometry.amplitude.percentile,
            polarity=polarity,
            character=Character.measure(some, geometry.samples.step).as_dict(),
            source=Path(geometry.path).name,
        )
        size = array.shards[:2]
        blocks = [
            tuple(slice(start, start + step) for start, step in zip(corner, size, strict=True))
            for corner in product(*map(range, (0, 0), traces.shape, size))
        ]

        def write(block: tuple[slice, ...]) -> None:
            array[block] = _amplitudes(file, geometry, traces[block], clip)

        # Each thread holds a shard and what it is made from.
        most = max(1, 4 * SHARD_BYTES // (2 * int(np.prod(array.shards))))
        _write_all(write, blocks, min(threads, most))


def _write_all(
    write: Callable[[tuple[slice, ...]], None], blocks: list[tuple[slice, ...]], threads: int
) -> None:
    """Write blocks in threads, logging progress."""
    logged = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        waiting = [pool.submit(write, block) for block in blocks]
        try:
            for done, each in enumerate(waiting, 1):
                each.result()
                if time.monotonic() - logged > PROGRESS:
                    logged = time.monotonic()
                    logger.info("%.0f %% imported", 100 * done / len(blocks))
        finally:
            pool.shutdown(cancel_futures=True)


def _amplitudes(file: Segy, geometry: Geometry, traces: np.ndarray, clip: float) -> np.ndarray:
    """Return what the store holds of some traces: float16 (*traces.shape, samples)."""
    found = np.empty((*traces.shape, geometry.samples.count), np.float16)
    # In the order of the file, so that each piece lies together in it.
    across = geometry.sorting == "crossline"
    lines, out = (traces.T, found.swapaxes(0, 1)) if across else (traces, found)
    for line, part in zip(lines, out, strict=True):
        part[...] = scale(file.read_traces(line), clip)
    return found


def scale(traces: np.ndarray, clip: float) -> np.ndarray:
    """Scale traces, float32 (..., samples), in place to units of the clip; dead ones become NaN.

    A negative clip changes their signs.
    """
    # A dead trace, such as padding, is missing: networks take it for salt.
    traces[~np.nan_to_num(traces).any(axis=-1)] = np.nan
    traces /= np.float32(clip)
    return np.clip(traces, -LARGEST, LARGEST, out=traces)
