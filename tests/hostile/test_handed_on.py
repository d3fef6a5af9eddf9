"""Broken files of a run, and the message of a stage that reads them."""

import json
import math
import pickle
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save

from saltseg.core.header import UNSEALED, sealed
from saltseg.evaluation.decision import write_report
from saltseg.networks.checkpoint import Checkpoint
from support.spoiling import at, cut, delete, edit, edit_array, edit_table, replace
from support.stages import Case, assert_refused, cases
from support.surveys import zipped


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


def pickled_array(path):
    np.save(path, np.array([Trap(path.parents[1] / "sprung")], dtype=object))


def zip_of_arrays(path):
    np.savez(path.with_suffix(".npz"), images=np.zeros((6, 16, 18), dtype=np.uint8))
    path.with_suffix(".npz").rename(path)


def wrong_length(path):
    data = path.read_bytes()
    path.write_bytes(struct.pack("<Q", 2**60) + data[8:])


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
        path.write_bytes(sealed(save(state, {"salt": text})))

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
        write_report(path, json.loads(path.read_text()) | changes)

    return spoil


def complete_submission(run):
    lines = ["id,rle_mask", *(f"{number:010x}," for number in range(18000))]
    (run / "submission.csv").write_text("\n".join(lines) + "\n")


def with_submission(spoil):
    """Also give `submit` a submission that it accepts."""
    return lambda run: (spoil(run), complete_submission(run))


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
NO_ARRAY, NO_CHECKPOINT, NO_TABLE = (
    f"not a readable {kind}" for kind in ("array", "checkpoint", "table")
)

CHECKPOINTS = [
    *of_file(
        "models/0.safetensors",
        [TEST, VALIDATION, "predict"],
        [
            ("empty", f"{NO_CHECKPOINT} (", replace),
            ("truncated", "its content differs from what was written (", cut),
            ("a pickle", f"{NO_CHECKPOINT} (", pickled),
            ("of torch.save", f"{NO_CHECKPOINT} (", saved_by_torch),
        ],
    ),
    *of_file(
        "models/0.safetensors",
        [VALIDATION],
        [
            ("missing", NO_CHECKPOINT, delete),
            ("a zip", NO_CHECKPOINT, replace, zipped({"a": b""})),
            ("of another length", NO_CHECKPOINT, wrong_length),
        ],
    ),
    *of_file(
        "models/1.safetensors",
        ["plot_training"],
        [
            ("missing", NO_CHECKPOINT, delete),
            ("empty", NO_CHECKPOINT, replace),
            (
                *("of another header", "expected a checkpoint of format"),
                *(edit, b"__metadata__", b"__metadato__"),
            ),
            ("of an endless header", NO_CHECKPOINT, replace, b"\xff" * 8 + b"["),
            ("too deep", NO_CHECKPOINT, replace, b"\xff" * 8 + b"[" * 10**5),
        ],
    ),
    *of_checkpoint(
        VALIDATION,
        [
            ("header no JSON", NO_CHECKPOINT, header(lambda about: "no JSON")),
            ("header too deep", NO_CHECKPOINT, header(lambda about: "[" * 10**5)),
            (
                "format of another version",
                "expected a checkpoint of format salt-segmentation/2, found salt-seg",
                header(lambda about: about.update(format="salt-segmentation/1")),
            ),
            ("another architecture", FIT, network(name="unet")),
            ("unknown architecture", FIT, network(name="os.system")),
            ("width in quotes", FIT, network(width="1")),
            ("negative width", FIT, network(width=-1)),
            ("dropout of 7", FIT, network(dropout=7)),
            ("unknown key", FIT, network(code="evil")),
            ("architecture without depth", FIT, network(depth="none")),
            ("no architecture", FIT, header(lambda about: about.pop("model") and None)),
            ("architecture a list", FIT, header(lambda about: about.update(model=[1]))),
            (
                "seed in quotes",
                "expected the member's seed in its header, found '0'",
                header(lambda about: about.update(seed="0")),
            ),
            ("missing weight", FIT, weights(lambda state: state.pop("head.bias"))),
            ("extra weight", FIT, weights(lambda state: state.update(evil=torch.zeros(1)))),
            (
                *("weight of another type", FIT),
                weights(lambda state: state.update({"head.bias": state["head.bias"].half()})),
            ),
            (
                "weight nan",
                "non-finite weights in head.bias; delete it to train",
                weights(lambda state: state["head.bias"].fill_(math.nan)),
            ),
        ],
    ),
    *of_checkpoint(
        TEST,
        [("wider", FIT, network(width=2)), ("boundless", FIT, network(width=10**6))],
    ),
]

