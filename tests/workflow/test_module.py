"""The workflow as a module of another one, from a repository or from a folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from saltseg.core.errors import rebuild_hint
from support.running import ROOT, TINY, printed, run_snakemake
from support.surveys import Survey, folds_in

pytestmark = pytest.mark.slow

PROJECT = ("LICENSE", "config", "envs", "profiles", "workflow")
NAME = "example/salt-segmentation"
# Beside the interpreter, also where its environment is not activated.
SNAKEDEPLOY = shutil.which("snakedeploy", path=Path(sys.executable).parent)


def git(folder: Path, *args: str) -> str:
    settings = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    done = subprocess.run(
        ["git", *settings, *args], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """A repository of the project with the tag v0.1.0, in which nothing else lies."""
    folder = tmp_path_factory.mktemp("github.com") / NAME
    folder.mkdir(parents=True)
    for name in PROJECT:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, folder / name)
    shutil.copy2(ROOT / ".gitignore", folder)
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "Release")
    git(folder, "tag", "--annotate", "v0.1.0", "--message", "Release")
    return folder


@pytest.fixture
def offline(repository, tmp_path, monkeypatch):
    """Have git take repositories of GitHub from a local folder, and Snakemake's cache be empty."""
    hosted = repository.parents[1].as_uri()
    settings = {f"url.{hosted}/.insteadOf": "https://github.com/", "advice.detachedHead": "false"}
    monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(settings)))
    for number, (key, value) in enumerate(settings.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def snakemake(folder: Path, *args) -> subprocess.CompletedProcess:
    return run_snakemake("--cores", "2", *args, cwd=folder)


def complete(folder: Path, *args) -> str:
    return printed(snakemake(folder, *args))


def module(folder: Path, snakefile: object, config: dict, more: str = "", names: str = "") -> None:
    """Write a Snakefile that uses the workflow as a module."""
    where = repr(str(snakefile)) if isinstance(snakefile, Path) else snakefile
    (folder / "Snakefile").write_text(
        f"module salt:\n    snakefile: {where}\n    config: {config!r}\n{more}\n"
        f"use rule * from salt {names}\n"
    )


def demo(tiles: int) -> dict:
    """Return the few keys of a small demo survey."""
    return {"data": {"demo": {"tiles": tiles, "test_tiles": 12}}}


def files(folder: Path) -> set[str]:
    """Return the files that a run leaves, but for Snakemake's own and temporary ones."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {
        str(path) for path in found if not path.name.startswith(".") and path.parts[0][0] != "."
    }


# Answers Snakemake's questions, and keeps the file of each environment that it is to make.
CONDA = """#!/bin/sh
case "$1 $2" in
    "info --json") echo '{"conda_prefix": "/opt/conda", "platform": "linux-64"}' ;;
    "--version ") echo "conda 25.1.0" ;;
    "config --get") echo '{"get": {"channel_priority": "strict"}}' ;;
    "env create") for each; do case "$each" in *.yaml) cp "$each" made/ ;; esac; done ;;
    "clean -y") ;;
    *) exit 1 ;;
