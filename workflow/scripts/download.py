"""Download the contest's zip with the official client and the user's credentials."""

import logging
from pathlib import Path

from saltseg.stage.cli import run, stage_parser
from saltseg.survey.kaggle import CONTEST, download


def main(args):
    logging.info("downloading %s; this may take minutes", CONTEST)
    for line in download(args.output):
        logging.info("kaggle: %s", line)
    logging.info("%.1f MB to %s", args.output.stat().st_size / 1e6, args.output)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_argument("--output", type=Path, required=True, help="zip to write")
    run(main, parser)
