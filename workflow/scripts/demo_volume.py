"""Write the demo volume as SEG-Y: a synthetic survey, the labels of some inlines, and the truth."""

import logging
from pathlib import Path

from saltseg.stage.cli import run, stage_parser
from saltseg.synthetic.volume import write_volume


def main(args):
    survey = args.settings["data"]["demo_volume"]
    labelled = write_volume(args.survey, args.labels, args.truth, **survey)
    logging.info(
        "A synthetic volume of %d inlines, %d crosslines and %d samples, labelled on %d inlines, "
        "to %s",
        survey["inlines"], survey["crosslines"], survey["samples"], len(labelled), args.survey,
    )  # fmt: skip


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--survey", type=Path, required=True, help="SEG-Y of amplitudes, to write")
    parser.add_argument(
        "--labels", type=Path, required=True, help="SEG-Y of the labelled inlines, to write"
    )
    parser.add_argument(
        "--truth", type=Path, required=True, help="SEG-Y of all labels, for scoring alone, to write"
    )
    run(main, parser)
