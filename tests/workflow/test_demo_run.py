"""The demo survey from nothing to the submission, as `make run` does it; takes some minutes."""

import json
from pathlib import Path

import numpy as np
import pytest

from saltseg.device.compute import Compute
from saltseg.evaluation.threshold import Curve, steps
from saltseg.inference.predict import predict
from saltseg.networks.checkpoint import Checkpoint
from saltseg.settings.config import ComputeSettings
from saltseg.survey.folds import train_valid_masks
from saltseg.survey.tiles import Tiles
from support.running import ROOT, printed, run_snakemake
from support.surveys import folds_in

pytestmark = pytest.mark.slow

FINE = 2**31 - 1  # keeps every bit of a float32 between 2^-8 and 1


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """Results of `make run`, if it ran here with this very code and nothing is left to do."""
    made = ROOT / "results"
    if (made / "submission.csv").exists() and "Nothing to be done" in printed(
        run_snakemake("--dry-run")
    ):
        return made
    folder = tmp_path_factory.mktemp("demo")
    printed(run_snakemake("--directory", folder))
    return folder / "results"


def test_score_is_a_quarter_above_an_all_empty_submissions(results):
    report = json.loads((results / "threshold.json").read_text())
    print((results / "summary.txt").read_text())
    assert report["tiles_scored"] == report["tiles"] == 640
    assert report["score"] > report["score_all_empty"] + 0.25


def predicted(results: Path, precision: str) -> np.ndarray:
    """Probabilities of the labelled tiles by the member that held each out, as float64."""
    tiles = Tiles(results / "data/train.h5")
    folds = folds_in(results / "data/folds.h5")
    compute = Compute.select(ComputeSettings(device="cpu", precision=precision))
    probabilities = np.empty(tiles.images.shape)
    for seed in (0, 1):
        _, out = train_valid_masks(folds, "kfold", seed)
        network = Checkpoint.load(results / f"models/{seed}/checkpoint.safetensors").rebuild()
        images, depths = tiles.images[out], tiles.depths[out]
        batches = predict(network, images, depths, compute, batch_size=32, flip=True)
        probabilities[out] = np.concatenate(list(batches))
    return probabilities


def curve(probabilities: np.ndarray, results: Path) -> Curve:
    """Score against threshold over all labelled tiles."""
    masks = Tiles(results / "data/train.h5").masks[:]
    values = np.rint(probabilities * FINE).astype(np.uint32)
    return steps(values, masks, FINE).curve(np.ones(len(masks), dtype=bool))


def test_predicting_in_bf16_costs_at_most_two_thousandths(results):
    full, half = predicted(results, "fp32"), predicted(results, "bf16")
    assert (full != half).any()
    full, half = (curve(part, results) for part in (full, half))
    best, of_half = full.score(full.best()), half.score(half.best())
    print(f"best score {best:.6f} in fp32, {of_half:.6f} in bf16")
    thresholds = np.linspace(0.2, 0.8, 601)
    means = [np.mean([part.score(value) for value in thresholds]) for part in (full, half)]
    print(f"mean over thresholds from 0.2 to 0.8: {means[0]:.6f} in fp32, {means[1]:.6f} in bf16")
    assert of_half > best - 0.002
    assert means[1] > means[0] - 0.002
