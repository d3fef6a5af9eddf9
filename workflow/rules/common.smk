# Configuration, and what all rules share.
#
# Of Snakemake's internals this uses four attributes of `workflow`, whose absence ends any run with
# an AttributeError: overwrite_configfiles, since YAML keeps the last of two equal keys without a word
# (https://github.com/snakemake/snakemake/issues/2323); rules, since a module does not know which
# files its importer makes; local_exec, since GPUs are not detected
# (https://github.com/snakemake/snakemake/issues/281); and deployment_settings, since with conda
# others compute than the packages installed here.
# workflow/engine/record.py names the others.

import hashlib
import json
import os
import re
import shutil
import sys
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from snakemake.logging import logger


def project():
    """Return the folder of this workflow's own files, which the rules and their jobs read."""
    root = Path(workflow.snakefile).parents[2]
    if not (root / "workflow/scripts").is_dir():
        return fetched()
    # Relative, so that moving a project with its results makes nothing stale.
    return Path(os.path.relpath(root)) if Path.cwd().is_relative_to(root) else root


def fetched():
    """Fetch this workflow's own files from the repository that a module names; return their folder.

    Snakemake's own cache does not suffice: it may add the commit to each name, and it is deleted
    with the process, which jobs on a cluster may outlive.
    """
    names = Path(workflow.source_path("../files.txt")).read_text("utf-8").splitlines()
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
# Scripts find the package beside them.
os.environ.pop("PYTHONSAFEPATH", None)

from engine.environments import read_pins
from engine.given import doubled_keys
from saltseg.core.errors import InputError, raise_faults
from saltseg.core.fingerprint import fingerprint, remembered
from saltseg.evaluation.decision import Decision, read_report
from saltseg.device.gpu_lease import has_gpu
from saltseg.settings.check import complete, configurations, kinds, resolve
from saltseg.settings.members import kind_of, name_of, run_name, seed_of
from saltseg.stage.code_files import behaviour, installed_version, local_files, packages
from saltseg.survey.readers import has_reader
from saltseg.survey.segy_files import is_folder_of_lines, is_segy


configfile: str(ROOT / "config/config.yaml")


@contextmanager
def exit_on_input_error(what=None):
    """Exit with a message, which begins with a key if there is one, as the last lines of the screen.

    A WorkflowError would end with a line of code, and in a dry run Snakemake's log goes to standard
    output.
    """
    try:
        yield
    except InputError as error:
        sys.exit(f"{what}: {error}" if what else str(error))


IS_MODULE = Path(workflow.basedir) not in (ROOT.resolve(), ROOT.resolve() / "workflow")

if not IS_MODULE:
    with exit_on_input_error():
        doubled = map(doubled_keys, workflow.overwrite_configfiles)
        raise_faults("Configuration", list(chain.from_iterable(doubled)))


class UserFile(str):
    """The path of a user's own file, which is no input of a rule.

    So neither its date nor its place matters, nor a module's prefix: a file may be replaced by an
    older one, or dated in the future. Rules compare contents instead (see `contents`).
    """


def is_elsewhere(path):
    """Return whether a file is another's to make: of a storage provider, or of an importer's rule."""
    return "://" in str(path) or (IS_MODULE and not (Path(path).exists() and is_given(path)))


def is_given(path):
    """Return whether no rule makes a file; all rules are known only once jobs are planned."""
    return not any(each.is_producer(str(path)) for each in workflow.rules)


def user_file(path):
    """Return a user's own file or, where it is another's to make, an input without a prefix."""
    if "://" in str(path):
        return storage(path)
    return local(path) if is_elsewhere(path) else UserFile(path)


def made(get_files):
    """Return a function of those of some files that a rule makes, which are inputs."""

    def files(wildcards):
        found = get_files(wildcards)
        return [] if is_users(found) else found

    return files


def is_users(files):
    """Return whether one file or several are a user's own."""
    return all(
        isinstance(file, UserFile) for file in ([files] if isinstance(files, str) else files)
    )


