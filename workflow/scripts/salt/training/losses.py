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


def lovasz(logits: Tensor, masks: Tensor) -> Tensor:
    """Lovasz hinge, the mean over tiles, with elu + 1 in the place of the hinge's ReLU.

    A convex extension of one minus the intersection over union (Berman et al. 2018,
    arXiv:1705.08790). elu + 1 keeps a slope where a pixel is right by a margin, as the contest's
    participants found out.
    """
    masks, signs = masks.flatten(1), 2 * masks.flatten(1) - 1
    errors, order = (1 - logits.flatten(1) * signs).sort(dim=1, descending=True)
    sorted_masks = masks.gather(1, order)
    # In whole numbers, whose sums are the same in any order: a GPU adds in none.
    salt = sorted_masks.int()
    rest = salt.sum(1, keepdim=True, dtype=torch.int32) - salt.cumsum(1, dtype=torch.int32)
    union = rest + torch.arange(1, masks.shape[1] + 1, device=masks.device, dtype=torch.int32)
    # By how much the loss of the set of the first n errors grows with n.
    jaccard = 1 - rest.to(errors.dtype) / union
    slope = torch.cat([jaccard[:, :1], jaccard.diff(dim=1)], dim=1)
    return ((F.elu(errors) + 1) * slope).sum(1).mean()


def symmetric_lovasz(logits: Tensor, masks: Tensor) -> Tensor:
    """Mean of the Lovasz hinge of salt and that of its absence."""
    return (lovasz(logits, masks) + lovasz(-logits, 1 - masks)) / 2


def lovasz_bce(logits: Tensor, masks: Tensor) -> Tensor:
    """Four parts of Lovasz hinge and one of cross-entropy, which keeps probabilities in scale."""
    return 0.8 * lovasz(logits, masks) + 0.2 * bce(logits, masks)


def symmetric_lovasz_bce(logits: Tensor, masks: Tensor) -> Tensor:
    """As ``lovasz_bce`` with the symmetric Lovasz hinge."""
    return 0.8 * symmetric_lovasz(logits, masks) + 0.2 * bce(logits, masks)


LOSSES = {
    each.__name__: each
    for each in (
        *(bce, dice, dice_per_tile, bce_dice),
        *(lovasz, symmetric_lovasz, lovasz_bce, symmetric_lovasz_bce),
    )
}
