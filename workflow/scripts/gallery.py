"""Draw labelled tiles with their true and predicted masks."""

import logging
from pathlib import Path

from saltseg.ensemble.predictions import load_all
from saltseg.evaluation.decision import read_report
from saltseg.evaluation.review import read_review
from saltseg.evaluation.summary import warning
from saltseg.report.gallery import choose, draw_gallery
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.tiles import Tiles

COLUMNS = 8


def main(args):
    tiles = Tiles(args.tiles)
    members = load_all(args.predictions, tiles.ids, tiles.images.shape[1:])
    tuned = read_report(args.threshold, ["threshold", "honest", "tuned_on"])
    chosen = choose(read_review(args.review, tiles.ids), COLUMNS)
    for name, ids in chosen.items():
        draw_gallery(getattr(args, name), tiles, members, ids, tuned["threshold"], warning(tuned))
    logging.info("pictures to %s and %s", args.gallery, args.worst.parent)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_argument("--tiles", type=Path, required=True, help="tiles.csv of the labelled tiles")
    parser.add_argument("--review", type=Path, required=True, help="review.csv")
    parser.add_argument("--threshold", type=Path, required=True, help="threshold.json")
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, help="NPY files")
    for name in ("gallery", "worst", "typical", "best", "disagreement"):
        parser.add_argument(f"--{name}", type=Path, required=True, help="PNG file to write")
    run(main, parser)
