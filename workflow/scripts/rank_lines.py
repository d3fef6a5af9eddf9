"""Rank the 2-D lines without a label: which to interpret next."""

import logging

from saltseg.core.tables import read_csv
from saltseg.output import next_lines
from saltseg.stage.cli import run, stage_parser


def main(args):
    tables = {path.parent.name: read_csv(path, "delete it to rebuild it") for path in args.lines}
    ranked = next_lines.rank_files(tables)
    next_lines.save(args.next, ranked)
    logging.info("%d of %d lines to %s", len(ranked), len(tables), args.next)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_input("lines", "next_lines.csv of each", many=True)
    parser.add_output("next", "CSV file")
    run(main, parser)
