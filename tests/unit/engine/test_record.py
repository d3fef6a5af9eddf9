"""The record of failed jobs, their retries, and what is left after a run."""

import asyncio
import os
import shutil
from types import SimpleNamespace

import pytest
from snakemake.jobs import GroupJob, Job
from snakemake.persistence import PersistenceBase

from engine import record
from engine.record import (
    lost_record,
    record_only_finished,
    retry_only_what_helps,
)


@pytest.fixture
def persistence(monkeypatch):
    """Snakemake's record, reduced to a list of the jobs on it."""

    async def finished(self, job):
        self.jobs.append(job)

    monkeypatch.setattr(record, "FINISHED", finished)
    for name in ("finished", "restore_output"):
        monkeypatch.setattr(PersistenceBase, name, getattr(PersistenceBase, name))
    record_only_finished()

    class Persistence(PersistenceBase):
        jobs, backups = [], []

        def cleanup_backup(self, path):
            self.backups.append(path)

    Persistence.__abstractmethods__ = frozenset()
    made = Persistence.__new__(Persistence)
    made.jobs, made.backups = [], []
    return made


def test_a_job_is_recorded_only_if_it_made_all_its_files(persistence, tmp_path):
    made, missing = tmp_path / "made", tmp_path / "missing"
    made.touch()
    done = SimpleNamespace(output=[made])
    asyncio.run(persistence.finished(done))
    asyncio.run(persistence.finished(SimpleNamespace(output=[made, missing])))
    assert persistence.jobs == [done]


def test_a_failed_update_keeps_the_file_and_its_record(persistence, tmp_path):
    made = tmp_path / "made"
    made.write_text("hours of work")
    job = SimpleNamespace(output=[made])
    assert persistence.restore_output(made) is True
    asyncio.run(persistence.finished(job))
    assert (persistence.jobs, persistence.backups) == ([], [made])
    assert made.read_text() == "hours of work"
    # Its next attempt succeeds.
    asyncio.run(persistence.finished(job))
    assert persistence.jobs == [job]


def test_a_job_whose_log_ends_with_an_error_is_not_retried(monkeypatch, tmp_path):
    monkeypatch.setattr(record, "RESTART_TIMES", property(lambda job: 20))
    monkeypatch.setattr(Job, "restart_times", Job.restart_times)
    retry_only_what_helps()
    log = tmp_path / "train.log"
    job = SimpleNamespace(log=[str(log)])
    assert Job.restart_times.fget(SimpleNamespace(log=[])) == 20
    assert Job.restart_times.fget(job) == 20
    log.write_text("10:00:00 Error: model.encoder: timm has no model resnet999\n")
    assert Job.restart_times.fget(job) == 0


def test_a_group_is_not_retried_for_its_innocent_jobs(monkeypatch, tmp_path):
    monkeypatch.setattr(record, "RESTART_TIMES", property(lambda job: 2))
    for kind in (Job, GroupJob):
        monkeypatch.setattr(kind, "restart_times", kind.restart_times)
    retry_only_what_helps()
    log = tmp_path / "import_train.log"

    class Stub(SimpleNamespace):
        restart_times = Job.restart_times

    jobs = [Stub(log=[str(log)]), Stub(log=[])]
    group = SimpleNamespace(jobs=jobs)
    assert GroupJob.restart_times.fget(group) == 2
    log.write_text("10:00:00 Error: images/a.png: not a PNG file\n")
    assert GroupJob.restart_times.fget(group) == 0


@pytest.fixture
def recorded(tmp_path):
    """A result and its record, which a run began with a stamp."""
    results, stamp = tmp_path / "results", tmp_path / ".snakemake/salt-segmentation/started"
    assert not lost_record(results, stamp)
    for path in (results / "data/train.h5", tmp_path / ".snakemake/metadata/cmVzdWx0cw=="):
        path.parent.mkdir(parents=True)
        path.touch()
    assert not lost_record(results, stamp)
    return results, stamp


def test_results_older_than_their_record_are_noticed_until_they_are_rebuilt(recorded):
    results, stamp = recorded
    os.utime(results / "data/train.h5", (1000, 1000))
    shutil.rmtree(stamp.parents[1])
    for _ in range(2):
        assert lost_record(results, stamp)
    (results / "data/train.h5").touch()
    (stamp.parents[1] / "metadata.db").touch()
    assert not lost_record(results, stamp)


def test_lost_metadata_are_noticed_by_themselves(recorded):
    results, stamp = recorded
    shutil.rmtree(stamp.parents[1] / "metadata")
    assert lost_record(results, stamp)
    (stamp.parents[1] / "incomplete").mkdir()
    assert lost_record(results, stamp)
    (stamp.parents[1] / "incomplete/cmVzdWx0cw==").touch()
    assert not lost_record(results, stamp)


def test_a_record_that_an_earlier_release_began_is_not_lost(recorded):
    results, stamp = recorded
    stamp.unlink()
    assert not lost_record(results, stamp)
