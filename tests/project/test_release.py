"""All descriptions of a release agree, and its archive needs no Git."""

import re
import shutil
import subprocess
import sys
import tomllib
from datetime import date

import pytest

from support.running import ROOT, TINY

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_the_version_is_the_last_one_in_the_changelog():
    headings = re.findall(r"^## \[(.+?)\](?: - (\S+))?$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] == ("Unreleased", "")
    assert headings[1][0] == VERSION
    dates = [date.fromisoformat(day) for _, day in headings[1:]]
    assert dates == sorted(dates, reverse=True)


def test_the_tag_to_deploy_is_that_of_the_version():
    named = re.findall(r"\bv(\d+\.\d+\S*?)[\s/\"]", (ROOT / "docs/module.md").read_text())
    assert set(named) == {VERSION}


@pytest.mark.slow
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
        [sys.executable, "-m", "snakemake", "--configfile", TINY, "--", "results/data/folds.h5"],
        cwd=folder,
        env={"PATH": str(programs), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "results/data/folds.h5").exists()
