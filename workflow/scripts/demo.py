"""Write the demo survey, in the contest's own formats."""

import logging

from saltseg.stage.cli import run, stage_parser
from saltseg.synthetic.demo import write_survey


def main(args):
    survey = args.settings.data.demo
    write_survey(args.archive, args.sections, **dict(survey))
    logging.info(
        "synthetic survey of %d labelled and %d unlabelled tiles, to %s",
        survey.tiles, survey.test_tiles, args.archive,
    )  # fmt: skip


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_output("archive", "zip of the survey")
    parser.add_output("sections", "CSV file of the tiles' positions")
    run(main, parser)
