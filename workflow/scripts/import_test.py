"""Import the test tiles of a survey to packed arrays."""

import logging
from pathlib import Path

from salt.cli import run, stage_parser
from salt.import_test import import_test
from salt.source import Source
from salt.tiles import save


def main(args):
    with Source(args.source) as source:
        table, images = import_test(source)
    save(args.output, table, images)
    logging.info("%d test tiles of %dx%d to %s", *images.shape, args.output)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_argument("--source", type=Path, required=True, help="zip or folder of the survey")
    parser.add_argument("--output", type=Path, required=True, help="tiles.csv to write")
    run(main, parser)
