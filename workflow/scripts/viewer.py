"""Draw the sections, slices and maps of a predicted volume for the page's viewer."""

import json
import logging
from pathlib import Path

from saltseg.core.files import replacing, replacing_folder
from saltseg.evaluation.decision import Decision
from saltseg.output.volume import Probability
from saltseg.report.viewer import Survey, spacing_of, write_viewer
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.geometry import Geometry, load_positions
from saltseg.survey.lines import Lines, truth_of
from saltseg.survey.volume import Volume


def main(args):
    geometry, volume = Geometry.load(args.geometry), Volume(args.volume)
    positions = load_positions(args.geometry.with_name("positions.npy"), geometry)
    probability = Probability(args.probability)
    survey = Survey(
        volume.inlines,
        volume.crosslines,
        volume.samples,
        # SEG-Y does not say whether samples are times or depths.
        "ms",
        volume.read,
        probability.read,
        probability.disagreement if args.members > 1 else None,
        Decision.load(args.threshold).threshold,
        truth_of(Lines(args.lines), geometry),
        spacing_of(positions),
    )
    with replacing_folder(args.pictures) as folder:
        facts = write_viewer(folder, survey)
    facts["folder"] = args.pictures.name
    with replacing(args.output) as path:
        path.write_text(json.dumps(facts) + "\n")
    logging.info("%s Pictures to %s", facts["summary"], args.pictures)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_argument("--geometry", type=Path, required=True, help="geometry.json of the volume")
    parser.add_argument("--volume", type=Path, required=True, help="Zarr store of amplitudes")
    parser.add_argument("--probability", type=Path, required=True, help="Zarr store of predictions")
    parser.add_argument("--threshold", type=Path, required=True, help="threshold.json")
    parser.add_argument("--lines", type=Path, required=True, help="lines.csv of the labelled lines")
    parser.add_argument("--members", type=int, required=True, help="how many there are")
    parser.add_argument("--pictures", type=Path, required=True, help="folder of pictures, to write")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    run(main, parser)
