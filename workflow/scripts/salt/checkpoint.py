"""A trained member in one safetensors file whose header tells how to rebuild it."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from salt import model
from salt.errors import InputError
from salt.files import replacing

FORMAT = "salt-segmentation/1"


@dataclass(frozen=True)
class Checkpoint:
    """Weights of a member and what is known about it.

    about: format, model (the configuration's section), seed, epoch, valid_loss, valid_score
    state: the network's state dict, on the CPU
    """

    about: dict
    state: dict[str, Tensor]

    def save(self, path: Path | str) -> None:
        # One header entry, since safetensors does not keep the order of several.
        header = {"salt": json.dumps({"format": FORMAT, **self.about}, sort_keys=True)}
        state = {name: tensor.contiguous() for name, tensor in self.state.items()}
        with replacing(path) as part:
            # save_file would leave a file that only its owner may read.
            part.write_bytes(save(state, header))

    @classmethod
    def load(cls, path: Path | str) -> "Checkpoint":
        """Raises InputError for a file that is no checkpoint of this project."""
        try:
            with safe_open(path, framework="pt") as file:
                about = json.loads((file.metadata() or {}).get("salt", "{}"))
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, json.JSONDecodeError) as error:
            raise InputError(
                f"{path}: not a readable checkpoint ({error}); delete it to train again"
            ) from None
        found = about.get("format") if isinstance(about, dict) else None
        if found != FORMAT:
            raise InputError(
                f"{path}: expected a checkpoint of format {FORMAT}, found {found}; "
                "delete it to train again"
            )
        return cls(about, state)

    def rebuild(self) -> nn.Module:
        """The member's network with its weights, in evaluation mode."""
        network = model.build(**self.about["model"])
        try:
            network.load_state_dict(self.state)
        except RuntimeError:
            raise InputError(
                "the checkpoint's weights do not fit the model that its header names, "
                f"{self.about['model']}; delete it to train again"
            ) from None
        return network.to(memory_format=torch.channels_last).eval()
