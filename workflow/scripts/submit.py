"""Submit to the contest with the official client and the user's credentials, each file once."""

import logging
from pathlib import Path

from saltseg.core.files import replacing
from saltseg.evaluation.decision import SCORE, read_report
from saltseg.evaluation.summary import describe
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.kaggle import check_submission, submit


def main(args):
    digest = check_submission(args.submission)
    record = args.output.read_text() if args.output.exists() else ""
    if digest in record:
        logging.info("already submitted; to send it again, delete %s", args.output)
    else:
        message = describe(read_report(args.threshold, SCORE))
        answer = submit(args.submission, message)
        for line in answer:
            logging.info("kaggle: %s", line)
        record += "\n" if record else ""
        record += f"sha256   {digest}\nmessage  {message}\n"
        record += "".join(f"answer   {line}\n" for line in answer)
    with replacing(args.output, checksums=False) as path:
        path.write_text(record)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_argument("--submission", type=Path, required=True, help="submission.csv")
    parser.add_argument("--threshold", type=Path, required=True, help="threshold.json")
    parser.add_argument(
        "--output", type=Path, required=True, help="text file of what was submitted, to add to"
    )
    run(main, parser)