SIX = "expected uint8 values of shape (6, height, width)"

TILES = [
    *of_file(
        "train/images.npy",
        [VALIDATION],
        [
            ("missing", NO_ARRAY, delete),
            ("empty", NO_ARRAY, replace),
            ("truncated", NO_ARRAY, cut),
            ("a pickle", NO_ARRAY, pickled),
            ("a zip", NO_ARRAY, zip_of_arrays),
            ("of too many bytes", NO_ARRAY, edit, b"(6, 16, 18)", b"(6, 1<<60) "),
            (
                "of fewer tiles",
                f"{SIX} for the 6 tiles of tiles.csv, found uint8 (5, 16, 18); delete it to import "
                "again",
                *(edit_array, lambda a: a[:5]),
            ),
            ("of floats", SIX, edit_array, lambda a: a / 255),
        ],
    ),
    *of_file(
        "train/images.npy",
        [VALIDATION, "train", "gallery"],
        [("of objects", NO_ARRAY, pickled_array)],
    ),
    *of_file("train/images.npy", ["train"], [("of fewer tiles", SIX, edit_array, lambda a: a[:5])]),
    *of_file(
        "test/images.npy",
        [TEST],
        [
            (
                *("of more tiles", "expected uint8 values of shape (3, height, width)"),
                *(edit_array, lambda a: a.repeat(2, axis=0)),
            )
        ],
    ),
    *of_file(
        "train/masks.npy",
        ["threshold"],
        [
            ("of objects", NO_ARRAY, pickled_array),
            (
                *("of fewer tiles", "expected bool values of shape (6, height, width)"),
                *(edit_array, lambda a: a[:5]),
            ),
        ],
    ),
    *of_file(
        "train/masks.npy",
        ["train"],
        [
            (
                *("of two bytes", "expected bool values of shape (6, height, width)"),
                *(edit_array, lambda a: a.astype(np.uint16)),
            )
        ],
    ),
    *of_file(
        "train/masks.npy",
        ["train", "gallery"],
        [
            (
                "of another size",
                "expected masks of shape (6, 16, 18), as the images beside them",
                *(edit_array, lambda a: a[:, :15]),
            )
        ],
    ),
    *of_file(
        "train/tiles.csv",
        ["split"],
        [
            ("missing", "not a readable", delete),
            ("empty", "not a readable", replace),
            (
                *("with a tile twice", "expected the columns id, depth and"),
                *(edit_table, lambda t: t.iloc[[0, 0, 2]]),
            ),
            (
                *("with depths in words", "expected the columns id, depth and"),
                *(edit_table, lambda t: t.assign(depth="deep")),
            ),
        ],
    ),
    Case(
        *("tiles.csv without ids", at("train/tiles.csv", edit, b"id,", b"x,")),
        *("found x,depth", "split"),
    ),
    Case(
        "tiles.csv of test tiles",
        lambda run: (run / "test/tiles.csv").rename(run / "train/tiles.csv"),
        "tiles.csv: no column coverage; expected tiles.csv of labelled tiles",
        "split",
    ),
    *of_file(
        "train/tiles.csv",
        ["review"],
        [
            (
                "without coverage",
                "no column coverage; expected tiles.csv of labelled tiles",
                *(edit_table, lambda t: t.drop(columns="coverage")),
            )
        ],
    ),
]

SIX = "expected the 6 labelled tiles, found"
NUMBERED = "expected folds 0, 1 and so on, found"

