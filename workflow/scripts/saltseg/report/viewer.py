"""The viewer of a volume: inlines, crosslines and slices of equal time or depth, and maps.

The page shows pictures that are written beside it, as it does with tiles. ``PLANE-k-grey.webp``
has amplitude, probability and, with several members, their disagreement side by side.
``PLANE-k-masks.webp`` has the outline of predicted salt and, on labelled lines, that of the truth,
on a transparent background. ``map-NAME.webp`` are maps of traces. Volumes with too many lines for
the space have some left out, and large pictures are shrunk.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from saltseg.report.palette import PREDICTION, RAMP, TRUTH, rgb
from saltseg.report.sprites import QUALITY, outline
from saltseg.survey.grid import INLINE, PLANES, Axis, Grid

DIRECTIONS = (*PLANES, "slice")  # in the order of a volume's axes
LONGEST_SIDE = 512  # pixels of a picture; longer ones are shrunk by a power of two
MOST_LINES = 160  # pictures in a direction
MOST_PIXELS = 8_000_000  # of all pictures in a direction; all three take about 10 MB
OUTLINE_SIDE = 640  # pixels; outlines on smaller pictures are drawn finer, and OUTLINE wide
OUTLINE = 2
BLOCK = (32, 256)  # traces at a time, the shards of a volume on disk

GAIN = 2  # amplitudes are shown up to the clip divided by this
MOST_DISAGREEMENT = 0.25  # standard deviation that is white; at most 0.5 between 0 and 1
LAYERS = {
    "amplitude": "Amplitudes: white is positive, black negative, or a missing or dead trace.",
    "probability": "Probability of salt, mean over members: black 0, white 1.",
    "disagreement": "Standard deviation over members of the probability: black 0, white "
    f"{MOST_DISAGREEMENT} or more.",
}
MISSING, LIVE, DEAD, LABELLED = range(4)  # codes of the map of traces, the last covers the others
COLOURS = {LIVE: "#9AA5AD", DEAD: "#4A3B5C", LABELLED: TRUTH}
NO_SALT = (128, 128, 128, 60)  # RGBA, on a light and on a dark page
# Bright where salt is shallow, or thick.
MAPS = {"top": ("Top of salt", RAMP[::-1]), "thickness": ("Thickness of salt", RAMP)}

# Width over height, at least and at most: of sections, and of slices and maps.
ASPECTS = ((1.2, 3), (0.5, 3))

# Reads a block of traces by indices along inlines and crosslines: (inlines, crosslines, samples).
Reader = Callable[[slice, slice], np.ndarray]


Shade = Callable[[np.ndarray], np.ndarray]
# From the values of each layer to grey levels, 0 to 255, which are clipped afterwards.
SHADES: tuple[Shade, ...] = (
    lambda amplitude: np.nan_to_num(127.5 + 127.5 * GAIN * amplitude, nan=255),
    lambda probability: 255 * np.nan_to_num(probability),
    lambda disagreement: 255 / MOST_DISAGREEMENT * np.nan_to_num(disagreement),
)


@dataclass(frozen=True)
class VolumeView:
    """What the viewer shows.

    unit: of times or depths of samples
    amplitude: reads amplitudes in units of the clip, NaN if a trace is missing or dead
    probability: reads mean probabilities, 0 to 1; NaN is 0
    disagreement: reads standard deviations over members, or None with a single member
    threshold: probabilities above it are salt
    exists: whether each trace is in the survey, bool (inlines, crosslines)
    truth: bool (samples, traces) of a labelled line, by its plane and its index
    spacing: metres between inlines and between crosslines, or None where unknown
    """

    grid: Grid
    unit: str
    amplitude: Reader
    probability: Reader
    disagreement: Reader | None
    threshold: float
    exists: np.ndarray
    truth: Mapping[tuple[str, int], np.ndarray] = field(default_factory=dict)
    spacing: tuple[float, float] | None = None


def as_masked(probability: Reader, bodies: Reader, threshold: float) -> Reader:
    """Return a reader of probabilities that are above the threshold where there are bodies alone.

    So specks that are no bodies show neither in outlines nor in maps. The nearest grey levels below
    and above it are used, since a probability just below could be drawn as one above.
    """
    below = np.floor(255 * threshold)
    least, most = np.float32((below + 1) / 255), np.float32(below / 255)

    def read(*part: slice) -> np.ndarray:
        values, salt = probability(*part), bodies(*part) > 0
        return np.where(salt, np.maximum(values, least), np.minimum(values, most))

    return read


@dataclass
class Plane:
    """The pictures in one direction, filled block by block.

    axis: that the pictures are perpendicular to
    lines: indices of those that are shown, int64, along the axis
    layers: uint8 (layers, lines, *the two other axes), shrunk
    """

    axis: int
    lines: np.ndarray
    layers: np.ndarray

    @property
    def name(self) -> str:
        return DIRECTIONS[self.axis]

    def pictures(self, number: int) -> np.ndarray:
        """Return the layers of a line as they are seen: uint8 (layers, height, width).

        Samples go down; in a slice, inlines go up.
        """
        return orient(self.axis, self.layers[:, number])


def orient(axis: int, drawn: np.ndarray) -> np.ndarray:
    """Turn the last two axes of a section or map from those of the volume to those of a picture."""
    return drawn[..., ::-1, :] if axis == 2 else drawn.swapaxes(-1, -2)


def step_for(count: int) -> int:
    """Return by what power of two a side of ``count`` is shrunk."""
    return 1 << max(-(-count // LONGEST_SIDE) - 1, 0).bit_length()


def shrink(values: np.ndarray, steps: Sequence[int], of: Callable = np.mean) -> np.ndarray:
    """Shrink each axis by its step, taking the mean (or another summary) of what falls together."""
    for axis, step in enumerate(steps):
        if step == 1:
            continue
        short = [(0, -values.shape[k] % step if k == axis else 0) for k in range(values.ndim)]
        values = np.pad(values, short, mode="edge")
        shape = values.shape
        values = of(values.reshape(*shape[:axis], -1, step, *shape[axis + 1 :]), axis=axis + 1)
    return values


def choose_lines(count: int, most: int, wanted: list[int]) -> np.ndarray:
    """Choose at most ``most`` of ``count`` lines, evenly spread: sorted int64.

    Wanted ones, at most half of all, replace those nearest.
    """
    if count <= most:
        return np.arange(count)
    lines = np.linspace(0, count - 1, most).round().astype(np.int64)
    free = np.ones(most, dtype=bool)
    ordered = np.array(sorted(wanted), dtype=np.int64)
    some = np.linspace(0, len(wanted) - 1, min(len(wanted), most // 2)).round().astype(int)
    for line in ordered[some]:
        nearest = np.argmin(np.where(free, np.abs(lines - line), count))
        lines[nearest], free[nearest] = line, False
    return np.unique(lines)


def create_planes(view: VolumeView) -> list[Plane]:
    """Return the directions that the volume has pictures in; a 2-D line has one."""
    shape, planes = view.grid.shape, []
    shown = [-(-count // step_for(count)) for count in shape]
    layers = 2 if view.disagreement is None else 3
    for axis, name in enumerate(DIRECTIONS):
        sides = [n for k, n in enumerate(shown) if k != axis]
        if min(sides) < 2:
            continue
        most = max(min(MOST_LINES, MOST_PIXELS // (sides[0] * sides[1])), 1)
        labelled = [index for plane, index in view.truth if plane == name]
        lines = choose_lines(shape[axis], most, labelled)
        drawn = np.zeros((layers, len(lines), *sides), dtype=np.uint8)
        planes.append(Plane(axis, lines, drawn))
    return planes


def list_blocks(shape: tuple[int, int, int]) -> Iterator[tuple[slice, slice]]:
    """Yield the volume's blocks of traces, each of whole shards and whole shrunk pixels."""
    sizes = [max(size, step_for(count)) for size, count in zip(BLOCK, shape, strict=False)]
    for inline in range(0, shape[0], sizes[0]):
        for crossline in range(0, shape[1], sizes[1]):
            ends = min(inline + sizes[0], shape[0]), min(crossline + sizes[1], shape[1])
            yield slice(inline, ends[0]), slice(crossline, ends[1])


