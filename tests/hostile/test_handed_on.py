"""Broken files of a run, and the message of a stage that reads them."""

import json
import math
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save

from saltseg.core.header import UNSEALED, seal
from saltseg.core.sealed_json import write_sealed
from saltseg.networks.checkpoint import Checkpoint
from support.spoiling import at, cut, delete, edit, edit_hdf, edit_table, flip, replace
from support.stages import Case, assert_refused, cases


class Trap:
    """Unpickling creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def pickled(path):
    with open(path, "wb") as file:
        pickle.dump(Trap(path.parents[1] / "sprung"), file)


def saved_by_torch(path):
    torch.save({"weights": Trap(path.parents[1] / "sprung")}, path)


def header(change):
    """Change a checkpoint's header: its dictionary, or the text that replaces it."""

    def spoil(run):
        path = run / "models/0.safetensors"
        state = load_file(path)
        with safe_open(path, "pt") as file:
            about = json.loads(file.metadata()["salt"])
        text = change(about)
        about["digest"] = UNSEALED
        text = text if isinstance(text, str) else json.dumps(about)
        path.write_bytes(seal(save(state, {"salt": text})))

    return spoil


def network(**settings):
    return header(lambda about: about["model"].update(settings))


def weights(change):
    def spoil(run):
        checkpoint = Checkpoint.load(run / "models/0.safetensors")
        change(checkpoint.state)
        checkpoint.save(checkpoint.path)

    return spoil


def report(**changes):
    def spoil(run):
        path = run / "threshold.json"
        write_sealed(path, json.loads(path.read_text()) | changes)

    return spoil


def with_submission(spoil):
    """Also give `submit` a submission that it accepts."""
    lines = ["id,rle_mask", *(f"{number:010x}," for number in range(18000))]
    text = "\n".join(lines) + "\n"
    return lambda run: (spoil(run), (run / "submission.csv").write_text(text))


def of_file(path: str, stages: list[str], faults: list[tuple]) -> Iterator[Case]:
    """Yield a case for each stage and fault of a file: name, message, and how to spoil the file."""
    for stage in stages:
        for name, message, *spoil in faults:
            file = Path(path).name
            yield Case(f"{file} {name}", at(path, *spoil), f"{file}: {message}", stage)


def of_checkpoint(stage: str, faults: list[tuple]) -> Iterator[Case]:
    """Yield a case for each fault: name, message, and what spoils the folder."""
    for name, message, spoil in faults:
        yield Case(f"0.safetensors {name}", spoil, f"0.safetensors: {message}", stage)


VALIDATION, TEST = "predict_validation", "predict_test"
FIT = "its weights do not fit the network named in its header"
OLD = "expected a checkpoint of format salt-segmentation/2, found salt-seg"
SEED = "expected the member's seed in its header, found '0'"
NO_HDF, NO_CHECKPOINT, NO_TABLE = (
    f"not a readable {kind}" for kind in ("HDF5 file, or damaged", "checkpoint", "table")
)


def set_header(**values):
    return header(lambda about: about.update(values))


def set_nan(state):
    state["head.bias"].fill_(math.nan)


MEMBER = [
    ("empty", f"{NO_CHECKPOINT} (", replace),
    ("truncated", "its content differs from what was written (", cut),
    ("a pickle", f"{NO_CHECKPOINT} (", pickled),
    ("of torch.save", f"{NO_CHECKPOINT} (", saved_by_torch),
]
ENDLESS = ("of an endless header", NO_CHECKPOINT, replace, b"\xff" * 8 + b"[")
HEADERS = [
    ("header too deep", NO_CHECKPOINT, header(lambda about: "[" * 10**5)),
    ("format of another version", OLD, set_header(format="salt-segmentation/1")),
    ("unknown architecture", FIT, network(name="os.system")),
    ("unknown key", FIT, network(code="evil")),
    ("no architecture", FIT, header(lambda about: about.pop("model") and None)),
    ("seed in quotes", SEED, set_header(seed="0")),
    ("extra weight", FIT, weights(lambda state: state.update(evil=torch.zeros(1)))),
    ("missing weight", FIT, weights(lambda state: state.pop("head.bias"))),
    ("weight nan", "non-finite weights in head.bias; delete it to train", weights(set_nan)),
]
CHECKPOINTS = [
    *of_file("models/0.safetensors", [TEST, VALIDATION, "predict"], MEMBER),
    *of_file("models/0.safetensors", [VALIDATION], [("missing", NO_CHECKPOINT, delete)]),
    *of_file("models/1.safetensors", ["plot_training"], [ENDLESS]),
    *of_checkpoint(VALIDATION, HEADERS),
    *of_checkpoint(TEST, [("boundless", FIT, network(width=10**6))]),
]

