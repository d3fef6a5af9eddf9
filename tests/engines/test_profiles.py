"""Profiles cover every rule, agree with them, and have their plugins as extras."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from support.running import rule_texts

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.parent.name for path in (ROOT / "profiles").glob("*/config.yaml"))
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
COMPUTING = {"train", "predict_validation", "predict_test", "predict"}
COMPUTING |= {"predict_lines", "predict_volume"}


def profile(name: str) -> dict:
    return yaml.safe_load((ROOT / f"profiles/{name}/config.yaml").read_text())


def rules() -> dict[str, dict[str, int]]:
    """Return memory and run time of each rule that is not a localrule."""
    found = {}
    for text in rule_texts():
        if "localrule: True" not in text:
            numbers = re.findall(r"^        (mem_mb|runtime)=(\d+),", text, re.MULTILINE)
            found[text.partition(":")[0]] = {key: int(value) for key, value in numbers}
    return found


def at(attempt: int, value) -> int:
    """Evaluate a profile's resource at an attempt, as Snakemake does."""
    return eval(str(value), {"attempt": attempt, "min": min})


def test_slurm_asks_for_what_the_rules_do_and_for_more_on_a_retry():
    given = profile("slurm")["set-resources"]
    assert set(given) == set(rules())
    for rule, resources in rules().items():
        asked = given[rule]
        assert (asked.get("slurm_partition") == "gpu") == (rule in COMPUTING)
        assert at(1, asked["mem_mb"]) == resources["mem_mb"]
        assert at(3, asked["mem_mb"]) == 3 * resources["mem_mb"]
        if rule == "train":
            # Its jobs resume from each other: more memory may help, more time is not needed.
            assert at(20, asked["mem_mb"]) == 3 * resources["mem_mb"]
            assert at(20, asked["runtime"]) == at(1, asked["runtime"]) < resources["runtime"]
        else:
            assert at(1, asked["runtime"]) == resources["runtime"] < at(2, asked["runtime"])


@pytest.mark.parametrize("name", [name for name in NAMES if name != "default"])
def test_an_interrupted_training_is_retried_more_often_than_other_jobs(name):
    found = profile(name)
    assert found["preemptible-rules"] == ["train"]
    assert found["preemptible-retries"] > found["retries"] > 0


@pytest.mark.parametrize("name", NAMES)
def test_each_profile_compares_and_resumes_like_the_default(name):
    default, found = profile("default"), profile(name)
    assert found["max-checksum-file-size"] == default["max-checksum-file-size"]
    assert found["keep-going"] is True
    assert found.get("rerun-incomplete", name == "kubernetes") is True


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_has_each_profile_and_what_it_needs(name):
    text = (ROOT / "profiles/README.md").read_text()
    assert re.search(rf"^\| \[?`{name}`", text, re.MULTILINE)
    assert (name in EXTRAS) == (f"`.[{name}]`" in text) == (name != "default")


def test_the_tests_of_other_engines_have_the_plugins_of_all_profiles():
    plugins = ",".join(name for name in EXTRAS if name in NAMES)
    assert f"salt-segmentation[dev,{plugins}]" in EXTRAS["cluster"]


def test_the_image_has_the_projects_own_pins_and_the_python_of_its_environments():
    text = (ROOT / "Dockerfile").read_text()
    python = re.search(r"^FROM python:([0-9.]+)-slim$", text, re.MULTILINE).group(1)
    environments = [yaml.safe_load(path.read_text()) for path in (ROOT / "envs").glob("*.yaml")]
    assert {found["dependencies"][0] for found in environments} == {f"python ={python}"}
    assert "==" not in text
    lines = [line.split()[1:-1] for line in text.splitlines() if line.startswith("COPY ")]
    copied = [name for line in lines for name in line]
    assert copied == ["pyproject.toml", "requirements.lock", "workflow/scripts"]
    assert "--constraint /project/requirements.lock" in text
    assert '"/project[openvino,pretrained,kubernetes]"' in text
    kept = (ROOT / ".dockerignore").read_text().splitlines()
    assert [line.removeprefix("!") for line in kept if line.startswith("!")] == copied
