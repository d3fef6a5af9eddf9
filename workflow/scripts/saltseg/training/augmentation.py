"""Random flips, rotation, shifts, zoom, tones and gain of a batch.

Image and mask are resampled once, together.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from saltseg.settings.config import AugmentationSettings
from saltseg.settings.plugins import AUGMENTATIONS

# Of gain control: pixels down a trace, as of its windows in seismic processing; the mean amplitude
# that it aims at, and what is added to the one that it finds; all in fractions of the value range.
GAIN_WINDOW, GAIN_TARGET, GAIN_FLOOR = 25, 0.15, 0.02


@dataclass(frozen=True)
class Augmentation:
    """Random transforms, in the ranges of the configuration's section ``augmentation``.

    Each axis is zoomed independently, as in Keras.
    """

    ranges: AugmentationSettings

    @property
    def retones(self) -> bool:
        """Whether pixel values change, in addition to positions."""
        return bool(self.ranges.brightness or self.ranges.contrast)

    def draw(
        self, count: int, height: int, width: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draw the random parameters of ``apply`` for ``count`` tiles."""
        maps = self.draw_maps(count, height, width, generator)
        tones = self.draw_tones(count, generator)
        controlled = torch.rand(count, generator=generator) < self.ranges.gain_control
        return maps, tones, controlled

    def draw_maps(self, count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
        """Draw an affine map per tile, from output to input coordinates: float32 (count, 2, 3).

        Coordinates follow torch.nn.functional.affine_grid: x then y, from -1 to 1 between the
        outer edges of the tile. The number of random draws is fixed, so that switching one
        transform on or off leaves the others unchanged.
        """

        def uniform(low: float, high: float) -> Tensor:
            return torch.rand(count, generator=generator) * (high - low) + low

        def sign(flip: bool) -> Tensor:
            coin = torch.rand(count, generator=generator) < 0.5
            return torch.where(coin & flip, -1.0, 1.0)

        angle = uniform(-math.radians(self.ranges.rotation), math.radians(self.ranges.rotation))
        # Coordinates span 2, so a fraction s of the side is a shift of 2 s.
        shift_x = uniform(-2 * self.ranges.shift, 2 * self.ranges.shift)
        shift_y = uniform(-2 * self.ranges.shift, 2 * self.ranges.shift)
        zoom_x = uniform(*self.ranges.zoom) * sign(self.ranges.horizontal_flip)
        zoom_y = uniform(*self.ranges.zoom) * sign(self.ranges.vertical_flip)
        # Rotate in pixel units: on a non-square tile, x and y have different units.
        aspect = width / height
        cos, sin = angle.cos(), angle.sin()
        rows = [
            [zoom_x * cos, zoom_y * -sin / aspect, shift_x],
            [zoom_x * sin * aspect, zoom_y * cos, shift_y],
        ]
        return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)

    def draw_tones(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw the brightness and contrast changes for ``retone``: float32 (count, 2)."""
        free = torch.rand(count, 2, generator=generator)
        low = torch.tensor([-self.ranges.brightness, 1 - self.ranges.contrast])
        high = torch.tensor([self.ranges.brightness, 1 + self.ranges.contrast])
        return free * (high - low) + low

    def apply(
        self, images: Tensor, masks: Tensor, maps: Tensor, tones: Tensor, controlled: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Warp images and masks, change the images' values, and apply what plugins add.

        Both are float32 (batch, 1, height, width).
        """
        images, masks = warp(images, masks, maps)
        images = retone(images, tones) if self.retones else images
        images = control_gain(images, controlled) if self.ranges.gain_control else images
        for name in self.ranges.extra:
            images, masks = AUGMENTATIONS[name](images, masks)
        return images, masks


def warp(images: Tensor, masks: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
    """Resample images and masks, both float32 (batch, 1, height, width), with a map per tile.

    Bilinear with reflection padding; mask pixels above 0.5 are salt.
    """
    both = torch.cat([images, masks], dim=1)
    grid = F.affine_grid(maps.to(both.device), list(both.shape), align_corners=False)
    both = F.grid_sample(both, grid, padding_mode="reflection", align_corners=False)
    return both[:, :1], (both[:, 1:] > 0.5).float()


def retone(images: Tensor, tones: Tensor) -> Tensor:
    """Change the values of images, float32 (batch, 1, height, width) in [0, 1].

    Args:
        tones: float32 (batch, 2): offset, and factor of the distance from mid-grey.
    """
    added, factor = tones.to(images.device).t()[..., None, None, None]
    return ((images - 0.5) * factor + 0.5 + added).clamp(0, 1)


def control_gain(images: Tensor, controlled: Tensor) -> Tensor:
    """Even out the loudness of some images down each trace, as automatic gain control does.

    Args:
        images: float32 (batch, 1, height, width) in [0, 1]; mid-grey is an amplitude of 0.
        controlled: bool (batch), those to change.
    """
    amplitudes = images - 0.5
    power = F.avg_pool2d(
        amplitudes.square(),
        (GAIN_WINDOW, 1),
        stride=1,
        padding=(GAIN_WINDOW // 2, 0),
        count_include_pad=False,
    )
    evened = amplitudes * (GAIN_TARGET / (power.sqrt() + GAIN_FLOOR)) + 0.5
    return torch.where(controlled[:, None, None, None], evened.clamp(0, 1), images)