DAMAGED = [
    ("missing", f"{NO_HDF} (No such file or directory)", delete),
    ("empty", NO_HDF, replace),
    ("truncated", NO_HDF, cut),
    ("a pickle", NO_HDF, pickled),
]
# In its longest dataset, for stages that read it.
FLIPPED = [("flipped", NO_HDF, flip)]


def without(name):
    return lambda path: edit_hdf(path, **{name: None})


def changed(**datasets):
    return lambda path: edit_hdf(path, **datasets)


FEWER = "expected a dataset image, uint8 (6, any, any), found uint8 (5, 16, 18); "
LOWER = "expected a dataset mask, bool (6, 16, 18), found bool (6, 15, 18); "
IMAGES = [
    ("of fewer images", FEWER, changed(image=lambda a: a[:5])),
    ("without images", "expected a dataset image, uint8", without("image")),
]
COLUMNS = [
    ("with numbers for ids", "expected a dataset id, text", changed(id=np.argsort)),
    ("with fewer depths", "expected datasets of one length", changed(depth=lambda a: a[1:])),
]
MASKS = [("with masks of another size", LOWER, changed(mask=lambda a: a[:, :15]))]
BARE = [("without coverage", "expected labelled tiles, found no masks", without("coverage"))]
TILES = [
    *of_file("train.h5", ["split", "train", VALIDATION, "threshold", "gallery", "page"], DAMAGED),
    *of_file("train.h5", ["train", VALIDATION, "gallery", "review", "page"], FLIPPED),
    *of_file("test.h5", [TEST, "submission", "plot_data"], DAMAGED),
    *of_file("test.h5", [TEST, "page"], FLIPPED),
    *of_file("train.h5", ["train", VALIDATION, "gallery"], IMAGES),
    *of_file("train.h5", ["threshold", "train"], MASKS),
    *of_file("train.h5", ["split"], COLUMNS),
    *of_file("train.h5", ["split", "review"], BARE),
]

SIX = "expected the 6 labelled tiles, found"
NUMBERED = "expected folds 0, 1 and so on, found [0, 1, 1000000]"
SHORT = changed(id=lambda a: a[1:], fold=lambda a: a[1:])
FOLDS = [
    *DAMAGED,
    *FLIPPED,
    ("of fewer tiles", f"{SIX} 5 rows, different in ", SHORT),
    ("in another order", f"{SIX} 6 rows, in another order", changed(id=lambda a: a[::-1])),
    ("out of range", NUMBERED, changed(fold=lambda a: np.array([0, 1, 0, 1, 0, 10**6]))),
]
FOLDS = [*of_file("folds.h5", ["train", VALIDATION, "threshold"], FOLDS)]

TWO = "expected a dataset probability, uint16 (3, any, any), found uint16 (2, 16, 18)"
NARROW = "expected tiles of 18x16 pixels, found 18x9; delete it to predict again"
OTHERS = "expected some of 6 tiles, found a; delete it to predict again"
SHAPES = [
    ("of fewer tiles", TWO, changed(probability=lambda a: a[:2])),
    ("of another size", NARROW, changed(probability=lambda a: a[:, :9])),
]
NAMES = [("of other tiles", OTHERS, changed(id=lambda a: np.array([b"a", b"b", b"c"])))]
PREDICTIONS = [
    *of_file("validation/0.h5", ["threshold", "gallery"], DAMAGED + FLIPPED + SHAPES),
    *of_file("predicted/1.h5", ["submission", "page"], DAMAGED + FLIPPED),
    *of_file("validation/0.h5", ["threshold", "gallery", "review", "page"], NAMES),
    Case(
        "1.h5 of fewer tiles",
        at("predicted/1.h5", changed(id=lambda a: a[:2], probability=lambda a: a[:2])),
        "predicted: expected predictions of the 3 test tiles by members of weight 2, found 1 of ",
        "submission",
    ),
]

