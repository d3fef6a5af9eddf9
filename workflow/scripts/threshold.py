"""Tune the decision threshold, and estimate its score."""

import logging

from saltseg.core.sealed_json import write_sealed
from saltseg.core.tables import write_csv
from saltseg.ensemble.predictions import load_all
from saltseg.evaluation.summary import describe_weights, warning
from saltseg.evaluation.threshold import evaluate
from saltseg.evaluation.weights import mixtures
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.folds import is_honest, read_folds
from saltseg.survey.tiles import Tiles


def main(args):
    tiles = Tiles(args.tiles)
    members = load_all(args.predictions, tiles.ids, tiles.masks.shape[1:])
    scheme = args.settings.validation.scheme
    folds = read_folds(args.folds, tiles.ids)
    chosen, names = args.settings.inference.threshold, [path.stem for path in args.predictions]
    tuned = args.settings.ensemble.weights == "out_of_fold"
    candidates = mixtures(names) if tuned else [dict.fromkeys(names, 1)]
    result, curve = evaluate(members, tiles, folds, is_honest(scheme), chosen, candidates)
    result["scheme"] = scheme
    result["selected"] = args.selected
    # The threshold holds for predictions made in the same way.
    result["flip"] = args.settings.inference.flip
    write_csv(curve, args.curve)
    write_sealed(args.threshold, result)
    note = warning(result)
    note = f" ({note})" if note else ""
    weights = describe_weights(result["members"])
    note += f", weights {weights}" if weights else ""
    logging.info("threshold %.4f, score %.4f%s", result["threshold"], result["score"], note)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_input("tiles", "labelled tiles, train.h5")
    parser.add_input("folds", "folds.h5")
    parser.add_input("predictions", "each member's predictions of them", many=True)
    parser.add_argument(
        "--selected",
        action="store_true",
        # By any training.monitor but last.
        help="whether held-out tiles chose the epochs that members kept",
    )
    parser.add_output("threshold", "JSON file")
    parser.add_output("curve", "CSV file")
    run(main, parser)
