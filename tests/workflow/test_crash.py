"""After a kill, a full disk or running out of memory: a clear message and a resumable state."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from support.running import (
    ROOT,
    SUBMISSION,
    TINY,
    below,
    complete,
    planned,
    snakemake,
    wait_for,
    with_config,
)
from support.soak import HOWS, WHENS, Run, outputs, soak

pytestmark = pytest.mark.slow

CGROUPS = Path("/sys/fs/cgroup")


@pytest.fixture(scope="module")
def longer(tmp_path_factory) -> Path:
    """The tiny configuration with a few seconds of training, long enough to kill it."""
    config = yaml.safe_load(TINY.read_text())
    config["training"] = {"epochs": 12, "passes_per_epoch": 1}
    path = tmp_path_factory.mktemp("config") / "longer.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def test_a_run_that_is_killed_and_killed_again_ends_with_the_same_bytes(longer, tmp_path):
    counts = soak(tmp_path / "soak", 4, ["--configfile", str(longer), *SUBMISSION])
    assert {how for how, _ in counts} == set(HOWS)
    assert {when for _, when in counts} == set(WHENS)


def test_an_unlocked_run_resumes_a_killed_one_and_a_live_one_is_left_alone(copied, tmp_path):
    training = ["--until", "train"]
    # Long enough that its jobs are still alive when the next run starts.
    training_for_long = {"epochs": 60, "passes_per_epoch": 1, "stopping_patience": 60}
    longer = with_config(tmp_path, {"training": training_for_long})
    run = Run(copied, 2, ["--configfile", str(longer), *training])
    locks = run.folder / ".snakemake/locks"
    run.start()
    wait_for(lambda: (run.folder / "soak.log").read_text().count("trains on") == 2)
    held = sorted(locks.iterdir())
    assert held
    second = snakemake(run.folder, *training, config=longer)
    assert second.returncode == 1
    assert "Directory cannot be locked" in second.stdout + second.stderr
    assert sorted(locks.iterdir()) == held
    run.main.kill()
    run.main.wait()
    assert sorted(locks.iterdir()) == held
    # The killed run's jobs are still alive and must not run twice in parallel.
    assert run.jobs("train")
    complete(run.folder, "--unlock", config=longer)
    text = complete(run.folder, *training, config=longer)
    assert text.count("a process of an earlier run is still running") == 2
    # Their work is not done again.
    assert text.count("resumes after epoch") + text.count("trained already") == 2
    # What wrote the last file may still be exiting.
    run.await_end()
    assert not list(locks.glob("*"))


@pytest.mark.parametrize(
    ("how", "target"), [("job", []), ("whole group", ["--until", "train"])], ids=["job", "group"]
)
def test_a_change_is_not_forgotten_by_a_kill(copied, tmp_path, target, how):
    """Even if the killed jobs' outputs are gone, which Snakemake alone considers up to date."""
    config = with_config(tmp_path, {"training": {"loss": "bce", "epochs": 3}})
    run = Run(copied, 2, ["--configfile", str(config), *target])
    run.start()
    wait_for(lambda: len(run.jobs("train")) == 2)
    for job in run.jobs("train"):
        run.kill(how, [job])
    run.main.wait()
    assert (copied / "results/submission.csv").exists()
    assert planned(copied, config=config) == below("train")


def members(folder: Path) -> dict[str, tuple[bytes, float]]:
    """Return bytes and date of each member's files."""
    files = sorted((folder / "results/models").rglob("*.*"))
    return {str(file): (file.read_bytes(), file.stat().st_mtime) for file in files}


def test_a_setting_that_cannot_work_leaves_the_members(copied, tmp_path):
    before = members(copied)
    done = snakemake(copied, config=with_config(tmp_path, {"compute": {"device": "cuda"}}))
    assert done.returncode == 1
    assert done.stderr.rstrip().splitlines()[-2:] == [
        "results/logs/check.log:",
        "  Error: compute.device is cuda, but PyTorch finds no GPU here; set it to auto or cpu, or "
        "install a CUDA build of PyTorch",
    ]
    assert members(copied) == before
    assert "Nothing to be done" in complete(copied)


