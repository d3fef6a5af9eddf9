"""Import the amplitudes of a SEG-Y file to a Zarr store."""

import logging

from saltseg.stage.cli import add_survey, run, stage_parser
from saltseg.survey.geometry import Geometry, load_traces
from saltseg.survey.volume import import_volume


def main(args):
    geometry = Geometry.load(args.geometry)
    traces = load_traces(args.traces, geometry)
    polarity, threads = args.settings.survey.polarity, args.threads or 1
    import_volume(args.source, geometry, traces, args.volume, threads, polarity)
    other = ", of reversed polarity" if polarity == "reversed" else ""
    logging.info("%d x %d traces of %d samples%s, to %s", *geometry.shape, other, args.volume)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_input("source", "SEG-Y file")
    parser.add_input("geometry", "its geometry.json")
    parser.add_input("traces", "its traces.h5")
    parser.add_output("volume", "volume.zarr")
    add_survey(parser)
    run(main, parser)
