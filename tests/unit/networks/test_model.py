"""The networks: their sizes, their shapes, and each part against its definition."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from saltseg.core.errors import InputError
from saltseg.networks import model
from saltseg.networks.cpu_kernels import Dropout, TransposedConv
from saltseg.networks.unet import PlainLevel

BOTH = pytest.mark.parametrize("name", ["unet", "residual_unet"])
WITH_DEPTH = pytest.mark.parametrize(
    ("depth", "at"), [("first_pool", [1]), ("bottleneck", [4]), ("both", [1, 4])]
)


def build(name="residual_unet", width=1, dropout=0.5, **more):
    return model.build(name, width=width, dropout=dropout, **more)


def record(network, kinds, size, tiles=1, depths=None):
    """Run tiles through; returns (module, input, output) of each call of those kinds of module."""
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
        network(torch.rand(tiles, 1, *size), depths)
    for handle in handles:
        handle.remove()
    return calls


def count(network):
    return sum(int(np.prod(p.shape)) for p in network.parameters() if p.requires_grad)


@pytest.mark.parametrize(("name", "expected"), [("residual_unet", 5_112_497), ("unet", 2_159_889)])
def test_the_contest_s_networks_have_that_many_trainable_parameters(name, expected):
    assert count(build(name, width=16)) == expected


@pytest.mark.parametrize("name", ["unet", "residual_unet", "efficientnet_lite0_unet"])
@pytest.mark.parametrize("height, width", [(15, 101), (101, 15)])
def test_tiles_below_16_pixels_are_refused(name, height, width):
    with pytest.raises(InputError, match=f"at least 16 pixels a side, found {width}x{height}"):
        build(name)(torch.rand(1, 1, height, width))


@pytest.mark.parametrize(("name", "first"), [("residual_unet", 0.2), ("unet", 0.4)])
def test_dropout_has_half_its_rate_after_the_residual_network_s_first_pooling_only(name, first):
    calls = record(build(name, dropout=0.4).eval(), nn.Dropout, (16, 16))
    assert [module.p for module, _, _ in calls] == [first] + [0.4] * 7


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.999])
@pytest.mark.parametrize("shape", [(2, 3, 101, 37), (5, 7)])
def test_dropout_clears_a_share_of_the_values_and_scales_the_others(rate, shape, dtype):
    torch.manual_seed(0)
    dropout, x = Dropout(rate), torch.ones(shape, dtype=dtype, requires_grad=True)
    scale = torch.tensor(1 / (1 - rate), dtype=dtype)
    kept, draws = 0, 60
    for _ in range(draws):
        y = dropout(x)
        assert ((y == 0) | (y == scale)).all()
        kept += (y > 0).sum().item()
        # What is cleared forward is cleared backward.
        assert torch.equal(torch.autograd.grad(y.sum(), x)[0], y.detach())
    values = draws * x.numel()
    assert abs(kept / values - (1 - rate)) < 5 * np.sqrt(rate * (1 - rate) / values)


def test_dropout_of_neighbours_is_independent_and_depends_on_the_seed_and_the_mode():
    torch.manual_seed(1)
    # Channels last, as training has them: neighbours in memory share a draw.
    x = torch.ones(4, 16, 50, 50).contiguous(memory_format=torch.channels_last)
    y = Dropout(0.5)(x)
    assert y.is_contiguous(memory_format=torch.channels_last)
    flat = (y.permute(0, 2, 3, 1).flatten() > 0).double()
    for distance in (1, 2, 3, 4, 5, 8, 16):
        together = np.corrcoef(flat[distance:], flat[:-distance])[0, 1]
        assert abs(together) < 5 / np.sqrt(len(flat))
    torch.manual_seed(1)
    assert torch.equal(Dropout(0.5)(x), y)
    assert not torch.equal(Dropout(0.5)(x), y)

    x = torch.rand(3, 4)
    for dropout in (Dropout(0.0).train(), Dropout(0.3).eval()):
        assert torch.equal(dropout(x), x)


@pytest.mark.parametrize("dtype, bound", [(torch.float64, 1e-12), (torch.bfloat16, 0.02)])
@pytest.mark.parametrize("sides", [(6, 6), (5, 12), (1, 1)])
def test_growing_and_its_gradients_are_pytorch_s_transposed_convolution(sides, dtype, bound):
    torch.manual_seed(0)
    grow = TransposedConv(8, 4).double()
    nn.init.normal_(grow.bias)
    inputs = [torch.randn(3, 8, *sides, dtype=torch.float64), grow.weight, grow.bias]
    inputs = [x.detach().requires_grad_() for x in inputs]
    expected = F.conv_transpose2d(*inputs, stride=2)
    upstream = torch.randn_like(expected)
    expected = [expected, *torch.autograd.grad((expected * upstream).sum(), inputs)]
    grow = grow.to(dtype)
    x = inputs[0].detach().to(dtype).requires_grad_()
    found = grow(x)
    found = [found, *torch.autograd.grad((found * upstream).sum(), [x, grow.weight, grow.bias])]
    for values, exact in zip(found, expected, strict=True):
        assert values.dtype == dtype
        assert (values - exact).norm() <= bound * exact.norm()


def unsettle(network):
    """Give batch normalisation and biases values that a wrong order would show."""
    generator = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight, module.bias, module.running_mean, module.running_var):
                values.data = torch.rand(values.shape, generator=generator) + 0.5
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.bias.data = torch.rand(module.bias.shape, generator=generator) / 5
    return network.eval()


def written_out(name, state, images, depths, at):
    """The network in evaluation, from its weights by their names, one operation at a time."""

    def convolve(x, key):
        weight = state[f"{key}.weight"]
        return F.conv2d(x, weight, state[f"{key}.bias"], padding=weight.shape[-1] // 2)

    def normalise(x, key):
        mean, var, weight, bias = (
            state[f"{key}.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-5).sqrt() * weight + bias

    def run_level(x, key):
        if name == "unet":
            return convolve(convolve(x, f"{key}.0").relu(), f"{key}.2").relu()
        x = convolve(x, f"{key}.0")
        for block in (f"{key}.1.body", f"{key}.2.body"):
            y = convolve(normalise(x, f"{block}.0").relu(), f"{block}.2")
            x = x + convolve(normalise(y, f"{block}.3.0").relu(), f"{block}.4")
        return normalise(x, f"{key}.3.0").relu()

    x, outputs = images, []
    for number in range(5):
        if number:
            x = F.max_pool2d(x, 2)
            if name == "unet":
                x = normalise(x, f"pool_norm.{number - 1}")
        if number in at:
            low, high = state["depth_range"].tolist()
            shares = [(depth - low) / (high - low) for depth in depths.tolist()]
            x = torch.cat([x, torch.stack([torch.full_like(x[0, :1], s) for s in shares])], dim=1)
        x = run_level(x, f"down.{number}")
        outputs.append(x)
    for number, skip in enumerate(outputs[3::-1]):
        key = f"grow.{number}"
        x = F.conv_transpose2d(x, state[f"{key}.weight"], state[f"{key}.bias"], stride=2)
        x = torch.cat([x[:, :, : skip.shape[2], : skip.shape[3]], skip], dim=1)
        if name == "unet":
            x = normalise(x, f"skip_norm.{number}")
        x = run_level(x, f"up.{number}")
    return convolve(normalise(x, "head_norm") if name == "unet" else x, "head")


@BOTH
@pytest.mark.parametrize(
    ("depth", "at"), [("none", []), ("first_pool", [1]), ("bottleneck", [4]), ("both", [1, 4])]
)
def test_logits_equal_the_network_written_out(name, depth, at):
    torch.manual_seed(0)
    network = unsettle(build(name, width=4, depth=depth))
    network.set_depth_range(torch.tensor([60.0, 900.0, 300.0]))
    images, depths = torch.rand(3, 1, 37, 50), torch.tensor([300.0, 50.0, 950.0])
    with torch.no_grad():
        expected = written_out(name, network.state_dict(), images, depths, at)
        torch.testing.assert_close(network(images, depths), expected, rtol=1e-4, atol=1e-4)
    assert expected.std() > 0.01


@WITH_DEPTH
def test_depth_is_one_even_channel_of_its_levels_that_dropout_spares(depth, at):
    network = build("unet", width=2, dropout=0.9, depth=depth).train()
    # The range is that of the tiles it was set by, not of later ones.
    network.set_depth_range(torch.tensor([400.0, 100.0, 500.0]))
    depths = torch.tensor([100.0, 300.0, 500.0, 50.0, 700.0])
    calls = record(network, PlainLevel, (37, 50), tiles=5, depths=depths)
    levels = [inputs for _, inputs, _ in calls]
    assert [x.shape[1] - (i in at) for i, x in enumerate(levels[:5])] == [1, 2, 4, 8, 16]
    assert [x.shape[1] for x in levels[5:]] == [32, 16, 8, 4]
    for level in at:
        for channel, share in zip(levels[level][:, -1], [0, 0.5, 1, -0.125, 1.5], strict=True):
            torch.testing.assert_close(channel, torch.full_like(channel, share))
        assert (levels[level][:, :-1] == 0).float().mean() > 0.7


@BOTH
@WITH_DEPTH
@pytest.mark.parametrize("training", [True, False])
def test_depths_that_are_missing_are_refused(name, depth, at, training):
    network = build(name, depth=depth).train(training)
    with pytest.raises(InputError, match="trained with the tiles' depths; pass them"):
        network(torch.rand(2, 1, 20, 30))


@BOTH
@WITH_DEPTH
@pytest.mark.parametrize("at_depth", [0.0, 500.0, 1e-3])
def test_tiles_all_at_one_depth_carry_no_information_and_break_nothing(name, depth, at, at_depth):
    network = build(name, width=2, depth=depth).eval()
    network.set_depth_range(torch.full((4,), at_depth))
    tile = torch.rand(1, 1, 20, 30).expand(4, -1, -1, -1)
    # Also for tiles that come later from elsewhere.
    logits = network(tile, torch.tensor([at_depth, 53.0, 959.0, -20.0]))
    assert logits.isfinite().all()
    torch.testing.assert_close(logits, logits[:1].expand(4, -1, -1, -1), rtol=1e-4, atol=1e-5)


@BOTH
def test_weights_start_within_glorot_s_bounds_and_biases_at_zero(name):
    torch.manual_seed(0)
    network = build(name, width=4, depth="both")
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