esac
"""


def test_a_remote_modules_environments_are_fetched(repository, tmp_path, monkeypatch):
    where = f'gitfile({str(repository)!r}, path="workflow/Snakefile", tag="v0.1.0")'
    module(tmp_path, where, {"data": {"source": "demo-volume"}}, '    prefix: "salt"')
    (tmp_path / "made").mkdir()
    (tmp_path / "conda").write_text(CONDA)
    (tmp_path / "conda").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    complete(tmp_path, "--sdm", "conda", "--conda-create-envs-only")
    made, listed = (
        {file.read_text().strip() for file in folder.iterdir()}
        for folder in (tmp_path / "made", ROOT / "envs")
    )
    assert made == listed


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="snakedeploy needs Python before 3.13")
def test_what_snakedeploy_writes_runs_the_demo_to_its_end(offline, tmp_path):
    assert SNAKEDEPLOY, "run `make test`, which installs snakedeploy"
    deploy = [SNAKEDEPLOY, "deploy-workflow", f"https://github.com/{NAME}", "deployed"]
    deployed = subprocess.run(
        [*deploy, "--tag", "v0.1.0"], cwd=tmp_path, capture_output=True, text=True
    )
    assert deployed.returncode == 0, deployed.stderr
    folder = tmp_path / "deployed"
    written = (folder / "workflow/Snakefile").read_text()
    assert f'github("{NAME}", path="workflow/Snakefile", tag="v0.1.0")' in written
    one = ("--configfile", TINY, "--config", "ensemble={seeds: [0]}")
    target = (*one, "--", "results/summary.txt")
    first, again = complete(folder, *target), complete(folder, *target)
    if log := os.environ.get("DEPLOY_TEST_LOG"):
        parts = [deployed.stderr, written, first, again]
        Path(log).write_text("\n".join(parts).replace(str(tmp_path), "."))
    assert "Nothing to be done" in again


def test_a_module_of_a_commit_runs_under_a_prefix_and_other_names(repository, tmp_path):
    commit = git(repository, "rev-parse", "HEAD")
    where = f'gitfile({str(repository)!r}, path="workflow/Snakefile", commit="{commit}")'
    config = yaml.safe_load(TINY.read_text()) | {"ensemble": {"seeds": [0]}}
    module(tmp_path, where, config, '    prefix: "salt"', "as salt_*")
    before = files(tmp_path)
    text = complete(tmp_path)
    assert "salt_predict_test" in text
    made = files(tmp_path) - before
    assert {"salt/results/submission.csv", "salt/results/index.html"} < made
    assert all(name.startswith("salt/results/") for name in made)
    assert "Nothing to be done" in complete(tmp_path)


def test_a_local_module_completes_a_few_keys_from_the_defaults(tmp_path):
    module(tmp_path, ROOT / "workflow/Snakefile", demo(50))
    complete(tmp_path, "--", "results/data/folds.h5")
    folds = folds_in(tmp_path / "results/data/folds.h5")["fold"]
    # Two by default.
    assert len(folds) == 50 and set(folds) == {0, 1}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"data": {"demo": {"tilse": 50}}}, "data.demo.tilse: unknown key"),
        ({"model": None}, "model: expected a section of keys and values, found None"),
    ],
)
def test_only_what_is_wrong_in_a_modules_configuration_is_named(tmp_path, config, expected):
    module(tmp_path, ROOT / "workflow/Snakefile", config)
    done = snakemake(tmp_path, "--dry-run")
    assert done.returncode == 1
    assert f"Configuration: 1 problem found\n  - {expected}" in done.stderr


def test_two_modules_keep_their_results_apart(tmp_path):
    tiles = {"one": 48, "two": 60}
    targets = [f"{name} of us/results/data/folds.h5" for name in tiles]
    modules = [
        f"module {name}:\n    snakefile: {str(ROOT / 'workflow/Snakefile')!r}\n"
        f'    prefix: "{name} of us"\n    config: {demo(count)!r}\n'
        f"use rule * from {name} as {name}_*\n"
        for name, count in tiles.items()
    ]
    both = f"rule both:\n    default_target: True\n    input: {targets!r}\n"
    (tmp_path / "Snakefile").write_text("".join([*modules, both]))
    complete(tmp_path)
    assert [len(folds_in(tmp_path / target)) for target in targets] == [48, 60]


def test_a_users_own_files_are_found_beside_a_prefix(tmp_path):
    """Check paths of the configuration that are inputs of rules, which Snakemake would prefix."""
    (tmp_path / "groups.csv").write_text("id,section\n")
    shutil.copytree(ROOT / "docs", tmp_path / "tiles", ignore=shutil.ignore_patterns("*.md"))
    config = {"validation": {"groups": "groups.csv"}, "predict": {"source": "tiles"}}
    module(tmp_path, ROOT / "workflow/Snakefile", config, '    prefix: "salt"')
    text = complete(tmp_path, "--dry-run", "--printshellcmds", "predict")
    assert "--groups=groups.csv" in text
    assert "--tiles=tiles" in text
    # The demo's own sections are a file of the workflow.
    config = demo(48) | {"validation": {"groups": "results/demo/sections.csv"}}
    module(tmp_path, ROOT / "workflow/Snakefile", config, '    prefix: "salt"')
    complete(tmp_path, "--", "salt/results/data/folds.h5")


def test_a_modules_failure_ends_with_the_log_to_open(tmp_path):
    (tmp_path / "groups.csv").write_text("id,section\nother,1\n")
    config = demo(48) | {"validation": {"groups": "groups.csv"}}
    module(tmp_path, ROOT / "workflow/Snakefile", config, '    prefix: "salt"')
    done = snakemake(tmp_path, "--logger", "saltseg", "--", "salt/results/data/folds.h5")
    assert done.returncode == 1
    said = done.stderr.partition("Failed, by the log to open:\n")[2]
    assert said.startswith("salt/results/logs/split.log:\n")


def test_a_damaged_file_below_a_prefix_is_rebuilt_by_name(tmp_path):
    assert "run 'snakemake salt/results/a.h5'" in rebuild_hint(Path("salt/results/a.h5"))
    assert "snakemake" not in rebuild_hint(tmp_path / "results/a.h5")
    assert "snakemake" not in rebuild_hint(Path("other/a.h5"))


def test_every_file_that_a_remote_module_fetches_is_listed():
    folders = ("envs", "workflow/engine", "workflow/schemas", "workflow/scripts")
    found = [ROOT / "config/config.yaml"]
    found += [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    names = {str(path.relative_to(ROOT)) for path in found if "__pycache__" not in path.parts}
    listed = (ROOT / "workflow/files.txt").read_text().splitlines()
    assert listed == sorted(names), "run `make files`"


def test_an_importer_s_own_failure_is_shown_whole(tmp_path):
    module(tmp_path, ROOT / "workflow/Snakefile", demo(48), '    prefix: "salt"', "as salt_*")
    with open(tmp_path / "Snakefile", "a") as file:
        file.write(
            "rule mine:\n    default_target: True\n    output: 'mine.txt'\n"
            "    message: 'my own message'\n    shell: 'echo my own error >&2; exit 1'\n"
            "onerror: print('my own handler')\n"
        )
    done = snakemake(tmp_path)
    assert done.returncode == 1
    text = done.stdout + done.stderr
    assert all(f"my own {what}" in text for what in ("message", "error", "handler"))


def test_a_volume_may_be_another_rule_s_to_make(tmp_path):
    config = {"data": {"source": "made/survey.sgy", "labels": "made/labels.sgy"}}
    module(tmp_path, ROOT / "workflow/Snakefile", config)
    with open(tmp_path / "Snakefile", "a") as file:
        file.write("rule mine:\n    output: 'made/survey.sgy'\n    shell: 'touch {output}'\n")
    text = complete(tmp_path, "--dry-run", "scan")
    assert "rule mine:" in text and "rule scan_volume:" in text


def test_a_dataset_that_another_rule_makes_stays_its_own_and_gets_no_prefix(tmp_path):
    survey = Survey(17, 7, 33, 33).write(tmp_path / "given", "flat zip")
    config = {"data": {"source": "made/survey.zip"}}
    module(tmp_path, ROOT / "workflow/Snakefile", config, '    prefix: "salt"')
    with open(tmp_path / "Snakefile", "a") as file:
        file.write(
            f"rule mine:\n    input: {str(survey)!r}\n    output: 'made/survey.zip'\n"
            "    shell: 'cp {input} {output}'\n"
        )
    target = "salt/results/data/folds.h5"
    complete(tmp_path, "--", target)
    assert "Nothing to be done" in complete(tmp_path, "--dry-run", "--", target)
    # Not only as long as the file is missing.
    again = complete(tmp_path, "--dry-run", "--forcerun", "mine", "--", target)
    assert "rule import_train:" in again
