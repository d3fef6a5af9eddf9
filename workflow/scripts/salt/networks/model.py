"""Networks from tile to logits."""

from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_input

from salt.core.errors import InputError
from salt.networks.efficientnet import VARIANTS, Encoder

# Levels whose input gets the tile's depth as a channel, by the configuration's model.depth.
DEPTH_LEVELS = {"none": (), "first_pool": (1,), "bottleneck": (4,), "both": (1, 4)}
LEAST = 16  # pixels a side of a tile
HYPERCOLUMN = 16  # channels of each level but the last


class Dropout(nn.Dropout):
    """Dropout whose random numbers a CPU draws four at a time.

    PyTorch's own draws them one by one on most CPUs, which took a fifth of a training step. Sixteen
    bits decide on each value, so that the rate is met to within 1 / 131072.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or not self.training or not self.p:
            return super().forward(x)
        kept = torch.empty_like(x)
        flat = kept.as_strided((kept.numel(),), (1,))
        bits = torch.empty(-(-len(flat) // 4), dtype=torch.int64).random_(-(2**63), None)
        least = min(round(self.p * 2**16), 2**16 - 1) - 2**15
        torch.ge(bits.view(torch.int16)[: len(flat)], least, out=flat)
        return x * kept.mul_(1 / (1 - self.p))


class Grow(nn.ConvTranspose2d):
    """3x3 transposed convolution of stride 2, from n to 2n + 1 pixels a side."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return super().forward(x)
        # The gradient of a convolution, which it is by definition, has a fast kernel in bf16.
        size = (len(x), self.out_channels, *(2 * side + 1 for side in x.shape[-2:]))
        grown = conv2d_input(size, self.weight.to(x.dtype), x, stride=2)
        return grown.add_(self.bias.to(x.dtype)[:, None, None])