# Of a user's files, so that each is read once and not at each start.
CHECKSUMS = Path(".snakemake/salt-segmentation/checksums.json")


def contents(*get_files):
    """Return a function of the digests of a user's files, which functions of wildcards name.

    Digests of files that the workflow makes are empty; of a storage provider's, Snakemake alone would
    notice only those with a later date.
    """

    def digests(wildcards):
        with exit_on_input_error(), remembered(CHECKSUMS) as known:
            return [digest(get_file(wildcards), known) for get_file in get_files]

    return digests


def digest(files, known):
    """Return the digest of one file, of several, or of none."""
    if isinstance(files, (list, tuple)):
        return [digest(file, known) for file in files]
    if "storage_object" in getattr(files, "flags", {}):
        return stored_digest(files.flags["storage_object"])
    return fingerprint(files, known) if isinstance(files, UserFile) else ""


def stored_digest(stored):
    """Return size and date of a storage provider's file; nothing if it is missing, as Snakemake says."""
    return f"{stored.size()} bytes of {stored.mtime()}" if stored.exists() else ""


def is_own(run):
    """Return whether the results folder of a finished run is this run's."""
    return Path(run).resolve() == RESULTS.resolve()


def require_plain_path(what, path):
    """Exit with a message if Snakemake cannot use a path as it is."""
    text = str(path or "")
    with exit_on_input_error(what):
        if set("{}") & set(text):
            raise InputError(f"{text}: braces are wildcards to Snakemake; rename it")
        if text != text.encode(errors="replace").decode():
            raise InputError(f"{text!r}: expected a name in UTF-8; rename it")


require_plain_path("the project's folder", ROOT.resolve())

with exit_on_input_error():
    # A module's config replaces that of config/config.yaml, and need not be complete.
    config = complete(config).model_dump(mode="json")
    EXPERIMENTS = configurations(config)

IS_VOLUME = config["data"]["source"] == "demo-volume" or any(
    is_volume(config["data"]["source"]) for is_volume in (is_segy, has_reader, is_folder_of_lines)
)
config = resolve(config, IS_VOLUME)
# Configurations by the folder of their members below results/, empty for the run itself.
CONFIGS = {"": config} | {
    f"experiments/{name}/": resolve(each, IS_VOLUME) for name, each in EXPERIMENTS.items()
}
# By these folders and the names of kinds of members, of which the run's own has none.
KINDS = {folder: kinds(each, IS_VOLUME) for folder, each in CONFIGS.items()}
ALL_KINDS = [each for of_folder in KINDS.values() for each in of_folder.values()]


def adopted_in(folder):
    """Return finished members of other runs that one of these folders has, by their names in it.

    Each with its run's results folder and its name there.
    """
    found = {}
    for run in CONFIGS[folder]["ensemble"]["runs"]:
        require_plain_path("ensemble.runs", run)
        with exit_on_input_error("ensemble.runs"):
            names = Decision.load(f"{run}/threshold.json").members
        found |= {f"{run_name(run)}-{name}": (run, name) for name in names}
    return found


ADOPTED = {folder: adopted_in(folder) for folder in CONFIGS}

# data.source is not an input of a rule, so it may have any name.
for section, key in [
    *(("validation", "groups"), ("predict", "source"), ("predict", "run")),
    *(("training", "encoder_weights"), ("training", "start")),
]:
    for each in ALL_KINDS:
        require_plain_path(f"{section}.{key}", each[section][key])


def label_files(labels):
    """Return the paths that data.labels names, of horizons top and base of one body by another."""
    if not isinstance(labels, dict):
        return [] if labels is None else [labels]
    paths = chain.from_iterable((body["top"], body["base"]) for body in labels["bodies"])
    return [path for path in paths if path is not None]


FURTHER = config["data"]["surveys"] or {}
for path in label_files(config["data"]["labels"]):
    require_plain_path("data.labels", path)
for name, survey in FURTHER.items():
    require_plain_path(f"data.surveys.{name}.source", survey["source"])
    for path in label_files(survey["labels"]):
        require_plain_path(f"data.surveys.{name}.labels", path)


