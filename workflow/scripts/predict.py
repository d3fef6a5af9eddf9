"""Predict new tiles with finished members, and write their masks."""

import logging

from saltseg.device.compute import Compute
from saltseg.evaluation.decision import Decision
from saltseg.inference.predict_new import decide, read_tiles
from saltseg.inference.runtimes import for_inference
from saltseg.networks.checkpoint import Checkpoint
from saltseg.output.masks import write_masks
from saltseg.settings.members import members_of
from saltseg.stage.cli import run, stage_parser


def main(args):
    compute = Compute.take(args.settings.compute, args.threads)
    inference = args.settings.inference
    decision = Decision.load(args.threshold, inference.threshold)
    names = members_of(args.checkpoints, decision.members)
    files = dict(zip(names, args.checkpoints, strict=True))
    members = [
        for_inference(Checkpoint.load(files[name]).rebuild(), compute) for name in decision.members
    ]
    with_depth = any(member.uses_depth for member in members)
    ids, images, depths = read_tiles(args.tiles, with_depth)
    masks = decide(members, images, depths, compute, decision, inference.batch_size)
    with_salt = write_masks(args.table, args.masks, ids, masks)
    logging.info("%d tiles, %d of them with salt, to %s", len(ids), with_salt, args.table)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_input("tiles", "folder or zip of PNG files")
    parser.add_input("checkpoints", "the members, safetensors files", many=True)
    parser.add_input("threshold", "the members' threshold.json")
    parser.add_output("table", "CSV file")
    parser.add_output("masks", "folder of masks")
    run(main, parser)
