"""Predict the labelled tiles that a member held out."""

import logging
from pathlib import Path

import pandas as pd

from salt.checkpoint import Checkpoint
from salt.cli import run, stage_parser
from salt.compute import Compute
from salt.predict import predict
from salt.predictions import save
from salt.split import held_out
from salt.tiles import Tiles


def main(args):
    compute = Compute.select(**args.settings["compute"])
    checkpoint = Checkpoint.load(args.checkpoint)
    network = checkpoint.rebuild().to(compute.device)
    tiles = Tiles(args.tiles)
    out = held_out(pd.read_csv(args.folds), checkpoint.about["seed"])
    batches = predict(network, tiles.images[out], compute, **args.settings["inference"])
    save(args.output, tiles.table["id"][out].tolist(), tiles.images.shape[1:], batches)
    logging.info("%d held-out tiles predicted to %s", out.sum(), args.output)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--tiles", type=Path, required=True, help="tiles.csv of the labelled tiles")
    parser.add_argument("--folds", type=Path, required=True, help="CSV file of the folds")
    parser.add_argument("--checkpoint", type=Path, required=True, help="the member")
    parser.add_argument("--output", type=Path, required=True, help="NPY file; a CSV goes beside it")
    run(main, parser)
