# Configuration, and what the rules share.
#
# Of Snakemake's internals, as of 9.27, this uses attributes of `workflow`: current_basedir,
# config_settings, output_settings, is_main_process, and local_exec, whose absence ends any run with
# an AttributeError. tests/workflow/test_workflow.py covers their meaning
# (`test_local_jobs_request_a_gpu_if_there_is_one` that of local_exec), and workflow/engine says
# what else is used.

import hashlib
import json
import os
import re
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import yaml
from snakemake.logging import logger
from snakemake.utils import update_config


def project():
    """Return the folder of this workflow's own files, which the rules and their jobs read."""
    here = workflow.current_basedir
    if not isinstance(here, os.PathLike):
        return fetched()
    root = Path(here).parents[1]
    # Relative, so that moving a project with its results makes nothing stale.
    return Path(os.path.relpath(root)) if Path.cwd().is_relative_to(root) else root


def fetched():
    """Fetch this workflow's own files from the repository that a module names; return their folder.

    Snakemake's own cache does not suffice: it may add the commit to each name, and it is deleted
    with the process, which jobs on a cluster may outlive.
    """
    names = Path(workflow.source_path("../files.txt")).read_text().splitlines()
    files = {name: Path(workflow.source_path(f"../../{name}")).read_bytes() for name in names}
    digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:16]
    folder = Path(".snakemake/salt-segmentation", digest)
    if not folder.exists():
        part = folder.with_name(f"{digest}.{os.getpid()}")
        for name, data in files.items():
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            (part / name).write_bytes(data)
        try:
            part.rename(folder)
        except OSError:
            # Another process was faster.
            shutil.rmtree(part)
    return folder


ROOT = project()
SCRIPTS = ROOT / "workflow/scripts"

sys.path[:0] = [str(SCRIPTS.resolve()), str((ROOT / "workflow").resolve())]
# Jobs find the Python that runs Snakemake even if its environment is not activated.
os.environ |= {"PATH": os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()])}

from engine.command_line import typed
from engine.record import (
    clear_locks,
    fresh_summary,
    has_lost_record,
    record_only_finished,
    remove_states,
)
from engine.terminal import last_words, make_terse, print_at_exit
from salt.core.checksums import check_folder, follow_date
from salt.settings.config import completed, faults, uncovered_folds
from salt.evaluation.decision import Decision
from salt.core.errors import InputError, raise_faults
from salt.stage.code_files import behaviour, local_files
from salt.output.masks import refuse_others
from salt.survey.folds import folds_of
from salt.survey.new_tiles import NewTiles
from salt.survey.segy_files import is_segy, refuse_mixture, require_file, segy_files
from salt.survey.source import Source

printing = workflow.output_settings
make_terse(logger, printing.dryrun or printing.verbose or printing.printshellcmds)


configfile: str(ROOT / "config/config.yaml")


if workflow.modifier.is_main_snakefile():
    for section in typed(workflow.config_settings.config_args):
        update_config(config, section)


PREFIX = workflow.modifier.path_modifier


def placed(path):
    """Return where a file of this workflow lies, by the prefix of a module.

    Snakemake does the same with inputs, outputs, logs and benchmarks, but not with parameters.
    """
    return PREFIX.replace_prefix(path)


def foreign(path):
    """Return the path of a user's own file as an input that a module's prefix leaves alone."""
    return path if placed(path) == path else str(Path(path).absolute())


@contextmanager
def telling(what=None):
    """Exit with a message, which begins with a key if there is one, as the last lines of the screen.

    A WorkflowError would end with a line of code, and in a dry run Snakemake's log goes to standard
    output.
    """
    try:
        yield
    except InputError as error:
        sys.exit(f"{what}: {error}" if what else str(error))


def refuse_odd(what, path):
    """Exit with a message if Snakemake cannot use a path as it is."""
    text = str(path or "")
    with telling(what):
        if set("{}") & set(text):
            raise InputError(f"{text}: braces are wildcards to Snakemake; rename it")
        if text != text.encode(errors="replace").decode():
            raise InputError(f"{text!r}: expected a name in UTF-8; rename it")


refuse_odd("the project's folder", ROOT.resolve())

SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
# A module's config replaces that of config/config.yaml, and need not be complete.
config = completed(config, SCHEMA)
with telling():
    raise_faults("Configuration", faults(config, SCHEMA))

