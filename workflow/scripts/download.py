"""Download the contest's zip with the official client and the user's credentials."""

import logging

from saltseg.stage.cli import run, stage_parser
from saltseg.survey.kaggle import CONTEST, download


def main(args):
    logging.info("downloading %s; this may take minutes", CONTEST)
    for line in download(args.archive):
        logging.info("kaggle: %s", line)
    logging.info("%.1f MB to %s", args.archive.stat().st_size / 1e6, args.archive)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_output("archive", "zip")
    run(main, parser)
