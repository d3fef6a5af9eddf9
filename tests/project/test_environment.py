"""Each dependency is pinned once, and each job's environment has what its stage imports."""

import ast
import re
import sys
import tomllib
from importlib import metadata
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from engine.environments import CONDA_NAMES, generate, pinned_versions
from saltseg.stage.code_files import local_files
from support.running import stages_by_environment

ROOT = Path(__file__).parents[2]
MANIFEST = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = MANIFEST["project"]
EXTRAS = PROJECT["optional-dependencies"]
ENVIRONMENTS = MANIFEST["tool"]["salt-segmentation"]["envs"]
IMPORT_NAMES = {"PIL": "pillow", "yaml": "pyyaml", "pydantic_core": "pydantic"}
AGAIN = "run `make lock`"


def third_party(files: set[Path]) -> set[str]:
    found = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            found |= {name.split(".")[0] for name in names}
    return {
        IMPORT_NAMES.get(name, name) for name in found - set(sys.stdlib_module_names) - {"saltseg"}
    }


def test_each_dependency_is_pinned_exactly_and_once():
    lines = [*PROJECT["dependencies"], *chain.from_iterable(EXTRAS.values())]
    stated = [line for line in lines if not line.startswith("salt-segmentation[")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+(; .+)?", line) for line in stated)
    # The tests and the benchmarks both run exported members.
    assert {line for line in stated if stated.count(line) > 1} == {"onnxruntime==1.32.0"}
    assert len(pinned_versions(PROJECT)) == len(set(stated))


def test_the_environments_for_conda_have_the_manifests_pins():
    texts = generate()
    assert set(texts) == set((ROOT / "envs").iterdir())
    assert [path.name for path, text in texts.items() if path.read_text() != text] == [], AGAIN
    channels = [yaml.safe_load(text)["channels"] for text in texts.values()]
    assert all(found == ["conda-forge", "nodefaults"] for found in channels)
    assert CONDA_NAMES.keys() <= pinned_versions(PROJECT).keys()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_holds_what_its_stages_import_and_nothing_else(environment):
    # Every stage starts by these, which change no result.
    files = set((ROOT / "workflow/scripts/saltseg/stage").glob("*.py"))
    for stage, used in stages_by_environment():
        if used == environment:
            script = ROOT / f"workflow/scripts/{stage}.py"
            files |= set(local_files(script))
            if "args.settings" in script.read_text():
                files |= set((ROOT / "workflow/scripts/saltseg/settings").glob("*.py"))
    assert set(ENVIRONMENTS[environment]["conda"]) == third_party(files)


def test_each_stage_has_a_rule_and_each_rule_a_stage():
    scripts = {file.stem for file in (ROOT / "workflow/scripts").glob("*.py")}
    assert {stage for stage, _ in stages_by_environment()} == scripts


def locked() -> list[Requirement]:
    """Return the lock's packages; one may be locked to several versions, by markers."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return [Requirement(line.partition("  # ")[0]) for line in lines if not line.startswith("#")]


def locked_here() -> dict[str, str]:
    """Return the lock's version of each package for this Python and machine."""
    return {
        canonicalize_name(package.name): str(package.specifier).removeprefix("==")
        for package in locked()
        if package.marker is None or package.marker.evaluate()
    }


def test_the_lock_has_each_pin_in_its_version():
    stated = pinned_versions(PROJECT)
    if sys.version_info >= (3, 13):
        del stated["snakedeploy"]
    found = locked_here()
    assert {name: found.get(name) for name in stated} == stated, AGAIN


def test_the_lock_pins_every_package_exactly_and_names_no_registry():
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text and "index" not in text.lower()
    for package in locked():
        assert re.fullmatch(r"==[0-9][0-9a-z.]*", str(package.specifier)), package
        assert package.url is None


def test_what_is_installed_here_is_what_the_lock_says():
    """Compare versions without the build, such as +cpu."""
    found = {
        canonicalize_name(one.name): Version(one.version).public for one in metadata.distributions()
    }
    wanted = locked_here()
    assert {"torch", "pytest", "timm", "openvino"} <= found.keys(), "run `make test`"
    here = {name: version for name, version in found.items() if name in wanted}
    told = f"{AGAIN} after a change to the manifest, or `make test` to install from the lock"
    assert {name: wanted[name] for name in here} == here, told
