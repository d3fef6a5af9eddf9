"""The contest's metric, in integers so that no rounding decides a tie.

A tile scores the mean over ten thresholds t of [IoU > t]; where prediction and truth are both
empty it scores 1, where exactly one is, 0. The score of a survey is the mean over its tiles.
"""


def tenths(intersection, union):
    """Return tile scores times ten from areas in pixels: integer arrays or tensors of one shape."""
    # IoU > 0.50, 0.55, ..., 0.95 is 20 IoU > 10, 11, ..., 19: as many of these hold as 20 IoU,
    # rounded up, is above 10.
    above = -(-20 * intersection // union.clip(1)) - 10
    return above.clip(0, 10) + 10 * (union == 0)


def tile_tenths(predicted, truth):
    """Return the score of each tile times ten, from boolean masks (tiles, height, width).

    Accepts NumPy arrays or PyTorch tensors, and returns the same kind.
    """
    intersection = (predicted & truth).sum((-2, -1))
    union = (predicted | truth).sum((-2, -1))
    return tenths(intersection, union)


def tile_scores(predicted, truth):
    """Return the score of each tile in [0, 1], otherwise like ``tile_tenths``."""
    return tile_tenths(predicted, truth) / 10


def expected_scores(salt, samples, marked, inside, outside):
    """Return the share of salt, and the IoU and Dice that probabilities promise, as a dict.

    The expected intersection of mask and salt is the sum of the probabilities inside the mask, the
    expected union that sum outside it and all that is marked. None without any salt.

    Args:
        salt, samples: samples that are marked, and all of them
        marked: samples that are marked, of those that count
        inside, outside: sums of the probabilities of those, inside and outside the mask
    """
    union = marked + outside
    return {
        "salt_share": salt / max(samples, 1),
        "expected_iou": inside / union if union else None,
        "expected_dice": 2 * inside / (inside + union) if union else None,
    }
