"""The networks that ``model.name`` may name, and the settings that each of them takes.

A new one is a subclass of ``network.Network`` in a module of its own, and a line here. PyTorch is
needed only where a network is built, so that a configuration can be checked without it.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module

from saltseg.core.errors import printable

# Settings that not every network takes, and the value that stands for none of it.
OPTIONAL = {
    ("model", "depth"): "none",
    ("model", "scale"): 1,
    ("model", "hypercolumn"): False,
    ("model", "encoder"): None,
    ("training", "pretrained"): False,
    ("training", "frozen_epochs"): 0,
    ("training", "encoder_weights"): None,
}
DEPTH = frozenset({("model", "depth")})
CHOICE = frozenset({("model", "encoder"), ("training", "encoder_weights")})
ENCODER = frozenset(OPTIONAL) - DEPTH - CHOICE


@dataclass(frozen=True)
class Entry:
    """A network of the registry.

    load: returns its class, a ``network.Network``; the module's name is a literal, since the files
        that a stage depends on are found by reading its imports
    takes: those of ``OPTIONAL`` that it takes
    fixed: arguments of the class that are not in the configuration
    needs: those of ``takes`` that it cannot be built without
    """

    load: Callable[[], type]
    takes: frozenset[tuple[str, str]]
    fixed: dict = field(default_factory=dict)
    needs: frozenset[tuple[str, str]] = frozenset()


NETWORKS = {
    "unet": Entry(lambda: import_module("saltseg.networks.unet").UNet, DEPTH),
    "residual_unet": Entry(lambda: import_module("saltseg.networks.unet").ResidualUNet, DEPTH),
    **{
        f"efficientnet_lite{variant}_unet": Entry(
            lambda: import_module("saltseg.networks.efficientnet_unet").EfficientNetUNet,
            ENCODER,
            {"variant": variant},
        )
        for variant in range(3)
    },
    "timm_unet": Entry(
        lambda: import_module("saltseg.networks.timm_unet").TimmUNet,
        ENCODER | CHOICE,
        needs=frozenset({("model", "encoder")}),
    ),
}


def not_taken(config: dict) -> Iterator[str]:
    """Yield a fault for an unknown network, and for each setting that a known one cannot have."""
    name = config["model"]["name"]
    if name not in NETWORKS:
        yield f"model.name: expected one of {', '.join(NETWORKS)}, found {printable(str(name))}"
        return
    for (section, key), none in OPTIONAL.items():
        value = config.get(section, {}).get(key, none)
        if (section, key) not in NETWORKS[name].takes and value != none:
            others = [other for other, each in NETWORKS.items() if (section, key) in each.takes]
            yield (
                f"{section}.{key}: {name} does not take it, found {json.dumps(value)}; set it to "
                f"{json.dumps(none)}, or model.name to one of {', '.join(others)}"
            )
        if (section, key) in NETWORKS[name].needs and value == none:
            yield f"{section}.{key}: {name} needs it, found {json.dumps(value)}; set it to a name"
    if config.get("training", {}).get("pretrained") and config["training"].get("encoder_weights"):
        yield (
            "training.pretrained, training.encoder_weights: both say where the encoder's weights "
            "come from; set one of them to false or null"
        )
