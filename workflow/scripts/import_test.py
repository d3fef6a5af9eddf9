"""Import the test tiles of a survey to packed arrays."""

import logging
from pathlib import Path

from saltseg.core.files import filling_npy, replacing
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.import_test import import_test
from saltseg.survey.source import Source


def main(args):
    images_path = args.output.with_name("images.npy")
    # Write to disk while decoding: a survey may have more test tiles than fit into memory.
    with Source(args.source) as source, filling_npy(images_path) as room:
        table, images = import_test(source, room)
    with replacing(args.output) as path:
        table.to_csv(path, index=False)
    without = int(table["depth"].isna().sum())
    if without:
        logging.warning(
            "%d of %d tiles have no depth; only model.depth needs it", without, len(table)
        )
    logging.info("%d test tiles of %dx%d to %s", *images.shape, args.output)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_argument("--source", type=Path, required=True, help="zip or folder of the survey")
    parser.add_argument("--output", type=Path, required=True, help="tiles.csv to write")
    run(main, parser)
