"""Predictions: computing, storing and averaging."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from saltseg.core.errors import InputError
from saltseg.core.quantisation import SCALE
from saltseg.ensemble.predictions import Predictions, save, shard_of, sum_values
from saltseg.inference.predict import predict
from saltseg.networks import model
from support.training import CPU


def test_what_is_saved_in_batches_is_loaded_in_one_piece(tmp_path):
    probabilities = np.random.default_rng(1).random((7, 3, 4), dtype=np.float32)
    probabilities[0, 0, :2] = 0, 1
    ids = [f"00{i}" for i in range(7)]
    path = tmp_path / "new" / "0.h5"
    save(path, ids, (3, 4), np.split(probabilities, [3, 6]))
    loaded = Predictions.load(path)
    assert loaded.ids == ids
    assert loaded.values.dtype == np.uint16
    assert loaded.values[0][0, :2].tolist() == [0, SCALE]
    np.testing.assert_allclose(loaded.values[:] / SCALE, probabilities, rtol=0, atol=8e-6)
    assert [file.name for file in path.parent.iterdir()] == ["0.h5"]


@given(arrays(np.float32, (1, 8, 8), elements=st.floats(0, 1, width=32)))
def test_storage_errs_by_half_a_unit_at_most(tmp_path_factory, probabilities):
    path = tmp_path_factory.mktemp("storage") / "0.h5"
    save(path, ["a"], (8, 8), [probabilities])
    values = Predictions.load(path).values[:]
    for stored, exact in zip(values.ravel().tolist(), probabilities.ravel().tolist(), strict=True):
        # Half a unit, plus the float32 rounding of the product with SCALE.
        assert abs(stored - Fraction(exact) * SCALE) <= Fraction(1, 2) + Fraction(1, 256)


@given(st.data())
def test_members_are_summed_tile_by_tile_in_the_requested_order(data):
    ids = data.draw(st.permutations([f"tile{i}" for i in range(6)]))
    members = []
    for _ in range(data.draw(st.integers(1, 3))):
        some = data.draw(st.lists(st.sampled_from([*ids, "other"]), unique=True))
        values = data.draw(
            arrays(np.uint16, (len(some), 2, 3), elements=st.integers(0, SCALE), fill=st.nothing())
        )
        members.append(Predictions(Path("m.h5"), some, values))
    rows = []
    for part, total, count in sum_values(members, ids, chunk=data.draw(st.integers(1, 7))):
        assert total.dtype == np.uint32
        assert len(ids[part]) == len(total) == len(count)
        for name, tile, number in zip(ids[part], total.tolist(), count.tolist(), strict=True):
            own = [m.values[m.ids.index(name)].tolist() for m in members if name in m.ids]
            assert number == len(own)
            for y in range(2):
                for x in range(3):
                    assert tile[y][x] == sum(values[y][x] for values in own)
            rows.append(name)
    assert rows == ids


def test_sums_of_many_full_members_do_not_overflow():
    members = [Predictions(Path(), ["a"], np.full((1, 1, 1), SCALE, np.uint16))] * 300
    ((_, total, count),) = sum_values(members, ["a"])
    assert (total.tolist(), count.tolist()) == ([[[300 * SCALE]]], [300])


class Sided(nn.Module):
    """A network that is not symmetric under either flip."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.network = model.build("residual_unet", width=2, dropout=0.5)
        nn.init.normal_(self.network.head.bias)

    def forward(self, x, depths):
        ramp = torch.linspace(-2, 2, x.shape[-1]) + torch.linspace(0, 1, x.shape[-2])[:, None]
        return self.network(x, depths) + ramp


@pytest.fixture
def images():
    return np.random.default_rng(2).integers(0, 256, (5, 17, 20), dtype=np.uint8)


def test_with_flip_a_probability_is_the_mean_of_both_sides(images):
    network = Sided()
    (flipped,) = predict(network, images, None, CPU, batch_size=5, flip=True)
    (straight,) = predict(network, images, None, CPU, batch_size=5, flip=False)
    mirror = np.ascontiguousarray(images[:, :, ::-1])
    (mirrored,) = predict(network, mirror, None, CPU, batch_size=5, flip=False)
    np.testing.assert_allclose(flipped, (straight + mirrored[:, :, ::-1]) / 2, atol=1e-6)
    assert np.abs(flipped - straight).max() > 0.1


class Deep(nn.Module):
    """Return a tile's depth as its logits, doubled in rows with a bright left pixel."""

    def forward(self, x, depths):
        return depths[:, None, None, None] * (1 + (x[..., :1] > 0.5)).expand_as(x)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("batch_size", [1, 2, 5, 100])
def test_each_tile_is_predicted_with_its_own_depth(flip, batch_size):
    images = np.zeros((5, 16, 17), dtype=np.uint8)
    images[3, :, 0] = 255
    depths = np.array([-2, -0.5, 0, 1, 3], dtype=np.float32)
    batches = predict(Deep(), images, depths, CPU, batch_size=batch_size, flip=flip)
    found = np.concatenate(list(batches))
    expected = 1 / (1 + np.exp(-depths))
    twice = 1 / (1 + np.exp(-2.0))
    expected[3] = (expected[3] + twice) / 2 if flip else twice
    np.testing.assert_allclose(found, np.broadcast_to(expected[:, None, None], found.shape), 1e-6)


@given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 12))
def test_shards_together_are_all_tiles_in_order_cut_between_batches(tiles, batch_size, shards):
    parts = [shard_of(tiles, batch_size, shards, number) for number in range(shards)]
    assert [row for part in parts for row in part] == list(range(tiles))
    assert all(part.start % batch_size == 0 for part in parts)
    batches = [-(-len(part) // batch_size) for part in parts]
    assert max(batches) - min(batches) <= 1


def test_a_shard_beyond_the_last_is_refused():
    with pytest.raises(InputError, match=r"no shard 3 of 3 \(inference\.shards\)"):
        shard_of(10, 2, 3, 3)


def test_a_shard_without_tiles_is_written_and_opened(tmp_path):
    save(tmp_path / "0.h5", [], (5, 7), iter([]))
    empty = Predictions.load(tmp_path / "0.h5")
    assert empty.ids == [] and empty.values.shape == (0, 5, 7)
