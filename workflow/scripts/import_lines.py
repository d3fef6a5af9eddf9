"""Import the labelled lines of a volume: whole for training, cut to tiles for validation."""

import logging
from contextlib import ExitStack
from dataclasses import replace

import numpy as np

from saltseg.core.errors import InputError
from saltseg.core.tables import write_csv
from saltseg.settings.config import folds_of
from saltseg.stage.cli import run, stage_parser
from saltseg.survey import lines, tiles
from saltseg.survey.folds import is_honest
from saltseg.survey.geometry import Geometry
from saltseg.survey.import_lines import (
    import_lines,
    labels_from_masks,
    labels_from_segy,
    refuse_other_geometry,
)
from saltseg.survey.scan import HeaderSettings, scan
from saltseg.survey.segy import Segy
from saltseg.survey.volume import Volume


def main(args):
    survey, validation = args.settings.survey, args.settings.validation
    # Where nothing is held out, no line has to be cut.
    held_out = is_honest(validation.scheme)
    pieces_of = folds_of(validation.folds, volume=True) if held_out else 1
    geometry, volume = Geometry.load(args.geometry), Volume(args.volume)
    with ExitStack() as stack:
        if args.labels.is_dir():
            labels = labels_from_masks(args.labels, geometry)
        else:
            # By the volume's bytes: on few lines, others may look like line numbers.
            bytes_found = geometry.inline_byte, geometry.crossline_byte
            header = HeaderSettings(*bytes_found, survey.endian, survey.format)
            own, traces, _ = scan(args.labels, header)
            refuse_other_geometry(args.labels, own, geometry)
            if own.nan:
                logging.warning(
                    "data.labels: %d samples are NaN, infinite or undefined (1e+30, -999.25), and "
                    "count as unlabelled", own.nan,
                )  # fmt: skip
            file = stack.enter_context(Segy(args.labels, own.endian, own.format))
            labels = labels_from_segy(
                own,
                traces,
                file.read_traces,
                geometry,
                tile=survey.tile,
                unlabelled=survey.unlabelled,
            )
        labelled = import_lines(volume, geometry, labels, pieces_of, survey.tile)
    table, images, masks = lines.cut_tiles(labelled, survey.tile, survey.normalisation, geometry)
    whole = len({(line.plane, line.number) for line in labelled})
    cut = f", in {len(labelled)} pieces" if whole < len(labelled) else ""
    if not len(table):
        raise InputError(
            f"survey.tile: no labelled line has a fully labelled tile of {survey.tile} traces by "
            "as many samples; lower it, or label more"
        )
    for notice in lines.label_notices(labelled):
        logging.warning(notice)
    character = volume.character
    if character.polarity is None:
        character = replace(character, polarity=lines.top_polarity(labelled))
    lines.save(args.lines, labelled, character)
    tiles.save(args.tiles, table, images, masks)
    tiles.save_copies(args.table, args.masks, table, masks)
    if args.lines_table:
        write_csv(lines.Lines(args.lines).table, args.lines_table)
    known = np.concatenate([line.labels[line.labels != lines.UNLABELLED] for line in labelled])
    logging.info(
        "%d labelled line%s%s, %.0f %% of them salt; %d tiles of %d, to %s",
        whole,
        "" if whole == 1 else "s",
        cut,
        100 * (known == lines.SALT).mean(),
        len(table),
        survey.tile,
        args.tiles,
    )


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_input("labels", "SEG-Y file or folder of masks")
    parser.add_input("geometry", "geometry.json of the volume")
    parser.add_input("volume", "Zarr store of its amplitudes")
    parser.add_output("lines", "lines.h5")
    parser.add_output("tiles", "train.h5, tiles of these lines")
    parser.add_output("table", "CSV file of the tiles, for users", optional=True)
    parser.add_output("masks", "NumPy file of their masks, for users", optional=True)
    parser.add_output("lines_table", "CSV file of the lines, for users", optional=True)
    run(main, parser)
