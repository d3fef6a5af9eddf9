"""Score held-out lines as the volume is cut, and members and interpolation alone on them."""

import json
import logging

from saltseg.core.files import replacing
from saltseg.core.tables import write_csv
from saltseg.evaluation.calibration import Calibration, hold_out, score_lines
from saltseg.evaluation.decision import weights_of
from saltseg.evaluation.held_out_lines import load_members
from saltseg.evaluation.volume_summary import format_score
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.folds import is_honest
from saltseg.survey.geometry import Geometry
from saltseg.survey.lines import Lines, count_lines


def main(args):
    lines, honest = Lines(args.lines), is_honest(args.settings.validation.scheme)
    weights = weights_of(args.weights, args.predictions)
    members = load_members(args.predictions, weights)
    grid = Geometry.load(args.geometry) if args.geometry else None
    held_out = hold_out(lines, grid, members, honest)
    calibration = Calibration.load(args.calibration).cut_at(args.settings.inference.threshold)
    table, together = score_lines(held_out, calibration)
    together |= {"of_lines": len(lines.table), "honest": honest}
    write_csv(table, args.table)
    with replacing(args.scores) as path:
        path.write_text(json.dumps(together, indent=2) + "\n")
    for notice in notices(table, together):
        logging.warning(notice)
    logging.info(
        "%s %s: IoU %s, interpolation %s, top of salt %.1f samples off%s; threshold %.2f",
        count_lines(table),
        "held out" if honest else "labelled",
        format_score(together["iou"]),
        format_score(together["interpolation"]["iou"]),
        together["top_distance"] or 0,
        "" if honest else " (NOT honest, on training lines)",
        calibration.threshold,
    )


def notices(table, together: dict) -> list[str]:
    """Return what is to be known about the scores, usually nothing."""
    found = [
        f"{line}: members are sure of the contrary on {share:.0%} of its salt; look at its label"
        for line, share in table.loc[table["note"] != "", ["id", "contradiction"]].values
    ]
    kind = "held-out lines" if together["honest"] else "lines trained on"
    ours, theirs = (together[name]["iou"] for name in ("compared", "interpolation"))
    if ours is not None and theirs is not None and ours <= theirs:
        found.append(
            f"this run (IoU {ours:.3f} on {kind}) is NO BETTER THAN INTERPOLATION of the "
            f"labels ({theirs:.3f}): train longer, or label more lines"
        )
    return found


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_input("lines", "lines.h5 of the labelled lines")
    parser.add_input("geometry", "geometry.json of the volume; none of 2-D lines", optional=True)
    parser.add_input("predictions", "HDF5 files", many=True)
    parser.add_input("weights", "threshold.json, for other than equal weights", optional=True)
    parser.add_input("calibration", "calibration.json")
    parser.add_output("table", "CSV file of lines")
    parser.add_output("scores", "JSON file")
    run(main, parser)
