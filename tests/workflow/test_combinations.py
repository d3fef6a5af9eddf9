"""The covering array of `make combinations`, what its check sees, and one combination of it."""

import json
import os
import subprocess
import sys
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import yaml

from engine.config_files import keys
from saltseg.settings.config import faults
from support import combinations as check
from support.combinations import DAMAGES, FACTORS, FILES, Check, Damage, faults_of_message, refusal
from support.covering import allowed_pairs, covering_array, pairs_of
from support.surveys import png

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())


@pytest.fixture(scope="module")
def rows():
    return check.array()


def test_each_key_of_the_configuration_has_its_place():
    places = [*check.KEYS, *check.RARE, *check.SET_HERE, *check.CANNOT_MATTER]
    assert sorted(places) == sorted(dict(keys(SCHEMA)))


def test_each_value_that_the_schema_lists_is_run(rows):
    tried = {name: [repr(row[name]) for row in rows] for name in rows[0]}
    missing = set()
    for name, part in keys(SCHEMA):
        listed = [True, False] if part.get("type") == "boolean" else part.get("enum", [])
        # Any loss can be the late one.
        if name != "training.late_loss" and name not in check.CANNOT_MATTER:
            missing |= {(name, value) for value in listed if repr(value) not in tried[name]}
    if not check.WEIGHTS:
        missing.discard(("training.pretrained", True))
    if not check.TIMM:
        missing.discard(("model.name", "timm_unet"))
    assert missing == check.NOT_HERE.keys()


def test_any_two_values_that_go_together_meet_in_a_combination(rows):
    pairs = list(allowed_pairs(FACTORS, lambda row: refusal(row) is None, "model.name"))
    assert len(pairs) > 5000
    met = set().union(*map(pairs_of, rows))
    assert [pair for pair in pairs if not pairs_of(pair) <= met] == []


def test_no_combination_is_refused(rows):
    assert [(refusal(row), row) for row in rows if refusal(row)] == []
    assert [found for row in rows if (found := faults(check.configuration(row), SCHEMA))] == []


def test_values_that_contradict_each_other_never_meet():
    factors = {"a": [0, 1, 2], "b": [0, 1], "c": [0, 1, 2]}
    rows = covering_array(factors, lambda row: row["a"] + row["c"] < 3, "b")
    assert all(row["a"] + row["c"] < 3 for row in rows)
    met = set().union(*map(pairs_of, rows))
    for one, two in (("a", "b"), ("a", "c"), ("b", "c")):
        for x, y in product(factors[one], factors[two]):
            together = (one, two) != ("a", "c") or x + y < 3
            assert (pairs_of({one: x, two: y}) <= met) == together


