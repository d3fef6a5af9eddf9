"""The volume of probabilities: merged from shards, written, and read block by block.

``probability.zarr`` is a group (Zarr v3) that xarray opens: ``probability`` and ``disagreement``
(inline, crossline, sample) with their scale in attributes, the numbers of lines ``inline`` and
``crossline``, the times or depths ``sample``, and the traces' coordinates ``x`` and ``y`` (inline,
crossline). Missing samples and dead traces have no value. Where both planes were predicted, the
disagreement is that of all members in both. See ``Fuser`` for the probability.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from scipy.special import expit
from tqdm import tqdm

from saltseg.core.files import replacing_folder
from saltseg.core.metric import expected_scores
from saltseg.core.quantisation import MISSING, SCALE, quantise
from saltseg.core.stores import CHUNK, ArraySpec, Store, create_store, shard_shape
from saltseg.ensemble.fusion import Fusion, average, smooth, surround
from saltseg.output.bodies import honour
from saltseg.output.shards import DEVIATIONS, Shards
from saltseg.survey.grid import CROSSLINE, DIMENSIONS, INLINE, PLANES, Grid
from saltseg.survey.interpolation import Interpolation
from saltseg.survey.lines import UNLABELLED, Labels, on_part
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
        values = self.stored(*part)
        found = values / np.float32(SCALE)
        found[values == MISSING] = np.nan
        return found

    def disagreement(self, *part: slice) -> np.ndarray:
        """Return the standard deviation over members of a part, float32 from 0 to 0.5.

        Raises InputError if the store is damaged.
        """
        return self._store.read("disagreement", *part) / np.float32(DEVIATIONS)

    def stored(self, *part: slice) -> np.ndarray:
        """Return a part as it is stored, uint16, as in ``core.quantisation``.

        Raises InputError if the store is damaged.
        """
        return self._store.read("probability", *part)

    def blocks(self) -> Iterator[Block]:
        """Yield the whole volume block by block, inline by inline.

        Raises InputError if the store is damaged.
        """
        for part in _parts(self.shape):
            arrays = (self._store.read(name, *part) for name in ("probability", "disagreement"))
            yield Block(*part, *arrays)


class Marked:
    """What is above a threshold, read a few inlines at a time, and each shard of the store once."""

    def __init__(self, probability: Probability, threshold: float):
        self._probability, self._threshold = probability, threshold
        # Parts that are read one after the other touch two of them at most.
        self._shard = lru_cache(maxsize=2)(self._read_shard)

    def read(self, inlines: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return where salt is marked, and which samples there are, bool, of some inlines.

        Raises InputError if the store is damaged.
        """
        found = []
        for start in range(inlines.start - inlines.start % CHUNK[0], inlines.stop, CHUNK[0]):
            part = slice(max(inlines.start - start, 0), inlines.stop - start)
            found.append([each[part] for each in self._shard(start)])
        salt, there = (np.concatenate(each) for each in zip(*found, strict=True))
        return salt, there

    def _read_shard(self, start: int) -> tuple[np.ndarray, np.ndarray]:
        values = self._probability.stored(slice(start, start + CHUNK[0]))
        return is_salt(values, self._threshold), values != MISSING


class Expectation:
    """What a mask is expected to be worth on unlabelled lines, if probabilities are calibrated."""

    def __init__(self, labels: Labels):
        """Take labelled lines, whose labelled samples do not count."""
        self._labels = labels
        self._inside = self._outside = 0.0
        self._salt = self._samples = self._marked = 0

    def add(self, block: Block, salt: np.ndarray) -> None:
        """Add a block, and what is marked there, bool (inlines, crosslines, samples)."""
        there = block.probability != MISSING
        self._salt += int(salt.sum())
        self._samples += int(there.sum())
        for part, of_line in on_part(self._labels, block.inlines, block.crosslines):
            there[part] &= of_line == UNLABELLED
        likely = block.probability / np.float32(SCALE)
        self._marked += int((salt & there).sum())
        self._inside += float(likely[salt & there].sum(dtype=np.float64))
        self._outside += float(likely[~salt & there].sum(dtype=np.float64))

    @property
    def salt_share(self) -> float:
        """The share of all samples that is marked."""
        return self._salt / max(self._samples, 1)

    def facts(self) -> dict[str, Any]:
        """Return ``metric.expected_scores``, and the counts that they follow from."""
        counts = {
            "salt": self._salt,
            "samples": self._samples,
            "marked": self._marked,
            "inside": self._inside,
            "outside": self._outside,
        }
        return {**expected_scores(**counts), "counts": counts}


