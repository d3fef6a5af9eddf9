"""One member's prediction by this project, by eager PyTorch, and by two runtimes used directly.

The runtimes read the member as `snakemake export` writes it, flip and all, with their own defaults.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import ours
import torch
from survey import tiles_and_masks

from saltseg.ensemble.predictions import save
from saltseg.evaluation.decision import Decision
from saltseg.inference.exported import write_export
from saltseg.inference.predict import predict
from saltseg.inference.runtimes import for_inference
from saltseg.networks import model
from saltseg.networks.network import Network

# Both at width 16 and without depths.
NETWORKS = {
    "residual U-Net": {"name": "residual_unet"},
    "EfficientNet-Lite2 U-Net": {"name": "efficientnet_lite2_unet"},
}


def built(network: str) -> Network:
    torch.manual_seed(0)
    return model.build(**NETWORKS[network], width=16, dropout=0.5).eval()


def project(survey: str, output: str, network: str, tiles: int = 128) -> Callable[[], int]:
    """Predict as the stages do, in batches of 32."""
    compute = ours.select()
    member = for_inference(built(network), compute)
    return _repeating(
        survey,
        output,
        tiles,
        lambda images: predict(member, images, None, compute, batch_size=32, flip=True),
    )


def eager(survey: str, output: str, network: str, tiles: int = 128) -> Callable[[], int]:
    """Predict in fp32 and channels-last, as PyTorch's guide to speed on CPUs advises."""
    ours.select()
    member = built(network).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def compute(images: np.ndarray) -> Iterator[np.ndarray]:
        for part in torch.from_numpy(images).split(32):
            x = (part[:, None] / 255).contiguous(memory_format=torch.channels_last)
            straight, mirrored = torch.sigmoid(member(x)), torch.sigmoid(member(x.flip(-1)))
            yield ((straight + mirrored.flip(-1)) / 2)[:, 0].numpy()

    return _repeating(survey, output, tiles, compute)


def openvino(survey: str, output: str, network: str, tiles: int = 128) -> Callable[[], int]:
    # Before OpenVINO's own import: without what reports to its makers.
    from saltseg.inference.openvino_runtime import openvino as runtime

    compiled = runtime.Core().compile_model(_exported(output, network), "CPU")
    return _repeating(survey, output, tiles, _batches(lambda part: compiled([part])[0]))


def onnx_runtime(survey: str, output: str, network: str, tiles: int = 128) -> Callable[[], int]:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        _exported(output, network), providers=["CPUExecutionProvider"]
    )
    return _repeating(
        survey, output, tiles, _batches(lambda part: session.run(None, {"tiles": part})[0])
    )


def _exported(output: str, network: str) -> str:
    path = Path(output).with_suffix(".onnx")
    write_export(path, {"0": built(network)}, Decision(0.5, True, {"0": 1}))
    return str(path)


def _batches(compute: Callable[[np.ndarray], np.ndarray]) -> Callable:
    def batches(images: np.ndarray) -> Iterator[np.ndarray]:
        for start in range(0, len(images), 32):
            yield np.array(compute(images[start : start + 32]))

    return batches


def _repeating(survey: str, output: str, tiles: int, compute: Callable) -> Callable[[], int]:
    images, _ = tiles_and_masks(survey, tiles)
    ids = [str(number) for number in range(tiles)]

    def repeat() -> int:
        save(output, ids, ours.TILE, compute(images))
        return tiles

    return repeat