def test_the_array_is_the_same_in_each_process(rows):
    code = "import json; from support import combinations; print(json.dumps(combinations.array()))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT / "tests",
        env={**os.environ, "PYTHONHASHSEED": "5"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == json.loads(json.dumps(rows))


def test_each_kind_of_file_is_damaged_in_each_way_several_times(rows):
    plans = check.schedule(rows)
    done = Counter((damage.kind, damage.how) for plan in plans for damage in plan)
    assert {pair: done[pair] for pair in product(FILES, DAMAGES) if done[pair] < 3} == {}
    for row, plan in zip(rows, plans, strict=True):
        assert len({damage.kind for damage in plan}) == check.DAMAGED
        assert all(check.has(row, damage.kind) for damage in plan)


# What the check sees


@pytest.mark.parametrize("how", DAMAGES)
def test_damage_changes_a_file(tmp_path, how):
    path, data = tmp_path / "file", bytes(range(100))
    path.write_bytes(data)
    inode = path.stat().st_ino
    check.damage_file(path, how, seed=3)
    found = path.read_bytes()
    assert path.stat().st_ino == inode and not check.is_whole(path, data)
    if how == "flipped":
        assert len(found) == 100
        (place,) = [i for i in range(100) if found[i] != data[i]]
        assert (found[place] ^ data[place]).bit_count() == 1
    else:
        assert found == data[: {"cut": 50, "emptied": 0}[how]]


NAMED = "Error: results/a b.npy: damaged; delete it to make it again"


@pytest.mark.parametrize(
    ("said", "findings"),
    [
        (NAMED, []),
        (f"Traceback (most recent call last)\n{NAMED}", ["a traceback"]),
        (NAMED + "\nand more" * 30, ["the end of the message names no damaged file"]),
        ("Error: results/a b.npy: damaged", ["the message says no remedy"]),
    ],
)
def test_a_message_names_the_file_and_a_remedy_at_its_end(said, findings):
    found = faults_of_message(said, ["results/a b.npy"])
    assert [finding.partition(":")[0] for finding in found] == findings
    (unnamed,) = faults_of_message(said.replace("Traceback", ""), [])
    assert unnamed.startswith("the message names no damaged file")


def test_times_of_each_round_are_no_difference():
    timed = ("logs/train/0.log", "rounds/1/benchmarks/train/0.tsv", "rounds/0/logs/train/0.log")
    assert all(map(check.is_timed, timed))
    kept = ("rounds/0/models/0/history.csv", "models/0/history.csv", "figures/learning.svg")
    assert not any(map(check.is_timed, kept))


def test_a_remedy_is_read_as_a_shell_would():
    said = "Delete them:\n  rm -r 'results/a b' c\n  snakemake 'results/a b' (and more)\n"
    said += "  snakemake c   (and more)\n"
    assert check.remedy(said, "rm") == [["results/a b", "c"]]
    assert check.remedy(said, "snakemake") == [["results/a b"], ["c"]]
    assert check.remedy("make it with 'snakemake results/a'", "snakemake") == [["results/a"]]
    assert check.remedy("nothing of use", "rm") == []


@pytest.mark.parametrize("spoilt", [None, "picture", "table", "submission", "missing"])
def test_a_pixel_that_differs_is_found(tmp_path, spoilt):
    row = {name: values[0] for name, values in FACTORS.items()}
    found = Check(row, [], tmp_path)
    found.away, found.shape = tmp_path, (5, 4)
    mask = np.zeros((5, 4), dtype=bool)
    mask[1:3, 2:] = True
    found.masks = {"a": mask.copy(), "b": ~mask}
    texts = {name: check.runs(each) for name, each in found.masks.items()}
    pictures = tmp_path / "results/predict/masks"
    pictures.mkdir(parents=True)
    for name, each in found.masks.items():
        (pictures / f"{name}.png").write_bytes(png(each * np.uint8(255)))
    if spoilt == "picture":
        (pictures / "a.png").write_bytes(png(~mask * np.uint8(255)))
    elif spoilt == "table":
        texts["a"] = "1 1"
    elif spoilt == "submission":
        found.masks["a"][0, 0] ^= True
    elif spoilt == "missing":
        del texts["a"]
    found.compare(texts, "folder")
    assert bool(found.finds) == (spoilt is not None)


class Scripted(Check):
    """A check whose runs print given text, and rebuild requested files."""

    def snakemake(self, *args, **kwargs):
        self.ran.append(args)
        for name in set(args) & self.mended.keys():
            if self.answers[0][0] == 0:
                (self.place / name).write_bytes(self.mended[name])
        code, said = self.answers.pop(0)
        return subprocess.CompletedProcess(args, code, said)


@pytest.mark.parametrize("named", [True, False])
def test_a_remedy_may_stop_at_another_damaged_file_that_it_names(tmp_path, named):
    """And stages stay forced until a run succeeds: no stage ran where one stopped before."""
    row = {name: values[0] for name, values in FACTORS.items()}
    found = Scripted(row, [Damage("review", "cut", True)], tmp_path)
    names = ("results/review.csv", "results/threshold.json")
    paths = {found.place / name: (Damage(name, "cut", True), "") for name in names}
    originals = dict.fromkeys(paths, b"whole")
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    message = "Error: {0}: damaged; delete it, run 'snakemake {0}' to make it again"
    one, two = (message.format(name) for name in names)
    found.ran, found.expected = [], check.visible(found.results)
    found.mended = dict.fromkeys(names, b"whole")
    found.answers = [(1, one), (1, two if named else "Error: broken"), (1, two), (0, ""), (0, "")]
    found.answers += [(0, "")]
    found.follow(paths, originals, ["--forcerun", "gallery"])
    assert [args for args in found.ran if args[:1] == ("--forcerun",)] == [
        ("--forcerun", "gallery")
    ] * 3
    told = [finding for finding in found.finds if finding.startswith("the remedy fails")]
    assert told == ([] if named else ["the remedy fails: snakemake results/review.csv"])


def test_a_redrawn_figure_of_times_may_differ(tmp_path):
    row = {name: values[0] for name, values in FACTORS.items()}
    found = Scripted(row, [], tmp_path)
    path = found.results / "figures/times.svg"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    damage = Damage("figure", "emptied", False)
    message = "Error: {0}: damaged; delete it, run 'snakemake {0}' to make it again"
    found.ran, found.expected = [], check.visible(found.results)
    found.mended = {"results/figures/times.svg": b"later"}
    found.answers = [(1, message.format("results/figures/times.svg")), *[(0, "")] * 3]
    found.follow({path: (damage, "page")}, {path: b"whole"}, [])
    assert found.finds == [] and path.read_bytes() == b"later"


# A whole one


def test_a_combination_holds_all_promises(tmp_path):
    """One unlike the demo wherever that costs little; `make combinations` runs the others."""
    row = {name: values[0] for name, values in FACTORS.items()} | {
        "survey": "folder of zips",
        "tile": (47, 31),
        "groups": "survey line",
        "place": "it's a $HOME é",
        "predicted from": "elsewhere",
        "unlabelled": 7,
        "model.name": "efficientnet_lite0_unet",
        "model.hypercolumn": True,
        "validation.scheme": "full",
        "validation.folds": 3,
        "ensemble.seeds": [3],
        # Enough of it for masks that are neither empty nor full.
        "training.epochs": 8,
        "training.pretrained": check.WEIGHTS,
        "training.loss": "lovasz_bce",
        "training.optimiser": "adamw",
        "training.schedule": "one_cycle",
        "inference.batch_size": 4,
        "inference.shards": 3,
    }
    assert refusal(row) is None
    damages = [
        Damage("validation predictions", "flipped", kept=True),
        Damage("folds", "cut", kept=True),
        Damage("threshold", "emptied", kept=True),
    ]
    found = check.run_one(row, damages, tmp_path / "combination", number=0, cores=2)
    assert found.finds == []
    assert found.damaged == 4 and found.salt > 0
