"""Networks as the configuration names them."""

from torch import Tensor

from saltseg.core.errors import raise_faults
from saltseg.networks.network import Network
from saltseg.networks.registry import NETWORKS, OPTIONAL, not_taken


def build(name: str, **settings) -> Network:
    """Build the network of the configuration's section ``model``.

    Raises InputError for an unknown name, and for a setting that the network does not take.
    """
    raise_faults("Configuration", not_taken({"model": {"name": name, **settings}}))
    entry = NETWORKS[name]
    for section, key in OPTIONAL.keys() - entry.takes:
        if section == "model":
            settings.pop(key, None)
    return entry.load()(**entry.fixed, **settings)


def images_to_input(images: Tensor) -> Tensor:
    """Network input: uint8 images (batch, 1, height, width) as float32 in [0, 1]."""
    return images.float().div_(255)
