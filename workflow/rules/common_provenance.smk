# The record of what results were made from and with.

import platform
from types import SimpleNamespace

from snakemake import __version__ as snakemake_version

# Sections that results depend on; data.demo is that of the inputs.
RECORDED = [
    "plugins",
    "data.demo",
    "data.demo_volume",
    "survey",
    "validation",
    "ensemble",
    "model",
    "training",
    "augmentation",
    "self_training",
    "inference",
    "compute",
]


def get_fingerprints(wildcards):
    """Return a digest of each of a user's inputs, by its key."""
    files = {"validation.groups": get_groups} | files_of_kinds()
    files |= {f"plugins, {path}": lambda _, path=path: UserFile(path) for path in config["plugins"]}
    if VOLUME:
        files |= {"data.source": get_volume_file, "data.labels": get_labels}
    if VOLUME and isinstance(config["data"]["labels"], dict):
        del files["data.labels"]
        for path in label_files(config["data"]["labels"]):
            files[f"data.labels, {path}"] = lambda wildcards, path=path: user_file(path)
    for name in FURTHER:
        for path in further_inputs(name):
            files[f"data.surveys.{name}, {path}"] = lambda _, path=path: user_file(path)
    for name, (run, own) in ADOPTED[""].items():
        path = f"{run}/models/{own}/checkpoint.safetensors"
        files[f"ensemble.runs, {name}"] = lambda wildcards, path=path: user_file(path)
    found = dict(zip(files, contents(*files.values())(wildcards)))
    found |= {f"data.source, {part}": digest_of_part(part)(wildcards) for part in FINGERPRINTS}
    return {key: digest for key, digest in found.items() if digest}


def files_of_kinds():
    """Return functions of the files that members of each kind begin with, by their keys."""
    found = {}
    for kind in KINDS[""]:
        of_kind = SimpleNamespace(experiment="", kind=f"-{kind}" if kind else "")
        section = f"ensemble.members, {kind}, training" if kind else "training"
        for key, get_files in (("encoder_weights", get_encoder_weights), ("start", get_starts)):
            found[f"{section}.{key}"] = lambda wildcards, get=get_files, of=of_kind: get(of)
    return found


def further_inputs(name):
    """Return the paths of a further survey's files, and of its labels."""
    files = FURTHER_FILES[name].values()
    found = [path for source, labels in files for path in [source, *label_files(labels)]]
    return list(map(str, found))


def get_volume_file(wildcards):
    """Return the file or folder that data.source names, if it is a volume."""
    source = config["data"]["source"]
    return user_file(source) if VOLUME == SEGY_COPY or OF_LINES else segy_for("")


def get_versions(wildcards):
    """Return the versions of all that computes."""
    own = {"python": platform.python_version(), "snakemake": snakemake_version}
    return own | dict(sorted(VERSIONS.items()))


def get_facts(wildcards, input):
    """Return versions, inputs and settings as JSON; as a function of inputs it is not compared."""
    facts = {
        "versions": get_versions(wildcards),
        "inputs": get_fingerprints(wildcards),
        "settings": config,
    }
    return json.dumps(facts)
