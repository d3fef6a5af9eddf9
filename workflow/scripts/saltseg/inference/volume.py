"""Probabilities of a survey's volume, section by section, in shards of bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from tqdm import tqdm

from saltseg.core.errors import InputError
from saltseg.core.files import replacing_folder
from saltseg.core.quantisation import MISSING, quantise
from saltseg.ensemble.fusion import smooth, surround
from saltseg.inference.sections import Core, SectionPredictor
from saltseg.networks.checkpoint import Checkpoint
from saltseg.output.shards import ARRAYS, LINES, Layout, quantise_deviation
from saltseg.survey.amplitudes import LocalBounds, fill_gaps, to_8bit
from saltseg.survey.character import compare_with_nearest
from saltseg.survey.grid import CROSSLINE, INLINE, PLANES
from saltseg.survey.volume import Volume

# Traces down the volume's last axis, as the samples of pictures.
AS_PICTURES = {INLINE: (0, 2, 1), CROSSLINE: (1, 2, 0)}
# For members trained on tiles: the contest's were stretched one by one.
OF_TILES: dict[str, Any] = {"normalisation": "window", "tile": 101}


@dataclass(frozen=True)
class Greyscale:
    """How amplitudes are converted to grey values.

    normalisation: one of ``amplitudes.NORMALISATIONS``
    tile: pixels a side of the tiles that the members were trained on
    trained_on: what their checkpoints say of this and of their surveys
    """

    normalisation: str
    tile: int
    trained_on: dict = field(default_factory=dict)

    @classmethod
    def of(cls, checkpoints: list[Checkpoint], percentile: float | None = None) -> "Greyscale":
        """Return the conversion that members were trained with; the contest's for tiles.

        Raises InputError if they differ, and where the volume's clip is another ``percentile``
        of its amplitudes, if known, than that of the members' own volume.
        """
        ways = [checkpoint.about.get("survey") or OF_TILES for checkpoint in checkpoints]
        if any(way != ways[0] for way in ways):
            raise InputError(
                "members were trained with different survey.normalisation, tile or percentile: "
                f"{', '.join(map(str, ways))}; predict with members of one run"
            )
        if percentile is not None and ways[0].get("percentile", percentile) != percentile:
            raise InputError(
                f"the volume is clipped at percentile {percentile:g} of its amplitudes, but that "
                f"of its members at {ways[0]['percentile']:g}; set survey.percentile to that"
            )
        return cls(ways[0]["normalisation"], ways[0]["tile"], ways[0])

    def notices(self, volume: Volume) -> list[str]:
        """Return what of a volume differs from the members' own, and the remedies."""
        return compare_with_nearest(volume.character, self.trained_on, volume.polarity)


