"""The demo volume: a synthetic 3-D survey after stack and migration, written as SEG-Y.

The earth is that of the 2-D demo, in three dimensions: layers that are folded, faulted, eroded and
pierced by salt, which continues from line to line. Arrays are (inline, crossline, sample).
Lengths are in pixels, one of which is a sample down or a crossline across; inlines lie
``LINE_STEP`` pixels apart, as real surveys are often coarser across the lines.
"""

from functools import reduce
from pathlib import Path

import numpy as np
import segyio
from scipy import fft, ndimage
from segyio import BinField, TraceField

from saltseg.core.files import replacing
from saltseg.synthetic.geology import (
    FASTEST_PERIOD,
    PERIOD_DRIFT,
    layered_reflectivity,
    log_uniform,
    look_up,
    ricker_spectrum,
    smooth_field,
)

LINE_STEP = 2.0  # pixels between inlines
SALT_SHARE = (0.1, 0.25)  # of the volume
SMALLEST = 0.001  # of the volume: a piece of salt, or a hole in it
THINNEST = 5  # pixels; a sheet's thickness at its edges
PERIOD = (7, 9)  # pixels; dominant period of the wavelet in the middle of the traces
OCTAVES = 4  # of fractal fields
COARSE = (2, 4, 4)  # grid spacing for slowly varying fields

# The survey's place: numbers, bins and coordinates as real ones have them.
FIRST_INLINE, INLINE_NUMBERS = 1201, 1  # the first number, and the step
FIRST_CROSSLINE, CROSSLINE_NUMBERS = 2402, 2
BIN = 12.5  # metres between crosslines
ORIGIN = (512_340.0, 6_781_950.0)  # metres; the first trace
AZIMUTH = 27.0  # degrees by which inlines are turned from east to north
COORDINATE_SCALAR = -100  # coordinates are stored as centimetres
INTERVAL = 4000  # microseconds
DELAY = 1200  # milliseconds; the time of the first sample
RMS = 2400.0  # of the amplitudes
CORNER = 0.22  # of the lines and crosslines: how far the survey's missing corner reaches
GAP = 0.02  # of the crosslines: the radius of the dead traces under an obstacle


# --- smooth randomness ---------------------------------------------------------------------------


def cells(down: float, across: float) -> tuple[float, float, float]:
    """Knot spacings for smooth_field, the same along and across the lines."""
    return across / LINE_STEP, across, down


def surface(rng: np.random.Generator, shape: tuple, cell: float) -> np.ndarray:
    """Draw a smooth map of the survey: float32 (inlines, crosslines, 1), variance about 1."""
    return smooth_field(rng, (*shape[:2], 1), cells(np.inf, cell))


def rugged(rng: np.random.Generator, shape: tuple, cell: float) -> np.ndarray:
    """Draw a fractal field: octaves of smooth ones, amplitude falling with the cell; float32."""
    down = np.inf if shape[2] == 1 else 1
    fields = (
        smooth_field(rng, shape, cells(down * c, c)) for c in cell / 2.0 ** np.arange(OCTAVES)
    )
    return reduce(np.add, (field * np.float32(0.5**k) for k, field in enumerate(fields)))


class Grid:
    """Positions in pixels: ``y`` of the inlines, ``x`` of the crosslines and ``z`` of samples."""

    def __init__(self, shape: tuple[int, int, int]):
        self.shape = shape
        self.y, self.x, self.z = np.ogrid[tuple(map(slice, shape))]
        self.y, self.x, self.z = (k.astype(np.float32) for k in (self.y, self.x, self.z))
        self.y = self.y * np.float32(LINE_STEP)
        self.length, self.width, self.height = shape[0] * LINE_STEP, shape[1], shape[2]

    def turned(self, y: float, x: float, strike: float) -> tuple[np.ndarray, np.ndarray]:
        """Distances from a place, along a strike (radians from the inlines) and across it."""
        along = (self.x - x) * np.cos(strike) + (self.y - y) * np.sin(strike)
        return along, (self.y - y) * np.cos(strike) - (self.x - x) * np.sin(strike)


