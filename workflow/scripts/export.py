"""Write finished members, and their mean, as ONNX models."""

import logging

from saltseg.evaluation.decision import Decision
from saltseg.inference.exported import write_export
from saltseg.networks.checkpoint import Checkpoint
from saltseg.stage.cli import run, stage_parser


def main(args):
    decision = Decision.load(args.threshold)
    checkpoints = [Checkpoint.load(path) for path in args.checkpoints]
    members = {checkpoint.seed: checkpoint.rebuild() for checkpoint in checkpoints}
    for path, (seed, member) in zip(args.members, members.items(), strict=True):
        write_export(path, [member], [seed], decision)
    write_export(args.ensemble, list(members.values()), list(members), decision)
    logging.info("%d members, and their mean, to %s", len(members), args.ensemble.parent)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_input("checkpoints", "the members, safetensors files", many=True)
    parser.add_input("threshold", "the members' threshold.json")
    parser.add_output("ensemble", "ONNX file of all members")
    parser.add_output("members", "ONNX file of each member", many=True)
    run(main, parser)
