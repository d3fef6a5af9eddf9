"""Synthetic seismic sections: a layered earth, folded, faulted, eroded and pierced by salt.

The reflectivity is convolved with a wavelet, and noise is added. Sections resemble the contest's
and can be learnt from a few hundred tiles.
"""

import math
from functools import reduce

import numpy as np
from scipy import fft, ndimage

SALT_SHARE = (0.12, 0.6)  # of a section; outside this range some coverages become rare
CONTRAST = (8, 30)  # reflection coefficient of top salt relative to the sediments' mean
NOISE = (0.04, 0.2)  # relative to the signal, outside salt
NOISE_IN_SALT = (0.25, 0.6)  # relative to the noise outside; higher values hide the salt

PERIODS = (7, 20)  # pixels; dominant period of the wavelet at mid-section
PERIOD_DRIFT = 0.25  # relative change of the period from mid-section to top and to bottom
SAMPLES = 4  # per pixel of the layer stack, enough for nearest-neighbour lookup
COARSE = 4  # pixels; grid spacing for slowly varying fields
FASTEST_PERIOD = 4  # pixels; shorter periods would alias


# --- smooth randomness ---------------------------------------------------------------------------


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def smooth_line(rng: np.random.Generator, length: int, cell: float) -> np.ndarray:
    """Draw a cubic B-spline with knots ``cell`` pixels apart: float32 (length,), variance 1."""
    return smooth_field(rng, (1, length), (np.inf, cell))[0]


def smooth_field(rng, shape: tuple[int, ...], cells: tuple[float, ...]) -> np.ndarray:
    """Draw a cubic B-spline over any number of axes: float32 of ``shape``, variance about 1.

    ``cells`` are the knot spacings along each axis, in pixels (np.inf: constant). The mean is 0.
    """
    knots = [
        int(np.ceil(n / cell)) + (4 if cell < np.inf else 1)
        for n, cell in zip(shape, cells, strict=True)
    ]
    field = rng.standard_normal(knots, dtype=np.float32)
    for axis in reversed(range(len(shape))):  # the last first, while the others are short
        if np.isinf(cells[axis]):
            continue
        at = (np.arange(shape[axis]) / cells[axis] + rng.random()).astype(np.float32)
        knot = at.astype(int)
        t = at - knot
        weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
        scale = np.sqrt(np.sum(np.square(weights), axis=0))
        line = [-1 if k == axis else 1 for k in range(len(shape))]
        field = sum(
            np.take(field, knot + k, axis=axis) * (weight / scale).reshape(line)
            for k, weight in enumerate(weights)
        )
    return field


def rugged_line(rng: np.random.Generator, length: int, cell: float) -> np.ndarray:
    """Draw a fractal line: octaves of smooth lines, amplitude falling with the cell; float32."""
    octaves = range(int(np.log2(max(cell, 4))))
    lines = (smooth_line(rng, length, cell / 2**k) * np.float32(0.55**k) for k in octaves)
    return reduce(np.add, lines)


# --- salt ----------------------------------------------------------------------------------------


def diapir(rng: np.random.Generator, shape: tuple[int, int], rugosity: float) -> np.ndarray:
    """Draw a stock with steep flanks, sometimes with an overhanging bulb; bool of ``shape``."""
    height, width = shape
    y, x = np.arange(height, dtype=np.float32), np.arange(width)
    crest = rng.uniform(-0.3, 0.7) * height
    below = np.maximum(y - crest, 0) / height
    half = log_uniform(rng, 0.08, 0.6) * height * (1 + rng.uniform(-0.3, 0.9) * below)
    half += rng.choice([0, rng.uniform(0, 0.5)]) * height * np.exp(-(((below - 0.25) / 0.18) ** 2))
    half *= np.sqrt(1 - np.square(1 - np.minimum(below / rng.uniform(0.15, 0.9), 1)))
    axis = rng.uniform(0, width) + rng.uniform(-0.3, 0.3) * y
    wander = rng.choice([0, 0.06], p=[0.3, 0.7]) * height * (0.3 + rugosity)
    left = axis - half + wander * rugged_line(rng, height, height / 3)
    right = axis + half + wander * rugged_line(rng, height, height / 3)
    top = crest + rugosity * 0.03 * height * rugged_line(rng, width, height / 6)
    return (x > left[:, None]) & (x < right[:, None]) & (y[:, None] > top)


def pillow(rng: np.random.Generator, shape: tuple[int, int], rugosity: float) -> np.ndarray:
    """Draw a swell of the mother salt at the bottom of the section; bool of ``shape``."""
    height, width = shape
    away = (np.arange(width) - rng.uniform(0, width)) / (log_uniform(rng, 0.3, 1.2) * height)
    top = rng.uniform(0.8, 1.05) - rng.uniform(0.2, 0.7) * np.exp(-np.square(away))
    top += 0.05 * smooth_line(rng, width, height / 3)
    base = rng.uniform(0.85, 1.3) + 0.04 * smooth_line(rng, width, height / 2)
    return between(rng, shape, rugosity, top, base)


