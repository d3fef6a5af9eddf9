"""Random flips, rotation, shifts and zoom of a whole batch, image and mask in one resampling."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Augmentation:
    """How far a tile may be moved; the configuration's section ``augmentation``.

    horizontal_flip, vertical_flip: whether half of the tiles are mirrored along that axis
    rotation: greatest angle, in degrees either way
    shift: greatest shift along each axis, as a share of the tile's side, either way
    zoom: least and greatest side of the window that is seen, as a share of the tile's side; drawn
        for each axis by itself, as Keras does
    """

    horizontal_flip: bool
    vertical_flip: bool
    rotation: float
    shift: float
    zoom: tuple[float, float]

    def draw(self, count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
        """One affine map per tile, from output to input coordinates: float32 (count, 2, 3).

        Coordinates are those of torch.nn.functional.affine_grid: x then y, from -1 to 1 between
        the outer edges of the tile. Always draws the same count of random numbers, so that a
        switch changes nothing but what it switches.
        """

        def uniform(low: float, high: float) -> Tensor:
            return torch.rand(count, generator=generator) * (high - low) + low

        def sign(flip: bool) -> Tensor:
            coin = torch.rand(count, generator=generator) < 0.5
            return torch.where(coin & flip, -1.0, 1.0)

        angle = uniform(-math.radians(self.rotation), math.radians(self.rotation))
        # Coordinates span 2, so a share s of the side is a shift of 2 s.
        shift_x = uniform(-2 * self.shift, 2 * self.shift)
        shift_y = uniform(-2 * self.shift, 2 * self.shift)
        zoom_x = uniform(*self.zoom) * sign(self.horizontal_flip)
        zoom_y = uniform(*self.zoom) * sign(self.vertical_flip)
        # The rotation is one of pixels: on an oblong tile x and y have different units.
        aspect = width / height
        rows = [
            [zoom_x * angle.cos(), -zoom_y * angle.sin() / aspect, shift_x],
            [zoom_x * angle.sin() * aspect, zoom_y * angle.cos(), shift_y],
        ]
        return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)


def warp(images: Tensor, masks: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
    """Resample images and masks, both float32 (batch, 1, height, width), by one map per tile.

    Bilinear, mirrored at the tile's edges; a mask pixel is salt where more than half of it is.
    """
    both = torch.cat([images, masks], dim=1)
    grid = F.affine_grid(maps.to(both.device), list(both.shape), align_corners=False)
    both = F.grid_sample(both, grid, padding_mode="reflection", align_corners=False)
    return both[:, :1], (both[:, 1:] > 0.5).float()
