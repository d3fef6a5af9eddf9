"""The whole workflow, and new tiles, with all pairs of some values of the configuration.

Each combination of a covering array runs on its own tiny survey, as a user would run it; a second
run has nothing to do; other shards give the same submission; and `snakemake predict` gives the test
tiles the submission's masks, pixel by pixel. `make combinations` runs all of them, the tests one.
"""

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from saltseg.core.rle import decode
from saltseg.settings.check import faults
from support.networks import MISSING
from support.running import SUBMISSION, complete, planned
from support.surveys import Survey

pytestmark = [pytest.mark.slow, pytest.mark.long]

Row = dict[str, object]
NO_DEPTHS = "no test depths"
# The first value of each goes with all others.
FACTORS = {
    "model.name": ["residual_unet", "unet", "efficientnet_lite0_unet"],
    "survey": ["nested zip", "flat zip", "unpacked folder", NO_DEPTHS],
    "tile": [(33, 33), (47, 35), (101, 101)],
    "model.depth": ["none", "both"],
    "model.hypercolumn": [False, True],
    "validation.scheme": ["kfold", "holdout", "full"],
    "validation.groups": [None, "it's a $HOME é.csv"],
    "ensemble.seeds": [[0, 1], [3]],
    "training.batch_size": [4, 1, 50],
    "training.micro_batch": [None, 1],
    "training.loss": [
        "bce",
        "dice",
        "dice_per_tile",
        "bce_dice",
        "lovasz",
        "symmetric_lovasz",
        "lovasz_bce",
        "symmetric_lovasz_bce",
    ],
    "training.late_loss": [None, "symmetric_lovasz"],
    "training.optimiser": ["muon", "adam", "adamw"],
    "training.schedule": ["plateau", "one_cycle"],
    "training.monitor": ["loss", "map", "last"],
    "self_training.rounds": [0, 1],
    "inference.flip": [True, False],
    "inference.shards": [1, 3],
    "compute.precision": ["auto", "fp32"],
    "compute.runtime": ["torch"] if MISSING else ["auto", "torch", "openvino"],
}
SMALL = {
    "model": {"width": 1},
    "validation": {"folds": 2, "group_column": "line"},
    "training": {"epochs": 2, "passes_per_epoch": 1, "late_from": 2},
    "compute": {"threads": 1},
    "self_training": {"share": 0.5},
    # Tiny members' own threshold can give empty masks.
    "inference": {"threshold": 0.5},
}


def configuration(row: Row, source: str = "survey") -> dict:
    """Return the configuration of a combination."""
    config = {section: dict(keys) for section, keys in SMALL.items()}
    for name, value in row.items():
        section, _, key = name.partition(".")
        if key:
            config.setdefault(section, {})[key] = value
    return config | {"data": {"source": source}}


def allowed(row: Row) -> bool:
    """Return whether the values of a combination go together."""
    if row["model.depth"] != "none" and row["survey"] == NO_DEPTHS:
        return False
    return not faults(configuration(row))


def pairs_of(row: Row) -> set:
    """Return all pairs of values of a combination, each as ((name, value), (name, value))."""
    # By repr, which lists have as well, and which tells 1 from True.
    return set(combinations([(name, repr(value)) for name, value in row.items()], 2))


def covering_array(factors: dict[str, list], allowed: Callable[[Row], bool]) -> list[Row]:
    """Return combinations in which any two values meet that go together, always the same ones.

    The first factor decides which values of others are allowed. Each combination begins with a pair
    that no earlier one has, and then takes the values with which it has most such pairs.
    """
    anchor, plain = next(iter(factors)), {name: values[0] for name, values in factors.items()}
    missing = {}
    for (first, values), (second, others) in combinations(factors.items(), 2):
        for one, other in product(values, others):
            pair = {first: one, second: other}
            if any(allowed({**plain, anchor: value, **pair}) for value in factors[anchor]):
                missing[pairs_of(pair).pop()] = pair
    used, rows = Counter(), []
    while missing:
        row = dict(next(iter(missing.values())))
        for name in factors:
            free = [row[name]] if name in row else factors[name]
            free = [value for value in free if allowed({**plain, **row, name: value})]
            met = [
                len(missing.keys() & pairs_of(in_order({**row, name: value}, factors)))
                for value in free
            ]
            best = max(range(len(free)), key=lambda i: (met[i], -used[name, repr(free[i])]))
            row[name] = free[best]
        rows.append(in_order(row, factors))
        used.update((name, repr(value)) for name, value in row.items())
        for pair in pairs_of(rows[-1]):
            missing.pop(pair, None)
    return rows


