"""Compare labelled and test tiles by salt coverage and depth."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from saltseg.ensemble.predictions import Predictions, mean_probabilities
from saltseg.report.figures import INK, leave_empty, name_classes, panels, save_svg
from saltseg.report.palette import PREDICTION, TRUTH
from saltseg.survey.folds import COVERAGE_CLASSES, coverage_class
from saltseg.survey.tiles import Tiles

DEPTH_BINS = 24


def predicted_coverage(members: list[Predictions], ids: list[str], threshold: float) -> np.ndarray:
    """Return the share of each tile that the ensemble predicts as salt, float64 (tiles)."""
    return np.concatenate(
        [(mean > threshold).mean((1, 2)) for _, mean in mean_probabilities(members, ids)]
    )


def draw_data(
    path: Path | str,
    train: Tiles,
    test: Tiles | None,
    review: pd.DataFrame,
    found: np.ndarray | None,
) -> None:
    """Draw coverage and depth of labelled and test tiles side by side.

    Args:
        review: includes the predicted coverage of the labelled tiles.
        found: predicted coverage of the test tiles, float64 (tiles). None, as ``test``, if there
            are none.
    """
    figure, (coverage, depth) = panels()
    scored = review[review["members"] > 0]
    series = [
        (scored["coverage"], TRUTH, "labelled: true"),
        (scored["predicted_coverage"], PREDICTION, "labelled: predicted"),
    ]
    if found is not None:
        series.append((pd.Series(found), INK, "test: predicted"))
    for number, (values, colour, label) in enumerate(series):
        shares = shares_of(coverage_class(values))
        at = np.arange(COVERAGE_CLASSES + 1) + 0.28 * (number - 1)
        coverage.bar(at, shares, 0.26, color=colour, label=label, linewidth=0)
    name_classes(coverage)
    coverage.set(xlabel="salt (% of the tile)", ylabel="tiles (%)")
    coverage.legend()
    draw_depths(depth, train.depths, np.array([]) if test is None else test.depths)
    tests = "no" if test is None else len(test.ids)
    text = (
        f"{len(train.ids)} labelled and {tests} test tiles. Left: salt coverage, from "
        "labels and as predicted; test tiles have no labels. Labelled tiles are predicted by the "
        "members that validate on them. Right: depth, where known."
    )
    save_svg(figure, path, "Labelled and test tiles", text)


def shares_of(classes: np.ndarray) -> np.ndarray:
    """Return the percentage of tiles in each coverage class, float64 (classes)."""
    return 100 * np.bincount(classes, minlength=COVERAGE_CLASSES + 1) / len(classes)


def draw_depths(axis: Axes, train: np.ndarray, test: np.ndarray) -> None:
    """Draw the histograms of known depths of labelled and test tiles on one axis."""
    named = [(train, TRUTH, "labelled"), (test, INK, "test")]
    named = [(depths[~np.isnan(depths)], *style) for depths, *style in named]
    named = [part for part in named if len(part[0])]
    if not named:
        leave_empty(axis, "No depths are known")
        return
    edges = np.histogram_bin_edges(np.concatenate([depths for depths, *_ in named]), DEPTH_BINS)
    for depths, colour, label in named:
        shares = 100 * np.histogram(depths, edges)[0] / len(depths)
        axis.stairs(shares, edges, color=colour, linewidth=1.6, label=label)
    axis.set(xlabel="depth z (no unit given)", ylabel="tiles (%)")
    axis.set_ylim(bottom=0)
    axis.legend()
