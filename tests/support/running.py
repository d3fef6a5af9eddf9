"""Run the workflow as a user does, on a tiny demo survey."""

import io
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
TINY = ROOT / ".test/config/config.yaml"
# What a copy of the project needs to run.
PROJECT = ("Snakefile", "workflow", "config", "envs", "profiles")

# What costs least and yet takes every stage up to the masks.
SUBMISSION = ("--", "results/submission.csv")

# Each rule's jobs with two members, and the rules that read what it makes.
RULES = """
    demo import_train import_test split check_kind train predict_validation predict_test threshold
    submission provenance summary review gallery plot_training plot_evaluation plot_data page
"""
OF_MEMBERS = ("train", "predict_validation", "predict_test")
JOBS = {rule: 1 + (rule in OF_MEMBERS) for rule in RULES.split()}
DRAWN = "gallery plot_evaluation plot_data page"
READERS = {
    "demo": "import_train import_test",
    "import_train": f"split check_kind train predict_validation threshold review {DRAWN}",
    "import_test": "predict_test submission plot_data page",
    "split": "check_kind train predict_validation threshold review plot_evaluation",
    "train": "predict_validation predict_test provenance plot_training",
    "provenance": "page",
    "predict_validation": "threshold review gallery plot_evaluation page",
    "predict_test": "submission plot_data page",
    "threshold": f"submission provenance summary review {DRAWN}",
    "submission": "provenance summary plot_training",
    "review": DRAWN,
    "plot_training": "page",
    "plot_evaluation": "page",
    "plot_data": "page",
}


def copy_project(folder: Path) -> Path:
    """Copy to a folder what the project needs to run."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PROJECT:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, folder / name)
    return folder


def rule_texts() -> list[str]:
    """Return the text of each rule that has a command, from its name on and without indentation."""
    found = []
    for file in sorted((ROOT / "workflow/rules").glob("*.smk")):
        _, *parts = re.split(r"^( *)rule ", file.read_text(), flags=re.MULTILINE)
        for indent, text in zip(parts[::2], parts[1::2], strict=True):
            # Without one, it only names others' outputs.
            if "shell:" in text:
                found.append(re.sub(rf"^{indent}", "", text, flags=re.MULTILINE))
    return found


def stages_by_environment() -> list[tuple[str, str]]:
    """Return each rule's stage and environment, from its command and conda directive."""
    found = []
    for rule in rule_texts():
        stage = re.search(r'command=command\(\s*"(\w+)"', rule).group(1)
        environment = re.search(r'"\.\./\.\./envs/(\w+)\.yaml"', rule).group(1)
        found.append((stage, environment))
    return found


def below(*rules: str) -> dict[str, int]:
    """Jobs of some rules, and of all that depend on them."""
    found, waiting = set(), list(rules)
    while waiting:
        rule = waiting.pop()
        if rule not in found:
            found.add(rule)
            waiting.extend(READERS.get(rule, "").split())
    return {rule: count for rule, count in JOBS.items() if rule in found}


def stage_command(name: str, *args) -> list[str]:
    return [sys.executable, str(ROOT / f"workflow/scripts/{name}.py"), *map(str, args)]


def run_stage(name: str, *args, **options) -> subprocess.CompletedProcess:
    """Run a stage's script in its own process, with options of subprocess.run."""
    return _run(stage_command(name, *args), **options)


def run_code(code: str, *args, **environment: str) -> subprocess.CompletedProcess:
    """Run Python code in a process of its own, where it can import the package."""
    command = [sys.executable, "-c", code, *map(str, args)]
    return _run(command, cwd=ROOT / "workflow/scripts", env=os.environ | environment)


def snakemake_command(*args) -> list[str]:
    return [sys.executable, "-m", "snakemake", *map(str, args)]


def run_snakemake(*args, cwd: Path = ROOT, **options) -> subprocess.CompletedProcess:
    """Run Snakemake, in the project's folder by default, with options of subprocess.run."""
    return _run(snakemake_command(*args), cwd=cwd, **options)


def _run(command: list[str], **options) -> subprocess.CompletedProcess:
    captured = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.run(command, text=True, **captured | options)


def of_tiny(
    folder: Path, *args, config: Path = TINY, snakefile: Path = ROOT / "Snakefile"
) -> tuple:
    """Return the arguments of a run of the tiny workflow in a folder."""
    return (
        *("--snakefile", snakefile, "--cores", "2", "--directory", folder),
        *("--configfile", config, *args),
    )


def snakemake(folder: Path, *args, **kwargs) -> subprocess.CompletedProcess:
    return run_snakemake(*of_tiny(folder, *args, **kwargs))


def complete(folder: Path, *args, **kwargs) -> str:
    return printed(snakemake(folder, *args, **kwargs))


def printed(done: subprocess.CompletedProcess) -> str:
    """Return what a process printed that has to succeed."""
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def planned(folder: Path, *args, **kwargs) -> dict[str, int]:
    """Return the number of jobs that a run of the tiny workflow would do, by rule."""
    return _jobs_in(complete(folder, "--dry-run", *args, **kwargs))


def planned_in(project: Path, *args) -> dict[str, int]:
    """Return the number of jobs that a run in a project's own folder would do, by rule."""
    return _jobs_in(printed(run_snakemake("--dry-run", *args, cwd=project)))


def _jobs_in(text: str) -> dict[str, int]:
    table = re.search(r"^job +count\n-.*\n((?:\w+ +\d+\n)+)", text, re.MULTILINE)
    jobs = dict(line.split() for line in table.group(1).splitlines()) if table else {}
    targets = ("all", "default", "total")
    return {rule: int(count) for rule, count in jobs.items() if rule not in targets}


def with_config(folder: Path, changes: dict) -> Path:
    """A configuration like the tiny one but for some keys."""
    config = yaml.safe_load(TINY.read_text())
    for section, keys in changes.items():
        config.setdefault(section, {}).update(keys)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def unpack(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as outer:
        for name in outer.namelist():
            if name.endswith(".zip"):
                with zipfile.ZipFile(io.BytesIO(outer.read(name))) as inner:
                    inner.extractall(folder / name.removesuffix(".zip"))
            else:
                outer.extract(name, folder)


def wait_for(condition, seconds=900, otherwise=lambda: None):
    """Wait until a condition holds; AssertionError with what ``otherwise`` returns after that."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, otherwise()
        time.sleep(0.02)
