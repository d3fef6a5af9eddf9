"""Networks from tile to logits."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from salt.errors import InputError


class BNReLU(nn.Sequential):
    """Batch normalisation and ReLU."""

    def __init__(self, channels: int):
        super().__init__(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


class ResidualBlock(nn.Module):
    """BN-ReLU-Conv3x3-BN-ReLU-Conv3x3 plus the identity (He et al. 2016, arXiv:1603.05027)."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(
            # Not in place: the identity still needs this block's input.
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            BNReLU(channels),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Level(nn.Sequential):
    """One level of the network: a plain 3x3 convolution, two residual blocks, BN-ReLU."""

    def __init__(self, inputs: int, channels: int):
        super().__init__(
            nn.Conv2d(inputs, channels, 3, padding=1),
            ResidualBlock(channels),
            ResidualBlock(channels),
            BNReLU(channels),
        )


class ResidualUNet(nn.Module):
    """Residual U-Net at the tile's own size, without resizing or padding.

    Four 2x2 poolings halve the size, rounding down (101, 50, 25, 12, 6); four transposed
    convolutions of stride 2 bring it back. Nine levels of two residual blocks; ``width`` channels
    at full size, doubled at each level down. Dropout at half its rate after the first pooling, in
    full after the others and after each concatenation. With width 16 and tiles of 101x101 it is
    the network of AlbertoSabater/Kaggle-Salt-Identification-Challenge: 5,112,497 trainable
    parameters.

    Args:
        width: channels of the first level.
        dropout: rate of dropout, in [0, 1).
    """

    POOLINGS = 4

    def __init__(self, width: int = 16, dropout: float = 0.5):
        super().__init__()
        channels = [width * 2**i for i in range(self.POOLINGS + 1)]
        self.down = nn.ModuleList(
            Level(inputs, outputs) for inputs, outputs in pairwise([1, *channels])
        )
        self.pool = nn.MaxPool2d(2)
        self.pool_dropout = nn.ModuleList(
            nn.Dropout(dropout / 2 if i == 0 else dropout) for i in range(self.POOLINGS)
        )
        channels.reverse()
        self.grow = nn.ModuleList(
            nn.ConvTranspose2d(inputs, outputs, 3, stride=2)
            for inputs, outputs in pairwise(channels)
        )
        self.up = nn.ModuleList(Level(2 * outputs, outputs) for outputs in channels[1:])
        self.skip_dropout = nn.Dropout(dropout)
        self.head = nn.Conv2d(width, 1, 1)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, 1, height, width) of images (batch, 1, height, width) in [0, 1].

        Raises InputError for images smaller than 16 pixels, which four poolings would use up.
        """
        if min(x.shape[-2:]) < 2**self.POOLINGS:
            raise InputError(
                f"expected tiles of at least {2**self.POOLINGS} pixels a side, "
                f"found {x.shape[-1]}x{x.shape[-2]}"
            )
        skips = []
        for i, level in enumerate(self.down):
            if i:
                x = self.pool_dropout[i - 1](self.pool(x))
            x = level(x)
            skips.append(x)
        skips.pop()
        for grow, level in zip(self.grow, self.up, strict=True):
            skip = skips.pop()
            # The transposed convolution gives 2n + 1 pixels. An odd size keeps them all ("valid"
            # in Keras), an even one drops the last ("same" in Keras).
            x = grow(x)[..., : skip.shape[-2], : skip.shape[-1]]
            x = level(self.skip_dropout(torch.cat([x, skip], dim=1)))
        return self.head(x)


def _initialise(module: nn.Module) -> None:
    # As Keras does, in which the network was first written (Glorot and Bengio 2010).
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


MODELS = {"residual_unet": ResidualUNet}


def build(name: str, **settings) -> nn.Module:
    """The network of the configuration's section ``model``."""
    return MODELS[name](**settings)


def images_to_input(images: Tensor) -> Tensor:
    """Network input: uint8 images (batch, 1, height, width) as float32 in [0, 1]."""
    return images.float().div_(255)
