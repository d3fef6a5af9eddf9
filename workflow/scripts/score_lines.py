"""Score whole lines by the members that held them out."""

import json
import logging

from saltseg.core.files import replacing
from saltseg.core.tables import write_csv
from saltseg.evaluation.decision import SCORE, read_report
from saltseg.evaluation.held_out_lines import LinePredictions, score_lines
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.lines import Lines, count_lines


def main(args):
    report = read_report(args.threshold, SCORE)
    members = [LinePredictions(path) for path in args.predictions]
    table, together = score_lines(Lines(args.lines), members, report["threshold"])
    together["honest"] = report["honest"]
    write_csv(table, args.table)
    with replacing(args.scores) as path:
        path.write_text(json.dumps(together, indent=2) + "\n")
    logging.info(
        "%s %s: IoU %.3f, Dice %.3f, top of salt %.1f samples off%s",
        count_lines(table),
        "held out" if report["honest"] else "labelled",
        *(together[key] or 0 for key in ("iou", "dice", "top_distance")),
        "" if report["honest"] else " (NOT honest, on training lines)",
    )


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_input("lines", "lines.h5 of the labelled lines")
    parser.add_input("threshold", "threshold.json")
    parser.add_input("predictions", "HDF5 files", many=True)
    parser.add_output("table", "CSV file of lines")
    parser.add_output("scores", "JSON file")
    run(main, parser)