class VolumePredictor:
    """Predicts a volume with all members, the same to the bit for any number of shards.

    seconds_of_members: how long the members have computed so far
    """

    def __init__(self, predictor: SectionPredictor, greyscale: Greyscale, batch_size: int):
        """Take members; InputError if one needs the tiles' depths, which a volume does not have.

        batch_size: in tiles; windows are predicted together as long as they have no more pixels
        """
        if any(network.uses_depth for network in predictor.networks):
            raise InputError(
                "members that were trained with the tiles' depths cannot predict a volume, which "
                "has none; train them with model.depth: none"
            )
        self._predictor, self._greyscale, self._batch_size = predictor, greyscale, batch_size
        self.seconds_of_members = 0.0

    def predict(self, volume: Volume, layout: Layout, shard: int, path: Path) -> int:
        """Predict the lines of a shard to a store at ``path``; return the number of lines.

        Raises InputError if there is no such shard, or the volume is damaged.
        """
        blocks = [
            (plane, slice(start, min(start + LINES, layout.lines(plane, shard).stop)))
            for plane in layout.cores
            for start in layout.lines(plane, shard)[::LINES]
        ]
        cores = {plane: self._cores(plane, volume.shape) for plane in layout.cores}
        total = sum(len(cores[plane]) for plane, _ in blocks)
        with (
            replacing_folder(path) as part,
            tqdm(total=total, unit="window", disable=None, leave=False) as bar,
        ):
            arrays = layout.create(part, shard)
            for plane, lines in blocks:
                first = layout.lines(plane, shard).start
                index = slice(lines.start - first, lines.stop - first)
                sections = _Sections(volume, plane, lines, self._greyscale)
                for core, found in self._predict_sections(sections, cores[plane]):
                    samples, traces = core
                    here = (index, traces) if plane == INLINE else (traces, index)
                    for name, values in found.items():
                        back = values.transpose(np.argsort(AS_PICTURES[plane]))
                        arrays[plane][name][(*here, samples)] = back
                    bar.update()
        return sum(lines.stop - lines.start for _, lines in blocks)

    def predict_part(
        self, volume: Volume, plane: str, lines: range, trace: int | None = None
    ) -> np.ndarray:
        """Predict some lines of a plane, or a single trace of each.

        Return the members' mean as in ``core.quantisation``, uint16 (lines, samples, traces), the
        same as ``predict`` writes.
        """
        cores = self._cores(plane, volume.shape)
        if trace is not None:
            samples = self._predictor.windows.cores(volume.shape[2])
            column = slice(trace, trace + 1)
            if not self._predictor.is_seamless:
                # Pixels depend on their window, so it has to be the same.
                column = next(each for _, each in cores if each.start <= trace < each.stop)
            cores: list[Core] = [(each, column) for each in samples]
        first = cores[0][1].start
        traces = cores[-1][1].stop - first
        found = np.empty((len(lines), volume.shape[2], traces), np.uint16)
        for start in lines[::LINES]:
            block = slice(start, min(start + LINES, lines.stop))
            index = slice(block.start - lines.start, block.stop - lines.start)
            sections = _Sections(volume, plane, block, self._greyscale)
            for (rows, columns), values in self._predict_sections(sections, cores):
                across = slice(columns.start - first, columns.stop - first)
                found[index, rows, across] = values["probability"]
        return found if trace is None else found[:, :, trace - first : trace - first + 1]

    def predict_line(
        self,
        volume: Volume,
        planes: tuple[str, ...],
        line: tuple[str, int],
        traces: range,
        deviation: float,
    ) -> dict[str, np.ndarray]:
        """Predict some traces of a line as the volume will be, in all planes and smoothed across.

        Return logits by plane, float32 (traces, samples), NaN where missing.

        line: plane and index
        deviation: as in ``fusion.smooth``
        """
        found = {}
        for plane in planes:
            own = plane == line[0]
            wanted = range(line[1], line[1] + 1) if own else traces
            count = volume.shape[PLANES.index(plane)]
            near, inner = surround(wanted, count, deviation)
            values = self.predict_part(volume, plane, near, trace=None if own else line[1])
            logits = smooth(values, 0, inner, deviation)
            along = logits[0][:, traces.start : traces.stop].T if own else logits[:, :, 0]
            found[plane] = along
        return found

    def _cores(self, plane: str, shape: tuple[int, int, int]) -> list[Core]:
        """Return samples and traces of the cores of a plane's sections."""
        traces = shape[1 - PLANES.index(plane)]
        windows = self._predictor.windows
        return list(product(windows.cores(shape[2]), windows.cores(traces)))

    def _predict_sections(
        self, sections: "_Sections", cores: list[Core]
    ) -> Iterator[tuple[Core, dict[str, np.ndarray]]]:
        """Yield each core with its probability and disagreement, (lines, samples, traces)."""
        sides = sections.shape[1:]
        batch_size = self._predictor.batch_size(sides, self._batch_size, self._greyscale.tile)
        for core in cores:
            pixels = sections.read_grey(self._predictor.around(core, sides))
            size = sections.shape[0], *(part.stop - part.start for part in core)
            found = {name: np.empty(size, dtype) for name, dtype in ARRAYS.items()}
            batches = self._predictor.predict_core(pixels.read, sections.shape, core, batch_size)
            started, first = perf_counter(), 0
            for mean, deviation in batches:
                self.seconds_of_members += perf_counter() - started
                part = slice(first, first + len(mean))
                found["probability"][part] = quantise(mean)
                found["disagreement"][part] = quantise_deviation(deviation)
                started, first = perf_counter(), part.stop
            found["probability"][pixels.missing(core)] = MISSING
            yield core, found


class _Sections:
    """Some neighbouring sections of a plane, read as used.

    shape: (lines, samples, traces)
    """

    def __init__(self, volume: Volume, plane: str, lines: slice, greyscale: Greyscale):
        self.volume, self.plane, self.lines = volume, plane, lines
        self.greyscale = greyscale
        traces = volume.shape[1 - PLANES.index(plane)]
        self.shape = (lines.stop - lines.start, volume.shape[2], traces)

    def read(self, samples: slice, traces: slice) -> np.ndarray:
        """Return amplitudes, float16 (lines, samples, traces)."""
        lines = (self.lines, traces) if self.plane == INLINE else (traces, self.lines)
        return self.volume.read(*lines, samples).transpose(AS_PICTURES[self.plane])

    def read_grey(self, part: Core) -> "_Pixels":
        """Return grey values of some samples and traces."""
        amplitude = self.read(*part)
        corner, whole = (part[0].start, part[1].start), fill_gaps(amplitude)
        if self._bounds is None:
            # Line by line, for the sake of memory.
            grey = np.empty(whole.shape, np.uint8)
            for line, values in zip(grey, whole, strict=True):
                line[...] = to_8bit(values, self.greyscale.normalisation)
        else:
            grey = self._bounds.to_8bit(whole, *corner)
        return _Pixels(grey, np.isnan(amplitude), corner)

    @cached_property
    def _bounds(self) -> LocalBounds | None:
        if self.greyscale.normalisation != "window":
            return None
        whole = slice(0, self.shape[1])
        return LocalBounds.measure_in_parts(
            lambda traces: self.read(whole, traces), self.shape, self.greyscale.tile
        )


@dataclass(frozen=True)
class _Pixels:
    """Grey values of a part of some sections.

    grey: uint8 (lines, samples, traces)
    gaps: bool (lines, samples, traces), True where a sample is missing
    corner: first sample and trace in the sections
    """

    grey: np.ndarray
    gaps: np.ndarray
    corner: tuple[int, ...]

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        """Return grey values of some samples and traces of the sections."""
        return self.grey[self._part(rows, columns)]

    def missing(self, core: Core) -> np.ndarray:
        """Return where samples of a core are missing."""
        return self.gaps[self._part(*core)]

    def _part(self, rows: slice, columns: slice) -> tuple[slice, slice, slice]:
        top, left = self.corner
        return (
            slice(None),
            slice(rows.start - top, rows.stop - top),
            slice(columns.start - left, columns.stop - left),
        )