FOLDS = [
    *of_file(
        "folds.csv",
        ["train", VALIDATION, "threshold"],
        [
            ("missing", NO_TABLE, delete),
            ("empty", NO_TABLE, replace),
            ("binary", NO_TABLE, replace, b"\xff\xfe\0"),
            ("without folds", "expected the columns id and fold, found id", edit, b",fold", b",x"),
            (
                *("of fewer tiles", f"{SIX} 5 rows, different in "),
                *(edit_table, lambda t: t.iloc[1:]),
            ),
            (
                *("of other tiles", f"{SIX} 6 rows, different in "),
                *(edit_table, lambda t: t.assign(id=[f"other{i}" for i in range(6)])),
            ),
            (
                *("in another order", f"{SIX} 6 rows, in another order or duplicated"),
                *(edit_table, lambda t: t.iloc[::-1]),
            ),
            (
                *("in words", f"{NUMBERED} ['one']; delete it to assign"),
                *(edit_table, lambda t: t.assign(fold="one")),
            ),
            ("all one", f"{NUMBERED} [0]", edit_table, lambda t: t.assign(fold=0)),
            (
                *("out of range", f"{NUMBERED} [0, 1, 1000000]"),
                *(edit_table, lambda t: t.assign(fold=[0, 1, 0, 1, 0, 10**6])),
            ),
        ],
    )
]

OTHER_IDS = (edit_table, lambda t: t.assign(id=["a", "b", "c"]))
NARROW = (edit_array, lambda a: a[:, :9])


def two_test_tiles(run):
    edit_table(run / "predicted/0.csv", lambda t: t.iloc[:2])
    edit_array(run / "predicted/0.npy", lambda a: a[:2])


PREDICTIONS = [
    *of_file(
        "validation/0.npy",
        ["threshold"],
        [
            ("missing", NO_ARRAY, delete),
            ("truncated", NO_ARRAY, cut),
            ("a pickle", NO_ARRAY, pickled),
            ("of objects", NO_ARRAY, pickled_array),
            ("a zip", NO_ARRAY, zip_of_arrays),
            (
                "of fewer tiles",
                "expected uint16 values of shape (3, height, width) for the 3 tiles beside it",
                *(edit_array, lambda a: a[:2]),
            ),
            (
                *("of floats", "expected uint16 values of shape (3, height, width)"),
                *(edit_array, lambda a: a / 65535),
            ),
            (
                "of another size",
                "expected tiles of 18x16 pixels, found 18x9; delete it to predict again",
                *NARROW,
            ),
        ],
    ),
    *of_file(
        "validation/0.npy",
        ["gallery"],
        [("of another size", "expected tiles of 18x16 pixels, found 18x9", *NARROW)],
    ),
    *of_file(
        "validation/0.csv",
        ["threshold"],
        [("missing", "not a readable table of the ids in 0.npy", delete)],
    ),
    Case(
        *(
            "0.csv with a tile twice",
            at("validation/0.csv", edit_table, lambda t: t.iloc[[0, 0, 1]]),
        ),
        *("0.npy: the ids beside it are not unique", "threshold"),
    ),
    *(
        Case(
            *("0.csv of other tiles", at("validation/0.csv", *OTHER_IDS)),
            *("0.npy: expected some of 6 tiles, found a; delete it to predict again", stage),
        )
        for stage in ("threshold", "gallery", "review", "page")
    ),
    *of_file(
        "predicted/1.npy",
        ["submission"],
        [
            (
                *("of another size", "expected tiles of 18x16 pixels, found 1x16"),
                *(edit_array, lambda a: a[:, :, :1]),
            )
        ],
    ),
    Case(
        *("0.csv of other tiles", at("predicted/0.csv", *OTHER_IDS)),
        *("0.npy: expected some of 3 tiles, found a", "submission"),
    ),
    Case(
        *("0.npy of fewer tiles", two_test_tiles),
        *("0.npy: expected the 3 test tiles, found 2", "submission"),
    ),
]

EPOCHS = "expected epochs by the columns"
NO_SUBMISSION, NO_CURVE = "not a readable submission", "not a readable"

