"""Import the amplitudes of a SEG-Y file to a Zarr store."""

import logging
import os
from pathlib import Path

from saltseg.stage.cli import run, stage_parser
from saltseg.stage.code_files import behaviour, local_files
from saltseg.survey.geometry import Geometry, load_traces
from saltseg.survey.volume import import_volume


def main(args):
    geometry = Geometry.load(args.geometry)
    traces = load_traces(args.geometry.with_name("traces.npy"), geometry)
    import_volume(
        args.source,
        geometry,
        traces,
        args.output,
        state=args.state,
        code=map(behaviour, local_files(Path(__file__))),
        threads=args.threads,
    )
    logging.info("%d x %d traces of %d samples, to %s", *geometry.shape, args.output)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_argument("--source", type=Path, required=True, help="SEG-Y file")
    parser.add_argument("--geometry", type=Path, required=True, help="its geometry.json")
    parser.add_argument("--output", type=Path, required=True, help="volume.zarr to write")
    parser.add_argument(
        "--state", type=Path, help="folder of finished shards, to resume from if killed"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="to import with")
    run(main, parser)
