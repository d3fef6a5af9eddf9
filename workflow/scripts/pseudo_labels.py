"""Label test tiles by members that held out the same fold, for further members of that fold."""

import logging
from pathlib import Path

from saltseg.ensemble.labelling import label
from saltseg.ensemble.predictions import load_shards
from saltseg.ensemble.pseudo_labels import save
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.tiles import Tiles


def main(args):
    ids = Tiles(args.tiles).ids
    members = load_shards(args.predictions, ids)
    chosen, masks, sure = label(members, ids, args.settings.self_training.share)
    save(args.output, [ids[row] for row in chosen], masks, sure)
    empty = (~masks.any(axis=(1, 2))).sum()
    logging.info(
        "%d of %d tiles labelled, %d as empty, to %s", len(chosen), len(ids), empty, args.output
    )


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--tiles", type=Path, required=True, help="tiles.csv of the test tiles")
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, help="NPY files")
    parser.add_argument("--output", type=Path, required=True, help="NPY file; a CSV goes beside it")
    run(main, parser)