def sheet(rng: np.random.Generator, shape: tuple[int, int], rugosity: float) -> np.ndarray:
    """Draw an allochthonous sheet that thins out at both ends; bool of ``shape``."""
    height, width = shape
    away = (np.arange(width) - rng.uniform(0, width)) / (rng.uniform(0.4, 1.6) * height)
    away = np.clip(away, -1, 1)
    relief = 0.08 * smooth_line(rng, width, height / 3)
    top = rng.uniform(0.2, 0.7) + rng.uniform(-0.25, 0.25) * away + relief
    thickness = rng.uniform(0.3, 0.7) * np.sqrt(1 - away**2)
    base = top - relief / 2 + thickness + 0.03 * rugged_line(rng, width, height / 3)
    return between(rng, shape, rugosity, top, base)


def canopy(rng: np.random.Generator, shape: tuple[int, int], rugosity: float) -> np.ndarray:
    """Draw massive salt with V-shaped minibasins in its rugged top; bool of ``shape``."""
    height, width = shape
    relief = rugged_line(rng, width, rng.uniform(0.3, 0.9) * height)
    top = rng.uniform(0.25, 0.7) + rng.uniform(0.1, 0.3) * relief
    base = rng.uniform(0.7, 1.6) + 0.08 * rugged_line(rng, width, height)
    return between(rng, shape, rugosity, top, base)


def between(rng, shape: tuple[int, int], rugosity: float, top, base) -> np.ndarray:
    """Return the area between ``top``, roughened, and ``base``, as fractions of the height."""
    height, width = shape
    top = top + rugosity * 0.03 * rugged_line(rng, width, height / 6)
    y = np.linspace(0, 1, height)[:, None]
    return (y > top) & (y < base)


