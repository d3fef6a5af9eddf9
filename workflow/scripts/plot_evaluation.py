"""Draw what the score depends on."""

import logging
from dataclasses import replace

from saltseg.ensemble.predictions import load_all
from saltseg.evaluation.decision import HONESTY, read_report
from saltseg.evaluation.review import read_review
from saltseg.evaluation.summary import warning
from saltseg.report.plot_evaluation import (
    draw_calibration,
    draw_members,
    draw_threshold,
    draw_tiles,
    read_curve,
)
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.folds import read_folds
from saltseg.survey.tiles import Tiles

OF_LINES = (
    "By the contest's metric, for single tiles of the labelled lines; masks of lines and volumes "
    "have a threshold of their own"
)


def main(args):
    tiles = Tiles(args.tiles)
    folds = read_folds(args.folds, tiles.ids)
    report = read_report(args.threshold, ["threshold", "score", *HONESTY, "members"])
    loaded = load_all(args.predictions, tiles.ids, tiles.masks.shape[1:], report["members"])
    # Alone or in subsets, members weigh the same.
    members = {member.path.stem: replace(member, weight=1) for member in loaded}
    notes = (warning(report), OF_LINES if "line" in tiles.table else "")
    note = ". ".join(filter(None, notes))
    # All is read before anything is written.
    curve, review = read_curve(args.curve), read_review(args.review, tiles.ids)
    draw_threshold(args.score, curve, members, tiles, report, note)
    draw_tiles(args.tile_scores, review, note)
    draw_calibration(args.calibration, loaded, tiles, report["threshold"], note)
    draw_members(args.members, members, tiles, folds, note)
    logging.info("pictures to %s", args.score.parent)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_input("tiles", "labelled tiles, train.h5")
    parser.add_input("folds", "folds.h5")
    parser.add_input("review", "review.csv")
    parser.add_input("threshold", "threshold.json")
    parser.add_input("curve", "threshold_curve.csv")
    parser.add_input("predictions", "each member's predictions of them", many=True)
    for name in ("score", "tile_scores", "calibration", "members"):
        parser.add_output(name, "SVG file")
    run(main, parser)
