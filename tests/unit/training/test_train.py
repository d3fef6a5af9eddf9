"""Training of a member, on a handful of tiny tiles."""

import logging
import math
import re
import shlex
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from saltseg.core.errors import InputError
from saltseg.device.compute import Compute
from saltseg.networks.network import Network
from saltseg.survey import tiles as packed
from saltseg.training.augmentation import Augmentation
from saltseg.training.data import Labelled
from saltseg.training.losses import LOSSES
from saltseg.training.saved import Saved
from saltseg.training.trainer import Trainer, evaluate
from support.running import ROOT, run_code
from support.surveys import slow_score
from support.training import CPU, STILL, labelled, member, on_cpu


def test_chosen_tiles_are_loaded_as_8_bits_with_one_channel_and_their_depths(tmp_path):
    images = np.arange(4 * 3 * 4, dtype=np.uint8).reshape(4, 3, 4)
    table = pd.DataFrame({"id": list("abcd"), "depth": [53.0, 100.5, 959.0, 7.0]})
    packed.save(tmp_path / "train.h5", table, images, images % 2 == 0)
    rows = np.array([False, True, False, True])
    tiles = Labelled.load(packed.Tiles(tmp_path / "train.h5"), rows, torch.device("cpu"))
    assert tiles.images.shape == tiles.masks.shape == (2, 1, 3, 4)
    assert tiles.images.dtype == tiles.masks.dtype == torch.uint8
    assert tiles.images.flatten().tolist() == [*range(12, 24), *range(36, 48)]
    assert tiles.masks.flatten().tolist() == [1, 0] * 12
    assert tiles.depths.dtype == torch.float32
    assert tiles.depths.tolist() == [100.5, 7]
    assert len(tiles) == 2


@pytest.mark.parametrize("patience", [1, 3])
def test_the_rate_halves_after_each_patience_of_bad_epochs_down_to_its_floor(patience):
    # No gain is ever enough, so every epoch but the first is a bad one.
    _, history = member(
        minimum_gain=1e9,
        plateau_patience=patience,
        epochs=4 * patience + 2,
        learning_rate=0.016,
        minimum_learning_rate=0.003,
    )
    rates = [0.016] * (1 + patience) + [0.008] * patience + [0.004] * patience
    rates += [0.003] * (len(history) - len(rates))
    assert len(history) == 4 * patience + 2
    assert [epoch.learning_rate for epoch in history] == pytest.approx(rates)
    assert [epoch.epoch for epoch in history] == list(range(1, len(history) + 1))


def scripted(losses, scores, **changes):
    """Train with validation results from a script; return checkpoint, history and all states."""
    results, states = iter(zip(losses, scores, strict=True)), []

    class Scripted(Trainer):
        def evaluate(self, number):
            states.append({name: t.clone() for name, t in self.network.state_dict().items()})
            return next(results)

    changes |= {"epochs": len(losses), "learning_rate": 0.016}
    checkpoint, history = member(trainer=Scripted, **changes)
    return checkpoint, history, states


FALLING = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]
SCORES = [0.30, 0.50, 0.45, 0.50, 0.58, 0.58, 0.1]


@pytest.mark.parametrize(
    ("monitor", "losses", "scores", "best"),
    [
        ("map", FALLING, SCORES, 5),
        ("loss", FALLING, SCORES, 7),
        ("map", FALLING[::-1], SCORES, 5),
        ("loss", SCORES, FALLING, 7),
        ("map", SCORES, FALLING, 1),
        ("map", FALLING, [0.0] * 7, 1),
    ],
)
def test_weights_are_those_of_the_first_best_epoch(monitor, losses, scores, best):
    checkpoint, history, states = scripted(losses, scores, monitor=monitor)
    assert len(history) == 7
    assert checkpoint.about["epoch"] == best
    assert checkpoint.about["valid_loss"] == losses[best - 1]
    assert checkpoint.about["valid_score"] == scores[best - 1]
    for name, tensor in checkpoint.state.items():
        assert torch.equal(tensor, states[best - 1][name])
    assert not torch.equal(states[0]["head.weight"], states[1]["head.weight"])


