"""Predict the labelled tiles that a member validates on."""

import logging

from saltseg.device.compute import Compute
from saltseg.ensemble.predictions import save
from saltseg.inference.predict import predict_all
from saltseg.inference.runtimes import for_inference
from saltseg.networks.checkpoint import Checkpoint
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.folds import read_folds, train_valid_masks
from saltseg.survey.tiles import Tiles


def main(args):
    compute = Compute.take(args.settings.compute, args.threads)
    checkpoint = Checkpoint.load(args.checkpoint)
    network = for_inference(checkpoint.rebuild(), compute)
    tiles = Tiles(args.tiles)
    if network.uses_depth:
        tiles.require_depths()
    scheme, seed = args.settings.validation.scheme, checkpoint.seed
    _, validates = train_valid_masks(read_folds(args.folds, tiles.ids), scheme, seed)
    images, depths = tiles.images[validates], tiles.depths[validates]
    batches = predict_all(network, images, depths, compute, args.settings.inference)
    save(args.predictions, tiles.table["id"][validates].tolist(), tiles.images.shape[1:], batches)
    logging.info("%d validation tiles predicted to %s", validates.sum(), args.predictions)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_input("tiles", "labelled tiles, train.h5")
    parser.add_input("folds", "folds.h5")
    parser.add_input("checkpoint", "the member")
    parser.add_output("predictions", "HDF5 file")
    run(main, parser)
