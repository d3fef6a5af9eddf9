"""What a user would write instead: PyTorch's own way, and the plain versions of the rest."""

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import albumentations
import numpy as np
import ours
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

from salt import losses, metric, model
from salt.predictions import SCALE


class TileDataset(Dataset):
    """Tiles that are augmented one by one, each time they are asked for."""

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


def network(width: int) -> nn.Module:
    """The same network of PyTorch's own layers only."""
    built = model.build(width=width, **ours.MODEL)
    for module in built.modules():
        if isinstance(module, model.Dropout | model.Grow):
            # Both add nothing but a faster way to compute the same.
            module.__class__ = type(module).__mro__[1]
    return built


def training(survey: str, batch_size: int, width: int = 16, tiles: int = 128) -> Callable[[], int]:
    device = ours.select("fp32").device
    net = network(width).to(device)
    optimiser = torch.optim.Adam(net.parameters())
    dataset = TileDataset(*ours.tiles_and_masks(survey, tiles), augment=True)
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
    device = ours.select("fp32").device
    net = network(width).to(device).eval()
    dataset = TileDataset(*ours.tiles_and_masks(survey, tiles), augment=False)
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


def importing(source: str) -> Callable[[], int]:
    """One file after another, the first channel of each."""

    def repeat() -> int:
        with zipfile.ZipFile(source) as archive:
            names = [name for name in archive.namelist() if name.startswith("test/images/")]
            pictures = [np.array(Image.open(io.BytesIO(archive.read(name)))) for name in names]
        return len(np.stack([p if p.ndim == 2 else p[..., 0] for p in pictures]))

    return repeat


def thresholding(survey: str, folder: str, members: int, tiles: int) -> Callable[[], dict]:
    """A grid in three steps, 20 evaluations each, from coarse to fine."""

    def repeat() -> dict:
        opened, _, masks = ours.members_and_masks(survey, folder, members, tiles)
        mean = np.mean([m.values for m in opened], axis=0, dtype=np.float32) / SCALE
        low, high = 0.0, 1.0
        for _ in range(3):
            grid = np.linspace(low, high, 20)
            scores = [metric.tile_scores(mean > value, masks).mean() for value in grid]
            best = int(np.argmax(scores))
            low, high = grid[max(best - 1, 0)], grid[min(best + 1, 19)]
        return {"tiles": tiles, "threshold": float(grid[best]), "score": float(max(scores))}

    return repeat


def submitting(folder: str, members: int, tiles: int, output: str) -> Callable[[], int]:
    """All members in memory at once, and a mask encoded pixel by pixel."""
    paths = [Path(folder) / f"{tiles}/{number}.npy" for number in range(members)]

    def repeat() -> int:
        mean = np.mean([np.load(path) for path in paths], axis=0) / SCALE
        with open(output, "w") as file:
            file.write("id,rle_mask\n")
            for number, mask in enumerate(mean > 0.5):
                file.write(f"{number},{encode(mask)}\n")
        return tiles

    return repeat


def encode(mask: np.ndarray) -> str:
    runs, start, length = [], 0, 0
    for place, pixel in enumerate(mask.T.flatten(), start=1):
        if pixel:
            start, length = (start, length + 1) if length else (place, 1)
        elif length:
            runs += [start, length]
            length = 0
    if length:
        runs += [start, length]
    return " ".join(map(str, runs))


def encoding(survey: str, tiles: int) -> Callable[[], int]:
    _, masks = ours.tiles_and_masks(survey, tiles)

    def repeat() -> int:
        for mask in masks:
            encode(mask)
        return tiles

    return repeat
