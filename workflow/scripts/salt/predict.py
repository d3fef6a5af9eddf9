"""Probabilities of tiles from one member."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from salt import model
from salt.compute import Compute


@torch.inference_mode()
def predict(
    network: nn.Module, images: np.ndarray, compute: Compute, *, batch_size: int, flip: bool
) -> Iterator[np.ndarray]:
    """Probabilities of uint8 images (tiles, height, width), batch by batch as float32.

    With ``flip``, the mean over the tile and its mirror image, left to right, turned back.
    """
    network.eval()
    for start in tqdm(range(0, len(images), batch_size), unit="batch", disable=None, leave=False):
        batch = torch.from_numpy(np.array(images[start : start + batch_size])).unsqueeze(1)
        tiles = model.images_to_input(batch.to(compute.device))
        if flip:
            tiles = torch.cat([tiles, tiles.flip(-1)])
        with compute.autocast():
            logits = network(tiles.contiguous(memory_format=torch.channels_last))
        probabilities = torch.sigmoid(logits[:, 0].float())
        if flip:
            straight, mirrored = probabilities.chunk(2)
            probabilities = (straight + mirrored.flip(-1)) / 2
        yield probabilities.cpu().numpy()
