"""Record what the results were made from and with."""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path

import yaml

from saltseg.core.files import replacing
from saltseg.output.provenance import describe_members, describe_project, name_processor
from saltseg.stage.cli import run, stage_parser


def main(args):
    record = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "project": describe_project(Path(__file__).resolve().parents[2]),
        "processor": name_processor(),
        "members": describe_members(args.members),
        **json.loads(args.facts),
    }
    with replacing(args.record) as path:
        path.write_text(yaml.safe_dump(record, sort_keys=False, allow_unicode=True))
    logging.info("settings, versions and inputs to %s", args.record)


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_input("members", "the members, safetensors files", many=True)
    parser.add_argument("--facts", required=True, help="versions, inputs and settings, as JSON")
    parser.add_output("record", "run.yaml")
    run(main, parser)