def fill(view: VolumeView) -> tuple[list[Plane], dict[str, np.ndarray]]:
    """Read the volume once, block by block, for its pictures and its maps.

    Return the planes, and the maps (inlines, crosslines): "traces", codes uint8; "top", the time or
    depth of the first salt, and "thickness" of all of it, both float64, NaN without salt.
    """
    planes, steps = create_planes(view), [step_for(count) for count in view.grid.shape]
    samples = view.grid.samples.numbers()
    traces = np.zeros(view.grid.shape[:2], dtype=np.uint8)
    top, thickness = np.full((2, *view.grid.shape[:2]), np.nan)
    readers = [view.amplitude, view.probability]
    readers += [] if view.disagreement is None else [view.disagreement]
    for block in list_blocks(view.grid.shape):
        amplitude, probability, *_ = read = [np.asarray(reader(*block)) for reader in readers]
        exists, dead = view.exists[block], np.isnan(amplitude).all(axis=2)
        traces[block] = np.select([~exists, dead], [MISSING, DEAD], LIVE)
        salt = probability > view.threshold
        found = salt.any(axis=2)
        top[block][found] = samples[salt.argmax(axis=2)[found]]
        thickness[block][found] = salt.sum(axis=2)[found] * view.grid.samples.step
        for layer, (values, shade) in enumerate(zip(read, SHADES, strict=False)):
            for plane in planes:
                put(plane, layer, values, shade, block, steps)
    for name, index in view.truth:
        lines = traces[index] if name == INLINE else traces[:, index]
        lines[lines != MISSING] = LABELLED
    return planes, {"traces": traces, "top": top, "thickness": thickness}


