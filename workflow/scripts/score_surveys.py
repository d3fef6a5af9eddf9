"""Score held-out lines of further surveys, as other volumes are predicted: by members alone."""

import logging

import pandas as pd

from saltseg.core.tables import write_csv
from saltseg.evaluation.calibration import Calibration, hold_out_alone, score_alone
from saltseg.evaluation.decision import weights_of
from saltseg.evaluation.held_out_lines import load_members
from saltseg.evaluation.volume_summary import format_score
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.folds import is_honest
from saltseg.survey.labelled import survey_name
from saltseg.survey.lines import Lines, count_lines


def main(args):
    honest = is_honest(args.settings.validation.scheme)
    calibration = Calibration.load(args.calibration).cut_at(args.settings.inference.threshold)
    rows, tables = [], []
    for path in args.lines:
        lines, name = Lines(path), survey_name(path)
        own = [file for file in args.predictions if file.is_relative_to(path.parents[1])]
        members = load_members(own, weights_of(args.weights, own))
        table, together = score_alone(hold_out_alone(lines, members), calibration)
        rows.append({"survey": name, **together, "of_lines": len(lines.table), "honest": honest})
        tables.append(table.assign(survey=name))
        logging.info("data.surveys.%s: %s", name, describe(table, together, honest))
    write_csv(pd.DataFrame(rows), args.surveys)
    write_csv(pd.concat(tables, ignore_index=True), args.table)


def describe(table: pd.DataFrame, together: dict, honest: bool) -> str:
    """Return what members score on a survey's lines, for the log."""
    if table.empty:
        return "its only labelled line is not held out"
    kind = "held out" if honest else "that members trained on (NOT honest)"
    score = f"IoU {format_score(together['iou'])}, Dice {format_score(together['dice'])}"
    return f"{score} on {count_lines(table)} {kind}"


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_input("lines", "lines.h5 of each further survey", many=True)
    parser.add_input("predictions", "HDF5 files of each survey and member", many=True)
    parser.add_input("weights", "threshold.json, for other than equal weights", optional=True)
    parser.add_input("calibration", "calibration.json, of which the threshold is used")
    parser.add_output("surveys", "CSV file of the surveys")
    parser.add_output("table", "CSV file of their lines")
    run(main, parser)
