"""Write what depends on the threshold: bodies, mask, surfaces of salt, and lines to label next."""

import json
import logging

import numpy as np

from saltseg.core.files import replacing
from saltseg.evaluation.calibration import Calibration
from saltseg.evaluation.decision import Decision
from saltseg.output import next_lines
from saltseg.output.bodies import Bodies, write_bodies
from saltseg.output.horizon_format import HorizonFormat
from saltseg.output.segy import write_copy
from saltseg.output.surfaces import writing_surfaces
from saltseg.output.text_header import describe_output
from saltseg.output.volume import Expectation, Marked, Probability
from saltseg.settings.config import HorizonSettings
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.geometry import Geometry, load_positions, load_traces
from saltseg.survey.lines import Lines, labelled_traces, labels_by_line, lines_by_plane
from saltseg.survey.picks import Reading, Survey


def main(args):
    geometry, probability = Geometry.load(args.geometry), Probability(args.probability)
    lines = Lines(args.lines, args.file) if args.lines else None
    labelled = labels_by_line(lines, geometry) if lines else {}
    threshold = choose_threshold(args)
    positions = load_positions(args.traces, geometry)

    honoured = labelled if args.settings.volume.honour_labels else {}
    marked = Marked(probability, threshold)
    smallest = args.settings.volume.smallest_body
    count = write_bodies(args.bodies, geometry, marked.read, honoured, smallest)
    bodies = Bodies(args.bodies)
    disagreement = next_lines.Disagreement(geometry.shape, probability.predictions)
    change = next_lines.Change(geometry.shape)
    expectation, picked = Expectation(labelled), labelled_traces(honoured, geometry)
    files = (args.top, args.base)
    formats = label_formats(args, Survey(geometry, positions))
    with writing_surfaces(
        files, args.surfaces, geometry, geometry.unit, positions, formats
    ) as surfaces:
        for block in probability.blocks():
            part = block.inlines, block.crosslines
            numbers = bodies.read(*part)
            surfaces.add(part, numbers, picked[part])
            disagreement.add(block)
            expectation.add(block, numbers > 0)
            change.add(block, numbers > 0)
    interpreted = lines_by_plane(lines.table) if lines else {}
    chosen = next_lines.choose_lines(disagreement.per_trace, geometry, interpreted)
    next_lines.save(args.next, change.of(chosen, geometry))

    def mask(inlines: slice) -> np.ndarray:
        return (bodies.read(inlines) > 0).astype(np.float32)

    def numbered(inlines: slice) -> np.ndarray:
        return bodies.read(inlines).astype(np.float32)

    traces = load_traces(args.traces, geometry)
    cut = f"probability above {threshold:g}"
    about = describe_output(f"Salt 1, other rock 0: {cut}", args.run, args.source)
    write_copy(geometry, args.source, args.mask, mask, traces, about)
    what = f"Bodies of salt, 1 the largest, other rock 0: {cut}"
    about = describe_output(what, args.run, args.source)
    write_copy(geometry, args.source, args.bodies_segy, numbered, traces, about)
    facts = {"threshold": threshold, "bodies": count, "labelled": bool(labelled)}
    facts |= {"picked_share": float(picked.mean()), **expectation.facts()}
    with replacing(args.facts) as path:
        path.write_text(json.dumps(facts, indent=2) + "\n")
    logging.info(
        "%d x %d traces of %d samples, %.2f %% of them salt, in %d bodies, to %s",
        *geometry.shape,
        100 * expectation.salt_share,
        count,
        args.mask,
    )


def label_formats(args, survey: Survey) -> list[HorizonFormat]:
    """Return the formats of a top and a base that labels are; none if they are no horizons."""
    if not args.horizons:
        return []
    reading = Reading(args.horizons.columns, args.horizons.unit)
    return [HorizonFormat.of(path, survey, reading) for path in args.labels]


def choose_threshold(args) -> float:
    """Return the threshold that is configured, or that of the members."""
    configured = args.settings.inference.threshold
    if not args.calibration:
        return Decision.load(args.threshold, configured).threshold
    if configured is not None:
        return configured
    calibration = Calibration.load(args.calibration)
    return calibration.threshold if args.lines else calibration.threshold_alone


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_input("source", "SEG-Y file")
    parser.add_input("geometry", "its geometry.json")
    parser.add_input("traces", "its traces.h5")
    parser.add_input("probability", "Zarr store of predictions")
    parser.add_input("threshold", "threshold.json of members of tiles", optional=True)
    parser.add_input("calibration", "calibration.json of members of lines", optional=True)
    parser.add_input("lines", "lines.h5 of the labelled lines", optional=True)
    parser.add_argument("--file", help="name of the SEG-Y file among several in lines.h5")
    parser.add_input("labels", "top and base, if labels are horizons", many=True, optional=True)
    parser.add_argument(
        "--horizons",
        type=HorizonSettings.model_validate_json,
        help="data.labels as JSON, where labels are horizons",
    )
    parser.add_argument("--run", required=True, help="name of the run, for text headers")
    parser.add_output("bodies", "Zarr store of bodies")
    parser.add_output("mask", "SEG-Y file")
    parser.add_output("bodies_segy", "SEG-Y file of their numbers")
    parser.add_output("surfaces", "folder of the top and base of each body")
    parser.add_output("top", "CSV file of the top")
    parser.add_output("base", "CSV file of the base")
    parser.add_output("next", "CSV file of lines")
    parser.add_output("facts", "JSON file")
    run(main, parser)
