"""Checkpoints: complete, and free of code that runs on loading."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from saltseg.core.errors import InputError
from saltseg.networks import model
from saltseg.networks.checkpoint import Checkpoint

SETTINGS = {"name": "residual_unet", "width": 2, "dropout": 0.3}


@pytest.fixture(scope="module")
def network():
    """A network with non-trivial batch normalisation statistics."""
    torch.manual_seed(0)
    network = model.build(**SETTINGS)
    for _ in range(3):
        network(torch.rand(4, 1, 16, 20) * 3)
    return network.eval()


@pytest.fixture
def checkpoint(network):
    about = {"model": SETTINGS, "seed": 4, "epoch": 7, "valid_loss": 0.25, "valid_score": 0.5}
    return Checkpoint(about, network.state_dict())


@pytest.fixture
def path(tmp_path, checkpoint):
    """A checkpoint as it travels alone."""
    path = tmp_path / "models" / "4" / "checkpoint.safetensors"
    checkpoint.save(path)
    return path


def test_weights_and_header_come_back(path, checkpoint):
    loaded = Checkpoint.load(path)
    assert {name: loaded.about[name] for name in checkpoint.about} == checkpoint.about
    assert set(loaded.state) == set(checkpoint.state)
    for name, tensor in checkpoint.state.items():
        assert torch.equal(loaded.state[name], tensor)
        assert loaded.state[name].dtype == tensor.dtype


@pytest.mark.parametrize("name", ["unet", "residual_unet"])
@pytest.mark.parametrize("depth", ["none", "first_pool", "bottleneck", "both"])
def test_the_file_alone_rebuilds_either_network_with_its_range_of_depth(tmp_path, name, depth):
    settings = {"name": name, "width": 2, "dropout": 0.3, "depth": depth}
    torch.manual_seed(0)
    network = model.build(**settings)
    depths = torch.tensor([53.0, 400.0, 959.0])
    network.set_depth_range(depths)
    network(torch.rand(3, 1, 16, 20), depths)
    network.eval()
    Checkpoint({"model": settings}, network.state_dict()).save(tmp_path / "c.safetensors")
    rebuilt = Checkpoint.load(tmp_path / "c.safetensors").rebuild()
    tiles, new_depths = torch.rand(3, 1, 25, 18), torch.tensor([20.0, 500.0, 1200.0])
    with torch.no_grad():
        logits = network(tiles, new_depths)
        torch.testing.assert_close(rebuilt(tiles, new_depths), logits, rtol=1e-5, atol=1e-5)
    if depth != "none":
        assert rebuilt.depth_range.tolist() == [53, 959]


def test_a_checkpoint_from_before_there_was_depth_is_of_a_network_without(checkpoint):
    assert "depth" not in checkpoint.about["model"]
    assert not checkpoint.rebuild().uses_depth


def test_the_same_checkpoint_is_the_same_file(path, tmp_path, checkpoint):
    checkpoint.save(tmp_path / "again.safetensors")
    about = dict(reversed(checkpoint.about.items()))
    Checkpoint(about, checkpoint.state).save(tmp_path / "turned.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    assert (tmp_path / "turned.safetensors").read_bytes() == path.read_bytes()


def test_other_tools_can_read_the_weights(path, checkpoint):
    assert set(load_file(path)) == set(checkpoint.state)


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        (None, "None"),
        ({"format": "pt"}, "None"),
        ({"salt": json.dumps({"format": "salt-segmentation/0"})}, "salt-segmentation/0"),
        ({"salt": json.dumps({"model": SETTINGS})}, "None"),
    ],
)
def test_another_format_is_refused(path, checkpoint, metadata, found):
    state = {name: tensor.contiguous() for name, tensor in checkpoint.state.items()}
    save_file(state, path, metadata)
    with pytest.raises(InputError, match=f"expected a checkpoint of format .*, found {found}"):
        Checkpoint.load(path)
