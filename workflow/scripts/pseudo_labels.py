"""Label test tiles by members that held out the same fold, for further members of that fold."""

import logging

from saltseg.ensemble.labelling import label
from saltseg.ensemble.predictions import load_shards
from saltseg.ensemble.pseudo_labels import save
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.tiles import Tiles


def main(args):
    ids = Tiles(args.tiles).ids
    members = load_shards(args.predictions, ids)
    chosen, masks, sure = label(members, ids, args.settings.self_training.share)
    save(args.labels, [ids[row] for row in chosen], masks, sure)
    empty = (~masks.any(axis=(1, 2))).sum()
    logging.info(
        "%d of %d tiles labelled, %d as empty, to %s", len(chosen), len(ids), empty, args.labels
    )


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_input("tiles", "test tiles, test.h5")
    parser.add_input("predictions", "members' predictions of them", many=True)
    parser.add_output("labels", "HDF5 file")
    run(main, parser)
