"""Choose tiles to label by members' predictions, and their masks."""

import numpy as np

from saltseg.ensemble.predictions import Predictions, mean_probabilities


def confidence(probabilities: np.ndarray) -> np.ndarray:
    """Return how far probabilities agree with their masks at a threshold of 0.5.

    Where a mask has salt, the intersection over union of mask and probabilities; where it has none,
    one minus the greatest probability.

    Args:
        probabilities: float64 (tiles, height, width).

    Returns float64 (tiles), in [0, 1].
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

    Returns their rows in ``ids``, int64, rising, their masks, bool (chosen, height, width), and
    their confidence, float64 (chosen).
    """
    sure = np.concatenate([confidence(mean) for _, mean in mean_probabilities(members, ids)])
    count = round(share * len(ids))
    # Stable, so that equal ones are chosen in the order of the ids.
    chosen = np.sort(np.argsort(-sure, kind="stable")[:count])
    masks = [mean > 0.5 for _, mean in mean_probabilities(members, [ids[row] for row in chosen])]
    empty = np.zeros((0, *members[0].values.shape[1:]), dtype=bool)
    return chosen, np.concatenate([empty, *masks]), sure[chosen]
