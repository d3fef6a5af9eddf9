"""Measure over which range of thresholds the score is to be averaged before the best is chosen.

    python benchmarks/thresholds.py results

Chooses the threshold on a random part of a finished run's labelled tiles and scores the others, 400
times for each size of that part. Predictions are out-of-fold.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from compare import markdown

from saltseg.core import metric
from saltseg.ensemble.predictions import load_all, mean_probabilities, predicted_rows
from saltseg.survey.tiles import Tiles

THRESHOLDS = np.arange(1, 100) / 100
NEAR = (0, 0.02, 0.05, 0.1, 0.2)  # on either side
SPLITS = 400


def main(results: Path) -> None:
    scores = tile_scores(results)
    print(f"{len(scores)} tiles; at 0.5: {scores[:, 49].mean():.4f}\n")
    table = pd.DataFrame([row(scores, part) for part in (50, 150, len(scores) // 2)])
    print(markdown(table))


def tile_scores(results: Path) -> np.ndarray:
    """Return the score of each tile at each threshold, float64 (tiles, THRESHOLDS)."""
    tiles = Tiles(results / "data/train.h5")
    paths = sorted((results / "predictions/validation").glob("*.h5"))
    members = load_all(paths, tiles.ids, tiles.images.shape[1:])
    rows = predicted_rows(members, tiles.ids)
    ids, masks, found = [tiles.ids[row] for row in rows], tiles.masks[rows], []
    for part, mean in mean_probabilities(members, ids):
        truth = masks[part]
        each = [mean > threshold for threshold in THRESHOLDS]
        found.append(
            np.stack(
                [metric.tenths((truth & m).sum((1, 2)), (truth | m).sum((1, 2))) for m in each], 1
            )
        )
    return np.concatenate(found) / 10


def row(scores: np.ndarray, part: int) -> dict[str, object]:
    """Return mean scores of the others, by how the threshold is chosen on a part of the tiles."""
    random, sums = np.random.default_rng(0), dict.fromkeys(NEAR, 0.0)
    for _ in range(SPLITS):
        order = random.permutation(len(scores))
        curve, others = scores[order[:part]].mean(0), scores[order[part:]].mean(0)
        for near in NEAR:
            sums[near] += others[smoothed(curve, round(100 * near)).argmax()]
    means = {near: total / SPLITS for near, total in sums.items()}
    gains = {f"within {near}": f"{means[near] - means[0]:+.4f}" for near in NEAR[1:]}
    return {"tiles to choose on": str(part), "highest step": f"{means[0]:.4f}"} | gains


def smoothed(curve: np.ndarray, near: int) -> np.ndarray:
    """Return the mean of a curve within ``near`` of its points, which stays beyond its ends."""
    wide = np.pad(curve, near, mode="edge")
    return np.convolve(wide, np.ones(2 * near + 1) / (2 * near + 1), mode="valid")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="folder results of a finished run")
    main(parser.parse_args().results)
