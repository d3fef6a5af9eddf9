"""What all networks have in common."""

import copy
import math

import torch
from torch import Tensor, nn

from saltseg.core.errors import InputError


class Network(nn.Module):
    """Network from tiles to logits, and what training and prediction may ask of each one.

    A subclass has ``logits``; the rest only where it differs from here.

    Attributes:
        SMALLEST_SIDE: pixels a side of the smallest tile that it takes.
        uses_depth: whether it needs the tiles' depths.
        encoder: the part that can begin with weights from ImageNet, by its ``load_pretrained()``,
            and be frozen; None in a network without one. Where ``training.encoder_weights`` may
            name a file, it has ``load_weights(path)``, too.
    """

    SMALLEST_SIDE = 16

    def __init__(self):
        super().__init__()
        self.uses_depth = False
        self.encoder = None

    def forward(self, images: Tensor, depths: Tensor | None = None) -> Tensor:
        """Return logits (batch, 1, height, width) of images of that shape in [0, 1].

        A network with depth needs the tiles' depths, float32 (batch), in the unit of its range.

        Raises InputError for images smaller than ``SMALLEST_SIDE``, and for a network with depth
        that gets none.
        """
        height, width = images.shape[-2:]
        if min(height, width) < self.SMALLEST_SIDE:
            raise InputError(
                f"expected tiles of at least {self.SMALLEST_SIDE} pixels a side, "
                f"found {width}x{height}"
            )
        if self.uses_depth and depths is None:
            raise InputError("this network was trained with the tiles' depths; pass them, too")
        return self.logits(images, depths)

    def logits(self, images: Tensor, depths: Tensor | None) -> Tensor:
        """Compute what ``forward`` returns, of images and depths that it has checked."""
        raise NotImplementedError

    def set_depth_range(self, depths: Tensor) -> None:
        """Scale depths from now on so that these, float32 (tiles), span 0 to 1; if it uses any."""

    @property
    def step(self) -> int:
        """Pixels by which a picture may be moved so that all of its features only move along."""
        raise NotImplementedError

    @property
    def reach(self) -> int:
        """Pixels that a logit depends on at most, to any side of its own, or a few more.

        Raises InputError for a network in which each logit depends on the whole picture.
        """
        return measured_reach(self)

    def padding(self, side: int) -> tuple[int, int]:
        """Return the pixels before and after a side that make it a whole number of steps."""
        wanted = max(side, self.SMALLEST_SIDE)
        missing = wanted + -wanted % self.step - side
        return missing // 2, missing - missing // 2

    def coarsest(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width of the smallest features of a tile that are normalised."""
        return height, width

    def smallest_batch(self, height: int, width: int) -> int:
        """Return how many tiles of a size a training step needs at least.

        Batch normalisation takes the variance of each channel, which one value alone has not.
        """
        return 2 if math.prod(self.coarsest(height, width)) == 1 else 1


# Pixels a side of the widest strip in which ``measured_reach`` looks for the end of what is seen.
WIDEST = 8192


@torch.no_grad()
def measured_reach(network: Network) -> int:
    """Measure how far from a pixel the logits are that depend on it, and round up by one step.

    Whatever is computed from NaN is NaN, even if it is multiplied by zero.

    Raises InputError if all logits of a strip of ``WIDEST`` pixels depend on one of its pixels.
    """
    # On a GPU a convolution may be computed by a Fourier transform, in which all pixels take part.
    network = copy.deepcopy(network).cpu().eval()
    # The furthest logits of the pixels of one step lie less than a step apart.
    step, width = network.step, 1024
    height = max(step, network.SMALLEST_SIDE)
    while width <= WIDEST:
        images = torch.zeros(1, 1, height, width)
        images[..., width // 2] = math.nan
        seen = network.logits(images, None).isnan().any(2).flatten().nonzero()
        first, last = seen.min().item(), seen.max().item()
        if first >= step and last < width - step:
            return max(width // 2 - first, last - width // 2) + step - 1
        width *= 2
    raise InputError(
        "inference.margin: null stands for the members' receptive field, which for these is the "
        "whole section, through attention or global averages; set it to a number, such as 128"
    )


class Dropout(nn.Dropout):
    """Dropout whose random numbers a CPU draws four at a time.

    PyTorch's own draws them one by one on most CPUs, which took a fifth of a training step. Sixteen
    bits decide on each value, so that the rate is met to within 1 / 131072.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or not self.training or not self.p:
            return super().forward(x)
        # The same numbers either way.
        draw = _drawn_whole if torch.compiler.is_compiling() else _draw
        return x * draw(x.detach(), self.p)


def _draw(x: Tensor, rate: float) -> Tensor:
    """Factors of dropout for values like ``x``: 0, or the one that keeps the mean."""
    factors = torch.empty_like(x)
    flat = factors.as_strided((factors.numel(),), (1,))
    bits = torch.empty(-(-len(flat) // 4), dtype=torch.int64).random_(-(2**63), None)
    least = min(round(rate * 2**16), 2**16 - 1) - 2**15
    torch.ge(bits.view(torch.int16)[: len(flat)], least, out=flat)
    return factors.mul_(1 / (1 - rate))


# torch.compile cannot look into a function that writes through a view, and leaves an operator
# whole. Its tag keeps the compiler from drawing again in the backward pass.
_drawn_whole = torch.library.custom_op(
    "salt::dropout", _draw, mutates_args=(), tags=[torch.Tag.nondeterministic_seeded]
)
_drawn_whole.register_fake(lambda x, rate: torch.empty_like(x))


class BNReLU(nn.Sequential):
    """Batch normalisation and ReLU."""

    def __init__(self, channels: int):
        super().__init__(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


class ConvBNReLU(nn.Sequential):
    """3x3 convolution, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), *BNReLU(outputs))
