"""Training on a GPU, its steps prepared in several ways: the residual U-Net and contest.yaml."""

from collections.abc import Callable
from pathlib import Path

import ours
import torch
import yaml

from saltseg.settings.check import complete
from saltseg.training.augmentation import Augmentation
from saltseg.training.trainer import Trainer

# The first is the configuration's default; the second is compute.deterministic: false, the third
# training.compile: true. No key has the last: CUDA graphs, which start a step's kernels at once.
WAYS = ("as configured", "not deterministic", "compiled", "CUDA graphs")
MODES = {"compiled": "default", "CUDA graphs": "reduce-overhead"}
CONTEST = yaml.safe_load((Path(__file__).parents[2] / "config/contest.yaml").read_text())


def residual(survey: str, way: str, batch_size: int, tiles: int) -> Callable[[], int]:
    """Train epochs of the residual U-Net at width 16, from drawing tiles to reading the losses."""
    made = ours.member(survey, 16, tiles, batch_size, deterministic=way != "not deterministic")
    return _epochs(made, way, 1, tiles)


def contest(
    survey: str,
    way: str,
    epoch: int,
    tiles: int,
    batch_size: int = CONTEST["training"]["batch_size"],
) -> Callable[[], int]:
    """Train by the recipe of config/contest.yaml, always as in the same one of its epochs."""
    settings = complete(CONTEST)
    made = ours.member(
        *(survey, CONTEST["model"]["width"], tiles, batch_size),
        model=CONTEST["model"],
        # The weights make no difference to the speed.
        recipe=settings.training.model_copy(update={"pretrained": False}),
        augmentation=Augmentation(settings.augmentation),
        deterministic=way != "not deterministic",
    )
    return _epochs(made, way, epoch, tiles)


def _epochs(trainer: Trainer, way: str, epoch: int, tiles: int) -> Callable[[], int]:
    if way in MODES:
        trainer.progress.stepping = torch.compile(trainer.network, mode=MODES[way])

    def repeat() -> int:
        trainer.train_epoch(epoch)
        return tiles

    return repeat
