"""Predict tiles with one member."""

import math
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np
import torch
from tqdm import tqdm

from saltseg.core.errors import oom_hint
from saltseg.device.compute import Compute
from saltseg.networks import model
from saltseg.networks.network import Network
from saltseg.settings.config import InferenceSettings
from saltseg.survey.tiles import RowRange

Batch = TypeVar("Batch")


def predict(
    network: Network,
    images: np.ndarray | RowRange,
    depths: np.ndarray | None,
    compute: Compute,
    *,
    batch_size: int,
    flip: bool,
) -> Iterator[np.ndarray]:
    """Yield probabilities of uint8 images (tiles, height, width), batch by batch as float32.

    With ``flip``, average over the tile and its horizontal mirror image, mirrored back. Networks
    trained with depths need ``depths``, float32 (tiles).

    Raises InputError if a batch does not fit into memory.
    """
    network.eval()
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        depth = None if depths is None else depths[part]
        with oom_hint("inference.batch_size", batch_size):
            probabilities = predict_batch(network, np.array(images[part]), depth, compute, flip)
        yield probabilities


def predict_all(
    network: Network,
    images: np.ndarray | RowRange,
    depths: np.ndarray,
    compute: Compute,
    inference: InferenceSettings,
) -> Iterable[np.ndarray]:
    """Return what ``predict`` yields, by the section ``inference``, with a bar on a terminal."""
    size = inference.batch_size
    batches = predict(network, images, depths, compute, batch_size=size, flip=inference.flip)
    return show_progress(batches, len(images), size)


def show_progress(batches: Iterator[Batch], tiles: int, batch_size: int) -> Iterable[Batch]:
    """Return batches that show a bar on a terminal while they are used."""
    total = math.ceil(tiles / batch_size)
    return tqdm(batches, total=total, unit="batch", disable=None, leave=False)


@torch.inference_mode()
def predict_batch(
    network: Network,
    images: np.ndarray,
    depths: np.ndarray | None,
    compute: Compute,
    flip: bool,
) -> np.ndarray:
    """Probabilities, float32, of one batch of what ``predict`` takes, in evaluation mode."""
    depth = None if depths is None else torch.from_numpy(depths).to(compute.device)

    def probabilities(tiles: torch.Tensor) -> torch.Tensor:
        with compute.autocast():
            logits = network(tiles.contiguous(memory_format=torch.channels_last), depth)
        return torch.sigmoid(logits[:, 0].float())

    tiles = model.images_to_input(torch.from_numpy(images).to(compute.device).unsqueeze(1))
    found = probabilities(tiles)
    if flip:
        # One after the other: half as much at once stays in a CPU's cache.
        found = (found + probabilities(tiles.flip(-1)).flip(-1)) / 2
    return found.cpu().numpy()
