"""Training of one member."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from saltseg.core import metric
from saltseg.core.errors import InputError, first_line, oom_hint, raise_faults
from saltseg.device.compute import Compute
from saltseg.networks import model
from saltseg.networks.checkpoint import Checkpoint
from saltseg.networks.network import Network
from saltseg.networks.registry import not_taken
from saltseg.settings import plugins
from saltseg.settings.config import TrainingSettings, epochs_of
from saltseg.training.augmentation import Augmentation
from saltseg.training.data import Labelled, TrainingData
from saltseg.training.losses import LOSSES
from saltseg.training.progress import Epoch, Progress
from saltseg.training.recipe import loss_name
from saltseg.training.saved import Saved

logger = logging.getLogger(__name__)

# What torch.compile lacks if it fails, and the remedy, by the name of PyTorch's error.
COMPILE_NEEDS = {
    "InvalidCxxCompiler": (
        "it needs a C++ compiler, and PyTorch finds none that works",
        "install one, such as g++, or name it in the environment variable CXX, or ",
    ),
    "CppCompileError": (
        "the C++ compiler failed",
        "install it with the headers of Python (build-essential and python3-dev on Debian), or ",
    ),
    "TritonMissing": ("it needs Triton on a GPU, which is not installed", "install it, or "),
    "GPUTooOldForTriton": ("this GPU is too old for Triton, which it needs", ""),
}


@dataclass(frozen=True)
class TrainingJob:
    """What a member is trained on, and how.

    model: the configuration's section
    seed: of all random numbers
    member: its name, None for one that is called by its seed
    greyscale: how amplitudes of a volume became grey values, to be kept with the member
    honest: whether no validation tile is a training tile
    weights: the member of another run that it starts from, None for new weights
    """

    training: TrainingData
    validation: Labelled
    recipe: TrainingSettings
    augmentation: Augmentation
    model: dict
    seed: int
    greyscale: dict | None = None
    honest: bool = True
    weights: Checkpoint | None = None
    member: str | None = None

    @property
    def name(self) -> str:
        """What the member is called in messages."""
        return self.member or str(self.seed)


class Trainer:
    """The training of one member, step by step; a subclass may replace any step.

    Args:
        on_epoch_end: called with each epoch, those before a resumption included.
        saved: where training state is saved and resumed from: after the last epoch, and after the
            first one that ends 1 / ``saving_share`` times as long after a save as that took.
    """

    saving_share = 0.02
    clock = staticmethod(time.monotonic)

    def __init__(
        self,
        job: TrainingJob,
        compute: Compute,
        *,
        on_epoch_end: Callable[[Epoch], None] = lambda epoch: None,
        saved: Saved | None = None,
    ):
        self.job, self.compute, self.recipe = job, compute, job.recipe
        self.epochs = epochs_of(self.recipe.epochs)
        self.on_epoch_end, self.saved = on_epoch_end, saved
        self.micro_batch = min(
            self.recipe.micro_batch or self.recipe.batch_size, self.recipe.batch_size
        )
        self.batches = math.ceil(job.training.visits(self.recipe) / self.recipe.batch_size)
        self.next_save = 0.0
        self.bar = tqdm(disable=True)

    def run(self) -> tuple[Checkpoint, list[Epoch]]:
        """Train; return the best epoch's state, and the history of all epochs.

        Raises InputError for settings that the network does not take, at the end of an epoch in
        which the loss was not a finite number, and where batches are too small to be normalised, or
        too large for the memory.
        """
        self.build()
        self.resume()
        with self.progress_bar() as self.bar, logging_redirect_tqdm():
            while not self.progress.finished:
                self.run_epoch()
        return self.finish()

    def build(self) -> None:
        """Build the network and its training state on the device."""
        recipe = self.recipe
        settings = {"model": self.job.model, "training": dict(recipe)}
        raise_faults("Configuration", not_taken(settings))
        torch.manual_seed(self.job.seed)
        network = self.make_network()
        if self.job.weights:
            network.load_state_dict(self.job.weights.state)
        elif recipe.pretrained:
            network.encoder.load_pretrained()
        elif recipe.encoder_weights:
            network.encoder.load_weights(recipe.encoder_weights)
        smallest = recipe.batch_size // math.ceil(recipe.batch_size / self.micro_batch)
        height, width = self.job.training.size
        if smallest < network.smallest_batch(height, width):
            raise InputError(
                "training.batch_size, training.micro_batch: a step on a single tile of "
                f"{width}x{height} pixels is too small; set them so that each step has 2 or more"
            )
        if recipe.compile and self.compute.device.type == "cpu":
            logger.warning(
                "training.compile: on a CPU the library's own kernels were measured to be faster "
                "(benchmarks/NOTES.md), and compiling takes a minute or more; set it to false"
            )
        # PyTorch's types leave memory_format out.
        network.to(self.compute.device, memory_format=torch.channels_last)  # ty: ignore[no-matching-overload]
        if network.uses_depth:
            network.set_depth_range(self.job.training.depths)
        self.network = network
        self.progress = Progress(network, recipe, self.compute.scaler())

    def try_step(self) -> None:
        """Build the network, and train it on one batch of two tiles, without compiling it."""
        self.recipe = self.recipe.model_copy(update={"compile": False})
        self.build()
        self.recipe = self.recipe.model_copy(update={"batch_size": 2})
        self.micro_batch, self.batches = 2, 1
        self.progress.start_epoch()
        self.train_epoch(1)

    def make_network(self) -> Network:
        return model.build(**self.job.model)

    def resume(self) -> None:
        """Restore the saved state, if any, and record its epochs."""
        state = self.saved.load() if self.saved else None
        if state:
            self.progress.restore(state)
            for epoch in self.progress.history:
                self.on_epoch_end(epoch)
            logger.info(f"member {self.job.name} resumes after epoch {len(self.progress.history)}")

    def progress_bar(self) -> tqdm:
        return tqdm(
            desc=f"member {self.job.name}",
            total=self.epochs * self.batches,
            initial=len(self.progress.history) * self.batches,
            unit="batch",
            disable=None,
            leave=False,
        )

    def run_epoch(self) -> None:
        """Train and evaluate one epoch, report it, and save the state when it is time."""
        number, started = len(self.progress.history) + 1, self.clock()
        # Before the first batch, since schedules change it during the epoch.
        rate = self.progress.start_epoch()
        losses = self.train_epoch(number)
        speed = self.batches * self.recipe.batch_size / (self.clock() - started)
        valid_loss, score = self.evaluate(number)
        mean = sum(losses) / self.batches
        epoch = Epoch(number, mean, valid_loss, score, rate, self.job.honest)
        self.report(epoch, speed, self.clock() - started)
        _raise_for_divergence(f"member {self.job.name}", number, losses, valid_loss)
        self.progress.add(epoch)
        self.save()

    def train_epoch(self, number: int) -> list[float]:
        """Train for one epoch; return the loss of each of its batches."""
        # Each epoch has random numbers of its own, so a resumed training draws the same.
        sequence = np.random.SeedSequence([self.job.seed, number])
        seed = int(sequence.generate_state(1, np.uint64)[0])
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        order = self.job.training.draw(self.batches * self.recipe.batch_size, generator)
        size = self.job.training.size
        drawn = self.job.augmentation.draw(len(order), *size, generator)
        parts = [
            each.to(self.compute.device).split(self.recipe.batch_size) for each in (order, *drawn)
        ]
        losses, loss = torch.zeros(self.batches, device=self.compute.device), self.loss(number)
        with (
            oom_hint("training.micro_batch", self.micro_batch),
            _compiling() if self.recipe.compile else nullcontext(),
        ):
            for index, (rows, *transforms) in enumerate(zip(*parts, strict=True)):
                self.progress.set_rate(index / self.batches)
                losses[index] = self.train_step(rows, transforms, loss)
                self.bar.update()
        return losses.tolist()

    def train_step(
        self, rows: Tensor, transforms: list[Tensor], loss: Callable[[Tensor, Tensor], Tensor]
    ) -> Tensor:
        """Update the weights once; return the mean loss, float32 (), on the device.

        Reading it there would wait for the step to end.

        Args:
            rows: numbers of the batch's tiles, int64 (batch).
            transforms: what the augmentation drew for them, each (batch, ...).
            loss: of logits against masks, both float32 (batch, 1, height, width).
        """
        total = torch.zeros((), device=self.compute.device)
        parts, scaler = math.ceil(len(rows) / self.micro_batch), self.progress.scaler
        self.progress.optimiser.zero_grad()
        for part, *drawn in zip(
            *(each.tensor_split(parts) for each in (rows, *transforms)), strict=True
        ):
            images, masks, depths = self.job.training.take(part)
            images = model.images_to_input(images)
            images, masks = self.job.augmentation.apply(images, masks.float(), *drawn)
            with self.compute.autocast():
                logits = self.progress.stepping(
                    images.contiguous(memory_format=torch.channels_last), depths
                )
            part_loss = loss(logits.float(), masks) * (len(part) / len(rows))
            scaler.scale(part_loss).backward()
            total += part_loss.detach()
        scaler.step(self.progress.optimiser)
        scaler.update()
        return total

    def evaluate(self, number: int) -> tuple[float, float]:
        """Return the validation tiles' mean loss, as of this epoch, and their mean score."""
        return evaluate(
            self.network, self.job.validation, self.loss(number), self.micro_batch, self.compute
        )

    def loss(self, number: int) -> Callable[[Tensor, Tensor], Tensor]:
        return (LOSSES | plugins.LOSSES)[loss_name(self.recipe, number)]

    def report(self, epoch: Epoch, speed: float, seconds: float) -> None:
        """Record and log an epoch that took some seconds, at a speed in tiles per second."""
        self.on_epoch_end(epoch)
        left = timedelta(seconds=round((self.epochs - epoch.epoch) * seconds))
        logger.info(
            f"member {self.job.name}, epoch {epoch.epoch} of {self.epochs}: "
            f"loss {epoch.train_loss:.4f}, validation loss {epoch.valid_loss:.4f}, "
            f"score {epoch.valid_score:.4f}"
            f"{'' if self.job.honest else ' (NOT honest, on training tiles)'}; "
            f"{speed:.0f} tiles/s, at most {left} left"
        )

    def save(self) -> None:
        """Save the state at the end, or if saving takes a small share of the time."""
        if self.saved and (self.progress.finished or self.clock() >= self.next_save):
            started = self.clock()
            self.saved.save(self.progress.content())
            now = self.clock()
            self.next_save = now + (now - started) / self.saving_share

    def finish(self) -> tuple[Checkpoint, list[Epoch]]:
        """Return the best epoch's checkpoint, on the CPU, and the history."""
        progress = self.progress
        if progress.stopped:
            patience = self.recipe.stopping_patience
            logger.info(f"member {self.job.name}: no gain in {patience} epochs, stopped")
        best = progress.history[progress.best_epoch - 1]
        about = {
            "model": self.job.model,
            "seed": self.job.seed,
            "epoch": best.epoch,
            "valid_loss": best.valid_loss,
            "valid_score": best.valid_score,
            "honest": self.job.honest,
        }
        if self.job.greyscale:
            about["survey"] = self.job.greyscale
        state = {name: tensor.cpu() for name, tensor in progress.best_state.items()}
        return Checkpoint(about, state), progress.history


