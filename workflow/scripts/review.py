"""List the labelled tiles, worst first, with what seems wrong."""

import logging

from saltseg.core.tables import read_csv, write_csv
from saltseg.ensemble.predictions import load_all
from saltseg.evaluation.decision import read_report
from saltseg.evaluation.review import review
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.folds import is_honest, read_folds
from saltseg.survey.tiles import Tiles


def main(args):
    tiles = Tiles(args.tiles)
    folds = read_folds(args.folds, tiles.ids)
    tuned = read_report(args.threshold, ["threshold", "scheme", "members"])
    members = load_all(args.predictions, tiles.ids, tiles.images.shape[1:], tuned["members"])
    honest, suspect = is_honest(tuned["scheme"]), suspect_lines(args.lines_table)
    table = review(tiles, folds, members, tuned["threshold"], honest, suspect)
    write_csv(table, args.review)
    found = table["reason"].value_counts()
    listed = ", ".join(f"{reason} {count}" for reason, count in found.items() if reason)
    logging.info("%d tiles, of these %s, to %s", len(table), listed or "none odd", args.review)


def suspect_lines(path) -> tuple[str, ...]:
    """Return the ids of the lines of a volume whose label is to be looked at."""
    if not path:
        return ()
    table = read_csv(path, "delete it to rebuild it")
    return tuple(table.loc[table["note"].notna(), "id"])


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_input("tiles", "labelled tiles, train.h5")
    parser.add_input("folds", "folds.h5")
    parser.add_input("threshold", "threshold.json")
    parser.add_input("predictions", "each member's predictions of them", many=True)
    parser.add_input("lines_table", "lines.csv of a volume with the notes on them", optional=True)
    parser.add_output("review", "CSV file")
    run(main, parser)
