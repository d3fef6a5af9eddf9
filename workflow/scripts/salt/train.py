"""Training of one member."""

import copy
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import timedelta

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from salt import metric, model
from salt.augmentation import Augmentation, warp
from salt.checkpoint import Checkpoint
from salt.compute import Compute
from salt.errors import InputError, fewer_at_once, first_line
from salt.losses import LOSSES
from salt.saved import Saved
from salt.tiles import Tiles

logger = logging.getLogger(__name__)

SAVING_SHARE = 0.02


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
        """What is to fall, by its name in the configuration: ``loss``, or ``map`` turned round."""
        return {"loss": self.valid_loss, "map": -self.valid_score}[monitor]


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

        def put(array: np.ndarray) -> Tensor:
            return torch.from_numpy(array[rows].astype(np.uint8)).unsqueeze(1).to(device)

        depths = torch.from_numpy(tiles.depths[rows]).to(device)
        return cls(put(tiles.images), put(tiles.masks), depths)

    def __len__(self) -> int:
        return len(self.images)


def train_member(
    training: Labelled,
    validation: Labelled,
    compute: Compute,
    *,
    seed: int,
    model_settings: dict,
    augmentation: Augmentation,
    epochs: int,
    passes_per_epoch: float,
    batch_size: int,
    micro_batch: int | None,
    loss: str,
    learning_rate: float,
    minimum_learning_rate: float,
    plateau_patience: int,
    stopping_patience: int,
    minimum_gain: float,
    monitor: str,
    compile: bool,
    honest: bool = True,
    record: Callable[[Epoch], None] = lambda epoch: None,
    saved: Saved | None = None,
) -> tuple[Checkpoint, list[Epoch]]:
    """Train a network and give its best state with the history of all epochs.

    The best state is the one of least validation loss or, where ``monitor`` is ``map``, of the
    highest score. The learning rate is halved after ``plateau_patience`` epochs in which that got
    better by less than ``minimum_gain``, and training ends after ``stopping_patience`` such epochs.
    An epoch sees each tile ``passes_per_epoch`` times on average. ``compile`` hands the network's
    training steps to torch.compile.

    Args:
        micro_batch: tiles at once. A batch of more is computed in parts as equal as can be, whose
            gradients are added; batch normalisation and the Dice loss then go by part.
        honest: whether no validation tile is a training tile.
        record: called with each epoch at its end.
        saved: where the state is kept, and gone on from: at the end of the last epoch, and of the
            first one after 1 / SAVING_SHARE times as long as the last save took.

    Raises InputError at the end of an epoch in which the loss was not a finite number, and where
    batches are too small to be normalised, or too large for the memory.
    """
    torch.manual_seed(seed)
    network = model.build(**model_settings)
    size = training.images.shape[-2:]
    micro_batch = min(micro_batch or batch_size, batch_size)
    smallest = batch_size // math.ceil(batch_size / micro_batch)
    if smallest == 1 and min(size) < 2 ** (network.POOLINGS + 1):
        # At the bottleneck batch normalisation would have one value to take the variance of.
        raise InputError(
            "training.batch_size, training.micro_batch: a step on 1 tile is too small for tiles "
            f"of {size[1]}x{size[0]} pixels; set them so that each has 2 or more"
        )
    network.to(compute.device, memory_format=torch.channels_last)
    network.set_depth_range(training.depths)
    optimiser = torch.optim.Adam(network.parameters(), lr=learning_rate, fused=True)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser,
        factor=0.5,
        # PyTorch acts on the first bad epoch after its patience; this counts as Keras does.
        patience=plateau_patience - 1,
        threshold=minimum_gain,
        threshold_mode="abs",
        min_lr=minimum_learning_rate,
    )
    steps = math.ceil(len(training) * passes_per_epoch / batch_size)
    history: list[Epoch] = []
    least, best_epoch, best_state = math.inf, 0, {}
    step_network = torch.compile(network) if compile else network
    state = saved.load() if saved else None
    if state:
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        plateau.load_state_dict(state["plateau"])
        history = [Epoch(**row) for row in state["history"]]
        least, best_epoch, best_state = state["least"], state["best_epoch"], state["best_state"]
        for epoch in history:
            record(epoch)
        logger.info(f"member {seed} goes on after epoch {len(history)}")

    def finished() -> bool:
        return len(history) == epochs or len(history) - best_epoch >= stopping_patience

    next_save = 0.0
    with (
        tqdm(
            desc=f"member {seed}",
            total=epochs * steps,
            initial=len(history) * steps,
            unit="batch",
            disable=None,
            leave=False,
        ) as bar,
        logging_redirect_tqdm(),
    ):
        while not finished():
            number = len(history) + 1
            started = time.monotonic()
            # Each epoch's randomness is its own, whatever went on before it.
            epoch_seed = int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0])
            torch.manual_seed(epoch_seed)
            generator = torch.Generator().manual_seed(epoch_seed)
            rate = optimiser.param_groups[0]["lr"]
            order = _order(len(training), steps * batch_size, generator)
            maps = augmentation.draw(len(order), *size, generator)
            with (
                fewer_at_once("training.micro_batch", micro_batch),
                _compiling() if compile else nullcontext(),
            ):
                losses = train_epoch(
                    step_network,
                    optimiser,
                    training,
                    order.to(compute.device).split(batch_size),
                    maps.to(compute.device).split(batch_size),
                    LOSSES[loss],
                    micro_batch,
                    compute,
                    bar,
                )
            train_loss = sum(losses) / steps
            speed = steps * batch_size / (time.monotonic() - started)
            valid_loss, score = evaluate(network, validation, LOSSES[loss], micro_batch, compute)
            epoch = Epoch(number, train_loss, valid_loss, score, rate, honest)
            history.append(epoch)
            record(epoch)
            left = (epochs - number) * (time.monotonic() - started)
            logger.info(
                f"member {seed}, epoch {number} of {epochs}: loss {train_loss:.4f}, "
                f"validation loss {valid_loss:.4f}, "
                f"score {score:.4f}{'' if honest else ' (NOT honest, on training tiles)'}; "
                f"{speed:.0f} tiles/s, at most {timedelta(seconds=round(left))} left"
            )
            _raise_for_divergence(f"member {seed}", number, losses, valid_loss)
            value = epoch.monitored(monitor)
            if value < least - minimum_gain or not best_state:
                least, best_epoch = value, number
                # A copy: the state dict itself refers to weights that training goes on changing.
                best_state = copy.deepcopy(network.state_dict())
            plateau.step(value)
            if saved and (finished() or time.monotonic() >= next_save):
                before = time.monotonic()
                saved.save(
                    {
                        "network": network.state_dict(),
                        "optimiser": optimiser.state_dict(),
                        "plateau": plateau.state_dict(),
                        "history": [asdict(row) for row in history],
                        "least": least,
                        "best_epoch": best_epoch,
                        "best_state": best_state,
                    }
                )
                next_save = time.monotonic() + (time.monotonic() - before) / SAVING_SHARE
    if len(history) < epochs:
        logger.info(f"member {seed}: no gain in {stopping_patience} epochs, stopped")
    best = history[best_epoch - 1]
    about = {
        "model": model_settings,
        "seed": seed,
        "epoch": best.epoch,
        "valid_loss": best.valid_loss,
        "valid_score": best.valid_score,
        "honest": honest,
    }
    return Checkpoint(about, {name: t.cpu() for name, t in best_state.items()}), history


