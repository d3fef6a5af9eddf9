"""Predictions of a survey's volume in shards: some of its lines each, as Zarr stores.

``NAME.zarr`` is a group (Zarr v3) with a group for each plane that was predicted, ``inline`` or
``crossline``, of lines that follow each other. It holds, (inline, crossline, sample) in either
case, ``probability`` as uint16, the members' mean times 65534, with 65535 where a trace is missing,
and ``disagreement`` as uint8, the members' standard deviation times 510. Chunks have checksums, and
all else follows from the layout, which each store holds.
"""

import math
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
import zarr
from zarr.codecs import BytesCodec, Crc32cCodec, ZstdCodec
from zarr.storage import MemoryStore

from saltseg.core.stores import readable
from saltseg.ensemble.predictions import shard_of
from saltseg.survey.windows import Windows

VERSION = 1
SCALE = 65534
MISSING = 65535
DEVIATIONS = 510  # a standard deviation of values from 0 to 1 is 0.5 at most
LINES = 32  # that are predicted together; shards end at multiples of it
PLANES = ("inline", "crossline")
DIMENSIONS = (*PLANES, "sample")
ARRAYS = {"probability": "uint16", "disagreement": "uint8"}


def quantised(probabilities: np.ndarray) -> np.ndarray:
    """Return probabilities, float32 in [0, 1], of any shape as uint16."""
    return np.rint(probabilities * np.float64(SCALE)).astype(np.uint16)


def quantised_deviation(deviations: np.ndarray) -> np.ndarray:
    """Return standard deviations, float32 in [0, 0.5], of any shape as uint8."""
    return np.rint(deviations * DEVIATIONS).clip(0, 255).astype(np.uint8)


def planes_of(shape: tuple[int, int, int], asked: str) -> tuple[str, ...]:
    """Return the planes to predict of a volume (inlines, crosslines, samples).

    Those that ``asked`` names, ``inline``, ``crossline`` or ``both``, but for sections of one
    trace, which show nothing; where these alone were asked for, the others.
    """
    planes = PLANES if asked == "both" else (asked,)
    wide = tuple(plane for plane in planes if shape[1 - PLANES.index(plane)] > 1)
    return wide or (PLANES[shape[0] > 1],)


@dataclass(frozen=True)
class Layout:
    """What shards of a volume hold.

    shape: of the volume, (inlines, crosslines, samples)
    cores: for each plane, in order, the traces and samples that are predicted at a time
    shards: how many there are
    members: how many predicted it
    """

    shape: tuple[int, int, int]
    cores: dict[str, tuple[int, int]]
    shards: int
    members: int

    @classmethod
    def of(
        cls,
        shape: tuple[int, int, int],
        windows: Windows,
        planes: str,
        shards: int,
        members: int,
    ) -> "Layout":
        """Lay out ``shards`` shards; ``planes`` is as in ``planes_of``."""
        sides = {plane: (shape[1 - PLANES.index(plane)], shape[2]) for plane in PLANES}
        cores = {
            plane: tuple(map(windows.core, sides[plane])) for plane in planes_of(shape, planes)
        }
        return cls(shape, cores, shards, members)

    def lines(self, plane: str, shard: int) -> range:
        """Return the lines of a plane that a shard holds, by place; of small volumes maybe none.

        Raises InputError if there is no such shard.
        """
        return shard_of(self.shape[PLANES.index(plane)], LINES, self.shards, shard)

    def create(self, store: Path | MemoryStore, shard: int) -> dict[str, dict[str, zarr.Array]]:
        """Make an empty store; return its arrays to fill by plane and name."""
        attributes = {"version": VERSION, "layout": asdict(self), "shard": shard}
        group = zarr.create_group(store, attributes=attributes)
        arrays = {}
        for plane, (traces, samples) in self.cores.items():
            lines, axis = self.lines(plane, shard), PLANES.index(plane)
            if not lines:
                continue
            shape, block = list(self.shape), [traces, traces, samples]
            shape[axis], block[axis] = len(lines), LINES
            inner = group.create_group(plane, attributes={"first": lines.start})
            arrays[plane] = {
                name: inner.create_array(
                    name,
                    shape=tuple(shape),
                    dtype=dtype,
                    chunks=(LINES, LINES, math.gcd(samples, 128)),
                    shards=tuple(block),
                    fill_value=0,
                    dimension_names=DIMENSIONS,
                    serializer=BytesCodec(endian="little"),
                    compressors=[ZstdCodec(level=1), Crc32cCodec()],
                    # A missing file counts as damage.
                    config={"write_empty_chunks": True},
                )
                for name, dtype in ARRAYS.items()
            }
        return arrays


class Shards:
    """All shards of a volume, read as one."""

    def __init__(self, paths: list[Path], shape: tuple[int, int, int]):
        """Open shards of a volume of a shape, in order.

        Raises InputError if one is missing, damaged, or not one of the others.
        """
        self.layout = _layout_of(paths[0], shape, len(paths))
        self._arrays = [_open(path, self.layout, shard) for shard, path in enumerate(paths)]
        self._paths = paths

    def read(self, plane: str, inlines: slice, crosslines: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return probability, uint16, and disagreement, uint8, both (inlines, crosslines, samples).

        By places, not numbers. Raises InputError if a shard is damaged.
        """
        axis, wanted = PLANES.index(plane), [inlines, crosslines]
        parts = []
        for shard, (path, arrays) in enumerate(zip(self._paths, self._arrays, strict=True)):
            lines = self.layout.lines(plane, shard)
            start = max(lines.start, wanted[axis].start)
            stop = min(lines.stop, wanted[axis].stop)
            if start >= stop:
                continue
            part = list(wanted)
            part[axis] = slice(start - lines.start, stop - lines.start)
            with readable(path, "prediction"):
                parts.append([np.asarray(arrays[plane][name][tuple(part)]) for name in ARRAYS])
        probability, disagreement = (
            np.concatenate(each, axis) for each in zip(*parts, strict=True)
        )
        return probability, disagreement


def _layout_of(path: Path, shape: tuple[int, int, int], shards: int) -> Layout:
    with readable(path, "prediction"):
        found = dict(zarr.open_group(path, mode="r").attrs["layout"])
        cores = {plane: (int(core[0]), int(core[1])) for plane, core in found["cores"].items()}
        layout = Layout(tuple(found["shape"]), cores, found["shards"], found["members"])
        if (layout.shape, layout.shards) != (tuple(shape), shards):
            raise ValueError(
                f"expected one of {shards} shards of a volume of {shape}, found one of "
                f"{layout.shards} of {layout.shape}"
            )
        if not cores or not set(cores) <= set(PLANES) or min(map(min, cores.values())) < 1:
            raise ValueError(f"cores {found['cores']}")
        return layout


def _open(path: Path, layout: Layout, shard: int) -> dict[str, dict[str, zarr.Array]]:
    expected = {}
    arrays = layout.create(MemoryStore(expected), shard)
    with readable(path, "prediction"):
        for name, text in expected.items():
            if (path / name).read_bytes() != text.to_bytes():
                raise ValueError(f"{name} is not as written, or not of the same prediction")
        group = zarr.open_group(path, mode="r")
        for plane, names in arrays.items():
            for name, array in names.items():
                sides = zip(array.shape, array.shards, strict=True)
                for block in product(*(range(-(-side // size)) for side, size in sides)):
                    file = Path(plane, name, "c", *map(str, block))
                    if not (path / file).stat().st_size:
                        raise ValueError(f"{file} is empty")
                names[name] = group[f"{plane}/{name}"]
    return arrays
