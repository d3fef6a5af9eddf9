"""Tune the decision threshold, and estimate its score."""

import logging
from pathlib import Path

from saltseg.core.errors import InputError
from saltseg.core.files import replacing
from saltseg.ensemble.predictions import load_all
from saltseg.evaluation.decision import write_report
from saltseg.evaluation.summary import warning
from saltseg.evaluation.threshold import evaluate
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.folds import is_honest, read_folds
from saltseg.survey.tiles import Tiles


def main(args):
    try:
        seeds = [int(path.stem) for path in args.predictions]
    except ValueError as error:
        raise InputError(f"expected predictions named by seeds, 0.npy, 1.npy ({error})") from None
    tiles = Tiles(args.tiles)
    members = load_all(args.predictions, tiles.ids, tiles.masks.shape[1:])
    scheme = args.settings.validation.scheme
    folds = read_folds(args.folds, tiles.ids)
    result, curve = evaluate(members, tiles, folds, honest=is_honest(scheme))
    result["scheme"] = scheme
    # The threshold holds for predictions made in the same way.
    result["flip"] = args.settings.inference.flip
    result["seeds"] = seeds
    with replacing(args.curve) as path:
        curve.to_csv(path, index=False)
    write_report(args.output, result)
    note = warning(result)
    note = f" ({note})" if note else ""
    logging.info("threshold %.4f, score %.4f%s", result["threshold"], result["score"], note)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--tiles", type=Path, required=True, help="tiles.csv of the labelled tiles")
    parser.add_argument("--folds", type=Path, required=True, help="CSV file of the folds")
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, help="NPY files")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--curve", type=Path, required=True, help="CSV file to write")
    run(main, parser)
