"""What a run shows on the terminal, and what it ends with where it fails."""

import io
import logging
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_saltseg import LogHandler

TIMEOUT = "SLURM-job '17' failed, SLURM status is: 'TIMEOUT'. Reason: Unknown."
ADVICE = "For further error details see the cluster/cloud log and the log files."


def record(message="", event=None, **facts):
    made = logging.LogRecord("snakemake", logging.INFO, "", 0, message, None, None)
    vars(made).update(facts, event=event)
    return made


def failed(log, reason=None, jobid=4):
    """Return Snakemake's record of a failed job."""
    facts = {"rule_name": "train", "rule_msg": reason, "log": [str(log)], "jobid": jobid}
    return record("Error in rule train", LogEvent.JOB_ERROR, **facts)


def shown(*records, **asked):
    """Return what is printed of records, and at the end."""
    options = dict.fromkeys(("dryrun", "verbose", "printshellcmds", "stdout"), False) | asked
    handler = LogHandler(SimpleNamespace(**options), None)
    handler.stream = io.StringIO()
    for each in records:
        handler.emit(each)
    # As Snakemake does where it is interrupted.
    handler.close()
    handler.close()
    return handler.stream.getvalue()


@pytest.mark.parametrize("event", [LogEvent.JOB_INFO, LogEvent.SHELLCMD, LogEvent.JOB_STARTED])
def test_blocks_of_a_job_are_shown_only_if_asked_for(event):
    info = record("rule train:", event, jobid=4, rule_name="train", log=[])
    assert shown(info) == ""
    for option in ("dryrun", "verbose", "printshellcmds"):
        assert shown(info, **{option: True}) == "rule train:\n"


def test_a_submitted_job_is_shown_by_name():
    log = "results/logs/train/3.log"
    info = record("", LogEvent.JOB_INFO, jobid=8, rule_name="train", log=[log])
    submitted = record("Submitted job 8 with external jobid '17'.")
    assert shown(info, submitted) == "Submitted job 8 (train 3) with external jobid '17'.\n"


@pytest.mark.parametrize(
    ("message", "event"),
    [
        ("5 of 20 steps (25%) done", LogEvent.PROGRESS),
        ("Job stats:", LogEvent.RUN_INFO),
        ("MissingInputException", LogEvent.ERROR),
        ("Nothing to be done (all requested files are present and up to date).", None),
    ],
)
def test_progress_plan_and_errors_are_shown(message, event):
    assert shown(record(message, event)) == f"{message}\n"


def test_a_failed_run_ends_with_each_cause_by_its_log(tmp_path):
    logs = [tmp_path / "a b.log", tmp_path / "c.log"]
    for log in logs:
        log.write_text("10:00:00 Error: broken\n")
    text = shown(*(failed(log, jobid=n) for n, log in enumerate(logs)), record("Exiting"))
    assert text.splitlines() == [
        "Exiting",
        "",
        "Failed, by the log to open:",
        f"{logs[0]}:",
        "  Error: broken",
        f"{logs[1]}:",
        "  Error: broken",
    ]


def test_a_job_that_succeeds_at_a_later_attempt_did_not_fail(tmp_path):
    log = tmp_path / "train.log"
    log.write_text("10:00:00 kept epoch 1\n")
    assert shown(failed(log), record("Finished", LogEvent.JOB_FINISHED, job_id=4)) == ""


def test_of_a_failed_group_only_the_jobs_with_an_error_are_listed(tmp_path):
    logs = [tmp_path / name for name in ("demo.log", "import_train.log", "split.log")]
    logs[0].write_text("10:00:00 done\n")
    logs[1].write_text("10:00:00 Error: images/a.png: not a PNG file\n")
    group = [{"jobid": jobid} for jobid in range(3)]
    text = shown(
        record("Error in group data", LogEvent.GROUP_ERROR, job_error_info=group, aux_logs=[]),
        *(failed(log, jobid=jobid) for jobid, log in enumerate(logs)),
    )
    assert text.splitlines()[-2:] == [f"{logs[1]}:", "  Error: images/a.png: not a PNG file"]
    assert "demo.log" not in text and "split.log" not in text


def test_of_a_group_that_its_scheduler_killed_the_scheduler_s_log_is_quoted(tmp_path):
    log = tmp_path / "17.log"
    log.write_text("slurmstepd: error: CANCELLED DUE TO TIME LIMIT\n")
    facts = {"job_error_info": [{"jobid": 4}], "aux_logs": [str(log)]}
    text = shown(record("Error", LogEvent.GROUP_ERROR, **facts), failed(tmp_path / "split.log"))
    assert f"its log is empty; {log} ends with:" in text and "TIME LIMIT" in text


def test_a_submitted_group_is_shown_by_the_names_of_its_jobs():
    uuid = "02df3964-41ad-5ef7-9c53-34632eee655a"
    rules = [SimpleNamespace(name=name) for name in ("import_train", "split")]
    jobs = [SimpleNamespace(rule=rule, log=None, uuid=lambda: uuid) for rule in rules]
    text = shown(
        record(event=LogEvent.GROUP_INFO, jobs=jobs),
        record(f"Submitted group job {uuid} with external jobid '7'."),
    )
    assert f"group job {uuid} (import_train, split) with" in text


def test_a_scheduler_s_reason_is_shown_at_once_and_at_the_end_with_a_remedy(tmp_path):
    log = tmp_path / "logs/train/3.log"
    log.parent.mkdir(parents=True)
    log.write_text("10:00:00 epoch 54\n")
    first, *last = shown(failed(log, f"{TIMEOUT} {ADVICE}")).splitlines()
    assert first.endswith(f" train 3 | {TIMEOUT}")
    assert f"  {TIMEOUT}" in last
    assert last[-1].startswith("A job reached its time limit. Raise it")
    assert "time limit" not in shown(failed(log, ADVICE))


def test_a_job_that_was_killed_names_what_to_lower(tmp_path):
    log = tmp_path / "train.log"
    log.write_text("10:00:00 epoch 3\n")
    assert "training.micro_batch" in shown(failed(log))
    log.write_text("10:00:00 Error: broken\n")
    assert "training.micro_batch" not in shown(failed(log))


def test_an_interrupt_is_no_failure(tmp_path):
    log = tmp_path / "train.log"
    log.write_text("10:00:00 epoch 3\n")
    stop = record("Terminating processes on user request, this might take some time.")
    text = shown(stop, failed(log))
    assert text.splitlines()[-1].startswith("Interrupted.") and "epoch" not in text
    assert text.count("Interrupted.") == 1
