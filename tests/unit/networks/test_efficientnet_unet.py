"""The U-Net with a pretrained encoder: sizes, padding, and the effect of each option."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from saltseg.networks import model
from saltseg.networks.efficientnet_unet import Hypercolumn, resampling
from support.networks import VARIANTS, settle

SCALES = pytest.mark.parametrize("scale", [1, 2])


def build(variant=0, **changes):
    settings = {"width": 2, "dropout": 0.0, "scale": 1, "hypercolumn": True} | changes
    return model.build(f"efficientnet_lite{variant}_unet", **settings)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("hypercolumn", [True, False])
def test_every_weight_takes_part(variant, hypercolumn):
    network = build(variant, hypercolumn=hypercolumn).train()
    network(torch.rand(4, 1, 48, 48)).square().sum().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        # Biases cancelled by batch normalisation have gradients of rounding error only.
        assert weight.grad.any(), name


@pytest.mark.parametrize(("old", "new"), [((7, 13), (101, 26)), ((64, 8), (64, 128))])
def test_two_matrix_products_resample_as_interpolation_does(old, new):
    x = torch.randn(2, 3, *old)
    down, across = map(resampling, old, new)
    expected = torch.nn.functional.interpolate(x, new, mode="bilinear", align_corners=False)
    torch.testing.assert_close(down @ x @ across.t(), expected)


@SCALES
@pytest.mark.parametrize("size", [(101, 101), (33, 70)])
def test_a_tile_is_framed_by_its_reflection_and_enlarged(scale, size):
    seen = []
    network = build(scale=scale).eval()
    network.encoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    tile = torch.rand(1, 1, *size)
    with torch.no_grad():
        network(tile)
    multiple = 32 // scale
    missing = [-side % multiple for side in size]
    framed = np.pad(
        tile[0, 0].numpy(), [(each // 2, each - each // 2) for each in missing], mode="reflect"
    )
    if scale == 2:
        # Each new pixel's centre is 0.25 pixels from an old one's.
        rows, columns = ((np.arange(2 * side) + 0.5) / 2 - 0.5 for side in framed.shape)
        places = np.meshgrid(rows, columns, indexing="ij")
        framed = ndimage.map_coordinates(framed, places, order=1, mode="nearest")
    assert seen[0].shape[-2:] == framed.shape
    assert all(side % 32 == 0 for side in framed.shape)
    np.testing.assert_allclose(seen[0][0, 0], framed, atol=1e-6)


@pytest.mark.slow
@SCALES
@pytest.mark.parametrize("hypercolumn", [True, False])
def test_a_logit_depends_on_its_own_place(scale, hypercolumn):
    """A logit's gradients, over several networks, are centred on its pixel."""
    found = torch.zeros(31, 31, dtype=torch.double)
    for seed in range(6):
        torch.manual_seed(seed)
        network = build(scale=scale, hypercolumn=hypercolumn, width=4)
        network.encoder.load_pretrained()
        settle(network, torch.rand(8, 1, 101, 101))
        for row, column in [(20, 75), (50, 50), (81, 30)]:
            tile = torch.rand(1, 1, 101, 101, requires_grad=True)
            network(tile)[0, 0, row, column].backward()
            near = tile.grad[0, 0, row - 15 : row + 16, column - 15 : column + 16]
            found += near.double().square()
    axis = torch.arange(-15, 16, dtype=torch.double)
    centre = torch.stack([found.sum(1) @ axis, found.sum(0) @ axis]) / found.sum()
    assert centre.abs().max() < 1.5


def test_four_channels_become_the_four_pixels_of_a_place():
    network = build(width=3).eval()
    with torch.no_grad():
        final = network.head[-1]
        final.weight.zero_()
        final.bias.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
        logits = network(torch.rand(1, 1, 101, 101))[0, 0]
    # 13 pixels of padding above and left, so the tile starts at a cell's last pixel.
    assert torch.equal(logits[:2, :2], torch.tensor([[4.0, 3.0], [2.0, 1.0]]))


def test_a_hypercolumn_holds_every_level_at_its_place():
    hypercolumn = Hypercolumn([8, 6, 4]).double()
    levels = [
        torch.rand(2, channels, side, side, dtype=torch.double)
        for channels, side in [(8, 5), (6, 10), (4, 20)]
    ]
    found = hypercolumn(levels)
    assert found.shape == (2, hypercolumn.channels, 20, 20)
    assert torch.equal(found[:, :4], levels[-1])
    start = 4
    for level, reduce in zip(levels[:-1], hypercolumn.reduce, strict=True):
        reduced = reduce(level)
        part = found[:, start : start + reduced.shape[1]]
        factor = 20 // level.shape[-1]
        centres = (np.arange(20) + 0.5) / factor - 0.5
        places = np.meshgrid(centres, centres, indexing="ij")
        for tile in range(2):
            expected = ndimage.map_coordinates(
                reduced[tile, 0].detach().numpy(), places, order=1, mode="nearest"
            )
            np.testing.assert_allclose(part[tile, 0].detach(), expected, atol=1e-12)
        start += reduced.shape[1]


@SCALES
def test_a_network_in_bf16_gives_nearly_the_same(scale):
    torch.manual_seed(0)
    network = settle(build(scale=scale, width=4), torch.rand(8, 1, 101, 101))
    tiles = torch.rand(4, 1, 101, 101)
    with torch.no_grad():
        exact = network(tiles)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = network(tiles).float()
    # Untrained networks are most sensitive: about 0.2 of the spread is typical.
    assert (exact - rounded).square().mean().sqrt() < 0.4 * exact.std()