def in_order(row: Row, factors: dict[str, list]) -> Row:
    return {name: row[name] for name in factors if name in row}


ROWS = covering_array(FACTORS, allowed)
# One in the middle, of few first values, or all.
RUN = range(len(ROWS)) if "SALT_COMBINATIONS" in os.environ else [len(ROWS) // 2]


def test_any_two_values_that_go_together_meet_in_a_combination():
    factors = {"a": [0, 1, 2], "b": [0, 1], "c": [0, 1, 2]}
    rows = covering_array(factors, lambda row: row["b"] + row["c"] < 3)
    assert all(row["b"] + row["c"] < 3 for row in rows)
    met = set().union(*map(pairs_of, rows))
    for one, two in (("a", "b"), ("a", "c"), ("b", "c")):
        for x, y in product(factors[one], factors[two]):
            together = (one, two) != ("b", "c") or x + y < 3
            assert (((one, repr(x)), (two, repr(y))) in met) == together


def test_each_value_is_in_some_combination_and_none_is_refused():
    assert all(map(allowed, ROWS))
    for name, values in FACTORS.items():
        assert {repr(row[name]) for row in ROWS} == set(map(repr, values)), name


def write_survey(row: Row, folder: Path) -> Survey:
    """Write a combination's survey, and lines of its tiles as groups."""
    survey = Survey(17, 7, *row["tile"])
    layout = row["survey"]
    if layout == NO_DEPTHS:
        layout = "unpacked folder"
        for name in survey.test_ids:
            survey.drop_row("depths.csv", name)
    survey.write(folder / "survey", layout)
    names = [*survey.ids, *survey.test_ids]
    lines = pd.DataFrame({"id": names, "line": [f"line {i % 6}" for i in range(len(names))]})
    lines.to_csv(folder / "it's a $HOME é.csv", index=False)
    return survey


def read_masks(path: Path, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    runs = zip(table["id"], table["rle_mask"], strict=True)
    return {name: np.asarray(decode(text, shape)).astype(bool) for name, text in runs}


@pytest.mark.parametrize("number", RUN)
def test_a_combination_runs_and_predicts_the_same_masks_again(tmp_path, number):
    row = ROWS[number]
    print(row)
    survey = write_survey(row, tmp_path)
    results, source = tmp_path / "results", next((tmp_path / "survey").glob("*.zip"), None)
    config = tmp_path / "config.yaml"

    def configure(**changes) -> dict:
        settings = configuration(row, str(source or tmp_path / "survey"))
        for section, keys in changes.items():
            settings.setdefault(section, {}).update(keys)
        config.write_text(yaml.safe_dump(settings))
        return {"config": config}

    complete(tmp_path, **configure())
    assert planned(tmp_path, **configure()) == {}
    report = json.loads((results / "threshold.json").read_text())
    assert [*report["members"]] == [str(seed) for seed in row["ensemble.seeds"]]
    assert report["honest"] == (row["validation.scheme"] != "full")
    submission = (results / "submission.csv").read_bytes()
    masks = read_masks(results / "submission.csv", row["tile"])
    assert set(masks) == set(survey.test_ids)

    shutil.copytree(results, tmp_path / "kept/results")
    new = tmp_path / "new tiles"
    new.mkdir()
    for name in survey.test_ids:
        (new / f"{name}.png").write_bytes(survey.files[f"test/images/{name}.png"])
    depths = {"id": survey.test_ids, "z": [survey.depths[name] for name in survey.test_ids]}
    pd.DataFrame(depths).to_csv(new / "depths.csv", index=False)
    again = configure(predict={"source": str(new), "run": str(tmp_path / "kept/results")})
    complete(tmp_path, "--", "predict", **again)
    predicted = read_masks(results / "predict/masks.csv", row["tile"])
    for name, mask in masks.items():
        np.testing.assert_array_equal(predicted[name], mask)
        with Image.open(results / f"predict/masks/{name}.png") as picture:
            np.testing.assert_array_equal(np.asarray(picture) == 255, mask)

    shards = configure(inference={"shards": 4 - row["inference.shards"]})
    complete(tmp_path, *SUBMISSION, **shards)
    assert (results / "submission.csv").read_bytes() == submission
