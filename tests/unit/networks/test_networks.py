"""Every network of the registry, through all that training and prediction ask of one."""

import inspect
import os
import shlex
import shutil
import sys

import numpy as np
import pytest
import torch
from torch import nn

from saltseg.core.errors import InputError
from saltseg.ensemble.predictions import Predictions, mean_probabilities, save
from saltseg.evaluation.decision import Decision
from saltseg.inference.predict import predict
from saltseg.inference.predict_new import decide
from saltseg.networks import model
from saltseg.networks.checkpoint import Checkpoint
from saltseg.networks.cpu_kernels import Dropout
from saltseg.networks.network import Network
from saltseg.networks.registry import NETWORKS, OPTIONAL, Entry
from saltseg.training import trainer as train
from support.networks import FIRST_OF_CLASS, NAMES, NEEDED, options_of
from support.training import CPU, labelled, member

EVERY = pytest.mark.parametrize("name", NAMES)
SIZES = [(16, 16), (17, 17), (31, 31), (32, 32), (33, 33), (16, 64), (64, 31), (101, 101)]


class Minimal(Network):
    """What a newcomer has to write, and no more."""

    def __init__(self, width, dropout):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1), Dropout(dropout), nn.Conv2d(width, 1, 1)
        )

    def logits(self, images, depths):
        return self.body(images)


@pytest.fixture(autouse=True)
def minimal(monkeypatch):
    monkeypatch.setitem(NETWORKS, "minimal", Entry(lambda: Minimal, frozenset()))


def settings_of(name, **more):
    needs = NETWORKS[name].needs if name in NETWORKS else ()
    needed = {key: NEEDED[section, key] for section, key in needs}
    return {"name": name, "width": 1, "dropout": 0.3, **needed, **more}


@EVERY
def test_the_registry_says_what_a_network_takes(name):
    entry = NETWORKS[name]
    assert issubclass(entry.load(), Network)
    parameters = inspect.signature(entry.load()).parameters.keys() - entry.fixed.keys()
    assert parameters - {"width", "dropout"} == {
        key for section, key in entry.takes if section == "model"
    }
    network = model.build(**settings_of(name))
    assert (network.encoder is not None) is (("training", "pretrained") in entry.takes)
    assert network.uses_depth is False
    for (section, key), value in OPTIONAL.items():
        if (section, key) in entry.needs:
            continue
        assert model.build(**settings_of(name, **({key: value} if section == "model" else {})))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "lite"}, "model.name: expected one of unet, .*, found lite"),
        ({"name": "unet", "scale": 2}, "model.scale: unet does not take it, found 2; set it to 1"),
        ({"name": "timm_unet"}, "model.encoder: timm_unet needs it, found null"),
    ],
)
def test_a_network_is_not_built_with_what_it_does_not_take(settings, message):
    with pytest.raises(InputError, match=message):
        model.build(width=1, dropout=0.0, **settings)


@pytest.mark.parametrize(("key", "value"), [("pretrained", True), ("frozen_epochs", 1)])
def test_a_network_without_an_encoder_is_not_trained_as_if_it_had_one(key, value):
    with pytest.raises(InputError, match=rf"training\.{key}: residual_unet does not take it"):
        member(**{key: value})


@pytest.mark.parametrize("name", [*NAMES, "minimal"])
def test_new_tiles_get_the_masks_that_test_tiles_get(tmp_path, name):
    """One member for each choice, trained, saved, and predicting in both ways."""
    random = np.random.default_rng(3)
    images = random.integers(0, 256, (5, 17, 20), dtype=np.uint8)
    ids, depths = list("abcde"), np.linspace(50, 90, 5, dtype=np.float32)
    networks, members = [], []
    for number, options in enumerate(options_of(name)):
        settings = settings_of(name, **options) | {"width": 4}
        checkpoint, _ = member(labelled(4), labelled(2), model=settings, epochs=1)
        checkpoint.save(tmp_path / f"{number}.safetensors")
        networks.append(Checkpoint.load(tmp_path / f"{number}.safetensors").rebuild())
        batches = predict(networks[-1], images, depths, CPU, batch_size=3, flip=True)
        save(tmp_path / f"{number}.h5", ids, (17, 20), batches)
        members.append(Predictions.load(tmp_path / f"{number}.h5"))
    means = np.concatenate([mean for _, mean in mean_probabilities(members, ids)])
    decision = Decision(float(np.median(means)), True, {str(i): 1 for i in range(len(members))})
    assert 0 < (means > decision.threshold).mean() < 1
    masks = np.stack(list(decide(networks, images, depths, CPU, decision, 3)))
    np.testing.assert_array_equal(masks, means > decision.threshold)