class BNReLU(nn.Sequential):
    """Batch normalisation and ReLU."""

    def __init__(self, channels: int):
        super().__init__(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


class ConvBNReLU(nn.Sequential):
    """3x3 convolution, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), *BNReLU(outputs))


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
            F.interpolate(reduce(level), last.shape[-2:], mode="bilinear", align_corners=False)
            for reduce, level in zip(self.reduce, coarse, strict=True)
        ]
        return torch.cat([last, *grown], dim=1)


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


class UNet(nn.Module):
    """Plain U-Net (Ronneberger et al. 2015, arXiv:1505.04597) at the tile's own size.

    Four 2x2 poolings halve the size, rounding down (101, 50, 25, 12, 6); four transposed
    convolutions of stride 2 bring it back, so that nothing is resized or padded. Nine levels of two
    convolutions; ``width`` channels at full size, doubled at each level down. Batch normalisation
    and dropout after each pooling and each concatenation, and once more before the head.

    It is the network that AlbertoSabater/Kaggle-Salt-Identification-Challenge began with, but for
    its faults: there the tiles were resized to 128x128, and two of the transposed convolutions took
    the encoder's output, so that what the levels below them had made was lost.

    Args:
        width: channels of the first level.
        dropout: rate of dropout, in [0, 1).
        depth: where a channel of the tile's depth is added: ``none``, after the ``first_pool``, at
            the ``bottleneck``, which is after the last one, or ``both``.
    """

    POOLINGS = 4
    LEVEL = PlainLevel
    NORMALISE_JOINTS = True
    FIRST_DROPOUT = 1.0  # rate after the first pooling, as a share of the others'

    def __init__(self, width: int, dropout: float, depth: str = "none"):
        super().__init__()
        channels = [width * 2**i for i in range(self.POOLINGS + 1)]
        self.depth_levels = DEPTH_LEVELS[depth]
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
        self.grow = nn.ModuleList(Grow(inputs, outputs) for inputs, outputs in pairwise(channels))
        self.skip_norm = nn.ModuleList(self._norm(2 * outputs) for outputs in channels[1:])
        self.up = nn.ModuleList(self.LEVEL(2 * outputs, outputs) for outputs in channels[1:])
        self.skip_dropout = Dropout(dropout)
        self.head_norm = self._norm(width)
        self.head = nn.Conv2d(width, 1, 1)
        if self.depth_levels:
            # With the weights, so that a member alone can scale the depths of new tiles.
            self.register_buffer("depth_range", torch.tensor([0.0, 1.0]))
        self.apply(_initialise)

    def _norm(self, channels: int) -> nn.Module:
        return nn.BatchNorm2d(channels) if self.NORMALISE_JOINTS else nn.Identity()

    def set_depth_range(self, depths: Tensor) -> None:
        """Scale depths from now on so that these, float32 (tiles), span 0 to 1."""
        if self.depth_levels:
            self.depth_range.copy_(torch.stack([depths.min(), depths.max()]))

    def forward(self, images: Tensor, depths: Tensor | None = None) -> Tensor:
        """Logits (batch, 1, height, width) of images of that shape in [0, 1].

        A network with depth needs the tiles' depths, float32 (batch), in the unit of its range.

        Raises InputError for images smaller than 16 pixels, which four poolings would use up, and
        for a network with depth that gets none.
        """
        _refuse_small(images)
        if self.depth_levels and depths is None:
            raise InputError("this network was trained with the tiles' depths; give them, too")
        x, skips = images, []
        for i, level in enumerate(self.down):
            if i:
                x = self.pool_dropout[i - 1](self.pool_norm[i - 1](self.pool(x)))
            if i in self.depth_levels:
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
    FIRST_DROPOUT = 0.5


def _refuse_small(images: Tensor) -> None:
    if min(images.shape[-2:]) < LEAST:
        raise InputError(
            f"expected tiles of at least {LEAST} pixels a side, "
            f"found {images.shape[-1]}x{images.shape[-2]}"
        )


def _initialise(module: nn.Module) -> None:
    # As Keras does, in which the network was first written (Glorot and Bengio 2010).
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


class EfficientNetUNet(nn.Module):
    """U-Net whose encoder is an EfficientNet-Lite.

    A tile is padded by reflection to a whole number of the encoder's strides, and enlarged where
    ``scale`` is 2. The decoder ends at half the size of what the encoder sees: with ``scale`` 2
    that is the tile's own; with 1 four channels become the four pixels of each place (Shi et al.
    2016, arXiv:1609.05158). Logits are of the tile's own pixels.

    Args:
        variant: of the encoder, 0, 1 or 2.
        width: channels of the decoder's finest level, doubled at the next and at the second one.
        dropout: rate before the head, in [0, 1).
        scale: how many times tiles are enlarged, 1 or 2.
        hypercolumn: whether the head sees all levels of the decoder, not the finest alone.
    """

    STRIDE = 32
    POOLINGS = 4

    def __init__(self, variant: int, width: int, dropout: float, scale: int, hypercolumn: bool):
        super().__init__()
        self.scale = scale
        self.encoder = Encoder(variant)
        skips = self.encoder.channels[-2::-1]
        channels = [4 * width, 4 * width, 2 * width, width]
        self.levels = nn.ModuleList(
            nn.Sequential(ConvBNReLU(inputs + skip, outputs), ConvBNReLU(outputs, outputs))
            for inputs, skip, outputs in zip(
                [self.encoder.channels[-1], *channels], skips, channels, strict=False
            )
        )
        self.hypercolumn = Hypercolumn(channels) if hypercolumn else None
        seen = self.hypercolumn.channels if hypercolumn else width
        self.head = nn.Sequential(
            Dropout(dropout), ConvBNReLU(seen, width), nn.Conv2d(width, (2 // scale) ** 2, 1)
        )

    def forward(self, images: Tensor, depths: Tensor | None = None) -> Tensor:
        """Logits (batch, 1, height, width) of images of that shape in [0, 1].

        Raises InputError for images smaller than 16 pixels, as the other networks do.
        """
        _refuse_small(images)
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

    def set_depth_range(self, depths: Tensor) -> None:
        """Nothing: this network does not use depths."""

    def _framed(self, images: Tensor) -> tuple[int, int, Tensor]:
        multiple = self.STRIDE // self.scale
        missing = [-side % multiple for side in images.shape[-2:]]
        top, left = (each // 2 for each in missing)
        x = F.pad(images, (left, missing[1] - left, top, missing[0] - top), mode="reflect")
        if self.scale > 1:
            x = F.interpolate(x, scale_factor=float(self.scale), mode="bilinear")
        return top, left, x


MODELS = {
    "unet": UNet,
    "residual_unet": ResidualUNet,
    **{f"efficientnet_lite{i}_unet": partial(EfficientNetUNet, i) for i in VARIANTS},
}


def build(
    name: str,
    *,
    depth: str = "none",
    scale: int = 1,
    hypercolumn: bool = False,
    **settings,
) -> nn.Module:
    """The network of the configuration's section ``model``."""
    if name in ("unet", "residual_unet"):
        return MODELS[name](depth=depth, **settings)
    return MODELS[name](scale=scale, hypercolumn=hypercolumn, **settings)


def images_to_input(images: Tensor) -> Tensor:
    """Network input: uint8 images (batch, 1, height, width) as float32 in [0, 1]."""
    return images.float().div_(255)
