"""Predict one shard of a survey's volume with all members."""

import logging
from argparse import BooleanOptionalAction
from time import perf_counter

from saltseg.device.compute import Compute
from saltseg.evaluation.decision import weights_of
from saltseg.inference.runtimes import for_inference
from saltseg.inference.sections import SectionPredictor, windows_for
from saltseg.inference.volume import Greyscale, VolumePredictor
from saltseg.networks.checkpoint import Checkpoint
from saltseg.output.shards import Layout
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.volume import Volume


def main(args):
    compute = Compute.take(args.settings.compute, args.threads)
    inference, volume = args.settings.inference, Volume(args.volume)
    checkpoints = [Checkpoint.load(path) for path in args.members]
    members = [for_inference(checkpoint.rebuild(), compute) for checkpoint in checkpoints]
    windows = windows_for(members, inference.window, inference.margin)
    greyscale = Greyscale.of(checkpoints, volume.percentile)
    # Once, not for each shard.
    for notice in greyscale.notices(volume) if args.shard == 0 else []:
        logging.warning(notice)
    weights = weights_of(args.weights, args.members)
    sections = SectionPredictor(members, compute, windows, args.flip, weights)
    predictor, begun = VolumePredictor(sections, greyscale, inference.batch_size), perf_counter()
    layout = Layout.of(volume.shape, windows, inference.planes, inference.shards, len(members))
    lines = predictor.predict(volume, layout, args.shard, args.predictions)
    logging.info(
        "%d lines of %d samples predicted to %s, %.0f %% of the time by the members",
        lines,
        volume.shape[2],
        args.predictions,
        100 * predictor.seconds_of_members / (perf_counter() - begun),
    )


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_input("volume", "Zarr store of the amplitudes")
    parser.add_input("members", "the members, safetensors files", many=True)
    parser.add_input("weights", "their threshold.json, for other than equal weights", optional=True)
    parser.add_argument(
        "--flip",
        action=BooleanOptionalAction,
        required=True,
        help="whether predictions are averaged over the flip",
    )
    parser.add_argument(
        "--shard", type=int, default=0, help="which of inference.shards, counted from 0"
    )
    parser.add_output("predictions", "Zarr store")
    run(main, parser)
