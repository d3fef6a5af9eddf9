"""U-Nets at the tile's own size, after AlbertoSabater/Kaggle-Salt-Identification-Challenge."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from saltseg.networks.cpu_kernels import Dropout, TransposedConv
from saltseg.networks.network import BNReLU, Network

# Levels whose input gets the tile's depth as a channel, by the configuration's model.depth.
DEPTH_LEVELS = {"none": (), "first_pool": (1,), "bottleneck": (4,), "both": (1, 4)}


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


class PlainLevel(nn.Sequential):
    """One level of the plain network: two 3x3 convolutions, each with a ReLU."""

    def __init__(self, inputs: int, channels: int):
        super().__init__(
            nn.Conv2d(inputs, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
        )


class ResidualLevel(nn.Sequential):
    """One level of the residual network: a 3x3 convolution, two residual blocks, BN-ReLU."""

    def __init__(self, inputs: int, channels: int):
        super().__init__(
            nn.Conv2d(inputs, channels, 3, padding=1),
            ResidualBlock(channels),
            ResidualBlock(channels),
            BNReLU(channels),
        )


class UNet(Network):
    """Plain U-Net (Ronneberger et al. 2015, arXiv:1505.04597) at the tile's own size.

    Four 2x2 poolings halve the size, rounding down (101, 50, 25, 12, 6); four transposed
    convolutions of stride 2 bring it back, so that nothing is resized or padded. Nine levels of two
    convolutions; ``width`` channels at full size, doubled at each level down. Batch normalisation
    and dropout after each pooling and each concatenation, and once more before the head.

    It is the first network of AlbertoSabater/Kaggle-Salt-Identification-Challenge without its
    errors: there, tiles were resized to 128x128, and two of the transposed convolutions read the
    encoder's output, which discarded the levels below them.

    Args:
        width: channels of the first level.
        dropout: rate of dropout, in [0, 1).
        depth: where a channel of the tile's depth is added: ``none``, after the ``first_pool``, at
            the ``bottleneck``, which is after the last one, or ``both``.
    """

    POOLINGS = 4
    LEVEL = PlainLevel
    NORMALISE_JOINTS = True
    depth_range: Tensor
    RECEPTIVE_RADIUS = 122
    FIRST_DROPOUT = 1.0  # rate after the first pooling, as a share of the others'

    def __init__(self, width: int, dropout: float, depth: str = "none"):
        super().__init__()
        channels = [width * 2**i for i in range(self.POOLINGS + 1)]
        self.depth_levels = DEPTH_LEVELS[depth]
        self.uses_depth = bool(self.depth_levels)
        self.down = nn.ModuleList(
            self.LEVEL(inputs + (level in self.depth_levels), outputs)
            for level, (inputs, outputs) in enumerate(pairwise([1, *channels]))
        )
        self.pool = nn.MaxPool2d(2)
        self.pool_norm = nn.ModuleList(self._norm(inputs) for inputs in channels[:-1])
        self.pool_dropout = nn.ModuleList(
            Dropout(dropout * self.FIRST_DROPOUT if i == 0 else dropout)
            for i in range(self.POOLINGS)
        )
        channels.reverse()
        self.grow = nn.ModuleList(
            TransposedConv(inputs, outputs) for inputs, outputs in pairwise(channels)
        )
        self.skip_norm = nn.ModuleList(self._norm(2 * outputs) for outputs in channels[1:])
        self.up = nn.ModuleList(self.LEVEL(2 * outputs, outputs) for outputs in channels[1:])
        self.skip_dropout = Dropout(dropout)
        self.head_norm = self._norm(width)
        self.head = nn.Conv2d(width, 1, 1)
        if self.uses_depth:
            # With the weights, so that a member alone can scale the depths of new tiles.
            self.register_buffer("depth_range", torch.tensor([0.0, 1.0]))
        self.apply(_initialise)

    def _norm(self, channels: int) -> nn.Module:
        return nn.BatchNorm2d(channels) if self.NORMALISE_JOINTS else nn.Identity()

    def set_depth_range(self, depths: Tensor) -> None:
        if self.uses_depth:
            self.depth_range.copy_(torch.stack([depths.min(), depths.max()]))

    def logits(self, images: Tensor, depths: Tensor | None) -> Tensor:
        x, skips = images, []
        for i, level in enumerate(self.down):
            if i:
                x = self.pool_dropout[i - 1](self.pool_norm[i - 1](self.pool(x)))
            if depths is not None and i in self.depth_levels:
                x = torch.cat([x, self._depth_channel(depths, x)], dim=1)
            x = level(x)
            skips.append(x)
        skips.pop()
        for grow, norm, level in zip(self.grow, self.skip_norm, self.up, strict=True):
            skip = skips.pop()
            # The transposed convolution gives 2n + 1 pixels. An odd size keeps them all ("valid"
            # in Keras), an even one drops the last ("same" in Keras).
            x = grow(x)[..., : skip.shape[-2], : skip.shape[-1]]
            x = level(self.skip_dropout(norm(torch.cat([x, skip], dim=1))))
        return self.head(self.head_norm(x))

    @property
    def stride(self) -> int:
        return 2**self.POOLINGS

    @property
    def receptive_radius(self) -> int:
        return self.RECEPTIVE_RADIUS

    def bottleneck_size(self, height: int, width: int) -> tuple[int, int]:
        return height // 2**self.POOLINGS, width // 2**self.POOLINGS

    def _depth_channel(self, depths: Tensor, x: Tensor) -> Tensor:
        low, high = self.depth_range
        # Training tiles all at one depth could not tell what another one means.
        scaled = torch.where(high > low, (depths - low) / (high - low), 0.0)
        return scaled.to(x.dtype)[:, None, None, None].expand(-1, 1, *x.shape[-2:])


class ResidualUNet(UNet):
    """U-Net of residual levels.

    Sizes and channels as the plain one's; eighteen residual blocks, two a level. No normalisation
    but the levels' own, and half the dropout after the first pooling. With width 16 it is the
    network of AlbertoSabater/Kaggle-Salt-Identification-Challenge: 5,112,497 trainable parameters.
    """

    LEVEL = ResidualLevel
    NORMALISE_JOINTS = False
    RECEPTIVE_RADIUS = 260
    FIRST_DROPOUT = 0.5


def _initialise(module: nn.Module) -> None:
    # As Keras does, in which the network was first written (Glorot and Bengio 2010).
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
