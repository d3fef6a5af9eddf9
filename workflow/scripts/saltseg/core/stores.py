"""Shared by all readers of Zarr stores: damaged and missing chunks are errors."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

from saltseg.core.errors import InputError, first_line, rebuild_hint

# What Zarr and its codecs raise for files that are damaged, cut or not theirs.
DAMAGED_ZARR = (OSError, ValueError, RuntimeError, LookupError, TypeError, EOFError)


@contextmanager
def readable(path: Path, what: str) -> Iterator[None]:
    """Raise InputError, with the store's name and the remedy, for what Zarr raises."""
    try:
        yield
    except InputError:
        raise
    except DAMAGED_ZARR as error:
        # Zarr leaves its other reads behind, of which asyncio would complain page after page.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        raise InputError(
            f"{path}: not a readable {what} ({first_line(error)}); {rebuild_hint(path)}"
        ) from None


def require_shards(
    store: Path,
    name: str,
    shape: tuple[int, ...],
    shards: tuple[int, ...],
    part: tuple[slice, ...],
    what: str,
) -> None:
    """Raise InputError if a file of an array's part is gone or empty.

    Zarr would take it for missing values. Slices may be fewer than the axes.
    """
    whole = (*part, *[slice(None)] * (len(shape) - len(part)))
    blocks = []
    for size, side, each in zip(shards, shape, whole, strict=True):
        start, stop, _ = each.indices(side)
        blocks.append(range(start // size, -(-stop // size)) if start < stop else range(0))
    for block in product(*blocks):
        file = store.joinpath(name, "c", *map(str, block))
        try:
            size = file.stat().st_size
        except OSError:
            size = 0
        if not size:
            raise InputError(f"{file}: missing or empty, expected {what}; {rebuild_hint(store)}")
