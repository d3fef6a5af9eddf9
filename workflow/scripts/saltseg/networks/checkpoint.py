"""A trained member in one safetensors file whose header describes its network."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from saltseg.core.errors import InputError, printable
from saltseg.core.files import replacing
from saltseg.core.header import FORMAT, TRAIN_AGAIN, UNSEALED, read_checkpoint, seal
from saltseg.networks import model
from saltseg.networks.network import Network
from saltseg.networks.registry import NETWORKS


@dataclass(frozen=True)
class Checkpoint:
    """Weights of a member and what is known about it.

    about: format, model (the configuration's section), seed, epoch, valid_loss, valid_score
    state: the network's state dict, on the CPU
    path: where it was loaded from
    """

    about: dict
    state: dict[str, Tensor]
    path: Path | str = field(default="the checkpoint", compare=False)

    def save(self, path: Path | str) -> None:
        # One header entry, since safetensors does not keep the order of several.
        about = {**self.about, "format": FORMAT, "digest": UNSEALED}
        header = {"salt": json.dumps(about, sort_keys=True)}
        state = {name: tensor.contiguous() for name, tensor in self.state.items()}
        with replacing(path) as part:
            # save_file would leave a file that only its owner may read.
            part.write_bytes(seal(save(state, header)))

    @classmethod
    def load(cls, path: Path | str) -> "Checkpoint":
        """Raises InputError for a file that is no checkpoint of this project, or a damaged one."""
        about, data = read_checkpoint(path)
        try:
            return cls(about, load(data), path)
        except (SafetensorError, LookupError, ValueError) as error:
            raise InputError(
                f"{path}: not a readable checkpoint ({error}); {TRAIN_AGAIN}"
            ) from None

    @property
    def seed(self) -> int:
        """The member's seed; InputError if the header has none."""
        seed = self.about.get("seed")
        if type(seed) is not int or seed < 0:
            raise InputError(
                f"{self.path}: expected the member's seed in its header, found "
                f"{printable(repr(seed))}; delete it to train again"
            )
        return seed

    def rebuild(self) -> Network:
        """The member's network with its weights, in evaluation mode.

        Raises InputError if the header and the weights do not fit together, or a weight is no
        finite number.
        """
        made_of, plugins = self.about.get("model"), self.about.get("plugins")
        if plugins and isinstance(made_of, dict) and made_of.get("name") not in NETWORKS:
            raise InputError(
                f"{self.path}: no network {printable(str(made_of.get('name')))} here; name the "
                f"file that adds it, {printable(', '.join(map(str, plugins)))}, in plugins"
            )
        try:
            # Without memory, of which an altered header might ask for any amount.
            with torch.device("meta"):
                network = model.build(**self.about["model"])
            fits = {name: tensor.dtype for name, tensor in network.state_dict().items()} == {
                name: tensor.dtype for name, tensor in self.state.items()
            }
            network.load_state_dict(self.state, assign=True)
        except (LookupError, TypeError, ValueError, RuntimeError, OverflowError):
            fits = False
        if not fits:
            raise InputError(
                f"{self.path}: its weights do not fit the network named in its header, "
                f"{printable(str(self.about.get('model')))}; delete it to train again"
            )
        odd = [name for name, tensor in self.state.items() if not tensor.isfinite().all()]
        if odd:
            raise InputError(
                f"{self.path}: non-finite weights in {odd[0]}; delete it to train again"
            )
        # PyTorch's types leave memory_format out.
        return network.to(memory_format=torch.channels_last).eval()  # ty: ignore[no-matching-overload]
