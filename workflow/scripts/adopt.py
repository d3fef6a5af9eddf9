"""Copy a finished member of another run, unless it learnt from tiles that it would be scored on."""

import logging
import shutil

from saltseg.core.files import replacing
from saltseg.stage.cli import add_surveys, run, stage_parser
from saltseg.survey.folds import is_honest, read_folds, train_valid_masks
from saltseg.survey.labelled import load_surveys
from saltseg.survey.lines import Lines
from saltseg.survey.tiles import Tiles
from saltseg.training.start import Start


def main(args):
    tiles, scheme = Tiles(args.tiles), args.settings.validation.scheme
    finished = Start.load(args.source, {}, None, "ensemble.runs")
    if is_honest(scheme):
        seed, folds = finished.checkpoint.seed, read_folds(args.folds, tiles.ids)
        _, held_out = train_valid_masks(folds, scheme, seed)
        lines = Lines(args.lines) if args.lines else None
        finished.refuse_learnt(tiles, lines, held_out, seed)
        surveys = load_surveys(args.survey_lines, args.survey_tiles, args.survey_folds)
        finished.refuse_learnt_of(surveys, scheme, seed)
    with replacing(args.checkpoint) as part:
        shutil.copyfile(args.source, part)
    logging.info("%s is used as it is", args.source)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_input("tiles", "labelled tiles, train.h5")
    parser.add_input("folds", "folds.h5")
    parser.add_input("lines", "lines.h5 of a volume", optional=True)
    add_surveys(parser)
    parser.add_input("source", "the member's checkpoint in the other run's results")
    parser.add_output("checkpoint", "safetensors file")
    run(main, parser)
