"""The demo survey from nothing to the submission, as `make run` does it; takes some minutes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from salt.checkpoint import Checkpoint
from salt.compute import Compute
from salt.predict import predict
from salt.predictions import SCALE, Predictions
from salt.split import roles
from salt.threshold import steps
from salt.tiles import Tiles

ROOT = Path(__file__).parents[1]
FINE = 2**31 - 1  # keeps every bit of a float32 between 2^-8 and 1


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--directory", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "results"


def test_score_is_a_quarter_above_an_all_empty_submissions(results):
    report = json.loads((results / "threshold.json").read_text())
    print((results / "summary.txt").read_text())
    assert report["tiles_scored"] == report["tiles"] == 640
    assert report["score"] > report["score_all_empty"] + 0.25


def test_storing_predictions_in_16_bits_costs_less_than_half_a_thousandth(results):
    tiles = Tiles(results / "data/train/tiles.csv")
    folds = pd.read_csv(results / "data/folds.csv", dtype={"id": str})
    stored = np.empty(tiles.images.shape, dtype=np.uint32)
    exact = np.empty(tiles.images.shape, dtype=np.uint32)
    for seed in (0, 1):
        _, out = roles(folds, "kfold", seed)
        checkpoint = Checkpoint.load(results / f"models/{seed}/checkpoint.safetensors")
        compute = Compute.select(device="cpu", precision="auto", threads=1, deterministic=True)
        network, images, depths = checkpoint.rebuild(), tiles.images[out], tiles.depths[out]
        batches = predict(network, images, depths, compute, batch_size=32, flip=True)
        probabilities = np.concatenate(list(batches)).astype(np.float64)
        exact[out] = np.rint(probabilities * FINE)
        member = Predictions.load(results / f"predictions/validation/{seed}.npy")
        assert np.abs(member.values / SCALE - probabilities).max() <= 0.5 / SCALE + 1e-9
        stored[out] = member.values
    everything = np.ones(len(folds), dtype=bool)
    coarse = steps(stored, tiles.masks, SCALE).curve(everything)
    fine = steps(exact, tiles.masks, FINE).curve(everything)
    best = fine.score(fine.best())
    print(f"best score {best:.6f} in float32, {coarse.score(coarse.best()):.6f} in 16 bits")
    print(f"{fine.score(coarse.best()):.6f} in float32 with the threshold found in 16 bits")
    assert abs(coarse.score(coarse.best()) - best) < 0.0005
    assert abs(fine.score(coarse.best()) - best) < 0.0005
