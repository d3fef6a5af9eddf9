"""Average the members, decide by the threshold, and write the submission."""

import logging
from pathlib import Path

from saltseg.core.errors import InputError
from saltseg.evaluation.decision import Decision
from saltseg.output.submission import write_submission_of_shards
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.tiles import Tiles


def main(args):
    ids = Tiles(args.tiles).ids
    if args.shards < 1 or len(args.predictions) % args.shards:
        raise InputError(
            f"--predictions: {len(args.predictions)} files are not {args.shards} for each member; "
            "give each member's files in order, one member after the other"
        )
    shards = [args.predictions[shard :: args.shards] for shard in range(args.shards)]
    threshold = Decision.load(args.threshold).threshold
    with_salt = write_submission_of_shards(args.output, ids, shards, threshold)
    logging.info("%d tiles, %d of them with salt, to %s", len(ids), with_salt, args.output)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_argument("--tiles", type=Path, required=True, help="tiles.csv of the test tiles")
    parser.add_argument("--threshold", type=Path, required=True, help="threshold.json")
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, help="NPY files")
    parser.add_argument(
        "--shards", type=int, default=1, help="how many files each member has, one after the other"
    )
    parser.add_argument("--output", type=Path, required=True, help="CSV file to write")
    run(main, parser)