# --- salt ----------------------------------------------------------------------------------------


def stock(rng: np.random.Generator, grid: Grid, place: tuple, wall: float) -> np.ndarray:
    """Draw a diapir with steep flanks, and often an overhang, at a place (y, x): bool.

    ``wall`` is how many times longer than wide it is; a long one is a salt wall, whose crest dips
    in saddles along its strike.
    """
    height, shape = grid.height, grid.shape
    half = log_uniform(rng, 0.09, 0.18) * height
    crest = rng.uniform(0.12, 0.42) * height
    along, across = grid.turned(*place, rng.uniform(0.15, 0.85) * np.pi)
    along = along + rng.uniform(-0.15, 0.15) * (grid.z - height)
    across = across + rng.uniform(-0.25, 0.25) * (grid.z - height)
    bend = half * min(wall - 1, 1) * smooth_field(rng, (*shape[:2], 1), cells(np.inf, 0.6 * height))
    away = np.hypot(along / wall, across + bend)
    saddle = 0.13 * height * min(wall - 1, 1) * (1 + surface(rng, shape, 0.45 * height))
    top = crest + saddle + 0.3 * np.square(away) / half
    top = top + 0.02 * height * rugged(rng, (*shape[:2], 1), height / 6)
    below = np.clip((grid.z - crest) / height, 0, None)
    wide = half * (1 + rng.uniform(0.2, 0.8) * below)
    bulb = rng.choice([0.25, rng.uniform(0.5, 0.9)])
    wide = wide + bulb * half * np.exp(-np.square((below - 0.16) / 0.12))
    wide = wide + 0.05 * height * rugged(rng, shape, height / 3)
    return (away < wide) & (grid.z > top)


def mother_salt(rng: np.random.Generator, grid: Grid, places: list) -> np.ndarray:
    """Draw the layer that the diapirs rise from, with a swell under each: bool."""
    height, shape = grid.height, grid.shape
    top = 1.12 * height + 0.03 * height * rugged(rng, (*shape[:2], 1), height / 2)
    for y, x in places:
        wide = rng.uniform(0.25, 0.45) * height
        away = np.hypot(grid.y - y, grid.x - x) / wide
        top = top - rng.uniform(0.18, 0.3) * height * np.exp(-np.square(away))
    return grid.z > top


def sheet(rng: np.random.Generator, grid: Grid, place: tuple) -> np.ndarray:
    """Draw an allochthonous sheet that flowed from its feeder at ``place`` and thins out: bool."""
    height, shape = grid.height, grid.shape
    flow = rng.uniform(0, 2 * np.pi)
    reach = rng.uniform(0.45, 0.7) * height
    y, x = place[0] + 0.6 * reach * np.sin(flow), place[1] + 0.6 * reach * np.cos(flow)
    along, across = grid.turned(y, x, flow)
    away = np.hypot(along / reach, across / (rng.uniform(0.55, 0.8) * reach))
    away = away + 0.12 * rugged(rng, (*shape[:2], 1), height / 3)
    thick = rng.uniform(0.15, 0.24) * height * np.sqrt(np.clip(1 - away**2, 0, None))
    middle = rng.uniform(0.3, 0.42) * height - rng.uniform(0.05, 0.15) * along
    middle = middle + 0.025 * height * surface(rng, shape, height / 2)
    rough = 0.015 * height * rugged(rng, (*shape[:2], 1), height / 6)
    inside = (grid.z > middle - 0.4 * thick + rough) & (grid.z < middle + 0.6 * thick)
    return inside & (thick > THINNEST)


def places_apart(rng: np.random.Generator, grid: Grid, count: int) -> list[tuple[float, float]]:
    """Draw ``count`` places (y, x), each the farthest of a few from those before."""
    places = []
    for _ in range(count):
        few = rng.uniform(0.08, 0.92, (12, 2)) * (grid.length, grid.width)
        gaps = [min((np.hypot(*(few[k] - p)) for p in places), default=0) for k in range(12)]
        places.append(tuple(few[int(np.argmax(gaps))]))
    return places


