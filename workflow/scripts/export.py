"""Write finished members, and their mean, as ONNX models."""

import logging
from pathlib import Path

from saltseg.evaluation.decision import Decision
from saltseg.inference.exported import write_export
from saltseg.networks.checkpoint import Checkpoint
from saltseg.stage.cli import run, stage_parser


def main(args):
    decision = Decision.load(args.threshold)
    checkpoints = [Checkpoint.load(path) for path in args.checkpoints]
    members = {checkpoint.seed: checkpoint.rebuild() for checkpoint in checkpoints}
    for seed, member in members.items():
        write_export(args.output.with_name(f"member_{seed}.onnx"), [member], [seed], decision)
    write_export(args.output, list(members.values()), list(members), decision)
    logging.info("%d members, and their mean, to %s", len(members), args.output.parent)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_argument(
        "--checkpoints", type=Path, nargs="+", required=True, help="the members, safetensors files"
    )
    parser.add_argument("--threshold", type=Path, required=True, help="the members' threshold.json")
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        help="ONNX file of all members; member_SEED.onnx of each go beside it",
    )
    run(main, parser)
