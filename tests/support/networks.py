"""Networks of the registry, built with all that they can have."""

from itertools import product

import pytest
import torch
from torch import nn

from saltseg.inference.registry import RUNTIMES
from saltseg.networks import model
from saltseg.networks.network import Network
from saltseg.networks.registry import NETWORKS
from support.training import NEEDS_TIMM

# The first of each class; the others of a class differ in numbers alone, and are slow tests.
FIRST = {NETWORKS[name].load(): name for name in reversed(NETWORKS)}.values()


def _marks(name: str) -> list:
    if name == "timm_unet":
        return [NEEDS_TIMM, pytest.mark.slow]
    return [] if name in FIRST else [pytest.mark.slow]


# To be parametrized with.
NAMES = [pytest.param(name, marks=_marks(name)) for name in NETWORKS]
FIRST_OF_CLASS = [name for name in NAMES if name.values[0] in FIRST]
# Of the EfficientNets.
VARIANTS = [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)]
# What a network cannot be built without, in a small form.
NEEDED = {("model", "encoder"): "resnet18"}

MISSING = RUNTIMES["openvino"].missing()
# Without importing it, which would write a file to the user's home.
OPENVINO = pytest.mark.skipif(bool(MISSING), reason=f"needs {' and '.join(MISSING)}")


def options_of(name: str) -> list[dict]:
    """Each choice of the model's settings that a network takes beside width and dropout."""
    choices = {"depth": ["none", "both"], "scale": [1, 2], "hypercolumn": [False, True]}
    choices["encoder"] = [NEEDED["model", "encoder"]]
    taken = sorted(key for section, key in NETWORKS[name].takes if section == "model")
    rows = product(*(choices[key] for key in taken))
    return [dict(zip(taken, row, strict=True)) for row in rows]


def seen_data(seed: int = 0, **settings) -> Network:
    """A network in evaluation mode whose normalisations have seen data, so that tiles matter."""
    torch.manual_seed(seed)
    network = model.build(**settings).train()
    network.set_depth_range(torch.tensor([50.0, 950.0]))
    return settle(network, torch.rand(8, 1, 64, 64), torch.linspace(50, 950, 8))


def settle(network, *inputs):
    """Have normalisations see some input, as in training; return the network to evaluate."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(*inputs)
    return network.eval()
