"""Optimisers and learning rates of a recipe, compared with their definitions."""

import pytest
import torch
from torch import nn

from saltseg.settings.config import TrainingSettings
from saltseg.training.progress import Epoch, Progress
from saltseg.training.recipe import (
    OPTIMISERS,
    loss_name,
    make_optimiser,
    one_cycle,
)
from support.training import CPU

PLAIN = TrainingSettings(optimiser="adam", weight_decay=0.0, schedule="plateau", monitor="loss")


def replace(recipe, **changes):
    return recipe.model_copy(update=changes)


class TwoParts(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        self.head = nn.Linear(4, 1)

    def forward(self, x):
        return self.head(self.encoder(x))


def network():
    torch.manual_seed(0)
    return TwoParts()


def step(progress, seed=0):
    x = torch.rand(6, 3, generator=torch.Generator().manual_seed(seed))
    progress.optimiser.zero_grad()
    progress.stepping(x).square().sum().backward()
    progress.optimiser.step()


def test_the_encoder_learns_at_its_share_of_the_rate():
    recipe = replace(PLAIN, learning_rate=0.01, encoder_rate=0.25)
    optimiser = make_optimiser(recipe, built := network())
    rates = {
        id(weight): group["lr"] for group in optimiser.param_groups for weight in group["params"]
    }
    assert {rates[id(weight)] for weight in built.encoder.parameters()} == {0.0025}
    assert {rates[id(weight)] for weight in built.head.parameters()} == {0.01}


@pytest.mark.parametrize("share", [0.5, 2.0])
def test_the_decoder_is_the_first_group_however_fast_the_encoder_learns(share):
    recipe = replace(PLAIN, learning_rate=0.01, encoder_rate=share)
    first, second = make_optimiser(recipe, network()).param_groups
    assert (first["share"], second["share"]) == (1, share)


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_vectors_step_as_pytorchs_own_optimisers_do(name, decay):
    weights = [nn.Parameter(torch.tensor([2.0, -3.0], dtype=torch.double)) for _ in range(2)]
    module = nn.Module()
    module.weight = weights[0]
    recipe = replace(PLAIN, optimiser=name, weight_decay=decay, learning_rate=0.01)
    theirs = torch.optim.Adam if name == "adam" else torch.optim.AdamW
    both = make_optimiser(recipe, module), theirs(weights[1:], lr=0.01, weight_decay=decay)
    for number in range(1, 5):
        for weight, optimiser in zip(weights, both, strict=True):
            weight.grad = torch.tensor([0.5 * number, -1.0], dtype=torch.double)
            optimiser.step()
    torch.testing.assert_close(*weights, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("shape", [(16, 32, 1, 1), (48, 8, 1, 1), (8, 4, 3, 3)])
def test_a_convolution_steps_as_pytorchs_muon_steps_a_matrix(shape):
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(shape, generator=generator)
    module = nn.Module()
    module.weight, matrix = nn.Parameter(start.clone()), nn.Parameter(start.clone().flatten(1))
    recipe = replace(PLAIN, optimiser="muon", weight_decay=0.1, learning_rate=0.01)
    ours = make_optimiser(recipe, module)
    theirs = torch.optim.Muon([matrix], lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(5):
        module.weight.grad = torch.randn(shape, generator=generator)
        matrix.grad = module.weight.grad.flatten(1)
        ours.step()
        theirs.step()
    # PyTorch's computes in bf16.
    torch.testing.assert_close(module.weight.flatten(1), matrix, rtol=0, atol=5e-4)
    assert (module.weight - start).abs().mean() > 5e-3


def test_muon_updates_convolutions_outside_the_encoder_alone():
    module = nn.Module()
    module.encoder, module.up = nn.Conv2d(2, 4, 3), nn.Conv2d(4, 2, 3)
    module.depthwise, module.head = nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(2, 1, 1)
    optimiser = make_optimiser(replace(PLAIN, optimiser="muon"), module)
    (chosen,) = [group["params"] for group in optimiser.param_groups if group["orthogonal"]]
    assert [id(weight) for weight in chosen] == [id(module.up.weight)]
    assert sum(len(group["params"]) for group in optimiser.param_groups) == 8


def test_one_cycle_is_that_of_pytorch():
    steps = 200
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 1.0, total_steps=steps + 1, pct_start=0.2 * steps / steps, cycle_momentum=False,
        final_div_factor=1e9,
    )  # fmt: skip
    for number in range(steps):
        assert one_cycle(number / steps) == pytest.approx(optimiser.param_groups[0]["lr"], abs=0.02)
        optimiser.step()
        theirs.step()
    assert one_cycle(0) == pytest.approx(1 / 25)
    assert one_cycle(0.2) == 1
    assert one_cycle(1) == pytest.approx(0)


def test_rates_follow_the_schedule_from_step_to_step():
    recipe = replace(PLAIN, schedule="one_cycle", epochs=4, learning_rate=0.5, encoder_rate=0.1)
    progress = Progress(network(), recipe, CPU.scaler())
    assert progress.start_epoch() == pytest.approx(0.5 / 25)
    progress.history = [None, None]
    progress.set_rate(0.25)
    shares = {group["share"]: group["lr"] for group in progress.optimiser.param_groups}
    rate = 0.5 * one_cycle(2.25 / 4)
    assert shares == {0.1: pytest.approx(0.1 * rate), 1.0: pytest.approx(rate)}


def test_a_frozen_encoder_and_its_batch_statistics_stay_until_it_is_thawed():
    progress = Progress(
        built := network(), replace(PLAIN, frozen_epochs=2, learning_rate=0.1), CPU.scaler()
    )
    for number in range(1, 4):
        before = [weight.detach().clone() for weight in built.parameters()]
        buffers = [buffer.clone() for buffer in built.encoder.buffers()]
        progress.start_epoch()
        step(progress, number)
        progress.add(Epoch(number, 0.0, 1.0, 0.0, 0.1, True))
        moved = [not torch.equal(a, b) for a, b in zip(before, built.parameters(), strict=True)]
        assert all(moved[-2:])
        assert any(moved[:-2]) is (number == 3)
        same = [*map(torch.equal, buffers, built.encoder.buffers())]
        assert same and all(same) is (number < 3)


@pytest.mark.parametrize(
    ("late_loss", "late_from", "expected"),
    [(None, 1, ["bce"] * 3), ("dice", 1, ["dice"] * 3), ("dice", 3, ["bce", "bce", "dice"])],
)
def test_the_late_loss_begins_with_its_epoch(late_loss, late_from, expected):
    recipe = replace(PLAIN, loss="bce", late_loss=late_loss, late_from=late_from)
    assert [loss_name(recipe, epoch) for epoch in (1, 2, 3)] == expected


@pytest.mark.parametrize("deterministic", [True, False])
def test_the_compiler_is_as_deterministic_as_the_rest(deterministic):
    """Tell it, since the device's choice leaves it out."""
    from torch._inductor import config

    torch.set_deterministic_debug_mode("warn" if deterministic else "default")
    config.deterministic = not deterministic
    try:
        Progress(network(), replace(PLAIN, compile=True), CPU.scaler())
        assert config.deterministic is deterministic
        assert torch.are_deterministic_algorithms_enabled() is deterministic
    finally:
        torch.use_deterministic_algorithms(False)
