"""Losses of logits against masks, both float32 (batch, 1, height, width); each gives a scalar."""

import torch
from torch import Tensor
from torch.nn import functional as F


def bce(logits: Tensor, masks: Tensor) -> Tensor:
    """Mean binary cross-entropy per pixel."""
    return F.binary_cross_entropy_with_logits(logits, masks)


def dice(logits: Tensor, masks: Tensor) -> Tensor:
    """One minus the Dice coefficient of the whole batch, smoothed by one pixel."""
    return 1 - _dice_coefficients(logits.flatten()[None], masks.flatten()[None]).mean()


def dice_per_tile(logits: Tensor, masks: Tensor) -> Tensor:
    """One minus the mean of the tiles' Dice coefficients, each smoothed by one pixel."""
    return 1 - _dice_coefficients(logits.flatten(1), masks.flatten(1)).mean()


def _dice_coefficients(logits: Tensor, masks: Tensor) -> Tensor:
    """Dice coefficient of each row (Milletari et al. 2016, arXiv:1606.04797, unsquared)."""
    probabilities = torch.sigmoid(logits)
    overlap = (probabilities * masks).sum(dim=1)
    return (2 * overlap + 1) / (probabilities.sum(dim=1) + masks.sum(dim=1) + 1)


def bce_dice(logits: Tensor, masks: Tensor) -> Tensor:
    """Sum of cross-entropy and the batch's Dice loss."""
    return bce(logits, masks) + dice(logits, masks)


LOSSES = {"bce": bce, "dice": dice, "dice_per_tile": dice_per_tile, "bce_dice": bce_dice}
