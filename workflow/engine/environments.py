"""Write envs/*.yaml, the environments for conda, from the pins of pyproject.toml.

python workflow/engine/environments.py
"""

import tomllib
from functools import cache
from itertools import chain
from pathlib import Path

import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
HEAD = """\
# {purpose}
# Written by `make lock`.
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python ={python}
"""


def generate() -> dict[Path, str]:
    """Return the text of each environment's file."""
    manifest = tomllib.loads((ROOT / "pyproject.toml").read_text())
    versions = pinned_versions(manifest["project"])
    python = manifest["project"]["requires-python"].removeprefix(">=").partition(",")[0]
    return {
        ROOT / f"envs/{name}.yaml": render(environment, versions, python)
        for name, environment in manifest["tool"]["salt-segmentation"]["envs"].items()
    }


@cache
def read_pins(file: Path) -> dict[str, str]:
    """Return the version of each package that an environment's file pins."""
    names = {conda: name for name, conda in CONDA_NAMES.items()}
    lines = yaml.safe_load(file.read_text(encoding="utf-8"))["dependencies"]
    flat = chain.from_iterable(each["pip"] if isinstance(each, dict) else [each] for each in lines)
    found = {}
    for line in flat:
        name, _, pin = line.replace(" ", "").partition("=")
        found[names.get(name, name)] = pin.removeprefix("=")
    return found


def pinned_versions(project: dict) -> dict[str, str]:
    """Return the version of each package that the dependencies and extras pin."""
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    packages = [Requirement(line) for lines in lists for line in lines]
    return {
        package.name: str(package.specifier).removeprefix("==")
        for package in packages
        if package.specifier
    }


def render(environment: dict, versions: dict[str, str], python: str) -> str:
    text = HEAD.format(purpose=environment["purpose"], python=python)
    for name in environment["conda"]:
        text += f"  - {CONDA_NAMES.get(name, name)} ={versions[name]}\n"
    if environment.get("pip"):
        text += "  - pip\n  - pip:\n"
        text += "".join(f"      - {name}=={versions[name]}\n" for name in environment["pip"])
    return text


if __name__ == "__main__":
    for path, text in generate().items():
        path.write_text(text)