def salt_bodies(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Draw the mask of one to three salt bodies: bool of ``shape``."""
    mask = np.zeros(shape, dtype=bool)
    while not SALT_SHARE[0] < mask.mean() < SALT_SHARE[1]:
        mask[:] = False
        rugosity = rng.choice([0.05, rng.uniform(0.2, 1.2)])
        for _ in range(rng.integers(1, 4)):
            body = rng.choice([diapir, pillow, sheet, canopy], p=[0.65, 0.1, 0.1, 0.15])
            mask |= body(rng, shape, rugosity)
    return mask


# --- layers --------------------------------------------------------------------------------------


def layered_reflectivity(rng: np.random.Generator, length: int, thickness: float) -> np.ndarray:
    """Draw the reflectivity of a layer stack: float32 (SAMPLES * length,), SAMPLES per pixel.

    Interfaces are a Poisson process with layers of mean ``thickness`` pixels. Coefficients are
    heavy-tailed (Laplace), as Walden and Hosken (1986) found in well logs, and bright and dull
    packages alternate.
    """
    bright = smooth_line(rng, SAMPLES * length, 12 * SAMPLES * thickness)
    interface = rng.random(SAMPLES * length) * SAMPLES * thickness < 1
    coefficients = rng.laplace(size=SAMPLES * length) * interface
    return (coefficients * np.exp(0.5 * bright)).astype(np.float32)


def folds(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Draw uplift by folding, in pixels, growing with depth (growth strata): float32."""
    height, width = shape
    uplift = rng.uniform(-0.25, 0.25) * np.arange(width, dtype=np.float32)
    uplift = np.broadcast_to(uplift, shape).copy()
    for _ in range(2):
        wide = rng.uniform(0.25, 1.2) * height
        uplift += rng.uniform(0.05, 0.35) * wide * smooth_field(rng, shape, (2 * height, wide))
    growth = rng.uniform(0.2, 1) + np.linspace(0, 1, height, dtype=np.float32)[:, None]
    return uplift * growth


def drag(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """Return the uplift of sediments dragged up along salt flanks, in pixels: float32."""
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
    """Return each pixel's position in the undeformed stack, in pixels: float32, as ``mask``."""
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
    rough = rng.uniform(0.05, 0.32) * period
    age += rough * smooth_field(rng, mask.shape, (period, rng.uniform(0.6, 2) * period))
    return age


def look_up(pile: np.ndarray, age: np.ndarray, period: float) -> np.ndarray:
    """Map the stack's reflectivity to ``age``: float32, same shape.

    Where layers are steep, many cross one pixel; a smoothed stack prevents aliasing there.
    """
    steps = (np.diff(age, axis=k, prepend=age.take([0], axis=k)) for k in range(age.ndim))
    steep = np.clip((reduce(np.hypot, steps) - 1) / 2, 0, 1)
    widths = np.array([0.06, 0.3]) * period * SAMPLES
    fine, coarse = (ndimage.gaussian_filter1d(pile, width) for width in widths)
    at = np.rint(age * SAMPLES).astype(np.int32)
    fine, coarse = (np.take(smooth / (smooth.std() + 1e-9), at) for smooth in (fine, coarse))
    return fine + steep * (coarse - fine)


# --- waves ---------------------------------------------------------------------------------------


def wavenumbers(size: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return cycles per pixel, down (rows, 1) and across (columns,), of an rfft2; float32."""
    down, across = fft.fftfreq(size[0])[:, None], fft.rfftfreq(size[1])
    return down.astype(np.float32), across.astype(np.float32)


def ricker_spectrum(squared: np.ndarray, peak: float) -> np.ndarray:
    """Return the Ricker (1953) wavelet's spectrum at squared frequencies, 1 at its ``peak``.

    Frequencies are in cycles per pixel.
    """
    relative = squared * np.float32(1 / peak**2)
    return relative * np.exp(1 - relative)


def convolve_wavelet(rng, reflectivity: np.ndarray, period: float) -> np.ndarray:
    """Convolve with a wavelet whose period (pixels) grows with depth (absorption); float32.

    The wavelet acts perpendicular to the layers, as in a migrated image; hence the radial
    frequency. The steepest dips are not imaged, and the phase has a constant error, as after
    imperfect processing.
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
    """Draw band-limited noise with crossing dips, like migration noise: float32, rms 1."""
    size = [fft.next_fast_len(n, True) for n in shape]
    down, across = wavenumbers(size)
    squared = np.square(down) + np.square(across) + np.float32(1e-12)
    octave = np.log2(squared * np.float32(period * rng.uniform(0.6, 1.6)) ** 2) / 2
    # Directions follow a von Mises density of twice the angle, since crests have no sense.
    cosine, sine = (np.square(down) - np.square(across)) / squared, 2 * down * across / squared
    dip, other, spread = rng.normal(0, 0.8), rng.normal(0, 0.8), log_uniform(rng, 0.3, 3.5)
    fans = sum(
        share * np.exp(spread * (cosine * math.cos(2 * angle) + sine * math.sin(2 * angle) - 1))
        for share, angle in ((1, dip), (rng.uniform(0, 1), other))
    )
    amplitude = np.exp(-np.square(octave / rng.uniform(0.7, 1.8))) * fans
    white = rng.standard_normal(size, dtype=np.float32)
    noise = fft.irfft2(fft.rfft2(white) * amplitude, s=size)[: shape[0], : shape[1]]
    return noise / noise.std()


def even_gain(rng: np.random.Generator, image: np.ndarray, period: float) -> np.ndarray:
    """Apply partial automatic gain control: float32, same shape."""
    window = [int(rng.uniform(4, 10) * period), int(rng.uniform(4, 10) * period)]
    power = ndimage.uniform_filter(np.square(image), window)
    return image / np.power(power + 0.05 * power.mean(), rng.uniform(0, 0.4), dtype=np.float32)


def seismic_section(rng, shape: tuple[int, int], scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw one section: amplitudes (float32) and salt mask (bool), both of ``shape``.

    ``scale`` is the tile size relative to the contest's.
    """
    height, width = shape
    period = max(log_uniform(rng, *PERIODS) * scale, FASTEST_PERIOD)
    mask = salt_bodies(rng, shape)
    age = layer_ages(rng, mask, period)
    age -= age.min()
    pile = layered_reflectivity(rng, int(age.max()) + 2, period * rng.uniform(0.1, 0.4))
    layers = look_up(pile, age, period)
    layers *= np.exp(0.4 * smooth_field(rng, shape, (height / 6, height / 3)))
    thickness = np.cumsum(mask, axis=0, dtype=np.float32)
    layers /= 1 + thickness / (rng.uniform(1, 4) * height)  # the shadow under salt
    layers[mask] = 0
    soft = ndimage.uniform_filter(mask.astype(np.float32), 3)  # else steep flanks look beaded
    edge = np.diff(soft, axis=0, prepend=soft[:1])
    edge = np.where(edge > 0, edge, 0.6 * edge) * np.exp(0.4 * smooth_line(rng, width, height / 8))
    edge += rng.uniform(0.2, 0.8) * np.abs(np.diff(soft, axis=1, prepend=soft[:, :1]))
    contrast = rng.choice([-1, 1], p=[0.15, 0.85]) * log_uniform(rng, *CONTRAST)
    wave = convolve_wavelet(rng, layers + contrast * edge, period)
    wave /= wave[~mask].std() + 1e-9
    noise = coherent_noise(rng, shape, period) * log_uniform(rng, *NOISE)
    noise *= np.exp(0.4 * smooth_field(rng, shape, (height / 3, height / 3)))
    inside = ndimage.uniform_filter(noise, max(int(0.3 * period), 2))  # salt scatters more softly
    inside *= rng.uniform(*NOISE_IN_SALT) * noise.std() / inside.std()
    noise = np.where(mask, inside, noise)
    return even_gain(rng, wave + noise, period), mask
