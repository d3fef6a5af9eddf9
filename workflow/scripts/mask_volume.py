"""Write what depends on the threshold: mask, surfaces of salt, and lines to label next."""

import logging

import numpy as np

from saltseg.evaluation.decision import Decision
from saltseg.output import next_lines
from saltseg.output.segy import write_copy
from saltseg.output.surfaces import writing_surfaces
from saltseg.output.volume import Probability
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.geometry import Geometry, load_positions, load_traces
from saltseg.survey.lines import Lines, lines_by_plane


def main(args):
    geometry, probability = Geometry.load(args.geometry), Probability(args.probability)
    positions = load_positions(args.traces, geometry)
    threshold = Decision.load(args.threshold, args.settings.inference.threshold).threshold
    disagreement = next_lines.Disagreement(geometry.shape, probability.predictions)
    salt = samples = 0
    with writing_surfaces(args.top, args.base, geometry, positions, threshold) as surfaces:
        for block in probability.blocks():
            salt += surfaces.add(block)
            samples += int(block.live.sum()) * geometry.samples.count
            disagreement.add(block)
    labelled = lines_by_plane(Lines(args.lines).table) if args.lines else {}
    next_lines.save(args.next, next_lines.choose_lines(disagreement.per_trace, geometry, labelled))

    def mask(inlines: slice) -> np.ndarray:
        return probability.mask(threshold, inlines).astype(np.float32)

    write_copy(geometry, args.source, args.mask, mask, load_traces(args.traces, geometry))
    logging.info(
        "%d x %d traces of %d samples, %.2f %% of them salt, to %s",
        *geometry.shape,
        100 * salt / max(samples, 1),
        args.mask,
    )


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_input("source", "SEG-Y file")
    parser.add_input("geometry", "its geometry.json")
    parser.add_input("traces", "its traces.h5")
    parser.add_input("probability", "Zarr store of predictions")
    parser.add_input("threshold", "the members' threshold.json")
    parser.add_input("lines", "lines.h5 of the labelled lines", optional=True)
    parser.add_output("mask", "SEG-Y file")
    parser.add_output("top", "CSV file of the top")
    parser.add_output("base", "CSV file of the base")
    parser.add_output("next", "CSV file of lines")
    run(main, parser)
