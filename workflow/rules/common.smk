# Configuration, and what the rules share.

import json
import os
import shutil
import sys
from contextlib import contextmanager
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
from salt.decision import Decision
from salt.errors import InputError, raise_faults
from salt.imports import local_files
from salt.new_tiles import NewTiles
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


# Surveys that the workflow itself makes or fetches, by their data.source.
KAGGLE_ZIP = "results/kaggle/tgs-salt-identification-challenge.zip"
SURVEYS = {"demo": "results/demo/survey.zip", "kaggle": KAGGLE_ZIP}
# Stages that bring something from the contest's site, or take it there.
KAGGLE_STAGES = ("download", "submit")


wildcard_constraints:
    seed=r"\d+",


def code(stage, environment):
    """Script of a stage, every module that it imports, and the pins that it runs with.

    As plain inputs, their content counts and not their date. Where a stage only carries something
    over, neither does: what is carried stays the same.
    """
    files = local_files(SCRIPTS / f"{stage}.py")
    files = [str(file) for file in [*files, ROOT / f"envs/{environment}.yaml"]]
    return ancient(files) if stage in KAGGLE_STAGES else files


def settings(*sections):
    """Canonical JSON of some of the configuration's sections: a job is stale where it changes.

    One text and not a parameter each, since Snakemake does not see two parameters swap values.
    """
    return json.dumps({name: config[name] for name in sections}, sort_keys=True)


def fingerprint(part):
    """Digest of the files that a part is imported from; empty where the workflow makes them."""
    if config["data"]["source"] in SURVEYS:
        return ""
    try:
        with Source(config["data"]["source"]) as source:
            return source.fingerprint(part)
    except InputError as error:
        raise WorkflowError(str(error)) from None


def get_survey():
    """The survey; a given one by its fingerprint only, so that its date does not count."""
    source = config["data"]["source"]
    return SURVEYS[source] if source in SURVEYS else ancient(source)


@contextmanager
def telling(key):
    """End with a message that names the key, where Snakemake would print a traceback."""
    try:
        yield
    except InputError as error:
        logger.error(f"{key}: {error}")
        sys.exit(1)


def get_new_tiles(wildcards):
    """The new tiles; by their fingerprint only, so that their date does not count."""
    with telling("predict.tiles"):
        if config["predict"]["tiles"] is None:
            raise InputError("not set; give it the path of a folder or zip of PNG files")
        with NewTiles(config["predict"]["tiles"]) as source:
            return ancient(str(source.path))


def get_new_fingerprint(wildcards):
    """Digest of the new tiles."""
    with telling("predict.tiles"), NewTiles(config["predict"]["tiles"]) as source:
        return source.fingerprint()


def run_folder():
    """Results of the run whose members predict new tiles."""
    run = config["predict"]["run"]
    # In full, so that no rule makes a finished run's files, not even where it is this one.
    return Path("results") if run is None else Path(run).resolve()


def get_threshold(wildcards):
    """Threshold for new tiles: a finished run's, or this run's own."""
    return str(run_folder() / "threshold.json")


def get_members(wildcards):
    """Members for new tiles: a finished run's, or this run's own, which it trains if need be."""
    seeds = SEEDS
    if config["predict"]["run"] is not None:
        with telling("predict.run"):
            seeds = Decision.load(get_threshold(wildcards)).seeds
    return [str(run_folder() / f"models/{seed}/checkpoint.safetensors") for seed in seeds]
