"""Copy a volume in another container than SEG-Y to SEG-Y, which results are copies of."""

import logging

from saltseg.core.errors import InputError
from saltseg.stage.cli import add_survey, run, stage_parser
from saltseg.survey.copy_to_segy import copy_to_segy
from saltseg.survey.readers import open_container


def main(args):
    container = open_container(args.source)
    try:
        traces = copy_to_segy(container, args.segy)
    except InputError as error:
        raise InputError(f"{args.source}: {error}") from None
    logging.info("%s: %d traces, to %s", args.source, traces, args.segy)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_input("source", "volume in a container of survey/readers.py")
    parser.add_output("segy", "SEG-Y file")
    add_survey(parser)
    run(main, parser)
