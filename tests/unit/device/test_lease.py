"""One GPU per job: which, when and for how long, with a fake nvidia-smi.

The GPUs are fake and nothing computes on them; the processes, locks and kills are real.
"""

import inspect
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from saltseg.core.errors import InputError
from saltseg.device import gpu_lease as lease
from saltseg.device.compute import Compute
from saltseg.device.gpu_lease import chosen, hold_gpu, installed
from support.imports import STAGES

TWO = {"0": ["GPU-0aa"], "1": ["GPU-1bb"]}
SPLIT = {"0": ["GPU-0aa"], "1": ["MIG-1b", "MIG-1c"]}
LISTING = "GPU 0: NVIDIA H200 (UUID: GPU-0aa)\nGPU 1: NVIDIA H200 (UUID: GPU-1bb)\n"
# nvidia-smi's output for a GPU split into MIG instances.
SPLIT_LISTING = LISTING + (
    "  MIG 3g.71gb     Device  0: (UUID: MIG-1b)\n  MIG 3g.71gb     Device  1: (UUID: MIG-1c)\n"
)
# A job that holds a GPU until it is told to exit or is killed.
JOB = """
import logging, os, signal, sys
from saltseg.device.gpu_lease import hold_gpu

# No test may wait forever.
signal.alarm(60)
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
hold_gpu("auto")
print("has", os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Simulate an idle machine with the GPUs of a listing."""
    for name in ("CUDA_VISIBLE_DEVICES", *lease.SCHEDULED):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SALT_GPU_LEASES", str(tmp_path / "leases"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(lease, "_held", [])
    (tmp_path / "bin").mkdir()

    def listing(text: str, status: int = 0) -> None:
        command = tmp_path / "bin/nvidia-smi"
        command.write_text(f"#!/bin/sh\n[ $1 = -L ] && cat <<'.'\n{text}.\nexit {status}\n")
        command.chmod(0o755)

    listing(LISTING)
    yield listing
    for held in lease._held:
        os.close(held)


class Job:
    """A process that requests a GPU as a stage does."""

    def __init__(self, **environment: str):
        self.process = subprocess.Popen(
            [sys.executable, "-c", JOB],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )

    def says(self) -> str:
        return self.process.stdout.readline().strip()

    def gpu(self) -> str:
        """Wait until the job has a GPU and return it."""
        while not (line := self.says()).startswith("has "):
            assert line, "ended without a GPU"
        return line.removeprefix("has ")

    def end(self, how: int = 0) -> None:
        if how:
            self.process.send_signal(how)
        self.process.communicate("\n")


def test_jobs_side_by_side_have_one_gpu_each_and_a_killed_ones_goes_to_the_next(machine):
    jobs = [Job(), Job()]
    gpus = [job.gpu() for job in jobs]
    assert sorted(gpus) == ["GPU-0aa", "GPU-1bb"]
    third = Job()
    assert (
        third.says() == "other jobs are using GPU-0aa and GPU-1bb; waiting for one of them to end"
    )
    jobs[1].end(signal.SIGKILL)
    assert third.gpu() == gpus[1]
    fourth = Job()
    assert "waiting" in fourth.says()
    jobs[0].end()
    assert fourth.gpu() == gpus[0]
    for job in (third, fourth):
        job.end()


def test_jobs_that_share_gpus_fill_each_and_keep_out_one_that_does_not(machine):
    sharing = [Job(SALT_JOBS_PER_GPU="2") for _ in range(4)]
    assert sorted(job.gpu() for job in sharing) == ["GPU-0aa"] * 2 + ["GPU-1bb"] * 2
    fifth, alone = Job(SALT_JOBS_PER_GPU="2"), Job()
    assert "waiting" in fifth.says() and "waiting" in alone.says()
    sharing[0].end(signal.SIGKILL)
    fifth.gpu()
    for job in (fifth, *sharing[1:]):
        job.end()
    # Now the other one has a GPU for itself.
    assert alone.gpu()
    sharing = [Job(SALT_JOBS_PER_GPU="2") for _ in range(2)]
    assert len({job.gpu() for job in sharing}) == 1
    for job in (alone, *sharing):
        job.end()


@pytest.mark.parametrize("jobs", ["0", "two", ""])
def test_a_number_of_jobs_that_is_none_is_refused(machine, monkeypatch, jobs):
    monkeypatch.setenv("SALT_JOBS_PER_GPU", jobs)
    with pytest.raises(InputError, match="SALT_JOBS_PER_GPU: expected a number from 1"):
        hold_gpu("auto")