@contextmanager
def _compiling() -> Iterator[None]:
    """Raise InputError with cause and remedy where torch.compile fails."""
    # Slow to import, and there already where something is compiled.
    from torch._dynamo.exc import TorchDynamoException

    try:
        yield
    except TorchDynamoException as error:
        inner = getattr(error, "inner_exception", error)
        unknown = ("PyTorch cannot compile the network here", "")
        cause, remedy = COMPILE_NEEDS.get(type(inner).__name__, unknown)
        raise InputError(
            f"training.compile: {cause} ({first_line(inner)}); {remedy}set it to false"
        ) from None


def _raise_for_divergence(member: str, epoch: int, losses: list[float], valid_loss: float) -> None:
    """Raise InputError if a loss of an epoch's batches or validation is not finite."""
    batch = next((i for i, loss in enumerate(losses, 1) if not math.isfinite(loss)), None)
    if batch:
        where, value = f"batch {batch} of {len(losses)}", losses[batch - 1]
    elif not math.isfinite(valid_loss):
        where, value = "the validation", valid_loss
    else:
        return
    raise InputError(
        f"{member}: the loss of {where} in epoch {epoch} is not a finite number ({value}); lower "
        "training.learning_rate. The last saved state is from before that"
    )


@torch.inference_mode()
def evaluate(
    network: nn.Module, tiles: Labelled, loss, batch_size: int, compute: Compute
) -> tuple[float, float]:
    """Return mean loss, and mean score at a threshold of 0.5, of unaugmented tiles, no TTA."""
    network.eval()
    losses, tenths = [], []
    parts = (tiles.images, tiles.masks, tiles.depths)
    for images, masks, depths in zip(*(part.split(batch_size) for part in parts), strict=True):
        with compute.autocast():
            logits = network(
                model.images_to_input(images).contiguous(memory_format=torch.channels_last), depths
            )
        logits = logits.float()
        losses.append(loss(logits, masks.float()) * len(images))
        tenths.append(metric.tile_tenths(logits[:, 0] > 0, masks[:, 0] > 0))
    total = torch.stack(losses).sum().item()
    return total / len(tiles), torch.cat(tenths).sum().item() / (10 * len(tiles))
