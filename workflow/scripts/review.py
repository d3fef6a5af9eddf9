"""List the labelled tiles, worst first, with what seems wrong."""

import logging
from pathlib import Path

from saltseg.core.files import replacing
from saltseg.ensemble.predictions import load_all
from saltseg.evaluation.decision import read_report
from saltseg.evaluation.review import review
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.folds import is_honest, read_folds
from saltseg.survey.tiles import Tiles


def main(args):
    tiles = Tiles(args.tiles)
    members = load_all(args.predictions, tiles.ids, tiles.images.shape[1:])
    folds = read_folds(args.folds, tiles.ids)
    tuned = read_report(args.threshold, ["threshold", "scheme"])
    table = review(tiles, folds, members, tuned["threshold"], is_honest(tuned["scheme"]))
    with replacing(args.output) as path:
        table.to_csv(path, index=False)
    found = table["reason"].value_counts()
    listed = ", ".join(f"{reason} {count}" for reason, count in found.items() if reason)
    logging.info("%d tiles, of these %s, to %s", len(table), listed or "none odd", args.output)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_argument("--tiles", type=Path, required=True, help="tiles.csv of the labelled tiles")
    parser.add_argument("--folds", type=Path, required=True, help="CSV file of the folds")
    parser.add_argument("--threshold", type=Path, required=True, help="threshold.json")
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, help="NPY files")
    parser.add_argument("--output", type=Path, required=True, help="CSV file to write")
    run(main, parser)