def test_members_are_there_until_their_successors_are_and_come_back_at_once(longer, copied):
    before = members(copied)
    run = Run(copied, 2, ["--configfile", str(longer), "--until", "train"])
    run.start()
    wait_for(lambda: len(list((copied / "results/states").glob("*.pt"))) == 2)
    os.killpg(run.main.pid, signal.SIGINT)
    assert run.main.wait(60) != 0
    run.await_end()
    assert members(copied) == before
    assert len(list((copied / "results/states").glob("*.pt"))) == 2
    text = complete(copied)
    assert text.count("trained already") == 2
    assert [found for found, _ in members(copied).values()] == [
        found for found, _ in before.values()
    ]
    assert "Nothing to be done" in complete(copied)


@pytest.fixture
def disk(finished, copied):
    """Finished results on a separate disk, whose mount options a test may change."""
    results = copied / "results"

    def mount(*options: str) -> bool:
        command = ["mount", "-t", "tmpfs", *options, "none", results]
        return subprocess.run(command, capture_output=True).returncode == 0

    if not mount("-o", "size=100m"):
        pytest.skip("needs the right to mount a file system")
    shutil.copytree(finished / "results", results, dirs_exist_ok=True)
    yield lambda options: mount("-o", f"remount,{options}")
    subprocess.run(["umount", "--lazy", results], check=True)


@pytest.mark.parametrize(
    ("rule", "outputs_of_it", "where"),
    [
        ("import_train", ["data/train.h5", "data/train/*"], r"data/train(\.h5|/masks\.npy)"),
        ("train", ["models/*/*"], r"(states|models)/\S+"),
        ("page", ["index.html", "tiles/*"], r"(index\.html|tiles)"),
    ],
)
def test_a_full_disk_is_reported_and_the_same_command_resumes(
    finished, copied, disk, rule, outputs_of_it, where
):
    results = copied / "results"
    for pattern in outputs_of_it:
        for file in results.glob(pattern):
            file.unlink()
    command = ["--until", rule, "--forcerun", rule]
    found = os.statvfs(results)
    # Space for the log and little more.
    disk(f"size={(found.f_blocks - found.f_bfree) * found.f_frsize + 50_000}")
    done = snakemake(copied, *command)
    said = done.stdout + done.stderr
    assert done.returncode == 1
    message = rf"Error: results/{where}: cannot be written \(No space left on device\); free disk"
    assert re.search(message, said), said
    assert "Traceback" not in said
    assert not list(results.rglob("*.part"))
    disk("size=100m")
    complete(copied, *command)
    assert outputs(copied) == outputs(finished)


@pytest.fixture
def little_memory():
    """A file that limits a process to 220 MB once its id is written to it."""
    first = CGROUPS / "memory/memory.limit_in_bytes"
    group = (CGROUPS / "memory" if first.exists() else CGROUPS) / f"salt-{os.getpid()}"
    try:
        group.mkdir()
        limit = group / ("memory.limit_in_bytes" if first.exists() else "memory.max")
        limit.write_text(str(220 * 2**20))
    except OSError as error:
        pytest.skip(f"needs the right to limit memory ({error})")
    yield group / "cgroup.procs"
    wait_for(lambda: not (group / "cgroup.procs").read_text())
    group.rmdir()


def test_a_job_killed_for_lack_of_memory_is_reported_and_the_same_command_resumes(
    finished, copied, little_memory
):
    training = ["--until", "train", "--forcerun", "train"]
    run = Run(copied, 1, ["--configfile", str(TINY), *training])
    confined = ["sh", "-c", f'echo $$ > {little_memory} && exec "$@"', "sh", *run.command]
    done = subprocess.run(confined, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "out of memory" in done.stderr
    complete(run.folder, *training)
    assert outputs(run.folder) == outputs(finished)
