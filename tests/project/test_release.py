"""All descriptions of a release agree, and its archive needs no Git."""

import re
import shutil
import subprocess
import sys
import tomllib
from datetime import date

import pytest
import yaml

from support.running import ROOT, TINY

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_the_version_is_the_last_one_in_the_changelog():
    headings = re.findall(r"^## \[(.+?)\](?: - (\S+))?$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] == ("Unreleased", "")
    assert headings[1][0] == VERSION
    dates = [date.fromisoformat(day) for _, day in headings[1:]]
    assert dates == sorted(dates, reverse=True)


def test_the_tag_to_deploy_is_that_of_the_version():
    named = re.findall(r"\bv(\d+\.\d+\S*?)[\s/\"]", (ROOT / "config/README.md").read_text())
    assert set(named) == {VERSION}


def test_each_version_lists_a_kind_of_change_once():
    for version in re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(), flags=re.M)[1:]:
        kinds = re.findall(r"^### (\w+)$", version, re.M)
        assert len(kinds) == len(set(kinds)), version.splitlines()[0]
        assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_version_stands_in_one_place():
    for name in ("CITATION.cff", "workflow/scripts/saltseg/__init__.py", "Makefile"):
        assert not re.search(r"^(__)?version(__)? *(:|:?=)", (ROOT / name).read_text(), re.M)


@pytest.mark.skipif(
    not (ROOT / ".git").exists() or shutil.which("git") is None, reason="not a checkout of Git"
)
def test_the_archive_of_a_release_runs_without_git(tmp_path):
    archive = tmp_path / "release.tar"
    # Of the tracked files as they are, so that a change is tested before it is committed.
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    present = [
        name for name in names.stdout.decode().split("\0") if name and (ROOT / name).exists()
    ]
    subprocess.run(["tar", "-cf", archive, *present], cwd=ROOT, check=True)
    folder = tmp_path / "salt-segmentation-0.1.0"
    shutil.unpack_archive(archive, folder, filter="data")
    programs = tmp_path / "programs"
    programs.mkdir()
    # All that a stage's command and Snakemake itself call, but not git.
    for name in ("bash", "sh", "env", "uname"):
        (programs / name).symlink_to(shutil.which(name))
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--configfile", TINY, "--", "results/data/folds.csv"],
        cwd=folder,
        env={"PATH": str(programs), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "results/data/folds.csv").exists()


def test_the_workflow_of_github_runs_what_is_there_and_has_no_secrets():
    text = (ROOT / ".github/workflows/test.yml").read_text()
    jobs = yaml.safe_load(text)["jobs"]
    steps = [step for job in jobs.values() for step in job["steps"]]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    commands = [step["run"] for step in steps if "run" in step]
    assert commands == ["make lint", ".ci/run", "make report"]
    assert {command.split()[1] for command in commands if " " in command} <= set(targets)
    assert "secrets" not in text
    (artifact,) = (step["with"] for step in steps if "upload-artifact" in step.get("uses", ""))
    assert {"results/index.html", "results/report.html"} <= set(artifact["path"].split())
    python = yaml.safe_load((ROOT / "envs/torch.yaml").read_text())["dependencies"][0]
    assert python.removeprefix("python =") in jobs["test"]["strategy"]["matrix"]["python"]


def test_the_tiny_configuration_lies_where_the_catalogues_template_has_it():
    assert TINY.relative_to(ROOT).as_posix() == ".test/config/config.yaml"
