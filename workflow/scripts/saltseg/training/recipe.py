"""Optimiser, learning rates and losses as the configuration's section ``training`` has them."""

import math

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW

from saltseg.settings.config import TrainingSettings
from saltseg.training.muon import MuonAdamW

OPTIMISERS = {"adam": Adam, "adamw": AdamW, "muon": MuonAdamW}
WARM_UP = 0.2  # share of a one-cycle schedule in which the rate rises


def loss_name(recipe: TrainingSettings, epoch: int) -> str:
    """Return the name of the loss used in an epoch, counted from 1."""
    return recipe.late_loss if recipe.late_loss and epoch >= recipe.late_from else recipe.loss


def make_optimiser(recipe: TrainingSettings, network: nn.Module) -> torch.optim.Optimizer:
    """Return the optimiser; each parameter group has its rate's fraction as ``share``."""
    # The decoder first: history.csv records the first group's rate.
    groups: dict[tuple[float, bool], list[Tensor]] = {}
    for name, weight in network.named_parameters():
        in_encoder = name.startswith("encoder.")
        share = recipe.encoder_rate if in_encoder else 1.0
        orthogonal = recipe.optimiser == "muon" and not in_encoder and is_matrix(weight)
        groups.setdefault((share, orthogonal), []).append(weight)
    chosen = [
        {
            "params": weights,
            "share": share,
            "lr": share * recipe.learning_rate,
            "orthogonal": orthogonal,
        }
        for (share, orthogonal), weights in sorted(groups.items(), key=lambda item: item[0][0] != 1)
    ]
    return OPTIMISERS[recipe.optimiser](chosen, weight_decay=recipe.weight_decay, fused=True)


def is_matrix(weight: Tensor) -> bool:
    """Return whether weights are of a convolution of several inputs and outputs."""
    return weight.ndim == 4 and min(weight.shape[:2]) > 1


def rate_factor(recipe: TrainingSettings, done: float) -> float | None:
    """Return the learning rate factor after a fraction ``done`` of all steps, or None."""
    return one_cycle(done) if recipe.schedule == "one_cycle" else None


def one_cycle(done: float) -> float:
    """Return the fraction of the maximum rate: cosine ramps from 1/25 up to 1 and down to 0.

    Smith and Topin 2017 (arXiv:1708.07120), with the shape of torch.optim.lr_scheduler.OneCycleLR.
    """
    if done < WARM_UP:
        return 1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * done / WARM_UP)) / 2
    return (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))) / 2
