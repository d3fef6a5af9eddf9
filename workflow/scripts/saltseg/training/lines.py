"""Windows cut anywhere from labelled lines, new ones in every epoch."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from saltseg.core.errors import InputError
from saltseg.settings.config import TrainingSettings
from saltseg.survey.amplitudes import MIDDLE
from saltseg.survey.lines import SALT, Lines, free_starts


class LabelledLines:
    """Labelled lines of surveys to train on, as ``TrainingData`` whose tiles are windows.

    Windows are cut on the device, and nothing is read back from it.

    size: height and width of a window
    depths: NaN, since windows have none
    """

    def __init__(
        self,
        surveys: list[tuple[Lines, pd.Series]],
        tile: int,
        normalisation: str,
        device: torch.device,
    ):
        """Load those lines of each survey that a bool series, by row of its table, chooses.

        Raises InputError if none of a survey has room for a window.
        """
        self._tile, self._normalisation = tile, normalisation
        by_survey = [runs_with_windows(*survey, tile) for survey in surveys]
        found = [run for runs in by_survey for run in runs]
        amplitudes, labels, free = zip(*found, strict=True)
        # Whether a window may start there, of all places of all lines, one after the other.
        self._free = torch.from_numpy(np.concatenate([each.ravel() for each in free]))
        self._amplitudes, self._labels = (
            torch.from_numpy(np.concatenate([each.ravel() for each in kind])).to(device)
            for kind in (amplitudes, labels)
        )
        # Of each line: its number of samples, that of starts down a trace, and where its places and
        # its values begin among those of all.
        self._table = torch.tensor(
            [
                [line.shape[1] for line in labels],
                [starts.shape[1] for starts in free],
                np.cumsum([0, *(starts.size for starts in free)])[:-1].tolist(),
                np.cumsum([0, *(line.size for line in labels)])[:-1].tolist(),
            ],
            device=device,
        )
        # Of each survey, where its places end.
        self._ends = np.cumsum([sum(run[2].size for run in runs) for runs in by_survey]).tolist()
        self.size = (tile, tile)
        self.depths = torch.full((1,), torch.nan)

    def visits(self, recipe: TrainingSettings) -> float:
        """Return how many windows an epoch sees."""
        return recipe.windows_per_epoch

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw windows that are labelled all over, int64 (count).

        Each survey is as likely as any other, and so is each window of one.
        """
        if len(self._ends) == 1:
            return self._draw_of(0, count, generator)
        survey = torch.randint(len(self._ends), (count,), generator=generator)
        drawn = torch.empty(count, dtype=torch.int64)
        for number in range(len(self._ends)):
            here = survey == number
            drawn[here] = self._draw_of(number, int(here.sum()), generator)
        return drawn

    def _draw_of(self, survey: int, count: int, generator: torch.Generator) -> Tensor:
        first, end = [0, *self._ends][survey : survey + 2]
        drawn = torch.empty(0, dtype=torch.int64)
        while len(drawn) < count:
            candidates = torch.randint(first, end, (count,), generator=generator)
            drawn = torch.cat([drawn, candidates[self._free[candidates]]])
        return drawn[:count]

    def take(self, windows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return images and masks, uint8 (batch, 1, height, width), and depths, NaN (batch)."""
        line = torch.searchsorted(self._table[2], windows, right=True) - 1
        samples, starts, places, values = self._table[:, line]
        first = windows - places
        first = values + first // starts * samples + first % starts
        side = torch.arange(self._tile, device=windows.device)
        columns = side * samples[:, None]
        cut = first[:, None, None] + side[:, None] + columns[:, None]
        images = windows_to_8bit(self._amplitudes[cut], self._normalisation)
        masks = (self._labels[cut] == SALT).to(torch.uint8)
        depths = torch.full((len(windows),), torch.nan, device=windows.device)
        return images.unsqueeze(1), masks.unsqueeze(1), depths


def windows_to_8bit(amplitude: Tensor, normalisation: str) -> Tensor:
    """Turn windows, floats (batch, height, width), to uint8, each as ``amplitudes.to_8bit``."""
    amplitude = amplitude.float().nan_to_num()
    low, high = amplitude.amin((1, 2), keepdim=True), amplitude.amax((1, 2), keepdim=True)
    if normalisation == "volume":
        low, high = torch.full_like(low, -1), torch.full_like(high, 1)
    span = high - low
    # Divided tensor by tensor: PyTorch divides a number by multiplying with the reciprocal.
    scale = torch.full_like(span, 255) / torch.where(span > 0, span, 1)
    grey = ((amplitude - low) * scale).round().clamp(0, 255)
    return torch.where(span > 0, grey, MIDDLE).to(torch.uint8)


def runs_with_windows(
    lines: Lines, chosen: pd.Series, tile: int
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return the amplitudes, labels and ``free_starts`` of chosen lines that have windows.

    Raises InputError if none has.
    """
    runs = joined(lines, lines.table[chosen.to_numpy()])
    found = [(*run, free_starts(run[1], tile)) for run in runs]
    found = [line for line in found if line[2].any()]
    if not found:
        raise InputError(
            f"{lines.path}: no line to train on has a fully labelled window of {tile} "
            f"traces by {tile} samples; lower survey.tile, or label more"
        )
    return found


def joined(lines: Lines, chosen: pd.DataFrame) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield amplitudes and labels, each (traces, samples), of lines by some rows of their table.

    Pieces of one line that touch become one again, so that windows may lie across them.
    """
    # Pieces that touch in their line lie one after the other in the arrays, too.
    line = chosen[["file", "plane", "line"]]
    follows = (line == line.shift()).all(axis=1)
    follows &= chosen["start"] == chosen["stop"].shift()
    for _, run in chosen.groupby((~follows).cumsum()):
        parts = [lines[name] for name in run["id"]]
        amplitudes, labels = zip(*parts, strict=True)
        yield np.concatenate(amplitudes), np.concatenate(labels)
