"""Prediction on CPUs by OpenVINO, which fuses layers that PyTorch computes one by one."""

import sys

import numpy as np
import torch
from torch import Tensor

from saltseg.device.compute import Compute
from saltseg.networks.network import Network
from saltseg.networks.onnx_model import TRACED, to_onnx

# With this package, which comes along, the import alone would report to OpenVINO's makers, and
# leave a file in the user's home.
sys.modules.setdefault("openvino_telemetry", None)  # ty: ignore[no-matching-overload]

import openvino  # noqa: E402
from openvino.properties import hint, inference_num_threads, num_streams  # noqa: E402


def compile_openvino(network: Network, compute: Compute) -> Network:
    """Compile a network on the CPU for OpenVINO, in the precision of ``compute``.

    From then on PyTorch uses one thread: others would spin while they wait for work, which took up
    to a tenth of OpenVINO's speed.
    """
    inputs = {"images": torch.zeros(2, 1, *TRACED)}
    if network.uses_depth:
        inputs["depths"] = torch.zeros(2)
    # Via ONNX: OpenVINO's own conversion from PyTorch takes several times as long.
    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(to_onnx(network, inputs, "logits")),
        "CPU",
        {
            hint.inference_precision: openvino.Type.bf16
            if compute.precision == "bf16"
            else openvino.Type.f32,
            # One after the other, as whatever computes side by side would be in memory.
            num_streams: 1,
            inference_num_threads: compute.threads,
            # Jobs side by side would be pinned to the same cores.
            hint.enable_cpu_pinning: False,
        },
    )
    torch.set_num_threads(1)
    return OpenVINONetwork(network, compiled)


class OpenVINONetwork(Network):
    """A network that OpenVINO computes; of its own it has no weights."""

    def __init__(self, network: Network, compiled: openvino.CompiledModel):
        super().__init__()
        self.uses_depth, self.SMALLEST_SIDE = network.uses_depth, network.SMALLEST_SIDE
        # In a list, so that the weights are not taken for this network's own.
        self._described = [network]
        self._request = compiled.create_infer_request()

    def logits(self, images: Tensor, depths: Tensor | None) -> Tensor:
        tiles, _, *shape = images.shape
        if tiles < self.smallest_batch(*shape):
            # In bf16 OpenVINO 2026.4 computes a convolution of a single pixel wrongly.
            depths = None if depths is None else torch.cat([depths, depths])
            return self.logits(torch.cat([images, images]), depths)[:tiles]
        given = [images] if depths is None or not self.uses_depth else [images, depths]
        # Where memory does not suffice, OpenVINO raises nothing and leaves the output as it was.
        logits = np.full(images.shape, np.nan, dtype=np.float32)
        self._request.set_output_tensor(openvino.Tensor(logits, shared_memory=True))
        self._request.infer([each.contiguous().numpy() for each in given], share_inputs=True)
        if np.isnan(logits).any():
            raise MemoryError(f"OpenVINO computed no logits of {tiles} tiles")
        return torch.from_numpy(logits)

    @property
    def stride(self) -> int:
        return self._described[0].stride

    @property
    def receptive_radius(self) -> int:
        return self._described[0].receptive_radius

    def padding(self, side: int) -> tuple[int, int]:
        return self._described[0].padding(side)

    def bottleneck_size(self, height: int, width: int) -> tuple[int, int]:
        return self._described[0].bottleneck_size(height, width)
