"""Write finished members, and their mean, as ONNX models."""

import logging
from dataclasses import replace

from saltseg.evaluation.decision import Decision
from saltseg.inference.exported import write_export
from saltseg.networks.checkpoint import Checkpoint
from saltseg.stage.cli import run, stage_parser


def main(args):
    decision = Decision.load(args.threshold)
    checkpoints = [Checkpoint.load(path) for path in args.checkpoints]
    networks = [checkpoint.rebuild() for checkpoint in checkpoints]
    members = dict(zip(decision.members, networks, strict=True))
    for path, (name, network) in zip(args.members, members.items(), strict=True):
        write_export(path, {name: network}, replace(decision, members={name: 1}))
    write_export(args.ensemble, members, decision)
    logging.info("%d members, and their mean, to %s", len(members), args.ensemble.parent)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_input("checkpoints", "the members, safetensors files", many=True)
    parser.add_input("threshold", "the members' threshold.json")
    parser.add_output("ensemble", "ONNX file of all members")
    parser.add_output("members", "ONNX file of each member", many=True)
    run(main, parser)
