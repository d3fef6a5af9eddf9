"""Runtimes that compute finished members: ``compute.runtime``."""

import logging

from saltseg.core.errors import InputError
from saltseg.device.compute import Compute
from saltseg.inference.registry import RUNTIMES
from saltseg.networks.network import Network

logger = logging.getLogger(__name__)

# Weights from which `auto` uses OpenVINO: with fewer, compiling takes longer than it saves. Not by
# the number of tiles, on which no prediction depends.
LEAST_WEIGHTS = 1_000_000
FASTEST_ON_CPU = "openvino"


def for_inference(network: Network, compute: Compute) -> Network:
    """Return a network that predicts what a finished member's does, by ``compute.runtime``.

    ``auto`` is OpenVINO, if installed, on a CPU for networks of at least ``LEAST_WEIGHTS`` weights,
    and PyTorch otherwise. A GPU always uses PyTorch.

    Raises InputError if the runtime that is asked for is not installed.
    """
    name = compute.runtime
    if name not in ("auto", "torch") and compute.device.type != "cpu":
        logger.warning(f"compute.runtime: {name} is for CPUs; PyTorch predicts on the GPU")
        name = "torch"
    if name == "auto":
        weights = sum(weight.numel() for weight in network.parameters())
        fits = compute.device.type == "cpu" and weights >= LEAST_WEIGHTS
        installed = not RUNTIMES[FASTEST_ON_CPU].missing()
        name = FASTEST_ON_CPU if fits and installed else "torch"
    if name == "torch":
        return network.to(compute.device)
    missing = RUNTIMES[name].missing()
    if missing:
        raise InputError(
            f"compute.runtime is {name}, but {' and '.join(missing)} is not installed; "
            f"pip install {' '.join(missing)}, or set it to auto or torch"
        )
    logger.info("%s predicts", name)
    return RUNTIMES[name].load()(network, compute)
