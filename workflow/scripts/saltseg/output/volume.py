"""The volume of probabilities, and outputs derived from it in the same pass.

``probability.zarr`` is a group (Zarr v3) that xarray opens: ``probability`` and ``disagreement``
(inline, crossline, sample) with their scale in attributes, the numbers of lines ``inline`` and
``crossline``, the times or depths ``sample``, and the traces' coordinates ``x`` and ``y`` (inline,
crossline). Missing traces have no value. Where both planes were predicted, the probability is their
mean, and the disagreement is that of all members in both.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import zarr
from tqdm import tqdm
from zarr.codecs import BytesCodec, Crc32cCodec, ZstdCodec

from saltseg.core.files import replacing_folder
from saltseg.core.stores import readable, require_shards
from saltseg.output.shards import DEVIATIONS, DIMENSIONS, MISSING, SCALE, Shards
from saltseg.survey.volume import CHUNK, shard_shape

VERSION = 1


@dataclass(frozen=True)
class Axes:
    """Coordinates of a volume.

    inlines, crosslines: numbers, int64
    samples: times or depths, float64
    positions: x and y, float64 (2, inlines, crosslines), NaN if they are not known
    """

    inlines: np.ndarray
    crosslines: np.ndarray
    samples: np.ndarray
    positions: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self.inlines), len(self.crosslines), len(self.samples)


@dataclass(frozen=True)
class Block:
    """Values of some traces, all samples of them.

    inlines, crosslines: places, not numbers
    probability: uint16 (inlines, crosslines, samples), as in ``shards``
    disagreement: uint8, likewise
    """

    inlines: slice
    crosslines: slice
    probability: np.ndarray
    disagreement: np.ndarray

    @property
    def live(self) -> np.ndarray:
        """Whether each trace is there, bool (inlines, crosslines)."""
        return self.probability[..., 0] != MISSING

    def salt(self, threshold: float) -> np.ndarray:
        """Where the probability is above a threshold, bool (inlines, crosslines, samples)."""
        return salt_of(self.probability, threshold)


class Probability:
    """A volume of probabilities on disk.

    shape: (inlines, crosslines, samples)
    """

    def __init__(self, path: Path | str):
        """Open a store; InputError if it is missing, damaged or something else."""
        self.path = Path(path)
        with readable(self.path, "prediction"):
            group = zarr.open_group(self.path, mode="r")
            self._arrays = {name: group[name] for name in ("probability", "disagreement")}
            array = self._arrays["probability"]
            self.shape = array.shape
            if array.dtype != np.uint16 or len(self.shape) != 3:
                raise ValueError(f"found {array.dtype} {self.shape}")

    def read(self, *part: slice) -> np.ndarray:
        """Return a part by places, float32 (inlines, crosslines, samples), NaN if missing.

        Raises InputError if the store is damaged.
        """
        values = self._values("probability", *part)
        found = values / np.float32(SCALE)
        found[values == MISSING] = np.nan
        return found

    def disagreement(self, *part: slice) -> np.ndarray:
        """Return the standard deviation over members of a part, float32 from 0 to 0.5.

        Raises InputError if the store is damaged.
        """
        return self._values("disagreement", *part) / np.float32(DEVIATIONS)

    def mask(self, threshold: float, *part: slice) -> np.ndarray:
        """Return where a part is above a threshold, bool; missing traces are not.

        Raises InputError if the store is damaged.
        """
        return salt_of(self._values("probability", *part), threshold)

    def _values(self, name: str, *part: slice) -> np.ndarray:
        array = self._arrays[name]
        require_shards(self.path, name, array.shape, array.shards, part, "predictions")
        with readable(self.path, "prediction"):
            return np.asarray(array[part])


def salt_of(values: np.ndarray, threshold: float) -> np.ndarray:
    """Where stored probabilities, uint16, are above a threshold, bool of the same shape."""
    # The least value above it: exact, and in the values' own type.
    least = int(np.floor(threshold * SCALE)) + 1
    return (values >= least) & (values != MISSING)


def merged(shards: Shards, bar: bool = True) -> Iterator[Block]:
    """Yield the whole volume block by block, inline by inline, in the blocks of ``Store``."""
    step = shard_shape(shards.layout.shape)[:2]
    starts = [range(0, n, m) for n, m in zip(shards.layout.shape, step, strict=False)]
    blocks = list(product(*starts))
    for corner in tqdm(blocks, unit="block", disable=None if bar else True, leave=False):
        part = [
            slice(start, min(start + size, side))
            for start, size, side in zip(corner, step, shards.layout.shape, strict=False)
        ]
        found = [shards.read(plane, *part) for plane in shards.layout.cores]
        yield Block(*part, *(found[0] if len(found) == 1 else _averaged(*found)))


def _averaged(
    first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean over two planes, and standard deviation over the members of both."""
    one, other = (each[0].astype(np.float32) for each in (first, second))
    # Of two missing values, too.
    mean = np.rint((one + other) / 2).astype(np.uint16)
    variance = sum(np.square(each[1], dtype=np.float32) for each in (first, second)) / 2
    apart = (one - other) * np.float32(DEVIATIONS / SCALE / 2)
    deviation = np.sqrt(variance + np.square(apart))
    return mean, np.rint(deviation).clip(0, 255).astype(np.uint8)


def store(path: Path, axes: Axes, blocks: Iterator[Block]) -> Iterator[Block]:
    """Write blocks to a store as they come, and hand each on; complete, or not at all.

    Raises InputError for lack of disk space or permission.
    """
    with replacing_folder(path) as part:
        arrays = _create(part, axes)
        for block in blocks:
            where = (block.inlines, block.crosslines)
            arrays["probability"][where] = block.probability
            arrays["disagreement"][where] = block.disagreement
            yield block


def _create(path: Path, axes: Axes) -> dict[str, zarr.Array]:
    group = zarr.create_group(path, attributes={"version": VERSION})
    codecs = {
        "serializer": BytesCodec(endian="little"),
        "compressors": [ZstdCodec(level=1), Crc32cCodec()],
        "config": {"write_empty_chunks": True},
    }
    coordinates = {
        "inline": (axes.inlines, ["inline"]),
        "crossline": (axes.crosslines, ["crossline"]),
        "sample": (axes.samples, ["sample"]),
        "x": (axes.positions[0], ["inline", "crossline"]),
        "y": (axes.positions[1], ["inline", "crossline"]),
    }
    for name, (values, dimensions) in coordinates.items():
        array = group.create_array(
            name,
            shape=values.shape,
            dtype=values.dtype,
            chunks=tuple(max(side, 1) for side in values.shape),
            dimension_names=dimensions,
            **codecs,
        )
        array[...] = values
    arrays = {}
    for name, dtype, scale, missing in (
        ("probability", "uint16", SCALE, MISSING),
        ("disagreement", "uint8", DEVIATIONS, None),
    ):
        # What xarray turns to numbers from 0 to 1, by the CF conventions.
        attributes = {"scale_factor": 1 / scale, "coordinates": "x y"}
        if missing is not None:
            attributes["_FillValue"] = missing
        arrays[name] = group.create_array(
            name,
            shape=axes.shape,
            dtype=dtype,
            chunks=CHUNK,
            shards=shard_shape(axes.shape),
            fill_value=0 if missing is None else missing,
            dimension_names=DIMENSIONS,
            attributes=attributes,
            **codecs,
        )
    return arrays
