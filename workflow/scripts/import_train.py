"""Import the labelled tiles of a survey to packed arrays."""

import logging
from pathlib import Path

from saltseg.stage.cli import run, stage_parser
from saltseg.survey.import_train import import_train
from saltseg.survey.source import Source
from saltseg.survey.tiles import save, save_copies


def main(args):
    with Source(args.source) as source:
        for notice in source.notices("train"):
            logging.warning(notice)
        table, images, masks = import_train(source)
    save(args.tiles, table, images, masks)
    save_copies(args.table, args.masks, table, masks)
    without = int(table["depth"].isna().sum())
    if without:
        logging.warning(
            "%d of %d tiles have no depth; only model.depth needs it", without, len(table)
        )
    logging.info(
        "%d labelled tiles of %dx%d, %.0f %% of them without salt, to %s",
        *images.shape, 100 * (table["coverage"] == 0).mean(), args.tiles,
    )  # fmt: skip


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_argument("--source", type=Path, required=True, help="zip or folder of the dataset")
    parser.add_output("tiles", "train.h5")
    parser.add_output("table", "CSV file of the tiles, for users", optional=True)
    parser.add_output("masks", "NumPy file of their masks, for users", optional=True)
    run(main, parser)
