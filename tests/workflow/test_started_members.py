"""Members that start from those of a finished run, as an experiment on the same folds."""

import re
import shutil

import pytest

from saltseg.networks.checkpoint import Checkpoint
from support.running import complete, planned, snakemake, with_config

TARGET = ("--", "experiments")


@pytest.mark.slow
def test_members_start_from_a_finished_run_and_rerun_with_the_member_they_started_from(
    copied, tmp_path
):
    former = shutil.copytree(copied / "results", tmp_path / "former")
    started = {"training": {"start": str(former)}}
    config = with_config(copied, {"experiments": {"started": started}})
    assert planned(copied, config=config) == {}
    complete(copied, *TARGET, config=config)
    folder, learnt = copied / "results/experiments/started", 0
    for member in ("0", "1"):
        path = former / f"models/{member}/checkpoint.safetensors"
        assert f"starts from {path}" in (folder / f"logs/train/{member}.log").read_text()
        found = Checkpoint.load(folder / f"models/{member}/checkpoint.safetensors")
        assert found.about["honest"]
        learnt += len(found.about["start"]["learnt"])
    # Each tile by one member, but for a black one.
    assert learnt == 47
    assert planned(copied, *TARGET, config=config) == {}

    # Only what started from it.
    other = Checkpoint.load(path)
    Checkpoint(other.about | {"epoch": 7}, other.state).save(path)
    jobs = planned(copied, *TARGET, config=config)
    assert jobs == {
        "train": 1, "predict_validation": 1, "threshold_experiment": 1, "experiments": 1
    }  # fmt: skip


@pytest.mark.slow
def test_the_record_has_what_each_kind_starts_from(finished, tmp_path):
    started = {"name": "again", "seeds": [0, 1], "training": {"start": str(finished / "results")}}
    given = {"seeds": None, "members": [started, {"seeds": [0, 1]}]}
    config = with_config(tmp_path, {"ensemble": given})
    text = complete(tmp_path, "--dry-run", "-p", "--", "results/run.yaml", config=config)
    digests = re.search(r'"ensemble.members, again, training.start": \[(.*?)\]', text)
    assert len(set(re.findall("[0-9a-f]{64}", digests[1]))) == 2
    assert '"training.start"' not in text


def test_a_run_does_not_start_from_itself_and_names_what_is_missing(tmp_path):
    for run, message in (
        (tmp_path / "results", "training.start: {}: these are this run's own results"),
        (tmp_path / "other", "training.start: {}/threshold.json: No such file or directory"),
    ):
        config = with_config(tmp_path, {"training": {"start": str(run)}})
        done = snakemake(tmp_path, "--dry-run", config=config)
        assert done.returncode == 1
        assert message.format(run) in done.stdout + done.stderr
