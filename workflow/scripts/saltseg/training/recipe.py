"""Training settings: the configuration's section ``training``, its optimiser and schedule."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW

OPTIMISERS = {"adam": Adam, "adamw": AdamW}
WARM_UP = 0.2  # share of a one-cycle schedule in which the rate rises


@dataclass(frozen=True)
class Recipe:
    """Keys of section ``training``, all but ``tensorboard``; the schema describes each."""

    epochs: int
    passes_per_epoch: float
    windows_per_epoch: int
    batch_size: int
    micro_batch: int | None
    loss: str
    late_loss: str | None
    late_from: int
    optimiser: str
    weight_decay: float
    schedule: str
    learning_rate: float
    minimum_learning_rate: float
    plateau_patience: int
    stopping_patience: int
    minimum_gain: float
    monitor: str
    pretrained: bool
    encoder_weights: str | None
    frozen_epochs: int
    encoder_rate: float
    compile: bool

    def loss_of(self, epoch: int) -> str:
        """Return the name of the loss used in an epoch, counted from 1."""
        return self.late_loss if self.late_loss and epoch >= self.late_from else self.loss

    def make_optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        """Return the optimiser; each parameter group has its rate's fraction as ``share``."""
        # The decoder first: history.csv records the first group's rate.
        by_share: dict[float, list[Tensor]] = {1.0: []}
        for name, weight in network.named_parameters():
            share = self.encoder_rate if name.startswith("encoder.") else 1.0
            by_share.setdefault(share, []).append(weight)
        groups = [
            {"params": weights, "share": share, "lr": share * self.learning_rate}
            for share, weights in by_share.items()
        ]
        return OPTIMISERS[self.optimiser](groups, weight_decay=self.weight_decay, fused=True)

    def rate_factor(self, done: float) -> float | None:
        """Return the learning rate factor after a fraction ``done`` of all steps, or None."""
        return one_cycle(done) if self.schedule == "one_cycle" else None


def one_cycle(done: float) -> float:
    """Return the fraction of the maximum rate: cosine ramps from 1/25 up to 1 and down to 0.

    Smith and Topin 2017 (arXiv:1708.07120), with the shape of torch.optim.lr_scheduler.OneCycleLR.
    """
    if done < WARM_UP:
        return 1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * done / WARM_UP)) / 2
    return (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))) / 2
