"""Draw how labelled and test tiles differ."""

import logging
from pathlib import Path

from saltseg.ensemble.predictions import load_shards
from saltseg.evaluation.decision import read_report
from saltseg.evaluation.review import read_review
from saltseg.report.plot_data import draw_data, predicted_coverage
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.tiles import Tiles


def main(args):
    train, test, found = Tiles(args.tiles), None, None
    threshold = read_report(args.threshold, ["threshold"])["threshold"]
    if args.test_tiles:
        test = Tiles(args.test_tiles)
        found = predicted_coverage(load_shards(args.predictions, test.ids), test.ids, threshold)
    draw_data(args.output, train, test, read_review(args.review, train.ids), found)
    logging.info("picture to %s", args.output)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_argument("--tiles", type=Path, required=True, help="tiles.csv of the labelled tiles")
    parser.add_argument("--test-tiles", type=Path, help="tiles.csv of the test tiles, if any")
    parser.add_argument("--review", type=Path, required=True, help="review.csv")
    parser.add_argument("--threshold", type=Path, required=True, help="threshold.json")
    parser.add_argument("--predictions", type=Path, nargs="+", help="NPY files of the test tiles")
    parser.add_argument("--output", type=Path, required=True, help="SVG file to write")
    run(main, parser)
