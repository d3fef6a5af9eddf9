"""Submit to the contest with the official client and the user's credentials, each file once."""

import logging

from saltseg.core.files import replacing
from saltseg.evaluation.decision import SCORE, read_report
from saltseg.evaluation.summary import describe
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.kaggle import check_submission, submit


def main(args):
    digest = check_submission(args.submission)
    sent = args.record.read_text() if args.record.exists() else ""
    if digest in sent:
        logging.info("already submitted; to send it again, delete %s", args.record)
    else:
        message = describe(read_report(args.threshold, SCORE))
        answer = submit(args.submission, message)
        for line in answer:
            logging.info("kaggle: %s", line)
        sent += "\n" if sent else ""
        sent += f"sha256   {digest}\nmessage  {message}\n"
        sent += "".join(f"answer   {line}\n" for line in answer)
    with replacing(args.record) as path:
        path.write_text(sent)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_input("submission", "submission.csv")
    parser.add_input("threshold", "threshold.json")
    parser.add_output("record", "text file of what was submitted")
    run(main, parser)
