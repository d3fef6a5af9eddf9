"""Import the labelled lines of a volume: whole for training, cut to tiles for validation."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from saltseg.core.errors import InputError
from saltseg.core.tables import write_csv
from saltseg.settings.config import HorizonSettings, folds_of
from saltseg.stage.cli import add_survey, run, stage_parser
from saltseg.survey import lines, tiles
from saltseg.survey.folds import is_honest
from saltseg.survey.geometry import Geometry, load_positions, load_traces
from saltseg.survey.horizons import (
    Body,
    choose_gaps,
    choose_lines,
    count_picks,
    files_of,
    labels_from_horizons,
    name_line,
    refuse_repeated,
)
from saltseg.survey.import_lines import (
    cut_lines,
    labels_from_mask,
    labels_from_masks,
    labels_from_segy,
    read_lines,
    refuse_other_geometry,
    refuse_part_of_line,
)
from saltseg.survey.picks import Picks, Reading, Survey, read_picks
from saltseg.survey.scan import HeaderSettings, scan
from saltseg.survey.segy import Segy
from saltseg.survey.volume import Volume


def main(args):
    survey, validation = args.settings.survey, args.settings.validation
    # Where nothing is held out, no line has to be cut.
    held_out = is_honest(validation.scheme)
    pieces_of = folds_of(validation.folds, volume=True) if held_out else 1
    labelled = [read_file(args, number) for number in range(len(args.geometry))]
    # Of several files, each has its lines whole, and so has a further survey its only one.
    if args.files or (args.survey and len(labelled[0]) == 1):
        pieces_of = 1
    former = [lines.Lines(path) for path in args.former if held_out]
    labelled = [cut_lines(of_file, pieces_of, survey.tile, former) for of_file in labelled]
    cut = [
        lines.cut_tiles(of_file, survey.tile, survey.normalisation, Geometry.load(path))
        for of_file, path in zip(labelled, args.geometry, strict=True)
    ]
    table = pd.concat([each for each, _, _ in cut], ignore_index=True)
    images, masks = (np.concatenate([each[kind] for each in cut]) for kind in (1, 2))
    labelled = [line for of_file in labelled for line in of_file]
    whole = len({(line.file, line.plane, line.number) for line in labelled})
    pieces = f", in {len(labelled)} pieces" if whole < len(labelled) else ""
    if not len(table):
        of = f" of data.surveys.{args.survey}" if args.survey else ""
        raise InputError(
            f"survey.tile: no labelled line{of} has a fully labelled tile of {survey.tile} traces "
            "by as many samples; lower it, or label more"
        )
    for notice in lines.label_notices(labelled):
        logging.warning(notice)
    character = Volume(args.volume[0]).character
    if character.polarity is None:
        character = replace(character, polarity=lines.top_polarity(labelled))
    lines.save(args.lines, labelled, character)
    tiles.save(args.tiles, table, images, masks)
    tiles.save_copies(args.table, args.masks, table, masks)
    if args.lines_table:
        copied = lines.Lines(args.lines).table
        of_one = [] if copied["file"].any() else ["file"]
        write_csv(copied.drop(columns=of_one), args.lines_table)
    known = np.concatenate([line.labels[line.labels != lines.UNLABELLED] for line in labelled])
    logging.info(
        "%d labelled line%s%s, %.0f %% of them salt; %d tiles of %d, to %s",
        whole,
        "" if whole == 1 else "s",
        pieces,
        100 * (known == lines.SALT).mean(),
        len(table),
        survey.tile,
        args.tiles,
    )


def read_file(args, number: int) -> list[lines.Line]:
    """Return the labelled lines of one of a survey's SEG-Y files."""
    geometry, path = Geometry.load(args.geometry[number]), args.labels[number]
    volume, file = Volume(args.volume[number]), args.files[number] if args.files else ""
    if args.horizons:
        return read_lines(volume, geometry, read_horizons(args, geometry))
    if path.is_dir():
        return read_lines(volume, geometry, labels_from_masks(path, geometry))
    if path.suffix.lower() == ".png":
        traces = load_traces(args.traces[number], geometry)
        return read_lines(volume, geometry, labels_from_mask(path, geometry, traces), file)
    return read_segy_labels(args, path, volume, geometry, file)


