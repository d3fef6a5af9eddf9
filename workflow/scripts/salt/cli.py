"""What every stage's script shares: its settings, its log, and how it fails."""

import argparse
import faulthandler
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

from salt.errors import InputError


def stage_parser(description: str, settings: bool = True) -> argparse.ArgumentParser:
    """Parser of a stage: --log, and --settings where the stage has any."""
    parser = argparse.ArgumentParser(description=description)
    if settings:
        parser.add_argument(
            "--settings",
            type=read_settings,
            required=True,
            help="the configuration: a YAML file such as config/config.yaml, or JSON text",
        )
    parser.add_argument("--log", type=Path, help="also write messages to this file")
    return parser


def read_settings(text: str) -> dict:
    """Settings from JSON text, or from a YAML file where the text is no JSON object."""
    try:
        if not text.startswith("{"):
            text = Path(text).read_text()
        # JSON is YAML, but for numbers such as 1e-05, which YAML takes for text.
        settings = json.loads(text) if text.startswith("{") else yaml.safe_load(text)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error.strerror}") from None
    except (json.JSONDecodeError, yaml.YAMLError) as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from None
    if not isinstance(settings, dict):
        raise argparse.ArgumentTypeError(f"{text}: expected sections of settings")
    return settings


def run(main: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser) -> None:
    """Run a stage; leave with status 1 and a message where it fails."""
    args = parser.parse_args()
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if args.log:
        args.log.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(args.log, mode="w"))
        faulthandler.enable(handlers[1].stream)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", handlers=handlers
    )
    logging.captureWarnings(True)
    try:
        main(args)
    except InputError as error:
        logging.error("Error: %s", error)
        sys.exit(1)
    except Exception:
        logging.exception("Error: this stage failed in a way it does not know")
        sys.exit(1)
