"""Losses of logits and masks, both float32 (batch, 1, height, width); each returns a scalar."""

import torch
from torch import Tensor
from torch.nn import functional as F

from saltseg.settings import choices


def bce(logits: Tensor, masks: Tensor) -> Tensor:
    """Return the mean binary cross-entropy over pixels."""
    return F.binary_cross_entropy_with_logits(logits, masks)


def dice(logits: Tensor, masks: Tensor) -> Tensor:
    """Return one minus the Dice coefficient of the whole batch, smoothed by one pixel."""
    return 1 - _dice_coefficients(logits.flatten()[None], masks.flatten()[None]).mean()


def dice_per_tile(logits: Tensor, masks: Tensor) -> Tensor:
    """Return one minus the mean of the tiles' Dice coefficients, each smoothed by one pixel."""
    return 1 - _dice_coefficients(logits.flatten(1), masks.flatten(1)).mean()


def _dice_coefficients(logits: Tensor, masks: Tensor) -> Tensor:
    """Return each row's Dice coefficient (Milletari et al. 2016, arXiv:1606.04797, unsquared)."""
    probabilities = torch.sigmoid(logits)
    overlap = (probabilities * masks).sum(dim=1)
    return (2 * overlap + 1) / (probabilities.sum(dim=1) + masks.sum(dim=1) + 1)


def bce_dice(logits: Tensor, masks: Tensor) -> Tensor:
    """Return the sum of ``bce`` and ``dice``."""
    return bce(logits, masks) + dice(logits, masks)


def lovasz(logits: Tensor, masks: Tensor) -> Tensor:
    """Return the Lovasz hinge, averaged over tiles, with elu + 1 instead of the hinge's ReLU.

    It is a convex extension of one minus the intersection over union (Berman et al. 2018,
    arXiv:1705.08790). With elu + 1, pixels classified correctly by a margin keep a gradient, which
    the contest's participants found to help.
    """
    masks, signs = masks.flatten(1), 2 * masks.flatten(1) - 1
    errors, order = (1 - logits.flatten(1) * signs).sort(dim=1, descending=True)
    sorted_masks = masks.gather(1, order)
    # Integer sums are deterministic on a GPU, whatever the order of additions.
    salt = sorted_masks.int()
    rest = salt.sum(1, keepdim=True, dtype=torch.int32) - salt.cumsum(1, dtype=torch.int32)
    union = rest + torch.arange(1, masks.shape[1] + 1, device=masks.device, dtype=torch.int32)
    # Increments of the Jaccard loss as each next-largest error is added.
    jaccard = 1 - rest.to(errors.dtype) / union
    slope = torch.cat([jaccard[:, :1], jaccard.diff(dim=1)], dim=1)
    return ((F.elu(errors) + 1) * slope).sum(1).mean()


def symmetric_lovasz(logits: Tensor, masks: Tensor) -> Tensor:
    """Return the Lovasz hinge averaged over both classes, salt and no salt."""
    return (lovasz(logits, masks) + lovasz(-logits, 1 - masks)) / 2


def lovasz_bce(logits: Tensor, masks: Tensor) -> Tensor:
    """Return 0.8 ``lovasz`` + 0.2 ``bce``; the latter keeps probabilities calibrated."""
    return 0.8 * lovasz(logits, masks) + 0.2 * bce(logits, masks)


def symmetric_lovasz_bce(logits: Tensor, masks: Tensor) -> Tensor:
    """Return 0.8 ``symmetric_lovasz`` + 0.2 ``bce``."""
    return 0.8 * symmetric_lovasz(logits, masks) + 0.2 * bce(logits, masks)


LOSSES = {name: globals()[name] for name in choices.LOSSES}
