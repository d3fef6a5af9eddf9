"""Locks of killed runs, the record of failed jobs, and what is left after a run."""

import asyncio
import fcntl
import inspect
import os
from types import SimpleNamespace

import pytest
from snakemake.persistence import PersistenceBase

from engine.record import (
    clear_locks,
    fresh_summary,
    has_lost_record,
    record_only_finished,
    remove_states,
)


@pytest.fixture
def snakemakes(tmp_path):
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks/0.input.lock").touch()
    return tmp_path


def locks(folder):
    return sorted(path.name for path in (folder / "locks").iterdir())


def test_locks_of_a_dead_run_are_removed(snakemakes):
    (snakemakes / "alive").touch()
    with clear_locks(snakemakes):
        assert locks(snakemakes) == []


def test_locks_of_a_live_run_are_kept(snakemakes):
    with open(snakemakes / "alive", "a") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        with clear_locks(snakemakes):
            assert locks(snakemakes) == ["0.input.lock"]


def test_a_run_holds_its_lock_until_it_ends(snakemakes):
    held = clear_locks(snakemakes)
    with open(snakemakes / "alive") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    held.close()
    with open(snakemakes / "alive") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_without_a_file_to_lock_no_lock_is_removed(snakemakes):
    (snakemakes / "alive").mkdir()
    assert clear_locks(snakemakes) is None
    assert locks(snakemakes) == ["0.input.lock"]


def recorded(job):
    """Return the jobs on record after one that ended, and the files that were reported touched."""
    jobs, touched = [], []

    class Persistence:
        async def finished(self, job):
            jobs.append(job)

    persistence = Persistence()
    record_only_finished(persistence, touched.append)
    asyncio.run(persistence.finished(job))
    return jobs, touched


def test_a_job_is_recorded_only_if_it_made_all_its_files(tmp_path):
    made, missing = tmp_path / "made", tmp_path / "missing"
    made.touch()
    done = SimpleNamespace(output=[made])
    assert recorded(done) == ([done], [made])
    assert recorded(SimpleNamespace(output=[made, missing])) == ([], [made, missing])


def test_snakemake_still_has_what_is_replaced():
    finished = PersistenceBase.finished
    assert inspect.iscoroutinefunction(finished)
    assert list(inspect.signature(finished).parameters) == ["self", "job"]


@pytest.mark.parametrize(
    ("there", "lost"),
    [
        (["results/data"], True),
        (["results/data", ".snakemake/metadata"], False),
        (["results", ".snakemake"], False),
    ],
)
def test_results_without_their_record_are_noticed(tmp_path, there, lost):
    for name in there:
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    assert has_lost_record(tmp_path) is lost


def test_states_of_finished_members_alone_are_removed(tmp_path):
    for folder in (tmp_path, tmp_path / "rounds/0"):
        for seed in "01":
            (folder / "states").mkdir(parents=True, exist_ok=True)
            (folder / f"states/{seed}.pt").touch()
    finished = ("models/0", "rounds/0/models/0", "rounds/0/models/1")
    for name in finished:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "checkpoint.safetensors").touch()
    remove_states(tmp_path)
    assert [path.name for path in (tmp_path / "states").iterdir()] == ["1.pt"]
    assert not (tmp_path / "rounds/0/states").exists()


def test_a_summary_older_than_the_threshold_is_not_shown(tmp_path):
    assert fresh_summary(tmp_path) == ""
    (tmp_path / "summary.txt").write_text("score 0.7")
    assert fresh_summary(tmp_path) == ""
    (tmp_path / "threshold.json").touch()
    os.utime(tmp_path / "summary.txt", (2000, 2000))
    for date, shown in ((1000, "\nscore 0.7"), (2000, "\nscore 0.7"), (3000, "")):
        os.utime(tmp_path / "threshold.json", (date, date))
        assert fresh_summary(tmp_path) == shown
