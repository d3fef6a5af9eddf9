"""Recipes of the contest and of the demo: what they plan and cost, and a few steps of one."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode

from saltseg.networks import model
from saltseg.networks.checkpoint import Checkpoint
from saltseg.settings.config import epochs_of
from support.running import ROOT, SUBMISSION, complete, planned

pytestmark = pytest.mark.slow

# Keep the recipe's settings that determine which code runs.
FEW = {
    "data": {"demo": {"tiles": 48, "test_tiles": 12}, "source": "demo"},
    "validation": {"folds": 2},
    "ensemble": {"seeds": [0, 1]},
    "model": {"width": 2},
    "training": {"epochs": 2, "late_from": 2, "batch_size": 8},
    "compute": {"device": "cpu", "threads": 1},
}


@pytest.mark.long
def test_the_recipe_for_a_gpu_runs_from_end_to_end(tmp_path: Path):
    recipe = yaml.safe_load((ROOT / "config/contest.yaml").read_text())
    for section, keys in FEW.items():
        recipe.setdefault(section, {}).update(keys)
    config = tmp_path / "few.yaml"
    config.write_text(yaml.safe_dump(recipe))
    complete(tmp_path, *SUBMISSION, config=config)
    submission = pd.read_csv(tmp_path / "results/submission.csv", keep_default_na=False)
    assert len(submission) == 12
    assert json.loads((tmp_path / "results/threshold.json").read_text())["honest"] is True
    for seed in (0, 1):
        about = Checkpoint.load(tmp_path / f"results/models/{seed}/checkpoint.safetensors").about
        assert about["model"]["name"] == recipe["model"]["name"]
        # No choice depends on the held-out fold.
        assert about["epoch"] == 2
    assert planned(tmp_path, *SUBMISSION, config=config) == {}


@pytest.mark.parametrize(
    "names", [["albertosabater"], ["contest"], ["contest-cpu"], ["contest-cpu", "contest-hour"]]
)
def test_a_recipe_plans_a_member_for_each_fold_on_the_contests_zip(finished, tmp_path, names):
    shutil.copy(
        finished / "results/demo/survey.zip", tmp_path / "tgs-salt-identification-challenge.zip"
    )
    paths = [ROOT / f"config/{name}.yaml" for name in names]
    recipe = yaml.safe_load(paths[0].read_text())
    seeds, folds = recipe["ensemble"]["seeds"], recipe["validation"]["folds"]
    assert {seed % folds for seed in seeds} == set(range(folds))
    jobs = planned(tmp_path, "--configfile", *paths)
    assert jobs["train"] == jobs["predict_validation"] == len(seeds)


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
    tiles = epochs_of(training["epochs"]) * (3 * seen + held_out)
    assert forward.get_total_flops() * tiles <= 4.5e12


@pytest.mark.parametrize("name", CONTEST)
def test_a_recipe_for_the_contest_names_all_that_the_demo_tunes(name):
    recipe = yaml.safe_load((ROOT / name).read_text())
    for section, keys in TUNED.items():
        assert set(keys) - set(recipe[section]) == set(), section
