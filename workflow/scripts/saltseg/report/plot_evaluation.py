"""Plot the score against threshold, salt coverage, depth and number of members."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from pandas.api.typing import SeriesGroupBy

from saltseg.core.errors import InputError
from saltseg.core.tables import read_csv
from saltseg.ensemble.predictions import Predictions, mean_probabilities, predicted_rows
from saltseg.evaluation.review import counts
from saltseg.evaluation.threshold import steps_of_members, tune, tuning_groups
from saltseg.report.figures import (
    FAINT,
    INK,
    absent,
    leave_empty,
    name_classes,
    noted,
    panels,
    save_svg,
)
from saltseg.report.palette import PREDICTION, member_style
from saltseg.survey.folds import coverage_class
from saltseg.survey.tiles import Tiles

POINTS = 400  # per curve; more would not be visible
BINS = 20  # of probability
DEPTH_BINS = 8
SUBSETS = 3  # most subsets drawn per number of members


def read_curve(path: Path | str) -> pd.DataFrame:
    """Read the ensemble's full threshold curve; raise InputError if the file is damaged."""
    remedy = "delete it to rebuild it"
    curve = read_csv(path, remedy, "curve")
    try:
        return curve[["threshold", "score"]].astype(float)
    except (ValueError, KeyError) as error:
        raise InputError(f"{path}: not a readable curve ({str(error).strip()}); {remedy}") from None


