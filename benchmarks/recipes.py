"""Measure each part of the contest's recipe by paired comparisons on the contest's tiles.

    python benchmarks/recipes.py experiments/recipes

The folder holds a run of benchmarks/recipes/NAME.yaml under NAME (``make recipes`` runs them all).
All members hold out the same fold and differ in one setting. A gain or loss exceeds twice its
uncertainty, which combines the standard error over tiles with the training noise, measured on
members that differ only by seed. All else is unresolved.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from compare import difference, markdown, tile_scores
from findings import member

SEED = 0
# Run, the changed setting, and whether the recipe has it (so that the run removes it).
RUNS = {
    "no_lovasz": ("BCE + Dice for a third of the epochs, then Lovász hinge, not BCE + Dice", True),
    "scratch": ("encoder pretrained on ImageNet", True),
    "no_hypercolumn": ("hypercolumn", True),
    "symmetric": ("symmetric Lovász hinge", False),
    "scale": ("tiles enlarged twice", False),
    "lite2": ("EfficientNet-Lite2, not Lite0", False),
    "self_training": ("a round of self-training", False),
    "frozen": ("encoder frozen for the first two epochs", False),
}


def verdict(change: float, uncertainty: float) -> str:
    if abs(change) <= 2 * uncertainty:
        return "unresolved"
    return "gain" if change > 0 else "loss"


def table(runs: Path) -> pd.DataFrame:
    """Return a row per finished run: score without and with the trick, and the verdict."""
    base = runs / "base"
    paths = sorted((base / "results/predictions/validation").glob("*.h5"))
    seeds = [int(path.stem) for path in paths]
    singles = {seed: tile_scores([member(base, seed)], base / "results") for seed in seeds}
    means = [scores.mean() for scores in singles.values()]
    noise = np.std(means, ddof=1)
    print(f"members that differ by their seed: {np.round(means, 4)}, SD {noise:.4f}")
    rows = []
    for name, (trick, in_recipe) in RUNS.items():
        run = runs / name
        if not (run / f"results/predictions/validation/{SEED}.h5").exists():
            continue
        changed = tile_scores([member(run, SEED)], run / "results")
        pair = (changed, singles[SEED]) if in_recipe else (singles[SEED], changed)
        change, error = difference(*pair)
        uncertainty = float(np.hypot(error, noise * np.sqrt(2)))
        rows.append(
            {
                "trick": trick,
                "without": pair[0].mean(),
                "with": pair[1].mean(),
                "difference": change,
                "standard error over tiles": error,
                "verdict": verdict(change, uncertainty),
            }
        )
    return pd.DataFrame(rows)


def main(runs: Path) -> None:
    print(f"\n{markdown(table(runs))}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, help="folder of the runs")
    main(parser.parse_args().runs)
