"""The workflow on a real Slurm with two simulated GPUs: `make test-slurm`."""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from saltseg.survey.segy import TEXT
from support.cluster import Cluster, missing, said
from support.running import (
    ROOT,
    complete,
    of_tiny,
    snakemake,
    snakemake_command,
    wait_for,
    with_config,
)
from support.surveys import TINY_VOLUME

REASON = missing()
if find_spec("snakemake_executor_plugin_slurm") is None:
    REASON = "no snakemake-executor-plugin-slurm here: make test-slurm"
elif " " in sys.executable:
    REASON = f"{sys.executable}: the plugin takes no path with a space; test in another folder"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(REASON is not None, reason=REASON or "")]

# The profile, without what this Slurm lacks, and with less waiting.
PROFILE = ["--workflow-profile", str(ROOT / "profiles/slurm")]
PROFILE += ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1"]
SHOWN = re.compile(
    r"JobId=(\d+) .*? JobState=(\w+) .*? Restarts=(\d+) .*? TimeLimit=(\S+) .*? TRES=(\S+) "
    r".*? Comment=(\S+)"
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("slurm") / "cluster")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


class Watch:
    """Records each change of a job while it is open."""

    def __init__(self):
        self.lines: list[str] = []
        self.seen: dict[str, str] = {}
        self.first = {job for job, *_ in self._shown()}
        self.together: set[frozenset] = set()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self.ended.set()
        self.thread.join()

    @staticmethod
    def _shown() -> list[tuple[str, str, str, str, str, str, str]]:
        found = []
        for line in said("scontrol", "show", "job", "--details", "--oneliner").splitlines():
            if match := SHOWN.search(line):
                gpu = re.search(r"GRES=gpu:fake:1\(IDX:(\d)\)", line)
                *others, comment = match.groups()
                # Such as rule_train_wildcards__0, where the round of self-training is empty.
                comment = re.sub("_wildcards_+", " ", comment)
                found.append((*others, comment, gpu.group(1) if gpu else ""))
        return found

    def _watch(self) -> None:
        while not self.ended.wait(0.5):
            running = set()
            for job, state, restarts, limit, tres, comment, gpu in self._shown():
                if job in self.first:
                    continue
                if state == "RUNNING" and gpu:
                    running.add((comment, gpu))
                memory = re.search("mem=([^,]+)", tres)
                text = f"job {job}  {comment}  {state}"
                if state == "RUNNING":
                    text += f"  {memory.group(1) if memory else ''}  limit {limit}"
                    text += f"  GPU {gpu}" * bool(gpu) + f"  restart {restarts}" * (restarts != "0")
                if self.seen.get(job) != text:
                    self.seen[job] = text
                    self.lines.append(text)
            self.together.add(frozenset(running))

    def jobs_of(self, rule: str) -> list[str]:
        found = [line for line in self.lines if f"  rule_{rule}  RUNNING" in line]
        return [re.search(r"job (\d+)", line).group(1) for line in found]


@contextmanager
def started(folder: Path, *args, log: Path, config: Path) -> Iterator[subprocess.Popen]:
    """A run at work, which ends with the block."""
    command = snakemake_command(*of_tiny(folder, *args, config=config))
    with open(log, "w") as file:
        run = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file)
    try:
        yield run
    finally:
        run.kill()
        run.wait()