def draw_threshold(
    path: Path | str,
    curve: pd.DataFrame,
    members: dict[str, Predictions],
    tiles: Tiles,
    report: dict,
    note: str,
) -> None:
    """Draw score against threshold for each member on its held-out tiles, and for the ensemble.

    Args:
        curve: threshold and score of each segment of the ensemble's step function.
        members: predictions by name.
        report: threshold and score, from threshold.json.
        note: what a reader should know of the scores first, if anything.
    """
    figure, (axis,) = panels(1, high=3.2)
    _draw_members(axis, members, tiles)
    starts, scores = thinned(curve["threshold"].to_numpy(), curve["score"].to_numpy())
    axis.step(starts, scores, where="post", color=PREDICTION, linewidth=2.4, label="all members")
    chosen = report["threshold"]
    height = curve["score"][curve["threshold"] <= chosen].iloc[-1]
    _mark_chosen(axis, chosen, height)
    top = 1.15 * max(height, curve["score"].max())
    axis.set(xlim=(0, 1), ylim=(0, top), xlabel="threshold (probability)", ylabel="score")
    # Below the curves and away from the chosen threshold.
    beside = (
        {"loc": "lower right"}
        if chosen < 0.6
        else {"loc": "lower left", "bbox_to_anchor": (0.2, 0)}
    )
    axis.legend(**beside, ncols=1 + len(members) // 6)
    text = noted(
        note,
        "Mean score on validation tiles if pixels above the threshold count as salt. The "
        f"chosen threshold, {chosen:.4f}, scores {height:.4f} on all of these tiles; the "
        f"score to quote is {report['score']:.4f}. Members that hold out different folds are "
        "scored on different tiles.",
    )
    save_svg(figure, path, "Score against threshold", text)


def _draw_members(axis: Axes, members: dict[str, Predictions], tiles: Tiles) -> None:
    """Draw each member's score against threshold on its held-out tiles."""
    for number, (name, member) in enumerate(members.items()):
        rows = pd.Index(tiles.ids).get_indexer(pd.Index(member.ids))
        own = steps_of_members([member], member.ids, tiles.masks[rows])
        own = own.curve(np.ones(len(rows), dtype=bool))
        colour, dashes = member_style(number)
        starts, scores = thinned(own.starts / own.unit, own.scores)
        axis.step(
            *(starts, scores), where="post", color=colour, linestyle=dashes, linewidth=1,
            label=f"member {name}" if len(members) <= 10 else None,
        )  # fmt: skip


def _mark_chosen(axis: Axes, chosen: float, height: float) -> None:
    """Mark the chosen threshold and its score."""
    axis.axvline(chosen, color=INK, linewidth=0.8, linestyle=":")
    axis.plot(chosen, height, "o", color=INK, markersize=5, zorder=5)
    left = chosen > 0.8
    axis.annotate(
        f"chosen: {chosen:.3f}", (chosen, 1), xycoords=axis.get_xaxis_transform(),
        xytext=(-4 if left else 4, -9), textcoords="offset points", ha="right" if left else "left",
    )  # fmt: skip


def thinned(starts: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a step function reduced to POINTS steps, keeping its maximum, extended to 1."""
    chosen = np.searchsorted(starts, np.linspace(0, 1, POINTS), side="right") - 1
    chosen = np.unique(np.append(chosen, int(scores.argmax())))
    return np.append(starts[chosen], 1.0), np.append(scores[chosen], scores[-1])


def draw_tiles(path: Path | str, review: pd.DataFrame, note: str) -> None:
    """Draw the mean score of tiles by their salt coverage and by their depth.

    Args:
        note: why the scores are not honest; empty if they are.
    """
    scored = review[review["members"] > 0]
    figure, (coverage, depth) = panels(sharey=True)
    classes = coverage_class(scored["coverage"])
    means(coverage, scored["score"].groupby(classes), np.unique(classes))
    name_classes(coverage)
    coverage.set(xlabel="salt in the label (% of the tile)", ylabel="score", ylim=(0, 1.08))
    deep = scored.dropna(subset="depth")
    if len(deep):
        edges = np.quantile(deep["depth"], np.linspace(0, 1, DEPTH_BINS + 1)[1:-1])
        # Fewer bins if many tiles share a depth.
        bins = np.searchsorted(np.unique(edges), deep["depth"])
        means(depth, deep["score"].groupby(bins), deep["depth"].groupby(bins).mean())
    else:
        leave_empty(depth, "No depths are known")
    depth.set(xlabel="depth z (no unit given)")
    for axis in (coverage, depth):
        axis.axhline(scored["score"].mean(), color=FAINT, linewidth=0.8, linestyle=":")
    text = noted(
        note,
        "Mean score per class, with standard errors and the number of tiles above. Left: "
        "by the share of salt in the label. Right: by depth, in bins with equal numbers of tiles. "
        "Dotted: the overall mean.",
    )
    save_svg(figure, path, "Score by coverage and depth", text)


def means(axis: Axes, scores: SeriesGroupBy, positions: np.ndarray | Sequence[float]) -> None:
    """Plot the mean of each group of scores with its standard error and count."""
    table = scores.agg(["mean", "sem", "count"]).fillna(0)
    axis.errorbar(
        positions, table["mean"], yerr=table["sem"], fmt="o", color=PREDICTION, ecolor=INK,
        elinewidth=0.8, markersize=5,
    )  # fmt: skip
    for x, (mean, error, count) in zip(positions, table.itertuples(index=False), strict=True):
        axis.annotate(
            f"{count:.0f}", (x, mean + error), xytext=(0, 3), textcoords="offset points",
            ha="center", fontsize=7,
        )  # fmt: skip


def draw_calibration(
    path: Path | str, members: list[Predictions], tiles: Tiles, threshold: float, note: str
) -> None:
    """Draw the calibration curve and the histogram of predicted probabilities; note as above."""
    pixels, salt = np.zeros(BINS, dtype=np.int64), np.zeros(BINS, dtype=np.int64)
    total = np.zeros(BINS)
    rows = predicted_rows(members, tiles.ids)
    for part, mean in mean_probabilities(members, [tiles.ids[row] for row in rows]):
        found = np.minimum(mean * BINS, BINS - 1).astype(np.int64).ravel()
        pixels += np.bincount(found, minlength=BINS)
        salt += np.bincount(found[tiles.masks[rows[part]].ravel()], minlength=BINS)
        total += np.bincount(found, mean.ravel(), BINS)
    seen = pixels > 0
    given, true = total[seen] / pixels[seen], salt[seen] / pixels[seen]
    figure, (axis, share) = panels()
    axis.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle=":")
    axis.plot(given, true, "o-", color=PREDICTION, markersize=4, linewidth=1.4)
    axis.set(xlim=(0, 1), ylim=(0, 1), ylabel="share of these pixels that is salt")
    axis.set_aspect("equal", adjustable="box")
    share.bar((np.arange(BINS) + 0.5) / BINS, 100 * pixels / pixels.sum(), 0.9 / BINS,
              color=PREDICTION)  # fmt: skip
    share.set(xlim=(0, 1), yscale="log", ylabel="pixels (%, logarithmic)")
    share.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    for one in (axis, share):
        one.axvline(threshold, color=INK, linewidth=0.8, linestyle=":")
        one.set_xlabel("mean probability of the members")
    gap = float(np.abs(true - given) @ pixels[seen] / pixels.sum())
    text = noted(
        note,
        "Left: share of salt among the pixels predicted with each "
        "probability; the dotted diagonal is perfect calibration, and the mean distance from it is "
        f"{gap:.3f}. Right: how many pixels get each probability. Dotted vertical: the threshold.",
    )
    save_svg(figure, path, "Calibration", text)


def draw_members(
    path: Path | str,
    members: dict[str, Predictions],
    tiles: Tiles,
    folds: pd.DataFrame,
    note: str,
) -> None:
    """Draw the score against the number of members, or a note why it cannot be drawn."""
    title = "Score against the number of members"
    least = counts(list(members.values()), tiles.ids)
    least = int(least[least > 0].min())
    if note or least < 2:
        reason = note.removeprefix("NOT honest: ") or (
            "some tiles were held out by only one member; a comparison needs two or more seeds "
            "per fold, such as 0 to 2 * folds - 1"
        )
        absent(path, title, f"{reason}.")
        return
    rows = predicted_rows(list(members.values()), tiles.ids)
    ids, masks = [tiles.ids[row] for row in rows], tiles.masks[rows]
    _, groups = tuning_groups(folds["fold"].to_numpy()[rows])
    found = {}
    for many in range(1, least + 1):
        subsets = subsets_of(list(members.values()), many)
        steps = (steps_of_members(subset, ids, masks) for subset in subsets)
        found[many] = [tune(one, groups)["score"] for one in steps]
    figure, (axis,) = panels(1)
    for many, scores in found.items():
        axis.plot([many] * len(scores), scores, "o", color=PREDICTION, alpha=0.5, markersize=4)
    middle = [np.mean(scores) for scores in found.values()]
    axis.plot(list(found), middle, "o-", color=INK, linewidth=1, markersize=4)
    axis.set(xlabel="members that predict each tile", ylabel="score", xticks=list(found))
    gain = middle[-1] - middle[0]
    text = (
        f"Score against the number of members, thresholds tuned for each: up to {SUBSETS} subsets "
        f"of members in colour, their mean in black. {least} members gain {gain:+.4f} over one."
    )
    save_svg(figure, path, title, text)


def subsets_of(members: list[Predictions], many: int) -> list[list[Predictions]]:
    """Return subsets of members in which every tile keeps at least ``many`` of its members.

    Members that predicted the same tiles are interchangeable and rotate through the subsets.
    """
    key = {id(member): tuple(sorted(member.ids)) for member in members}
    alike = [
        list(group)
        for _, group in groupby(
            sorted(members, key=lambda member: key[id(member)]), lambda member: key[id(member)]
        )
    ]
    widest = max(map(len, alike))
    chosen = {
        tuple(sorted({group[(turn + k) % len(group)].path for group in alike for k in range(many)}))
        for turn in range(min(SUBSETS, widest))
    }
    by_path = {member.path: member for member in members}
    return [[by_path[path] for path in paths] for paths in sorted(chosen)]
