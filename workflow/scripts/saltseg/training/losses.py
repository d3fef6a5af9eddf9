"""Losses of logits and masks, both float32 (batch, 1, height, width); each returns a scalar."""

from collections.abc import Callable

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
    return _lovasz_hinge(logits, masks, _jaccard_slopes)


def symmetric_lovasz(logits: Tensor, masks: Tensor) -> Tensor:
    """Return the Lovasz hinge averaged over both classes, salt and no salt."""

    def mean_slopes(masks: Tensor) -> Tensor:
        return (_jaccard_slopes(masks) + _jaccard_slopes(1 - masks)) / 2

    # Errors are the same for both classes, so one order does.
    return _lovasz_hinge(logits, masks, mean_slopes)


def _lovasz_hinge(logits: Tensor, masks: Tensor, get_slopes: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the mean over tiles of elu(error) + 1, weighted by slopes in the order of errors."""
    masks, signs = masks.flatten(1), 2 * masks.flatten(1) - 1
    errors = 1 - logits.flatten(1) * signs
    with torch.no_grad():
        order = errors.argsort(dim=1, descending=True)
        slopes = get_slopes(masks.gather(1, order))
        # By the inverse order: the gradient of sorted errors would be scattered, which on a GPU is
        # slow where it is deterministic.
        slopes = slopes.gather(1, order.argsort(dim=1))
    return ((F.elu(errors) + 1) * slopes).sum(1).mean()


def _jaccard_slopes(masks: Tensor) -> Tensor:
    """Return increments of the Jaccard loss as each next-largest error is added.

    masks: (tiles, pixels), 1 for salt, in the order of errors
    """
    # Integer sums are deterministic on a GPU, whatever the order of additions.
    salt = masks.int()
    rest = salt.sum(1, keepdim=True, dtype=torch.int32) - salt.cumsum(1, dtype=torch.int32)
    union = rest + torch.arange(1, salt.shape[1] + 1, device=salt.device, dtype=torch.int32)
    jaccard = 1 - rest.to(masks.dtype) / union
    return torch.cat([jaccard[:, :1], jaccard.diff(dim=1)], dim=1)


def lovasz_bce(logits: Tensor, masks: Tensor) -> Tensor:
    """Return 0.8 ``lovasz`` + 0.2 ``bce``; the latter keeps probabilities calibrated."""
    return 0.8 * lovasz(logits, masks) + 0.2 * bce(logits, masks)


def symmetric_lovasz_bce(logits: Tensor, masks: Tensor) -> Tensor:
    """Return 0.8 ``symmetric_lovasz`` + 0.2 ``bce``."""
    return 0.8 * symmetric_lovasz(logits, masks) + 0.2 * bce(logits, masks)


LOSSES = {name: globals()[name] for name in choices.LOSSES}
