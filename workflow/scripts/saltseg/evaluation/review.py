"""A table of all labelled tiles with their scores and likely problems, for manual review.

Tiles are scored on the out-of-fold mean at the run's threshold, the same way as the submission's
masks are made.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from saltseg.core import metric
from saltseg.core.errors import InputError, printable
from saltseg.core.quantisation import SCALE
from saltseg.core.tables import read_csv
from saltseg.ensemble.predictions import Predictions, mean_probabilities, predicted_rows
from saltseg.survey.tiles import Tiles

# Reason codes and their descriptions; the first that applies is used.
REASONS = {
    "suspect_line": "members contradict the label of the tile's whole line",
    "black_tile": "the image is constant",
    "stripe_mask": "the true mask is made of straight bands",
    "empty_called_salt": "no salt in the label, some in the prediction",
    "salt_called_empty": "salt in the label, none in the prediction",
    "boundary": "the boundary is off by a few pixels",
    "shape": "the masks differ beyond their boundary",
}
FEW_PIXELS = 3
# Fraction of the wrong pixels; tolerates a few strays.
NEAR_BOUNDARY = 0.8
COLUMNS = [
    "id",
    "score",
    "reason",
    "iou",
    "error",
    "coverage",
    "predicted_coverage",
    "disagreement",
    "depth",
    "fold",
    "members",
    "honest",
]
TEXTS = ("id", "reason")
REMEDY = "delete it to rebuild it"


def review(
    tiles: Tiles,
    folds: pd.DataFrame,
    members: list[Predictions],
    threshold: float,
    honest: bool,
    suspect: tuple[str, ...] = (),
) -> pd.DataFrame:
    """Return a row per labelled tile, worst first; tiles without predictions come last.

    Columns: id; score, at the threshold; reason, one of ``REASONS`` or empty; iou of the masks;
    error, the mean absolute error of the probability over pixels; coverage and predicted_coverage,
    as fractions of the tile; disagreement, see ``disagreement``; depth; fold; members, how many
    predicted the tile; honest, whether none of them trained on it. Lines of a volume may be
    ``suspect``, by their ids. Raises InputError if the tiles are not labelled.
    """
    tiles.require_labels()
    rows = predicted_rows(members, tiles.ids)
    ids = tiles.table["id"].iloc[rows].tolist()
    measured = ["tenths", "iou", "error", "predicted_coverage", "reason"]
    parts = {name: [] for name in measured}
    for part, mean in mean_probabilities(members, ids):
        masks, predicted = tiles.masks[rows[part]], mean > threshold
        shared = (masks & predicted).sum((1, 2))
        either = (masks | predicted).sum((1, 2))
        parts["tenths"].append(metric.tenths(shared, either))
        parts["iou"].append(np.where(either > 0, shared / either.clip(1), 1.0))
        parts["error"].append(np.abs(mean - masks).mean((1, 2)))
        parts["predicted_coverage"].append(predicted.mean((1, 2)))
        parts["reason"].append(reasons(tiles.images[rows[part]], masks, predicted))
    table = tiles.table[["id", "depth", "coverage"]].copy()
    table["fold"] = folds["fold"].to_numpy()
    table["honest"] = honest
    table["members"] = counts(members, tiles.ids)
    for name in measured:
        # For text and numbers alike; missing where there is no prediction.
        found = pd.Series(np.concatenate(parts[name]), index=rows)
        table[name] = found.reindex(table.index)
    if suspect:
        table.loc[tiles.table["line"].isin(suspect), "reason"] = "suspect_line"
    table["score"] = table["tenths"] / 10
    table["disagreement"] = pd.Series(disagreement(members, ids), index=rows).reindex(table.index)
    table = table.sort_values(["score", "error", "id"], ascending=[True, False, True])
    # Enough digits that one pixel of a large tile does not round to 0.
    table = table.round({"iou": 6, "error": 6, "predicted_coverage": 9, "disagreement": 6})
    return table[COLUMNS].reset_index(drop=True).fillna({"reason": ""})


def reasons(images: np.ndarray, masks: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return the reason code of each tile, str (tiles), empty if the tile scores 1.

    Args:
        images: uint8; masks, predicted: bool; all (tiles, height, width).
    """
    salt, called = masks.any((1, 2)), predicted.any((1, 2))
    first = images[:, :1, :1]
    banded = (masks == masks[:, :1]).all((1, 2)) | (masks == masks[:, :, :1]).all((1, 2))
    wrong = masks ^ predicted
    near = dilate(masks, FEW_PIXELS) & dilate(~masks, FEW_PIXELS)
    close = (wrong & near).sum((1, 2)) >= NEAR_BOUNDARY * wrong.sum((1, 2))
    perfect = metric.tile_tenths(predicted, masks) == 10
    return np.select(
        [
            (images == first).all((1, 2)),
            banded & salt & ~masks.all((1, 2)),
            ~salt & called,
            salt & ~called,
            perfect,
            close,
        ],
        ["black_tile", "stripe_mask", "empty_called_salt", "salt_called_empty", "", "boundary"],
        "shape",
    )


