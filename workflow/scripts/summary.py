"""Write a summary of the results in a few lines."""

import logging
from pathlib import Path

from saltseg.core.files import replacing
from saltseg.evaluation.decision import SCORE, read_report
from saltseg.evaluation.summary import summary
from saltseg.stage.cli import run, stage_parser


def main(args):
    report = read_report(args.threshold, [*SCORE, "score_all_empty", "tuned_on"])
    text = summary(report, args.submission, args.output.parent)
    with replacing(args.output, checksums=False) as path:
        path.write_text(text)
    logging.info("summary to %s", args.output)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_argument("--threshold", type=Path, required=True, help="threshold.json")
    parser.add_argument("--submission", type=Path, help="submission.csv, where there is one")
    parser.add_argument("--output", type=Path, required=True, help="text file to write")
    run(main, parser)
