"""The network: its size, its shape, and each part against what it is said to be."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from salt import model
from salt.model import Level, ResidualBlock, ResidualUNet


def record(network, kinds, size, **state):
    """Run a tile through; gives (module, input, output) of each call of those kinds of module."""
    calls, handles = [], []
    for module in network.modules():
        if isinstance(module, kinds):
            handles.append(
                module.register_forward_hook(
                    lambda module, inputs, output: calls.append(
                        (module, inputs[0].detach().clone(), output.detach().clone())
                    )
                )
            )
    with torch.no_grad():
        network(torch.rand(1, 1, *size))
    for handle in handles:
        handle.remove()
    return calls


def test_the_contest_s_network_has_5112497_trainable_parameters():
    network = ResidualUNet(width=16)
    sizes = [int(np.prod(p.shape)) for p in network.parameters() if p.requires_grad]
    assert sum(sizes) == 5_112_497


def test_nine_levels_of_two_residual_blocks():
    network = ResidualUNet(width=1)
    modules = list(network.modules())
    assert sum(isinstance(module, ResidualBlock) for module in modules) == 18
    assert sum(isinstance(module, Level) for module in modules) == 9
    for level in (*network.down, *network.up):
        assert sum(isinstance(module, ResidualBlock) for module in level.modules()) == 2


@pytest.mark.parametrize(
    ("tile", "sizes"),
    [
        (101, [101, 50, 25, 12, 6, 12, 25, 50, 101]),
        (128, [128, 64, 32, 16, 8, 16, 32, 64, 128]),
        (31, [31, 15, 7, 3, 1, 3, 7, 15, 31]),
    ],
)
def test_levels_halve_the_size_rounding_down_and_bring_it_back(tile, sizes):
    calls = record(ResidualUNet(width=1).eval(), Level, (tile, tile))
    assert [tuple(output.shape[-2:]) for _, _, output in calls] == [(s, s) for s in sizes]


def test_levels_double_the_channels_from_16_to_256_and_back():
    calls = record(ResidualUNet(width=16).eval(), Level, (16, 16))
    assert [output.shape[1] for _, _, output in calls] == [16, 32, 64, 128, 256, 128, 64, 32, 16]


@settings(max_examples=15)
@given(height=st.integers(16, 140), width=st.integers(16, 140))
def test_logits_have_the_tile_s_own_size(height, width):
    network = model.build("residual_unet", width=1, dropout=0.0).eval()
    with torch.inference_mode():
        assert network(torch.rand(1, 1, height, width)).shape == (1, 1, height, width)


@pytest.mark.parametrize("height, width", [(15, 15), (15, 101), (101, 15), (1, 1)])
def test_tiles_below_16_pixels_are_refused(height, width):
    with pytest.raises(ValueError, match=f"at least 16 pixels a side, found {width}x{height}"):
        ResidualUNet(width=1)(torch.rand(1, 1, height, width))


def test_dropout_has_half_its_rate_after_the_first_pooling_only():
    calls = record(ResidualUNet(width=1, dropout=0.4).eval(), nn.Dropout, (16, 16))
    assert [module.p for module, _, _ in calls] == [0.2] + [0.4] * 7


def test_parts_come_in_the_published_order():
    kinds = (Level, nn.MaxPool2d, nn.Dropout, nn.ConvTranspose2d)
    network = ResidualUNet(width=1)
    calls = record(network.eval(), kinds, (37, 50))
    names = [type(module).__name__ for module, _, _ in calls]
    down = ["Level"] + ["MaxPool2d", "Dropout", "Level"] * 4
    assert names == down + ["ConvTranspose2d", "Dropout", "Level"] * 4


def test_each_level_gets_the_transposed_convolution_first_and_then_the_skip():
    network = ResidualUNet(width=2)
    calls = record(network.eval(), (Level, nn.ConvTranspose2d), (37, 50))
    levels = [call for call in calls if isinstance(call[0], Level)]
    grown = [call for call in calls if isinstance(call[0], nn.ConvTranspose2d)]
    for step, ((_, _, big), (_, both, _)) in enumerate(zip(grown, levels[5:], strict=True)):
        skip = levels[3 - step][2]
        height, width = skip.shape[-2:]
        expected = torch.cat([big[..., :height, :width], skip], dim=1)
        torch.testing.assert_close(both, expected, rtol=0, atol=0)


def keras_transposed(inputs, weight, bias, padding):
    """Keras' Conv2DTranspose of kernel 3 and stride 2, one multiplication at a time.

    'valid' gives 2n + 1 pixels; 'same' gives 2n, without the last row and column.
    """
    channels, height, width = inputs.shape
    filters = weight.shape[1]
    out = np.zeros((filters, 2 * height + 1, 2 * width + 1))
    for f in range(filters):
        out[f] += bias[f]
        for c in range(channels):
            for i in range(height):
                for j in range(width):
                    for k in range(3):
                        for m in range(3):
                            out[f, 2 * i + k, 2 * j + m] += weight[c, f, k, m] * inputs[c, i, j]
    return out if padding == "valid" else out[:, :-1, :-1]


@pytest.mark.parametrize(
    ("tile", "paddings"),
    [(37, ["same", "valid", "same", "valid"]), (40, ["valid", "same", "same", "same"])],
)
def test_growing_is_keras_transposed_convolution(tile, paddings):
    # 37, 18, 9, 4, 2 and 40, 20, 10, 5, 2: an odd size is grown "valid", an even one "same".
    network = ResidualUNet(width=1).double().eval()
    for module in network.modules():
        if isinstance(module, nn.ConvTranspose2d):
            nn.init.normal_(module.bias)
    torch.set_default_dtype(torch.float64)
    try:
        calls = record(network, (nn.ConvTranspose2d, Level), (tile, tile))
    finally:
        torch.set_default_dtype(torch.float32)
    grown = [i for i, call in enumerate(calls) if isinstance(call[0], nn.ConvTranspose2d)]
    for i, padding in zip(grown, paddings, strict=True):
        module, inputs, _ = calls[i]
        expected = keras_transposed(
            inputs[0].numpy(), module.weight.detach().numpy(), module.bias.tolist(), padding
        )
        into_level = calls[i + 1][1][0].numpy()
        np.testing.assert_allclose(into_level[: len(expected)], expected, atol=1e-10)
        assert into_level.shape[1:] == expected.shape[1:]


@pytest.mark.parametrize("training", [True, False])
def test_a_residual_block_whose_last_convolution_is_zero_is_the_identity(training):
    block = ResidualBlock(4).train(training)
    nn.init.zeros_(block.body[-1].weight)
    nn.init.zeros_(block.body[-1].bias)
    x = torch.randn(2, 4, 6, 7)
    before = x.clone()
    assert torch.equal(block(x), before)
    assert torch.equal(x, before)


def test_a_residual_block_adds_its_input_as_it_was():
    block = ResidualBlock(3).eval()
    x = torch.randn(2, 3, 5, 5)
    before = x.clone()
    normal = [layer for layer in block.modules() if isinstance(layer, nn.BatchNorm2d)]
    convolutions = [layer for layer in block.modules() if isinstance(layer, nn.Conv2d)]
    y = before
    for batch_norm, convolution in zip(normal, convolutions, strict=True):
        y = convolution(batch_norm(y).clamp(min=0))
    torch.testing.assert_close(block(x), before + y)
    assert torch.equal(x, before)


def test_evaluation_drops_nothing_and_training_does():
    network = ResidualUNet(width=2, dropout=0.5)
    tiles = torch.rand(2, 1, 16, 20)
    network.eval()
    assert torch.equal(network(tiles), network(tiles))
    network.train()
    assert not torch.equal(network(tiles), network(tiles))


def test_without_dropout_training_is_no_lottery():
    network = ResidualUNet(width=2, dropout=0.0).train()
    tiles = torch.rand(2, 1, 16, 20)
    assert torch.equal(network(tiles), network(tiles))


def test_in_evaluation_a_tile_s_logits_do_not_depend_on_its_batch():
    network = ResidualUNet(width=2).eval()
    tiles = torch.rand(3, 1, 25, 30)
    alone = torch.cat([network(tile[None]) for tile in tiles])
    torch.testing.assert_close(network(tiles), alone, rtol=1e-4, atol=1e-5)


def test_weights_start_within_glorot_s_bounds_and_biases_at_zero():
    network = ResidualUNet(width=4)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            first, second, *kernel = module.weight.shape
            bound = np.sqrt(6 / ((first + second) * np.prod(kernel)))
            assert 0.5 * bound < module.weight.abs().max() <= bound
            assert not module.bias.any()


def test_images_become_floats_from_0_to_1_and_stay_as_they_are():
    images = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    inputs = model.images_to_input(images)
    assert inputs.dtype == torch.float32
    np.testing.assert_allclose(inputs.flatten(), [i / 255 for i in range(256)], rtol=1e-6)
    assert images.flatten().tolist() == list(range(256))