def salt_bodies(rng: np.random.Generator, grid: Grid) -> np.ndarray:
    """Draw the salt: a mother layer, diapirs, a wall, and a sheet fed by one of them; bool."""
    most = max(grid.length * grid.width / grid.height**2, 1)
    mask = np.zeros(grid.shape, dtype=bool)
    while not SALT_SHARE[0] < mask.mean() < SALT_SHARE[1]:
        places = places_apart(rng, grid, 1 + rng.poisson(1.6 * most))
        mask = mother_salt(rng, grid, places)
        for number, place in enumerate(places):
            mask |= stock(rng, grid, place, 1 if number % 3 else rng.uniform(2, 4))
        for place in places[1::3]:
            mask |= sheet(rng, grid, place)
        mask = without_crumbs(mask)
    return mask


def without_crumbs(mask: np.ndarray) -> np.ndarray:
    """Drop small pieces of salt, and fill small holes: bool, same shape."""
    for _ in range(2):
        pieces, _ = ndimage.label(~mask)
        sizes = np.bincount(pieces.ravel())
        mask = mask | (sizes < SMALLEST * mask.size)[pieces]
        mask = ~mask
    return mask


# --- layers --------------------------------------------------------------------------------------


def folds(rng: np.random.Generator, grid: Grid) -> np.ndarray:
    """Draw uplift by folding, in pixels, growing with depth (growth strata): float32."""
    height, shape = grid.height, grid.shape
    along, across = grid.turned(grid.length / 2, grid.width / 2, rng.uniform(0, np.pi))
    uplift = rng.uniform(0.03, 0.15) * along + rng.uniform(-0.05, 0.05) * across
    for _ in range(2):
        wide = rng.uniform(0.35, 1.0) * height
        field = smooth_field(rng, shape, cells(2 * height, wide))
        uplift = uplift + rng.uniform(0.05, 0.16) * wide * field
    return uplift * (rng.uniform(0.2, 0.6) + grid.z / height)


def drag(rng: np.random.Generator, grid: Grid, mask: np.ndarray) -> np.ndarray:
    """Return the uplift of sediments over salt and along its flanks, in pixels: float32."""
    reach = rng.uniform(0.1, 0.2) * grid.height
    few = mask[tuple(slice(None, None, step) for step in COARSE)]
    spacing = (COARSE[0] * LINE_STEP, *COARSE[1:])
    distance = ndimage.distance_transform_edt(~few, sampling=spacing)
    widths = [grid.height / 40 / step for step in spacing]
    uplift = ndimage.gaussian_filter(np.exp(-distance / reach).astype(np.float32), widths)
    for axis, step in enumerate(COARSE):
        uplift = np.repeat(uplift, step, axis=axis)
    uplift = uplift[tuple(map(slice, grid.shape))]
    return rng.uniform(1.2, 2.2) * reach * ndimage.uniform_filter(uplift, COARSE)


def fault(rng: np.random.Generator, grid: Grid, age: np.ndarray, strike: float) -> np.ndarray:
    """Return the age after a normal fault; its throw grows with depth and dies out along it."""
    height = grid.height
    y, x = rng.uniform(0, grid.length), rng.uniform(0, grid.width)
    along, across = grid.turned(y, x, strike)
    lean = rng.choice([-1, 1]) * rng.uniform(0.35, 0.7)
    curve = 0.05 * height * smooth_field(rng, (*grid.shape[:2], 1), cells(np.inf, 0.6 * height))
    plane = across + curve - lean * (grid.z - height / 2)
    ends = np.exp(-np.square(along / (rng.uniform(0.4, 1.2) * height)))
    throw = (
        rng.uniform(0.03, 0.09) * height * np.clip(grid.z / height + rng.uniform(-0.1, 0.3), 0, 1)
    )
    return age - np.where(plane * np.sign(lean) > 0, ends * throw, 0)


