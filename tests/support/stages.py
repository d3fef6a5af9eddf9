"""Run stages in this process on the files of a tiny run, and expect their messages."""

import copy
import io
import json
import logging
import runpy
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import yaml
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from saltseg.output.masks import SOFTWARE
from support.running import ROOT
from support.segy_files import amplitudes, grid_numbers, write_segy
from support.surveys import Survey

CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text())

# The default configuration, made fast.
TINY = copy.deepcopy(CONFIG)
TINY["model"] |= {"name": "residual_unet", "width": 1, "depth": "both"}
TINY["training"] |= {"epochs": 1, "passes_per_epoch": 1.0}
TINY["compute"] |= {"device": "cpu", "precision": "fp32"}


class Case(NamedTuple):
    """An entry of a catalogue: what is broken, how, and the message that ``stage`` must print."""

    name: str
    spoil: Callable | Any
    message: str
    stage: str = "import_train"


def cases(catalogue: Iterable[Case]):
    """Parametrize a test by the cases of a catalogue, whose names have to differ."""
    names = [f"{case.stage}: {case.name}" for case in catalogue]
    assert names and len(set(names)) == len(names)
    return pytest.mark.parametrize("case", catalogue, ids=names)


def stage(name: str, *arguments) -> int:
    """Run a stage's script as a user does, but in this process; return its exit status."""
    level = logging.getLogger().level
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        # The script sets both, for its own process.
        patch.setattr(logging, "raiseExceptions", logging.raiseExceptions)
        try:
            runpy.run_path(str(ROOT / f"workflow/scripts/{name}.py"), run_name="__main__")
        except SystemExit as end:
            return end.code
        finally:
            logging.captureWarnings(False)
            logging.getLogger().setLevel(level)
    return 0


def arguments(name: str, run: Path, out: Path, seed: int = 0, **changes) -> list:
    """Return the arguments of a stage that reads a run's folder and writes to another.

    ``seed`` selects the member in stages that run once per member; ``changes`` are settings by
    section.
    """
    settings = json.dumps(TINY | {section: TINY[section] | new for section, new in changes.items()})
    settings = ["--settings", settings]
    train, test = ["--tiles", run / "train.h5"], ["--tiles", run / "test.h5"]
    folds, threshold = ["--folds", run / "folds.h5"], ["--threshold", run / "threshold.json"]
    review, test_tiles = ["--review", run / "review.csv"], ["--test-tiles", run / "test.h5"]
    models = [run / "models/0.safetensors", run / "models/1.safetensors"]
    histories = [run / "models/0.csv", run / "models/1.csv"]
    validation = ["--predictions", run / "validation/0.h5", run / "validation/1.h5"]
    predicted = ["--predictions", run / "predicted/0.h5", run / "predicted/1.h5"]
    submission = ["--submission", run / "submission.csv"]
    member = ["--checkpoint", models[seed], "--predictions", out / f"{seed}.h5"]
    return {
        "import_train": ["--source", run / "survey.zip", "--tiles", out / "train.h5"],
        "import_test": ["--source", run / "survey.zip", "--tiles", out / "test.h5"],
        "split": [*settings, *train, "--folds", out / "folds.h5"],
        "train": [
            *(*settings, *train, *folds, "--member", seed),
            *("--checkpoint", out / f"{seed}.safetensors", "--history", out / f"{seed}.csv"),
        ],
        "predict_validation": [*settings, *train, *folds, *member],
        "predict_test": [*settings, *test, *member],
        "threshold": [
            *(*settings, *train, *folds, *validation),
            *("--threshold", out / "threshold.json", "--curve", out / "curve.csv"),
        ],
        "submission": [*test, *threshold, *predicted, "--submission", out / "submission.csv"],
        "summary": [*threshold, *submission, "--summary", out / "summary.txt"],
        "submit": [*threshold, *submission, "--record", out / "sent.txt"],
        "review": [*train, *folds, *threshold, *validation, "--review", out / "review.csv"],
        "gallery": [
            *(*train, *review, *threshold, *validation),
            *(x for name in PICTURES for x in (f"--{name}", out / f"{name}.png")),
        ],
        "plot_training": [
            *("--members", "0", "1", "--histories", *histories, "--checkpoints", *models),
            *("--benchmarks", run / "benchmarks"),
            *("--learning", out / "learning.svg", "--times", out / "times.svg"),
        ],
        "plot_evaluation": [
            *(*train, *folds, *review, *threshold, "--curve", run / "curve.csv", *validation),
            *("--score", out / "score.svg", "--tile-scores", out / "tile_scores.svg"),
            *("--calibration", out / "calibration.svg", "--members", out / "members.svg"),
        ],
        "plot_data": [
            *(*train, *test_tiles, *review, *threshold, *predicted, "--figure", out / "data.svg")
        ],
        "page": [
            *(*train, *test_tiles, *review, *threshold),
            *("--validation", *validation[1:], "--test", *predicted[1:]),
            *("--figures", run / "learning.svg", run / "data.svg"),
            *("--benchmarks", run / "benchmarks"),
            *("--page", out / "index.html", "--pictures", out / "tiles"),
        ],
        "predict": [
            *(*settings, "--tiles", run / "new", "--checkpoints", *models, *threshold),
            *("--table", out / "masks.csv", "--masks", out / "masks"),
        ],
    }[name]


