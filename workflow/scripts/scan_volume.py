"""Scan a SEG-Y file for its geometry, before anything is computed."""

import logging

from saltseg.stage.cli import add_survey, run, stage_parser
from saltseg.survey.geometry import describe, save_traces
from saltseg.survey.scan import HeaderSettings, scan


def main(args):
    survey = args.settings.survey
    header = HeaderSettings(
        survey.inline_byte, survey.crossline_byte, survey.endian, survey.format, survey.domain
    )
    geometry, traces, positions = scan(args.source, header, survey.percentile, args.threads or 1)
    for line in describe(geometry).splitlines():
        logging.info("%s", line)
    save_traces(args.traces, traces, positions)
    geometry.save(args.geometry)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_input("source", "SEG-Y file")
    parser.add_output("geometry", "geometry.json")
    parser.add_output("traces", "traces.h5")
    add_survey(parser)
    run(main, parser)
