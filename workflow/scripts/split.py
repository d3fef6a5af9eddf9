"""Assign the labelled tiles to folds."""

import logging
from pathlib import Path

from saltseg.core.errors import InputError
from saltseg.core.files import replacing
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.folds import folds_of, read_groups, split
from saltseg.survey.geometry import Geometry
from saltseg.survey.lines import Lines, hold_out_blocks, lines_notices
from saltseg.survey.tiles import Tiles


def main(args):
    settings = args.settings.validation
    tiles = Tiles(args.tiles)
    if "coverage" not in tiles.table:
        raise InputError(f"{args.tiles}: no column coverage; expected tiles.csv of labelled tiles")
    number, groups = folds_of(settings.folds, volume=args.lines is not None), None
    if settings.groups is not None:
        groups = read_groups(settings.groups, settings.group_column, tiles.ids)
    if args.lines:
        lines = Lines(args.lines).table
        held_out = hold_out_blocks(lines, Geometry.load(args.geometry), number)
        groups = tiles.table["line"].map(dict(zip(lines["id"], held_out, strict=True))).to_numpy()
        for notice in lines_notices(lines):
            logging.warning(notice)
    folds = split(
        tiles.table,
        folds=number,
        seed=settings.seed,
        stratified=settings.stratified,
        groups=groups,
    )
    with replacing(args.output) as path:
        folds.to_csv(path, index=False)
    sizes = folds["fold"].value_counts().sort_index().tolist()
    logging.info("%d tiles assigned to folds of %s tiles, in %s", len(folds), sizes, args.output)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--tiles", type=Path, required=True, help="tiles.csv of the labelled tiles")
    parser.add_argument("--lines", type=Path, help="lines.h5, where the tiles are of lines")
    parser.add_argument("--geometry", type=Path, help="geometry.json of the lines' volume")
    parser.add_argument("--output", type=Path, required=True, help="CSV file of the folds")
    run(main, parser)
