"""Configurations with an error, and settings that a survey cannot satisfy, with their messages."""

import copy
from functools import reduce
from operator import getitem

import pytest
import yaml

from saltseg.core.errors import InputError, raise_faults
from saltseg.settings.check import faults
from support.running import ROOT, run_snakemake
from support.stages import CONFIG, Case, arguments, assert_refused, cases, stage, zip_survey
from support.surveys import Survey

WIDTH = "model.width: expected integer, 1 to 512, found 'eight'"
DROPOUT = "model.dropout: expected number, 0 or more, below 1, found 1"
SEEDS = (
    "ensemble.seeds: expected list of one or more integers, 0 to 4,294,967,295, or null, found []"
)
SWAP = "augmentation.zoom: minimum 1.2 exceeds maximum 0.9; swap them"
NO_ZOOM = "augmentation.zoom.0: expected number, above 0, up to 10, found 0"
FLOOR = "training.minimum_learning_rate: exceeds training.learning_rate; lower it"
THREE = {"model.width": 0, "model.a": 1, "ensemble": 3}

KEYS = [
    Case("text for a number", {"model.width": "eight"}, WIDTH),
    Case("too great", {"model.dropout": 1}, DROPOUT),
    Case("unknown key", {"model.wdith": 8}, "model.wdith: unknown key; known are"),
    Case("no seeds", {"ensemble.seeds": []}, SEEDS),
    Case("zoom reversed", {"augmentation.zoom": [1.2, 0.9]}, SWAP),
    Case("zoom to nothing", {"augmentation.zoom": [0, 1]}, NO_ZOOM),
    Case("floor above rate", {"training.minimum_learning_rate": 1}, FLOOR),
    Case("all at once", THREE, "Configuration: 3 problems found"),
]
KEYS = [case._replace(stage="configuration") for case in KEYS]


@cases(KEYS)
def test_the_configuration_s_problems_are_named(case):
    config = copy.deepcopy(CONFIG)
    for path, value in case.spoil.items():
        *sections, key = path.split(".")
        reduce(getitem, sections, config)[key] = value
    with pytest.raises(InputError) as caught:
        raise_faults("Configuration", faults(config))
    assert case.message in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 1 + len(case.spoil)


# Each of these returns settings, and may spoil a finished run's files.


def validation(**changes):
    return lambda run: {"validation": changes}


def small_tiles(run):
    (run / "survey.zip").unlink()
    zip_survey(Survey(train=6, test=1, height=12, width=12), run)
    for name in ("import_train", "split"):
        assert stage(name, *arguments(name, run, run)) == 0
    return {}


def infinite_loss(run):
    return {"training": {"learning_rate": 1e30}}


TOO_FEW = "validation.folds is 7, but there are only 6 labelled tiles; set it to that many or fewer"
GONE = "No such file or directory: 'gone.csv'); set validation.groups to a CSV file"
LOW = "of at least 16 pixels a side, found 12x12"

SETTINGS = [
    Case("more folds than tiles", validation(folds=7), TOO_FEW, "split"),
    Case("no file of groups", validation(groups="gone.csv"), GONE, "split"),
    Case("tiles below 16 pixels", small_tiles, LOW, "train"),
    Case("infinite loss", infinite_loss, "^member 0: the loss of ", "train"),
]


@cases(SETTINGS)
def test_a_stage_names_settings_that_the_survey_cannot_satisfy(tmp_path, run, capsys, case):
    printed = assert_refused(case, run, tmp_path, capsys, **case.spoil(run))
    if case.name == "infinite loss":
        assert "epoch" in printed and "not a finite number" in printed


def snakemake(folder, config, *targets):
    path = folder / "config.yaml"
    path.write_text(config if isinstance(config, str) else yaml.safe_dump(config))
    given = ("--snakefile", ROOT / "Snakefile", "--cores", "1", "--directory", folder / "run")
    return run_snakemake(*given, "--configfile", path, "--", *targets)


def test_the_workflow_names_contradictions_before_any_job(tmp_path):
    config = {"augmentation": {"zoom": [1.2, 0.9]}, "training": {"minimum_learning_rate": 1}}
    done = snakemake(tmp_path, config)
    assert done.returncode == 1
    assert "Configuration: 2 problems found" in done.stderr
    assert "augmentation.zoom: minimum 1.2 exceeds maximum 0.9" in done.stderr
    assert "Traceback" not in done.stderr
    # The last words on the screen, without a line of code.
    assert done.stderr.endswith("exceeds training.learning_rate; lower it\n")
    assert not (tmp_path / "run/results").exists()


def test_containers_that_no_rule_names_are_refused(tmp_path):
    given = ("--snakefile", ROOT / "Snakefile", "--directory", tmp_path, "--dry-run")
    done = run_snakemake(*given, "--sdm", "apptainer")
    assert done.returncode == 1
    assert "--sdm apptainer: no rule names a container" in done.stderr.splitlines()[-1]