def test_a_late_loss_is_not_compared_with_the_loss_before_it():
    losses = [0.2, 0.1, 0.9, 0.8, 0.85]
    late = {"late_loss": "lovasz_bce", "late_from": 3}
    settings = {"monitor": "loss", "plateau_patience": 1, "stopping_patience": 3}
    checkpoint, history, _ = scripted(losses, [0.5] * 5, **settings, **late)
    assert checkpoint.about["epoch"] == 4
    # Halved by the last epoch alone, and so for none of these.
    assert {epoch.learning_rate for epoch in history} == {0.016}


@pytest.mark.parametrize(
    ("monitor", "losses", "scores", "gain", "epochs"),
    [
        ("map", FALLING, SCORES, 0.0, 4),
        ("map", FALLING, SCORES, 0.25, 3),
        ("map", FALLING[::-1], FALLING[::-1], 0.0, 7),
        ("map", FALLING, FALLING, 0.0, 3),
        ("loss", FALLING, SCORES, 0.0, 7),
        ("loss", FALLING[::-1], FALLING[::-1], 0.0, 3),
    ],
)
def test_training_stops_by_what_is_monitored(monitor, losses, scores, gain, epochs):
    _, history, _ = scripted(
        losses, scores, monitor=monitor, stopping_patience=2, minimum_gain=gain
    )
    assert len(history) == epochs


@pytest.mark.parametrize("honest", [True, False])
def test_whether_scores_are_honest_is_stated_wherever_they_appear(honest, caplog):
    with caplog.at_level(logging.INFO, "saltseg.training.trainer"):
        checkpoint, history = member(honest=honest, epochs=2)
    assert checkpoint.about["honest"] is honest
    assert [epoch.honest for epoch in history] == [honest] * 2
    lines = [line for line in caplog.messages if "score" in line]
    assert len(lines) == 2
    for line, epoch in zip(lines, history, strict=True):
        score = f"score {epoch.valid_score:.4f}"
        assert f"{score}; " in line if honest else f"{score} (NOT honest, on training" in line


@pytest.mark.parametrize(
    ("name", "depth", "loss"),
    [
        ("unet", "first_pool", "bce"),
        ("unet", "both", "dice"),
        ("residual_unet", "bottleneck", "bce_dice"),
    ],
)
def test_a_member_keeps_its_best_state_and_the_training_tiles_range_of_depth(name, depth, loss):
    training, validation = labelled(8), labelled(5, seed=1)
    training.depths[:] = torch.linspace(200, 600, 8)
    validation.depths[:] = torch.tensor([50.0, 200, 300, 600, 950])
    settings = {"name": name, "width": 1, "dropout": 0.1, "depth": depth}
    checkpoint, history = member(training, validation, model=settings, epochs=2, loss=loss)
    assert checkpoint.state["depth_range"].tolist() == [200, 600]
    assert checkpoint.about["model"] == settings
    found = evaluate(checkpoint.rebuild(), validation, LOSSES[loss], 4, CPU)
    best = history[checkpoint.about["epoch"] - 1]
    assert found == pytest.approx((best.valid_loss, best.valid_score), rel=1e-4)


def test_every_tile_comes_with_its_own_depth():
    seen = {True: [], False: []}

    class Watched(Trainer):
        def make_network(self):
            network = super().make_network()
            network.register_forward_pre_hook(
                lambda network, inputs: seen[network.training].append(
                    ((inputs[0][:, 0, 0, 0] * 255).round().tolist(), inputs[1].tolist())
                )
            )
            return network

    settings = {"name": "unet", "width": 1, "dropout": 0.1, "depth": "both"}
    still = {"augmentation": STILL, "trainer": Watched}
    member(numbered(8), numbered(5), model=settings, epochs=2, **still)
    # 2 epochs of 2 batches, and of 4 and 1 validation tiles.
    assert [len(images) for images, _ in seen[True]] == [4] * 4
    assert [len(images) for images, _ in seen[False]] == [4, 1] * 2
    for images, depths in (*seen[True], *seen[False]):
        assert depths == [100 + number for number in images]


def test_a_seed_trains_the_same_member_again_and_another_one_another():
    (one, history), (two, again), (three, others) = (member(seed=seed) for seed in (5, 5, 6))
    assert history == again and one.about == two.about
    for name, tensor in one.state.items():
        assert torch.equal(tensor, two.state[name])
    assert not torch.equal(one.state["head.weight"], three.state["head.weight"])
    for epoch, other in zip(history, others, strict=True):
        assert epoch.train_loss != other.train_loss


