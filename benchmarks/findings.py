"""Test the original's findings by paired comparisons on the contest's tiles.

    python benchmarks/findings.py experiments/findings

The folder holds a run of benchmarks/findings/NAME.yaml under NAME (``make findings`` runs them
all). All compared members hold out the same fold. The rules for verdicts were fixed before the
runs. A claimed gain is confirmed if the difference exceeds twice its uncertainty, and refuted if
it is below minus twice its uncertainty. "No gain" is confirmed if the difference plus twice its
uncertainty is below 0.01, and refuted if the difference exceeds twice its uncertainty. All else is
unresolved. The uncertainty combines the standard error over tiles with the training noise,
measured on members that differ only by seed.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from compare import difference, markdown, tile_scores

from saltseg.ensemble.predictions import Predictions
from saltseg.evaluation.threshold import evaluate
from saltseg.output.submission import write_submission
from saltseg.survey.folds import read_folds
from saltseg.survey.tiles import Tiles

STAGE = Path(__file__).parents[1] / "workflow/scripts/predict_validation.py"
SAME_FOLD = [0, 5, 10, 15, 20]  # seeds of five members that hold out fold 0 of 5
PAIRED = [0]  # seeds of the modified runs
TWO_FOLDS = [0, 1]
NEGLIGIBLE = 0.01


def member(run: Path, seed: int) -> Predictions:
    return Predictions.load(run / f"results/predictions/validation/{seed}.h5")


def without_flip(run: Path, seed: int) -> Predictions:
    """Return a finished member's held-out predictions, recomputed without the flip."""
    path = run / f"no_flip/{seed}.h5"
    if not path.exists():
        settings = {
            "validation": {"scheme": "kfold"},
            "inference": {"flip": False, "batch_size": 32},
            "compute": {"device": "auto", "precision": "auto", "threads": 1},
        }
        results = run / "results"
        inputs = {
            "settings": json.dumps(settings),
            "tiles": results / "data/train.h5",
            "folds": results / "data/folds.h5",
            "checkpoint": results / f"models/{seed}/checkpoint.safetensors",
            "predictions": path,
        }
        arguments = [f"--{name}={value}" for name, value in inputs.items()]
        subprocess.run([sys.executable, STAGE, *arguments], check=True)
    return Predictions.load(path)


def verdict(change: float, uncertainty: float, claims_gain: bool) -> str:
    if claims_gain:
        if change > 2 * uncertainty:
            return "confirmed"
        return "refuted" if change < -2 * uncertainty else "unresolved"
    if change > 2 * uncertainty:
        return "refuted"
    return "confirmed" if change + 2 * uncertainty < NEGLIGIBLE else "unresolved"


def table(runs: Path) -> pd.DataFrame:
    base = runs / "residual"
    single = {seed: tile_scores([member(base, seed)], base / "results") for seed in SAME_FOLD}
    means = [scores.mean().round(4) for scores in single.values()]
    noise = np.std(means, ddof=1)
    print(f"five members with nothing but the seed changed: {[*map(float, means)]}, SD {noise:.4f}")
    rows = []

    def add(finding, claim, before, after, training_noise, claims_gain=True):
        """Compare the means over two lists of runs, each run a series of scores by tile."""
        first, second = (pd.concat(runs, axis=1).mean(axis=1) for runs in (before, after))
        change, error = difference(first, second)
        uncertainty = float(np.hypot(error, training_noise))
        rows.append(
            {
                "finding": finding,
                "of the original": claim,
                "runs": f"{len(before)} against {len(after)}",
                "without": first.mean(),
                "with": second.mean(),
                "difference": change,
                "standard error over tiles": error,
                "training noise": training_noise,
                "verdict": verdict(change, uncertainty, claims_gain),
            }
        )

    def changed(name):
        run = runs / name
        return [tile_scores([member(run, seed)], run / "results") for seed in PAIRED]

    paired = [single[seed] for seed in PAIRED]
    noise_of_pairs = noise * np.sqrt(2 / len(PAIRED))
    add("residual blocks", "better", changed("unet"), paired, noise_of_pairs)
    add("BCE + Dice, not BCE", "better", changed("bce"), paired, noise_of_pairs)
    add("depth as a channel", "no gain", paired, changed("depth"), noise_of_pairs, False)
    flipped = changed("vertical_flip")
    add("top-to-bottom flips in training", "used", paired, flipped, noise_of_pairs)
    plain = [tile_scores([without_flip(base, seed)], base / "results") for seed in SAME_FOLD]
    add("flip TTA", "better", plain, list(single.values()), 0.0)
    together = tile_scores([member(base, seed) for seed in SAME_FOLD], base / "results")
    add("5 members, not 1", "better", list(single.values()), [together], 0.0)
    return pd.DataFrame(rows)


def submit(run: Path, path: Path, honest: bool) -> dict:
    """Write the submission of two members; return what threshold.json would hold."""
    results = run / "results"
    tiles = Tiles(results / "data/train.h5")
    folds = read_folds(results / "data/folds.h5", tiles.ids)
    members = [member(run, seed) for seed in TWO_FOLDS]
    tuned, _ = evaluate(members, tiles, folds, honest=honest)
    ids = Tiles(results / "data/test.h5").ids
    tested = [Predictions.load(results / f"predictions/test/{seed}/0.h5") for seed in TWO_FOLDS]
    write_submission(path, ids, tested, len(tested), tuned["threshold"])
    return tuned


def print_flattery(runs: Path) -> None:
    """Print scores of the same tiles from members that held them out or trained on them."""
    for seed in TWO_FOLDS:
        honest, not_honest = (
            tile_scores([member(run, seed)], run / "results")
            for run in (runs / "residual", runs / "full")
        )
        change, error = difference(honest, not_honest)
        print(
            f"seed {seed}: {honest.mean():.4f} where it held the {len(honest)} tiles out, "
            f"{not_honest[honest.index].mean():.4f} (NOT honest) where it trained on them too: "
            f"{change:+.4f}, standard error {error:.4f}"
        )


def main(runs: Path, submissions: Path) -> None:
    print(f"\n{markdown(table(runs))}\n")
    print_flattery(runs)
    for name, run, honest in (
        ("k-fold", runs / "residual", True),
        ("full", runs / "full", False),
    ):
        path = submissions / f"findings-{name.replace('-', '')}.csv"
        tuned = submit(run, path, honest)
        print(
            f"{name}: score {tuned['score']:.4f}{'' if honest else ' (NOT honest)'} over "
            f"{tuned['tiles_scored']} tiles, threshold {tuned['threshold']:.3f}, to {path}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, help="folder of the runs")
    parser.add_argument("--submissions", type=Path, default=Path("benchmarks/contest"))
    args = parser.parse_args()
    main(args.runs, args.submissions)
