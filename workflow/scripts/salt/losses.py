"""Losses of logits against masks, both float32 (batch, 1, height, width); each gives a scalar."""

import torch
from torch import Tensor
from torch.nn import functional as F


def bce(logits: Tensor, masks: Tensor) -> Tensor:
    """Mean binary cross-entropy per pixel."""
    return F.binary_cross_entropy_with_logits(logits, masks)


def dice(logits: Tensor, masks: Tensor) -> Tensor:
    """One minus the Dice coefficient of the whole batch, smoothed by one pixel."""
    probabilities = torch.sigmoid(logits)
    overlap = (probabilities * masks).sum()
    return 1 - (2 * overlap + 1) / (probabilities.sum() + masks.sum() + 1)


def bce_dice(logits: Tensor, masks: Tensor) -> Tensor:
    """Sum of cross-entropy and Dice loss."""
    return bce(logits, masks) + dice(logits, masks)


LOSSES = {"bce": bce, "bce_dice": bce_dice}
