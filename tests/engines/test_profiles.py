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
COMPUTING = {"check_kind", "train", "predict_validation", "predict_test", "predict"}
COMPUTING |= {"predict_lines", "predict_volume"}


def profile(name: str) -> dict:
    return yaml.safe_load((ROOT / f"profiles/{name}/config.yaml").read_text())


def rules() -> dict[str, str]:
    """Return the text of each rule that is not a localrule."""
    found = {}
    for text in rule_texts():
        if "localrule: True" not in text:
            found[text.partition(":")[0]] = text
    return found


def test_memory_and_time_grow_with_each_attempt_but_for_the_time_of_a_training_which_resumes():
    for rule, text in rules().items():
        training = rule == "train"
        grown = r"mem_mb=\d+" if training else r"mem_mb=\d+, runtime=\d+"
        assert re.search(rf"^ +\*\*growing\({grown}\),$", text, re.MULTILINE), rule
        assert ("runtime=1440," in text) == training, rule


def test_slurm_has_a_partition_for_rules_that_compute_and_a_submission_for_short_ones():
    found = profile("slurm")
    asked = found["set-resources"]
    assert {rule for rule in asked if asked[rule]["slurm_partition"] == "gpu"} == COMPUTING
    assert set(asked) == COMPUTING and not COMPUTING & set(found["groups"])
    assert set(found["groups"]) <= set(rules())


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
