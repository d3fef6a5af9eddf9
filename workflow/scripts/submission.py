"""Average the members, decide by the threshold, and write the submission."""

import logging
from pathlib import Path

from salt.cli import run, stage_parser
from salt.decision import Decision
from salt.predictions import load_all
from salt.submission import write_submission
from salt.tiles import Tiles


def main(args):
    ids = Tiles(args.tiles).ids
    members = load_all(args.predictions, ids)
    threshold = Decision.load(args.threshold).threshold
    with_salt = write_submission(args.output, ids, members, threshold)
    logging.info("%d tiles, %d of them with salt, to %s", len(ids), with_salt, args.output)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_argument("--tiles", type=Path, required=True, help="tiles.csv of the test tiles")
    parser.add_argument("--threshold", type=Path, required=True, help="threshold.json")
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, help="NPY files")
    parser.add_argument("--output", type=Path, required=True, help="CSV file to write")
    run(main, parser)
