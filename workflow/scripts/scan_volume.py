"""Scan a SEG-Y file for its geometry, before anything is computed."""

import logging
import os
from pathlib import Path

from saltseg.core.files import write_npy
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.geometry import describe
from saltseg.survey.scan import scan


def main(args):
    keys = ("inline_byte", "crossline_byte", "endian", "format", "percentile")
    settings = {key: args.settings["survey"][key] for key in keys}
    geometry, traces, positions = scan(args.source, threads=args.threads, **settings)
    for line in describe(geometry).splitlines():
        logging.info("%s", line)
    for name, array in (("traces", traces), ("positions", positions)):
        write_npy(args.output.with_name(f"{name}.npy"), array.dtype, array.shape, [array])
    geometry.save(args.output)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--source", type=Path, required=True, help="SEG-Y file")
    parser.add_argument(
        "--output", type=Path, required=True,
        help="geometry.json to write, and traces.npy and positions.npy beside it",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="to read with")
    run(main, parser)
