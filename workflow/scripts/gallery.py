"""Draw labelled tiles with their true and predicted masks."""

import logging

from saltseg.ensemble.predictions import load_all
from saltseg.evaluation.decision import HONESTY, read_report
from saltseg.evaluation.review import read_review
from saltseg.evaluation.summary import warning
from saltseg.report.gallery import choose, draw_gallery
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.tiles import Tiles

COLUMNS = 8


def main(args):
    tiles = Tiles(args.tiles)
    tuned = read_report(args.threshold, ["threshold", *HONESTY, "members"])
    members = load_all(args.predictions, tiles.ids, tiles.images.shape[1:], tuned["members"])
    chosen = choose(read_review(args.review, tiles.ids), COLUMNS)
    for name, ids in chosen.items():
        draw_gallery(getattr(args, name), tiles, members, ids, tuned["threshold"], warning(tuned))
    logging.info("pictures to %s and %s", args.gallery, args.worst.parent)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_input("tiles", "labelled tiles, train.h5")
    parser.add_input("review", "review.csv")
    parser.add_input("threshold", "threshold.json")
    parser.add_input("predictions", "each member's predictions of them", many=True)
    for name in ("gallery", "worst", "typical", "best", "disagreement"):
        parser.add_output(name, "PNG file")
    run(main, parser)
