"""Write the report as a page, with the tiles for its browser beside it."""

import json
import logging
from pathlib import Path

from saltseg.core.files import replacing, replacing_folder
from saltseg.ensemble.predictions import load_all, load_shards
from saltseg.evaluation.decision import SCORE, read_report
from saltseg.evaluation.review import REASONS, read_review
from saltseg.evaluation.volume_summary import VOLUME_FILES, VolumeResults
from saltseg.report import sprites
from saltseg.report.page import (
    NO_TEST,
    headline,
    labelled_facts,
    line_rows,
    read_figure,
    unlabelled_facts,
    volume_headline,
    write_page,
    write_tiles,
)
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.tiles import Tiles


def main(args):
    train = Tiles(args.tiles)
    report = read_report(args.threshold, [*SCORE, "score_all_empty"])
    size = train.images.shape[1:]
    validation = load_all(args.validation, train.ids, size, report["members"])
    test, predicted = None, []
    if args.test_tiles:
        test = Tiles(args.test_tiles)
        predicted = load_shards(args.test, test.ids, test.images.shape[1:], report["members"])
    review = read_review(args.review, train.ids)
    threshold = report["threshold"]
    record = args.record.read_text() if args.record else ""
    # All is read before anything is written.
    figures = [read_figure(path) for path in args.figures]
    facts = {
        "labelled": labelled_facts(review) | {"size": sprites.shown_size(size)},
        "test": NO_TEST,
        "rows": sprites.ROWS,
        "reasons": REASONS,
    }
    if args.viewer:
        facts["volume"] = json.loads(args.viewer.read_bytes())
        # Beside the facts.
        facts["volume"]["folder"] = f"{args.viewer.parent.name}/{facts['volume']['folder']}"
    tests = with_salt = 0
    with replacing_folder(args.pictures) as folder:
        ids = review["id"].tolist()
        write_tiles(folder / "labelled", train, ids, validation, threshold, labelled=True)
        if test:
            coverage = write_tiles(
                folder / "test", test, test.ids, predicted, threshold, labelled=False
            )
            facts["test"] = unlabelled_facts(test, coverage, predicted)
            facts["test"]["size"] = sprites.shown_size(test.images.shape[1:])
            tests, with_salt = len(test.ids), int((coverage > 0).sum())
    head = headline(report, tests, with_salt, args.benchmarks)
    lines = []
    if args.volume_files:
        found = VolumeResults.load(args.volume_files)
        head, lines = volume_headline(found, report["members"], args.benchmarks), line_rows(found)
    with replacing(args.page) as path:
        write_page(path, head, figures, facts, record, lines)
    logging.info("page to %s, its tiles to %s", args.page, args.pictures)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_input("tiles", "labelled tiles, train.h5")
    parser.add_input("test_tiles", "test.h5, if there are any", optional=True)
    parser.add_input("record", "run.yaml", optional=True)
    parser.add_input("review", "review.csv")
    parser.add_input("threshold", "threshold.json")
    parser.add_input("validation", "predictions of labelled tiles", many=True)
    parser.add_input("test", "predictions of test tiles", many=True, optional=True)
    parser.add_input("viewer", "JSON file of a volume's viewer", optional=True)
    parser.add_input("volume_files", VOLUME_FILES, many=True, optional=True)
    parser.add_input("figures", "SVG files", many=True)
    parser.add_argument(
        "--benchmarks", type=Path, nargs="+", required=True, help="folders of benchmarks"
    )
    parser.add_output("page", "HTML file")
    parser.add_output("pictures", "folder of tiles")
    run(main, parser)
