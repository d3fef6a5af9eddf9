"""What `make status` prints of Snakemake's plan, in fewer words."""

import re
import subprocess
import sys
from pathlib import Path

from engine import status
from support.running import ROOT, TINY, with_config


def told(folder: Path, *args) -> str:
    command = [sys.executable, ROOT / "workflow/engine/status.py", "--directory", folder, *args]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_status_says_that_nothing_is_to_do(finished):
    text = told(finished, "--configfile", TINY)
    assert re.search(r"^Done     .*\btrain\b", text)
    assert text.endswith("Pending  nothing\n")


def test_status_names_the_setting_that_changed_and_what_follows(finished, tmp_path):
    config = with_config(tmp_path, {"training": {"epochs": 2}})
    text = told(finished, "--configfile", config)
    assert "Pending  train 0, 1: training.epochs 1 to 2\n" in text
    assert "Pending  predict_test 0/0, 1/0: follows train\n" in text
    assert "demo" in text.partition("\n")[0]


def test_status_names_the_module_that_changed():
    reason = (
        "Params have changed since last execution: Union of exclusive params before and now across "
        "all output: before: 'saltseg/training/losses.py 12848becda57f185' "
        "now: 'saltseg/training/losses.py 6a9418b4b8c9c053' "
    )
    assert status.explained(reason, {}) == "saltseg/training/losses.py has changed"


def test_status_of_an_empty_folder_has_everything_to_do(tmp_path):
    text = told(tmp_path / "empty", "--configfile", TINY)
    assert text.startswith("Done     nothing\n")
    assert "Pending  page: not made yet\n" in text
    assert not (tmp_path / "empty/results").exists()


def test_status_shows_the_last_log_line_of_running_jobs(tmp_path):
    log = tmp_path / "results/logs/train/0.log"
    log.parent.mkdir(parents=True)
    log.write_text("begun\nepoch 4 of 9\n")
    lock = log.with_name(".0.log.lock")
    lock.touch()
    (log.parent / ".1.log.lock").touch()
    holder = subprocess.Popen(
        [sys.executable, "-c", f"import fcntl; f = open({str(lock)!r}); "
         "fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout.readline() == "held\n"
    assert status.at_work(tmp_path / "results/logs") == [f"{log}: epoch 4 of 9"]
    holder.communicate("\n")
    assert status.at_work(tmp_path / "results/logs") == []
