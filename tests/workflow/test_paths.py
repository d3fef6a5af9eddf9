"""Folders and files of any name, in any key: each works, or is refused by the key's name."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from support.running import ROOT, TINY, complete, copy_project, run_snakemake, snakemake

pytestmark = pytest.mark.slow

NAMES = [
    'it\'s "quoted" in words ',
    "$HOME $(touch hacked) `touch hacked`",
    "-st*r?[x]",
    "two\nlines Übung~#&;|<>",
]


@pytest.fixture(scope="module")
def survey(tmp_path_factory) -> Path:
    """A demo survey, and the sections of its tiles."""
    folder = tmp_path_factory.mktemp("survey")
    complete(folder, "--", "results/demo/survey.zip")
    return folder / "results/demo"


def written(folder: Path, survey: Path, name: str) -> Path:
    """Put a survey and its groups under a name, and return a configuration that names them."""
    shutil.copy(survey / "survey.zip", folder / f"{name}.zip")
    shutil.copy(survey / "sections.csv", folder / f"{name}.csv")
    config = yaml.safe_load(TINY.read_text())
    config["data"]["source"] = f"{name}.zip"
    config["validation"]["groups"] = f"{name}.csv"
    config.setdefault("predict", {})["source"] = f"{name}.zip"
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.mark.parametrize("name", NAMES)
def test_any_name_works_for_folder_survey_and_groups(tmp_path, survey, name):
    folder = tmp_path / name
    folder.mkdir()
    config = written(folder, survey, name)
    complete(folder, "--", "results/data/folds.h5", "results/data/test.h5", config=config)
    assert (folder / "results/data/folds.h5").exists()
    assert not list(tmp_path.rglob("hacked")) and not (ROOT / "hacked").exists()


def lines(done: subprocess.CompletedProcess) -> list[str]:
    """Return what a run printed; a dry run's messages are on standard output."""
    return (done.stdout + done.stderr).splitlines()


@pytest.mark.parametrize(
    ("name", "inside"), [('it\'s "my" $(touch hacked) clone', False), ("-n", True)]
)
def test_a_clone_of_any_name_runs(tmp_path, name, inside):
    project = copy_project(tmp_path / name)
    folder = project if inside else tmp_path / "elsewhere"
    folder.mkdir(exist_ok=True)
    done = run_snakemake(
        *("--snakefile", project / "Snakefile", "--cores", "1"),
        *("--configfile", TINY, "--", "results/data/folds.h5"),
        cwd=folder,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "results/data/folds.h5").exists() and not list(tmp_path.rglob("hacked"))


def test_a_clone_with_braces_in_its_name_is_refused(tmp_path):
    project = copy_project(tmp_path / "{a}")
    done = run_snakemake("--snakefile", project / "Snakefile", "--dry-run", cwd=tmp_path)
    assert done.returncode == 1
    (said,) = (line for line in lines(done) if line.startswith("the project's folder: "))
    assert said.endswith("braces are wildcards to Snakemake; rename it")


def test_the_catalogues_snakefile_has_a_default_target(tmp_path):
    done = snakemake(tmp_path, "--dry-run", snakefile=ROOT / "workflow/Snakefile")
    assert done.returncode == 0 and "Nothing to be done" not in done.stdout + done.stderr
    assert "submission" in done.stdout + done.stderr


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_cleaning_keeps_results_unless_they_are_asked_for(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("results/models", ".snakemake", ".venv", ".ruff_cache", "a/__pycache__"):
        (tmp_path / name).mkdir(parents=True)
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True)
    assert names(tmp_path) == [".snakemake", "Makefile", "a", "results"]
    assert names(tmp_path / "results") == ["models"] and not names(tmp_path / "a")
    subprocess.run(["make", "clean-results"], cwd=tmp_path, check=True)
    assert names(tmp_path) == ["Makefile", "a"]
