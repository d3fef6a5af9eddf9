"""Exported members, run by ONNX Runtime, give what PyTorch does."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from saltseg.evaluation.decision import Decision
from saltseg.inference.exported import FORMAT, write_export
from saltseg.inference.predict import predict
from support.networks import FIRST_OF_CLASS, NAMES, OPENVINO, options_of, seen_data
from support.running import ROOT
from support.training import CPU

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")

SHAPES = [(3, 101, 101), (1, 50, 73), (2, 256, 128), (5, 16, 16), (1, 17, 40)]
# All options of the first of each class, and all but the richest in slow tests.
EVERY = [
    pytest.param(*name.values, options, marks=[*name.marks, *[pytest.mark.slow] * (number > 0)])
    for name in NAMES
    for number, options in enumerate(
        options_of(*name.values)[:: -1 if name in FIRST_OF_CLASS else -100]
    )
]


def decision(**changes) -> Decision:
    return Decision(**{"threshold": 0.25, "flip": True, "members": {"3": 1}} | changes)


def member(name="unet", seed=0, **options):
    return seen_data(seed=seed, name=name, width=2, dropout=0.3, **options)


def run(path, tiles, depths=None):
    """Probabilities by ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    given = {"tiles": tiles} if depths is None else {"tiles": tiles, "depths": depths}
    (found,) = session.run(["probabilities"], given)
    return found


def tiles_of(shape):
    tiles = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    return tiles, np.linspace(40, 960, shape[0], dtype=np.float32)


def by_pytorch(network, tiles, depths, flip=True):
    batches = predict(network, tiles, depths, CPU, batch_size=8, flip=flip)
    return np.concatenate(list(batches))


@pytest.mark.parametrize(("name", "options"), EVERY, ids=str)
def test_each_network_is_exported_for_any_number_and_size_of_tiles(tmp_path, name, options):
    network = member(name, **options)
    write_export(tmp_path / "x.onnx", {"3": network}, decision())
    for shape in SHAPES:
        tiles, depths = tiles_of(shape)
        expected = by_pytorch(network, tiles, depths)
        found = run(tmp_path / "x.onnx", tiles, depths if network.uses_depth else None)
        assert found.dtype == np.float32 and found.shape == shape
        assert expected.std() > 0.01
        assert np.abs(found - expected).max() < 1e-4, shape


@pytest.mark.slow
@OPENVINO
def test_a_member_is_exported_for_openvino_too(tmp_path):
    from saltseg.inference.openvino_runtime import hint, openvino

    network = member("efficientnet_lite0_unet")
    write_export(tmp_path / "x.onnx", {"3": network}, decision())
    fp32 = {hint.inference_precision: openvino.Type.f32}
    compiled = openvino.Core().compile_model(tmp_path / "x.onnx", "CPU", fp32)
    for shape in SHAPES:
        tiles, depths = tiles_of(shape)
        found = compiled([tiles])[0]
        assert np.abs(found - by_pytorch(network, tiles, depths)).max() < 1e-4, shape


def test_a_flip_is_exported_as_the_threshold_was_tuned(tmp_path):
    network = member()
    tiles, depths = tiles_of((2, 33, 48))
    for flip in (True, False):
        write_export(tmp_path / "x.onnx", {"3": network}, decision(flip=flip))
        found = run(tmp_path / "x.onnx", tiles)
        assert np.abs(found - by_pytorch(network, tiles, depths, flip)).max() < 1e-4
        assert np.abs(found - by_pytorch(network, tiles, depths, not flip)).max() > 1e-3


@pytest.mark.slow
def test_an_ensemble_is_the_weighted_mean_of_its_members_even_if_only_some_need_depths(tmp_path):
    members = {
        "0": member("unet"),
        "a-0": member("residual_unet", depth="both"),
        "b-0": member("unet", seed=2),
    }
    weights = {"0": 1, "a-0": 3, "b-0": 2}
    write_export(tmp_path / "x.onnx", members, decision(members=weights))
    tiles, depths = tiles_of((3, 50, 73))
    each = [by_pytorch(network, tiles, depths) for network in members.values()]
    expected = np.average(each, axis=0, weights=[1, 3, 2])
    assert np.abs(run(tmp_path / "x.onnx", tiles, depths) - expected).max() < 1e-4


def test_a_file_says_how_to_use_it_and_nothing_of_this_machine(tmp_path):
    write_export(tmp_path / "x.onnx", {"3": member()}, decision())
    write_export(tmp_path / "y.onnx", {"3": member()}, decision())
    data = (tmp_path / "x.onnx").read_bytes()
    assert (tmp_path / "y.onnx").read_bytes() == data
    assert str(ROOT).encode() not in data
    session = onnxruntime.InferenceSession(tmp_path / "x.onnx")
    about = session.get_modelmeta().custom_metadata_map
    assert about.pop("format") == FORMAT
    assert {key: json.loads(value) for key, value in about.items()} == {
        "threshold": 0.25,
        "flip": True,
        "members": {"3": 1},
        "smallest_side": 16,
    }
    (given,), (found,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type) == ("tiles", "tensor(uint8)")
    assert (found.name, found.type) == ("probabilities", "tensor(float)")
    assert given.shape == found.shape == ["tiles", "height", "width"]


def test_the_example_in_the_docs_gives_the_mask(tmp_path, monkeypatch):
    text = (ROOT / "docs/export.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    network, (tiles, depths) = member(), tiles_of((1, 50, 73))
    (tmp_path / "results/export").mkdir(parents=True)
    write_export(tmp_path / "results/export/ensemble.onnx", {"3": network}, decision())
    Image.fromarray(tiles[0]).save(tmp_path / "tile.png")
    monkeypatch.chdir(tmp_path)
    found = {}
    exec(example, found)
    expected = by_pytorch(network, tiles, depths)[0]
    clear = np.abs(expected - 0.25) > 1e-4
    assert clear.sum() > 0 and found["mask"].any() and not found["mask"].all()
    np.testing.assert_array_equal(found["mask"][clear], (expected > 0.25)[clear])
