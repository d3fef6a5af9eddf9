"""Import the test tiles of a survey to packed arrays."""

import logging
from pathlib import Path

from saltseg.core.hdf import writing
from saltseg.core.tables import write_csv
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.import_test import import_test
from saltseg.survey.source import Source


def main(args):
    # Write to disk while decoding: a dataset may have more test tiles than fit into memory.
    with Source(args.source) as source, writing(args.tiles) as file:
        for notice in source.notices("test"):
            logging.warning(notice)
        table, images = import_test(source, lambda shape, dtype: file.rows("image", dtype, shape))
        file.put_table(table)
    if args.table:
        write_csv(table, args.table)
    without = int(table["depth"].isna().sum())
    if without:
        logging.warning(
            "%d of %d tiles have no depth; only model.depth needs it", without, len(table)
        )
    logging.info("%d test tiles of %dx%d to %s", *images.shape, args.tiles)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_argument("--source", type=Path, required=True, help="zip or folder of the dataset")
    parser.add_output("tiles", "test.h5")
    parser.add_output("table", "CSV file of the tiles, for users", optional=True)
    run(main, parser)
