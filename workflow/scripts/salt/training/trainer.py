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

from salt.core import metric
from salt.core.errors import InputError, fewer_at_once, first_line, raise_faults
from salt.device.compute import Compute
from salt.ensemble.pseudo_labels import PseudoLabels
from salt.networks import model
from salt.networks.checkpoint import Checkpoint
from salt.networks.registry import not_taken
from salt.survey.tiles import Tiles
from salt.training.augmentation import Augmentation
from salt.training.lines import LabelledLines
from salt.training.losses import LOSSES
from salt.training.progress import Epoch, Progress
from salt.training.recipe import Recipe
from salt.training.saved import Saved

logger = logging.getLogger(__name__)

SAVING_SHARE = 0.02
# What torch.compile lacks where it fails, and what to do, by the error's name in PyTorch.
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

        Raises InputError where the labels are of other tiles.
        """
        rows = pd.Index(tiles.ids).get_indexer(pseudo.ids)
        if (rows < 0).any() or pseudo.masks.shape[1:] != tiles.images.shape[1:]:
            raise InputError(f"{pseudo.path}: labels of other tiles than {tiles.path}; delete it")
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


def train_member(
    training: Labelled | LabelledLines,
    validation: Labelled,
    compute: Compute,
    recipe: Recipe,
    *,
    seed: int,
    model_settings: dict,
    augmentation: Augmentation,
    survey: dict | None = None,
    honest: bool = True,
    record: Callable[[Epoch], None] = lambda epoch: None,
    saved: Saved | None = None,
) -> tuple[Checkpoint, list[Epoch]]:
    """Train a network and give its best state, as the recipe tells it, with all epochs' history.

    Args:
        survey: how amplitudes of a volume became grey values, to be kept with the member.
        honest: whether no validation tile is a training tile.
        record: called with each epoch at its end.
        saved: where the state is kept, and gone on from: at the end of the last epoch, and of the
            first one after 1 / SAVING_SHARE times as long as the last save took.

    Raises InputError for settings that the network does not take, at the end of an epoch in which
    the loss was not a finite number, and where batches are too small to be normalised, or too large
    for the memory.
    """
    raise_faults("Configuration", not_taken({"model": model_settings, "training": vars(recipe)}))
    torch.manual_seed(seed)
    network = model.build(**model_settings)
    if recipe.pretrained:
        network.encoder.load_pretrained()
    size = training.size
    micro_batch = min(recipe.micro_batch or recipe.batch_size, recipe.batch_size)
    smallest = recipe.batch_size // math.ceil(recipe.batch_size / micro_batch)
    if smallest < network.smallest_batch(*size):
        raise InputError(
            "training.batch_size, training.micro_batch: a step on 1 tile is too small for tiles "
            f"of {size[1]}x{size[0]} pixels; set them so that each has 2 or more"
        )
    if recipe.compile and compute.device.type == "cpu":
        logger.warning(
            "training.compile: on a CPU the library's own kernels were measured to be faster "
            "(benchmarks/NOTES.md), and compiling takes a minute or more; set it to false"
        )
    network.to(compute.device, memory_format=torch.channels_last)
    if network.uses_depth:
        network.set_depth_range(training.depths)
    progress = Progress(network, recipe)
    steps = math.ceil(len(training) * recipe.passes_per_epoch / recipe.batch_size)
    state = saved.load() if saved else None
    if state:
        progress.restore(state)
        for epoch in progress.history:
            record(epoch)
        logger.info(f"member {seed} goes on after epoch {len(progress.history)}")
    next_save = 0.0
    with (
        tqdm(
            desc=f"member {seed}",
            total=recipe.epochs * steps,
            initial=len(progress.history) * steps,
            unit="batch",
            disable=None,
            leave=False,
        ) as bar,
        logging_redirect_tqdm(),
    ):
        while not progress.finished:
            number = len(progress.history) + 1
            started = time.monotonic()
            # Each epoch's randomness is its own, whatever went on before it.
            epoch_seed = int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0])
            torch.manual_seed(epoch_seed)
            generator = torch.Generator().manual_seed(epoch_seed)
            order = training.draw(steps * recipe.batch_size, generator)
            drawn = (order, *augmentation.draw(len(order), *size, generator))
            batches = zip(
                *(each.to(compute.device).split(recipe.batch_size) for each in drawn), strict=True
            )
            loss = LOSSES[recipe.loss_of(number)]
            rate = progress.start_epoch()
            with (
                fewer_at_once("training.micro_batch", micro_batch),
                _compiling() if recipe.compile else nullcontext(),
            ):
                losses = train_epoch(
                    progress, training, list(batches), loss, augmentation, micro_batch, compute, bar
                )
            train_loss = sum(losses) / steps
            speed = steps * recipe.batch_size / (time.monotonic() - started)
            valid_loss, score = evaluate(network, validation, loss, micro_batch, compute)
            epoch = Epoch(number, train_loss, valid_loss, score, rate, honest)
            record(epoch)
            left = (recipe.epochs - number) * (time.monotonic() - started)
            logger.info(
                f"member {seed}, epoch {number} of {recipe.epochs}: loss {train_loss:.4f}, "
                f"validation loss {valid_loss:.4f}, "
                f"score {score:.4f}{'' if honest else ' (NOT honest, on training tiles)'}; "
                f"{speed:.0f} tiles/s, at most {timedelta(seconds=round(left))} left"
            )
            _raise_for_divergence(f"member {seed}", number, losses, valid_loss)
            progress.add(epoch)
            if saved and (progress.finished or time.monotonic() >= next_save):
                saving = time.monotonic()
                saved.save(progress.content())
                next_save = time.monotonic() + (time.monotonic() - saving) / SAVING_SHARE
    if progress.stopped:
        logger.info(f"member {seed}: no gain in {recipe.stopping_patience} epochs, stopped")
    best = progress.history[progress.best_epoch - 1]
    about = {
        "model": model_settings,
        "seed": seed,
        "epoch": best.epoch,
        "valid_loss": best.valid_loss,
        "valid_score": best.valid_score,
        "honest": honest,
    }
    if survey:
        about["survey"] = survey
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
    """One step per batch, whose losses it gives.

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
    """InputError where a loss of an epoch's batches, or of its validation, is not finite."""
    batch = next((i for i, loss in enumerate(losses, 1) if not math.isfinite(loss)), None)
    if batch:
        where, value = f"batch {batch} of {len(losses)}", losses[batch - 1]
    elif not math.isfinite(valid_loss):
        where, value = "the validation", valid_loss
    else:
        return
    raise InputError(
        f"{member}: the loss of {where} in epoch {epoch} is not a finite number ({value}); lower "
        "training.learning_rate. The state saved last is from before that"
    )


@torch.inference_mode()
def evaluate(
    network: nn.Module, tiles: Labelled, loss, batch_size: int, compute: Compute
) -> tuple[float, float]:
    """Mean loss, and mean score at a threshold of 0.5, of unaugmented tiles without TTA."""
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
