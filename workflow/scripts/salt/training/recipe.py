"""How a member is trained: the configuration's section ``training``, and what follows from it."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

OPTIMISERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
WARM_UP = 0.2  # share of a one-cycle schedule in which the rate rises


@dataclass(frozen=True)
class Recipe:
    """Settings of a training; config/README.md tells each one's effect.

    epochs: at most
    passes_per_epoch: how often an epoch sees each tile, on average
    batch_size: tiles a step
    micro_batch: tiles at once, or all; a batch of more is computed in parts as equal as can be,
        whose gradients are added; batch normalisation, Dice and Lovasz then go by part
    loss: a name of ``losses.LOSSES``
    late_loss, late_from: another one's from that epoch on
    optimiser: ``adam`` or ``adamw``
    weight_decay: per step and unit of the learning rate; in ``adam`` a part of the gradient
    schedule: ``plateau`` or ``one_cycle``
    learning_rate, minimum_learning_rate: the greatest one, and that which a plateau may reach
    plateau_patience, stopping_patience: epochs without a gain before the rate is halved, and
        before training ends
    minimum_gain: what counts as one
    monitor: ``loss`` or ``map`` (the best epoch is kept), or ``last`` (the last one is)
    pretrained: whether the encoder begins with the weights of ImageNet
    frozen_epochs: for how many epochs the encoder stays as it is at first
    encoder_rate: its learning rate, as a share of the others'
    compile: whether steps go through torch.compile
    """

    epochs: int
    passes_per_epoch: float
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
    frozen_epochs: int
    encoder_rate: float
    compile: bool

    def loss_of(self, epoch: int) -> str:
        """Name of the loss in an epoch, counted from 1."""
        return self.late_loss if self.late_loss and epoch >= self.late_from else self.loss

    def make_optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        """Optimiser of all weights; its groups hold the share of the learning rate as ``share``."""
        # The others first: history.csv shows the first group's rate.
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
        """Share of the learning rate where a share of all steps is done; none for a plateau."""
        return one_cycle(done) if self.schedule == "one_cycle" else None


def one_cycle(done: float) -> float:
    """Share of the greatest rate: from 1/25 up to 1 and down to 0, on cosines.

    Smith and Topin 2017 (arXiv:1708.07120), with the shape of torch.optim.lr_scheduler.OneCycleLR.
    """
    if done < WARM_UP:
        return 1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * done / WARM_UP)) / 2
    return (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))) / 2
