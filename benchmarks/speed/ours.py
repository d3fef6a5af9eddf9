"""This project's training and prediction, called the way its stages call them."""

import os
import time
from collections.abc import Callable
from itertools import count

import numpy as np
import torch
from survey import tiles_and_masks

from saltseg.device.compute import Compute
from saltseg.ensemble.predictions import save
from saltseg.inference.predict import predict
from saltseg.inference.runtimes import for_inference
from saltseg.settings.config import AugmentationSettings, ComputeSettings, TrainingSettings
from saltseg.training.augmentation import Augmentation
from saltseg.training.data import Labelled
from saltseg.training.trainer import Trainer, TrainingJob

TILE = (101, 101)
AUGMENTATION = Augmentation(AugmentationSettings())
# The optimiser of the implementations that it is compared with.
ADAM = {"optimiser": "adam", "weight_decay": 0, "schedule": "plateau", "learning_rate": 1e-3}
RECIPE = TrainingSettings(**ADAM, passes_per_epoch=1, windows_per_epoch=1)
MODEL = {"name": "residual_unet", "dropout": 0.5, "depth": "none"}
CORES = os.cpu_count() or 1
PRECISION = "auto"


def select(deterministic: bool = True) -> Compute:
    settings = ComputeSettings(precision=PRECISION, threads=CORES, deterministic=deterministic)
    return Compute.select(settings, runtime="auto")


def member(
    survey: str,
    width: int,
    tiles: int,
    batch_size: int,
    trainer: type[Trainer] = Trainer,
    model: dict = MODEL,
    recipe: TrainingSettings = RECIPE,
    augmentation: Augmentation = AUGMENTATION,
    deterministic: bool = True,
) -> Trainer:
    """Return a trainer of a network, built, with the first tiles of a survey."""
    compute = select(deterministic)
    images, masks = tiles_and_masks(survey, tiles)
    put = [
        torch.from_numpy(a.astype(np.uint8)).unsqueeze(1).to(compute.device)
        for a in (images, masks)
    ]
    labelled = Labelled(*put, torch.zeros(tiles, device=compute.device))
    job = TrainingJob(
        training=labelled,
        validation=labelled,
        recipe=recipe.model_copy(update={"batch_size": batch_size}),
        augmentation=augmentation,
        model={**model, "width": width},
        seed=0,
    )
    made = trainer(job, compute)
    made.build()
    return made


def training(
    survey: str, batch_size: int, width: int = 16, tiles: int = 128, model: dict = MODEL
) -> Callable[[], int]:
    """Train an epoch, from drawing the order of tiles to reading the losses."""
    trainer, numbers = member(survey, width, tiles, batch_size, model=model), count(1)

    def repeat() -> int:
        trainer.train_epoch(next(numbers))
        return tiles

    return repeat


def shares(survey: str, batch_size: int, width: int = 16, tiles: int = 128) -> Callable[[], dict]:
    """Measure the share of an epoch spent outside forward, loss, backward and step."""
    spent = {"model": 0.0}

    def timed(function):
        def call(*args, **kwargs):
            started = time.perf_counter()
            result = function(*args, **kwargs)
            spent["model"] += time.perf_counter() - started
            return result

        return call

    class Timed(Trainer):
        def loss(self, number):
            return timed(super().loss(number))

    trainer, numbers = member(survey, width, tiles, batch_size, Timed), count(1)
    # CPU calls are synchronous; a GPU would need synchronisation here.
    trainer.network.forward = timed(trainer.network.forward)
    trainer.progress.optimiser.step = timed(trainer.progress.optimiser.step)
    torch.Tensor.backward = timed(torch.Tensor.backward)

    def repeat() -> dict:
        spent["model"], started = 0.0, time.perf_counter()
        trainer.train_epoch(next(numbers))
        training = 1 - spent["model"] / (time.perf_counter() - started)
        spent["model"], started = 0.0, time.perf_counter()
        trainer.evaluate(1)
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
    trainer = member(survey, width, 1, batch_size)
    network = for_inference(trainer.network.eval(), trainer.compute)
    images, _ = tiles_and_masks(survey, tiles)
    ids = [str(number) for number in range(tiles)]

    def repeat() -> int:
        batches = predict(network, images, None, trainer.compute, batch_size=batch_size, flip=True)
        save(output, ids, TILE, batches)
        return tiles

    return repeat
