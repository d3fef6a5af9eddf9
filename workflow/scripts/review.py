"""List the labelled tiles, worst first, with what seems wrong."""

import logging

from saltseg.core.tables import write_csv
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
    write_csv(table, args.review)
    found = table["reason"].value_counts()
    listed = ", ".join(f"{reason} {count}" for reason, count in found.items() if reason)
    logging.info("%d tiles, of these %s, to %s", len(table), listed or "none odd", args.review)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_input("tiles", "labelled tiles, train.h5")
    parser.add_input("folds", "folds.h5")
    parser.add_input("threshold", "threshold.json")
    parser.add_input("predictions", "each member's predictions of them", many=True)
    parser.add_output("review", "CSV file")
    run(main, parser)
