"""Average the members, decide by the threshold, and write the submission."""

import logging

from saltseg.ensemble.predictions import load_shards
from saltseg.evaluation.decision import Decision
from saltseg.output.submission import write_submission
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.tiles import Tiles


def main(args):
    tiles, decision = Tiles(args.tiles), Decision.load(args.threshold)
    size, members = tiles.images.shape[1:], decision.members
    predictions = load_shards(args.predictions, tiles.ids, size, members)
    weight = sum(members.values())
    with_salt = write_submission(
        args.submission, tiles.ids, predictions, weight, decision.threshold
    )
    logging.info(
        "%d tiles, %d of them with salt, to %s", len(tiles.ids), with_salt, args.submission
    )


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_input("tiles", "test tiles, test.h5")
    parser.add_input("threshold", "threshold.json")
    parser.add_input("predictions", "all members' predictions of them", many=True)
    parser.add_output("submission", "CSV file")
    run(main, parser)
