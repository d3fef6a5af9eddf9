"""The demo's recipe: what it costs on any processor, and that it stays the demo's alone."""

from pathlib import Path

import pytest
import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode

from saltseg.networks import model

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text())
# What is tuned for a few minutes of training, and wrong for hours of it.
TUNED = {
    "model": ("name", "width", "dropout"),
    "training": (
        *("epochs", "passes_per_epoch", "batch_size", "loss", "optimiser", "weight_decay"),
        *("schedule", "learning_rate", "monitor"),
    ),
}
# Laid over nothing but config.yaml.
CONTEST = [
    "config/albertosabater.yaml",
    "config/contest.yaml",
    "config/contest-cpu.yaml",
    "config/contest-small.yaml",
    "benchmarks/findings/proxy.yaml",
]


def test_a_member_of_the_demo_trains_in_at_most_4_5e12_floating_point_operations():
    """So two cores with AVX2 and no bf16 run the whole demo in at most three minutes."""
    demo, training = CONFIG["data"]["demo"], CONFIG["training"]
    with torch.device("meta"):
        network = model.build(**CONFIG["model"])
        tile = torch.empty(1, 1, demo["tile_size"], demo["tile_size"])
        with FlopCounterMode(display=False) as forward:
            network(tile)
    folds = 2
    held_out = demo["tiles"] / folds
    seen = (demo["tiles"] - held_out) * training["passes_per_epoch"]
    # A step computes gradients by the weights and by what came in, each as costly as the way there.
    tiles = training["epochs"] * (3 * seen + held_out)
    assert forward.get_total_flops() * tiles <= 4.5e12


@pytest.mark.parametrize("name", CONTEST)
def test_a_recipe_for_the_contest_names_all_that_the_demo_tunes(name):
    recipe = yaml.safe_load((ROOT / name).read_text())
    for section, keys in TUNED.items():
        assert set(keys) - set(recipe[section]) == set(), section
