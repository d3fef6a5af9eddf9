"""This project's training and prediction, called the way its stages call them."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import yaml
from survey import tiles_and_masks
from tqdm import tqdm

from salt.device.compute import Compute
from salt.ensemble.predictions import save
from salt.inference.predict import predict
from salt.networks import model
from salt.training import losses
from salt.training import trainer as train
from salt.training.augmentation import Augmentation
from salt.training.progress import Progress
from salt.training.recipe import Recipe

TILE = (101, 101)
CONFIG = yaml.safe_load((Path(__file__).parents[2] / "config/config.yaml").read_text())
AUGMENTATION = Augmentation(**CONFIG["augmentation"])
SETTINGS = {key: each for key, each in CONFIG["training"].items() if key != "tensorboard"}
# The optimiser of the implementations that it is compared with.
ADAM = {"optimiser": "adam", "weight_decay": 0, "schedule": "plateau", "learning_rate": 1e-3}
RECIPE = Recipe(**SETTINGS | ADAM)
MODEL = {"name": "residual_unet", "dropout": 0.5, "depth": "none"}
CORES = os.cpu_count() or 1


def select() -> Compute:
    return Compute.select(device="auto", precision="auto", threads=CORES, deterministic=True)


def member(survey: str, width: int, tiles: int):
    """Return the device, a network on it, its training state, and the training tiles."""
    compute = select()
    torch.manual_seed(0)
    network = model.build(width=width, **MODEL)
    network.to(compute.device, memory_format=torch.channels_last)
    images, masks = tiles_and_masks(survey, tiles)
    put = [
        torch.from_numpy(a.astype(np.uint8)).unsqueeze(1).to(compute.device)
        for a in (images, masks)
    ]
    labelled = train.Labelled(*put, torch.zeros(tiles, device=compute.device))
    return compute, network, Progress(network, RECIPE), labelled


def train_epoch(compute, progress, labelled, loss, batch_size: int, generator) -> None:
    order = torch.randperm(len(labelled), generator=generator)
    drawn = (order, *AUGMENTATION.draw(len(labelled), *TILE, generator))
    batches = zip(*(each.to(compute.device).split(batch_size) for each in drawn), strict=True)
    progress.start_epoch()
    train.train_epoch(
        progress,
        labelled,
        list(batches),
        loss,
        AUGMENTATION,
        batch_size,
        compute,
        tqdm(disable=True),
    )


def training(survey: str, batch_size: int, width: int = 16, tiles: int = 128) -> Callable[[], int]:
    """Train an epoch, from drawing the order of tiles to reading the losses."""
    compute, _, progress, labelled = member(survey, width, tiles)
    generator = torch.Generator().manual_seed(0)

    def repeat() -> int:
        train_epoch(compute, progress, labelled, losses.bce_dice, batch_size, generator)
        return tiles

    return repeat


def shares(survey: str, batch_size: int, width: int = 16, tiles: int = 128) -> Callable[[], dict]:
    """Measure the share of an epoch spent outside forward, loss, backward and step."""
    compute, network, progress, labelled = member(survey, width, tiles)
    generator = torch.Generator().manual_seed(0)
    spent = {"model": 0.0}

    def timed(function):
        def call(*args, **kwargs):
            started = time.perf_counter()
            result = function(*args, **kwargs)
            spent["model"] += time.perf_counter() - started
            return result

        return call

    # CPU calls are synchronous; a GPU would need synchronisation here.
    network.forward = timed(network.forward)
    progress.optimiser.step = timed(progress.optimiser.step)
    loss = timed(losses.bce_dice)
    torch.Tensor.backward = timed(torch.Tensor.backward)

    def repeat() -> dict:
        spent["model"], started = 0.0, time.perf_counter()
        train_epoch(compute, progress, labelled, loss, batch_size, generator)
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
) -> Callable[[], int]:
    """Predict tiles with the flip and write the predictions to disk."""
    compute, network, _, _ = member(survey, width, 1)
    images, _ = tiles_and_masks(survey, tiles)
    ids = [str(number) for number in range(tiles)]

    def repeat() -> int:
        batches = predict(
            network, images, None, compute, batch_size=batch_size, flip=True, bar=False
        )
        save(output, ids, TILE, batches)
        return tiles

    return repeat
