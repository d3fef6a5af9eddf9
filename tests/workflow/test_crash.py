"""After a kill, a full disk or running out of memory: a clear message and a resumable state."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.running import ROOT, TINY, complete, planned, snakemake, wait_for, with_config
from support.soak import PATIENCE, Run, compare, outputs

pytestmark = pytest.mark.slow

SCORED = ("--", "results/threshold.json")
CGROUPS = Path("/sys/fs/cgroup")


@pytest.fixture
def run(copied, tmp_path) -> Iterator[Run]:
    """A run in a finished folder that trains one member for some seconds more, and scores it."""
    longer = {"ensemble": {"seeds": [0]}, "training": {"epochs": 8, "passes_per_epoch": 1}}
    config = with_config(tmp_path, longer)
    started = Run(copied, 2, ["--configfile", str(config), *SCORED])
    yield started
    for process in started.jobs():
        os.kill(process, signal.SIGKILL)


def await_message(run: Run, message: str) -> None:
    """Wait until a run that has just started prints a message."""
    log = run.folder / "soak.log"
    count = log.read_text().count(message)
    wait_for(lambda: log.read_text().count(message) > count, otherwise=log.read_text)


def test_a_run_that_is_killed_in_every_way_ends_with_the_same_bytes(
    finished, run, tmp_path, tmp_path_factory
):
    """What was changed is not forgotten, and what is finished is neither lost nor done again."""
    config, before = tmp_path / "config.yaml", members(run.folder)
    state, locks = run.folder / "results/states/0.pt", run.folder / ".snakemake/locks"
    reference = shutil.copytree(finished, tmp_path_factory.mktemp("whole"), dirs_exist_ok=True)
    complete(reference, *SCORED, config=config)

    # A job, for lack of memory, as soon as it saves.
    run.start()
    wait_for(lambda: run.saving() or state.exists())
    run.kill("job", run.jobs("train"))
    assert run.main.wait(PATIENCE) == 1

    # Ctrl-C.
    run.start()
    await_message(run, "trains on")
    wait_for(state.exists)
    os.killpg(run.main.pid, signal.SIGINT)
    assert run.main.wait(PATIENCE) != 0
    run.await_end()
    assert members(run.folder) == before

    # The main process alone, whose job lives on. While it runs, another run is refused.
    run.start()
    await_message(run, "resumes after epoch")
    (job,) = run.jobs("train")
    os.kill(job, signal.SIGSTOP)
    held = sorted(locks.iterdir())
    second = snakemake(run.folder, *SCORED, config=config)
    assert second.returncode == 1
    assert "Directory cannot be locked" in second.stdout + second.stderr
    run.kill("main process", [])
    assert sorted(locks.iterdir()) == held != []
    # An unlocked run waits for it, and does not do its work again.
    run.start()
    await_message(run, "a process of an earlier run is still running")
    os.kill(job, signal.SIGCONT)
    await_message(run, "trained already")

    # Another job, as a scheduler does that needs its place.
    wait_for(lambda: run.jobs("predict"))
    run.kill("job, politely", run.jobs("predict"))
    assert run.main.wait(PATIENCE) == 1

    # The machine.
    run.start()
    wait_for(lambda: run.jobs("predict"))
    run.kill("whole group", [])

    run.start()
    assert run.main.wait(PATIENCE) == 0
    compare(run, outputs(reference))
    assert planned(run.folder, *SCORED, config=config) == {}


def members(folder: Path) -> dict[str, tuple[bytes, float]]:
    """Return bytes and date of each member's files."""
    files = sorted((folder / "results/models").rglob("*.*"))
    return {str(file): (file.read_bytes(), file.stat().st_mtime) for file in files}


def test_members_come_back_at_once_with_the_former_settings(run):
    before, member = members(run.folder), ("--", "results/models/0/checkpoint.safetensors")
    run.start()
    wait_for((run.folder / "results/states/0.pt").exists)
    os.killpg(run.main.pid, signal.SIGINT)
    run.main.wait(PATIENCE)
    run.await_end()
    assert "trained already" in complete(run.folder, *member)
    assert [found for found, _ in members(run.folder).values()] == [
        found for found, _ in before.values()
    ]
    assert "Nothing to be done" in complete(run.folder, *member)


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
