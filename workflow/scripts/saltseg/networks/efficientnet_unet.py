"""U-Net on a pretrained encoder."""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from saltseg.networks.cpu_kernels import Dropout
from saltseg.networks.efficientnet import Encoder
from saltseg.networks.network import ConvBNReLU, Network

HYPERCOLUMN = 16  # channels of each level but the last


class Hypercolumn(nn.Module):
    """Decoder levels side by side at the last one's size (Hariharan et al. 2015, arXiv:1411.5752).

    The last level as it is, each other one reduced to ``HYPERCOLUMN`` channels.
    """

    def __init__(self, channels: list[int]):
        super().__init__()
        self.reduce = nn.ModuleList(nn.Conv2d(each, HYPERCOLUMN, 1) for each in channels[:-1])
        self.channels = channels[-1] + HYPERCOLUMN * (len(channels) - 1)

    def forward(self, levels: list[Tensor]) -> Tensor:
        *coarse, last = levels
        grown = [
            enlarge(reduce(level), *last.shape[-2:])
            for reduce, level in zip(self.reduce, coarse, strict=True)
        ]
        return torch.cat([last, *grown], dim=1)


def enlarge(x: Tensor, height: int, width: int) -> Tensor:
    """Return x, (tiles, channels, ., .), resampled bilinearly to a height and a width.

    On a GPU as two products with constant matrices, whose gradient is deterministic: that of
    ``interpolate`` adds atomically or, where it must not, sorts in twelve steps.
    """
    if x.device.type != "cuda":
        return F.interpolate(x, (height, width), mode="bilinear", align_corners=False)
    down, across = (
        resampling(old, new).to(x) for old, new in zip(x.shape[-2:], (height, width), strict=True)
    )
    return down @ x @ across.t()


@cache
def resampling(old: int, new: int) -> Tensor:
    """Return the matrix, float32 (new, old), by which ``interpolate`` resamples an axis."""
    units = torch.eye(old)[:, None]
    return F.interpolate(units, new, mode="linear", align_corners=False)[:, 0].t()


class EncoderUNet(Network):
    """U-Net whose encoder gives features at strides 2, 4, 8, 16 and 32.

    A tile is padded by reflection to a whole number of the encoder's strides, and enlarged where
    ``scale`` is 2. The decoder ends at half the size of what the encoder sees: with ``scale`` 2
    that is the tile's own; with 1 four channels become the four pixels of each place (Shi et al.
    2016, arXiv:1609.05158). Logits are of the tile's own pixels.

    Args:
        encoder: gives a list of features, finest first, of grey images in [0, 1]; its attribute
            ``channels`` has their numbers of channels.
        width: channels of the decoder's finest level, doubled at the next and at the second one.
        dropout: rate before the head, in [0, 1).
        scale: how many times tiles are enlarged, 1 or 2.
        hypercolumn: whether the head sees all levels of the decoder, not the finest alone.
    """

    STRIDE = 32

    def __init__(
        self, encoder: Any, width: int, dropout: float, scale: int = 1, hypercolumn: bool = False
    ):
        super().__init__()
        self.scale = scale
        self.encoder = encoder
        skips = self.encoder.channels[-2::-1]
        channels = [4 * width, 4 * width, 2 * width, width]
        self.levels = nn.ModuleList(
            nn.Sequential(ConvBNReLU(inputs + skip, outputs), ConvBNReLU(outputs, outputs))
            for inputs, skip, outputs in zip(
                [self.encoder.channels[-1], *channels], skips, channels, strict=False
            )
        )
        self.hypercolumn = Hypercolumn(channels) if hypercolumn else None
        seen = self.hypercolumn.channels if self.hypercolumn else width
        self.head = nn.Sequential(
            Dropout(dropout), ConvBNReLU(seen, width), nn.Conv2d(width, (2 // scale) ** 2, 1)
        )

    def logits(self, images: Tensor, depths: Tensor | None) -> Tensor:
        height, width = images.shape[-2:]
        top, left, x = self._framed(images)
        *skips, x = self.encoder(x)
        found = []
        for level in self.levels:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = level(torch.cat([x, skips.pop()], dim=1))
            found.append(x)
        x = self.hypercolumn(found) if self.hypercolumn else x
        logits = F.pixel_shuffle(self.head(x), 2 // self.scale)
        return logits[..., top : top + height, left : left + width]

    @property
    def stride(self) -> int:
        return self.STRIDE // self.scale

    def bottleneck_size(self, height: int, width: int) -> tuple[int, int]:
        return -(-height * self.scale // self.STRIDE), -(-width * self.scale // self.STRIDE)

    def _framed(self, images: Tensor) -> tuple[int, int, Tensor]:
        (top, bottom), (left, right) = map(self.padding, images.shape[-2:])
        x = F.pad(images, (left, right, top, bottom), mode="reflect")
        if self.scale > 1:
            x = F.interpolate(x, scale_factor=float(self.scale), mode="bilinear")
        return top, left, x


class EfficientNetUNet(EncoderUNet):
    """U-Net whose encoder is an EfficientNet-Lite.

    Args:
        variant: of the encoder, 0, 1 or 2; the others as for ``EncoderUNet``.
    """

    RECEPTIVE_RADIUS = (520, 652, 652)  # by variant, of the picture as the encoder sees it

    def __init__(
        self, variant: int, width: int, dropout: float, scale: int = 1, hypercolumn: bool = False
    ):
        super().__init__(Encoder(variant), width, dropout, scale, hypercolumn)
        self.variant = variant

    @property
    def receptive_radius(self) -> int:
        return self.RECEPTIVE_RADIUS[self.variant] // self.scale
