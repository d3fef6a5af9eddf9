# Configuration, and what the rules share.

import json
import os
import shutil
import sys
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

# Relative, so that a project that is moved keeps its results.
ROOT = Path(os.path.relpath(Path(workflow.current_basedir).parents[1]))
SCRIPTS = ROOT / "workflow/scripts"

sys.path.insert(0, str(SCRIPTS.resolve()))
# Jobs find the Python that runs Snakemake, also where its environment is not activated.
os.environ |= {"PATH": os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()])}

from salt.config import faults, uncovered_folds
from salt.errors import InputError, raise_faults
from salt.imports import local_files
from salt.source import Source


configfile: str(ROOT / "config/config.yaml")


SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
try:
    raise_faults("Configuration", faults(config, SCHEMA))
except InputError as error:
    raise WorkflowError(str(error)) from None

SEEDS = config["ensemble"]["seeds"]
THREADS = config["compute"]["threads"]
# Without a GPU to share, members compute side by side; another machine may have one.
NO_GPU = workflow.local_exec and shutil.which("nvidia-smi") is None
GPU = {"cpu": 0, "auto": 0 if NO_GPU else 1, "cuda": 1}[config["compute"]["device"]]

uncovered = uncovered_folds(config)
if uncovered and workflow.is_main_process:
    logger.warning(
        f"No member holds out fold {', '.join(map(str, uncovered))}: the score will cover only "
        f"{config['validation']['folds'] - len(uncovered)} of {config['validation']['folds']} "
        "folds. Add seeds to ensemble.seeds to cover them."
    )


wildcard_constraints:
    seed=r"\d+",


def code(stage, environment):
    """Script of a stage, every module that it imports, and the pins that it runs with.

    As plain inputs, their content counts and not their date.
    """
    files = local_files(SCRIPTS / f"{stage}.py")
    return [str(file) for file in [*files, ROOT / f"envs/{environment}.yaml"]]


def settings(*sections):
    """Canonical JSON of some of the configuration's sections: a job is stale where it changes.

    One text and not a parameter each, since Snakemake does not see two parameters swap values.
    """
    return json.dumps({name: config[name] for name in sections}, sort_keys=True)


def fingerprint(part):
    """Digest of the files that a part is imported from; empty where the workflow makes them."""
    if config["data"]["source"] == "demo":
        return ""
    try:
        with Source(config["data"]["source"]) as source:
            return source.fingerprint(part)
    except InputError as error:
        raise WorkflowError(str(error)) from None


def get_survey():
    """The survey; a given one by its fingerprint only, so that its date does not count."""
    source = config["data"]["source"]
    return "results/demo/survey.zip" if source == "demo" else ancient(source)
