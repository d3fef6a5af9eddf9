"""The demo: a synthetic survey, written in the contest's file formats.

Sections are generated one at a time, and tiles are cut from them so that their salt coverage
follows the contest's distribution. All randomness comes from the seed.
"""

import io
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from saltseg.core.files import replacing
from saltseg.synthetic.geology import seismic_section

REFERENCE_TILE = 101  # pixels; the tile size for which wavelet periods are given

SECTION_TILES = (4, 10)  # height and width of a section, in tiles
TILES_PER_SECTION = 24  # about half its area, to leave a choice of coverages
PLACES_TRIED = 8  # candidates per tile, to pack the section densely
SECTIONS_AT_LEAST = 8  # so that even the smallest survey can be split into folds by section

# Fractions of tiles by salt coverage, as in the contest's labelled tiles. Class k covers
# (EDGES[k-1], EDGES[k]]; the first is exactly 0, the last is below 1. DEAD tiles are black.
EDGES = np.array([0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.9, 0.97])
SHARES = np.array([0.366, 0.041, 0.065, 0.137, 0.134, 0.112, 0.058, 0.031, 0.031])
DEAD_SHARE = 0.025
DEAD, EMPTY, TAKEN = -1, 0, -2

DEPTHS = (50, 959)  # the contest's range of z, whose unit is unknown
DEPTH_MEAN, DEPTH_SPREAD, DEPTH_JITTER = 500, 100, 130
DEPTH_PER_SECTION = 240  # z from a section's top to its bottom

ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest a zip allows; fixed, for reproducible bytes


class Order(NamedTuple):
    """A tile still to be cut: class -1 (dead), 0 (empty) or up to 8 (nearly full)."""

    coverage_class: int
    labelled: bool

    @property
    def place_class(self) -> int:
        """Coverage class of the place to cut from; dead tiles come from places without salt."""
        return max(self.coverage_class, EMPTY)


class Tile(NamedTuple):
    """One tile: ``image`` uint8 and ``mask`` bool of shape (size, size)."""

    section: int
    row: int
    column: int
    labelled: bool
    z: int
    image: np.ndarray
    mask: np.ndarray


# --- tiles ---------------------------------------------------------------------------------------


def coverages(mask: np.ndarray, size: int, stride: int) -> np.ndarray:
    """Return the salt coverage of all tiles on a grid of ``stride``: float64 (rows, columns)."""
    sums: np.ndarray = np.pad(np.cumsum(np.cumsum(mask, axis=0), axis=1), ((1, 0), (1, 0)))
    corner, opposite = sums[:-size:stride, :-size:stride], sums[size::stride, size::stride]
    above, beside = sums[:-size:stride, size::stride], sums[size::stride, :-size:stride]
    return (opposite - above - beside + corner) / size**2


