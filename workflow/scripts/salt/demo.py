"""A synthetic seismic survey with salt, written in the contest's own formats.

Sections are made one by one: a layered earth is folded, faulted, eroded and pierced by salt, and
its reflectivity is convolved with a wavelet and spoilt by noise. Tiles are cut from the sections
so that their salt coverage follows the contest's. All randomness comes from the seed.
"""

import csv
import io
import math
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import fft, ndimage

from salt import rle
from salt.files import replacing

TOTAL_TILES = (48, 200_000)
TILE_SIZES = (32, 256)  # pixels
REFERENCE_TILE = 101  # pixels; the tile size for which wavelet periods are given

SECTION_TILES = (4, 10)  # height and width of a section, in tiles
TILES_PER_SECTION = 24  # about half its area, which leaves room to choose by coverage
PLACES_TRIED = 8
SECTIONS_AT_LEAST = 8  # so that even the smallest survey can be split into folds by section

# Shares of tiles by salt coverage, as in the contest's labelled tiles: class k holds coverages in
# (EDGES[k-1], EDGES[k]], the first one exactly 0 and the last one below 1. DEAD tiles are black.
EDGES = np.array([0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.9, 0.97])
SHARES = np.array([0.366, 0.041, 0.065, 0.137, 0.134, 0.112, 0.058, 0.031, 0.031])
DEAD_SHARE = 0.025
DEAD, EMPTY, TAKEN = -1, 0, -2

DEPTHS = (50, 959)  # the contest's range of z, whose unit was never given
DEPTH_MEAN, DEPTH_SPREAD, DEPTH_JITTER = 500, 100, 130
DEPTH_PER_SECTION = 300  # z from a section's top to its bottom

PERIODS = (8, 40)  # pixels; dominant period of the wavelet at mid-section
PERIOD_DRIFT = 0.25  # relative change of the period from mid-section to top and to bottom
SAMPLES = 4  # of the pile of layers per pixel, so that the nearest one will do
COARSE = 4  # pixels; the grid for what varies slowly
FASTEST_PERIOD = 4  # pixels; shorter ones cannot be sampled well

ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can hold; a fixed one keeps bytes equal


class Tile(NamedTuple):
    """One tile: ``image`` uint8 and ``mask`` bool of shape (size, size)."""

    section: int
    row: int
    column: int
    labelled: bool
    z: int
    image: np.ndarray
    mask: np.ndarray


# --- smooth randomness ---------------------------------------------------------------------------


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def smooth_line(rng: np.random.Generator, length: int, cell: float) -> np.ndarray:
    """Random cubic B-spline with knots ``cell`` pixels apart: float32 (length,), unit variance."""
    return smooth_field(rng, (1, length), (np.inf, cell))[0]


def smooth_field(rng, shape: tuple[int, int], cells: tuple[float, float]) -> np.ndarray:
    """Random cubic B-spline surface: float32 of ``shape``, mean 0 and variance about 1.

    ``cells`` are the distances of its knots down and across, in pixels (np.inf: constant).
    """
    knots = [1 if np.isinf(cell) else int(np.ceil(n / cell)) + 4 for n, cell in zip(shape, cells)]
    field = rng.standard_normal(knots, dtype=np.float32)
    for axis in (1, 0):  # across first, while there are few rows
        if np.isinf(cells[axis]):
            continue
        at = (np.arange(shape[axis]) / cells[axis] + rng.random()).astype(np.float32)
        knot = at.astype(int)
        t = at - knot
        weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
        scale = np.sqrt(np.sum(np.square(weights), axis=0))
        line = (-1, 1) if axis == 0 else (1, -1)
        field = sum(
            np.take(field, knot + k, axis=axis) * (weight / scale).reshape(line)
            for k, weight in enumerate(weights)
        )
    return field


def rugged_line(rng: np.random.Generator, length: int, cell: float) -> np.ndarray:
    """Fractal line: octaves of smooth lines, whose heights halve with the cell; float32."""
    octaves = range(int(np.log2(max(cell, 4))))
    return sum(smooth_line(rng, length, cell / 2**k) * np.float32(0.55**k) for k in octaves)


