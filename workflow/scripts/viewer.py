"""Draw the sections, slices and maps of a predicted volume for the page's viewer."""

import json
import logging

from saltseg.core.files import replacing, replacing_folder
from saltseg.output.bodies import Bodies
from saltseg.output.volume import Probability
from saltseg.report.viewer import VolumeView, as_masked, measure_spacing, write_viewer
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.geometry import Geometry, load_positions, load_traces
from saltseg.survey.lines import Lines, salt_by_line
from saltseg.survey.volume import Volume


def main(args):
    geometry, probability = Geometry.load(args.geometry), Probability(args.probability)
    threshold = json.loads(args.volume_facts.read_text())["threshold"]
    view = VolumeView(
        grid=geometry,
        unit=geometry.unit,
        amplitude=Volume(args.volume).read,
        probability=as_masked(probability.read, Bodies(args.bodies).read, threshold),
        disagreement=probability.disagreement if args.members > 1 else None,
        threshold=threshold,
        exists=load_traces(args.traces, geometry) >= 0,
        truth=salt_by_line(Lines(args.lines, args.file), geometry) if args.lines else {},
        spacing=measure_spacing(load_positions(args.traces, geometry)),
    )
    with replacing_folder(args.pictures) as folder:
        facts = write_viewer(folder, view)
    facts["folder"] = args.pictures.name
    with replacing(args.facts) as path:
        path.write_text(json.dumps(facts) + "\n")
    logging.info("%s Pictures to %s", facts["summary"], args.pictures)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_input("geometry", "geometry.json of the volume")
    parser.add_input("traces", "traces.h5 of the volume")
    parser.add_input("volume", "Zarr store of amplitudes")
    parser.add_input("probability", "Zarr store of predictions")
    parser.add_input("bodies", "Zarr store of bodies")
    parser.add_input("volume_facts", "volume.json, with the threshold")
    parser.add_input("lines", "lines.h5 of the labelled lines", optional=True)
    parser.add_argument("--file", help="name of the SEG-Y file among several in lines.h5")
    parser.add_argument("--members", type=int, required=True, help="how many there are")
    parser.add_output("pictures", "folder of pictures")
    parser.add_output("facts", "JSON file")
    run(main, parser)