@EVERY
@pytest.mark.parametrize("size", SIZES)
def test_a_batch_of_the_smallest_size_is_the_smallest_that_can_be_normalised(name, size):
    for options in options_of(name):
        network = model.build(**settings_of(name, **options)).train()
        least = network.smallest_batch(*size)
        logits = network(torch.rand(least, 1, *size), torch.rand(least))
        assert logits.shape == (least, 1, *size) and logits.isfinite().all()
        if least > 1:
            with pytest.raises(ValueError, match="more than 1 value per channel"):
                network(torch.rand(1, 1, *size), torch.rand(1))


@pytest.mark.parametrize(
    ("name", "scale", "side"),
    [("efficientnet_lite0_unet", 1, 32), ("efficientnet_lite0_unet", 2, 16), ("unet", None, 31)],
)
@pytest.mark.parametrize(
    "small", [{"batch_size": 1}, {"micro_batch": 1}, {"batch_size": 3, "micro_batch": 2}]
)
def test_batches_too_small_for_a_network_are_refused(name, scale, side, small):
    settings = settings_of(name) | ({"scale": scale} if scale else {})
    with pytest.raises(InputError, match=rf"a step on a single tile of {side}x{side} pixels"):
        member(labelled(4, side=side), labelled(2, side=side), model=settings, **small)


def compiled_and_not(name):
    """Train a member on two batches, once compiled; returns both checkpoints."""
    torch.compiler.reset()
    tiles = labelled(8, side=32)
    return [
        member(tiles, tiles, model=settings_of(name), compile=compiled, epochs=1)[0]
        for compiled in (False, True)
    ]


def assert_nearly_equal(one, other):
    assert list(one.state) == list(other.state)
    for name, weights in one.state.items():
        torch.testing.assert_close(other.state[name], weights, rtol=0.05, atol=0.05, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("name", FIRST_OF_CLASS)
def test_a_network_with_dropout_is_traced_whole(name, monkeypatch):
    """All of torch.compile but the code that it writes, which takes minutes for all networks."""
    real = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda network: real(network, backend="aot_eager", fullgraph=True)
    )
    assert_nearly_equal(*compiled_and_not(name))


def needs_compiler(test):
    """Skip a test where PyTorch cannot compile."""
    compiler = shutil.which("g++") or shutil.which("c++")
    quoted = shlex.quote(sys.prefix) != sys.prefix
    test = pytest.mark.skipif(not compiler, reason="needs a C++ compiler")(test)
    reason = "PyTorch quotes no path that it compiles with"
    return pytest.mark.skipif(quoted, reason=reason)(test)


@needs_compiler
@pytest.mark.skipif("SALT_COMPILE" not in os.environ, reason="takes minutes: make test-compile")
@EVERY
def test_each_network_is_compiled_to_the_end(name):
    assert_nearly_equal(*compiled_and_not(name))


@pytest.mark.parametrize("compiled", [True, False])
def test_a_compilation_that_does_not_help_is_reported_before_training(
    compiled, caplog, monkeypatch
):
    class Idle(train.Trainer):
        def train_epoch(self, number):
            return [0.5]

    monkeypatch.setattr(torch, "compile", lambda network: network)
    member(labelled(4), compile=compiled, epochs=1, trainer=Idle)
    assert any("training.compile: on a CPU" in line for line in caplog.messages[:1]) is compiled
