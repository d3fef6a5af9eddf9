"""This project's own steps, called as its stages call them."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from salt import losses, model, rle, threshold, train
from salt.augmentation import Augmentation
from salt.compute import Compute
from salt.import_test import import_test
from salt.predict import predict
from salt.predictions import Predictions, load_all, save
from salt.source import Source
from salt.submission import write_submission

TILE = (101, 101)
AUGMENTATION = Augmentation(
    horizontal_flip=True, vertical_flip=False, rotation=15, shift=0.1, zoom=(0.9, 1.2)
)
MODEL = {"name": "residual_unet", "dropout": 0.5, "depth": "none"}
CORES = os.cpu_count() or 1


def tiles_and_masks(survey: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images, uint8, and masks, bool, both (count, 101, 101)."""
    with np.load(survey) as arrays:
        rows = np.arange(count) % len(arrays["images"])
        return arrays["images"][rows], arrays["masks"][rows]


def select(precision: str = "auto") -> Compute:
    return Compute.select(device="auto", precision=precision, threads=CORES, deterministic=True)


def member(survey: str, width: int, tiles: int, precision: str = "auto"):
    """A network on the device, its optimiser, and the tiles it trains on."""
    compute = select(precision)
    torch.manual_seed(0)
    network = model.build(width=width, **MODEL)
    network.to(compute.device, memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(network.parameters(), fused=True)
    images, masks = tiles_and_masks(survey, tiles)
    put = [
        torch.from_numpy(a.astype(np.uint8)).unsqueeze(1).to(compute.device)
        for a in (images, masks)
    ]
    labelled = train.Labelled(*put, torch.zeros(tiles, device=compute.device))
    return compute, network, optimiser, labelled


def training(
    survey: str, batch_size: int, width: int = 16, tiles: int = 128, precision: str = "auto"
) -> Callable[[], int]:
    """An epoch, from the drawing of its order to the reading of its losses."""
    compute, network, optimiser, labelled = member(survey, width, tiles, precision)
    generator = torch.Generator().manual_seed(0)

    def repeat() -> int:
        order = torch.randperm(tiles, generator=generator)
        maps = AUGMENTATION.draw(tiles, *TILE, generator)
        train.train_epoch(
            network,
            optimiser,
            labelled,
            order.to(compute.device).split(batch_size),
            maps.to(compute.device).split(batch_size),
            losses.bce_dice,
            batch_size,
            compute,
            tqdm(disable=True),
        )
        return tiles

    return repeat


def shares(survey: str, batch_size: int, width: int = 16, tiles: int = 128) -> Callable[[], dict]:
    """Where an epoch's time goes: the model's own (forward, loss, backward, step), and the rest."""
    compute, network, optimiser, labelled = member(survey, width, tiles)
    generator = torch.Generator().manual_seed(0)
    spent = {"model": 0.0}

    def timed(function):
        def call(*args, **kwargs):
            started = time.perf_counter()
            result = function(*args, **kwargs)
            spent["model"] += time.perf_counter() - started
            return result

        return call

    # On a CPU a call ends when its work is done; a GPU would have to be waited for.
    network.forward = timed(network.forward)
    optimiser.step = timed(optimiser.step)
    loss = timed(losses.bce_dice)
    torch.Tensor.backward = timed(torch.Tensor.backward)

    def repeat() -> dict:
        spent["model"], started = 0.0, time.perf_counter()
        order = torch.randperm(tiles, generator=generator)
        maps = AUGMENTATION.draw(tiles, *TILE, generator)
        parts = (order.split(batch_size), maps.split(batch_size))
        train.train_epoch(
            network, optimiser, labelled, *parts, loss, batch_size, compute, tqdm(disable=True)
        )
        training = 1 - spent["model"] / (time.perf_counter() - started)
        spent["model"], started = 0.0, time.perf_counter()
        train.evaluate(network, labelled, loss, batch_size, compute)
        validation = 1 - spent["model"] / (time.perf_counter() - started)
        return {"tiles": tiles, "training": training, "validation": validation}

    return repeat


def prediction(
    survey: str,
    output: str,
    batch_size: int,
    width: int = 16,
    tiles: int = 128,
    precision: str = "auto",
) -> Callable[[], int]:
    """Tiles predicted with both flips, and written to disk."""
    compute, network, _, _ = member(survey, width, 1, precision)
    images, _ = tiles_and_masks(survey, tiles)
    ids = [str(number) for number in range(tiles)]

    def repeat() -> int:
        batches = predict(
            network, images, None, compute, batch_size=batch_size, flip=True, bar=False
        )
        save(output, ids, TILE, batches)
        return tiles

    return repeat


def importing(source: str) -> Callable[[], int]:
    """Test tiles decoded and checked, from PNG files in a zip to one array."""

    def repeat() -> int:
        with Source(source) as files:
            return len(import_test(files)[1])

    return repeat


def members_and_masks(survey: str, folder: str, members: int, tiles: int):
    paths = [Path(folder) / f"{tiles}/{number}.npy" for number in range(members)]
    ids = Predictions.load(paths[0]).ids
    return load_all(paths, ids), ids, tiles_and_masks(survey, tiles)[1]


def thresholding(survey: str, folder: str, members: int, tiles: int) -> Callable[[], dict]:
    """The best threshold of the members' mean, and its score."""

    def repeat() -> dict:
        opened, ids, masks = members_and_masks(survey, folder, members, tiles)
        curve = threshold.steps_of_members(opened, ids, masks).curve(np.ones(tiles, dtype=bool))
        best = curve.best()
        return {"tiles": tiles, "threshold": best, "score": curve.score(best)}

    return repeat


def submitting(folder: str, members: int, tiles: int, output: str) -> Callable[[], int]:
    """Members averaged, thresholded, encoded, written and read back."""
    paths = [Path(folder) / f"{tiles}/{number}.npy" for number in range(members)]
    ids = Predictions.load(paths[0]).ids

    def repeat() -> int:
        write_submission(output, ids, load_all(paths, ids), 0.5)
        return tiles

    return repeat


def encoding(survey: str, tiles: int) -> Callable[[], int]:
    _, masks = tiles_and_masks(survey, tiles)

    def repeat() -> int:
        for mask in masks:
            rle.encode(mask)
        return tiles

    return repeat