# data.source is not an input of a rule, so it may have any name.
for section, key in [
    *(("validation", "groups"), ("data", "labels"), ("predict", "source"), ("predict", "run")),
    ("training", "encoder_weights"),
]:
    refuse_odd(f"{section}.{key}", config[section][key])

# Their order makes no difference.
SEEDS = sorted(config["ensemble"]["seeds"])
ROUNDS = config["self_training"]["rounds"]
THREADS = config["compute"]["threads"]
SHARDS = config["inference"]["shards"]

# Surveys that the workflow itself generates or downloads, by data.source.
KAGGLE_ZIP = "results/kaggle/tgs-salt-identification-challenge.zip"
SURVEYS = {"demo": "results/demo/survey.zip", "kaggle": KAGGLE_ZIP}
DEMO_VOLUME = "results/demo/volume.sgy"


def volume_source():
    """Return the SEG-Y file of a run on a volume, None for a run on tiles."""
    source = config["data"]["source"]
    if source == "demo-volume":
        return DEMO_VOLUME
    if not is_segy(source):
        return None
    refuse_odd("data.source", source)
    with telling("data.source"):
        require_file(source)
    return source


VOLUME = volume_source()
DEMO_SECTIONS = "results/demo/sections.csv"

config["validation"]["folds"] = folds_of(config["validation"], volume=VOLUME is not None)

uncovered = uncovered_folds(config)
if uncovered and workflow.is_main_process:
    logger.warning(
        f"No member holds out fold {', '.join(map(str, uncovered))}: the score will cover only "
        f"{config['validation']['folds'] - len(uncovered)} of {config['validation']['folds']} "
        "folds. Add seeds to ensemble.seeds to cover them."
    )

groups = config["validation"]["groups"]
if groups is not None and Path(groups) == Path(DEMO_SECTIONS):
    # A file of this workflow, which a module's prefix moves, unlike a user's own.
    config["validation"]["groups"] = placed(groups)


def add_handlers(**handlers):
    """Add a module's handlers; Snakemake only runs those of the main Snakefile."""

    def both(first, second):
        def handle(log):
            first(log)
            second(log)

        return handle

    for name, handler in handlers.items():
        setattr(workflow, f"_{name}", both(getattr(workflow, f"_{name}"), handler.func))


def refuse_to_submit_from_odd_folders():
    """Exit with a message if a folder's name would run commands when jobs are submitted.

    The plugins (cluster-generic 1.0, slurm 2.8) put what they submit in double quotes.
    """
    executor = workflow.executor_settings
    if hasattr(executor, "submit_cmd"):
        odd = set('"$`\\')
    elif not getattr(executor, "pass_command_as_script", True):
        odd = set("$`\\")
    else:
        return
    paths = [
        ("--directory", Path.cwd(), odd),
        ("the project's folder", ROOT.resolve(), odd),
        # No quotes either: job scripts contain its path unquoted.
        ("the Python that runs Snakemake", sys.executable, odd | set(" '")),
    ]
    for what, path, special in paths:
        found = sorted(special & set(str(path)))
        if found:
            with telling(what):
                named = " ".join("a space" if each == " " else each for each in found)
                raise InputError(
                    f"{path}: the plugin that submits jobs hands it to a shell, to which "
                    f"{named} means something else; use a folder without"
                )


ALIVE = clear_locks() if workflow.is_main_process else None

if workflow.is_main_process and "--unlock" not in sys.argv:
    # Jobs check as well, but only after Snakemake has deleted their previous outputs.
    with telling():
        check_folder(placed("results"))

if workflow.is_main_process and has_lost_record(results=placed("results")):
    logger.warning(
        "results/ is here without the .snakemake/ that was beside it, so only dates can tell "
        "what is stale, and a changed setting goes unseen; --forceall rebuilds everything."
    )


wildcard_constraints:
    seed=r"\d+",
    shard=r"\d+",
    fold=r"\d+",
    # Empty for the last round, whose members are the final ones.
    round=r"(rounds/\d+/)?",


