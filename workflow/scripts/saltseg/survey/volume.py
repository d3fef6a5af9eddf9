"""The amplitudes of a survey as a Zarr store: read in any direction, checked as it is read.

``volume.zarr`` is a group (Zarr v3) with ``amplitude``, float16 (inline, crossline, sample), in
units of the clip, NaN if a trace is missing, and its coordinates ``inline``, ``crossline`` and
``sample``. Chunks of (32, 32, 128) make inlines, crosslines and slices of equal samples cheap; a
shard, which is a file, holds whole traces. Each chunk has a checksum.
"""

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from hashlib import sha256
from itertools import product
from json import dumps
from pathlib import Path

import numpy as np
import zarr
from zarr.codecs import BytesCodec, Crc32cCodec, ZstdCodec

from saltseg.core.errors import InputError
from saltseg.core.files import replacing, replacing_folder, writable
from saltseg.core.stores import readable, require_shards
from saltseg.survey.geometry import Geometry
from saltseg.survey.segy import Segy

VERSION = 1
CHUNK = (32, 32, 128)
SHARD_TRACES = 256  # crosslines
SHARD_BYTES = 2**25  # fewer crosslines where traces are long
LARGEST = 60_000.0  # of float16, near enough
PROGRESS = 30  # seconds between messages
DIMENSIONS = ("inline", "crossline", "sample")

logger = logging.getLogger(__name__)


class Volume:
    """A store of amplitudes.

    shape: (inlines, crosslines, samples)
    inlines, crosslines: their numbers, int64
    samples: times or depths, float64
    clip: the amplitude that 1 stands for
    """

    def __init__(self, path: Path | str):
        """Open a store; InputError if it is missing, damaged or something else."""
        self.path = Path(path)
        with readable(self.path, "volume"):
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

        Raises InputError if the store is damaged.
        """
        part, array = (inlines, crosslines, samples), self._amplitude
        require_shards(self.path, "amplitude", self.shape, array.shards, part, "amplitudes")
        with readable(self.path, "volume"):
            return np.asarray(array[part])


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
    """Return the shape of a shard: all samples of a block of traces, at most 32 MiB if it can be.

    No larger than the volume, in whole chunks.
    """
    inlines, crosslines, samples = CHUNK
    deep = -(-shape[2] // samples) * samples
    wide = min(SHARD_TRACES, -(-shape[1] // crosslines) * crosslines)
    room = SHARD_BYTES // (inlines * crosslines * deep * 2)
    return inlines, min(wide, max(1, room) * crosslines), deep


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
    state: Path | str | None = None,
    code: Iterable[str] = (),
    threads: int = 1,
) -> None:
    """Write the amplitudes of a SEG-Y file to a store, shard by shard, reading each trace once.

    traces: numbers of traces, int32 (inlines, crosslines), -1 where missing
    state: folder of finished shards, to resume from if killed, deleted at the end; beside the
        output by default
    code: what stands for the code that writes; shards of another are dropped

    Raises InputError if the source cannot be read or is not as scanned, or the disk is full.
    """
    output = Path(output)
    state = Path(state or output.with_name(f".{output.name}.state"))
    store = state / "volume.zarr"
    with open_source(source, geometry) as file, writable(store):
        identity = _identity(file, geometry, traces, code)
        shards = _begin(state, store, geometry, identity)
        array = zarr.open_array(store, path="amplitude", mode="r+")
        size = array.shards[:2]
        blocks = list(
            product(*(range(-(-n // m)) for n, m in zip(traces.shape, size, strict=True)))
        )
        left = [block for block in blocks if block not in shards]
        if shards:
            logger.info(
                "%d of %d shards are already finished", len(blocks) - len(left), len(blocks)
            )

        def write(block: tuple[int, int]) -> None:
            part = tuple(slice(i * n, (i + 1) * n) for i, n in zip(block, size, strict=True))
            array[part] = _amplitudes(file, geometry, traces[part])
            # The rename that Zarr ends with may reach the disk before the content.
            with open(_shard(store, block), "rb+") as written:
                os.fsync(written.fileno())

        # Each holds a shard and what it is made from.
        most = max(1, 4 * SHARD_BYTES // (2 * int(np.prod(array.shards))))
        _write_all(write, left, len(blocks), min(threads, most))
        with replacing_folder(output) as part:
            part.rmdir()
            shutil.move(store, part)
        shutil.rmtree(state)


def _write_all(
    write: Callable[[tuple[int, int]], None],
    left: list[tuple[int, int]],
    total: int,
    threads: int,
) -> None:
    """Write what is left of ``total`` shards in threads, logging progress."""
    told = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        waiting = [pool.submit(write, block) for block in left]
        try:
            for done, each in enumerate(waiting, total - len(left) + 1):
                each.result()
                if time.monotonic() - told > PROGRESS:
                    told = time.monotonic()
                    logger.info("%.0f %% imported", 100 * done / total)
        finally:
            pool.shutdown(cancel_futures=True)


def _identity(file: Segy, geometry: Geometry, traces: np.ndarray, code: Iterable[str]) -> str:
    """Return a digest of all that shards depend on."""
    changed = file.path.stat().st_mtime_ns
    digest = sha256(dumps([asdict(geometry), changed, VERSION, CHUNK, *code]).encode())
    digest.update(np.ascontiguousarray(traces))
    return digest.hexdigest()


def _begin(state: Path, store: Path, geometry: Geometry, identity: str) -> set[tuple[int, int]]:
    """Return the finished shards of this import, or make an empty store where there are none."""
    mark = state / "identity"
    try:
        same = mark.read_text() == identity
    except (OSError, ValueError):
        same = False
    if not same:
        shutil.rmtree(state, ignore_errors=True)
        create(
            store,
            *(axis.numbers() for axis in (geometry.inlines, geometry.crosslines, geometry.samples)),
            clip=geometry.amplitude.clip,
            percentile=geometry.amplitude.percentile,
            source=Path(geometry.path).name,
        )
        with replacing(mark, checksums=False) as part:
            part.write_text(identity)
        return set()
    finished = set()
    volume = Volume(store)
    size = shard_shape(volume.shape)[:2]
    for path in store.joinpath("amplitude", "c").glob("*/*/*"):
        block = int(path.parts[-3]), int(path.parts[-2])
        try:
            if path != _shard(store, block):
                raise InputError("of a write that was killed")
            volume.read(*(slice(i * n, (i + 1) * n) for i, n in zip(block, size, strict=True)))
            finished.add(block)
        except InputError:
            path.unlink()
    return finished


def _shard(store: Path, block: tuple[int, int]) -> Path:
    return store.joinpath("amplitude", "c", *map(str, block), "0")


def _amplitudes(file: Segy, geometry: Geometry, traces: np.ndarray) -> np.ndarray:
    """Return what the store holds of some traces: float16 (*traces.shape, samples)."""
    found = np.empty((*traces.shape, geometry.samples.count), np.float16)
    # In the order of the file, so that each piece lies together in it.
    across = geometry.sorting == "crossline"
    lines, out = (traces.T, found.swapaxes(0, 1)) if across else (traces, found)
    for line, place in zip(lines, out, strict=True):
        values = file.read_traces(line)
        values /= np.float32(geometry.amplitude.clip)
        place[...] = np.clip(values, -LARGEST, LARGEST, out=values)
    return found
