"""Training of one member."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from saltseg.core import metric
from saltseg.core.errors import InputError, first_line, oom_hint, raise_faults
from saltseg.device.compute import Compute
from saltseg.ensemble.pseudo_labels import PseudoLabels
from saltseg.networks import model
from saltseg.networks.checkpoint import Checkpoint
from saltseg.networks.network import Network
from saltseg.networks.registry import not_taken
from saltseg.settings.config import TrainingSettings
from saltseg.survey.tiles import Tiles
from saltseg.training.augmentation import Augmentation
from saltseg.training.lines import LabelledLines
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
class Labelled:
    """Labelled tiles on a device.

    images, masks: uint8, both (tiles, 1, height, width)
    depths: float32 (tiles)
    """

    images: Tensor
    masks: Tensor
    depths: Tensor

    @classmethod
    def load(cls, tiles: Tiles, rows: np.ndarray, device: torch.device) -> "Labelled":
        """Those tiles of a part that a boolean mask (tiles) chooses."""
        return cls._put(tiles.images[rows], tiles.masks[rows], tiles.depths[rows], device)

    @classmethod
    def of(cls, pseudo: PseudoLabels, tiles: Tiles, device: torch.device) -> "Labelled":
        """Tiles of an unlabelled part with their pseudo-labels.

        Raises InputError if the labels are of other tiles.
        """
        rows = pd.Index(tiles.ids).get_indexer(pseudo.ids)
        if (rows < 0).any() or pseudo.masks.shape[1:] != tiles.images.shape[1:]:
            raise InputError(
                f"{pseudo.path}: labels tiles other than those of {tiles.path}; delete it"
            )
        return cls._put(tiles.images[rows], pseudo.masks[:], tiles.depths[rows], device)

    @classmethod
    def _put(
        cls, images: np.ndarray, masks: np.ndarray, depths: np.ndarray, device: torch.device
    ) -> "Labelled":
        images, masks = (
            torch.from_numpy(each.astype(np.uint8)).unsqueeze(1).to(device)
            for each in (images, masks)
        )
        return cls(images, masks, torch.from_numpy(depths).to(device))

    def __add__(self, other: "Labelled") -> "Labelled":
        """These tiles, then others with pseudo-labels; InputError if they have another size."""
        if self.size != other.size:
            (height, width), (rows, columns) = self.size, other.size
            raise InputError(
                f"self_training.rounds: test tiles have {columns}x{rows} pixels, labelled tiles "
                f"{width}x{height}; use test tiles of that size, or set it to 0"
            )
        return Labelled(
            torch.cat([self.images, other.images]),
            torch.cat([self.masks, other.masks]),
            torch.cat([self.depths, other.depths]),
        )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a tile."""
        return tuple(self.images.shape[-2:])

    def visits(self, recipe: TrainingSettings) -> float:
        """Return how many tiles an epoch sees."""
        return len(self) * recipe.passes_per_epoch

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw tiles, int64 (count): random orders of all, one after another."""
        tiles = len(self)
        orders = [
            torch.randperm(tiles, generator=generator) for _ in range(math.ceil(count / tiles))
        ]
        return torch.cat(orders)[:count]

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return images, masks and depths of the tiles drawn."""
        return self.images[rows], self.masks[rows], self.depths[rows]