@pytest.mark.skipif(os.getuid() != 0, reason="needs the right to become other users")
def test_users_share_the_locks_whatever_their_umask(machine, tmp_path):
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o755)
    leases = tmp_path / "leases"

    def lock_as(user: int) -> bool:
        """Return whether another user's process gets the lock, by its exit status."""
        child = os.fork()
        if child == 0:
            try:
                os.umask(0o077)
                os.setgid(user)
                os.setuid(user)
                with lease._opened(str(leases)) as folder:
                    os._exit(0 if lease._lock_whole(folder, f"{user % 2}") else 1)
            finally:
                os._exit(2)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    tmp_path.chmod(0o777)
    # The third user finds a file created by neither that user nor the folder's owner.
    assert [lock_as(user) for user in (2001, 2002, 2004, 2001)] == [True] * 4
    assert stat.S_IMODE(leases.stat().st_mode) == 0o1777
    assert {file.name: file.stat().st_uid for file in leases.iterdir()} == {
        "1.lock": 2001,
        "0.lock": 2002,
    }
    with lease._opened(str(leases)) as folder:
        (held,) = lease._lock_whole(folder, "0")
        assert not lock_as(2002) and lock_as(2001)
        os.close(held)


@pytest.mark.parametrize(
    ("visible", "gpus", "expected"),
    [
        (None, TWO, ["GPU-0aa", "GPU-1bb"]),
        ("1", TWO, ["GPU-1bb"]),
        ("1,0", TWO, ["GPU-1bb", "GPU-0aa"]),
        (" 1 , 0 ", TWO, ["GPU-1bb", "GPU-0aa"]),
        ("GPU-1bb", TWO, ["GPU-1bb"]),
        ("GPU-1", TWO, ["GPU-1bb"]),
        ("", TWO, []),
        ("-1", TWO, []),
        ("NoDevFiles", TWO, []),
        ("0,7,1", TWO, ["GPU-0aa"]),
        (None, SPLIT, ["GPU-0aa", "MIG-1b", "MIG-1c"]),
        ("1", SPLIT, ["MIG-1b", "MIG-1c"]),
        ("MIG-1c,0", SPLIT, ["MIG-1c", "GPU-0aa"]),
        (None, {}, []),
        ("0", {}, []),
    ],
)
def test_the_choice_is_that_of_cuda_visible_devices(visible, gpus, expected):
    assert chosen(gpus, visible) == expected


@pytest.mark.parametrize(("listing", "gpus"), [(LISTING, TWO), (SPLIT_LISTING, SPLIT), ("", {})])
def test_gpus_are_those_that_nvidia_smi_lists(machine, listing, gpus):
    machine(listing)
    assert installed() == gpus


def test_a_driver_that_does_not_answer_is_reported_and_does_no_harm(machine, caplog):
    machine("NVIDIA-SMI has failed\n", status=9)
    hold_gpu("auto")
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    assert "no GPU can be reserved for this job, since nvidia-smi fails" in caplog.text


def test_without_nvidia_smi_there_is_nothing_to_hold(machine, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert installed() == {}
    hold_gpu("cuda")
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_a_cpu_job_takes_no_gpu_from_others(machine, tmp_path):
    hold_gpu("cpu")
    assert "CUDA_VISIBLE_DEVICES" not in os.environ and not (tmp_path / "leases").exists()


@pytest.mark.parametrize("name", lease.SCHEDULED)
@pytest.mark.parametrize("given", [None, "", "1"])
def test_a_schedulers_choice_stands(machine, monkeypatch, tmp_path, name, given):
    monkeypatch.setenv(name, "17")
    if given is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    hold_gpu("auto")
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == given
    assert not (tmp_path / "leases").exists()


def test_several_gpus_of_one_allocation_are_shared_out_among_its_jobs(machine):
    """As when the whole workflow runs inside one Slurm job."""
    allocation = {"SLURM_JOB_ID": "17", "CUDA_VISIBLE_DEVICES": "0,1"}
    jobs = [Job(**allocation), Job(**allocation)]
    assert sorted(job.gpu() for job in jobs) == ["GPU-0aa", "GPU-1bb"]
    for job in jobs:
        job.end()


def made_a_file(leases: Path) -> None:
    leases.write_text("")


def made_a_link(leases: Path) -> None:
    (leases.parent / "elsewhere").mkdir()
    leases.symlink_to(leases.parent / "elsewhere")


def made_a_link_of_a_lock(leases: Path) -> None:
    leases.mkdir()
    (leases.parent / "precious").write_text("precious")
    (leases / "GPU-0aa.lock").symlink_to(leases.parent / "precious")


@pytest.mark.parametrize("spoil", [made_a_file, made_a_link, made_a_link_of_a_lock])
def test_what_another_user_placed_there_is_reported_and_not_followed(machine, tmp_path, spoil):
    spoil(tmp_path / "leases")
    with pytest.raises(
        InputError, match=r"leases: no locks can be created here .* SALT_GPU_LEASES"
    ):
        hold_gpu("auto")
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    if (tmp_path / "precious").exists():
        assert (tmp_path / "precious").read_text() == "precious"
    assert not list(tmp_path.glob("elsewhere/*"))


def test_each_stage_that_computes_holds_a_gpu_first():
    texts = [script.read_text() for script in STAGES]
    assert sum("Compute.take(" in text for text in texts) >= 6
    assert not any("Compute.select(" in text for text in texts)
    taken = inspect.getsource(Compute.take)
    assert taken.index("hold_gpu(") < taken.index("select(settings")
