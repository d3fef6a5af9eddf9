"""Settings that contradict each other or that a survey cannot satisfy, with their messages."""

import pytest

from support.running import snakemake, with_config
from support.stages import Case, arguments, assert_refused, cases, stage, zip_survey
from support.surveys import Survey

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


def test_the_workflow_names_contradictions_before_any_job(tmp_path):
    wrong = {"augmentation": {"zoom": [1.2, 0.9]}, "training": {"minimum_learning_rate": 1}}
    done = snakemake(tmp_path / "run", config=with_config(tmp_path, wrong))
    assert done.returncode == 1
    assert "Configuration: 2 problems found" in done.stderr
    assert "augmentation.zoom: minimum 1.2 exceeds maximum 0.9" in done.stderr
    assert "Traceback" not in done.stderr
    # The last words on the screen, without a line of code.
    assert done.stderr.endswith("exceeds training.learning_rate; lower it\n")
    assert not (tmp_path / "run/results").exists()


def test_containers_that_no_rule_names_are_refused(tmp_path):
    done = snakemake(tmp_path, "--dry-run", "--sdm", "apptainer")
    assert done.returncode == 1
    assert "--sdm apptainer: no rule names a container" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("demo", "data.labels: only a volume has any, but data.source is demo;"),
        ("demo-volume", "data.labels: demo-volume has labels of its own;"),
    ],
)
def test_labels_are_refused_where_they_would_be_ignored(tmp_path, source, expected):
    config = with_config(tmp_path, {"data": {"source": source, "labels": "salt.sgy"}})
    done = snakemake(tmp_path, "--dry-run", config=config)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(expected)