# --- salt ----------------------------------------------------------------------------------------


def diapir(rng: np.random.Generator, shape: tuple[int, int], rugosity: float) -> np.ndarray:
    """A stock with steep flanks, sometimes with an overhanging bulb; bool of ``shape``."""
    height, width = shape
    y = np.arange(height, dtype=np.float32)
    crest = rng.uniform(-0.3, 0.7) * height
    stem = log_uniform(rng, 0.08, 0.6) * height
    bulb = rng.choice([0, rng.uniform(0, 0.5)]) * height
    below = np.maximum(y - crest, 0) / height
    half = stem * (1 + rng.uniform(-0.3, 0.9) * below)
    half += bulb * np.exp(-(((below - 0.25) / 0.18) ** 2))
    half *= np.sqrt(1 - np.square(1 - np.minimum(below / rng.uniform(0.15, 0.9), 1)))
    axis = rng.uniform(0, width) + rng.uniform(-0.3, 0.3) * y
    straight = rng.random() < 0.3
    wander = 0.0 if straight else 0.06 * height
    left = axis - half + wander * rugged_line(rng, height, height / 3) * (0.3 + rugosity)
    right = axis + half + wander * rugged_line(rng, height, height / 3) * (0.3 + rugosity)
    x = np.arange(width)
    top = crest + rugosity * 0.03 * height * rugged_line(rng, width, height / 6)
    return (x > left[:, None]) & (x < right[:, None]) & (y[:, None] > top)


def pillow(rng: np.random.Generator, shape: tuple[int, int], rugosity: float) -> np.ndarray:
    """A swell of the mother salt at the bottom of the section; bool of ``shape``."""
    height, width = shape
    x = np.arange(width)
    swell = np.exp(-np.square((x - rng.uniform(0, width)) / (log_uniform(rng, 0.3, 1.2) * height)))
    top = height * (rng.uniform(0.8, 1.05) - rng.uniform(0.2, 0.7) * swell)
    top += 0.05 * height * smooth_line(rng, width, height / 3)
    top += rugosity * 0.03 * height * rugged_line(rng, width, height / 6)
    base = height * rng.uniform(0.85, 1.3) + 0.04 * height * smooth_line(rng, width, height / 2)
    y = np.arange(height)[:, None]
    return (y > top) & (y < base)


def sheet(rng: np.random.Generator, shape: tuple[int, int], rugosity: float) -> np.ndarray:
    """An allochthonous sheet, thinning out at both ends; bool of ``shape``."""
    height, width = shape
    x = np.arange(width)
    half = rng.uniform(0.4, 1.6) * height
    along = np.clip((x - rng.uniform(0, width)) / half, -1, 1)
    thickness = rng.uniform(0.15, 0.6) * height * np.sqrt(1 - along**2)
    middle = height * (rng.uniform(0.2, 0.7) + rng.uniform(-0.25, 0.25) * along)
    relief = 0.08 * height * smooth_line(rng, width, height / 3)
    top = middle + relief + rugosity * 0.03 * height * rugged_line(rng, width, height / 6)
    base = middle + relief / 2 + thickness + 0.03 * height * rugged_line(rng, width, height / 3)
    y = np.arange(height)[:, None]
    return (y > top) & (y < base)


def canopy(rng: np.random.Generator, shape: tuple[int, int], rugosity: float) -> np.ndarray:
    """Massive salt with V-shaped minibasins sunk into its rugged top; bool of ``shape``."""
    height, width = shape
    relief = rugged_line(rng, width, rng.uniform(0.3, 0.9) * height)
    top = height * (rng.uniform(0.25, 0.7) + rng.uniform(0.1, 0.3) * relief)
    top += rugosity * 0.03 * height * rugged_line(rng, width, height / 8)
    base = height * (rng.uniform(0.7, 1.6) + 0.08 * rugged_line(rng, width, height))
    y = np.arange(height)[:, None]
    return (y > top) & (y < base)


