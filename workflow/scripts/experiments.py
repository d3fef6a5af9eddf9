"""Compare experiments in one table: scores, paired differences, times, and settings that differ."""

import json
import logging
from pathlib import Path

import numpy as np

from saltseg.core.files import replacing
from saltseg.core.tables import write_csv
from saltseg.ensemble.predictions import load_all
from saltseg.evaluation.comparison import compare, tile_scores
from saltseg.evaluation.decision import HONESTY, read_report
from saltseg.evaluation.summary import honesty
from saltseg.report.experiments import format_table, write_page
from saltseg.report.times import read_times
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.folds import read_folds
from saltseg.survey.tiles import Tiles


def main(args):
    tiles = Tiles(args.tiles)
    folds = read_folds(args.folds, tiles.ids)
    reports = [read_report(path, [*HONESTY, "groups"]) for path in args.thresholds]
    members: dict[str, list[Path]] = {path.parent.name: [] for path in args.thresholds}
    for path in args.predictions:
        # NAME/predictions/validation/SEED.h5
        members[path.parents[2].name].append(path)
    size, folder = tiles.masks.shape[1:], args.table.with_suffix("")
    scores = {
        name: tile_scores(load_all(paths, tiles.ids, size), tiles, folds, report["groups"])
        for (name, paths), report in zip(members.items(), reports, strict=True)
    }
    table = compare(scores)
    table["honest"] = [report["honest"] for report in reports]
    table["members"] = [len(paths) for paths in members.values()]
    table["training_seconds"] = [training_seconds(folder / name) for name in members]
    for key in next(iter(args.differences.values())):
        table[key] = [json.dumps(args.differences[name][key]) for name in members]
    shown = format_table(table)
    # The same for all, by the folds, but for what chose epochs.
    said = honesty(reports[0] | {"selected": any(report["selected"] for report in reports)})
    write_csv(table, args.table)
    with replacing(args.page) as path:
        write_page(path, shown, said)
    logging.info("scores, %s:\n%s", said, shown.to_string(index=False))


def training_seconds(folder: Path) -> float:
    """Return the time that an experiment's members were trained for, in seconds; NaN if unknown."""
    times = [read_times(path) for path in folder.glob("**/benchmarks/train")]
    return float(sum(each["seconds"].sum() for each in times)) or np.nan


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_input("tiles", "labelled tiles, train.h5")
    parser.add_input("folds", "folds.h5")
    parser.add_input("thresholds", "NAME/threshold.json of each experiment", many=True)
    parser.add_input("predictions", "NAME/predictions/validation/SEED.h5 of each", many=True)
    parser.add_argument(
        "--differences", type=json.loads, required=True, help="JSON: NAME to keys that differ"
    )
    parser.add_output("table", "CSV file")
    parser.add_output("page", "HTML file")
    run(main, parser)
