"""Write the demo survey, in the contest's own formats."""

import logging
from pathlib import Path

from salt.cli import run, stage_parser
from salt.demo import write_survey


def main(args):
    survey = args.settings["data"]["demo"]
    write_survey(args.archive, args.sections, **survey)
    logging.info(
        "%d labelled and %d test tiles to %s", survey["tiles"], survey["test_tiles"], args.archive
    )


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--archive", type=Path, required=True, help="zip to write")
    parser.add_argument("--sections", type=Path, required=True, help="CSV file of tile positions")
    run(main, parser)
