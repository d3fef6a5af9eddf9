"""Write a summary of the results in a few lines."""

import logging

from saltseg.core.files import replacing
from saltseg.evaluation.decision import SCORE, read_report
from saltseg.evaluation.summary import summary
from saltseg.evaluation.volume_summary import VOLUME_FILES, VolumeResults, summarise
from saltseg.stage.cli import run, stage_parser


def main(args):
    report = read_report(args.threshold, [*SCORE, "score_all_empty"])
    if args.volume_files:
        found = VolumeResults.load(args.volume_files)
        text = summarise(found, report["members"], args.summary.parent)
    else:
        text = summary(report, args.submission, args.summary.parent)
    with replacing(args.summary) as path:
        path.write_text(text)
    logging.info("summary to %s", args.summary)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_input("threshold", "threshold.json")
    parser.add_input("submission", "submission.csv", optional=True)
    parser.add_input("volume_files", VOLUME_FILES, many=True, optional=True)
    parser.add_output("summary", "text file")
    run(main, parser)
