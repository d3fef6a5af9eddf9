"""What all networks have in common."""

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from saltseg.core.errors import InputError


class Network(nn.Module):
    """Network from tiles to logits, and what training and prediction may ask of each one.

    A subclass has ``logits``; the rest only where it differs from here.

    Attributes:
        SMALLEST_SIDE: minimum side of a tile, in pixels.
        uses_depth: whether it needs the tiles' depths.
        encoder: the part that can begin with weights from ImageNet, by its ``load_pretrained()``,
            and be frozen; None in a network without one. Where ``training.encoder_weights`` may
            name a file, it has ``load_weights(path)``, too.
    """

    SMALLEST_SIDE = 16

    def __init__(self):
        super().__init__()
        self.uses_depth = False
        self.encoder: Any = None

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
    def stride(self) -> int:
        """Shift of an image, in pixels, under which all feature maps move along unchanged."""
        raise NotImplementedError

    @property
    def receptive_radius(self) -> int:
        """Upper bound of the receptive field's radius: how far a pixel's logit depends on others.

        Raises InputError for a network in which each logit depends on the whole image.
        """
        return measure_receptive_radius(self)

    def padding(self, side: int) -> tuple[int, int]:
        """Return the pixels before and after a side that make it a multiple of the stride."""
        wanted = max(side, self.SMALLEST_SIDE)
        missing = wanted + -wanted % self.stride - side
        return missing // 2, missing - missing // 2

    def bottleneck_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width of the smallest normalised features of a tile."""
        return height, width

    def smallest_batch(self, height: int, width: int) -> int:
        """Return the least tiles of a size in a training step.

        Batch normalisation needs two values per channel.
        """
        return 2 if math.prod(self.bottleneck_size(height, width)) == 1 else 1


# Pixels a side of the widest strip in which ``measure_receptive_radius`` looks for its end.
WIDEST = 8192


@torch.no_grad()
def measure_receptive_radius(network: Network) -> int:
    """Measure how far from a pixel the logits are that depend on it, and add a stride.

    Whatever is computed from NaN is NaN, even if it is multiplied by zero.

    Raises InputError if all logits of a strip of ``WIDEST`` pixels depend on one of its pixels.
    """
    # On a GPU a convolution may be computed by a Fourier transform, in which all pixels take part.
    network = copy.deepcopy(network).cpu().eval()
    # The furthest logits of the pixels of one stride lie less than a stride apart.
    stride, width = network.stride, 1024
    height = max(stride, network.SMALLEST_SIDE)
    while width <= WIDEST:
        images = torch.zeros(1, 1, height, width)
        images[..., width // 2] = math.nan
        seen = network.logits(images, None).isnan().any(2).flatten().nonzero()
        first, last = int(seen.min()), int(seen.max())
        if first >= stride and last < width - stride:
            return max(width // 2 - first, last - width // 2) + stride - 1
        width *= 2
    raise InputError(
        "inference.margin: null stands for the members' receptive field, which for these is the "
        "whole section, through attention or global averages; set it to a number, such as 128"
    )


class BNReLU(nn.Sequential):
    """Batch normalisation and ReLU."""

    def __init__(self, channels: int):
        super().__init__(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


class ConvBNReLU(nn.Sequential):
    """3x3 convolution, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), *BNReLU(outputs))
