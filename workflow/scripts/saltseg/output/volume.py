"""The volume of probabilities: merged from shards, written, and read block by block.

``probability.zarr`` is a group (Zarr v3) that xarray opens: ``probability`` and ``disagreement``
(inline, crossline, sample) with their scale in attributes, the numbers of lines ``inline`` and
``crossline``, the times or depths ``sample``, and the traces' coordinates ``x`` and ``y`` (inline,
crossline). Missing samples and dead traces have no value. Where both planes were predicted, the
probability is their mean, and the disagreement is that of all members in both.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from tqdm import tqdm

from saltseg.core.files import replacing_folder
from saltseg.core.quantisation import MISSING, SCALE
from saltseg.core.stores import CHUNK, ArraySpec, Store, create_store, shard_shape
from saltseg.output.shards import DEVIATIONS, Shards
from saltseg.survey.grid import CROSSLINE, DIMENSIONS, INLINE, Grid
from saltseg.survey.volume import coordinates, fill_coordinates

VERSION = 2


@dataclass(frozen=True)
class Block:
    """Values of some traces, all samples of them.

    inlines, crosslines: by index, not number
    probability: uint16 (inlines, crosslines, samples), as in ``core.quantisation``
    disagreement: uint8, likewise
    """

    inlines: slice
    crosslines: slice
    probability: np.ndarray
    disagreement: np.ndarray

    @property
    def live(self) -> np.ndarray:
        """Whether each trace has a sample, bool (inlines, crosslines)."""
        return (self.probability != MISSING).any(axis=2)

    def salt(self, threshold: float) -> np.ndarray:
        """Return where the probability is above a threshold, bool of its shape."""
        return is_salt(self.probability, threshold)


class Probability:
    """A volume of probabilities on disk.

    shape: (inlines, crosslines, samples)
    predictions: how many the disagreement is of, members times planes
    """

    def __init__(self, path: Path | str):
        """Open a store; InputError if it is missing, damaged or something else."""
        self._store = Store(path, "prediction", VERSION)
        self.shape = self._store.arrays["probability"].shape
        self.predictions: int = self._store.attributes["predictions"]

    def read(self, *part: slice) -> np.ndarray:
        """Return a part by index, float32 (inlines, crosslines, samples), NaN if missing.

        Raises InputError if the store is damaged.
        """
        values = self._store.read("probability", *part)
        found = values / np.float32(SCALE)
        found[values == MISSING] = np.nan
        return found

    def disagreement(self, *part: slice) -> np.ndarray:
        """Return the standard deviation over members of a part, float32 from 0 to 0.5.

        Raises InputError if the store is damaged.
        """
        return self._store.read("disagreement", *part) / np.float32(DEVIATIONS)

    def mask(self, threshold: float, *part: slice) -> np.ndarray:
        """Return where a part is above a threshold, bool; missing traces are not.

        Raises InputError if the store is damaged.
        """
        return is_salt(self._store.read("probability", *part), threshold)

    def blocks(self) -> Iterator[Block]:
        """Yield the whole volume block by block, inline by inline.

        Raises InputError if the store is damaged.
        """
        for part in _parts(self.shape):
            arrays = (self._store.read(name, *part) for name in ("probability", "disagreement"))
            yield Block(*part, *arrays)


def is_salt(values: np.ndarray, threshold: float) -> np.ndarray:
    """Return where stored probabilities, uint16, are above a threshold, bool of the same shape."""
    # The least value above it: exact, and in the values' own type.
    least = int(np.floor(threshold * SCALE)) + 1
    return (values >= least) & (values != MISSING)


def write_probability(path: Path, grid: Grid, positions: np.ndarray, shards: Shards) -> None:
    """Merge shards to one store, complete or not at all.

    positions: x and y of traces, float64 (2, inlines, crosslines), NaN if unknown

    Raises InputError for lack of disk space or permission, or if a shard is damaged.
    """
    predictions = shards.layout.members * len(shards.layout.cores)
    with replacing_folder(path) as part:
        arrays = _create(part, grid, positions, predictions)
        for block in merge(shards):
            index = block.inlines, block.crosslines
            arrays["probability"][index] = block.probability
            arrays["disagreement"][index] = block.disagreement


def merge(shards: Shards) -> Iterator[Block]:
    """Yield the whole volume block by block, inline by inline, in the shards of its store.

    Raises InputError if a shard is damaged.
    """
    parts = list(_parts(shards.layout.shape))
    for part in tqdm(parts, unit="block", disable=None, leave=False):
        planes = [shards.read(plane, *part) for plane in shards.layout.cores]
        yield Block(*part, *(planes[0] if len(planes) == 1 else _mean_of_planes(*planes)))


def _parts(shape: tuple[int, int, int]) -> Iterator[tuple[slice, slice]]:
    """Yield inlines and crosslines of each shard of a volume's store."""
    steps = shard_shape(shape)[:2]
    for corner in product(*map(range, (0, 0), shape[:2], steps)):
        rows, columns = (
            slice(start, min(start + step, side))
            for start, step, side in zip(corner, steps, shape[:2], strict=True)
        )
        yield rows, columns


def _mean_of_planes(
    first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean over two planes, and the standard deviation over the members of both."""
    one, other = (each[0].astype(np.float32) for each in (first, second))
    # The mean of two missing values is MISSING, too.
    mean = np.rint((one + other) / 2).astype(np.uint16)
    variance = sum(np.square(each[1], dtype=np.float32) for each in (first, second)) / 2
    apart = (one - other) * np.float32(DEVIATIONS / SCALE / 2)
    deviation = np.sqrt(variance + np.square(apart))
    return mean, np.rint(deviation).clip(0, 255).astype(np.uint8)


def _create(
    path: Path, grid: Grid, positions: np.ndarray, predictions: int
) -> dict[str, zarr.Array]:
    """Create the store with its coordinates, and return its arrays to fill."""

    def values(dtype: str, scale: int, fill_value: int, **attributes: Any) -> ArraySpec:
        # By these attributes xarray returns numbers from 0 to 1 (CF conventions).
        attributes |= {"scale_factor": 1 / scale, "coordinates": "x y"}
        shards = shard_shape(grid.shape)
        return ArraySpec(grid.shape, dtype, DIMENSIONS, CHUNK, shards, fill_value, attributes)

    per_trace = ArraySpec(grid.shape[:2], "float64", [INLINE, CROSSLINE])
    specs = {
        **coordinates(grid),
        "x": per_trace,
        "y": per_trace,
        "probability": values("uint16", SCALE, MISSING, _FillValue=MISSING),
        "disagreement": values("uint8", DEVIATIONS, 0),
    }
    arrays = create_store(path, {"version": VERSION, "predictions": predictions}, specs)
    fill_coordinates(arrays, grid)
    for name, of_axis in zip(("x", "y"), positions, strict=True):
        arrays[name][...] = of_axis
    return arrays