def config_of(wildcards):
    """Return the configuration of a job: of its member's kind, of its experiment, or of the run.

    Of a further survey, its own keys replace those of the section `survey`.
    """
    folder, kind = getattr(wildcards, "experiment", ""), kind_in(wildcards)
    # Members of other runs are predicted with as the run's own.
    found = KINDS[folder].get(kind, CONFIGS[folder])
    own = FURTHER.get(survey_of(getattr(wildcards, "prefix", "")), {}).items()
    keys = {key: value for key, value in own if key in found["survey"]}
    return found | {"survey": found["survey"] | keys}


def survey_of(prefix):
    """Return the name of the further survey that a folder of results is of, None for others."""
    first, name = [*Path(prefix).parts, "", ""][:2]
    return name if first == "surveys" else None


def kind_in(wildcards):
    """Return the kind of member that a job is for; None for a job of all of them."""
    if hasattr(wildcards, "member"):
        return kind_of(wildcards.member)
    return wildcards.kind.removeprefix("-") if hasattr(wildcards, "kind") else None


def trained_in(folder):
    """Return the names of the members trained in a folder below results/, empty for that itself."""
    # The order of kinds and seeds in the configuration makes no difference.
    return [
        name_of(kind, seed)
        for kind, each in sorted(KINDS[folder].items())
        for seed in sorted(each["ensemble"]["seeds"])
    ]


def members_in(folder):
    """Return the names of all members in such a folder, those of other runs included."""
    return [*trained_in(folder), *sorted(ADOPTED[folder])]


def members_of(wildcards):
    """Return the names of the members of an experiment, or of the run itself."""
    return members_in(getattr(wildcards, "experiment", ""))


def pattern_of(names):
    """Return a wildcard's pattern of some names; an empty one is no pattern without brackets."""
    return f"({'|'.join(map(re.escape, sorted({*names})))})"


MEMBERS, TRAINED = members_in(""), trained_in("")
TRAINED_MEMBER = pattern_of(chain.from_iterable(map(trained_in, CONFIGS)))
ADOPTED_MEMBER = pattern_of(chain.from_iterable(ADOPTED.values()))
ROUNDS = config["self_training"]["rounds"]
THREADS = config["compute"]["threads"]
SHARDS = config["inference"]["shards"]


wildcard_constraints:
    # Such as 0, or lovasz-0 of a kind with a name.
    member=pattern_of(chain.from_iterable(map(members_in, CONFIGS))),
    # Empty for the one without a name, or such as -lovasz.
    kind=pattern_of(f"-{name}" if name else "" for each in KINDS.values() for name in each),
    shard=r"\d+",
    fold=r"\d+",
    # Empty for the run itself.
    experiment=f"({'|'.join(CONFIGS)})",
    # Empty for the last round, whose members are the final ones.
    round=r"(rounds/\d+/)?",


def read_code():
    """Return files with their digests, and packages, of each stage, by its name.

    Files beside a module with the same name and another extension, such as its templates, are
    included. Remembered until a file changes, since this is half of a start of Snakemake.
    """
    read = [file for file in sorted(SCRIPTS.rglob("*.*")) if "__pycache__" not in file.parts]
    key = hashlib.sha256(b"".join(file.read_bytes() for file in read)).hexdigest()
    with remembered(CHECKSUMS.with_name("code.json")) as known:
        if key not in known:
            known.clear()
            known[key] = {script.stem: used_by(script) for script in SCRIPTS.glob("*.py")}
        return known[key]


def used_by(script):
    """Return the files, with digests, and the packages that a script uses."""
    files = local_files(script)
    others = {part for file in files for part in file.parent.glob(f"{file.stem}.*")} - {*files}
    used = [f"{file.relative_to(SCRIPTS)} {behaviour(file)}" for file in [*files, *sorted(others)]]
    return used, packages(files)


CODE = read_code()


