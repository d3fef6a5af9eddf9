"""Predict the test tiles with one member."""

import logging

from saltseg.device.compute import Compute
from saltseg.device.gpu_lease import hold_gpu
from saltseg.ensemble.predictions import save, shard_of
from saltseg.inference.predict import predict, show_progress
from saltseg.inference.runtimes import for_inference
from saltseg.networks.checkpoint import Checkpoint
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.tiles import RowRange, Tiles


def main(args):
    hold_gpu(args.settings.compute.device)
    compute = Compute.select(args.settings.compute, args.settings.compute.runtime, args.threads)
    network = for_inference(Checkpoint.load(args.checkpoint).rebuild(), compute)
    tiles = Tiles(args.tiles)
    if network.uses_depth:
        tiles.require_depths()
    batch_size, shards = args.settings.inference.batch_size, args.settings.inference.shards
    rows = shard_of(len(tiles.ids), batch_size, shards, args.shard)
    batches = predict(
        network,
        RowRange(tiles.images, rows),
        tiles.depths[rows.start : rows.stop],
        compute,
        batch_size=batch_size,
        flip=args.settings.inference.flip,
    )
    batches = show_progress(batches, len(rows), batch_size)
    save(args.predictions, tiles.ids[rows.start : rows.stop], tiles.images.shape[1:], batches)
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