def read_segy_labels(
    args, path: Path, volume: Volume, geometry: Geometry, file: str
) -> list[lines.Line]:
    """Return the lines that a SEG-Y file labels."""
    survey = args.settings.survey
    # By the volume's bytes: on few lines, others may look like line numbers.
    bytes_found = geometry.inline_byte, geometry.crossline_byte
    header = HeaderSettings(*bytes_found, survey.endian, survey.format)
    own, traces, _ = scan(path, header)
    refuse_part_of_line(path, own, geometry)
    refuse_other_geometry(path, own, geometry)
    if own.nan:
        logging.warning(
            "data.labels: %d samples are NaN, infinite or undefined (1e+30, -999.25), and "
            "count as unlabelled", own.nan,
        )  # fmt: skip
    with Segy(path, own.endian, own.format) as segy:
        labels = labels_from_segy(
            own,
            traces,
            segy.read_traces,
            geometry,
            tile=survey.tile,
            unlabelled=survey.unlabelled,
        )
        return read_lines(volume, geometry, labels, file)


def read_horizons(args, geometry: Geometry) -> Iterator[tuple[str, int, np.ndarray]]:
    """Return plane, number and labels of lines from horizons; their files are `--labels`."""
    found, files = args.horizons, iter(args.labels)
    survey = Survey(geometry, load_positions(args.traces[0], geometry))

    def read_next() -> Picks:
        return read_picks(next(files), survey, Reading(found.columns, found.unit))

    bodies = [Body(read_next(), read_next() if body.base else None) for body in found.bodies]
    refuse_repeated(bodies)
    for picks in files_of(bodies):
        logging.info("%s", picks.found.about)
    chosen = choose_lines(bodies, geometry, found.lines)
    bare = [name_line(line, geometry) for line in chosen if not count_picks(bodies, line)]
    if bare:
        logging.warning("no pick on %s: labelled as without salt", ", ".join(bare))
    gaps = choose_gaps(bodies, chosen, found.gap)
    joined = {f"{path.name} {gap}" for (path, _), gap in gaps.items() if gap}
    if joined:
        logging.info("picks joined up to so many traces apart: %s", ", ".join(sorted(joined)))
    labels = list(labels_from_horizons(bodies, geometry, chosen, gaps))
    unknown = [(of_line == lines.UNLABELLED).any(axis=1) for _, _, of_line in labels]
    if any(map(np.any, unknown)):
        logging.info(
            "%d of %d traces unlabelled: in gaps, or with only one of top and base",
            *(sum(map(count, unknown)) for count in (np.sum, len)),
        )
    return iter(labels)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_input(
        "labels",
        "SEG-Y file, folder of masks, or files of horizons; SEG-Y or PNG files of several files",
        many=True,
    )
    parser.add_argument(
        "--horizons",
        type=HorizonSettings.model_validate_json,
        help="data.labels as JSON, where labels are horizons; a top or base named there is the "
        "next one of --labels",
    )
    parser.add_argument("--files", nargs="+", help="names of a survey's SEG-Y files, if several")
    parser.add_input("geometry", "geometry.json of the volume, or of each file", many=True)
    parser.add_input(
        "traces",
        "traces.h5, for horizons by x and y and masks of 2-D lines",
        many=True,
        optional=True,
    )
    parser.add_input("volume", "Zarr stores of amplitudes", many=True)
    parser.add_input(
        "former", "lines.h5 of the run that members start from", many=True, optional=True
    )
    add_survey(parser)
    parser.add_output("lines", "lines.h5")
    parser.add_output("tiles", "train.h5, tiles of these lines")
    parser.add_output("table", "CSV file of the tiles, for users", optional=True)
    parser.add_output("masks", "NumPy file of their masks, for users", optional=True)
    parser.add_output("lines_table", "CSV file of the lines, for users", optional=True)
    run(main, parser)