def _order(tiles: int, count: int, generator: torch.Generator) -> Tensor:
    """Numbers of the tiles as an epoch sees them: random orders of all, one after another."""
    orders = [torch.randperm(tiles, generator=generator) for _ in range(math.ceil(count / tiles))]
    return torch.cat(orders)[:count]


def train_epoch(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    tiles: Labelled,
    batches: Sequence[Tensor],
    maps: Sequence[Tensor],
    loss: Callable[[Tensor, Tensor], Tensor],
    micro_batch: int,
    compute: Compute,
    bar: tqdm,
) -> list[float]:
    """One step per batch of tile numbers and their maps, both on the device; gives their losses.

    Args:
        batches: numbers of a batch's tiles, int64 (batch).
        maps: how they are moved, float32 (batch, 2, 3), as ``augmentation.warp`` takes it.
        loss: of logits against masks, both float32 (batch, 1, height, width).
        micro_batch: tiles at once.
    """
    network.train()
    losses = torch.zeros(len(batches), device=compute.device)
    for number, batch in enumerate(zip(batches, maps, strict=True)):
        parts = math.ceil(len(batch[0]) / micro_batch)
        optimiser.zero_grad()
        for rows, moves in zip(*(tensor.tensor_split(parts) for tensor in batch), strict=True):
            images, masks = warp(
                model.images_to_input(tiles.images[rows]), tiles.masks[rows].float(), moves
            )
            with compute.autocast():
                logits = network(
                    images.contiguous(memory_format=torch.channels_last), tiles.depths[rows]
                )
            part_loss = loss(logits.float(), masks) * (len(rows) / len(batch[0]))
            part_loss.backward()
            # Left on the device, where reading it would wait for the step to end.
            losses[number] += part_loss.detach()
        optimiser.step()
        bar.update()
    return losses.tolist()


@contextmanager
def _compiling() -> Iterator[None]:
    """Raise InputError where torch.compile fails."""
    # Slow to import, and there already where something is compiled.
    from torch._dynamo.exc import BackendCompilerFailed

    try:
        yield
    except BackendCompilerFailed as error:
        raise InputError(
            f"training.compile: PyTorch cannot compile the network here ({first_line(error)}); "
            "set it to false"
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
