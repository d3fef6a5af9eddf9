"""What members learn from: labelled tiles or lines, and the lines of further surveys."""

from argparse import Namespace
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


@dataclass(frozen=True)
class LabelledData:
    """All that members learn from, and are scored on.

    folds: of the tiles
    lines: that the tiles are of, None for tiles of their own
    surveys: further ones, each with folds of its own
    """

    tiles: Tiles
    folds: pd.DataFrame
    lines: Lines | None
    surveys: list[LabelledSurvey]

    @classmethod
    def load(cls, args: Namespace) -> "LabelledData":
        """Read the files that ``cli.add_labelled`` names; InputError if one is damaged."""
        tiles = Tiles(args.tiles)
        files = zip(args.survey_lines, args.survey_tiles, args.survey_folds, strict=True)
        return cls(
            tiles,
            read_folds(args.folds, tiles.ids),
            Lines(args.lines) if args.lines else None,
            [LabelledSurvey.load(*each) for each in files],
        )


def survey_name(lines: Path) -> str:
    """Return the name of the survey that a lines.h5 is of: that of its folder of results."""
    return lines.absolute().parents[1].name
