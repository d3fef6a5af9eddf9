"""Predictions of a volume in shards: some of its lines each, as Zarr stores.

``NAME.zarr`` is a group (Zarr v3) with two arrays (inline, crossline, sample) for each plane that
was predicted, ``inline`` or ``crossline``, of successive lines: ``PLANE_probability``, uint16, the
mean over members as in ``core.quantisation``, and ``PLANE_disagreement``, uint8, their standard
deviation times 510.
"""

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import zarr

from saltseg.core.errors import InputError, rebuild_hint
from saltseg.core.stores import ArraySpec, Store, create_store
from saltseg.ensemble.predictions import shard_of
from saltseg.survey.grid import DIMENSIONS, PLANES
from saltseg.survey.windows import Windows

VERSION = 2
DEVIATIONS = 510  # a standard deviation of values from 0 to 1 is 0.5 at most
LINES = 32  # that are predicted together; shards end at multiples of it
ARRAYS = {"probability": "uint16", "disagreement": "uint8"}


def quantise_deviation(deviations: np.ndarray) -> np.ndarray:
    """Return standard deviations, float32 in [0, 0.5], of any shape as uint8."""
    return np.rint(deviations * DEVIATIONS).clip(0, 255).astype(np.uint8)


def planes_of(shape: tuple[int, int, int], requested: str) -> tuple[str, ...]:
    """Return the planes to predict of a volume (inlines, crosslines, samples).

    Those that ``requested`` names, ``inline``, ``crossline`` or ``both``, except for sections of
    one trace, which show nothing; if only these were requested, the others.
    """
    planes = PLANES if requested == "both" else (requested,)
    wide = tuple(plane for plane in planes if shape[1 - PLANES.index(plane)] > 1)
    return wide or (PLANES[shape[0] > 1],)


@dataclass(frozen=True)
class Layout:
    """How a volume's predictions are split into shards.

    shape: of the volume, (inlines, crosslines, samples)
    cores: for each plane, in order, the traces and samples that are predicted at a time
    shards: number of shards
    members: number of members
    """

    shape: tuple[int, int, int]
    cores: dict[str, tuple[int, ...]]
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
        """Return the lines of a plane that a shard holds, by index; of small volumes maybe none.

        Raises InputError if there is no such shard.
        """
        return shard_of(self.shape[PLANES.index(plane)], LINES, self.shards, shard)

    def create(self, path: Path, shard: int) -> dict[str, dict[str, zarr.Array]]:
        """Create an empty store; return its arrays to fill by plane and name."""
        specs = {
            f"{plane}_{name}": self._spec(plane, shard, dtype)
            for plane in self.cores
            if self.lines(plane, shard)
            for name, dtype in ARRAYS.items()
        }
        created = create_store(path, self.attributes(shard), specs)
        return {
            plane: {name: created[f"{plane}_{name}"] for name in ARRAYS}
            for plane in self.cores
            if self.lines(plane, shard)
        }

    def attributes(self, shard: int) -> dict:
        """Return the attributes of a shard's store, by which it is recognised."""
        cores = {plane: list(core) for plane, core in self.cores.items()}
        layout = asdict(self) | {"shape": list(self.shape), "cores": cores}
        return {"version": VERSION, "layout": layout, "shard": shard}

    def _spec(self, plane: str, shard: int, dtype: str) -> ArraySpec:
        traces, samples = self.cores[plane]
        shape, shards = list(self.shape), [traces, traces, samples]
        shape[PLANES.index(plane)] = len(self.lines(plane, shard))
        shards[PLANES.index(plane)] = LINES
        chunks = (LINES, LINES, math.gcd(samples, 128))
        return ArraySpec(shape, dtype, DIMENSIONS, chunks, shards)


class Shards:
    """All shards of a volume, read as one."""

    def __init__(self, paths: list[Path], shape: tuple[int, int, int]):
        """Open all shards of a volume of a shape, in order.

        Raises InputError if one is missing, damaged, or not one of the others.
        """
        self._stores = [Store(path, "prediction", VERSION) for path in paths]
        found = self._stores[0].attributes["layout"]
        cores: dict[str, tuple[int, ...]] = {
            plane: (core[0], core[1]) for plane, core in found["cores"].items()
        }
        self.layout = Layout(tuple(found["shape"]), cores, found["shards"], found["members"])
        same = (self.layout.shape, self.layout.shards) == (shape, len(paths))
        for shard, store in enumerate(self._stores):
            expected = self.layout.attributes(shard)
            if not same or {name: store.attributes[name] for name in expected} != expected:
                raise InputError(
                    f"{store.path}: expected shard {shard} of {len(paths)} of one prediction of a "
                    f"volume of {shape}, found another one; {rebuild_hint(store.path)}"
                )

    def read(self, plane: str, inlines: slice, crosslines: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return probability, uint16, and disagreement, uint8, both (inlines, crosslines, samples).

        By index, not number. Raises InputError if a shard is damaged.
        """
        axis, wanted = PLANES.index(plane), [inlines, crosslines]
        parts = []
        for shard, store in enumerate(self._stores):
            lines = self.layout.lines(plane, shard)
            start = max(lines.start, wanted[axis].start)
            stop = min(lines.stop, wanted[axis].stop)
            if start >= stop:
                continue
            part = list(wanted)
            part[axis] = slice(start - lines.start, stop - lines.start)
            parts.append([store.read(f"{plane}_{name}", *part) for name in ARRAYS])
        probability, disagreement = (
            np.concatenate(each, axis) for each in zip(*parts, strict=True)
        )
        return probability, disagreement
