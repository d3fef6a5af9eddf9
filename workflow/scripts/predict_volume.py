"""Predict one shard of a survey's volume with all members."""

import logging
from pathlib import Path

from saltseg.device.compute import Compute
from saltseg.device.gpu_lease import hold_gpu
from saltseg.evaluation.decision import Decision
from saltseg.inference.runtimes import for_inference
from saltseg.inference.sections import windows_for
from saltseg.inference.volume import Grey, predict_shard
from saltseg.networks.checkpoint import Checkpoint
from saltseg.output.shards import Layout
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.volume import Volume


def main(args):
    hold_gpu(args.settings["compute"]["device"])
    compute = Compute.select(**args.settings["compute"])
    inference, volume = args.settings["inference"], Volume(args.volume)
    checkpoints = [Checkpoint.load(path) for path in args.checkpoints]
    members = [for_inference(checkpoint.rebuild(), compute) for checkpoint in checkpoints]
    windows = windows_for(members, inference["window"], inference["margin"])
    lines, share = predict_shard(
        volume,
        members,
        compute,
        args.output,
        layout=Layout.of(
            volume.shape, windows, inference["planes"], inference["shards"], len(members)
        ),
        shard=args.shard,
        windows=windows,
        grey=Grey.of(checkpoints, volume.attributes["percentile"]),
        flip=Decision.load(args.threshold).flip if args.threshold else inference["flip"],
        batch_size=inference["batch_size"],
    )
    logging.info(
        "%d lines of %d samples predicted to %s, %.0f %% of the time by the members",
        *(lines, volume.shape[2], args.output, 100 * share),
    )


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_argument("--volume", type=Path, required=True, help="Zarr store of the amplitudes")
    parser.add_argument(
        "--checkpoints", type=Path, nargs="+", required=True, help="the members, safetensors files"
    )
    parser.add_argument(
        "--threshold",
        type=Path,
        help="threshold.json of another run's members, for whether to flip",
    )
    parser.add_argument(
        "--shard", type=int, default=0, help="which of inference.shards, counted from 0"
    )
    parser.add_argument("--output", type=Path, required=True, help="Zarr store to write")
    run(main, parser)
