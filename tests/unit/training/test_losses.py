"""Losses compared with loops over pixels, and their gradients with finite differences."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saltseg.training.losses import (
    LOSSES,
    lovasz,
)

EACH = pytest.mark.parametrize("loss", [*LOSSES.values()])


def batch(seed, tiles=3, height=4, width=5, salt=0.4):
    generator = torch.Generator().manual_seed(seed)
    shape = (tiles, 1, height, width)
    logits = 3 * torch.randn(shape, generator=generator, dtype=torch.float64)
    masks = (torch.rand(shape, generator=generator) < salt).double()
    return logits, masks


def pixels(logits, masks):
    probabilities = [1 / (1 + math.exp(-logit)) for logit in logits.flatten().tolist()]
    return list(zip(probabilities, masks.flatten().tolist(), strict=True))


def slow_bce(logits, masks):
    total = 0.0
    for probability, salt in pixels(logits, masks):
        total -= math.log(probability if salt else 1 - probability)
    return total / masks.numel()


def slow_dice(logits, masks):
    both = area = 0.0
    for probability, salt in pixels(logits, masks):
        both += probability * salt
        area += probability + salt
    return 1 - (2 * both + 1) / (area + 1)


def slow_dice_per_tile(logits, masks):
    tiles = [slow_dice(*tile) for tile in zip(logits, masks, strict=True)]
    return sum(tiles) / len(tiles)


def jaccard_loss(wrong, salt):
    """Return one minus the intersection over union if the pixels ``wrong`` are misclassified."""
    kept = salt - wrong
    union = salt | wrong
    return 1 - len(kept) / len(union) if union else 0.0


def slow_lovasz(logits, masks):
    """Sum errors in descending order, each times its pixel's increment of the Jaccard loss."""
    total = 0.0
    for tile, mask in zip(logits, masks, strict=True):
        tile, mask = tile.flatten().tolist(), mask.flatten().tolist()
        salt = {i for i, value in enumerate(mask) if value}
        errors = [1 - z if i in salt else 1 + z for i, z in enumerate(tile)]
        wrong = set()
        for pixel in sorted(range(len(tile)), key=lambda i: -errors[i]):
            before = jaccard_loss(wrong, salt)
            wrong.add(pixel)
            error = errors[pixel]
            elu = error if error > 0 else math.exp(error) - 1
            total += (elu + 1) * (jaccard_loss(wrong, salt) - before)
    return total / len(logits)


def slow_symmetric(logits, masks):
    return (slow_lovasz(logits, masks) + slow_lovasz(-logits, 1 - masks)) / 2


@given(
    st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 6), st.sampled_from([0, 0.1, 0.5, 1])
)
def test_losses_equal_loops_over_pixels(seed, tiles, height, salt):
    logits, masks = batch(seed, tiles, height, salt=salt)
    expected = {
        "bce": slow_bce(logits, masks),
        "dice": slow_dice(logits, masks),
        "dice_per_tile": slow_dice_per_tile(logits, masks),
        "bce_dice": slow_bce(logits, masks) + slow_dice(logits, masks),
        "lovasz": slow_lovasz(logits, masks),
        "symmetric_lovasz": slow_symmetric(logits, masks),
        "lovasz_bce": 0.8 * slow_lovasz(logits, masks) + 0.2 * slow_bce(logits, masks),
        "symmetric_lovasz_bce": 0.8 * slow_symmetric(logits, masks) + 0.2 * slow_bce(logits, masks),
    }
    found = {name: loss(logits, masks).item() for name, loss in LOSSES.items()}
    assert found == pytest.approx(expected, rel=1e-9)


@EACH
@pytest.mark.parametrize("salt", [0, 0.4, 1])
def test_gradients_equal_differences(loss, salt):
    logits, masks = batch(1, tiles=2, height=3, width=2, salt=salt)
    assert torch.autograd.gradcheck(lambda z: loss(z, masks), logits.requires_grad_())


def test_equal_errors_in_another_order_give_the_same_lovasz_hinge():
    _, masks = batch(8, tiles=2, height=6)
    flat = torch.zeros_like(masks)
    turned = lovasz(flat.flip(-1), masks.flip(-1))
    assert lovasz(flat, masks).item() == pytest.approx(turned.item(), rel=1e-12)
    assert lovasz(flat, masks).item() == pytest.approx(slow_lovasz(flat, masks), rel=1e-12)


@EACH
def test_extreme_logits_stay_finite(loss):
    masks = torch.tensor([0.0, 1.0, 0.0, 1.0]).reshape(1, 1, 2, 2)
    logits = torch.tensor([1e4, -1e4, -1e4, 1e4]).reshape(1, 1, 2, 2).requires_grad_()
    value = loss(logits, masks)
    value.backward()
    assert math.isfinite(value.item())
    assert logits.grad.isfinite().all()