@pytest.mark.parametrize("part", ["training", "validation"])
def test_a_nan_loss_keeps_the_earlier_state(tmp_path, part):
    numbers = iter(range(1, 10))

    class Diverging(Trainer):
        saving_share = math.inf  # after each epoch

        def train_epoch(self, number):
            return [0.5, math.nan if part == "training" and next(numbers) == 3 else 0.5]

        def evaluate(self, number):
            return math.inf if part == "validation" and next(numbers) == 3 else 0.5, 0.5

    state = Saved(tmp_path / "0.pt", "mine")
    where = {"training": "batch 2 of 2", "validation": "the validation"}[part]
    with pytest.raises(
        InputError, match=f"member 0: the loss of {where} in epoch 3 is not a finit"
    ):
        member(epochs=5, saved=state, trainer=Diverging)
    assert len(state.load()["history"]) == 2


def numbered(count):
    """Tiles that tell their number."""
    images = np.arange(count, dtype=np.uint8)[:, None, None].repeat(16, 1).repeat(16, 2)
    return on_cpu(images, images % 2 == 1, 100.0 + np.arange(count))


@pytest.mark.parametrize(
    ("tiles", "passes", "batch_size"),
    [(8, 1, 4), (8, 2, 4), (6, 1.5, 3), (7, 1, 3), (5, 2.2, 4), (3, 1, 4), (8, 0.5, 2)],
)
def test_batches_see_each_tile_as_often_as_requested(monkeypatch, tiles, passes, batch_size):
    seen = []

    def spy(augmentation, images, masks, *drawn):
        numbers = (images[:, 0, 0, 0] * 255).round().int().tolist()
        assert masks[:, 0, 0, 0].tolist() == [number % 2 for number in numbers]
        assert {*map(len, drawn)} == {len(images)}
        seen.append(numbers)
        return images, masks

    monkeypatch.setattr(Augmentation, "apply", spy)
    epochs = 3
    member(training=numbered(tiles), passes_per_epoch=passes, batch_size=batch_size, epochs=epochs)
    steps = len(seen) // epochs
    assert steps == math.ceil(round(tiles * passes, 6) / batch_size)
    assert {len(numbers) for numbers in seen} == {batch_size}
    orders = []
    for epoch in range(epochs):
        order = list(chain(*seen[epoch * steps : (epoch + 1) * steps]))
        counts = [order.count(number) for number in range(tiles)]
        assert max(counts) - min(counts) <= 1
        assert sum(counts) == steps * batch_size >= tiles * passes
        if tiles * passes % batch_size == 0 and passes == int(passes):
            assert counts == [passes] * tiles
        orders.append(order)
    # Each epoch has its own order.
    assert orders[0] != orders[1] or orders[1] != orders[2]


class Tilewise(Network):
    """A network whose tiles do not know of each other."""

    def __init__(self):
        super().__init__()
        self.convolution = torch.nn.Conv2d(1, 1, 3, padding=1)

    def logits(self, images, depths):
        return 3 * self.convolution(images).tanh()


class OfTilewise(Trainer):
    def make_network(self):
        return Tilewise()


@pytest.mark.parametrize("loss", ["bce", "dice_per_tile"])
@pytest.mark.parametrize("micro_batch", [1, 2, 3, 4, 5, 6])
def test_parts_of_a_batch_add_up_to_it(micro_batch, loss):
    whole, history = member(labelled(14), trainer=OfTilewise, batch_size=7, loss=loss)
    parts, same = member(
        labelled(14), trainer=OfTilewise, batch_size=7, loss=loss, micro_batch=micro_batch
    )
    for name, weights in whole.state.items():
        torch.testing.assert_close(parts.state[name], weights, rtol=1e-4, atol=1e-5)
    losses, of_parts = ([row.train_loss for row in rows] for rows in (history, same))
    assert of_parts == pytest.approx(losses, rel=1e-4)