def test_the_demo_ends_with_a_local_runs_bytes_though_members_are_preempted(cluster, tmp_path):
    """One member's job is cancelled, and tried again; the other's is put back to the queue."""
    long = {"epochs": 30, "stopping_patience": 30}
    config = with_config(tmp_path, {"training": long})
    folder = tmp_path / "run"
    messages = tmp_path / "messages.txt"
    targets = ("--", "results/submission.csv")
    with (
        Watch() as watch,
        started(folder, *PROFILE, *targets, log=messages, config=config) as run,
    ):
        states = [folder / f"results/states/{seed}.pt" for seed in (0, 1)]
        wait_for(lambda: all(state.exists() for state in states))
        jobs = {seed: watch.jobs_of(f"train {seed}")[-1] for seed in (0, 1)}
        said("scancel", jobs[0])
        said("scontrol", "requeue", jobs[1])
        # Else Slurm lets it rest for two minutes.
        wait_for(lambda: "PENDING" in said("squeue", "--job", jobs[1], "--noheader", "--format=%T"))
        said("scontrol", "update", f"JobId={jobs[1]}", "StartTime=now")
        status = run.wait(600)
        time.sleep(1)
    assert status == 0, messages.read_text()
    # Both GPUs at once, each with another member's job.
    members = {frozenset({("rule_train 0", a), ("rule_train 1", b)}) for a, b in ("01", "10")}
    assert members & watch.together
    # More memory at the second attempt; at a restart by Slurm as much as before.
    _, second = watch.jobs_of("train 0")
    assert any(f"job {second}  rule_train 0  RUNNING  16000M" in line for line in watch.lines)
    assert any(
        f"job {jobs[1]}  rule_train 1  RUNNING" in line and "restart 1" in line
        for line in watch.lines
    )
    for seed in (0, 1):
        log = (folder / f"results/logs/train/{seed}.log").read_text()
        assert "resumes after epoch" in log
        assert re.search("the scheduler chose the GPU: CUDA_VISIBLE_DEVICES is [01]", log)
    complete(tmp_path / "local", *targets, config=config)
    for name in ("submission.csv", "threshold.json", "models/0/checkpoint.safetensors",
                 "models/1/checkpoint.safetensors"):  # fmt: skip
        ours, theirs = (tmp_path / where / "results" / name for where in ("run", "local"))
        assert ours.read_bytes() == theirs.read_bytes(), name
    assert "Nothing to be done" in complete(folder, *targets, config=config)


def test_a_member_that_needs_longer_than_the_limit_ends_in_several_jobs(cluster, tmp_path):
    long = {"epochs": 600, "stopping_patience": 600}
    config = with_config(tmp_path, {"training": long, "ensemble": {"seeds": [0]}})
    folder = tmp_path / "run"
    target = "results/models/0/checkpoint.safetensors"
    with Watch() as watch:
        # One minute at the first two attempts.
        limit = ["train:runtime=1 if attempt < 3 else 60", "train:slurm_partition=gpu"]
        options = [*PROFILE, "--set-resources", *limit]
        once = ["--retries", "0", "--preemptible-retries", "0"]
        failed = snakemake(folder, *options, *once, "--", target, config=config)
        text = complete(folder, *options, "--", target, config=config)
    jobs = watch.jobs_of("train 0")
    assert len(jobs) >= 3
    for job in jobs[:2]:
        assert any(f"job {job}  rule_train 0  TIMEOUT" in line for line in watch.lines)
    reason = "SLURM-job '{}' failed, SLURM status is: 'TIMEOUT'."
    assert failed.returncode == 1
    _, _, last = failed.stderr.partition("Failed, by the log to open:\nresults/logs/train/0.log:\n")
    assert last.startswith(f"  {reason.format(jobs[0])}")
    assert "A job reached its time limit. Raise it, for example with --set-resources" in last
    # Tried again, it is one line of the run that ends well.
    assert f" train 0 | {reason.format(jobs[1])}" in text
    log = (folder / "results/logs/train/0.log").read_text()
    assert "resumes after epoch" in log
    assert (folder / target).exists()


def test_a_volume_is_filled_with_a_local_runs_bytes(cluster, tmp_path):
    config = with_config(tmp_path, {**TINY_VOLUME, "inference": {"shards": 2}})
    targets = ("--", "results/volume/mask.sgy", "results/volume/next_lines.csv")
    with Watch() as watch:
        complete(tmp_path / "run", *PROFILE, *targets, config=config)
    assert all(watch.jobs_of(f"predict_volume {shard}") for shard in (0, 1))
    complete(tmp_path / "local", *targets, config=config)
    for name in ("mask.sgy", "probability.sgy", "next_lines.csv"):
        ours, theirs = (tmp_path / where / "results/volume" / name for where in ("run", "local"))
        # The text header names the run's folder.
        begin = TEXT if name.endswith(".sgy") else 0
        assert ours.read_bytes()[begin:] == theirs.read_bytes()[begin:], name
