"""Operations that PyTorch 2.13 computes slowly on a CPU, replaced by equal ones that are fast.

On a GPU, and in exported models, all of them are PyTorch's own. Each says when it can go;
benchmarks/NOTES.md has the measurements.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_input


class TransposedConv(nn.ConvTranspose2d):
    """3x3 transposed convolution of stride 2, from n to 2n + 1 pixels a side.

    Computed as the gradient of a convolution, which it is by definition: only that has a fast
    kernel in bf16, 6 times as fast. It can go when ``nn.ConvTranspose2d`` uses that kernel, too.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        # A traced network is exported, and other runtimes know the operation by its own name.
        if x.device.type != "cpu" or torch.jit.is_tracing():
            return super().forward(x)
        size = (len(x), self.out_channels, *(2 * side + 1 for side in x.shape[-2:]))
        grown = conv2d_input(size, self.weight.to(x.dtype), x, stride=2)
        bias: Tensor = self.bias  # ty: ignore[invalid-assignment]
        return grown.add_(bias.to(x.dtype)[:, None, None])


class Dropout(nn.Dropout):
    """Dropout that draws four random numbers at a time.

    PyTorch draws them one by one on most CPUs, which took a fifth of a training step. Sixteen bits
    decide on each value, so that the rate is met to within 1 / 131072. It can go when PyTorch's
    ``bernoulli_`` is vectorised there: https://github.com/pytorch/pytorch/issues/138199
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or not self.training or not self.p:
            return super().forward(x)
        # The same numbers either way.
        draw = _draw_uncompiled if torch.compiler.is_compiling() else _draw_factors
        return x * draw(x.detach(), self.p)


def _draw_factors(x: Tensor, rate: float) -> Tensor:
    """Draw the factors of dropout for values like ``x``: 0, or the one that keeps the mean."""
    factors = torch.empty_like(x)
    flat = factors.as_strided((factors.numel(),), (1,))
    bits = torch.empty(-(-len(flat) // 4), dtype=torch.int64).random_(-(2**63), None)
    least = min(round(rate * 2**16), 2**16 - 1) - 2**15
    torch.ge(bits.view(torch.int16)[: len(flat)], least, out=flat)
    return factors.mul_(1 / (1 - rate))


# torch.compile cannot look into a function that writes through a view, and leaves an operator
# whole. Its tag keeps the compiler from drawing again in the backward pass.
_draw_uncompiled = torch.library.custom_op(
    "saltseg::dropout", _draw_factors, mutates_args=(), tags=[torch.Tag.nondeterministic_seeded]
)
_draw_uncompiled.register_fake(lambda x, rate: torch.empty_like(x))


def depthwise_conv2d(x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """Convolve each channel with a kernel of its own, of 3x3 or 5x5 pixels.

    PyTorch has no fast gradients for kernels of size 5 or stride 2 on a CPU; they took 66 % of a
    training step. It can go when it has: https://github.com/pytorch/pytorch/issues/13716

    Args:
        x: (batch, channels, height, width).
        weight: (channels, 1, size, size).
    """
    if x.device.type != "cpu" or not torch.is_grad_enabled():
        return F.conv2d(x, weight, None, stride, padding, 1, len(weight))
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        x, weight = x.to(dtype), weight.to(dtype)
    return _DepthwiseFunction.apply(x, weight, stride, padding)


class _DepthwiseFunction(torch.autograd.Function):
    """Depthwise convolution whose backward pass uses only kernels that are fast on a CPU."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(x, weight, None, stride, padding, 1, len(weight))

    @staticmethod
    def backward(ctx, grad_output: Tensor) -> tuple:
        x, weight = ctx.saved_tensors
        return (
            _input_gradient(grad_output, x, weight, ctx.stride, ctx.padding),
            _weight_gradient(grad_output, x, weight, ctx.stride, ctx.padding),
            None,
            None,
        )


def _input_gradient(
    grad_output: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int
) -> Tensor:
    """Compute the input gradient as a stride-1 convolution with the flipped kernel.

    For larger strides, zeros are inserted between the output gradients.
    """
    if stride > 1:
        grad_output = _insert_zeros(grad_output, stride)
    pad = weight.shape[-1] - 1 - padding
    grad_input = F.conv2d(grad_output, weight.flip(2, 3), None, 1, pad, 1, len(weight))
    # Pad trailing rows and columns that the stride skipped.
    missed = [side - other for side, other in zip(x.shape[-2:], grad_input.shape[-2:], strict=True)]
    return F.pad(grad_input, (0, missed[1], 0, missed[0])) if any(missed) else grad_input


def _insert_zeros(x: Tensor, stride: int) -> Tensor:
    sides = (stride * (side - 1) + 1 for side in x.shape[-2:])
    spread = torch.empty(
        (*x.shape[:2], *sides), dtype=x.dtype, device=x.device, memory_format=torch.channels_last
    ).zero_()
    spread[..., ::stride, ::stride] = x
    return spread


def _weight_gradient(
    grad_output: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int
) -> Tensor:
    """Compute the weight gradient; for 5x5 kernels, from four overlapping 3x3 kernels."""

    def grad_weight_3x3(x: Tensor, padding: int) -> Tensor:
        return torch.ops.aten.convolution_backward(
            grad_output, x, weight[..., :3, :3], None, [stride] * 2, [padding] * 2, [1, 1], False,
            [0, 0], len(weight), [False, True, False],
        )[1]  # fmt: skip

    if weight.shape[-1] == 3:
        return grad_weight_3x3(x, padding)
    x = F.pad(x, [padding] * 4)
    height, width = (stride * (side - 1) + 3 for side in grad_output.shape[-2:])
    grad_weight = torch.empty_like(weight)
    for top in (0, 2):
        for left in (0, 2):
            window = x[..., top : top + height, left : left + width]
            window = window.contiguous(memory_format=torch.channels_last)
            grad_weight[..., top : top + 3, left : left + 3] = grad_weight_3x3(window, 0)
    return grad_weight
