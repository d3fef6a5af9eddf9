"""The amplitudes of a survey as a Zarr store: read in any direction, checked as it is read.

``volume.zarr`` is a group (Zarr v3) with ``amplitude``, float16 (inline, crossline, sample), in
units of the clip, NaN where a trace is missing, and its coordinates ``inline``, ``crossline`` and
``sample``. Chunks of (32, 32, 128) make inlines, crosslines and slices of equal samples cheap; a
shard, which is a file, holds whole traces. Each chunk has a checksum.
"""

import logging
from itertools import product
from pathlib import Path

import numpy as np
import zarr
from zarr.codecs import BytesCodec, Crc32cCodec, ZstdCodec

from salt.core.checksums import made_again
from salt.core.errors import InputError, first_line

VERSION = 1
CHUNK = (32, 32, 128)
SHARD_TRACES = 256  # crosslines
SHARD_BYTES = 2**26  # fewer crosslines where traces are long
LARGEST = 60_000.0  # of float16, near enough
DIMENSIONS = ("inline", "crossline", "sample")
# What Zarr and its codecs raise for files that are damaged, cut or not theirs.
DAMAGED_ZARR = (OSError, ValueError, RuntimeError, KeyError, TypeError, EOFError, IndexError)

logger = logging.getLogger(__name__)


class Volume:
    """A store of amplitudes.

    shape: (inlines, crosslines, samples)
    inlines, crosslines: their numbers, int64
    samples: times or depths, float64
    clip: the amplitude that 1 stands for
    """

    def __init__(self, path: Path | str):
        """Open a store; InputError where it is missing, damaged or something else."""
        self.path = Path(path)
        with self._readable():
            group = zarr.open_group(self.path, mode="r")
            if group.attrs.get("version") != VERSION:
                raise ValueError(
                    f"expected version {VERSION}, found {group.attrs.get('version')!r}"
                )
            self._amplitude = group["amplitude"]
            self.inlines, self.crosslines, self.samples = (group[name][:] for name in DIMENSIONS)
            self.shape = self._amplitude.shape
            self.attributes = dict(group.attrs)
            self.clip = float(self.attributes["clip"])
            if self.shape != (len(self.inlines), len(self.crosslines), len(self.samples)):
                raise ValueError(f"shape {self.shape} is not that of its coordinates")
            if self._amplitude.dtype != np.float16:
                raise ValueError(f"expected float16 amplitudes, found {self._amplitude.dtype}")

    def read(
        self,
        inlines: slice = slice(None),
        crosslines: slice = slice(None),
        samples: slice = slice(None),
    ) -> np.ndarray:
        """Return a copy of a part: float16 (inlines, crosslines, samples), by places, not numbers.

        Raises InputError where the store is damaged.
        """
        self._require_shards(inlines, crosslines, samples)
        with self._readable():
            return np.asarray(self._amplitude[inlines, crosslines, samples])

    def _require_shards(self, *part: slice) -> None:
        """Raise InputError where a file is gone or empty, which Zarr takes for missing traces."""
        blocks = [
            range(start // size, -(-stop // size)) if start < stop else range(0)
            for size, (start, stop) in zip(
                self._amplitude.shards,
                (each.indices(n)[:2] for each, n in zip(part, self.shape, strict=True)),
                strict=True,
            )
        ]
        for block in product(*blocks):
            file = self.path.joinpath("amplitude", "c", *map(str, block))
            try:
                size = file.stat().st_size
            except OSError:
                size = 0
            if not size:
                raise InputError(
                    f"{file}: missing or empty, expected amplitudes; {made_again(self.path)}"
                )

    def _readable(self) -> "_Readable":
        return _Readable(self.path)


class _Readable:
    """Turn what Zarr raises into InputError."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type, error: BaseException, _: object) -> None:
        if isinstance(error, InputError) or not isinstance(error, DAMAGED_ZARR):
            return
        # Zarr leaves its other reads behind, of which asyncio would complain page after page.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        raise InputError(
            f"{self.path}: not a readable volume ({first_line(error)}); {made_again(self.path)}"
        ) from None


def create(
    path: Path | str,
    inlines: np.ndarray,
    crosslines: np.ndarray,
    samples: np.ndarray,
    clip: float,
    **attributes: object,
) -> zarr.Array:
    """Make an empty store, in the place of one that is there, and return its amplitudes to fill.

    inlines, crosslines: numbers of lines, whole
    samples: times or depths
    clip: the amplitude that 1 stands for
    attributes: what else to know of it
    """
    group = zarr.create_group(
        path, overwrite=True, attributes={"version": VERSION, "clip": clip, **attributes}
    )
    axes = (inlines, crosslines, samples)
    for name, numbers, dtype in zip(DIMENSIONS, axes, ("int64", "int64", "float64"), strict=True):
        # One file each: an axis has no more numbers than a volume has traces a side.
        axis = group.create_array(
            name, shape=(len(numbers),), chunks=(max(len(numbers), 1),), dtype=dtype,
            dimension_names=[name], compressors=[ZstdCodec(level=1), Crc32cCodec()],
        )  # fmt: skip
        axis[:] = np.asarray(numbers, dtype=dtype)
    shape = tuple(map(len, axes))
    return group.create_array(
        "amplitude", shape=shape, dtype="float16", chunks=CHUNK, shards=shard_shape(shape),
        fill_value=np.nan, dimension_names=DIMENSIONS, serializer=BytesCodec(endian="little"),
        compressors=[ZstdCodec(level=1), Crc32cCodec()],
        # Where traces are missing, too: a file that is not there is a damage.
        config={"write_empty_chunks": True},
    )  # fmt: skip


def shard_shape(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return the shape of a shard: all samples of a block of traces, at most 64 MiB if it can be.

    No larger than the volume, in whole chunks.
    """
    inlines, crosslines, samples = CHUNK
    deep = -(-shape[2] // samples) * samples
    wide = min(SHARD_TRACES, -(-shape[1] // crosslines) * crosslines)
    room = SHARD_BYTES // (inlines * crosslines * deep * 2)
    return inlines, min(wide, max(1, room) * crosslines), deep
