"""Training settings: the configuration's section ``training``, its optimiser and schedule."""

import inspect
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer


def _without_compiler(kind: type[Optimizer]) -> type[Optimizer]:
    """Return an optimiser that never imports PyTorch's compiler, which takes longer than PyTorch.

    PyTorch wraps these methods so that torch.compile leaves them out; none of ours is compiled.
    """
    plain = {
        name: inspect.unwrap(getattr(kind, name))
        for name in ("add_param_group", "load_state_dict", "state_dict", "step", "zero_grad")
    }
    # Which the wrapper does as well.
    plain["step"] = torch.no_grad()(plain["step"])
    return type(kind.__name__, (kind,), plain)


OPTIMISERS = {"adam": _without_compiler(Adam), "adamw": _without_compiler(AdamW)}
WARM_UP = 0.2  # share of a one-cycle schedule in which the rate rises


@dataclass(frozen=True)
class Recipe:
    """Settings of a training; config/README.md describes their effects.

    epochs: maximum number
    passes_per_epoch: how often an epoch visits each tile, on average
    windows_per_epoch: how many windows an epoch cuts from labelled lines, however many there are
    batch_size: tiles per step
    micro_batch: maximum tiles per forward pass, or None for the whole batch; gradients of nearly
        equal parts are accumulated, and batch normalisation, Dice and Lovasz are computed per part
    loss: a name in ``losses.LOSSES``
    late_loss, late_from: the loss used from epoch ``late_from`` on
    optimiser: ``adam`` or ``adamw``
    weight_decay: decoupled in ``adamw``; added to the gradient in ``adam``
    schedule: ``plateau`` or ``one_cycle``
    learning_rate, minimum_learning_rate: the greatest one, and that which a plateau may reach
    plateau_patience, stopping_patience: epochs without a gain before the rate is halved, and
        before training ends
    minimum_gain: smallest improvement that is a gain
    monitor: ``loss`` or ``map`` (keep the best epoch), or ``last`` (keep the last)
    pretrained: whether the encoder starts from ImageNet weights
    encoder_weights: path of a file that the encoder starts from, or None
    frozen_epochs: number of initial epochs with a frozen encoder
    encoder_rate: the encoder's learning rate, as a fraction of the decoder's
    compile: whether to use torch.compile
    """

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
