"""Learn from held-out lines how to fuse members with interpolation, and how to cut."""

import logging
from dataclasses import replace

from saltseg.evaluation.calibration import calibrate, hold_out
from saltseg.evaluation.decision import weights_of
from saltseg.evaluation.held_out_lines import load_members
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.folds import is_honest
from saltseg.survey.geometry import Geometry
from saltseg.survey.lines import Lines


def main(args):
    honest, volume = is_honest(args.settings.validation.scheme), args.settings.volume
    weights = weights_of(args.weights, args.predictions)
    members = load_members(args.predictions, weights)
    grid = Geometry.load(args.geometry) if args.geometry else None
    held_out = hold_out(Lines(args.lines), grid, members, honest)
    calibration = calibrate(held_out, honest, volume.prior != "none" and grid is not None)
    replace(calibration, smoothing=volume.smoothing).save(args.calibration)
    logging.info(
        "members and interpolation fused%s; threshold %.2f",
        "" if honest else " as usual, since members trained on all labelled lines",
        calibration.threshold,
    )


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_input("lines", "lines.h5 of the labelled lines")
    parser.add_input("geometry", "geometry.json of the volume; none of 2-D lines", optional=True)
    parser.add_input("predictions", "HDF5 files", many=True)
    parser.add_input("weights", "threshold.json, for other than equal weights", optional=True)
    parser.add_output("calibration", "JSON file")
    run(main, parser)
