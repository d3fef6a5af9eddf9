"""Zarr stores (v3) that check themselves: one writer, and a reader that refuses damage.

Every chunk, and the index of every shard, carries Zarr's CRC-32C. The group's attribute ``digest``
is the SHA-256 of all metadata: of each ``zarr.json``, the group's with 64 zeros for the digest.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import BytesCodec, Crc32cCodec, ZstdCodec

from saltseg.core.errors import InputError, first_line, rebuild_hint

# Inlines, crosslines and slices of equal samples are all cheap to read.
CHUNK = (32, 32, 128)
SHARD_TRACES = 256  # crosslines
SHARD_BYTES = 2**25  # fewer crosslines where traces are long
UNSEALED = 64 * "0"
# What Zarr and its codecs raise for files that are damaged, cut or not theirs.
DAMAGED_ZARR = (OSError, ValueError, RuntimeError, LookupError, TypeError, EOFError)


@dataclass(frozen=True)
class ArraySpec:
    """An array to create.

    dimensions: names of the axes
    chunks, shards: a file is a shard or, without shards, a chunk; by default all is one chunk
    """

    shape: Sequence[int]
    dtype: str
    dimensions: Sequence[str]
    chunks: Sequence[int] | None = None
    shards: Sequence[int] | None = None
    fill_value: float = 0
    attributes: dict = field(default_factory=dict)


def shard_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """Return the shape of a volume's shards: all samples of some traces, at most 32 MiB if it can.

    No larger than the volume, in whole chunks.
    """
    inlines, crosslines, samples = CHUNK
    deep = -(-shape[2] // samples) * samples
    wide = min(SHARD_TRACES, -(-shape[1] // crosslines) * crosslines)
    room = SHARD_BYTES // (inlines * crosslines * deep * 2)
    return inlines, min(wide, max(1, room) * crosslines), deep


def create_store(
    path: Path, attributes: dict, arrays: dict[str, ArraySpec]
) -> dict[str, zarr.Array]:
    """Create a store with empty arrays, in a new or an empty folder; return these to fill."""
    group = zarr.create_group(path, attributes=attributes | {"digest": UNSEALED})
    created = {
        name: group.create_array(
            name,
            shape=tuple(spec.shape),
            dtype=spec.dtype,
            chunks=tuple(spec.chunks or (max(side, 1) for side in spec.shape)),
            shards=tuple(spec.shards) if spec.shards else None,
            fill_value=spec.fill_value,
            dimension_names=list(spec.dimensions),
            attributes=spec.attributes,
            serializer=BytesCodec(endian="little"),
            compressors=[ZstdCodec(level=1), Crc32cCodec()],
            # So that a missing file is an error, even where all values are the fill value.
            config={"write_empty_chunks": True},
        )
        for name, spec in arrays.items()
    }
    metadata = path / "zarr.json"
    digest = _digest(path, metadata.read_bytes())
    metadata.write_bytes(metadata.read_bytes().replace(UNSEALED.encode(), digest.encode(), 1))
    return created


class Store:
    """A store to read from.

    attributes: of the group
    arrays: by name, for their shapes and types; ``read`` also checks that files are there
    """

    def __init__(self, path: Path | str, content: str, version: int):
        """Open a store; ``content`` names what it holds in messages.

        Raises InputError if it is missing, damaged, of another version or something else.
        """
        self.path, self._content = Path(path), content
        with self._readable():
            group = zarr.open_group(self.path, mode="r")
            self.attributes: dict[str, Any] = dict(group.attrs)
            found = self.attributes.get("version")
            if found != version:
                raise ValueError(f"expected version {version}, found {found!r}")
            digest = str(self.attributes.get("digest"))
            data = (self.path / "zarr.json").read_bytes()
            if _digest(self.path, data.replace(digest.encode(), UNSEALED.encode(), 1)) != digest:
                raise ValueError("its metadata differs from what was written")
            names = [each.parent.name for each in self.path.glob("*/zarr.json")]
            self.arrays = {name: zarr.open_array(self.path, path=name, mode="r") for name in names}

    def read(self, name: str, *part: slice) -> np.ndarray:
        """Return a copy of a part of an array; slices may be fewer than the axes.

        Raises InputError if a file of this part is missing or damaged.
        """
        array = self.arrays[name]
        with self._readable():
            self._require_files(array, part)
            return np.asarray(array[part])

    def _require_files(self, array: zarr.Array, part: tuple[slice, ...]) -> None:
        """Raise ValueError for missing files, which Zarr would take for missing values."""
        blocks = []
        whole = [*part, *[slice(None)] * (array.ndim - len(part))]
        for size, side, each in zip(array.shards or array.chunks, array.shape, whole, strict=True):
            start, stop, _ = each.indices(side)
            blocks.append(range(start // size, -(-stop // size)) if start < stop else range(0))
        for block in product(*blocks):
            file = Path(array.basename, "c", *map(str, block))
            if not (self.path / file).is_file() or not (self.path / file).stat().st_size:
                raise ValueError(f"{file} is missing or empty")

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Raise InputError, with the store's name and the remedy, for what Zarr raises."""
        try:
            yield
        except DAMAGED_ZARR as error:
            # Zarr leaves its other reads behind, of which asyncio would complain page after page.
            logging.getLogger("asyncio").setLevel(logging.CRITICAL)
            raise InputError(
                f"{self.path}: not a readable {self._content} ({first_line(error)}); "
                f"{rebuild_hint(self.path)}"
            ) from None


def _digest(path: Path, metadata: bytes) -> str:
    """Return the digest of a store's metadata, given the group's with zeros for the digest."""
    digest = hashlib.sha256(metadata)
    for each in sorted(path.glob("*/zarr.json")):
        digest.update(each.parent.name.encode())
        digest.update(each.read_bytes())
    return digest.hexdigest()
