"""Scores of two ensembles compared tile by tile."""

import numpy as np
import pandas as pd

from saltseg.core import metric
from saltseg.ensemble.predictions import Predictions, mean_probabilities, predicted_rows
from saltseg.evaluation.threshold import steps_of_members, tune, tuning_groups, weighted
from saltseg.survey.tiles import Tiles


def tile_scores(
    members: list[Predictions], tiles: Tiles, folds: pd.DataFrame, tuned: dict | None = None
) -> pd.Series:
    """Return the score of the members' mean for each tile they predicted, float64, by id.

    As in threshold.json, tiles are scored with what was tuned on the other folds: its ``groups``,
    None to tune thresholds of the members' mean here.
    """
    rows = predicted_rows(members, tiles.ids)
    ids, masks = tiles.table["id"].iloc[rows].tolist(), tiles.masks[rows]
    _, groups = tuning_groups(folds["fold"].to_numpy()[rows])
    tuned = tuned or tune(steps_of_members(members, ids, masks), groups)["groups"]
    scores = np.empty(len(ids))
    for name, found in tuned.items():
        of_group = np.flatnonzero(groups == int(name))
        mixed = weighted(members, found["members"]) if "members" in found else members
        for part, mean in mean_probabilities(mixed, [ids[row] for row in of_group]):
            here = of_group[part]
            scores[here] = metric.tile_scores(mean > found["threshold"], masks[here])
    return pd.Series(scores, index=ids)


def difference(first: pd.Series, second: pd.Series) -> tuple[float, float]:
    """Return the mean of second - first over the tiles of both, and its standard error.

    Tiles are matched by id. Both are NaN without common tiles, and the error with only one.
    """
    return estimate((second - first).dropna())


def estimate(values: pd.Series) -> tuple[float, float]:
    """Return the mean of a value per tile, float64 (tiles), and its standard error."""
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(max(len(values), 1)))


def compare(scores: dict[str, pd.Series]) -> pd.DataFrame:
    """Return a row per experiment from its tiles' scores, compared with the first experiment.

    Columns: name; score and standard_error; difference and difference_error, paired by tile and
    NaN for the first; tiles, how many are scored.
    """
    first = next(iter(scores.values()))
    rows = []
    for name, score in scores.items():
        change = (np.nan, np.nan) if score is first else difference(first, score)
        rows.append((name, *estimate(score), *change, len(score)))
    names = ["name", "score", "standard_error", "difference", "difference_error", "tiles"]
    return pd.DataFrame(rows, columns=names)