AGAIN = "delete it to rebuild it"
REVIEW = [
    ("missing", NO_TABLE, delete),
    ("of other columns", "expected the columns id,score,reason,", edit, b",iou,", b",x,"),
    (
        *("of fewer tiles", f"{SIX} 5 rows that do not match; {AGAIN}"),
        *(edit_table, lambda t: t.iloc[1:]),
    ),
    (
        *("in words", f"expected numbers, found text; {AGAIN}"),
        *(edit_table, lambda t: t.assign(score="good")),
    ),
]
EPOCHS = "expected epochs by the columns"
HISTORY = [
    ("missing", NO_TABLE, delete),
    ("of no epoch", f"{EPOCHS} epoch,", edit_table, lambda t: t.iloc[:0]),
    ("of other columns", EPOCHS, edit, b"valid_loss", b"x"),
]
NO_CURVE = "not a readable"
CURVE = [
    ("missing", NO_CURVE, delete),
    ("of other columns", NO_CURVE, edit, b"threshold,", b"x,"),
    ("in words", NO_CURVE, edit_table, lambda t: t.assign(score="good")),
]
UNTITLED = "expected a drawing with a title and a description; delete it to draw it again"
FIGURE = [
    ("binary", "not readable", replace, b"\xff\xfe"),
    ("empty", "expected a drawing with", replace),
    ("without a title", UNTITLED, edit, b"dc:title", b"dc:x"),
]
NO_SUBMISSION = "not a readable submission"
SUBMISSION = [
    ("missing", NO_SUBMISSION, delete),
    ("without masks", NO_SUBMISSION, edit, b"rle_mask", b"x"),
]
REPORT = [
    *of_file("review.csv", ["gallery", "plot_data", "plot_evaluation", "page"], REVIEW),
    *of_file("models/1.csv", ["plot_training"], HISTORY),
    *of_file("curve.csv", ["plot_evaluation"], CURVE),
    *of_file("data.svg", ["page"], FIGURE),
    *of_file("submission.csv", ["summary"], SUBMISSION),
]

NO_REPORT = "expected threshold.json of a finished run, found no JSON"
OLDER = "missing or not as expected"
FEW = "expected files of the members in threshold.json, 0, found "
READERS = ["submission", "predict", "summary", "gallery", "review", "plot_data", "page"]
JSON = [
    ("missing", "No such file or directory; expected", delete),
    ("empty", NO_REPORT, replace),
    ("truncated", NO_REPORT, cut),
    ("binary", NO_REPORT, replace, b"\xff\xfe"),
    ("too deep", NO_REPORT, replace, b"[" * 10**5),
    ("a list", "threshold", replace, b"[1]"),
]
THRESHOLDS = [
    *of_file("threshold.json", READERS, JSON),
    Case("threshold nan", report(threshold=math.nan), f"threshold {OLDER}", "submission"),
    Case("threshold above 1", report(threshold=17), f"threshold {OLDER}", "predict"),
    Case("honest in words", report(honest="yes"), f"honest {OLDER}", "gallery"),
    Case("fewer members than predictions", report(members={"0": 1}), FEW, "plot_evaluation"),
    Case("members without a weight", report(members={"0": 0}), f"members {OLDER}", "review"),
    Case("score null", with_submission(report(score=None)), f"score {OLDER}", "submit"),
]


@cases([*CHECKPOINTS, *TILES, *FOLDS, *PREDICTIONS, *REPORT, *THRESHOLDS])
def test_a_stage_names_the_broken_file(tmp_path, run, capsys, case):
    case.spoil(run)
    assert_refused(case, run, tmp_path, capsys)
    assert not list(run.rglob("sprung"))


@pytest.mark.parametrize(
    ("set_trap", "open_carelessly"),
    [
        (pickled, lambda path: pickle.loads(path.read_bytes())),
        (saved_by_torch, lambda path: torch.load(path, weights_only=False)),
    ],
)
def test_each_trap_springs_if_opened_carelessly(tmp_path, set_trap, open_carelessly):
    path = tmp_path / "models/trap.npy"
    path.parent.mkdir()
    set_trap(path)
    assert not (tmp_path / "sprung").exists()
    open_carelessly(path)
    assert (tmp_path / "sprung").exists()
