"""What computes finished members: which runtime, and that it predicts what PyTorch does."""

import logging
import sys

import numpy as np
import pytest
import torch

from saltseg.core.errors import InputError
from saltseg.device.compute import Compute
from saltseg.inference.predict import predict
from saltseg.inference.registry import RUNTIMES, Runtime
from saltseg.inference.runtimes import LEAST_WEIGHTS, for_inference
from support.networks import NAMES, OPENVINO, options_of, seen_data
from support.running import run_code

CPU = torch.device("cpu")
# One tile of a single pixel at the coarsest level, odd sides, an even one, and one past a step.
SHAPES = [(1, 16, 16), (7, 101, 101), (3, 50, 73), (2, 256, 128), (4, 33, 17)]


def settings_of(name):
    """Settings of a network that has all that it takes."""
    return {"name": name, "width": 2, "dropout": 0.3, **options_of(name)[-1]}


def tiles_of(shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def probabilities(network, shape, compute, batch_size=3, flip=True):
    depths = np.linspace(0, 1000, shape[0], dtype=np.float32)
    batches = predict(network, tiles_of(shape), depths, compute, batch_size=batch_size, flip=flip)
    return np.concatenate(list(batches))


def computing(runtime, precision="fp32"):
    return Compute(CPU, precision, runtime)


@OPENVINO
@pytest.mark.parametrize("name", NAMES)
def test_openvino_predicts_what_pytorch_does(name):
    compute = computing("openvino")
    network = seen_data(**settings_of(name))
    compiled = for_inference(network, compute)
    assert type(compiled) is not type(network)
    for shape in SHAPES:
        found, expected = (probabilities(each, shape, compute) for each in (compiled, network))
        assert found.dtype == np.float32
        assert expected.std() > 0.01
        assert np.abs(found - expected).max() < 1e-4, shape


@pytest.mark.slow
@OPENVINO
@pytest.mark.parametrize("name", ["residual_unet", "efficientnet_lite0_unet"])
def test_openvino_in_bf16_is_as_near_as_pytorch_in_bf16(name):
    # On a processor without bf16, OpenVINO computes in fp32.
    compute = computing("openvino", "bf16")
    network = seen_data(name=name, width=8, dropout=0)
    compiled = for_inference(network, compute)
    for shape in SHAPES:
        # Without the flip, which makes two tiles of one.
        exact, near, found = (
            probabilities(each, shape, way, flip=False)
            for each, way in (
                (network, computing("torch")),
                (network, compute),
                (compiled, compute),
            )
        )
        near, found = np.abs(near - exact), np.abs(found - exact)
        assert found.mean() <= 2 * near.mean() + 1e-5, shape


@pytest.mark.slow
@OPENVINO
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_openvino_s_bytes_are_the_same_in_any_batch_and_each_time(precision):
    compute = computing("openvino", precision)
    network = seen_data(name="residual_unet", width=4, dropout=0)
    images = torch.from_numpy(tiles_of((12, 1, 101, 101))) / 255
    first, second = for_inference(network, compute), for_inference(network, compute)
    expected = first(images)
    for batch_size in (1, 5, 12):
        for each in (first, second):
            assert torch.equal(torch.cat([each(x) for x in images.split(batch_size)]), expected)
    found = [probabilities(each, (7, 101, 101), compute) for each in (first, second)]
    assert found[0].tobytes() == found[1].tobytes()


@OPENVINO
def test_each_member_has_the_threads_of_openvino_and_pytorch_has_one():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        compute = Compute(CPU, "fp32", runtime="openvino", threads=2)
        for _ in range(2):
            network = for_inference(seen_data(name="unet", width=1, dropout=0), compute)
            compiled = network._request.get_compiled_model()
            assert compiled.get_property("INFERENCE_NUM_THREADS") == 2
            assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


SHORT_OF_MEMORY = """
import resource, sys
import numpy as np, torch
from saltseg.core.errors import InputError
from saltseg.device.compute import Compute
from saltseg.inference.predict import predict
from saltseg.inference.runtimes import for_inference
from saltseg.networks import model

compute = Compute(torch.device("cpu"), "fp32", runtime="openvino")
network = for_inference(model.build(name="unet", width=32, dropout=0), compute)
few = np.zeros((2, 64, 64), np.uint8)
list(predict(network, few, None, compute, batch_size=2, flip=False))
free = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (free + 700 * 2**20,) * 2)
many = np.zeros((4000, 64, 64), np.uint8)
try:
    list(predict(network, many, None, compute, batch_size=4000, flip=False))
except InputError as error:
    print(error)
"""


@OPENVINO
@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_a_batch_that_does_not_fit_into_memory_is_an_error_with_the_value_to_try():
    done = run_code(SHORT_OF_MEMORY)
    assert "not enough memory for 4000 tiles at once" in done.stdout, done.stdout + done.stderr
    assert "set inference.batch_size to 2000" in done.stdout


@pytest.fixture
def calls(monkeypatch):
    """Networks that a stand-in for OpenVINO, installed, was asked to translate."""
    found = []

    def compiled(network, compute):
        found.append(network)
        return network

    monkeypatch.setitem(RUNTIMES, "openvino", Runtime(lambda: compiled, ("json",)))
    return found


SMALL, LARGE = ({"name": "unet", "width": width, "dropout": 0} for width in (2, 12))


@pytest.mark.parametrize(
    ("runtime", "settings", "translated"),
    [
        ("auto", SMALL, False),
        ("auto", LARGE, True),
        ("torch", LARGE, False),
        ("openvino", SMALL, True),
    ],
)
def test_auto_translates_networks_that_are_worth_it(calls, runtime, settings, translated):
    network = seen_data(**settings)
    weights = sum(each.numel() for each in network.parameters())
    assert (weights < LEAST_WEIGHTS) == (settings is SMALL)
    assert for_inference(network, computing(runtime)) is network
    assert calls == [network] * translated


def test_without_openvino_auto_is_pytorch_and_openvino_is_an_error(monkeypatch):
    monkeypatch.setitem(RUNTIMES, "openvino", Runtime(lambda: 1 / 0, ("no_such_package", "json")))
    large = seen_data(**LARGE)
    assert for_inference(large, computing("auto")) is large
    with pytest.raises(InputError, match="openvino, but no_such_package is not installed"):
        for_inference(large, computing("openvino"))


@pytest.mark.parametrize("runtime", ["auto", "openvino", "torch"])
def test_a_gpu_is_pytorch_s(calls, caplog, runtime):
    # A device without memory stands for one that is no CPU.
    gpu = Compute(torch.device("meta"), "fp32", runtime=runtime)
    with caplog.at_level(logging.WARNING):
        found = for_inference(seen_data(**LARGE), gpu)
    assert next(found.parameters()).device.type == "meta"
    assert calls == []
    notices = [record.message for record in caplog.records]
    assert [("compute.runtime: openvino is for CPUs" in each) for each in notices] == (
        [True] if runtime == "openvino" else []
    )
