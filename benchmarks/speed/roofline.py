"""Count the operations and bytes of a training step, and measure the machine's peak rates."""

import time
from collections.abc import Callable

import ours
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from saltseg.training import losses

VIEWS = ("view", "as_strided", "t", "transpose", "permute", "detach", "expand", "slice", "split")
SIDE = 2048  # of the matrices multiplied
COPIED = 256 * 2**20  # bytes


class Traffic(TorchDispatchMode):
    """Count the bytes that operations read and write, each tensor once per operation."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket.__name__ not in VIEWS:
            tensors = tree_leaves((args, kwargs, result))
            self.bytes += sum(t.nbytes for t in tensors if isinstance(t, torch.Tensor))
        return result


def counted(survey: str, batch_size: int, width: int = 16) -> Callable[[], dict]:
    """Count FLOPs and bytes per tile of forward, loss, backward and step."""
    made = ours.member(survey, width, batch_size, batch_size)
    compute, network, progress = made.compute, made.network, made.progress
    labelled = made.job.training
    images = labelled.images.float().contiguous(memory_format=torch.channels_last)
    masks = labelled.masks.float()

    def repeat() -> dict:
        traffic, flops = Traffic(), FlopCounterMode(display=False)
        with flops, traffic:
            with compute.autocast():
                logits = network(images)
            losses.bce_dice(logits.float(), masks).backward()
            progress.optimiser.step()
        progress.optimiser.zero_grad()
        return {
            "tiles": batch_size,
            "gflop": flops.get_total_flops() / batch_size / 1e9,
            "mb": traffic.bytes / batch_size / 1e6,
        }

    return repeat


def machine() -> Callable[[], dict]:
    """Measure the rates of matrix products, in the precision of training, and of copies."""
    compute = ours.select()
    dtype = torch.bfloat16 if compute.bf16 else torch.float32
    left, right = (torch.randn(SIDE, SIDE, dtype=dtype) for _ in range(2))
    source = torch.randn(COPIED // 4)
    target = torch.empty_like(source)

    def best_of(function: Callable[[], object], count: int = 10) -> float:
        seconds = []
        for _ in range(count):
            started = time.perf_counter()
            function()
            seconds.append(time.perf_counter() - started)
        return min(seconds)

    def repeat() -> dict:
        return {
            "tiles": 0,
            "gflop_per_s": 2 * SIDE**3 / best_of(lambda: left @ right) / 1e9,
            # Read and written.
            "gb_per_s": 2 * COPIED / best_of(lambda: target.copy_(source)) / 1e9,
        }

    return repeat
