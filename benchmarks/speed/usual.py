"""Training and prediction as a typical PyTorch user would write them."""

import os
from collections.abc import Callable

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import albumentations
import numpy as np
import ours
import torch
from survey import tiles_and_masks
from torch import nn
from torch.utils.data import DataLoader, Dataset

from saltseg.networks import model
from saltseg.networks.cpu_kernels import Dropout, TransposedConv
from saltseg.training import losses


class TileDataset(Dataset):
    """Dataset that augments each tile when it is requested."""

    def __init__(self, images: np.ndarray, masks: np.ndarray, augment: bool):
        self.images, self.masks = images, masks.astype(np.uint8)
        self.augment = augmentation() if augment else None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        image, mask = self.images[row], self.masks[row]
        if self.augment:
            moved = self.augment(image=image, mask=mask)
            image, mask = moved["image"], moved["mask"]
        return torch.from_numpy(image)[None].float() / 255, torch.from_numpy(mask)[None].float()


def augmentation() -> albumentations.Compose:
    return albumentations.Compose(
        [
            albumentations.HorizontalFlip(p=0.5),
            albumentations.Affine(
                rotate=(-15, 15),
                translate_percent=(-0.1, 0.1),
                # Of the content, where ours is of the window.
                scale=(1 / 1.2, 1 / 0.9),
                border_mode=4,  # mirrored
                p=1,
            ),
        ]
    )


def network(width: int, settings: dict = ours.MODEL) -> nn.Module:
    """Return the same network with only PyTorch's own layers."""
    built = model.build(**settings | {"width": width})
    for module in built.modules():
        if isinstance(module, Dropout | TransposedConv):
            # Both are only faster implementations of the same operation.
            module.__class__ = type(module).__mro__[1]
    return built


def training(
    survey: str,
    batch_size: int,
    width: int = 16,
    tiles: int = 128,
    model: dict = ours.MODEL,
) -> Callable[[], int]:
    device = ours.select().device
    net = network(width, model).to(device)
    optimiser = torch.optim.Adam(net.parameters())
    dataset = TileDataset(*tiles_and_masks(survey, tiles), augment=True)
    loader = DataLoader(
        dataset, batch_size, shuffle=True, num_workers=ours.CORES, persistent_workers=True
    )

    def repeat() -> int:
        net.train()
        total = 0.0
        for images, masks in loader:
            loss = losses.bce_dice(net(images.to(device)), masks.to(device))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item()
        return tiles

    return repeat


def prediction(
    survey: str, output: str, batch_size: int, width: int = 16, tiles: int = 128
) -> Callable[[], int]:
    device = ours.select().device
    net = network(width).to(device).eval()
    dataset = TileDataset(*tiles_and_masks(survey, tiles), augment=False)
    loader = DataLoader(dataset, batch_size, num_workers=ours.CORES, persistent_workers=True)

    @torch.no_grad()
    def repeat() -> int:
        found = []
        for images, _ in loader:
            images = images.to(device)
            straight = torch.sigmoid(net(images))
            mirrored = torch.sigmoid(net(images.flip(-1))).flip(-1)
            found.append(((straight + mirrored) / 2)[:, 0].cpu().numpy())
        np.save(output, np.concatenate(found))
        return tiles

    return repeat
