"""What a run shows on the terminal, and what it ends with where it fails."""

import logging
import shlex
from pathlib import Path

import pytest

from engine.terminal import Brief, Terse, cause, failures, last_words
from saltseg.stage.cli import job_name


def record(message="", event=None):
    made = logging.LogRecord("snakemake", logging.INFO, "", 0, message, None, None)
    if event:
        made.event = event
    return made


@pytest.mark.parametrize("event", ["job_info", "shellcmd", "job_started", "job_finished"])
def test_blocks_of_a_job_are_left_out(event):
    assert not Terse().filter(record(event=event))


@pytest.mark.parametrize(
    ("message", "event"),
    [("5 of 20 steps (25%) done", "progress"), ("Job stats:", "run_info"), ("MissingInput", None)],
)
def test_progress_plan_and_errors_are_shown(message, event):
    assert Terse().filter(record(message, event))


TIMEOUT = "SLURM-job '17' failed, SLURM status is: 'TIMEOUT'. Reason: Unknown."
ADVICE = "For further error details see the cluster/cloud log and the log files."


def error(message, log="results/logs/train/3.log"):
    made = record("Error in rule train, jobid: 4", "job_error")
    made.rule_name, made.rule_msg, made.log = "train", message, [log, ".snakemake/slurm/17.log"]
    return made


def test_a_scheduler_s_reason_is_one_line_of_the_job():
    made = error(f"{TIMEOUT} {ADVICE}")
    assert Terse().filter(made)
    time, line = Brief(logging.Formatter()).format(made).split(" ", 1)
    assert len(time) == 8 and line == f"train 3 | {TIMEOUT}"


@pytest.mark.parametrize("message", [None, ADVICE])
def test_a_failure_that_the_job_itself_reports_is_left_out(message):
    assert not Terse().filter(error(message))


def test_other_records_keep_their_format():
    assert Brief(logging.Formatter("%(message)s!")).format(record("5 of 20")) == "5 of 20!"


def test_the_cause_is_the_last_error_with_its_first_lines(tmp_path):
    log = tmp_path / "train.log"
    faults = [f"  - fault {number}" for number in range(12)]
    log.write_text("\n".join(["10:00:00 Error: old", "10:00:01 Error: 12 problems found", *faults]))
    assert cause(log) == [
        "Error: 12 problems found",
        *faults[:4],
        "  ... and 8 more lines in the log",
    ]
    log.write_text("10:00:00 Error: one\n  two\n10:00:01 epoch 3\n")
    assert cause(log) == ["Error: one", "  two"]
    log.write_text("10:00:00 epoch 3\n")
    assert cause(log) == ["10:00:00 epoch 3"]


def failed(log, others=(), script=None, message=None):
    """Return what Snakemake prints of a failed job."""
    logs = ", ".join(map(str, [log, *others]))
    shell = f"    shell:\n        python {shlex.quote(str(script))} --seed 0\n        (command exit"
    return (
        f"Error in rule train:\n    message: {message}\n    jobid: 3\n    input: a.csv\n"
        f"    log: {logs} (check log file(s) for error details)\n{shell if script else ''}\n"
    )


def test_a_job_that_failed_before_its_log_opened_says_where_to_look(tmp_path):
    log = tmp_path / "gone.log"
    found = failures(failed(log))
    assert found == {str(log): ["its log is empty; the job's own output is above"]}
    # It starts now, so that something else must have been the cause.
    script = tmp_path / "it's a stage.py"
    script.write_text("import argparse\nargparse.ArgumentParser().parse_args()\n")
    assert failures(failed(log, script=script)) == found


def test_a_stage_that_does_not_start_is_quoted(tmp_path):
    script, log = tmp_path / "it's a stage.py", tmp_path / "gone.log"
    script.write_text("import no_such_module\n")
    (lines,) = failures(failed(log, script=script)).values()
    assert lines == [
        "its log is empty, since the stage does not start:",
        "  ModuleNotFoundError: No module named 'no_such_module'",
    ]


def test_a_job_that_reached_its_limit_says_so_and_how_to_go_on(tmp_path):
    log = tmp_path / "train.log"
    log.write_text("10:00:00 epoch 54\n")
    printed = failed(log, message=f"{TIMEOUT} {ADVICE}")
    assert failures(printed) == {str(log): [TIMEOUT, "10:00:00 epoch 54"]}
    assert "A job reached its time limit. Raise it" in last_words(printed)
    assert "time limit" not in last_words(failed(log, message=ADVICE))


def test_a_job_that_slurm_ended_for_its_memory_says_so(tmp_path):
    printed = failed(tmp_path / "train.log", message=TIMEOUT.replace("TIMEOUT", "OUT_OF_MEMORY"))
    assert "the machine ran out of memory" in last_words(printed)


def test_a_scheduler_s_log_is_quoted_if_the_job_s_is_empty(tmp_path):
    log, other = tmp_path / "train.log", tmp_path / "slurm" / "12.log"
    (lines,) = failures(failed(log, [other])).values()
    assert lines == [f"its log is empty; see {other}"]
    other.parent.mkdir()
    other.write_text("host: node3\nslurmstepd: error: no such container\n\n")
    assert failures(failed(log, [other])) == {
        str(log): [
            f"its log is empty; {other} ends with:",
            "  host: node3",
            "  slurmstepd: error: no such container",
        ]
    }
    log.write_text("10:00:00 Error: broken\n")
    assert failures(failed(log, [other])) == {str(log): ["Error: broken"]}


def test_each_failed_job_is_named_by_its_log(tmp_path):
    logs = [tmp_path / "a b.log", tmp_path / "c.log"]
    for log in logs:
        log.write_text("10:00:00 Error: broken\n")
    printed = "".join(f"    log: {log} (check log file(s) for error details)\n" for log in logs)
    assert failures(printed) == {str(log): ["Error: broken"] for log in logs}
    words = last_words(printed)
    assert words.startswith("Failed, by the log to open:\n")
    assert words.endswith("c.log:\n  Error: broken")


def test_an_interrupt_is_no_failure(tmp_path):
    log = tmp_path / "train.log"
    log.write_text("10:00:00 epoch 3\n")
    printed = (
        "Terminating processes on user request, this might take some time.\n"
        f"    log: {log} (check log file(s) for error details)\n"
    )
    assert last_words(printed).startswith("Interrupted.")
    assert "epoch" not in last_words(printed)


def test_a_killed_job_names_what_to_lower():
    assert "training.micro_batch" in last_words("died with <Signals.SIGKILL: 9>.")


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
