"""The generic cluster profile, with fake scheduler commands that run jobs on this machine."""

import os
import re
import signal
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest

from support.running import ROOT, SUBMISSION, complete, snakemake, wait_for, with_config
from support.surveys import folds_in

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("snakemake_executor_plugin_cluster_generic") is None,
        reason="no snakemake-executor-plugin-cluster-generic here: make test-engines",
    ),
]

# Each job has a numbered folder with its process id, arguments and status.
QSUB = """\
number=$(ls "$JOBS" | wc -l)
mkdir "$JOBS/$number"
echo "$@" > "$JOBS/$number/arguments"
for script; do :; done
cd "$JOBS/$number"
setsid sh -c 'echo $$ > process; sh "$1"; echo $? > status' sh "$script" > output 2>&1 &
echo "$number"
"""
# Printed as by PBS; a job whose process is gone was killed.
QSTAT = """\
for number; do :; done
job="$JOBS/$number"
if [ -e "$job/status" ]; then
    printf '    job_state = F\\n    Exit_status = %s\\n' "$(cat "$job/status")"
elif [ -e "$job/process" ] && ! kill -0 "$(cat "$job/process")" 2> /dev/null; then
    printf '    job_state = F\\n    Exit_status = 271\\n'
else
    printf '    job_state = R\\n'
fi
"""
PROFILE = ["--workflow-profile", str(ROOT / "profiles/generic")]
# The fake scheduler has no limits.
PROFILE += ["--max-status-checks-per-second", "5", "--seconds-between-status-checks", "1"]


@pytest.fixture
def jobs(tmp_path, monkeypatch) -> Path:
    """Folder with the fake scheduler's jobs."""
    folder, commands = tmp_path / "jobs", tmp_path / "commands"
    folder.mkdir()
    commands.mkdir()
    for name, text in {"qsub": QSUB, "qstat": QSTAT, "qdel": "exit 1\n"}.items():
        (commands / name).write_text(f"#!/bin/sh\n{text}")
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("JOBS", str(folder))
    return folder


def arguments_of(jobs: Path, rule: str) -> list[str]:
    found = [file.read_text() for file in sorted(jobs.glob("*/arguments"))]
    return [text for text in found if f"-N {rule}." in text]


def test_a_run_on_a_cluster_survives_the_kill_of_a_job_and_asks_for_gpus(jobs, copied, tmp_path):
    """Even if this machine, like a cluster's head node, has no GPU."""
    training = {"epochs": 12, "stopping_patience": 12}
    config = with_config(tmp_path, {"training": training, "ensemble": {"seeds": [0]}})
    done, targets = [], (*PROFILE, *SUBMISSION)
    run = threading.Thread(target=lambda: done.append(snakemake(copied, *targets, config=config)))
    run.start()
    wait_for(lambda: (copied / "results/states/0.pt").exists() or done, otherwise=lambda: done)
    assert not done, done[0].stdout + done[0].stderr
    (job,) = (file.parent for file in jobs.glob("*/arguments") if "-N train." in file.read_text())
    os.killpg(int((job / "process").read_text()), signal.SIGKILL)
    run.join()
    assert done[0].returncode == 0, done[0].stdout + done[0].stderr
    assert "resumes after epoch" in (copied / "results/logs/train/0.log").read_text()
    first, second = arguments_of(jobs, "train")
    asked = "-l walltime=240:00 -l select=1:ncpus=1:mem={}mb:ngpus=1 "
    assert asked.format(8000) in first and asked.format(16000) in second
    (threshold,) = arguments_of(jobs, "threshold")
    assert "-l walltime=30:00 -l select=1:ncpus=2:mem=2000mb:ngpus=0 " in threshold
    assert "Nothing to be done" in complete(copied, *SUBMISSION, config=config)


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda"])
def test_gpus_are_requested_where_the_jobs_run(jobs, copied, tmp_path, monkeypatch, device):
    config = with_config(tmp_path, {"compute": {"device": device}, "training": {"loss": "bce"}})
    training = ["--until", "train", "--retries", "0", "--preemptible-retries", "0"]
    monkeypatch.setenv("PATH", f"{tmp_path / 'commands'}:/usr/bin:/bin")
    # Jobs that end at once; only their arguments matter.
    (tmp_path / "commands/qsub").write_text(
        '#!/bin/sh\nmkdir "$JOBS/0$$"; echo 1 > "$JOBS/0$$/status"\n'
        'echo "$@" > "$JOBS/0$$/arguments"; echo "0$$"\n'
    )
    assert snakemake(copied, *PROFILE, *training, config=config).returncode == 1
    # The check comes first, and its failure ends the run.
    asked = [re.search(r"ngpus=(\d)", text).group(1) for text in arguments_of(jobs, "check_kind")]
    assert asked == ["0" if device == "cpu" else "1"]


@pytest.mark.parametrize("name", ["it's a é", "-x & y; (z)"])
def test_jobs_run_in_a_folder_with_spaces_and_quotes(jobs, tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    complete(folder, *PROFILE, "--until", "import_train")
    assert (folder / "results/data/train.h5").exists()
    assert arguments_of(jobs, "import_train")


def test_jobs_get_what_the_command_line_sets(jobs, tmp_path):
    tiles, validation = "{'tiles': 50, 'test_tiles': 12}", "{folds: 2, stratified: false}"
    config = ["--config", f"data={{'demo': {tiles}}}", f"validation={validation}"]
    complete(tmp_path / "run", *PROFILE, "--until", "split", *config)
    assert len(folds_in(tmp_path / "run/results/data/folds.h5")) == 50
    assert arguments_of(jobs, "split")
