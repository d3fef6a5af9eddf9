"""Merge the predictions of a volume's shards, and copy the SEG-Y file with them as samples."""

import logging

import numpy as np

from saltseg.output.segy import write_copy
from saltseg.output.shards import Shards
from saltseg.output.volume import Probability, write_probability
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.geometry import Geometry, load_positions, load_traces


def main(args):
    geometry = Geometry.load(args.geometry)
    shards = Shards(args.shards, geometry.shape)
    write_probability(args.probability, geometry, load_positions(args.traces, geometry), shards)
    probability = Probability(args.probability)

    def values(inlines: slice) -> np.ndarray:
        # Other programs may not load NaN.
        return np.nan_to_num(probability.read(inlines), copy=False)

    write_copy(geometry, args.source, args.segy, values, load_traces(args.traces, geometry))
    logging.info("%d x %d traces of %d samples, to %s", *geometry.shape, args.segy)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_input("source", "SEG-Y file")
    parser.add_input("geometry", "its geometry.json")
    parser.add_input("traces", "its traces.h5")
    parser.add_input("shards", "Zarr stores of all shards, in order", many=True)
    parser.add_output("probability", "Zarr store")
    parser.add_output("segy", "SEG-Y file")
    run(main, parser)
