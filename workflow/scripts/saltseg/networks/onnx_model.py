"""Networks as ONNX models, which other runtimes than PyTorch read."""

import io
import warnings

import torch
from torch import Tensor, nn

OPSET = 17
DIMENSIONS = ("tiles", "height", "width")
# Height and width of the tiles that the export computes once.
TRACED = (48, 40)


def to_onnx(module: nn.Module, inputs: dict[str, Tensor], output: str) -> bytes:
    """Return an ONNX model of what a module on the CPU computes.

    The model takes any number of tiles, of any size that the module's networks take.

    Args:
        inputs: by name, what to compute once: two tiles of ``TRACED`` pixels, whose height and
            width come last, and with networks that need them two depths.
        output: name of what the module returns, of as many dimensions as the tiles.
    """
    (tiles, *others), buffer = inputs.items(), io.BytesIO()
    name, values = tiles
    last = values.ndim
    axes = dict(zip((0, last - 2, last - 1), DIMENSIONS, strict=True))
    with torch.inference_mode(), warnings.catch_warnings():
        # Of Python numbers in the trace, which are the same for tiles of all sizes allowed.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            buffer,  # ty: ignore[invalid-argument-type]
            input_names=list(inputs),
            output_names=[output],
            dynamic_axes={name: axes, output: axes} | {other: {0: "tiles"} for other, _ in others},
            opset_version=OPSET,
            # The newer exporter needs more packages, and many times as long.
            dynamo=False,
        )
    return buffer.getvalue()