class Trainer:
    """The training of one member, step by step; a subclass may replace any step.

    Args:
        survey: how amplitudes of a volume became grey values, to be kept with the member.
        honest: whether no validation tile is a training tile.
        record: called with each epoch at its end.
        saved: where training state is saved and resumed from: after the last epoch, and after the
            first one that ends 1 / ``saving_share`` times as long after a save as that took.
    """

    saving_share = 0.02
    clock = staticmethod(time.monotonic)

    def __init__(
        self,
        training: Labelled | LabelledLines,
        validation: Labelled,
        compute: Compute,
        recipe: TrainingSettings,
        *,
        seed: int,
        model_settings: dict,
        augmentation: Augmentation,
        survey: dict | None = None,
        honest: bool = True,
        record: Callable[[Epoch], None] = lambda epoch: None,
        saved: Saved | None = None,
    ):
        self.training, self.validation = training, validation
        self.compute, self.recipe, self.augmentation = compute, recipe, augmentation
        self.seed, self.model_settings, self.honest = seed, model_settings, honest
        self.record, self.saved, self.survey = record, saved, survey
        self.size = training.size
        self.micro_batch = min(recipe.micro_batch or recipe.batch_size, recipe.batch_size)
        self.steps = math.ceil(training.visits(recipe) / recipe.batch_size)
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
                self.step()
        return self.finish()

    def build(self) -> None:
        """Build the network and its training state on the device."""
        recipe = self.recipe
        settings = {"model": self.model_settings, "training": dict(recipe)}
        raise_faults("Configuration", not_taken(settings))
        torch.manual_seed(self.seed)
        network = self.make_network()
        if recipe.pretrained:
            network.encoder.load_pretrained()
        if recipe.encoder_weights:
            network.encoder.load_weights(recipe.encoder_weights)
        smallest = recipe.batch_size // math.ceil(recipe.batch_size / self.micro_batch)
        if smallest < network.smallest_batch(*self.size):
            height, width = self.size
            raise InputError(
                "training.batch_size, training.micro_batch: a step on a single tile of "
                f"{width}x{height} pixels is too small; set them so that each step has 2 or more"
            )
        if recipe.compile and self.compute.device.type == "cpu":
            logger.warning(
                "training.compile: on a CPU the library's own kernels were measured to be faster "
                "(benchmarks/NOTES.md), and compiling takes a minute or more; set it to false"
            )
        network.to(self.compute.device, memory_format=torch.channels_last)
        if network.uses_depth:
            network.set_depth_range(self.training.depths)
        self.network, self.progress = network, Progress(network, recipe)

    def make_network(self) -> Network:
        return model.build(**self.model_settings)

    def resume(self) -> None:
        """Restore the saved state, if any, and record its epochs."""
        state = self.saved.load() if self.saved else None
        if state:
            self.progress.restore(state)
            for epoch in self.progress.history:
                self.record(epoch)
            logger.info(f"member {self.seed} resumes after epoch {len(self.progress.history)}")

    def progress_bar(self) -> tqdm:
        return tqdm(
            desc=f"member {self.seed}",
            total=self.recipe.epochs * self.steps,
            initial=len(self.progress.history) * self.steps,
            unit="batch",
            disable=None,
            leave=False,
        )

    def step(self) -> None:
        """Train and evaluate one epoch, report it, and save the state when it is time."""
        number, started = len(self.progress.history) + 1, self.clock()
        # Before the first batch, since schedules change it during the epoch.
        rate = self.progress.start_epoch()
        losses = self.epoch(number)
        speed = self.steps * self.recipe.batch_size / (self.clock() - started)
        valid_loss, score = self.evaluate(number)
        epoch = Epoch(number, sum(losses) / self.steps, valid_loss, score, rate, self.honest)
        self.report(epoch, speed, self.clock() - started)
        _raise_for_divergence(f"member {self.seed}", number, losses, valid_loss)
        self.progress.add(epoch)
        self.save()

    def epoch(self, number: int) -> list[float]:
        """Train for one epoch; return the loss of each of its batches."""
        # Each epoch has random numbers of its own, so a resumed training draws the same.
        sequence = np.random.SeedSequence([self.seed, number])
        seed = int(sequence.generate_state(1, np.uint64)[0])
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        order = self.training.draw(self.steps * self.recipe.batch_size, generator)
        drawn = (order, *self.augmentation.draw(len(order), *self.size, generator))
        parts = (each.to(self.compute.device).split(self.recipe.batch_size) for each in drawn)
        with (
            oom_hint("training.micro_batch", self.micro_batch),
            _compiling() if self.recipe.compile else nullcontext(),
        ):
            return train_epoch(
                self.progress,
                self.training,
                list(zip(*parts, strict=True)),
                self.loss(number),
                self.augmentation,
                self.micro_batch,
                self.compute,
                self.bar,
            )

    def evaluate(self, number: int) -> tuple[float, float]:
        """Return the validation tiles' mean loss, as of this epoch, and their mean score."""
        return evaluate(
            self.network, self.validation, self.loss(number), self.micro_batch, self.compute
        )

    def loss(self, number: int) -> Callable[[Tensor, Tensor], Tensor]:
        return LOSSES[loss_name(self.recipe, number)]

    def report(self, epoch: Epoch, speed: float, seconds: float) -> None:
        """Record and log an epoch that took some seconds, at a speed in tiles per second."""
        self.record(epoch)
        left = timedelta(seconds=round((self.recipe.epochs - epoch.epoch) * seconds))
        logger.info(
            f"member {self.seed}, epoch {epoch.epoch} of {self.recipe.epochs}: "
            f"loss {epoch.train_loss:.4f}, validation loss {epoch.valid_loss:.4f}, "
            f"score {epoch.valid_score:.4f}"
            f"{'' if self.honest else ' (NOT honest, on training tiles)'}; "
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
            logger.info(
                f"member {self.seed}: no gain in {self.recipe.stopping_patience} epochs, stopped"
            )
        best = progress.history[progress.best_epoch - 1]
        about = {
            "model": self.model_settings,
            "seed": self.seed,
            "epoch": best.epoch,
            "valid_loss": best.valid_loss,
            "valid_score": best.valid_score,
            "honest": self.honest,
        }
        if self.survey:
            about["survey"] = self.survey
        state = {name: tensor.cpu() for name, tensor in progress.best_state.items()}
        return Checkpoint(about, state), progress.history


def train_epoch(
    progress: Progress,
    tiles: Labelled | LabelledLines,
    batches: Sequence[tuple[Tensor, ...]],
    loss: Callable[[Tensor, Tensor], Tensor],
    augmentation: Augmentation,
    micro_batch: int,
    compute: Compute,
    bar: tqdm,
) -> list[float]:
    """Train one step per batch; return their losses.

    Args:
        batches: numbers of each batch's tiles, int64 (batch), and what ``augmentation`` drew for
            them, all on the device.
        loss: of logits against masks, both float32 (batch, 1, height, width).
        micro_batch: tiles at once.
    """
    losses = torch.zeros(len(batches), device=compute.device)
    for step, batch in enumerate(batches):
        progress.set_rate(step / len(batches))
        parts = math.ceil(len(batch[0]) / micro_batch)
        progress.optimiser.zero_grad()
        for rows, *drawn in zip(*(each.tensor_split(parts) for each in batch), strict=True):
            images, masks, depths = tiles.take(rows)
            images, masks = augmentation.apply(model.images_to_input(images), masks.float(), *drawn)
            with compute.autocast():
                logits = progress.stepping(
                    images.contiguous(memory_format=torch.channels_last), depths
                )
            part_loss = loss(logits.float(), masks) * (len(rows) / len(batch[0]))
            part_loss.backward()
            # Left on the device, where reading it would wait for the step to end.
            losses[step] += part_loss.detach()
        progress.optimiser.step()
        bar.update()
    return losses.tolist()


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
    """Return an InputError for a non-finite loss of an epoch's batches or validation."""
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
