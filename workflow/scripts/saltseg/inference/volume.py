"""Probabilities of a survey's volume, section by section, in shards of bounded memory."""

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from time import perf_counter

import numpy as np
from tqdm import tqdm

from saltseg.core.errors import InputError
from saltseg.core.files import replacing_folder
from saltseg.device.compute import Compute
from saltseg.inference.sections import around, at_once, predict_core
from saltseg.networks.checkpoint import Checkpoint
from saltseg.networks.network import Network
from saltseg.output.shards import (
    ARRAYS,
    LINES,
    MISSING,
    PLANES,
    Layout,
    quantised,
    quantised_deviation,
)
from saltseg.survey.amplitudes import LocalBounds, bridged, to_8bit
from saltseg.survey.volume import Volume
from saltseg.survey.windows import Windows

# Traces down the volume's last axis, as the samples of pictures.
AS_PICTURES = {"inline": (0, 2, 1), "crossline": (1, 2, 0)}


# For members trained on tiles: the contest's were stretched one by one.
OF_TILES = {"normalisation": "window", "tile": 101}


@dataclass(frozen=True)
class Grey:
    """How amplitudes are converted to grey values.

    normalisation: one of ``amplitudes.NORMALISATIONS``
    tile: pixels a side of the tiles that the members were trained on
    """

    normalisation: str
    tile: int

    @classmethod
    def of(cls, checkpoints: list[Checkpoint], percentile: float) -> "Grey":
        """Return the way that members were trained with; the contest's for members of tiles.

        Raises InputError if they differ, and where the volume's clip is another ``percentile``
        of its amplitudes than that of the members' own volume.
        """
        ways = [checkpoint.about.get("survey") or OF_TILES for checkpoint in checkpoints]
        if any(way != ways[0] for way in ways):
            raise InputError(
                "members were trained with different survey.normalisation, tile or percentile: "
                f"{', '.join(map(str, ways))}; predict with members of one run"
            )
        if ways[0].get("percentile", percentile) != percentile:
            raise InputError(
                f"the volume is clipped at percentile {percentile:g} of its amplitudes, but that "
                f"of its members at {ways[0]['percentile']:g}; set survey.percentile to that"
            )
        return cls(ways[0]["normalisation"], ways[0]["tile"])


def predict_shard(
    volume: Volume,
    networks: list[Network],
    compute: Compute,
    path: Path,
    *,
    layout: Layout,
    shard: int,
    windows: Windows,
    grey: Grey,
    flip: bool,
    batch_size: int,
    bar: bool = True,
) -> tuple[int, float]:
    """Predict the lines of a shard with all members, and write them to a store at ``path``.

    ``batch_size`` counts tiles: windows are predicted together as long as they have no more pixels.
    The result is the same to the bit for any number of shards.

    Returns the number of lines, and the share of the time that the members took.

    Raises InputError if a member needs the tiles' depths, which a volume does not have, or if there
    is no such shard.
    """
    if any(network.uses_depth for network in networks):
        raise InputError(
            "members that were trained with the tiles' depths cannot predict a volume, which has "
            "none; train them with model.depth: none"
        )
    blocks = [
        (plane, slice(start, min(start + LINES, lines.stop)))
        for plane in layout.cores
        for lines in [layout.lines(plane, shard)]
        for start in range(lines.start, lines.stop, LINES)
    ]
    begun, by_members = perf_counter(), 0.0
    with replacing_folder(path) as part:
        arrays = layout.create(part, shard)
        cores = {
            plane: list(product(windows.cores(volume.shape[2]), windows.cores(traces)))
            for plane in layout.cores
            for traces in [volume.shape[1 - PLANES.index(plane)]]
        }
        total = sum(len(cores[plane]) for plane, _ in blocks)
        with tqdm(total=total, unit="window", disable=None if bar else True, leave=False) as shown:
            for plane, lines in blocks:
                sections = _Sections(volume, plane, lines, grey)
                first = layout.lines(plane, shard).start
                at = slice(lines.start - first, lines.stop - first)
                together = at_once(windows, sections.shape[1:], batch_size, grey.tile)
                for core in cores[plane]:
                    found, seconds = _predict_core(
                        *(sections, core, networks, compute),
                        windows=windows,
                        flip=flip,
                        batch_size=together,
                    )
                    by_members += seconds
                    where = (at, core[1], core[0]) if plane == "inline" else (core[1], at, core[0])
                    for name, values in found.items():
                        back = values.transpose(np.argsort(AS_PICTURES[plane]))
                        arrays[plane][name][where] = back
                    shown.update()
    share = by_members / (perf_counter() - begun)
    return sum(lines.stop - lines.start for _, lines in blocks), share


