"""Finished members as ONNX models, for programs without Python or PyTorch; see docs/export.md."""

import json
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from saltseg.core.files import replacing
from saltseg.evaluation.decision import Decision
from saltseg.networks import model
from saltseg.networks.network import Network
from saltseg.networks.onnx_model import TRACED, to_onnx

FORMAT = "salt-segmentation-export/1"


class Members(nn.Module):
    """Mean probability of some members, from uint8 tiles (tiles, height, width)."""

    def __init__(self, networks: list[Network], weights: list[int], flip: bool):
        super().__init__()
        self.networks, self.flip = nn.ModuleList(networks), flip
        self.shares = [weight / sum(weights) / (1 + flip) for weight in weights]

    def forward(self, tiles: Tensor, depths: Tensor | None = None) -> Tensor:
        images = model.images_to_input(tiles.unsqueeze(1))
        # By index: of a slice that runs backwards, OpenVINO 2026.4 leaves out the last pixel.
        backwards = tiles.shape[-1] - 1 - torch.arange(tiles.shape[-1])
        found = []
        for network, share in zip(self.networks, self.shares, strict=True):
            found.append(share * torch.sigmoid(network(images, depths)))
            if self.flip:
                mirrored = torch.sigmoid(network(images[..., backwards], depths))
                found.append(share * mirrored[..., backwards])
        return torch.stack(found).sum(dim=0).squeeze(1)


def write_export(path: Path, members: dict[str, Network], decision: Decision) -> None:
    """Write members, by their names, as one ONNX model of their mean probability.

    Their weights are those of the decision. It averages over the flip where the threshold was
    tuned so.
    """
    networks = list(members.values())
    inputs = {"tiles": torch.zeros(2, *TRACED, dtype=torch.uint8)}
    if any(network.uses_depth for network in networks):
        inputs["depths"] = torch.zeros(2)
    exported = to_onnx(
        Members(networks, [decision.members[name] for name in members], decision.flip),
        inputs,
        "probabilities",
    )
    found = onnx.load_model_from_string(exported)
    about = {
        "format": FORMAT,
        "threshold": json.dumps(decision.threshold),
        "flip": json.dumps(decision.flip),
        "members": json.dumps(decision.members),
        "smallest_side": json.dumps(max(network.SMALLEST_SIDE for network in networks)),
    }
    onnx.helper.set_model_props(found, about)
    onnx.checker.check_model(found)
    with replacing(path) as part:
        part.write_bytes(found.SerializeToString(deterministic=True))
