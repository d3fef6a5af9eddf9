"""U-Net on an encoder of the library timm.

timm is an optional requirement, imported only if such a network is built.
"""

import difflib
import logging
import pickle
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from saltseg.core.errors import InputError, first_line, printable, raise_faults
from saltseg.networks.efficientnet_unet import EncoderUNet

logger = logging.getLogger(__name__)

STRIDES = (2, 4, 8, 16, 32)
GREY = 1  # channels
# Sides of the picture whose features are looked at before an encoder is taken.
PROBE = (64, 96)


@cache
def timm() -> ModuleType:
    """Import timm, beside any build of PyTorch.

    Raises InputError if a package is missing.
    """
    try:
        _declare_operators()
        library = import_module("timm")
    except ImportError as error:
        raise InputError(
            f"model.name: timm_unet needs timm and torchvision ({first_line(error)}); "
            "pip install -e '.[timm]'"
        ) from None
    # Weights are checked here, and what timm and its client of the hub remark on, such as each
    # attempt to connect, is noise in a job's log.
    for name in ("timm", "huggingface_hub", "httpx2"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return library


@cache  # What the library defines is gone with it.
def _declare_operators() -> torch.library.Library | None:
    """Let torchvision be imported beside a PyTorch that its compiled operators were not made for.

    timm imports torchvision for one class written in Python. torchvision registers further code for
    its operators when it is imported, which fails where they could not be loaded: its wheel for
    CUDA beside a PyTorch for the CPU, for one. Nothing here calls them.
    """
    found = find_spec("torchvision")
    if found is None:
        raise ImportError("No module named 'torchvision'")
    for file in Path(str(found.origin)).parent.glob("_C*"):
        try:
            torch.ops.load_library(file)
            return None
        except OSError:
            pass
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


class TimmEncoder(nn.Module):
    """Encode grey images in [0, 1] into features at strides 2, 4, 8, 16 and 32.

    The images are normalised as for the encoder's own weights, by the mean of its three channels.
    Features that an encoder does not have at stride 2 are replaced by none, of 0 channels.

    Args:
        name: of a model of timm, with or without the tag of its weights, such as ``resnet34`` or
            ``resnet34.a1_in1k``.

    Attributes:
        channels: number of channels per feature map, finest first.

    Raises InputError for a name that timm does not know, and for a model without such features.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, name: str):
        super().__init__()
        self.name = name
        if not timm().is_model(name):
            near = difflib.get_close_matches(name, timm().list_models(), n=3)
            raise InputError(
                f"model.encoder: timm {timm().__version__} has no model {printable(name)}"
                + (f"; similar are {', '.join(near)}" if near else "")
            )
        self.places, self.channels = self._levels()
        self.body: Any = self._build()
        # With the weights, so that a member alone can normalise new tiles.
        for key, option in (("mean", "mean"), ("deviation", "std")):
            values = self.body.pretrained_cfg[option]
            self.register_buffer(key, torch.tensor(sum(values) / len(values)))

    def forward(self, images: Tensor) -> list[Tensor]:
        found = self.body((images - self.mean) / self.deviation)
        if len(found) < len(STRIDES):
            count, _, height, width = images.shape
            return [found[0].new_empty(count, 0, height // 2, width // 2), *found]
        return found

    def load_pretrained(self) -> None:
        """Load timm's weights, which it downloads unless it has done so before.

        Raises InputError if there are none, or timm cannot get them.
        """
        about = self.body.pretrained_cfg
        named = ".".join(filter(None, (about["architecture"], about["tag"])))
        logger.info("loading timm's weights: %s", named)
        try:
            body = self._build(pretrained=True)
        except Exception as error:  # of any of the libraries that timm downloads with
            raise InputError(
                f"training.pretrained: timm gives no weights for {self.name} "
                f"({printable(first_line(error))}); name a file with them in "
                "training.encoder_weights"
            ) from None
        self.body.load_state_dict(body.state_dict())

    def load_weights(self, path: Path | str) -> None:
        """Load weights from a file, safetensors or PyTorch's, with the names that timm gives them.

        Its classifier, if any, is left out. Raises InputError for a file that is not readable, or
        whose names or shapes are not those of the encoder.
        """
        state = _read(path)
        raise_faults(f"training.encoder_weights: {path}", self._misfits(state))
        # timm itself turns three channels into one, by their sum, and drops the classifier.
        body = self._build(pretrained=True, pretrained_cfg_overlay={"state_dict": state})
        self.body.load_state_dict(body.state_dict())

    def _build(self, **options) -> nn.Module:
        return timm().create_model(
            self.name, features_only=True, in_chans=GREY, out_indices=self.places, **options
        )

    def _levels(self) -> tuple[tuple[int, ...], list[int]]:
        """Return which of the model's features to take, and how many channels each of them has."""
        try:
            # Without memory or time for weights.
            with torch.device("meta"), torch.no_grad():
                model = timm().create_model(self.name, features_only=True, in_chans=GREY)
                info = model.feature_info
                last = {stride: i for i, stride in enumerate(info.reduction()) if stride in STRIDES}
                found = [tuple(each.shape) for each in model.eval()(torch.zeros(1, GREY, *PROBE))]
        except Exception as error:  # of any model of the library
            raise InputError(
                f"model.encoder: {self.name} gives no features of pictures of any size "
                f"({printable(first_line(error))}); name another one"
            ) from None
        strides = tuple(sorted(last))
        channels = [info.channels()[last[stride]] for stride in strides]
        expected = [
            (1, count, *(side // stride for side in PROBE))
            for stride, count in zip(strides, channels, strict=True)
        ]
        if strides not in (STRIDES, STRIDES[1:]) or [found[last[s]] for s in strides] != expected:
            raise InputError(
                f"model.encoder: expected features at strides {', '.join(map(str, STRIDES))}, or "
                f"all but the first, found {', '.join(map(str, info.reduction()))} in {self.name}; "
                "name another one"
            )
        places = tuple(info.out_indices[last[stride]] for stride in strides)
        return places, [0] * (len(STRIDES) - len(strides)) + channels

    def _misfits(self, state: dict[str, Tensor]) -> list[str]:
        """Return faults of a file's weights, compared with the whole model with three channels."""
        with torch.device("meta"):
            model = timm().create_model(self.name)
        about = model.pretrained_cfg
        wanted = {name: tuple(each.shape) for name, each in model.state_dict().items()}
        classifier = tuple(f"{each}." for each in _listed(about.get("classifier")))
        first = {f"{each}.weight" for each in _listed(about.get("first_conv"))}
        faults = []
        for name in wanted.keys() | state.keys():
            if name.startswith(classifier):
                continue
            if name not in state:
                faults.append(f"{name} is missing")
            elif name not in wanted:
                faults.append(f"{printable(name)} is no weight of {self.name}")
            else:
                found, shape = tuple(state[name].shape), wanted[name]
                grey = (*shape[:1], GREY, *shape[2:])
                if found != shape and not (name in first and found == grey):
                    faults.append(f"{name}: expected shape {shape}, found {found}")
        return sorted(faults)


class TimmUNet(EncoderUNet):
    """U-Net whose encoder is one of timm's.

    Args:
        encoder: its name; the others as for ``EncoderUNet``.
    """

    def __init__(
        self, encoder: str, width: int, dropout: float, scale: int = 1, hypercolumn: bool = False
    ):
        super().__init__(TimmEncoder(encoder), width, dropout, scale, hypercolumn)


def _read(path: Path | str) -> dict[str, Tensor]:
    """Read a state dict, which may lie beside other things in a checkpoint of timm's."""
    try:
        state = import_module("timm.models").load_state_dict(str(path), weights_only=True)
    except FileNotFoundError:
        raise InputError(f"training.encoder_weights: {path}: no such file") from None
    except (
        *(OSError, RuntimeError, ValueError, LookupError, AttributeError, TypeError, EOFError),
        *(SafetensorError, pickle.UnpicklingError),
    ) as error:
        raise InputError(
            f"training.encoder_weights: {path}: expected weights alone, in a file .safetensors or "
            f"one of torch.save ({printable(first_line(error))})"
        ) from None
    odd = [name for name, each in state.items() if not isinstance(each, Tensor)]
    if odd:
        raise InputError(
            f"training.encoder_weights: {path}: expected weights alone, found "
            f"{printable(str(odd[0]))}"
        )
    return state


def _listed(names: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names or ())
