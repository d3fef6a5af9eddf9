"""Masks of unlabelled tiles from members' own predictions, to train further members on.

``NAME.npy`` holds bool (tiles, height, width), and ``NAME.csv`` beside it the column id and the
column confidence, one row per tile in the same order.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from salt.core.files import replacing, write_npy
from salt.ensemble.predictions import Predictions, averaged, ids_beside
from salt.survey.tiles import NpyRows, open_npy

LABEL_AGAIN = "delete it to label again"


def confidence(probabilities: np.ndarray) -> np.ndarray:
    """How far tiles' probabilities agree with the masks that they make at a threshold of 0.5.

    Where a mask has salt, the intersection over union of mask and probabilities; where it has none,
    one minus the greatest probability.

    Args:
        probabilities: float64 (tiles, height, width).

    Gives float64 (tiles), in [0, 1].
    """
    flat = probabilities.reshape(len(probabilities), -1)
    mask = flat > 0.5
    inside = (flat * mask).sum(axis=1)
    outside = flat.sum(axis=1) - inside
    empty = ~mask.any(axis=1)
    overlap = inside / np.where(empty, 1, mask.sum(axis=1) + outside)
    return np.where(empty, 1 - flat.max(axis=1), overlap)


def label(
    members: list[Predictions], ids: list[str], share: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Label the share of tiles that the members' mean is most confident about.

    Gives their places in ``ids`` as int64, rising, their masks as bool (chosen, height, width), and
    their confidence as float64 (chosen).
    """
    sure = np.concatenate([confidence(mean) for _, mean in averaged(members, ids)])
    count = round(share * len(ids))
    # Stable, so that equal ones are chosen in the order of the ids.
    chosen = np.sort(np.argsort(-sure, kind="stable")[:count])
    masks = [mean > 0.5 for _, mean in averaged(members, [ids[row] for row in chosen])]
    empty = np.zeros((0, *members[0].values.shape[1:]), dtype=bool)
    return chosen, np.concatenate([empty, *masks]), sure[chosen]


@dataclass(frozen=True)
class PseudoLabels:
    """Ids, and masks as bool (tiles, height, width), from a file."""

    path: Path
    ids: list[str]
    masks: NpyRows | np.ndarray

    @classmethod
    def load(cls, path: Path | str) -> "PseudoLabels":
        """Open ``NAME.npy`` and the ids beside it; InputError where they do not fit together."""
        path = Path(path)
        ids = ids_beside(path, LABEL_AGAIN)
        return cls(path, ids, open_npy(path, bool, len(ids), "beside it", LABEL_AGAIN))


def save(path: Path | str, ids: list[str], masks: np.ndarray, sure: np.ndarray) -> None:
    """Write masks, bool (tiles, height, width), with the tiles' ids and confidence."""
    path = Path(path)
    write_npy(path, bool, masks.shape, [masks])
    with replacing(path.with_suffix(".csv")) as part:
        pd.DataFrame({"id": ids, "confidence": sure}).to_csv(part, index=False)
