"""The choice of device, and PyTorch's settings for reproducible bytes."""

import os
import re

import pytest
import torch

from saltseg.device import compute
from saltseg.device.compute import Compute
from saltseg.settings.config import ComputeSettings
from saltseg.training.data import Labelled
from support.training import labelled, member


def select(**changes):
    """Choose a device by section ``compute``, on the CPU in fp32 unless it changes that."""
    return Compute.select(ComputeSettings(**{"device": "cpu", "precision": "fp32", **changes}))


@pytest.fixture(autouse=True)
def restored():
    threads = torch.get_num_threads()
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)


@pytest.mark.parametrize("deterministic", [True, False])
def test_the_switch_reaches_pytorch(deterministic, monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    select(deterministic=deterministic)
    assert torch.are_deterministic_algorithms_enabled() is deterministic
    assert torch.backends.cudnn.benchmark is not deterministic
    assert ("CUBLAS_WORKSPACE_CONFIG" in os.environ) is deterministic


@pytest.mark.parametrize(("bf16", "expected"), [(True, "bf16"), (False, "fp16")])
def test_a_gpu_without_bf16_computes_in_fp16(monkeypatch, bf16, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **kwargs: bf16)
    found = select(device="cuda", precision="auto")
    assert found.precision == expected and found.scaler().is_enabled() is not bf16


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"cpu_name": "AMD EPYC", "avx512_bf16": True, "amx_bf16": False}, "bf16"),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": True}, "bf16"),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": False}, "fp32"),
        ({"cpu_name": "AMD EPYC", "avx2": True}, "fp32"),
        ({}, "fp32"),
    ],
)
def test_a_cpu_computes_in_bf16_only_where_that_is_faster(monkeypatch, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert select(precision="auto").precision == expected


@pytest.mark.parametrize("precision", ["auto", "bf16", "fp32"])
def test_fp32_is_fp32_in_convolutions_too(precision):
    select(precision=precision)
    assert torch.backends.cudnn.allow_tf32 is (precision != "fp32")


def test_threads_are_those_of_the_configuration_whatever_the_engine_gives(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    select(threads=2)
    assert torch.get_num_threads() == 2


def test_a_c_library_that_cannot_keep_freed_memory_is_no_hindrance(monkeypatch):
    asked = []
    monkeypatch.setattr("ctypes.CDLL", lambda name: asked.append(name) or object())
    assert select().device.type == "cpu"
    assert asked == [None]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    ("network", "loss"),
    [
        ({"name": "residual_unet", "dropout": 0.5}, "bce_dice"),
        ({"name": "efficientnet_lite0_unet", "hypercolumn": True}, "symmetric_lovasz_bce"),
    ],
)
def test_on_a_gpu_a_seed_trains_the_same_member_again(precision, network, loss):
    compute = select(device="cuda", precision=precision)
    tiles = labelled(64, side=101)
    tiles = Labelled(*(part.to(compute.device) for part in vars(tiles).values()))
    (one, history), (other, same) = (
        member(
            tiles,
            tiles,
            compute,
            model={"width": 8} | network,
            loss=loss,
            passes_per_epoch=2,
            batch_size=16,
            learning_rate=1e-3,
        )
        for _ in range(2)
    )
    assert history == same
    assert all(torch.equal(tensor, other.state[name]) for name, tensor in one.state.items())


@pytest.mark.parametrize(
    ("changes", "notice"),
    [
        ({"precision": "bf16"}, "compute.precision: this device has no bf16 of its own"),
        ({"precision": "fp16"}, "compute.precision: this device has no fp16 of its own"),
        ({"deterministic": False}, "compute.deterministic: false changes nothing on a CPU"),
        ({"threads": 999}, r"compute.threads: more threads \(999\) than CPU cores \(2\)"),
        ({}, None),
        ({"precision": "auto"}, None),
    ],
)
def test_a_setting_that_does_not_help_here_is_reported(monkeypatch, caplog, changes, notice):
    monkeypatch.setattr(compute, "_fastest_precision", lambda device: "fp32")
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)
    select(**changes)
    assert len(caplog.messages) == (notice is not None)
    assert notice is None or re.match(notice, caplog.messages[0])
