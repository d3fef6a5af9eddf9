"""Folds of the labelled tiles, and which of them a member trains on."""

import numpy as np
import pandas as pd

from salt.errors import InputError

COVERAGE_CLASSES = 10


def coverage_class(coverage: np.ndarray) -> np.ndarray:
    """Class 0 for a mask without salt, then 1 to 10 by tenths of the tile that are salt."""
    return np.ceil(np.asarray(coverage) * COVERAGE_CLASSES).astype(np.int64)


def split(tiles: pd.DataFrame, *, folds: int, seed: int) -> pd.DataFrame:
    """Deal tiles (columns id and coverage) to folds, stratified by coverage class.

    The folds' sizes differ by one tile at most, and so do their counts of any class.

    Gives the columns id, coverage_class and fold (0 to folds - 1), in the order of ``tiles``.
    Raises InputError for fewer tiles than folds.
    """
    if len(tiles) < folds:
        raise InputError(
            f"validation.folds is {folds}, but there are only {len(tiles)} labelled tiles; "
            "set it to that many or fewer"
        )
    classes = coverage_class(tiles["coverage"])
    shuffled = np.random.default_rng(seed).permutation(len(tiles))
    by_class = shuffled[np.argsort(classes[shuffled], kind="stable")]
    fold = np.empty(len(tiles), dtype=np.int64)
    fold[by_class] = np.arange(len(tiles)) % folds
    return pd.DataFrame({"id": tiles["id"], "coverage_class": classes, "fold": fold})


def held_out(folds: pd.DataFrame, seed: int) -> np.ndarray:
    """Which tiles the member of a seed must not train on, as bool (tiles): fold seed mod k."""
    return (folds["fold"] == seed % (folds["fold"].max() + 1)).to_numpy()
