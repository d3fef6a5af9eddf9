"""What the end of a job's log says: its cause, and whether a repeat helps."""

from pathlib import Path

import pytest

from saltseg.stage.job_log import Cause, cause, job_name, useful_retries


@pytest.fixture
def log(tmp_path):
    return tmp_path / "train.log"


def test_the_cause_is_the_last_error_with_its_first_lines(log):
    faults = [f"  - fault {number}" for number in range(12)]
    log.write_text("\n".join(["10:00:00 Error: old", "10:00:01 Error: 12 problems found", *faults]))
    assert cause(log, []).lines == [
        "Error: 12 problems found",
        *faults[:4],
        "  ... and 8 more lines in the log",
    ]
    log.write_text("10:00:00 Error: one\n  two\n10:00:01 epoch 3\n")
    assert cause(log, []) == Cause(["Error: one", "  two"])


def test_a_job_that_was_killed_shows_how_far_it_came(log):
    log.write_text("10:00:00 epoch 3\n")
    found = cause(log, [])
    assert found.killed and "10:00:00 epoch 3" in found.lines[0]


def test_a_job_that_was_interrupted_is_not_taken_for_killed(log):
    log.write_text("10:00:00 epoch 3\n10:00:01 Interrupted: stopped by a signal\n")
    assert cause(log, []) == Cause(["Interrupted: stopped by a signal"])


def test_a_scheduler_s_log_is_quoted_if_the_job_s_is_empty(log, tmp_path):
    other = tmp_path / "slurm-12.log"
    assert cause(log, []).lines == [
        "its log is empty; its output is above, or it was killed, perhaps out of memory"
    ]
    assert cause(log, [other]).lines == [f"its log is empty; see {other}"]
    other.write_text("host: node3\nslurmstepd: error: no such container\n\n")
    assert cause(log, [other]).lines == [
        f"its log is empty; {other} ends with:",
        "  host: node3",
        "  slurmstepd: error: no such container",
    ]


@pytest.mark.parametrize(
    ("end", "retries"),
    [
        ("10:00:00 Error: model.encoder: timm has no model resnet999\n", 0),
        ("10:00:00 Error: unexpected error; please report it\nTraceback\n  TypeError: 3\n", 0),
        ("10:00:00 Out of memory: not enough memory for 32 tiles at once\n", 2),
        ("10:00:00 Interrupted: stopped by a signal\n", 20),
        ("10:00:00 epoch 3\n", 20),
        ("", 20),
        ("a user's tile is named 'Error: ' and printed without a time\n", 20),
    ],
)
def test_only_an_end_that_a_repeat_can_help_is_retried(log, end, retries):
    assert useful_retries(log, 20) == 20
    log.write_text("10:00:00 member 0 trains\n" + end)
    assert useful_retries(log, 20) == retries
    assert useful_retries(log, 0) == 0


@pytest.mark.parametrize(
    ("log", "name"),
    [
        ("results/logs/demo.log", "demo"),
        ("results/logs/train/3.log", "train 3"),
        ("results/logs/predict_test/3/0.log", "predict_test 3/0"),
        ("results/rounds/0/logs/train/3.log", "rounds/0 train 3"),
        ("/logs/of/mine/train.log", "train"),
        ("train.log", "train"),
        (None, "train"),
    ],
)
def test_a_job_is_named_by_its_stage_and_seed(log, name):
    found = job_name(Path("workflow/scripts/train.py"), log and Path(log))
    assert found == name or (name == "train" and found.endswith("train"))