def _predict_core(
    sections: "_Sections",
    core: tuple[slice, slice],
    networks: list[Network],
    compute: Compute,
    *,
    windows: Windows,
    flip: bool,
    batch_size: int,
) -> tuple[dict[str, np.ndarray], float]:
    """Return probability and disagreement of a core as stored, (lines, samples, traces).

    Second, the seconds that the members took.
    """
    pixels = sections.around(core, networks, windows)
    size = sections.shape[0], *(part.stop - part.start for part in core)
    found = {name: np.empty(size, dtype) for name, dtype in ARRAYS.items()}
    batches = predict_core(
        *(networks, pixels.read, sections.shape, core, compute),
        windows=windows,
        flip=flip,
        batch_size=batch_size,
    )
    seconds, started, first = 0.0, perf_counter(), 0
    for mean, deviation in batches:
        seconds += perf_counter() - started
        part = slice(first, first + len(mean))
        found["probability"][part] = quantised(mean)
        found["disagreement"][part] = quantised_deviation(deviation)
        started, first = perf_counter(), part.stop
    found["probability"][np.broadcast_to(pixels.missing(core), size)] = MISSING
    return found, seconds


class _Sections:
    """Some neighbouring sections of a plane, read as used.

    shape: (lines, samples, traces)
    """

    def __init__(self, volume: Volume, plane: str, lines: slice, grey: Grey):
        self.volume, self.plane, self.lines, self.grey = volume, plane, lines, grey
        traces = volume.shape[1 - PLANES.index(plane)]
        self.shape = (lines.stop - lines.start, volume.shape[2], traces)

    def read(self, samples: slice, traces: slice) -> np.ndarray:
        """Return amplitudes, float16 (lines, samples, traces)."""
        lines = (self.lines, traces) if self.plane == "inline" else (traces, self.lines)
        return self.volume.read(*lines, samples).transpose(AS_PICTURES[self.plane])

    def around(
        self, core: tuple[slice, slice], networks: list[Network], windows: Windows
    ) -> "_Pixels":
        """Return the part that the windows of all networks around a core need."""
        part = []
        for inner, side in zip(core, self.shape[1:], strict=True):
            outer = [around(windows, inner, side, network) for network in networks]
            start, stop = min(each.start for each in outer), max(each.stop for each in outer)
            part.append(slice(max(start, 0), min(stop, side)))
        amplitude = self.read(*part)
        corner, whole = tuple(each.start for each in part), bridged(amplitude)
        if self._bounds is None:
            # Line by line, for the sake of memory.
            grey = np.empty(whole.shape, np.uint8)
            for line, values in zip(grey, whole, strict=True):
                line[...] = to_8bit(values, self.grey.normalisation)
        else:
            grey = self._bounds.to_8bit(whole, *corner)
        # A missing trace has no sample.
        return _Pixels(grey, np.isnan(amplitude[:, :1]), corner)

    @cached_property
    def _bounds(self) -> LocalBounds | None:
        if self.grey.normalisation != "window":
            return None
        whole = slice(0, self.shape[1])
        return LocalBounds.measure_in_parts(
            lambda traces: self.read(whole, traces), self.shape, self.grey.tile
        )


@dataclass(frozen=True)
class _Pixels:
    """Grey values of a part of some sections.

    grey: uint8 (lines, samples, traces)
    gaps: bool (lines, 1, traces), True where a trace is missing
    corner: first sample and trace in the sections
    """

    grey: np.ndarray
    gaps: np.ndarray
    corner: tuple[int, int]

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        top, left = self.corner
        return self.grey[
            :, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]

    def missing(self, core: tuple[slice, slice]) -> np.ndarray:
        left = self.corner[1]
        return self.gaps[:, :, core[1].start - left : core[1].stop - left]