def dilate(masks: np.ndarray, pixels: int) -> np.ndarray:
    """Dilate masks, bool (tiles, height, width), by a square of ``pixels`` in each direction."""
    # Faster than binary_dilation, since it takes one axis after the other.
    side = 2 * pixels + 1
    return ndimage.maximum_filter(masks, (1, side, side), mode="constant")


def counts(members: list[Predictions], ids: list[str]) -> np.ndarray:
    """Return the number of members that predicted each tile, int64 (tiles)."""
    order = pd.Index(ids)
    return sum(order.isin(member.ids).astype(np.int64) for member in members)


def disagreement(members: list[Predictions], ids: list[str], chunk: int = 128) -> np.ndarray:
    """Return the standard deviation over members, averaged over each tile's pixels.

    float64 (tiles); NaN for tiles predicted by fewer than two members.
    """
    order = pd.Index(ids)
    rows = [pd.Index(member.ids).get_indexer(order) for member in members]
    many, found = counts(members, ids), np.full(len(ids), np.nan)
    where = np.flatnonzero(many > 1)
    for start in range(0, len(where), chunk):
        part = where[start : start + chunk]
        total = np.zeros((len(part), *members[0].values.shape[1:]))
        squares = np.zeros_like(total)
        for member, row in zip(members, rows, strict=True):
            here = row[part] >= 0
            values = member.values[row[part][here]] / SCALE
            total[here] += values
            squares[here] += values**2
        count = many[part][:, None, None]
        variance = squares / count - (total / count) ** 2
        found[part] = np.sqrt(variance.clip(0)).mean((1, 2))
    return found


def read_review(path: Path | str, ids: list[str]) -> pd.DataFrame:
    """Read a review; raise InputError if it is damaged or not of the tiles ``ids``."""
    # Text columns have no missing values, even if one reads "NA".
    missing = {name: [""] for name in COLUMNS if name not in TEXTS}
    table = read_csv(
        path, REMEDY, dtype=dict.fromkeys(TEXTS, str), keep_default_na=False, na_values=missing
    )
    if list(table.columns) != COLUMNS:
        found = printable(",".join(map(str, table.columns)))
        raise InputError(
            f"{path}: expected the columns {','.join(COLUMNS)}, found {found}; {REMEDY}"
        )
    numbers = [name for name in COLUMNS if name not in (*TEXTS, "honest")]
    if sorted(table["id"]) != sorted(ids):
        raise InputError(
            f"{path}: expected the {len(ids)} labelled tiles, found {len(table)} rows that do "
            f"not match; {REMEDY}"
        )
    if not all(pd.api.types.is_numeric_dtype(table[name]) for name in numbers):
        raise InputError(f"{path}: expected numbers, found text; {REMEDY}")
    return table
