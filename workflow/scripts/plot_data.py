"""Draw how labelled and test tiles differ."""

import logging

from saltseg.ensemble.predictions import load_shards
from saltseg.evaluation.decision import read_report
from saltseg.evaluation.review import read_review
from saltseg.report.plot_data import draw_data, predicted_coverage
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.tiles import Tiles


def main(args):
    train, test, found = Tiles(args.tiles), None, None
    tuned = read_report(args.threshold, ["threshold", "members"])
    if args.test_tiles:
        test = Tiles(args.test_tiles)
        members = load_shards(args.predictions, test.ids, members=tuned["members"])
        found = predicted_coverage(members, test.ids, tuned["threshold"])
    draw_data(args.figure, train, test, read_review(args.review, train.ids), found)
    logging.info("picture to %s", args.figure)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_input("tiles", "labelled tiles, train.h5")
    parser.add_input("test_tiles", "test.h5, if there are any", optional=True)
    parser.add_input("review", "review.csv")
    parser.add_input("threshold", "threshold.json")
    parser.add_input("predictions", "of the test tiles", many=True, optional=True)
    parser.add_output("figure", "SVG file")
    run(main, parser)
