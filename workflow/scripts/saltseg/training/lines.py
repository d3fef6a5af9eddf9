"""Windows cut anywhere from labelled lines, new ones in every epoch."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from saltseg.core.errors import InputError
from saltseg.settings.config import TrainingSettings
from saltseg.survey.amplitudes import to_8bit
from saltseg.survey.lines import SALT, UNLABELLED, Lines, free_starts


class LabelledLines:
    """Labelled lines to train on, as ``TrainingData`` whose tiles are windows.

    size: height and width of a window
    depths: NaN, since windows have none
    """

    def __init__(
        self,
        lines: Lines,
        chosen: pd.Series,
        tile: int,
        normalisation: str,
        device: torch.device,
    ):
        """Load those lines that a bool series, by row of the table, chooses.

        Raises InputError if none has room for a window.
        """
        self._tile, self._normalisation, self._device = tile, normalisation, device
        runs = joined(lines, lines.table[chosen.to_numpy()])
        self._lines = [line for line in runs if free_starts(line[1], tile).any()]
        if not self._lines:
            raise InputError(
                f"{lines.path}: no line to train on has a fully labelled window of {tile} "
                f"traces by {tile} samples; lower survey.tile, or label more"
            )
        # Place of the last window of each line among those of all, counted from 1.
        self._ends = np.cumsum([np.prod(self._starts(labels)) for _, labels in self._lines])
        self.size = (tile, tile)
        self.depths = torch.full((1,), torch.nan)

    def visits(self, recipe: TrainingSettings) -> float:
        """Return how many windows an epoch sees."""
        return recipe.windows_per_epoch

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw windows that are labelled all over, each as likely as any other: int64 (count)."""
        drawn: list[int] = []
        while len(drawn) < count:
            candidates = torch.randint(int(self._ends[-1]), (count,), generator=generator)
            drawn += [window for window in candidates.tolist() if self._is_labelled(window)]
        return torch.tensor(drawn[:count])

    def take(self, windows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return images and masks, uint8 (batch, 1, height, width), and depths, NaN (batch)."""
        images = np.empty((len(windows), 1, self._tile, self._tile), dtype=np.uint8)
        masks = np.empty_like(images)
        for row, window in enumerate(windows.tolist()):
            amplitude, labels = self._cut(window)
            images[row, 0] = to_8bit(amplitude.T, self._normalisation)
            masks[row, 0] = labels.T == SALT
        depths = torch.full((len(windows),), torch.nan, device=self._device)
        images, masks = (torch.from_numpy(each).to(self._device) for each in (images, masks))
        return images, masks, depths

    def _starts(self, labels: np.ndarray) -> tuple[int, int]:
        """Return how many starts a window has in a line, along traces and samples."""
        traces, samples = labels.shape
        return traces - self._tile + 1, samples - self._tile + 1

    def _cut(self, window: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the amplitude and labels of a window, each (traces, samples)."""
        number = int(np.searchsorted(self._ends, window, side="right"))
        amplitude, labels = self._lines[number]
        place = window - (int(self._ends[number - 1]) if number else 0)
        trace, sample = divmod(place, self._starts(labels)[1])
        here = (slice(trace, trace + self._tile), slice(sample, sample + self._tile))
        return amplitude[here], labels[here]

    def _is_labelled(self, window: int) -> bool:
        return not (self._cut(window)[1] == UNLABELLED).any()


def joined(lines: Lines, chosen: pd.DataFrame) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield amplitudes and labels, each (traces, samples), of lines by some rows of their table.

    Pieces of one line that touch become one again, so that windows may lie across them.
    """
    # Pieces that touch in their line lie one after the other in the arrays, too.
    follows = (chosen[["plane", "line"]] == chosen[["plane", "line"]].shift()).all(axis=1)
    follows &= chosen["start"] == chosen["stop"].shift()
    for _, run in chosen.groupby((~follows).cumsum()):
        parts = [lines[name] for name in run["id"]]
        amplitudes, labels = zip(*parts, strict=True)
        yield np.concatenate(amplitudes), np.concatenate(labels)