PICTURES = ("gallery", "worst", "typical", "best", "disagreement")
REPORT = ("gallery", "plot_training", "plot_evaluation", "plot_data", "page")


def mask_of_an_earlier_run() -> bytes:
    data, mark = io.BytesIO(), PngInfo()
    mark.add_text("Software", SOFTWARE)
    Image.new("L", (16, 18)).save(data, "PNG", pnginfo=mark)
    return data.getvalue()


OLD_MASK = mask_of_an_earlier_run()


def tree(folder: Path) -> dict[str, bytes | None]:
    """Return the content of each file below a folder, and None for each folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def assert_refused(case: Case, run: Path, folder: Path, capsys, **changes) -> str:
    """Run a case's stage beside outputs of an earlier run; return what it printed.

    It has to print the message, on the terminal and in its log, with no traceback, and to leave all
    outputs alone. A message with ^ in front has to follow ``Error:`` at once.
    """
    out, log = folder / "out", folder / "stage.log"
    given = arguments(case.stage, run, out, **changes)
    for path in [path for path in given if isinstance(path, Path) and path.is_relative_to(out)]:
        file = path if path.suffix else path / "old.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(OLD_MASK if file.suffix == ".png" else b"id,rle_mask\nold,\n")
    before = tree(out)
    capsys.readouterr()
    assert stage(case.stage, *given, "--log", log) == 1
    printed = capsys.readouterr().err
    message = f"Error: {case.message[1:]}" if case.message.startswith("^") else case.message
    for text in (printed, log.read_text()):
        assert message in text and "Traceback" not in text
    assert tree(out) == before
    return printed


def run_all(folder: Path, report: Iterable[str] = REPORT) -> None:
    """Run every stage on ``survey.zip`` in a folder, with two members, and those of the report."""

    def run(name, out=".", seed=0):
        assert stage(name, *arguments(name, folder, folder / out, seed)) == 0, name

    run("import_train")
    run("import_test")
    run("split")
    for seed in (0, 1):
        run("train", "models", seed)
        run("predict_validation", "validation", seed)
        run("predict_test", "predicted", seed)
    for name in ("threshold", "submission", "summary", "review", *report):
        run(name)


def zip_survey(survey: Survey, folder: Path, layout: str = "nested zip") -> None:
    """Write a survey to ``survey.zip``, where `arguments` expects it."""
    survey.write(folder / "survey", layout).rename(folder / "survey.zip")
    (folder / "survey").rmdir()


def import_survey(folder: Path, inlines, *, name="", traces=40, first=0.0, changes=None, **segy):
    """Import and split a survey of eight inlines by its stages; return the last status.

    inlines: the labelled ones
    name: of a further survey, whose files lie in surveys/NAME/data
    first: the first label's value
    changes: of the configuration, by section
    """
    numbers = grid_numbers(range(1, 9), range(1, traces + 1))
    write_segy(folder / "volume.sgy", amplitudes(8 * traces, 24), *numbers, **segy)
    some = np.isin(numbers[0], inlines)
    salt = np.repeat(np.arange(24)[None] > 15, some.sum(), axis=0).astype(np.float32)
    salt[0, 0] = first
    write_segy(folder / "salt.sgy", salt, numbers[0][some], numbers[1][some], **segy)
    changes = {"survey": {}, "validation": {}} | (changes or {})
    config = {"survey": TINY["survey"] | {"tile": 16} | changes["survey"]}
    config["validation"] = TINY["validation"] | {"folds": 5} | changes["validation"]
    given = ["--settings", json.dumps(config), *(["--survey", name] if name else [])]
    data = folder / f"surveys/{name}/data" if name else folder
    data.mkdir(parents=True, exist_ok=True)
    geometry = ["--geometry", data / "geometry.json"]
    volume = ["--source", folder / "volume.sgy", *geometry, "--traces", data / "traces.h5"]
    store, lines = ["--volume", data / "volume.zarr"], ["--lines", data / "lines.h5"]
    tiles = [*lines, "--tiles", data / "train.h5", *geometry]
    steps = [
        ("scan_volume", *volume),
        ("import_volume", *volume, *store),
        ("import_lines", "--labels", folder / "salt.sgy", *store, *tiles),
        ("split", *tiles, "--folds", data / "folds.h5"),
    ]
    return next((code for each, *rest in steps if (code := stage(each, *given, *rest))), 0)
