"""Assign the labelled tiles to folds."""

import logging

import numpy as np

from saltseg.core.errors import InputError
from saltseg.core.hdf import writing
from saltseg.core.tables import write_csv
from saltseg.settings.config import folds_of
from saltseg.stage.cli import add_survey, run, stage_parser
from saltseg.survey.folds import is_honest, read_groups, split
from saltseg.survey.former import Former, digests, units_of
from saltseg.survey.geometry import Geometry
from saltseg.survey.lines import Lines, hold_out_blocks, near_lines, possible_folds
from saltseg.survey.tiles import Tiles


def main(args):
    settings = args.settings.validation
    honest = is_honest(settings.scheme)
    tiles = Tiles(args.tiles)
    tiles.require_labels()
    number, groups = folds_of(settings.folds, volume=args.lines is not None), None
    # Rules pass the file alone; by hand, the key that names it suffices.
    file = args.groups or getattr(settings, "groups", None)
    if file:
        groups = read_groups(file, settings.group_column, tiles.ids)
    if args.lines:
        lines = Lines(args.lines).table
        # Several files have no grid in common.
        grid = None if lines["file"].any() else Geometry.load(args.geometry[0])
        blocks = hold_out_blocks(lines, grid, number)
        groups = tiles.table["line"].map(dict(zip(lines["id"], blocks, strict=True))).to_numpy()
        if honest and args.survey and len(np.unique(groups)) == 1:
            number = 1
            logging.info("labels on a single line, which is not held out")
        elif honest:
            number, notices = possible_folds(number, lines, groups)
            for notice in notices if grid else []:
                logging.warning(notice)
    if not honest:
        # Nothing is held out, so there may be fewer folds, such as one.
        number = min(number, len(tiles.ids if groups is None else np.unique(groups)))
    kept = None
    if args.former and honest and number > 1:
        number, kept = keep_folds(args, tiles, number)
        if args.lines and kept is not None:
            groups = tiles.table["line"].to_numpy()
    folds = split(
        tiles.table,
        folds=number,
        seed=settings.seed,
        stratified=settings.stratified,
        groups=groups,
        kept=kept,
    )
    with writing(args.folds) as file:
        file.put_table(folds)
    if args.table:
        write_csv(folds, args.table)
    sizes = folds["fold"].value_counts().sort_index().tolist()
    logging.info("%d tiles assigned to folds of %s tiles, in %s", len(folds), sizes, args.folds)


def keep_folds(args, tiles: Tiles, number: int) -> tuple[int, np.ndarray | None]:
    """Return the number of folds, and that of each tile or -1, of the run that members start from.

    None instead if that run has other tiles.
    """
    formers, lines = Former.load_all(args.former[0].parents[1]), args.lines and Lines(args.lines)
    shown = digests(tiles, lines)
    for former in formers:
        known = former.kept(shown) if former.count == 1 else {}
        if known:
            raise InputError(
                f"training.start: all members of {former.run} learnt from {next(iter(known))}, so "
                "none that starts from them can hold it out; leave it out, or set training.start "
                "to null or validation.scheme to full"
            )
    found = ((former, former.kept(shown)) for former in formers if former.count > 1)
    former, kept = next((each for each in found if each[1]), (formers[0], {}))
    if not kept:
        return number, None
    many = former.count
    if many != number and not lines:
        raise InputError(
            f"validation.folds is {number}, but {former.run}, from whose members these start, has "
            f"{many} folds of the same tiles; set it to that"
        )
    logging.info(
        "%d %s stay in the %d folds of %s",
        len(kept),
        "lines" if lines else "tiles",
        many,
        former.run,
    )
    if lines:
        # Folds of which no line is left get new ones, which no member has seen.
        new = (name for name in units_of(tiles).unique() if name not in kept)
        kept = kept | dict(zip(new, sorted({*range(many)} - {*kept.values()}), strict=False))
        if not lines.table["file"].any():
            kept = near_lines(lines.table, kept)
    return many, units_of(tiles).map(kept).fillna(-1).to_numpy(dtype=np.int64)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_input("tiles", "labelled tiles, train.h5")
    parser.add_input("groups", "CSV file of the tiles' groups", optional=True)
    parser.add_input("lines", "lines.h5, where the tiles are of lines", optional=True)
    parser.add_input(
        "former",
        "train.h5, folds.h5 and, of surveys, lines.h5 of the run that members start from",
        many=True,
        optional=True,
    )
    parser.add_input("geometry", "geometry.json of the lines' volume", many=True, optional=True)
    add_survey(parser)
    parser.add_output("folds", "folds.h5")
    parser.add_output("table", "CSV file of the folds, for users", optional=True)
    run(main, parser)
