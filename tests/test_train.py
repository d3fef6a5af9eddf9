"""Training of a member, on a handful of tiny tiles."""

import math
from itertools import chain, pairwise

import numpy as np
import pytest
import torch

from salt import train
from salt.augmentation import Augmentation
from salt.compute import Compute
from salt.errors import InputError
from salt.losses import LOSSES
from salt.train import Labelled, evaluate, train_member

CPU = Compute(torch.device("cpu"), bf16=False)
STILL = Augmentation(
    horizontal_flip=False, vertical_flip=False, rotation=0.0, shift=0.0, zoom=(1.0, 1.0)
)
MOVING = Augmentation(
    horizontal_flip=True, vertical_flip=True, rotation=20.0, shift=0.1, zoom=(0.8, 1.2)
)
NEVER = 10**9


def labelled(count, seed=0, side=16):
    """Tiles whose salt is bright and whose rest is dark, with some noise."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    edges = random.integers(0, side, (count, 1, 1))
    masks = np.where(random.random((count, 1, 1)) < 0.5, rows, columns) > edges
    images = np.where(masks, 180, 60) + random.integers(-40, 41, masks.shape)
    return Labelled.load(images.astype(np.uint8), masks, torch.device("cpu"))


def member(training=None, validation=None, **changes):
    settings = {
        "seed": 0,
        "model_settings": {"name": "residual_unet", "width": 1, "dropout": 0.1},
        "augmentation": MOVING,
        "epochs": 3,
        "passes_per_epoch": 1,
        "batch_size": 4,
        "loss": "bce_dice",
        "learning_rate": 0.01,
        "minimum_learning_rate": 0.0,
        "plateau_patience": NEVER,
        "stopping_patience": NEVER,
        "minimum_gain": 0.0,
    }
    training = labelled(8) if training is None else training
    validation = labelled(5, seed=1) if validation is None else validation
    return train_member(training, validation, CPU, **{**settings, **changes})


def test_tiles_are_loaded_as_8_bits_with_one_channel():
    images = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    tiles = Labelled.load(images, images % 2 == 0, torch.device("cpu"))
    assert tiles.images.shape == tiles.masks.shape == (2, 1, 3, 4)
    assert tiles.images.dtype == tiles.masks.dtype == torch.uint8
    assert tiles.images[1, 0, 2, 3] == 23
    assert tiles.masks.sum() == 12
    assert len(tiles) == 2


@pytest.mark.parametrize("loss", ["bce", "bce_dice"])
def test_the_state_of_the_best_epoch_is_kept_and_not_the_last(loss):
    # A rate so high that the validation loss goes up and down.
    checkpoint, history = member(learning_rate=0.1, epochs=8, loss=loss, seed=1)
    losses = [epoch.valid_loss for epoch in history]
    best = losses.index(min(losses))
    assert best < len(history) - 1, "choose a seed whose last epoch is not the best"
    about = checkpoint.about
    assert about["epoch"] == history[best].epoch == best + 1
    assert about["valid_loss"] == losses[best]
    assert about["valid_score"] == history[best].valid_score
    found = evaluate(checkpoint.rebuild(), labelled(5, seed=1), LOSSES[loss], 4, CPU)
    assert found[0] == pytest.approx(losses[best], rel=1e-4)
    assert found[1] == pytest.approx(history[best].valid_score)
    assert abs(losses[-1] - losses[best]) > 1e-3 * losses[best]


def test_the_checkpoint_tells_how_it_was_made(tmp_path):
    checkpoint, _ = member(seed=3, epochs=1)
    assert set(checkpoint.about) == {"model", "seed", "epoch", "valid_loss", "valid_score"}
    assert checkpoint.about["seed"] == 3
    assert checkpoint.about["model"] == {"name": "residual_unet", "width": 1, "dropout": 0.1}
    checkpoint.save(tmp_path / "checkpoint.safetensors")


def test_a_gain_below_the_minimum_is_no_gain():
    checkpoint, history = member(minimum_gain=1e9, epochs=3, learning_rate=1e-4, augmentation=STILL)
    assert checkpoint.about["epoch"] == 1
    assert min(epoch.valid_loss for epoch in history[1:]) < history[0].valid_loss


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


def test_a_good_epoch_starts_the_patience_anew():
    _, history = member(plateau_patience=2, epochs=12, learning_rate=0.1, seed=1)
    rate, least, bad, bad_before_good = 0.1, math.inf, 0, 0
    for epoch in history:
        assert epoch.learning_rate == pytest.approx(rate)
        if epoch.valid_loss < least:
            least, bad_before_good, bad = epoch.valid_loss, bad_before_good + bad, 0
        else:
            bad += 1
        if bad == 2:
            rate, bad = rate / 2, 0
    assert rate < 0.1
    assert bad_before_good, "choose a seed where a good epoch comes after one bad epoch"


@pytest.mark.parametrize("patience", [1, 4])
def test_training_stops_after_its_patience_of_bad_epochs(patience):
    _, history = member(minimum_gain=1e9, stopping_patience=patience, epochs=9)
    assert len(history) == 1 + patience


def test_training_does_not_stop_while_it_gains():
    _, history = member(stopping_patience=1, epochs=3, learning_rate=1e-4, augmentation=STILL)
    losses = [epoch.valid_loss for epoch in history]
    assert all(after < before for before, after in pairwise(losses))
    assert len(history) == 3


def test_a_seed_trains_the_same_member_again():
    (one, history), (two, again) = member(seed=5), member(seed=5)
    assert history == again
    assert one.about == two.about
    for name, tensor in one.state.items():
        assert torch.equal(tensor, two.state[name])


def test_another_seed_trains_another_member():
    (one, history), (two, others) = member(seed=5), member(seed=6)
    assert not torch.equal(one.state["head.weight"], two.state["head.weight"])
    for epoch, other in zip(history, others, strict=True):
        assert epoch.train_loss != other.train_loss


def test_a_longer_training_begins_as_the_shorter_one():
    _, short = member(epochs=2)
    _, long = member(epochs=4)
    assert long[:2] == short


def test_the_random_numbers_used_before_do_not_count():
    torch.manual_seed(1)
    _, one = member(epochs=1)
    torch.manual_seed(2)
    np.random.default_rng().random(3)
    _, two = member(epochs=1)
    assert one == two


def test_a_loss_that_is_no_number_names_member_and_epoch():
    with pytest.raises(InputError, match=r"member 7: the loss of epoch 1 .* lower training\."):
        member(seed=7, learning_rate=1e30)


def numbered(count):
    """Tiles that tell their number."""
    images = np.arange(count, dtype=np.uint8)[:, None, None].repeat(16, 1).repeat(16, 2)
    return Labelled.load(images, images % 2 == 1, torch.device("cpu"))


@pytest.mark.parametrize(
    ("tiles", "passes", "batch_size"),
    [(8, 1, 4), (8, 2, 4), (6, 1.5, 3), (7, 1, 3), (5, 2.2, 4), (3, 1, 4), (8, 0.5, 2)],
)
def test_batches_see_each_tile_as_often_as_asked(monkeypatch, tiles, passes, batch_size):
    seen = []

    def spy(images, masks, maps):
        numbers = (images[:, 0, 0, 0] * 255).round().int().tolist()
        assert masks[:, 0, 0, 0].tolist() == [number % 2 for number in numbers]
        assert len(maps) == len(images)
        seen.append(numbers)
        return images, masks

    monkeypatch.setattr(train, "warp", spy)
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
    # Each epoch has an order of its own.
    assert orders[0] != orders[1] or orders[1] != orders[2]


def test_the_loss_falls_on_an_easy_problem():
    easy = labelled(8)
    checkpoint, history = member(
        training=easy,
        validation=easy,
        epochs=20,
        batch_size=8,
        passes_per_epoch=2,
        learning_rate=0.01,
        augmentation=STILL,
        model_settings={"name": "residual_unet", "width": 2, "dropout": 0.0},
    )
    assert history[-1].train_loss < 0.5 * history[0].train_loss
    assert checkpoint.about["valid_score"] > 0.8 > history[0].valid_score


class Bright(torch.nn.Module):
    """Says salt where a tile is bright."""

    def forward(self, x):
        return 10 * (x - 0.5)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 100])
def test_evaluation_is_a_mean_over_tiles_whatever_the_batches(batch_size, slow_score):
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


def test_evaluation_neither_augments_nor_drops_nor_learns():
    checkpoint, _ = member(epochs=1)
    network = checkpoint.rebuild().train()
    tiles = labelled(5, seed=1)
    one = evaluate(network, tiles, LOSSES["bce"], 2, CPU)
    assert evaluate(network, tiles, LOSSES["bce"], 2, CPU) == one
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, checkpoint.state[name])