def channel(rng: np.random.Generator, grid: Grid, age: np.ndarray) -> None:
    """Cut a meandering channel into a horizon and fill it with other layers, in place."""
    height = grid.height
    horizon = np.quantile(age[::4, ::4, ::4], rng.uniform(0.1, 0.5))
    along, across = grid.turned(
        rng.uniform(0.2, 0.8) * grid.length,
        rng.uniform(0.2, 0.8) * grid.width,
        rng.uniform(0, np.pi),
    )
    bend, long = rng.uniform(0.08, 0.16) * height, rng.uniform(0.5, 0.9) * height
    course = bend * np.sin(2 * np.pi * along / long + 1.5 * np.sin(along / height))
    half, deep = rng.uniform(0.05, 0.1) * height, rng.uniform(0.03, 0.06) * height
    cut = deep * (1 - np.square((across - course) / half))
    inside = (age > horizon) & (age - horizon < cut)
    age[inside] += 0.31 * height


def layer_ages(rng, grid: Grid, mask: np.ndarray, period: float) -> np.ndarray:
    """Return each place's position in the undeformed stack, in pixels: float32, as ``mask``."""
    height, shape = grid.height, grid.shape
    age = grid.z + folds(rng, grid) + drag(rng, grid, mask)
    strike = rng.uniform(0.25, 0.75) * np.pi
    for _ in range(3 + rng.poisson(2 * grid.length * grid.width / height**2)):
        age = fault(rng, grid, age, strike + rng.normal(0, 0.2))
    for _ in range(2):
        channel(rng, grid, age)
    # An unconformity: gently dipping layers over folded ones.
    floor = height * rng.uniform(0.12, 0.25) + 0.03 * height * surface(rng, shape, height)
    drape = grid.z - 0.6 * (floor - floor.mean()) + 0.25 * drag(rng, grid, mask)
    age = np.where(grid.z < floor, drape + 0.4 * height, age)
    rough = rng.uniform(0.05, 0.15) * period
    return age + rough * smooth_field(rng, shape, cells(period, 1.5 * period))


# --- waves ---------------------------------------------------------------------------------------


