"""Further surveys, whose labelled lines members also learn from, each with folds of its own."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from saltseg.survey.folds import masks_of_lines, read_folds
from saltseg.survey.lines import Lines
from saltseg.survey.tiles import Tiles


@dataclass(frozen=True)
class LabelledSurvey:
    """The labelled lines of a survey, which has a folder of the results by its name.

    tiles: cut from the lines
    folds: of the tiles
    """

    name: str
    lines: Lines
    tiles: Tiles
    folds: pd.DataFrame

    @classmethod
    def load(cls, lines: Path, tiles: Path, folds: Path) -> "LabelledSurvey":
        """Read lines.h5, train.h5 and folds.h5; InputError if one is damaged."""
        found = Tiles(tiles)
        return cls(survey_name(lines), Lines(lines), found, read_folds(folds, found.ids))

    def masks(self, scheme: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return which tiles a member trains on, and which it holds out, both bool (tiles)."""
        return masks_of_lines(self.folds, scheme, seed)

    def chosen(self, tiles: np.ndarray) -> pd.Series:
        """Return which lines some tiles, bool (tiles), are of: bool, by row of the lines' table."""
        return self.lines.table["id"].isin(self.tiles.table["line"][tiles])


def load_surveys(lines: list[Path], tiles: list[Path], folds: list[Path]) -> list[LabelledSurvey]:
    """Read further surveys from files in the same order; InputError if one is damaged."""
    return [LabelledSurvey.load(*files) for files in zip(lines, tiles, folds, strict=True)]


def survey_name(lines: Path) -> str:
    """Return the name of the survey that a lines.h5 is of: that of its folder of results."""
    return lines.absolute().parents[1].name