def code(stage, environment):
    """Return the code of a stage as parameters: each file that it uses, and its pinned packages.

    One per file, such as "salt/training/losses.py 1f0c...", so that `make status` can name the one
    that changed. Digests ignore comments and docstrings. Files beside a module with the same name
    and another extension, such as its templates, are included.
    """
    files = local_files(SCRIPTS / f"{stage}.py")
    files += sorted(
        {part for file in files for part in file.parent.glob(f"{file.stem}.*")} - {*files}
    )
    used = [f"{file.relative_to(SCRIPTS)} {behaviour(file)}" for file in files]
    pins = ROOT / f"envs/{environment}.yaml"
    return [*used, f"envs/{pins.name} {behaviour(pins)}"]


def script(stage):
    """Return the path of a stage's script, for its command.

    As a function of inputs, whose results Snakemake does not compare, so that moving the project
    makes nothing stale.
    """

    def path(wildcards, input):
        return str(SCRIPTS / f"{stage}.py")

    return path


def settings(*names):
    """Return the sections, or single keys such as "inference.flip", that a stage reads, as JSON.

    A job is stale if it changes. It is one text instead of a parameter each, since Snakemake does
    not notice two parameters that swap values, and a function's result, in which braces are no
    wildcards.
    """
    chosen = {}
    for name in names:
        section, _, key = name.partition(".")
        part = {key: config[section][key]} if key else config[section]
        chosen.setdefault(section, {}).update(part)
    text = json.dumps(chosen, sort_keys=True)
    return lambda wildcards: text


def get_gpus(wildcards):
    """Return the number of GPUs of a computing job; 0 lets members run side by side on the CPU.

    A function, since the executor is unknown while the configuration is read: jobs sent to a
    cluster request a GPU whether or not this machine has one.
    """
    if config["compute"]["device"] == "auto" and workflow.local_exec:
        return 1 if shutil.which("nvidia-smi") else 0
    return 0 if config["compute"]["device"] == "cpu" else 1


def survey():
    """Return a digest of the files of each part that the user's survey has.

    It replaces the survey as an input of rules, so that neither date nor location matters. Digests
    are empty for surveys that the workflow itself generates.
    """
    if VOLUME:
        with telling("model.depth"):
            if config["model"]["depth"] != "none":
                raise InputError("a volume's tiles have no depth; set it to none")
        return {"train": ""}
    if config["data"]["source"] in SURVEYS:
        return {"train": "", "test": ""}
    with telling(), Source(config["data"]["source"]) as source:
        parts = ["train", "test"] if source.has_test else ["train"]
        if config["model"]["depth"] != "none":
            # Report it now, not when the trained members cannot predict.
            source.require_depths(parts)
        return {part: source.fingerprint(part) for part in parts}


FINGERPRINTS = survey()
HAS_TEST = "test" in FINGERPRINTS
with telling("self_training.rounds"):
    if ROUNDS and not HAS_TEST:
        raise InputError(
            f"{ROUNDS} rounds need test tiles to label, but data.source "
            f"{config['data']['source']} has no test/images/ID.png; add them, or set it to 0"
        )


def get_survey(wildcards):
    """Return the survey if a rule makes it; exit with a message if there are no test tiles."""
    if not HAS_TEST:
        with telling("data.source"):
            raise InputError(
                f"{config['data']['source']}: expected test tiles as test/images/ID.png, found "
                "none, so there is nothing to predict; add them, or leave out submission.csv"
            )
    return SURVEYS.get(config["data"]["source"], [])


def with_test(*files):
    """Return files that depend on test tiles; none if the survey has none."""
    return list(files) if HAS_TEST else []


def of_volume(*files):
    """Return files that only a run on a volume has; none for tiles."""
    return list(files) if VOLUME else []


def with_lines(*names):
    """Return arguments about labelled lines, each named like its input; none for tiles."""

    def arguments(wildcards, input):
        return [each for name in names for each in (f"--{name}", input[name][0])] if VOLUME else []

    return arguments


def held_out(seed):
    """Return the fold that the member with this seed holds out; 0 outside k-fold."""
    kfold = config["validation"]["scheme"] == "kfold"
    return int(seed) % config["validation"]["folds"] if kfold else 0


def round_before(wildcards):
    """Return the folder of the previous round of training, None for the first."""
    number = int(wildcards.round.split("/")[1]) if wildcards.round else ROUNDS
    return f"rounds/{number - 1}/" if number else None


def get_pseudo_labels(wildcards):
    """Return labels by the previous round's members that held out the same fold, if any."""
    before = round_before(wildcards)
    stem = f"results/{before}pseudo_labels/{held_out(wildcards.seed)}"
    return [f"{stem}.npy", f"{stem}.csv"] if before else []


