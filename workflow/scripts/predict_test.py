"""Predict the test tiles with one member."""

import logging

from saltseg.device.compute import Compute
from saltseg.ensemble.predictions import save, shard_of
from saltseg.inference.predict import predict_all
from saltseg.inference.runtimes import for_inference
from saltseg.networks.checkpoint import Checkpoint
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.tiles import RowRange, Tiles


def main(args):
    compute = Compute.take(args.settings.compute, args.threads)
    network = for_inference(Checkpoint.load(args.checkpoint).rebuild(), compute)
    tiles = Tiles(args.tiles)
    if network.uses_depth:
        tiles.require_depths()
    inference = args.settings.inference
    rows = shard_of(len(tiles.ids), inference.batch_size, inference.shards, args.shard)
    images, part = RowRange(tiles.images, rows), slice(rows.start, rows.stop)
    batches = predict_all(network, images, tiles.depths[part], compute, inference)
    save(args.predictions, tiles.ids[part], tiles.images.shape[1:], batches)
    logging.info("%d test tiles predicted to %s", len(rows), args.predictions)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_input("tiles", "test tiles, test.h5")
    parser.add_input("checkpoint", "the member")
    parser.add_argument(
        "--shard", type=int, default=0, help="which of inference.shards, counted from 0"
    )
    parser.add_output("predictions", "HDF5 file")
    run(main, parser)