def put(
    plane: Plane, layer: int, values: np.ndarray, shade: Shade, block: tuple, steps: list[int]
) -> None:
    """Copy a block's part of a plane's lines to its pictures, as shades of grey."""
    whole = (*block, slice(0, values.shape[2]))
    at, axis = whole[plane.axis], plane.axis
    here = np.flatnonzero((plane.lines >= at.start) & (plane.lines < at.stop))
    if not len(here):
        return
    lines = values.take(plane.lines[here] - at.start, axis=axis)
    lines = np.moveaxis(shade(lines.astype(np.float32)), axis, 0)
    others = [k for k in range(3) if k != axis]
    drawn = np.rint(shrink(np.clip(lines, 0, 255), (1, *(steps[k] for k in others))))
    corner = [whole[k].start // steps[k] for k in others]
    window = tuple(
        slice(start, start + n) for start, n in zip(corner, drawn.shape[1:], strict=True)
    )
    plane.layers[(layer, here, *window)] = drawn.astype(np.uint8)


# --- pictures ------------------------------------------------------------------------------------


def write_viewer(folder: Path, view: VolumeView) -> dict:
    """Write the pictures to a folder, and return what the page's script needs to know of them."""
    planes, maps = fill(view)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        # Pillow releases the GIL while encoding.
        for plane in planes:
            list(pool.map(lambda k, plane=plane: write_line(folder, plane, k, view),
                          range(len(plane.lines))))  # fmt: skip
    known = {"traces": write_traces(folder, maps["traces"])}
    for name in MAPS:
        known[name] = write_map(folder, name, maps[name], maps["traces"] == MISSING, view.unit)
    return {
        "folder": folder.name,
        "unit": view.unit,
        "planes": [plane_facts(plane, view) for plane in planes],
        "layers": dict(list(LAYERS.items())[: len(planes[0].layers)]),
        "maps": known if min(view.grid.shape[:2]) > 1 else {},
        "aspect": aspect_ratio(view, 2),
        "summary": summarise(view, maps),
        "inlines": first_and_last(view.grid.inlines),
        "crosslines": first_and_last(view.grid.crosslines),
    }


def write_line(folder: Path, plane: Plane, number: int, view: VolumeView) -> None:
    """Write the two files of a line."""
    pictures = plane.pictures(number)
    stem = f"{plane.name}-{number}"
    grey = Image.fromarray(np.concatenate(list(pictures), axis=1))
    grey.save(folder / f"{stem}-grey.webp", quality=QUALITY, method=2)
    drawn = [draw_outline(pictures[1], 255 * view.threshold, PREDICTION)]
    truth = view.truth.get((plane.name, int(plane.lines[number])))
    if truth is not None:
        steps = [step_for(count) for count in truth.shape]
        mask = shrink(255 * np.asarray(truth, dtype=np.float32), steps)
        drawn.append(draw_outline(np.rint(mask).astype(np.uint8), 127.5, TRUTH))
    masks = Image.fromarray(np.concatenate(drawn, axis=1))
    masks.save(folder / f"{stem}-masks.webp", lossless=True, quality=20, method=1)


def draw_outline(picture: np.ndarray, threshold: float, colour: str) -> np.ndarray:
    """Draw the outline of what is above a threshold: RGBA uint8, finer where it is small."""
    height, width = picture.shape
    fine = max(round(OUTLINE_SIDE / max(height, width)), 1)
    large = Image.fromarray(picture).resize(
        (fine * width, fine * height), Image.Resampling.BILINEAR
    )
    drawn = np.zeros((fine * height, fine * width, 4), dtype=np.uint8)
    mask = np.asarray(large)[None] > threshold
    drawn[outline(mask, min(fine, OUTLINE))[0]] = (*rgb(colour), 255)
    return drawn


def write_traces(folder: Path, traces: np.ndarray) -> dict:
    """Write the map of traces; return its legend."""
    drawn = shrink(traces, [step_for(count) for count in traces.shape], np.max)
    table = np.zeros((4, 4), dtype=np.uint8)
    for code, colour in COLOURS.items():
        table[code] = (*rgb(colour), 255)
    save_map(folder, "traces", table[drawn])
    names = {LIVE: "live", DEAD: "dead", LABELLED: "labelled"}
    found = {name: int((traces == code).sum()) for code, name in names.items()}
    legend = [[COLOURS[code], f"{name}, {found[name]}"] for code, name in names.items()
              if found[name]]  # fmt: skip
    return {"title": "Traces", "legend": [*legend, ["", f"missing, {int((traces == 0).sum())}"]]}


def write_map(folder: Path, name: str, values: np.ndarray, missing: np.ndarray, unit: str) -> dict:
    """Write a map of ``values``, NaN without salt; return its colour bar."""
    steps = [step_for(count) for count in values.shape]
    found = np.isfinite(values)
    low, high = (values[found].min(), values[found].max()) if found.any() else (0.0, 0.0)
    # Where one pixel stands for several traces it shows the middle of those with salt.
    known = shrink(found.astype(np.float32), steps)
    middle = shrink(np.where(found, values, 0), steps) / np.maximum(known, 1e-6)
    title, colours = MAPS[name]
    share = np.linspace(0, 1, len(colours))
    stops = np.array([rgb(colour) for colour in colours]).T
    part = (middle - low) / max(high - low, 1e-9)
    drawn = np.full((*middle.shape, 4), 255, dtype=np.uint8)
    drawn[..., :3] = np.stack([np.interp(part, share, channel) for channel in stops], axis=-1)
    drawn[known == 0] = NO_SALT
    drawn[shrink(missing.astype(np.float32), steps) == 1] = 0
    save_map(folder, name, drawn)
    return {
        "title": title,
        "low": f"{low:g} {unit}",
        "high": f"{high:g} {unit}",
        "colours": list(colours) if found.any() else [],
    }


def save_map(folder: Path, name: str, drawn: np.ndarray) -> None:
    """Write a map of RGBA values (inlines, crosslines, 4), inlines upwards."""
    picture = Image.fromarray(np.ascontiguousarray(drawn[::-1]))
    picture.save(folder / f"map-{name}.webp", lossless=True, quality=20, method=1)


# --- facts ---------------------------------------------------------------------------------------


def plane_facts(plane: Plane, view: VolumeView) -> dict:
    """Return the script's data on one direction."""
    numbers = view.grid.axes[plane.axis].numbers()[plane.lines].tolist()
    across = 0 if plane.axis == 1 else 1
    down = 0 if plane.axis == 2 else 2
    top, bottom = first_and_last(view.grid.axes[down])
    title, line = {
        "inline": ("Inlines", "Inline"),
        "crossline": ("Crosslines", "Crossline"),
        "slice": (f"{domain_name(view)} slices", domain_name(view)),
    }[plane.name]
    return {
        "name": plane.name,
        "title": title,
        "line": line,
        "numbers": [round(number, 3) for number in numbers],
        "start": choose_start(plane, view.threshold),
        "total": view.grid.shape[plane.axis],
        "labelled": [int((plane.name, index) in view.truth) for index in plane.lines.tolist()],
        "across": [axis_name(across, view), *first_and_last(view.grid.axes[across])],
        # In a slice inlines go up.
        "down": [axis_name(down, view), *((bottom, top) if down == 0 else (top, bottom))],
        "aspect": aspect_ratio(view, plane.axis),
        "size": list(plane.pictures(0).shape[1:]),
    }


def choose_start(plane: Plane, threshold: float) -> int:
    """Return the line to begin with: of those with much of the salt's outline the most central."""
    outlines = np.diff(plane.layers[1] > 255 * threshold, axis=-1).sum((1, 2))
    much = np.flatnonzero(outlines >= 0.7 * outlines.max())
    return int(much[np.abs(much - len(outlines) // 2).argmin()])


def domain_name(view: VolumeView) -> str:
    return "Time" if view.unit == "ms" else "Depth"


def axis_name(axis: int, view: VolumeView) -> str:
    return ("Inline", "Crossline", domain_name(view))[axis]


def first_and_last(axis: Axis) -> list[float]:
    """Return the first and the last number."""
    return [axis.first, axis.last]


def aspect_ratio(view: VolumeView, axis: int) -> float:
    """Return width over height of a picture, with traces as far apart as they are.

    A sample is as high as a crossline is wide, unless that made a section too narrow to look at.
    """
    ratio = view.spacing[0] / view.spacing[1] if view.spacing else 1
    lengths = (view.grid.shape[0] * ratio, view.grid.shape[1], view.grid.shape[2])
    across, down = {0: (1, 2), 1: (0, 2), 2: (1, 0)}[axis]
    return round(float(np.clip(lengths[across] / lengths[down], *ASPECTS[axis == 2])), 4)


def measure_spacing(positions: np.ndarray) -> tuple[float, float] | None:
    """Return the distance between inlines and between crosslines, or None if it is unknown.

    ``positions`` are x and y of the traces, float64 (2, inlines, crosslines), NaN if missing.
    """
    found = []
    for axis in (1, 2):
        apart = np.hypot(*np.diff(positions, axis=axis))
        apart = apart[np.isfinite(apart) & (apart > 0)]
        if not len(apart):
            return None
        found.append(float(np.median(apart)))
    return found[0], found[1]


def summarise(view: VolumeView, maps: dict[str, np.ndarray]) -> str:
    """Return in a sentence how much salt was found, and where."""
    live = np.isin(maps["traces"], (LIVE, LABELLED))
    found = np.isfinite(maps["top"])
    inlines, crosslines, samples = view.grid.shape
    is_line = 1 in (inlines, crosslines)
    traces = inlines * crosslines
    start = f"{traces} traces" if is_line else f"{inlines} inlines, {crosslines} crosslines"
    start += f", {samples} samples; "
    if not found.any():
        return start + "no salt was predicted."
    top, thick = maps["top"][found], maps["thickness"][found]
    share = 100 * (found & live).sum() / max(live.sum(), 1)
    return start + (
        f"salt is predicted under {share:.0f} % of the live traces, its top at {top.min():g} to "
        f"{top.max():g} {view.unit}, its median thickness {np.median(thick):g} {view.unit}."
    )