def salt_bodies(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Mask of one to three salt bodies: bool of ``shape``."""
    rugosity = rng.choice([0.05, rng.uniform(0.2, 1.2)])
    mask = np.zeros(shape, dtype=bool)
    for _ in range(rng.integers(1, 4)):
        body = rng.choice([diapir, pillow, sheet, canopy], p=[0.6, 0.1, 0.15, 0.15])
        mask |= body(rng, shape, rugosity)
    return mask


# --- layers --------------------------------------------------------------------------------------


def layered_reflectivity(rng: np.random.Generator, length: int, thickness: float) -> np.ndarray:
    """Reflectivity of a pile of layers, float32 (SAMPLES * length,), SAMPLES per pixel.

    Interfaces come as a Poisson process with layers of mean ``thickness`` pixels; coefficients
    are heavy-tailed (Laplace), as Walden and Hosken (1986) found in well logs, and bright and dull
    packages alternate.
    """
    bright = smooth_line(rng, SAMPLES * length, 12 * SAMPLES * thickness)
    interface = rng.random(SAMPLES * length) * SAMPLES * thickness < 1
    return (rng.laplace(size=SAMPLES * length) * interface * np.exp(0.5 * bright)).astype(np.float32)


def folds(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Uplift by folding, in pixels, growing with depth (growth strata): float32 of ``shape``."""
    height, width = shape
    uplift = rng.uniform(-0.25, 0.25) * np.arange(width, dtype=np.float32)
    uplift = np.broadcast_to(uplift, shape).copy()
    for _ in range(2):
        wide = rng.uniform(0.25, 1.2) * height
        uplift += rng.uniform(0.05, 0.35) * wide * smooth_field(rng, shape, (2 * height, wide))
    growth = rng.uniform(0.2, 1) + np.linspace(0, 1, height, dtype=np.float32)[:, None]
    return uplift * growth


def drag(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """Uplift of the sediments dragged up at the flanks of salt, in pixels: float32."""
    height, width = mask.shape
    reach = rng.uniform(0.08, 0.4) * height
    distance = ndimage.distance_transform_edt(~mask[::COARSE, ::COARSE]) * COARSE
    uplift = ndimage.gaussian_filter(np.exp(-distance / reach), height / 40 / COARSE)
    uplift = np.repeat(np.repeat(uplift.astype(np.float32), COARSE, axis=0), COARSE, axis=1)
    uplift = ndimage.uniform_filter(uplift[:height, :width], COARSE)
    return rng.uniform(0.2, 3) * reach * uplift


def fault(rng: np.random.Generator, age: np.ndarray) -> None:
    """Drop one side of a normal fault, in place; the throw grows with depth."""
    height, width = age.shape
    y = np.arange(height, dtype=np.float32)
    lean = rng.choice([-1, 1]) * rng.uniform(0.2, 0.6)
    plane = rng.uniform(0, width) + lean * (y - height / 2)
    throw = rng.uniform(0.01, 0.08) * height * np.clip(y / height + rng.uniform(-0.5, 0.3), 0, 1)
    hanging = (np.arange(width) - plane[:, None]) * np.sign(lean) > 0
    age -= hanging * throw[:, None].astype(np.float32)


def channel(rng: np.random.Generator, age: np.ndarray) -> None:
    """Cut a channel and fill it with other layers, in place."""
    height, width = age.shape
    y0, x0 = rng.uniform(0.1, 0.8) * height, rng.uniform(0, width)
    deep, half = rng.uniform(0.02, 0.06) * height, rng.uniform(0.05, 0.25) * height
    y, x = np.arange(height)[:, None], np.arange(width)
    inside = (y > y0) & (y - y0 < deep * (1 - np.square((x - x0) / half)))
    age[inside] += 0.31 * height


def layer_ages(rng: np.random.Generator, mask: np.ndarray, period: float) -> np.ndarray:
    """Which layer lies where: position in the undeformed pile, in pixels; float32, as ``mask``."""
    height, width = mask.shape
    y = np.arange(height, dtype=np.float32)[:, None]
    age = y + folds(rng, mask.shape) + drag(rng, mask)
    for _ in range(rng.poisson(3)):
        fault(rng, age)
    for _ in range(rng.poisson(1.5)):
        channel(rng, age)
    if rng.random() < 0.5:  # an unconformity: flat layers over folded ones
        floor = height * rng.uniform(0.1, 0.5) + 0.06 * height * smooth_line(rng, width, height)
        drape = 0.3 * height + y - 0.7 * (floor - floor.mean())
        age = np.where(y < floor, drape.astype(np.float32), age)
    rough = rng.uniform(0.05, 0.45) * period
    age += rough * smooth_field(rng, mask.shape, (period, rng.uniform(0.5, 2) * period))
    return age


def look_up(pile: np.ndarray, age: np.ndarray, period: float) -> np.ndarray:
    """Reflectivity of the layers in place: float32, as ``age``.

    Where layers stand steep, many of them cross a pixel: a smoothed pile avoids aliasing there.
    """
    down, across = np.diff(age, axis=0, prepend=age[:1]), np.diff(age, axis=1, prepend=age[:, :1])
    steep = np.clip((np.hypot(down, across) - 1) / 2, 0, 1)
    widths = np.array([0.06, 0.3]) * period * SAMPLES
    fine, coarse = (ndimage.gaussian_filter1d(pile, width) for width in widths)
    at = np.rint(age * SAMPLES).astype(np.int32)
    fine, coarse = (np.take(smooth / (smooth.std() + 1e-9), at) for smooth in (fine, coarse))
    return fine + steep * (coarse - fine)


# --- waves ---------------------------------------------------------------------------------------


def wavenumbers(size: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Cycles per pixel down (rows, 1) and across (columns,) of an rfft2 of ``size``; float32."""
    down, across = fft.fftfreq(size[0])[:, None], fft.rfftfreq(size[1])
    return down.astype(np.float32), across.astype(np.float32)


def ricker_spectrum(squared: np.ndarray, peak: float) -> np.ndarray:
    """Spectrum of the Ricker (1953) wavelet by squared frequency; 1 at its ``peak``.

    Frequencies are in cycles per pixel.
    """
    relative = squared * np.float32(1 / peak**2)
    return relative * np.exp(1 - relative)


def convolve_wavelet(rng, reflectivity: np.ndarray, period: float) -> np.ndarray:
    """Convolve with a wavelet whose period (pixels) grows with depth (absorption); float32.

    It acts down the columns where layers are flat and across them where they dip, as the wavelet
    of a migrated image does; hence the radial frequency. The steepest dips are not imaged, and
    the phase is off by some constant, as after imperfect processing.
    """
    height, width = reflectivity.shape
    size = [fft.next_fast_len(height + int(4 * period), True), fft.next_fast_len(width + 32, True)]
    down, across = wavenumbers(size)
    imaged = np.exp(-np.square(across / (np.abs(down) * rng.uniform(2, 5) + 0.3 / period)))
    turn = np.exp(1j * rng.normal(0, 0.4) * np.sign(down)).astype(np.complex64)
    spectrum = fft.rfft2(reflectivity, s=size) * (imaged.astype(np.float32) * turn)
    squared = np.square(down) + np.square(across)
    shallow, deep = (
        fft.irfft2(spectrum * ricker_spectrum(squared, 1 / (period * drift)), s=size)
        for drift in (1 - PERIOD_DRIFT, 1 + PERIOD_DRIFT)
    )
    blend = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    return (1 - blend) * shallow[:height, :width] + blend * deep[:height, :width]


def coherent_noise(rng, shape: tuple[int, int], period: float) -> np.ndarray:
    """Band-limited noise of crossing dips, like migration noise: float32 of ``shape``, rms 1."""
    size = [fft.next_fast_len(n, True) for n in shape]
    down, across = wavenumbers(size)
    squared = np.square(down) + np.square(across) + np.float32(1e-12)
    octave = np.log2(squared * np.float32(period * rng.uniform(0.6, 1.6)) ** 2) / 2
    # By direction a von Mises density; as crests have no head, it is one of twice the angle.
    cosine, sine = (np.square(down) - np.square(across)) / squared, 2 * down * across / squared
    dip, other, spread = rng.normal(0, 0.8), rng.normal(0, 0.8), log_uniform(rng, 0.4, 6)
    fans = sum(
        share * np.exp(spread * (cosine * math.cos(2 * angle) + sine * math.sin(2 * angle) - 1))
        for share, angle in ((1, dip), (rng.uniform(0, 1), other))
    )
    amplitude = np.exp(-np.square(octave / rng.uniform(0.7, 1.8))) * fans
    white = rng.standard_normal(size, dtype=np.float32)
    noise = fft.irfft2(fft.rfft2(white) * amplitude, s=size)[: shape[0], : shape[1]]
    return noise / noise.std()


def even_gain(rng: np.random.Generator, image: np.ndarray, period: float) -> np.ndarray:
    """Balance amplitudes as automatic gain control does, only in part; float32, same shape."""
    window = [int(rng.uniform(4, 10) * period), int(rng.uniform(4, 10) * period)]
    power = ndimage.uniform_filter(np.square(image), window)
    return image / np.power(power + 0.05 * power.mean(), rng.uniform(0, 0.4), dtype=np.float32)


def seismic_section(rng, shape: tuple[int, int], scale: float) -> tuple[np.ndarray, np.ndarray]:
    """One section of the survey: its amplitudes (float32) and its salt (bool), both of ``shape``.

    ``scale`` is the size of a tile relative to the contest's.
    """
    height, width = shape
    period = max(log_uniform(rng, *PERIODS) * scale, FASTEST_PERIOD)
    mask = salt_bodies(rng, shape)
    age = layer_ages(rng, mask, period)
    age -= age.min()
    pile = layered_reflectivity(rng, int(age.max()) + 2, period * rng.uniform(0.1, 0.4))
    layers = look_up(pile, age, period)
    layers *= np.exp(0.5 * smooth_field(rng, shape, (height / 6, height / 3)))
    thickness = np.cumsum(mask, axis=0, dtype=np.float32)
    layers /= 1 + thickness / (rng.uniform(0.1, 1) * height)  # the shadow under salt
    layers[mask] *= rng.choice([0, 0.15])
    soft = ndimage.uniform_filter(mask.astype(np.float32), 3)  # else steep flanks look beaded
    edge = np.diff(soft, axis=0, prepend=soft[:1])
    edge = np.where(edge > 0, edge, 0.6 * edge) * np.exp(0.4 * smooth_line(rng, width, height / 8))
    edge += rng.uniform(0, 0.8) * np.abs(np.diff(soft, axis=1, prepend=soft[:, :1]))
    contrast = rng.choice([-1, 1], p=[0.15, 0.85]) * log_uniform(rng, 4, 30)
    wave = convolve_wavelet(rng, layers + contrast * edge, period)
    wave /= wave[~mask].std() + 1e-9
    noise = coherent_noise(rng, shape, period) * log_uniform(rng, 0.08, 1.2)
    noise *= np.exp(0.4 * smooth_field(rng, shape, (height / 3, height / 3)))
    noise = np.where(mask, noise * rng.uniform(0.6, 1.3), noise)
    return even_gain(rng, wave + noise, period), mask


# --- tiles ---------------------------------------------------------------------------------------


def coverages(mask: np.ndarray, size: int, stride: int) -> np.ndarray:
    """Salt coverage of the tiles whose corners lie ``stride`` apart: float64 (rows, columns)."""
    sums = np.pad(np.cumsum(np.cumsum(mask, axis=0), axis=1), ((1, 0), (1, 0)))
    corner, opposite = sums[:-size:stride, :-size:stride], sums[size::stride, size::stride]
    above, beside = sums[:-size:stride, size::stride], sums[size::stride, :-size:stride]
    return (opposite - above - beside + corner) / size**2


def choose_places(rng, mask: np.ndarray, size: int, orders: list, most: int) -> tuple[list, list]:
    """Find places of the ordered classes for up to ``most`` tiles, none overlapping another.

    Gives [(order, row, column), ...] and the orders that are left for another section.
    """
    stride = max(1, size // 16)
    coverage = coverages(mask, size, stride)
    classes = np.where(coverage < 1, np.searchsorted(EDGES, coverage), TAKEN)
    reach = -(-size // stride) - 1

    def around(place: int) -> tuple[slice, slice]:
        row, column = divmod(int(place), classes.shape[1])
        return tuple(slice(max(at - reach, 0), at + reach + 1) for at in (row, column))

    found, left = [], []
    room = np.bincount(classes[classes != TAKEN], minlength=len(SHARES))
    for order in sorted(orders, key=lambda order: room[max(order.coverage_class, EMPTY)]):
        places = np.flatnonzero(classes == max(order.coverage_class, EMPTY))
        if len(found) == most or not len(places):
            left.append(order)
            continue
        # Of a few places, the one that spoils least of the room: tiles then lie close together.
        few = places[rng.integers(len(places), size=PLACES_TRIED)]
        place = min(few, key=lambda place: np.count_nonzero(classes[around(place)] != TAKEN))
        classes[around(place)] = TAKEN
        row, column = divmod(int(place), classes.shape[1])
        found.append((order, row * stride, column * stride))
    return found, left


class Order(NamedTuple):
    """A tile still to be cut: class -1 (dead), 0 (empty) or up to 8 (nearly full)."""

    coverage_class: int
    labelled: bool


def order_tiles(rng: np.random.Generator, tiles: int, test_tiles: int) -> list[Order]:
    """Orders for all tiles, in random order; each part of the survey follows the shares."""
    orders = []
    for count, labelled in ((tiles, True), (test_tiles, False)):
        ends = np.rint(np.cumsum(np.append(DEAD_SHARE, SHARES)) * count).astype(int)
        classes = np.repeat(np.arange(DEAD, len(SHARES)), np.diff(ends, prepend=0))
        orders += [Order(int(k), labelled) for k in classes]
    return [orders[k] for k in rng.permutation(len(orders))]


def to_grey(amplitudes: np.ndarray) -> np.ndarray:
    """Stretch a tile's amplitudes from its least to its greatest over 0..255, as the contest did."""
    low, high = amplitudes.min(), amplitudes.max()
    return np.rint((amplitudes - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)


def cut_tiles(tiles: int, test_tiles: int, tile_size: int, seed: int) -> Iterator[Tile]:
    """All tiles of the survey, section by section; holds one section at a time."""
    waiting = order_tiles(np.random.default_rng([seed, 0]), tiles, test_tiles)
    most = min(TILES_PER_SECTION, (tiles + test_tiles) // SECTIONS_AT_LEAST)
    shape = (SECTION_TILES[0] * tile_size, SECTION_TILES[1] * tile_size)
    number = 0
    while waiting:
        number += 1
        rng = np.random.default_rng(np.random.SeedSequence([seed, number]))
        section, salt = seismic_section(rng, shape, tile_size / REFERENCE_TILE)
        found, left = choose_places(rng, salt, tile_size, waiting[-2 * most :], most)
        del waiting[-2 * most :]
        waiting += left
        middle = rng.normal(DEPTH_MEAN, DEPTH_SPREAD)
        for order, row, column in found:
            window = np.s_[row : row + tile_size, column : column + tile_size]
            image = to_grey(section[window]) * np.uint8(order.coverage_class != DEAD)
            top = rng.normal(middle, DEPTH_JITTER)
            z = int(np.clip(top + DEPTH_PER_SECTION * (row / shape[0] - 0.5), *DEPTHS))
            yield Tile(number, row, column, order.labelled, z, image, salt[window])