@pytest.mark.parametrize(
    ("micro_batch", "sizes"),
    [(None, [7]), (9, [7]), (7, [7]), (6, [4, 3]), (4, [4, 3]), (3, [3, 2, 2]), (2, [2, 2, 2, 1])],
)
def test_parts_are_as_equal_as_can_be(monkeypatch, micro_batch, sizes):
    seen = []

    def spy(augmentation, images, masks, *drawn):
        assert {*map(len, (masks, *drawn))} == {len(images)}
        seen.append(len(images))
        return images, masks

    monkeypatch.setattr(Augmentation, "apply", spy)
    member(labelled(14), trainer=OfTilewise, batch_size=7, micro_batch=micro_batch, epochs=1)
    assert seen == 2 * sizes


@pytest.mark.parametrize(("micro_batch", "mend"), [(None, "4 .* to 2"), (2, "2 .* to 1")])
def test_want_of_memory_names_the_value_to_try(monkeypatch, micro_batch, mend):
    def refuse(*args):
        torch.empty(2**60)

    monkeypatch.setattr(Tilewise, "forward", refuse)
    with pytest.raises(InputError, match=rf"memory for {mend}") as raised:
        member(micro_batch=micro_batch, trainer=OfTilewise)
    assert "set training.micro_batch to" in str(raised.value)


@pytest.mark.skipif(
    shlex.quote(sys.prefix) != sys.prefix, reason="PyTorch quotes no path that it compiles with"
)
def test_a_compiled_network_trains_as_the_network_itself():
    plain, history = member(trainer=OfTilewise)
    compiled, same = member(trainer=OfTilewise, compile=True)
    assert list(compiled.state) == list(plain.state)
    for name, weights in plain.state.items():
        torch.testing.assert_close(compiled.state[name], weights, rtol=1e-3, atol=1e-4)
    assert same[-1].valid_loss == pytest.approx(history[-1].valid_loss, rel=1e-3)


def test_without_a_compiler_the_key_is_named(tmp_path):
    code = f"""
import sys
sys.path += [{str(Path(__file__).parent)!r}, {str(ROOT / "tests")!r}]
import test_train
test_train.member(trainer=test_train.OfTilewise, compile=True)
"""
    done = run_code(code, TORCHINDUCTOR_CACHE_DIR=str(tmp_path), CXX="/nowhere/c++")
    assert re.search(
        r"InputError: training\.compile: it needs a C\+\+ compiler, .*/nowhere/c.*; install one, "
        "such as .*, or set it to false",
        done.stderr,
    )


class Bright(torch.nn.Module):
    """Says salt where a tile is bright."""

    def forward(self, x, depths):
        return 10 * (x - 0.5)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 100])
def test_evaluation_is_a_mean_over_tiles_whatever_the_batches(batch_size):
    tiles = labelled(5, seed=2)
    # One tile that is wrong all over, so that tiles weigh differently.
    tiles.masks[4] = (tiles.images[4] < 128).to(torch.uint8)
    loss, score = evaluate(Bright(), tiles, LOSSES["bce"], batch_size, CPU)
    total, scores = 0.0, []
    for image, mask in zip(tiles.images[:, 0].tolist(), tiles.masks[:, 0].tolist(), strict=True):
        for row, truth in zip(image, mask, strict=True):
            for grey, salt in zip(row, truth, strict=True):
                logit = 10 * (grey / 255 - 0.5)
                total += math.log1p(math.exp(-logit if salt else logit))
        scores.append(slow_score([[grey > 127.5 for grey in row] for row in image], mask))
    assert loss == pytest.approx(total / tiles.masks.numel(), rel=1e-5)
    assert score == pytest.approx(float(sum(scores) / 5), rel=1e-6)


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "muon"])
def test_fp16_learns_as_fp32_does_once_no_gradient_overflows(optimiser):
    scales = []

    class Steep(Trainer):
        def loss(self, number):
            return lambda logits, masks: 1e5 * LOSSES["bce"](logits, masks)

        def train_step(self, *batch):
            scales.append(self.progress.scaler.get_scale())
            return super().train_step(*batch)

    settings = {"epochs": 12, "trainer": Steep, "optimiser": optimiser}
    _, half = member(compute=Compute(CPU.device, "fp16"), **settings)
    assert scales[0] == 65536 > scales[-1] == scales[-2]
    _, full = member(**settings)
    assert half[-1].train_loss == pytest.approx(full[-1].train_loss, rel=0.1)
    assert half[-1].train_loss < half[0].train_loss
