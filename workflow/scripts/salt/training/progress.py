"""How far a training has come."""

import copy
import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from salt.training.recipe import Recipe


@dataclass(frozen=True)
class Epoch:
    """A row of history.csv.

    train_loss, valid_loss: mean losses
    valid_score: score of the validation tiles at a threshold of 0.5
    honest: whether the member trains on none of those
    """

    epoch: int
    train_loss: float
    valid_loss: float
    valid_score: float
    learning_rate: float
    honest: bool

    def monitored(self, monitor: str) -> float:
        """What is to fall, by its name in the configuration.

        That is ``loss``, or ``map`` or ``last`` turned round: the score, or the epoch's number.
        """
        values = {"loss": self.valid_loss, "map": -self.valid_score, "last": -self.epoch}
        return values[monitor]


class Progress:
    """A network in training, its optimiser, and what was reached so far.

    Attributes:
        stepping: the network as steps call it, compiled where the recipe asks for that.
        history: the epochs that are done.
        best_epoch, best_state: number of the best one, 0 at first, and its weights.
    """

    def __init__(self, network: nn.Module, recipe: Recipe):
        self.recipe = recipe
        self.network = network
        self.stepping = torch.compile(network) if recipe.compile else network
        self.optimiser = recipe.make_optimiser(network)
        self.plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimiser,
            factor=0.5,
            # PyTorch acts on the first bad epoch after its patience; this counts as Keras does.
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
        """Whether there was no gain for as long as the recipe waits for one."""
        return len(self.history) - self.best_epoch >= self.recipe.stopping_patience

    @property
    def finished(self) -> bool:
        return len(self.history) == self.recipe.epochs or self.stopped

    def start_epoch(self) -> float:
        """Make ready for the next epoch, and give its learning rate at the beginning."""
        if self.recipe.frozen_epochs:
            thawed = len(self.history) >= self.recipe.frozen_epochs
            self.network.encoder.requires_grad_(thawed)
        self.network.train()
        self.set_rate(0.0)
        return self.optimiser.param_groups[0]["lr"]

    def set_rate(self, done: float) -> None:
        """Set the learning rate where a share of the epoch is done; a plateau's stays."""
        factor = self.recipe.rate_factor((len(self.history) + done) / self.recipe.epochs)
        if factor is not None:
            for group in self.optimiser.param_groups:
                group["lr"] = factor * group["share"] * self.recipe.learning_rate

    def add(self, epoch: Epoch) -> None:
        """Take note of an epoch, keep its weights if they are the best, and set the rate by it."""
        self.history.append(epoch)
        value = epoch.monitored(self.recipe.monitor)
        gained = self.recipe.monitor == "last" or value < self.least - self.recipe.minimum_gain
        if gained or not self.best_state:
            self.least, self.best_epoch = value, epoch.epoch
            # A copy: the state dict itself refers to weights that training goes on changing.
            self.best_state = copy.deepcopy(self.network.state_dict())
        if self.recipe.schedule == "plateau":
            self.plateau.step(value)

    def content(self) -> dict:
        """All of it as tensors and plain values."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "plateau": self.plateau.state_dict(),
            "history": [asdict(epoch) for epoch in self.history],
            "least": self.least,
            "best_epoch": self.best_epoch,
            "best_state": self.best_state,
        }

    def restore(self, content: dict) -> None:
        """Go back to where ``content`` was taken."""
        self.network.load_state_dict(content["network"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.plateau.load_state_dict(content["plateau"])
        self.history = [Epoch(**row) for row in content["history"]]
        self.least, self.best_epoch = content["least"], content["best_epoch"]
        self.best_state = content["best_state"]
