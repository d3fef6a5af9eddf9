"""Write the report of a volume that finished members predicted, as a page with its viewer."""

import json
import logging

from saltseg.core.files import replacing
from saltseg.core.header import read_checkpoint
from saltseg.report.page import write_page
from saltseg.report.predicted import describe_volume
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.geometry import Geometry
from saltseg.survey.volume import Volume


def main(args):
    found, seen = (json.loads(path.read_bytes()) for path in (args.volume_facts, args.viewer))
    members = {path.parent.name: read_checkpoint(path)[0] for path in args.members}
    head = describe_volume(Geometry.load(args.geometry), found, members, Volume(args.volume))
    with replacing(args.page) as path:
        write_page(path, head, [], {"volume": seen})
    logging.info("page to %s", args.page)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_input("geometry", "geometry.json of the volume")
    parser.add_input("volume", "Zarr store of its amplitudes")
    parser.add_input("members", "the members, safetensors files", many=True)
    parser.add_input("volume_facts", "volume.json, with the threshold")
    parser.add_input("viewer", "JSON file of the viewer")
    parser.add_output("page", "HTML file")
    run(main, parser)
