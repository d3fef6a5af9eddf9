"""The settings, log and error handling shared by all stages."""

import argparse
import faulthandler
import fcntl
import json
import logging
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

import yaml

from saltseg.core.errors import InputError, MemoryShortageError, first_line, is_out_of_memory
from saltseg.core.files import writable
from saltseg.stage.job_log import ERROR, INTERRUPTED, OUT_OF_MEMORY, TIME, job_name

if TYPE_CHECKING:
    from saltseg.settings.config import Settings

# Keys that each of data.surveys has of its own.
OWN_KEY = re.compile(
    r"\b(?:data|survey)\.(source|labels|inline_byte|crossline_byte|endian|format|polarity|domain"
    r"|unlabelled)\b"
)
SIGTERM = 143  # exit status of a shell's command that is terminated


class StageParser(argparse.ArgumentParser):
    """Arguments of a stage: its settings, and files by the names that its rule gives them."""

    def add_input(
        self, name: str, help: str, *, many: bool = False, optional: bool = False
    ) -> None:
        """Add a file that the stage reads; ``many`` of them are a list."""
        self.set_defaults(inputs=[*(self.get_default("inputs") or []), name])
        self._add_file(name, help, many, optional)

    def add_output(
        self, name: str, help: str, *, many: bool = False, optional: bool = False
    ) -> None:
        """Add a file that the stage writes."""
        self._add_file(name, f"{help}, to write", many, optional)

    def _add_file(self, name: str, help: str, many: bool, optional: bool) -> None:
        flag, nargs = f"--{name.replace('_', '-')}", "+" if many else None
        default = [] if many and optional else None
        self.add_argument(
            flag, type=Path, nargs=nargs, default=default, required=not optional, help=help
        )


def stage_parser(description: str, settings: bool = True) -> StageParser:
    """Return a stage's parser with --log and, if the stage has settings, --settings."""
    parser = StageParser(description=description, allow_abbrev=False)
    if settings:
        parser.add_argument(
            "--settings",
            type=read_settings,
            required=True,
            help="the configuration: a YAML file such as config/config.yaml, or JSON text",
        )
    parser.add_argument("--threads", type=int, help="threads to compute with")
    parser.add_argument("--log", type=Path, help="also write messages to this file")
    return parser


def add_survey(parser: StageParser) -> None:
    """Add --survey, the name of a further survey, whose own keys messages then name."""
    parser.add_argument("--survey", help="name of a further survey, in data.surveys")


def add_labelled(parser: StageParser) -> None:
    """Add all that members learn from, of further surveys none or a file of each, in one order."""
    parser.add_input("tiles", "labelled tiles, train.h5")
    parser.add_input("folds", "folds.h5")
    parser.add_input("lines", "lines.h5 of a volume, which the tiles are of", optional=True)
    for name in ("lines", "tiles", "folds"):
        file = "train" if name == "tiles" else name
        parser.add_input(
            f"survey_{name}", f"{file}.h5 of further surveys", many=True, optional=True
        )


def inputs_of(args: argparse.Namespace) -> dict[str, list[Path]]:
    """Return all files that a stage reads, by the names of its inputs."""
    found = {name: getattr(args, name) for name in args.inputs}
    return {
        name: files if isinstance(files, list) else [files]
        for name, files in found.items()
        if files
    }


def read_settings(text: str) -> "Settings":
    """Read settings from JSON text, or from a YAML file if the text is not a JSON object."""
    try:
        if not text.startswith("{"):
            text = Path(text).read_text(encoding="utf-8")
        # JSON is YAML, except for numbers such as 1e-05, which YAML reads as text.
        settings = json.loads(text) if text.startswith("{") else yaml.safe_load(text)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error.strerror}") from None
    except (json.JSONDecodeError, yaml.YAMLError) as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from None
    # Slow to import, and half of the stages have no settings.
    from saltseg.settings.check import given

    try:
        return given(settings)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(main: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser) -> None:
    """Run a stage; exit with a message, and not with status 0, if it fails or is interrupted."""
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Logging fails, too, on a full disk, and must not add a traceback.
    logging.raiseExceptions = False
    logging.captureWarnings(True)
    with ExitStack() as stack:
        # Another job's progress bar may occupy the line.
        clear = "\r\x1b[K" if sys.stderr.isatty() else ""
        name = job_name(Path(sys.argv[0]), args.log)
        further = getattr(args, "survey", None)
        terminal = _Messages(f"{clear}%(asctime)s {name} | %(message)s", further)
        stack.enter_context(_handling(logging.StreamHandler(), terminal))
        try:
            if args.log:
                stack.enter_context(_logging_to(args.log, further))
            main(args)
        except KeyboardInterrupt:
            logging.error(f"{INTERRUPTED}stopped by a signal; run the same command again")
            sys.exit(SIGTERM)
        except InputError as error:
            logging.error(
                f"{OUT_OF_MEMORY if isinstance(error, MemoryShortageError) else ERROR}{error}"
            )
            sys.exit(1)
        except Exception as error:
            log_unexpected(error)
            sys.exit(1)


def log_unexpected(error: Exception) -> None:
    """Log an error that no stage foresees, and whether a repeat may not meet it."""
    if is_out_of_memory(error):
        logging.error(
            "%snot enough memory (%s); request more, and run the same command again",
            OUT_OF_MEMORY, first_line(error),
        )  # fmt: skip
    elif isinstance(error, OSError) or type(error).__name__ == "AcceleratorError":
        # A disk, a network or a GPU that fails on one machine need not fail on the next.
        logging.exception(f"{INTERRUPTED}the machine failed; run the same command again")
    else:
        logging.exception(f"{ERROR}unexpected error; please report it with this log")


class _Messages(logging.Formatter):
    """Formats messages with the time and, of a further survey, with the names of its own keys."""

    def __init__(self, text: str, survey: str | None):
        super().__init__(text, TIME)
        self._survey = survey

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return OWN_KEY.sub(rf"data.surveys.{self._survey}.\1", text) if self._survey else text


@contextmanager
def _logging_to(path: Path, survey: str | None) -> Iterator[None]:
    """Also write messages, and the interpreter's report of a crash, to a file."""
    with ExitStack() as stack:
        with writable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context(open(path.with_name(f".{path.name}.lock"), "wb"))
            _wait_for(lock, path)
            handler = logging.FileHandler(path, mode="w", encoding="utf-8")
        stack.enter_context(_handling(handler, _Messages("%(asctime)s %(message)s", survey)))
        faulthandler.enable(handler.stream)  # ty: ignore[invalid-argument-type]
        try:
            yield
        finally:
            faulthandler.disable()


def _wait_for(lock: IO[bytes], log: Path) -> None:
    """Take a job's lock, which is not its log, since Snakemake deletes and recreates that.

    A job that outlived its workflow must not run beside the next run's, nor overwrite its results.
    """
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        logging.warning(
            f"{log}: a process of an earlier run is still running; waiting for it to end"
        )
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError:
        # Some network file systems have no locks.
        pass


@contextmanager
def _handling(handler: logging.Handler, formatter: logging.Formatter) -> Iterator[None]:
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    handler.setFormatter(formatter)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        # Closing writes what is buffered, which fails on a full disk.
        with suppress(OSError):
            handler.close()
