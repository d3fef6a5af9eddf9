"""The state of a training."""

import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from saltseg.networks.network import Network
from saltseg.settings.config import TrainingSettings, epochs_of
from saltseg.training.recipe import make_optimiser, rate_factor


@dataclass(frozen=True)
class Epoch:
    """A row of history.csv.

    train_loss, valid_loss: mean losses
    valid_score: score of the validation tiles at a threshold of 0.5
    honest: whether the member trains on none of the validation tiles
    """

    epoch: int
    train_loss: float
    valid_loss: float
    valid_score: float
    learning_rate: float
    honest: bool

    def monitored(self, monitor: str) -> float:
        """Return the quantity minimised for a value of ``training.monitor``.

        ``loss``: the validation loss; ``map``: the negative score; ``last``: the negative epoch.
        """
        values = {"loss": self.valid_loss, "map": -self.valid_score, "last": -self.epoch}
        return values[monitor]


class Progress:
    """A network in training, its optimiser, history and best weights.

    Attributes:
        stepping: the network used for training steps, compiled if the recipe says so.
        history: finished epochs.
        best_epoch, best_state: number of the best epoch, initially 0, and its weights.
        scaler: of the losses, so that gradients stay within the range of fp16.
    """

    def __init__(self, network: Network, recipe: TrainingSettings, scaler: torch.amp.GradScaler):
        self.scaler = scaler
        self.recipe, self.epochs = recipe, epochs_of(recipe.epochs)
        self.network = network
        self.stepping = _compiled(network) if recipe.compile else network
        self.optimiser = make_optimiser(recipe, network)
        self.plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimiser,
            factor=0.5,
            # PyTorch reduces one epoch after its patience; match Keras.
            patience=recipe.plateau_patience - 1,
            threshold=recipe.minimum_gain,
            threshold_mode="abs",
            min_lr=recipe.minimum_learning_rate,
        )
        self.history: list[Epoch] = []
        self.least = math.inf
        self.best_epoch = 0
        self.best_state: dict[str, Tensor] = {}

    @property
    def stopped(self) -> bool:
        """Whether early stopping applies: no gain for ``stopping_patience`` epochs."""
        return len(self.history) - self.best_epoch >= self.recipe.stopping_patience

    @property
    def finished(self) -> bool:
        return len(self.history) == self.epochs or self.stopped

    def start_epoch(self) -> float:
        """Prepare the next epoch; return its initial learning rate."""
        self.network.train()
        if self.recipe.frozen_epochs:
            thawed = len(self.history) >= self.recipe.frozen_epochs
            # In evaluation mode, its batch normalisation keeps the statistics it was trained with.
            self.network.encoder.requires_grad_(thawed).train(thawed)
        self.set_rate(0.0)
        return self.optimiser.param_groups[0]["lr"]

    def set_rate(self, done: float) -> None:
        """Set the learning rate after a fraction ``done`` of the epoch; no effect on a plateau."""
        factor = rate_factor(self.recipe, (len(self.history) + done) / self.epochs)
        if factor is not None:
            for group in self.optimiser.param_groups:
                group["lr"] = factor * group["share"] * self.recipe.learning_rate

    def add(self, epoch: Epoch) -> None:
        """Record an epoch, keep its weights if they are the best, and step the plateau schedule."""
        self.history.append(epoch)
        if self.recipe.monitor == "loss" and self._switches_loss(epoch.epoch):
            self._forget_gains()
        value = epoch.monitored(self.recipe.monitor)
        gained = self.recipe.monitor == "last" or value < self.least - self.recipe.minimum_gain
        if gained or not self.best_state:
            self.least, self.best_epoch = value, epoch.epoch
            # Copy: the state dict refers to weights that training keeps changing.
            self.best_state = copy.deepcopy(self.network.state_dict())
        if self.recipe.schedule == "plateau":
            self.plateau.step(value)

    def _switches_loss(self, epoch: int) -> bool:
        return self.recipe.late_loss is not None and epoch == self.recipe.late_from > 1

    def _forget_gains(self) -> None:
        """Forget the least loss, since values of another loss cannot be compared with it."""
        self.least, self.best_state = math.inf, {}
        self.plateau.best, self.plateau.num_bad_epochs = math.inf, 0

    def content(self) -> dict:
        """Return the whole state as tensors and plain values."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "plateau": self.plateau.state_dict(),
            "scaler": self.scaler.state_dict(),
            "history": [asdict(epoch) for epoch in self.history],
            "least": self.least,
            "best_epoch": self.best_epoch,
            "best_state": self.best_state,
        }

    def restore(self, content: dict) -> None:
        """Restore the state from ``content``."""
        self.network.load_state_dict(content["network"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.plateau.load_state_dict(content["plateau"])
        self.scaler.load_state_dict(content["scaler"])
        self.history = [Epoch(**row) for row in content["history"]]
        self.least, self.best_epoch = content["least"], content["best_epoch"]
        self.best_state = content["best_state"]


def _compiled(network: nn.Module) -> Callable[..., Tensor]:
    """Return the network compiled, with the compiler as deterministic as PyTorch's own operations.

    ``Compute.select`` does not import the compiler, and so cannot set that.
    """
    torch.use_deterministic_algorithms(torch.are_deterministic_algorithms_enabled(), warn_only=True)
    return torch.compile(network)
