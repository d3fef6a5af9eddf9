"""Compare two runs tile by tile: the difference of their scores and its standard error.

    python benchmarks/compare.py FIRST/results SECOND/results

Each tile is scored as in threshold.json: with the threshold tuned on the other folds. Only tiles
that both runs predicted are compared.
"""

import argparse
from pathlib import Path

import pandas as pd

from saltseg.ensemble.predictions import Predictions
from saltseg.evaluation import comparison
from saltseg.evaluation.comparison import difference
from saltseg.evaluation.decision import read_report
from saltseg.survey.folds import read_folds
from saltseg.survey.tiles import Tiles


def tile_scores(members: list[Predictions], results: Path, tuned: dict | None = None) -> pd.Series:
    """Return the score of the members' mean for each tile of a run they predicted, by id.

    ``tuned`` is ``groups`` of threshold.json; None to tune thresholds here.
    """
    tiles = Tiles(results / "data/train.h5")
    folds = read_folds(results / "data/folds.h5", tiles.ids)
    return comparison.tile_scores(members, tiles, folds, tuned)


def markdown(table: pd.DataFrame) -> str:
    """Format a table as Markdown, floats to four decimal places."""
    lines = [table.columns, ["---"] * len(table.columns)]
    for row in table.itertuples(index=False):
        lines.append([f"{cell:.4f}" if isinstance(cell, float) else cell for cell in row])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(first: Path, second: Path) -> None:
    scores = []
    for results in (first, second):
        tuned = read_report(results / "threshold.json", ["honest", "members", "groups"])
        paths = [results / f"predictions/validation/{name}.h5" for name in tuned["members"]]
        members = [Predictions.load(path) for path in paths]
        scores.append(tile_scores(members, results, tuned["groups"]))
        warning = "" if tuned["honest"] else "  NOT honest: on training tiles"
        print(f"{scores[-1].mean():.4f}  over {len(scores[-1])} tiles  {results}{warning}")
    change, error = difference(*scores)
    print(f"{change:+.4f}  second less first, standard error {error:.4f} over the tiles of both")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("first", type=Path, help="results folder of a finished run")
    parser.add_argument("second", type=Path, help="results folder of another")
    args = parser.parse_args()
    main(args.first, args.second)
