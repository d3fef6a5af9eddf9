"""What members are trained on and validated on."""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from saltseg.core.errors import InputError
from saltseg.ensemble.pseudo_labels import PseudoLabels
from saltseg.settings.config import TrainingSettings
from saltseg.survey.tiles import Tiles


class TrainingData(Protocol):
    """What a member can be trained on: tiles, or windows of a volume's lines."""

    @property
    def depths(self) -> Tensor:
        """Depths of all tiles, float32."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a tile."""

    def visits(self, recipe: TrainingSettings) -> float:
        """Return how many tiles an epoch sees."""

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw tiles, int64 (count)."""

    def take(self, rows: Tensor, /) -> tuple[Tensor, Tensor, Tensor]:
        """Return images, masks and depths of the tiles drawn."""


@dataclass(frozen=True)
class Labelled:
    """Labelled tiles on a device.

    images, masks: uint8, both (tiles, 1, height, width)
    depths: float32 (tiles)
    """

    images: Tensor
    masks: Tensor
    depths: Tensor

    @classmethod
    def load(cls, tiles: Tiles, rows: np.ndarray, device: torch.device) -> "Labelled":
        """Those tiles of a part that a boolean mask (tiles) chooses."""
        return cls._put(tiles.images[rows], tiles.masks[rows], tiles.depths[rows], device)

    @classmethod
    def of(cls, pseudo: PseudoLabels, tiles: Tiles, device: torch.device) -> "Labelled":
        """Tiles of an unlabelled part with their pseudo-labels.

        Raises InputError if the labels are of other tiles.
        """
        rows = pd.Index(tiles.ids).get_indexer(pseudo.ids)
        if (rows < 0).any() or pseudo.masks.shape[1:] != tiles.images.shape[1:]:
            raise InputError(
                f"{pseudo.path}: labels tiles other than those of {tiles.path}; delete it"
            )
        return cls._put(tiles.images[rows], pseudo.masks[:], tiles.depths[rows], device)

    @classmethod
    def _put(
        cls, images: np.ndarray, masks: np.ndarray, depths: np.ndarray, device: torch.device
    ) -> "Labelled":
        pictures, labels = (
            torch.from_numpy(each.astype(np.uint8)).unsqueeze(1).to(device)
            for each in (images, masks)
        )
        return cls(pictures, labels, torch.from_numpy(depths).to(device))

    def __add__(self, other: "Labelled") -> "Labelled":
        """These tiles, then others with pseudo-labels; InputError if they have another size."""
        if self.size != other.size:
            (height, width), (rows, columns) = self.size, other.size
            raise InputError(
                f"self_training.rounds: test tiles have {columns}x{rows} pixels, labelled tiles "
                f"{width}x{height}; use test tiles of that size, or set it to 0"
            )
        return Labelled(
            torch.cat([self.images, other.images]),
            torch.cat([self.masks, other.masks]),
            torch.cat([self.depths, other.depths]),
        )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a tile."""
        height, width = self.images.shape[-2:]
        return height, width

    def visits(self, recipe: TrainingSettings) -> float:
        """Return how many tiles an epoch sees."""
        return len(self) * recipe.passes_per_epoch

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw tiles, int64 (count): random orders of all, one after another."""
        tiles = len(self)
        orders = [
            torch.randperm(tiles, generator=generator) for _ in range(math.ceil(count / tiles))
        ]
        return torch.cat(orders)[:count]

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return images, masks and depths of the tiles drawn."""
        return self.images[rows], self.masks[rows], self.depths[rows]
