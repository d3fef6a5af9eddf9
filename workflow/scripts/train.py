"""Train one member, which never sees the fold that it holds out."""

import logging
from pathlib import Path

import pandas as pd

from salt.augmentation import Augmentation
from salt.cli import run, stage_parser
from salt.compute import Compute
from salt.files import replacing
from salt.split import held_out
from salt.tiles import Tiles
from salt.train import Labelled, train_member


def main(args):
    compute = Compute.select(**args.settings["compute"])
    tiles = Tiles(args.tiles)
    out = held_out(pd.read_csv(args.folds), args.seed)
    logging.info(
        "member %d trains on %d tiles and holds out %d, on %s",
        args.seed, (~out).sum(), out.sum(), compute,
    )  # fmt: skip
    checkpoint, history = train_member(
        Labelled.load(tiles.images[~out], tiles.masks[~out], compute.device),
        Labelled.load(tiles.images[out], tiles.masks[out], compute.device),
        compute,
        seed=args.seed,
        model_settings=args.settings["model"],
        augmentation=Augmentation(**args.settings["augmentation"]),
        **args.settings["training"],
    )
    with replacing(args.history) as path:
        pd.DataFrame(history).to_csv(path, index=False)
    checkpoint.save(args.checkpoint)
    logging.info("epoch %d kept, to %s", checkpoint.about["epoch"], args.checkpoint)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--tiles", type=Path, required=True, help="tiles.csv of the labelled tiles")
    parser.add_argument("--folds", type=Path, required=True, help="CSV file of the folds")
    parser.add_argument("--seed", type=int, required=True, help="seed, and number, of the member")
    parser.add_argument("--checkpoint", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--history", type=Path, required=True, help="CSV file to write")
    run(main, parser)