REPORT = [
    *of_file(
        "review.csv",
        ["gallery", "plot_data", "plot_evaluation", "page"],
        [
            ("missing", NO_TABLE, delete),
            ("empty", NO_TABLE, replace),
            ("binary", NO_TABLE, replace, b"\xff\xfe\0"),
            (
                *("of other columns", "expected the columns id,score,reason,"),
                *(edit, b",iou,", b",x,"),
            ),
            (
                "of fewer tiles",
                "expected the 6 labelled tiles, found 5 rows that do not match; delete it "
                "to rebuild it",
                *(edit_table, lambda t: t.iloc[1:]),
            ),
            (
                "in words",
                "expected numbers, found text; delete it to rebuild it",
                *(edit_table, lambda t: t.assign(score="good")),
            ),
        ],
    ),
    *of_file(
        "models/1.csv",
        ["plot_training"],
        [
            ("missing", NO_TABLE, delete),
            ("empty", NO_TABLE, replace),
            ("binary", NO_TABLE, replace, b"\xff\xfe\0"),
            ("of no epoch", f"{EPOCHS} epoch,", edit_table, lambda t: t.iloc[:0]),
            ("of other columns", EPOCHS, edit, b"valid_loss", b"x"),
        ],
    ),
    *of_file(
        "curve.csv",
        ["plot_evaluation"],
        [
            ("missing", NO_CURVE, delete),
            ("empty", NO_CURVE, replace),
            ("binary", NO_CURVE, replace, b"\xff\xfe\0"),
            ("of other columns", NO_CURVE, edit, b"threshold,", b"x,"),
            ("in words", NO_CURVE, edit_table, lambda t: t.assign(score="good")),
        ],
    ),
    *of_file(
        "data.svg",
        ["page"],
        [
            ("missing", "not readable", delete),
            ("binary", "not readable", replace, b"\xff\xfe"),
            ("empty", "expected a drawing with", replace),
            (
                "without a title",
                "expected a drawing with a title and a description; delete it to draw it again",
                *(edit, b"dc:title", b"dc:x"),
            ),
        ],
    ),
    *of_file(
        "submission.csv",
        ["summary"],
        [
            ("missing", NO_SUBMISSION, delete),
            ("empty", NO_SUBMISSION, replace),
            ("binary", NO_SUBMISSION, replace, b"\xff\xfe\0"),
            ("without masks", NO_SUBMISSION, edit, b"rle_mask", b"x"),
        ],
    ),
]

NO_REPORT = "expected threshold.json of a finished run, found no JSON"
OLDER = "missing or not as expected"

THRESHOLDS = [
    *of_file(
        "threshold.json",
        ["submission", "predict", "summary", "gallery", "review", "plot_data", "page"],
        [
            ("missing", "No such file or directory; expected", delete),
            ("empty", NO_REPORT, replace),
            ("truncated", NO_REPORT, cut),
            ("binary", NO_REPORT, replace, b"\xff\xfe"),
            ("too deep", NO_REPORT, replace, b"[" * 10**5),
            ("a list", "threshold", replace, b"[1]"),
        ],
    ),
    Case("threshold nan", report(threshold=math.nan), f"threshold {OLDER}", "submission"),
    Case("threshold in quotes", report(threshold="0.5"), f"threshold {OLDER}", "gallery"),
    Case("threshold above 1", report(threshold=17), f"threshold {OLDER}", "predict"),
    Case("threshold below 0", report(threshold=-1), f"threshold {OLDER}", "submission"),
    Case("score in words", report(score="good"), f"score {OLDER}", "summary"),
    Case("no seeds", report(seeds=[]), f"seeds {OLDER}", "summary"),
    Case("honest in words", report(honest="yes"), f"honest {OLDER}", "gallery"),
    Case(
        *("fewer seeds than predictions", report(seeds=[0])),
        *("threshold.json: tuned with 1 members, but given predictions of 2;", "plot_evaluation"),
    ),
    Case(
        *("threshold.json truncated", with_submission(at("threshold.json", cut))),
        *(f"threshold.json: {NO_REPORT}", "submit"),
    ),
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
        (pickled_array, lambda path: np.load(path.with_suffix(".npy"), allow_pickle=True)),
    ],
)
def test_each_trap_springs_if_opened_carelessly(tmp_path, set_trap, open_carelessly):
    path = tmp_path / "models/trap.npy"
    path.parent.mkdir()
    set_trap(path)
    assert not (tmp_path / "sprung").exists()
    open_carelessly(path)
    assert (tmp_path / "sprung").exists()