def wavenumbers(size: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return cycles per pixel of an rfftn, down (samples,) and across, squared; float32."""
    down = fft.rfftfreq(size[2]).astype(np.float32)
    line, trace = fft.fftfreq(size[0], LINE_STEP), fft.fftfreq(size[1])
    across = np.square(line)[:, None, None] + np.square(trace)[:, None]
    return down, across.astype(np.float32)


def convolve_wavelet(rng, reflectivity: np.ndarray, period: float) -> np.ndarray:
    """Convolve with a wavelet whose period (pixels) grows with depth (absorption); float32.

    As in the 2-D demo, it acts perpendicular to the layers, the steepest dips are not imaged,
    and its phase has a constant error.
    """
    pads = (8, 16, int(4 * period))
    size = [
        fft.next_fast_len(n + pad, True) for n, pad in zip(reflectivity.shape, pads, strict=True)
    ]
    down, across = wavenumbers(size)
    steepest = np.square(down * np.float32(rng.uniform(2.5, 4)) + np.float32(0.3 / period))
    spectrum = fft.rfftn(reflectivity, s=size) * np.exp(-across / steepest)
    spectrum *= np.complex64(np.exp(1j * rng.normal(0, 0.3)))
    squared = np.square(down) + across
    part = tuple(map(slice, reflectivity.shape))
    shallow, deep = (
        fft.irfftn(spectrum * ricker_spectrum(squared, 1 / (period * drift)), s=size)[part]
        for drift in (1 - PERIOD_DRIFT, 1 + PERIOD_DRIFT)
    )
    blend = np.linspace(0, 1, reflectivity.shape[2], dtype=np.float32)
    return (1 - blend) * shallow + blend * deep


def coherent_noise(rng, shape: tuple[int, int, int], period: float) -> np.ndarray:
    """Draw band-limited noise with crossing dips, like migration noise: float32, rms 1."""
    size = [fft.next_fast_len(n, True) for n in shape]
    down, across = wavenumbers(size)
    squared = np.square(down) + across + np.float32(1e-12)
    octave = np.log2(squared * np.float32(period * rng.uniform(0.8, 1.3)) ** 2) / 2
    line, trace = fft.fftfreq(size[0], LINE_STEP)[:, None, None], fft.fftfreq(size[1])[:, None]
    fans = 0
    for share in (1, rng.uniform(0.3, 1)):
        dip, azimuth = rng.normal(0, 0.6), rng.uniform(0, np.pi)
        sideways = line * np.sin(azimuth) + trace * np.cos(azimuth)
        toward = np.square(down * np.cos(dip) + sideways * np.sin(dip)) / squared
        fans = fans + share * np.exp(2 * rng.uniform(0.5, 2) * (toward - 1))
    amplitude = (np.exp(-np.square(octave / rng.uniform(0.8, 1.4))) * fans).astype(np.float32)
    white = rng.standard_normal(size, dtype=np.float32)
    noise = fft.irfftn(fft.rfftn(white) * amplitude, s=size)[tuple(map(slice, shape))]
    return noise / noise.std()


def even_gain(rng: np.random.Generator, image: np.ndarray, period: float) -> np.ndarray:
    """Apply partial automatic gain control: float32, same shape."""
    window = rng.uniform(5, 8) * period
    power = ndimage.uniform_filter(np.square(image), [int(window / LINE_STEP), *2 * [int(window)]])
    return image / np.power(power + 0.05 * power.mean(), rng.uniform(0.1, 0.25), dtype=np.float32)


def footprint(rng: np.random.Generator, grid: Grid) -> np.ndarray:
    """Draw the gain left by the acquisition: stripes along the inlines, fading with depth."""
    stripes = np.cos(grid.y / LINE_STEP * (2 * np.pi / 6)) + 0.7 * rng.standard_normal(grid.y.shape)
    return (1 + 0.07 * stripes * np.exp(-2 * grid.z / grid.height)).astype(np.float32)


def seismic_volume(shape: tuple[int, int, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw a survey: amplitudes (float32) and salt (bool), (inlines, crosslines, samples)."""
    grid = Grid(shape)
    # Each part has random numbers of its own, so that a change to one leaves the others.
    draws = [np.random.default_rng([seed, part]) for part in range(4)]
    period = max(draws[0].uniform(*PERIOD), FASTEST_PERIOD)
    mask = salt_bodies(draws[0], grid)
    layers = sediments(draws[1], grid, mask, period)
    wave = convolve_wavelet(draws[2], layers + salt_edges(draws[2], grid, mask), period)
    wave /= wave[~mask].std() + 1e-9
    image = wave + noise_around(draws[3], grid, mask, period)
    image = even_gain(draws[2], image, period) * footprint(draws[3], grid)
    return image * np.float32(RMS / image.std()), mask


def sediments(rng, grid: Grid, mask: np.ndarray, period: float) -> np.ndarray:
    """Draw the reflectivity of the layers, none within the salt and less under it: float32."""
    height = grid.height
    age = layer_ages(rng, grid, mask, period).astype(np.float32)
    age -= age.min()
    pile = layered_reflectivity(rng, int(age.max()) + 2, period * rng.uniform(0.2, 0.35))
    layers = look_up(pile, age, period)
    layers *= np.exp(0.35 * smooth_field(rng, grid.shape, cells(height / 5, height / 3)))
    thickness = np.cumsum(mask, axis=2, dtype=np.float32)
    layers /= 1 + thickness / (rng.uniform(0.6, 1.5) * height)  # the shadow under salt
    layers[mask] = 0
    return layers


def salt_edges(rng: np.random.Generator, grid: Grid, mask: np.ndarray) -> np.ndarray:
    """Draw the reflectivity of the salt's faces, the top's the strongest: float32."""
    soft = ndimage.uniform_filter(mask.astype(np.float32), 3)
    edge = np.diff(soft, axis=2, prepend=soft[..., :1])
    edge = np.where(edge > 0, edge, 0.6 * edge)
    edge = edge * np.exp(0.35 * smooth_field(rng, (*grid.shape[:2], 1), cells(np.inf, 20)))
    flank = rng.uniform(0.1, 0.25)
    for axis in (0, 1):
        edge += flank * np.abs(np.diff(soft, axis=axis, prepend=soft.take([0], axis=axis)))
    return (log_uniform(rng, 4, 7) * edge).astype(np.float32)


def noise_around(rng, grid: Grid, mask: np.ndarray, period: float) -> np.ndarray:
    """Draw the noise, which is softer within salt: float32."""
    height = grid.height
    noise = coherent_noise(rng, grid.shape, period) * log_uniform(rng, 0.12, 0.2)
    noise *= np.exp(0.3 * smooth_field(rng, grid.shape, cells(height / 3, height / 3)))
    inside = ndimage.uniform_filter(noise, max(int(0.3 * period), 2))
    inside *= rng.uniform(0.5, 0.8) * noise.std() / inside.std()
    return np.where(mask, inside, noise) + 0.03 * rng.standard_normal(grid.shape, dtype=np.float32)


# --- files ---------------------------------------------------------------------------------------


def labelled_lines(inlines: int, every: int) -> np.ndarray:
    """Return the indices of the labelled inlines, each in the middle of ``every``: int64."""
    return np.arange(every // 2, inlines, every)


def covered(inlines: int, crosslines: int) -> np.ndarray:
    """Return which traces the survey has, bool (inlines, crosslines): all but a corner."""
    line, trace = np.ogrid[1 / inlines : 1 : inlines * 1j, 1 / crosslines : 1 : crosslines * 1j]
    return line + (1 - trace) > CORNER


def dead(inlines: int, crosslines: int) -> np.ndarray:
    """Return which traces are dead, bool (inlines, crosslines): a gap under an obstacle."""
    line, trace = np.ogrid[:inlines, :crosslines]
    line, trace = line - inlines * 0.7, trace - crosslines * 0.3
    return np.hypot(LINE_STEP * line, trace) < GAP * crosslines + 1.5


def positions(inlines: int, crosslines: int) -> np.ndarray:
    """Return x and y of the traces in metres: float64 (2, inlines, crosslines)."""
    across, along = np.mgrid[:inlines, :crosslines] * BIN
    across, angle = across * LINE_STEP, np.deg2rad(AZIMUTH)
    x = ORIGIN[0] + along * np.cos(angle) - across * np.sin(angle)
    return np.stack([x, ORIGIN[1] + along * np.sin(angle) + across * np.cos(angle)])


def write_volume(
    survey: Path,
    labels: Path,
    truth: Path,
    shape: tuple[int, int, int],
    labelled_every: int,
    seed: int,
) -> np.ndarray:
    """Write a survey, the labels of some inlines, and the truth on all, as SEG-Y.

    ``shape`` is (inlines, crosslines, samples).
    ``survey`` has amplitudes, with a corner that nobody shot and a few dead traces. ``truth`` has
    the same traces with 1 in salt and 0 elsewhere, and ``labels`` those of the labelled inlines
    alone. The same arguments give the same bytes. Return the numbers of the labelled inlines.
    """
    amplitudes, salt = seismic_volume(shape, seed)
    inlines, crosslines, _ = shape
    amplitudes[dead(inlines, crosslines)] = 0
    there = covered(inlines, crosslines)
    lines = labelled_lines(inlines, labelled_every)
    interpreted = np.zeros_like(there)
    interpreted[lines] = there[lines]
    write_segy(survey, "Amplitudes after stack and migration", amplitudes, there)
    write_segy(truth, "True salt: 1 in salt, 0 elsewhere", salt, there)
    write_segy(labels, "Salt on some inlines: 1 in salt, 0 elsewhere", salt, interpreted)
    return FIRST_INLINE + INLINE_NUMBERS * lines


def write_segy(path: Path, what: str, values: np.ndarray, there: np.ndarray) -> None:
    """Write the traces that are ``there``, bool (inlines, crosslines), as IEEE float SEG-Y."""
    rows, columns = np.nonzero(there)
    gap = dead(*there.shape)
    inline = FIRST_INLINE + INLINE_NUMBERS * rows
    crossline = FIRST_CROSSLINE + CROSSLINE_NUMBERS * columns
    x, y = np.rint(-COORDINATE_SCALAR * positions(*there.shape)[:, rows, columns]).astype(int)
    spec = segyio.spec()
    spec.format = 5
    spec.samples = DELAY + np.arange(values.shape[2]) * INTERVAL / 1000
    spec.tracecount = len(rows)
    with replacing(path) as part, segyio.create(str(part), spec) as file:
        file.text[0] = text_header(what, inline, crossline, values.shape[2])
        file.bin = {
            BinField.JobID: 1,
            BinField.LineNumber: 1,
            BinField.ReelNumber: 1,
            BinField.Interval: INTERVAL,
            BinField.Samples: values.shape[2],
            BinField.Format: 5,
            BinField.EnsembleFold: 1,
            BinField.SortingCode: 4,  # stacked
            BinField.MeasurementSystem: 1,  # metres
            BinField.SEGYRevision: 1,
            BinField.TraceFlag: 1,  # all traces have the same length
        }
        for k in range(len(rows)):
            file.header[k] = {
                TraceField.TRACE_SEQUENCE_LINE: int(columns[k]) + 1,
                TraceField.TRACE_SEQUENCE_FILE: k + 1,
                TraceField.FieldRecord: int(inline[k]),
                TraceField.TraceNumber: int(crossline[k]),
                TraceField.CDP: k + 1,
                TraceField.CDP_TRACE: 1,
                TraceField.TraceIdentificationCode: 2 if gap[rows[k], columns[k]] else 1,
                TraceField.SourceGroupScalar: COORDINATE_SCALAR,
                TraceField.CoordinateUnits: 1,
                TraceField.DelayRecordingTime: DELAY,
                TraceField.TRACE_SAMPLE_COUNT: values.shape[2],
                TraceField.TRACE_SAMPLE_INTERVAL: INTERVAL,
                TraceField.CDP_X: int(x[k]),
                TraceField.CDP_Y: int(y[k]),
                TraceField.INLINE_3D: int(inline[k]),
                TraceField.CROSSLINE_3D: int(crossline[k]),
            }
        file.trace = values[rows, columns].astype(np.float32)


def text_header(what: str, inline: np.ndarray, crossline: np.ndarray, samples: int) -> str:
    """Return the 40 lines of 80 characters that a SEG-Y file begins with."""
    last = DELAY + (samples - 1) * INTERVAL // 1000
    lines = [
        "Synthetic post-stack survey; no real place",
        what,
        "",
        f"Inlines     {inline.min()} to {inline.max()}, step {INLINE_NUMBERS}, "
        f"{BIN * LINE_STEP:g} m apart",
        f"Crosslines  {crossline.min()} to {crossline.max()}, step {CROSSLINE_NUMBERS}, "
        f"{BIN:g} m apart",
        f"Samples     {samples}, {DELAY} to {last} ms, every {INTERVAL // 1000} ms, IEEE float",
        f"Azimuth of inlines: {AZIMUTH:g} degrees from east to north",
        "",
        "Bytes of the trace headers:",
        "  Inline 189-192, crossline 193-196",
        "  CDP x 181-184, CDP y 185-188, in centimetres: scalar -100 in 71-72",
    ]
    return segyio.tools.create_text_header(dict(enumerate(lines, 1)) | {40: "END TEXTUAL HEADER"})
