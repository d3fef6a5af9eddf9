"""The device that a stage computes on, and in which precision."""

import ctypes
import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from saltseg.core.errors import InputError
from saltseg.device.gpu_lease import hold_gpu
from saltseg.settings.config import ComputeSettings

logger = logging.getLogger(__name__)

# From malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Compute:
    """A device, and the precision of convolutions there: bf16, fp16 or fp32.

    ``runtime`` is the configuration's, which ``inference.runtimes`` chooses by; ``threads`` are for
    a CPU.
    """

    device: torch.device
    precision: str = "fp32"
    runtime: str = "torch"
    threads: int = 1

    @classmethod
    def take(cls, settings: ComputeSettings, threads: int | None) -> "Compute":
        """Reserve a GPU for this process, if there is one, and choose as ``select`` does."""
        hold_gpu(settings.device)
        # Stages that predict nothing are passed no runtime.
        return cls.select(settings, getattr(settings, "runtime", "torch"), threads)

    @classmethod
    def select(
        cls, settings: ComputeSettings, runtime: str = "torch", threads: int | None = None
    ) -> "Compute":
        """Choose by the configuration's section ``compute``, and set PyTorch accordingly.

        With ``deterministic``, computations are reproducible to the bit on a GPU as well as on a
        CPU. Settings that do not help on the device are logged.

        ``runtime`` is the section's own where members predict, and ``threads`` is what a scheduler
        grants, if not the section's. Raises InputError where ``device`` is cuda and there is none.
        """
        device, precision = settings.device, settings.precision
        threads, deterministic = threads or settings.threads, settings.deterministic
        torch.set_num_threads(threads)
        if deterministic:
            # What cuBLAS asks for, before its first use: https://docs.nvidia.com/cuda/cublas
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        # Where PyTorch knows no deterministic way, a warning in the log names the operation.
        # use_deterministic_algorithms would import the compiler, too, as slow as PyTorch itself.
        torch.set_deterministic_debug_mode("warn" if deterministic else "default")
        # No result depends on memory that was never written to.
        torch.utils.deterministic.fill_uninitialized_memory = False  # ty: ignore[missing-attribute]
        # The fastest convolution by trial may be another one each time.
        torch.backends.cudnn.benchmark = not deterministic
        # Else convolutions in fp32 would have the mantissa of fp16.
        torch.backends.cudnn.allow_tf32 = precision != "fp32"
        if device == "cuda" and not torch.cuda.is_available():
            raise InputError(
                "compute.device is cuda, but PyTorch finds no GPU here; set it to auto or cpu, "
                "or install a CUDA build of PyTorch"
            )
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cpu":
            _keep_freed_memory()
        fastest = _fastest_precision(device)
        for notice in _notices(device, precision, threads, deterministic, fastest):
            logger.warning(notice)
        precision = fastest if precision == "auto" else precision
        return cls(torch.device(device), precision, runtime, threads)

    def autocast(self) -> AbstractContextManager:
        """Context in which convolutions run in the chosen precision."""
        dtype = HALF.get(self.precision)
        return torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None)

    def scaler(self) -> torch.amp.GradScaler:
        """Return what keeps gradients within the range of fp16; it does nothing otherwise."""
        return torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")

    def __str__(self) -> str:
        name = torch.cuda.get_device_name() if self.device.type == "cuda" else "CPU"
        threads = "" if self.device.type == "cuda" else f", {self.threads} threads"
        return f"{name}, {self.precision}{threads}"


def _notices(
    device: str, precision: str, threads: int, deterministic: bool, fastest: str
) -> Iterator[str]:
    """Name the settings that do not help on a device."""
    # A GPU that has bf16 has fp16, too.
    slow = device == "cpu" if precision == "fp16" else precision == "bf16" != fastest
    if slow:
        yield (
            f"compute.precision: this device has no {precision} of its own, so it is slower than "
            "fp32; set it to auto"
        )
    if device == "cpu" and not deterministic:
        yield "compute.deterministic: false changes nothing on a CPU; it is for GPUs"
    cores = os.cpu_count()
    if device == "cpu" and cores and threads > cores:
        yield f"compute.threads: more threads ({threads}) than CPU cores ({cores}) do not help"


def _keep_freed_memory() -> None:
    """Stop malloc from returning freed memory between steps, whose pages would be cleared again.

    With batches of 128 tiles at width 16 that took two fifths of the time.
    """
    # Only the GNU C library has these settings.
    tell = getattr(ctypes.CDLL(None), "mallopt", None)
    if tell:
        for parameter in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            tell(parameter, 2**31 - 1)


def _fastest_precision(device: str) -> str:
    if device == "cuda":
        # Before Ampere, GPUs compute in fp16 alone.
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    # Without these instructions bf16 is emulated, and slower than fp32. Intel's AVX-512 multiplies
    # bf16 no faster than fp32, so without AMX, which some hypervisors hide, bf16 trains a fifth
    # slower. Older versions of PyTorch cannot tell; there fp32 is the safe choice.
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    intel = "Intel" in capabilities.get("cpu_name", "")
    fast = capabilities.get("amx_bf16") or (capabilities.get("avx512_bf16") and not intel)
    return "bf16" if fast else "fp32"
