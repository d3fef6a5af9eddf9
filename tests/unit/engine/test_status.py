"""What `make status` prints of running jobs, beside Snakemake's own plan."""

import subprocess
import sys

from engine import status


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
    assert list(status.running(tmp_path / "results/logs")) == [f"{log}: epoch 4 of 9"]
    holder.communicate("\n")
    assert list(status.running(tmp_path / "results/logs")) == []