def choose_places(rng, mask: np.ndarray, size: int, orders: list, most: int) -> tuple[list, list]:
    """Find non-overlapping places of the ordered classes for up to ``most`` tiles.

    Return [(order, row, column), ...] and the orders left for another section.
    """
    stride = max(1, size // 16)
    coverage = coverages(mask, size, stride)
    classes = np.where(coverage < 1, np.searchsorted(EDGES, coverage), TAKEN)
    reach = -(-size // stride) - 1

    def around(index: int) -> tuple[slice, ...]:
        row, column = divmod(int(index), classes.shape[1])
        return tuple(slice(max(at - reach, 0), at + reach + 1) for at in (row, column))

    found, left = [], []
    room = np.bincount(classes[classes != TAKEN], minlength=len(SHARES))
    wanted = np.bincount([order.place_class for order in orders], minlength=len(SHARES))
    scarce = room / np.maximum(wanted, 1)
    for order in sorted(orders, key=lambda order: scarce[order.place_class]):
        candidates = np.flatnonzero(classes == order.place_class)
        if len(found) == most or not len(candidates):
            left.append(order)
            continue
        # Of a few candidates, take the one that blocks the fewest others, to pack tiles densely.
        few = candidates[rng.integers(len(candidates), size=PLACES_TRIED)]
        index = min(few, key=lambda index: np.count_nonzero(classes[around(index)] != TAKEN))
        classes[around(index)] = TAKEN
        row, column = divmod(int(index), classes.shape[1])
        found.append((order, row * stride, column * stride))
    return found, left


def order_tiles(rng: np.random.Generator, tiles: int, test_tiles: int) -> list[Order]:
    """Return shuffled orders for all tiles; labelled and test tiles each follow SHARES."""
    orders = []
    for count, labelled in ((tiles, True), (test_tiles, False)):
        ends = np.rint(np.cumsum(np.append(DEAD_SHARE, SHARES)) * count).astype(int)
        classes = np.repeat(np.arange(DEAD, len(SHARES)), np.diff(ends, prepend=0))
        orders += [Order(int(k), labelled) for k in classes]
    return [orders[k] for k in rng.permutation(len(orders))]


def to_grey(amplitudes: np.ndarray) -> np.ndarray:
    """Stretch a tile's amplitudes to 0..255 (uint8), as the contest did."""
    low, high = amplitudes.min(), amplitudes.max()
    return np.rint((amplitudes - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)


def cut_tiles(tiles: int, test_tiles: int, tile_size: int, seed: int) -> Iterator[Tile]:
    """Yield all tiles of the survey, holding one section in memory at a time."""
    waiting = order_tiles(np.random.default_rng([seed, 0, 0]), tiles, test_tiles)
    most = min(TILES_PER_SECTION, (tiles + test_tiles) // SECTIONS_AT_LEAST)
    shape = (SECTION_TILES[0] * tile_size, SECTION_TILES[1] * tile_size)
    number = 0
    while waiting:
        number += 1
        rng = np.random.default_rng([seed, number, 0])
        section, salt = seismic_section(rng, shape, tile_size / REFERENCE_TILE)
        orders = [waiting.pop() for _ in range(min(2 * most, len(waiting)))]
        found, left = choose_places(rng, salt, tile_size, orders, most)
        waiting += left
        section_depth = rng.normal(DEPTH_MEAN, DEPTH_SPREAD)
        for order, row, column in found:
            window = np.s_[row : row + tile_size, column : column + tile_size]
            image = to_grey(section[window]) * np.uint8(order.coverage_class != DEAD)
            below = (row + tile_size / 2) / shape[0] - 0.5
            z = rng.normal(section_depth + DEPTH_PER_SECTION * below, DEPTH_JITTER)
            z = int(np.clip(z, *DEPTHS))
            yield Tile(number, row, column, order.labelled, z, image, salt[window])


# --- files ---------------------------------------------------------------------------------------


def png(pixels: np.ndarray) -> bytes:
    """Encode a uint8 (RGB or grey) or uint16 image as PNG, with fast compression."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def mask_png(mask: np.ndarray) -> bytes:
    """Encode a mask as the contest does: 16-bit PNG with 0 and 65535, 8-bit if empty."""
    return png(mask.astype(np.uint16) * np.uint16(65535) if mask.any() else mask.astype(np.uint8))


def label(mask: np.ndarray) -> str:
    """Run-length encode a mask by columns; separate from rle.py, so changes there keep the demo."""
    edges = np.flatnonzero(np.diff(mask.ravel(order="F").astype(np.int8), prepend=0, append=0))
    return " ".join(f"{start + 1} {end - start}" for start, end in edges.reshape(-1, 2))


def tile_ids(rng: np.random.Generator, count: int) -> list[str]:
    """Draw distinct ids of 10 hexadecimal digits."""
    numbers = np.unique(rng.integers(16**10, size=count + 100))  # 100 spare, in case of duplicates
    return [f"{number:010x}" for number in rng.permutation(numbers)[:count]]


def member(name: str) -> zipfile.ZipInfo:
    """Return the header of an uncompressed zip entry, independent of time and machine."""
    entry = zipfile.ZipInfo(name, ZIP_DATE)
    entry.create_system = 3  # Unix, wherever this runs
    entry.external_attr = 0o644 << 16
    return entry


def store_table(
    archive: zipfile.ZipFile, name: str, header: str, rows: list[str], rng: np.random.Generator
) -> None:
    """Store a CSV table with shuffled rows, so their order does not reveal the sections."""
    lines = [header, *(rows[k] for k in rng.permutation(len(rows))), ""]
    archive.writestr(member(name), "\n".join(lines))


def store_file(archive: zipfile.ZipFile, name: str, file: BinaryIO) -> None:
    entry = member(name)
    entry.file_size = file.seek(0, io.SEEK_END)  # lets zipfile know whether it needs 64 bits
    file.seek(0)
    with archive.open(entry, "w") as target:
        shutil.copyfileobj(file, target, 2**20)


def write_survey(
    archive: Path, sections: Path, *, tiles: int, test_tiles: int, tile_size: int, seed: int
) -> None:
    """Write a survey of ``tiles`` labelled and ``test_tiles`` unlabelled tiles.

    ``archive`` is a zip with the contest's layout. ``sections`` is a CSV file with the origin of
    each tile: section number, and row and column of its upper left corner, in pixels. The same
    arguments give the same bytes.
    """
    rng = np.random.default_rng([seed, 0, 1])
    ids = tile_ids(rng, tiles + test_tiles)
    labels, depths, positions, samples = [], [], [], []
    with (
        replacing(archive) as archive_part,
        replacing(sections) as sections_part,
        tempfile.TemporaryFile(dir=archive_part.parent) as train_file,
        tempfile.TemporaryFile(dir=archive_part.parent) as test_file,
    ):
        with zipfile.ZipFile(train_file, "w") as train, zipfile.ZipFile(test_file, "w") as test:
            for name, tile in zip(ids, cut_tiles(tiles, test_tiles, tile_size, seed), strict=True):
                image = png(np.repeat(tile.image[:, :, None], 3, axis=2))
                if tile.labelled:
                    train.writestr(member(f"images/{name}.png"), image)
                    train.writestr(member(f"masks/{name}.png"), mask_png(tile.mask))
                    labels.append(f"{name},{label(tile.mask)}")
                else:
                    test.writestr(member(f"images/{name}.png"), image)
                    samples.append(f"{name},1 1")
                depths.append(f"{name},{tile.z}")
                part = "train" if tile.labelled else "test"
                positions.append(f"{name},{tile.section},{part},{tile.row},{tile.column}")
        with zipfile.ZipFile(archive_part, "w") as whole:
            store_table(whole, "train.csv", "id,rle_mask", labels, rng)
            store_table(whole, "depths.csv", "id,z", depths, rng)
            store_table(whole, "sample_submission.csv", "id,rle_mask", samples, rng)
            store_file(whole, "train.zip", train_file)
            store_file(whole, "test.zip", test_file)
        table = "\n".join(["id,section,split,row,column", *sorted(positions), ""])
        sections_part.write_text(table, encoding="utf-8", newline="\n")