def is_salt(values: np.ndarray, threshold: float) -> np.ndarray:
    """Return where stored probabilities, uint16, are above a threshold, bool of the same shape."""
    # The least value above it: exact, and in the values' own type.
    least = int(np.floor(threshold * SCALE)) + 1
    return (values >= least) & (values != MISSING)


@dataclass(frozen=True)
class Fuser:
    """How probabilities of members become those of the volume.

    Each plane is smoothed across its own lines, the planes are fused with the interpolation of
    labelled lines, and these lines themselves are as they were labelled.

    fusion: None for the mean of the planes' logits
    deviation: of the smoothing in lines; see ``fusion.smooth``
    interpolation: None for none
    labels: those to honour
    """

    fusion: Fusion | None = None
    deviation: float = 0
    interpolation: Interpolation | None = None
    labels: Labels = field(default_factory=dict)

    def fuse(self, shards: Shards, *part: slice) -> Block:
        """Return the block of some inlines and crosslines; InputError if a shard is damaged."""
        logits, planes = {}, []
        for plane in shards.layout.cores:
            axis = PLANES.index(plane)
            lines, near = range(part[axis].start, part[axis].stop), list(part)
            read, inner = surround(lines, shards.layout.shape[axis], self.deviation)
            near[axis] = slice(read.start, read.stop)
            found = shards.read(plane, *near)
            logits[plane] = smooth(found[0], axis, inner, self.deviation)
            here = (slice(None),) * axis + (slice(inner.start, inner.stop),)
            planes.append([each[here] for each in found])
        distance = self.interpolation.distance(*part) if self.interpolation else None
        fusion = self.fusion or average(logits)
        values = quantise(expit(fusion.logits(logits, distance)))
        honour(values, self.labels, *part, salt=SCALE)
        return Block(*part, values, _deviation(*planes))


def write_probability(
    path: Path, grid: Grid, positions: np.ndarray, shards: Shards, fuser: Fuser
) -> None:
    """Merge shards to one store, complete or not at all.

    positions: x and y of traces, float64 (2, inlines, crosslines), NaN if unknown

    Raises InputError for lack of disk space or permission, or if a shard is damaged.
    """
    predictions = shards.layout.members * len(shards.layout.cores)
    with replacing_folder(path) as part:
        arrays = _create(part, grid, positions, predictions)
        for each in tqdm(list(_parts(grid.shape)), unit="block", disable=None, leave=False):
            block = fuser.fuse(shards, *each)
            arrays["probability"][each] = block.probability
            arrays["disagreement"][each] = block.disagreement


def _parts(shape: tuple[int, int, int]) -> Iterator[tuple[slice, slice]]:
    """Yield inlines and crosslines of each shard of a volume's store."""
    steps = shard_shape(shape)[:2]
    for corner in product(*map(range, (0, 0), shape[:2], steps)):
        rows, columns = (
            slice(start, min(start + step, side))
            for start, step, side in zip(corner, steps, shape[:2], strict=True)
        )
        yield rows, columns


def _deviation(*planes: list[np.ndarray]) -> np.ndarray:
    """Return the standard deviation over the members in all planes, quantised as each plane's."""
    if len(planes) == 1:
        return planes[0][1]
    one, other = (each[0].astype(np.float32) for each in planes)
    variance = sum(np.square(each[1], dtype=np.float32) for each in planes) / 2
    apart = (one - other) * np.float32(DEVIATIONS / SCALE / 2)
    deviation = np.sqrt(variance + np.square(apart))
    return np.rint(deviation).clip(0, 255).astype(np.uint8)


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