def get_unlabelled(wildcards):
    """Return the test tiles if they are trained on with pseudo-labels."""
    part = "results/data/test/"
    return [f"{part}tiles.csv", f"{part}images.npy"] if round_before(wildcards) else []


def further_tiles(wildcards, input):
    """Return the training's arguments about pseudo-labels."""
    if not input.pseudo_labels:
        return []
    return [
        *("--pseudo-labels", input.pseudo_labels[0]),
        *("--unlabelled", input.unlabelled[0]),
    ]


def get_fold_predictions(wildcards):
    """Return a round's test predictions by the members that held out one fold."""
    return expand(
        "results/{round}predictions/test/{seed}/{shard}.npy",
        round=wildcards.round,
        seed=[seed for seed in SEEDS if held_out(seed) == int(wildcards.fold)],
        shard=range(SHARDS),
    )


def get_fold_ids(wildcards):
    """Return the files of ids beside these predictions."""
    return [path.replace(".npy", ".csv") for path in get_fold_predictions(wildcards)]


def get_groups(wildcards):
    """Return the file of groups, if any; exit with a message if it is missing."""
    groups = config["validation"]["groups"]
    if groups is None:
        return []
    if Path(groups) == Path(rules.demo.output.sections):
        return rules.demo.output.sections
    if not Path(groups).is_file():
        with telling("validation.groups"):
            raise InputError(
                f"{groups}: no such file in {Path.cwd()}; give the path of a CSV file with the "
                f"columns id and {config['validation']['group_column']}, or null"
            )
    return foreign(groups)


def get_encoder_weights(wildcards):
    """Return the file of an encoder's weights, if any; exit with a message if it is missing."""
    weights = config["training"]["encoder_weights"]
    if weights is None:
        return []
    if not Path(weights).is_file():
        with telling("training.encoder_weights"):
            raise InputError(
                f"{weights}: no such file in {Path.cwd()}; give the path of a file of weights, "
                "safetensors or of torch.save, or null"
            )
    return foreign(weights)


def get_source(wildcards, input):
    """Return the path of the survey; parameters derived from inputs make no job stale."""
    return input.survey or config["data"]["source"]


# Masks of new tiles, by `snakemake predict`.
NEW_MASKS = "results/predict/masks"


def get_new_tiles(wildcards):
    """Return the new tiles, ignoring their date, since their fingerprint is compared.

    Exit with a message if the folder of masks has other files, before Snakemake empties it.
    """
    with telling("snakemake predict"):
        refuse_others(Path(placed(NEW_MASKS)))
    with telling("predict.source"):
        if config["predict"]["source"] is None:
            raise InputError(
                "not set; give it the path of a folder or zip of PNG files, or of a SEG-Y file"
            )
        with NewTiles(config["predict"]["source"]) as source:
            return ancient(foreign(str(source.path)))


def get_new_fingerprint(wildcards):
    """Return a digest of the new tiles."""
    with telling("predict.source"), NewTiles(config["predict"]["source"]) as source:
        return source.fingerprint()


def predicted_volumes():
    """Return the SEG-Y files to predict, by the folder of their results; none for tiles.

    They are checked only if a target needs them.
    """
    source = config["predict"]["source"]
    if source is None:
        return {}
    if is_segy(source):
        return {"predict/": source}
    if not Path(source).is_dir():
        return {}
    return {f"predict/{name}/": str(path) for name, path in segy_files(source).items()}


PREDICTED_VOLUMES = predicted_volumes()


def run_folder():
    """Return the results folder of the run whose members predict new tiles."""
    run = config["predict"]["run"]
    # Absolute, so that no rule makes a finished run's files, even if it is this one.
    return Path("results") if run is None else Path(run).resolve()


def get_threshold(wildcards):
    """Return the threshold for new tiles: a finished run's, or this run's own."""
    return str(run_folder() / "threshold.json")


def get_members(wildcards):
    """Return the members for new tiles: a finished run's, or this run's, trained if needed."""
    seeds = SEEDS
    if config["predict"]["run"] is not None:
        with telling("predict.run"):
            seeds = Decision.load(get_threshold(wildcards)).seeds
    return [str(run_folder() / f"models/{seed}/checkpoint.safetensors") for seed in seeds]
