"""Draw the members' learning curves, and time and memory of each step."""

import logging
from pathlib import Path

from saltseg.report.plot_training import draw_learning, draw_times, kept_epoch, read_history
from saltseg.stage.cli import run, stage_parser


def main(args):
    histories = {
        member: read_history(path)
        for member, path in zip(args.members, args.histories, strict=True)
    }
    checkpoints = zip(args.members, args.checkpoints, strict=True)
    kept = {member: kept_epoch(path) for member, path in checkpoints}
    draw_learning(args.learning, histories, kept)
    draw_times(args.times, args.benchmarks)
    logging.info("learning curves to %s, times to %s", args.learning, args.times)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_argument("--members", nargs="+", required=True, help="their names")
    parser.add_input("histories", "history.csv of each", many=True)
    parser.add_input("checkpoints", "checkpoint of each", many=True)
    parser.add_argument(
        "--benchmarks", type=Path, nargs="+", required=True, help="folders of benchmarks"
    )
    parser.add_output("learning", "SVG file")
    parser.add_output("times", "SVG file")
    run(main, parser)