def code(stage, environment):
    """Return the code of a stage as parameters: each file that it uses, and its packages.

    One per file, such as "saltseg/training/losses.py 1f0c...", so that `make status` can name the one
    that changed. Digests ignore comments and docstrings. Plugins are those of stages with PyTorch.
    """
    files, used = CODE[stage]
    plugins = map(Path, config["plugins"] if environment == "torch" else [])
    own = [f"{file.name} {behaviour(file)}" for file in plugins]
    pins = ROOT / f"envs/{environment}.yaml"
    return [*files, *own, f"envs/{pins.name} {behaviour(pins)}", *versions(used, read_pins(pins))]


# Of all stages, by package.
VERSIONS = {}


def versions(names, pins):
    """Return packages that a stage computes with, in their installed versions.

    Those of conda, and those that are not installed here, are as pinned.
    """
    as_pinned = "conda" in map(str, workflow.deployment_settings.deployment_method)
    used = {
        name: pins[name] if as_pinned else installed_version(name) or pins[name]
        for name in names
        if name in pins
    }
    VERSIONS.update(used)
    return [f"{name} {version}" for name, version in used.items()]


# The command of a stage without settings, and of one with some. Rules give their files the names of
# its arguments.
BARE_STAGE = "python {params.command:q} --threads {threads} --log {log:q}"
STAGE = f"{BARE_STAGE} {{params.settings:q}}"


def command(stage, **get_files):
    """Return the path of a stage's script, and its named inputs and outputs as arguments.

    An input `tiles` is passed as `--tiles`; those without a name, and empty ones, are not passed.
    As a function of inputs, whose results Snakemake does not compare, so that moving the project
    makes nothing stale.

    Args:
        get_files: functions of files by their names, which are passed even if a user's own.
    """

    def arguments(wildcards, input, output):
        files = {name: get_file(wildcards) for name, get_file in get_files.items()}
        users = {name: found for name, found in files.items() if is_users(found)}
        return [str(SCRIPTS / f"{stage}.py"), *flags(input), *flags(users), *flags(output)]

    return arguments


def flags(files):
    """Return named inputs or outputs of a job as arguments."""
    found = []
    for name, paths in files.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(paths, str):
            found.append(f"{flag}={paths}")
        elif paths:
            found += [flag, *paths]
    return found


def settings(*names, ignoring=()):
    """Return sections, or single keys such as "inference.flip", that a stage reads, as an argument.

    A job is stale if one changes. Those `ignoring`, and those that no stage reads, are not passed.
    They are one text instead of a parameter each, since Snakemake does not notice two parameters
    that swap values, and a function's result, in which braces are no wildcards.
    """

    def argument(wildcards):
        values, chosen = config_of(wildcards), {}
        omitted = unread_keys(values, volume=VOLUME is not None) | {*ignoring}
        for name in names:
            section, _, key = name.partition(".")
            if not isinstance(values[section], dict):
                chosen[section] = values[section]
                continue
            part = {key: values[section][key]} if key else values[section]
            left = {key: each for key, each in part.items() if f"{section}.{key}" not in omitted}
            chosen.setdefault(section, {}).update(left)
        return ["--settings", json.dumps(chosen, sort_keys=True)]

    return argument


def in_report(path, category, shows):
    """Return an output that Snakemake's own report shows; its caption has the file's name."""
    caption = f"../report/{Path(path).stem}.rst"
    return report(path, caption=caption, category=category, labels={"shows": shows})


def uncompared(get_argument):
    """Return a parameter that makes no job stale, since it is a function of inputs."""
    return lambda wildcards, input: get_argument(wildcards)


def growing(**resources):
    """Return resources, by name, that grow with each attempt, up to three times."""

    def grow(value):
        return lambda wildcards, attempt: value * min(attempt, 3)

    return {name: grow(value) for name, value in resources.items()}


def get_gpus(wildcards):
    """Return the number of GPUs of a computing job; 0 lets members run side by side on the CPU.

    A function, since the executor is unknown while the configuration is read: jobs sent to a
    cluster request a GPU whether or not this machine has one.
    """
    if config["compute"]["device"] == "auto" and workflow.local_exec:
        return int(has_gpu())
    return 0 if config["compute"]["device"] == "cpu" else 1
