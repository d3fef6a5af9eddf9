"""Fuse the predictions of a volume's shards, and copy the SEG-Y file with them as samples."""

import logging

import numpy as np

from saltseg.evaluation.calibration import Calibration
from saltseg.output.segy import write_copy
from saltseg.output.shards import Shards
from saltseg.output.text_header import describe_output
from saltseg.output.volume import Fuser, Probability, write_probability
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.geometry import Geometry, load_positions, load_traces
from saltseg.survey.interpolation import Interpolation
from saltseg.survey.lines import Lines, labels_by_line


def main(args):
    geometry = Geometry.load(args.geometry)
    shards, positions = Shards(args.shards, geometry.shape), load_positions(args.traces, geometry)
    write_probability(args.probability, geometry, positions, shards, choose_fuser(args, geometry))
    probability = Probability(args.probability)

    def values(inlines: slice) -> np.ndarray:
        # Other programs may not load NaN.
        return np.nan_to_num(probability.read(inlines), copy=False)

    traces = load_traces(args.traces, geometry)
    about = describe_output("Probability of salt, 0 to 1", args.run, args.source)
    write_copy(geometry, args.source, args.segy, values, traces, about)
    logging.info("%d x %d traces of %d samples, to %s", *geometry.shape, args.segy)


def choose_fuser(args, geometry: Geometry) -> Fuser:
    """Return how to fuse members: with the labels of their own volume, or alone in another."""
    settings = args.settings.volume
    if not args.calibration:
        return Fuser(deviation=settings.smoothing)
    calibration = Calibration.load(args.calibration)
    if not args.lines:
        return Fuser(calibration.alone, calibration.smoothing)
    labels = labels_by_line(Lines(args.lines, args.file), geometry)
    return Fuser(
        calibration.fusion,
        settings.smoothing,
        Interpolation(labels) if settings.prior != "none" else None,
        labels if settings.honour_labels else {},
    )


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_input("source", "SEG-Y file")
    parser.add_input("geometry", "its geometry.json")
    parser.add_input("traces", "its traces.h5")
    parser.add_input("shards", "Zarr stores, in order", many=True)
    parser.add_input("calibration", "calibration.json of the members", optional=True)
    parser.add_input("lines", "lines.h5 of the labelled lines", optional=True)
    parser.add_argument("--file", help="name of the SEG-Y file among several in lines.h5")
    parser.add_argument("--run", required=True, help="name of the run, for the text header")
    parser.add_output("probability", "Zarr store")
    parser.add_output("segy", "SEG-Y file")
    run(main, parser)
