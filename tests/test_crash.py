"""What a kill, a full disk or want of memory leaves: a message, and a state to go on from."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from running import ROOT, TINY, complete, snakemake
from soak import HOWS, WHENS, Run, outputs, soak

CGROUPS = Path("/sys/fs/cgroup")


@pytest.fixture(scope="module")
def longer(tmp_path_factory) -> Path:
    """The tiny configuration with a training of some seconds, so that there is time to kill it."""
    config = yaml.safe_load(TINY.read_text())
    config["training"] = {"epochs": 12, "passes_per_epoch": 1}
    path = tmp_path_factory.mktemp("config") / "longer.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def test_a_run_that_is_killed_and_killed_again_ends_with_the_same_bytes(longer, tmp_path):
    counts = soak(tmp_path / "soak", 4, ["--configfile", str(longer)])
    assert {how for how, _ in counts} == set(HOWS)
    assert {when for _, when in counts} == set(WHENS)


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_same_command_recovers_from_a_killed_run_and_leaves_a_live_one_alone(longer, tmp_path):
    run = Run(tmp_path / "run", 2, ["--configfile", str(longer)])
    locks = run.folder / ".snakemake/locks"
    run.start()
    wait_for(lambda: run.jobs("train"))
    held = sorted(locks.iterdir())
    assert held
    second = snakemake(run.folder, config=longer)
    assert second.returncode == 1
    assert "Directory cannot be locked" in second.stdout + second.stderr
    assert sorted(locks.iterdir()) == held
    run.main.kill()
    run.main.wait()
    assert sorted(locks.iterdir()) == held
    # Jobs of the killed run may still be alive, and are not run twice.
    assert "Nothing to be done" not in complete(run.folder, config=longer)
    assert not run.jobs()
    assert outputs(run.folder)["submission.csv"]


def stage(name: str, *args) -> subprocess.Popen:
    command = [sys.executable, ROOT / f"workflow/scripts/{name}.py", *args]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_a_job_waits_for_the_one_that_outlived_its_workflow(tmp_path):
    log, archive = tmp_path / "demo.log", tmp_path / "survey.zip"
    settings = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    settings["data"]["demo"] |= {"tiles": 24, "test_tiles": 1}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    arguments = ["--settings", tmp_path / "config.yaml", "--log", log, "--archive", archive]
    with open(log, "w") as held:
        held.write("what the other one has to say\n" * 100)
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        process = stage("demo", *arguments, "--sections", tmp_path / "sections.csv")
        assert f"{log}: a process of an earlier run still writes to it" in process.stderr.readline()
        time.sleep(0.5)
        assert process.poll() is None and not archive.exists()
    _, text = process.communicate(timeout=60)
    assert process.returncode == 0, text
    assert archive.exists()
    assert "other one" not in log.read_text()


@contextmanager
def small_disk(folder: Path, size: str):
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)


@pytest.mark.parametrize(
    ("size", "where"),
    [
        ("500k", r"results/demo/(survey\.zip|sections\.csv)"),
        ("1100k", r"results/data/t\w+/(images|masks)\.npy"),
        ("1900k", r"results/(states|models)/\S+"),
        ("4200k", r"results/predictions/\w+/\d\.npy"),
    ],
)
def test_a_full_disk_is_told_and_the_same_command_goes_on(finished, tmp_path, size, where):
    import re

    results = tmp_path / "run/results"
    with small_disk(results, size):
        done = snakemake(tmp_path / "run")
        said = done.stdout + done.stderr
        assert done.returncode == 1
        message = rf"Error: {where}: cannot be written \(No space left on device\); make room"
        assert re.search(message, said), said
        assert "Traceback" not in said
        assert not list(results.rglob("*.part"))
        remount(results, "size=100m")
        complete(tmp_path / "run")
        assert outputs(tmp_path / "run") == outputs(finished)


def test_a_folder_that_cannot_be_written_to_is_told_and_the_same_command_goes_on(
    finished, tmp_path
):
    results = tmp_path / "run/results"
    with small_disk(results, "100m"):
        complete(tmp_path / "run", "--until", "import_train", "import_test")
        remount(results, "ro")
        done = snakemake(tmp_path / "run")
        assert done.returncode == 1
        assert "Read-only file system" in done.stdout + done.stderr
        script = stage(
            "summary",
            *("--threshold", finished / "results/threshold.json"),
            *("--submission", finished / "results/submission.csv"),
            *("--output", results / "summary.txt"),
        )
        _, text = script.communicate()
        assert script.returncode == 1 and "Traceback" not in text
        assert "summary.txt: cannot be written (Read-only file system); make room or mend" in text
        remount(results, "rw")
        complete(tmp_path / "run")
        assert outputs(tmp_path / "run") == outputs(finished)


@pytest.fixture
def little_memory():
    """Give a file to write a process's number to, which confines it to 400 MB."""
    first = CGROUPS / "memory/memory.limit_in_bytes"
    group = (CGROUPS / "memory" if first.exists() else CGROUPS) / f"salt-{os.getpid()}"
    try:
        group.mkdir()
        limit = group / ("memory.limit_in_bytes" if first.exists() else "memory.max")
        limit.write_text(str(400 * 2**20))
    except OSError as error:
        pytest.skip(f"needs the right to limit memory ({error})")
    yield group / "cgroup.procs"
    wait_for(lambda: not (group / "cgroup.procs").read_text())
    group.rmdir()


def test_a_job_killed_for_want_of_memory_is_told_and_the_same_command_goes_on(
    finished, tmp_path, little_memory
):
    run = Run(tmp_path / "run", 2, ["--configfile", str(TINY)])
    run.folder.mkdir()
    confined = ["sh", "-c", f'echo $$ > {little_memory} && exec "$@"', "sh", *run.command]
    done = subprocess.run(confined, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "A job was killed, as a system does that runs out of memory." in done.stdout
    assert "run the same command again" in done.stdout
    complete(run.folder)
    assert outputs(run.folder) == outputs(finished)


def test_a_job_that_gets_no_memory_is_told(finished, tmp_path):
    """As under a limit of the address space, where memory is refused and nothing is killed."""
    results = finished / "results"
    limited = ["prlimit", f"--as={6 * 2**30}", sys.executable]
    settings = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    settings["training"]["batch_size"] = 10**6
    settings["model"]["width"] = 512
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    command = [
        *limited,
        ROOT / "workflow/scripts/train.py",
        *("--settings", tmp_path / "config.yaml", "--seed", "0"),
        *("--tiles", results / "data/train/tiles.csv", "--folds", results / "data/folds.csv"),
        *("--checkpoint", tmp_path / "0.safetensors", "--history", tmp_path / "0.csv"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Error: not enough memory" in done.stderr and "training.batch_size" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_asked_to_stop_can_be_gone_on_with(longer, tmp_path, how):
    run = Run(tmp_path / "run", 2, ["--configfile", str(longer)])
    run.start()
    wait_for(lambda: list((run.folder / "results/states").glob("*.pt")))
    os.killpg(run.main.pid, how)
    assert run.main.wait(60) != 0
    wait_for(lambda: not run.jobs())
    text = complete(run.folder, config=longer)
    assert "goes on after epoch" in text
