# The dataset of a run, and what depends on it.

from functools import cache

from saltseg.settings.check import uncovered_folds, unread_keys
from saltseg.survey.segy_files import is_folder_of_lines, require_file
from saltseg.survey.source import Source

# Datasets that the workflow itself generates or downloads, by data.source.
KAGGLE_ZIP = "results/kaggle/tgs-salt-identification-challenge.zip"
DEMO = "results/demo/survey.zip"
DATASETS = {"demo": DEMO, "kaggle": KAGGLE_ZIP}
DEMO_VOLUME = "results/demo/volume.sgy"
# Of a volume in another container.
SEGY_COPY = "results/data/source.sgy"


def volume_source():
    """Return the SEG-Y file of a run on a volume, or the folder of 2-D lines; None for tiles."""
    source = config["data"]["source"]
    if source == "demo-volume":
        return DEMO_VOLUME
    if not IS_VOLUME:
        return None
    require_plain_path("data.source", source)
    if has_reader(source):
        return SEGY_COPY
    if not (is_elsewhere(source) or is_folder_of_lines(source)):
        with exit_on_input_error("data.source"):
            require_file(source)
    return source


VOLUME = volume_source()
# Whether what is filled are 2-D lines, each with results of its own.
OF_LINES = is_folder_of_lines(VOLUME) if VOLUME else False
for key in ("labels", "surveys"):
    if config["data"][key] and not VOLUME:
        with exit_on_input_error(f"data.{key}"):
            raise InputError(
                f"only a volume has any, but data.source is {config['data']['source']}; name a SEG-Y "
                "file there, or set it to null"
            )
if config["data"]["labels"] and VOLUME == DEMO_VOLUME:
    with exit_on_input_error("data.labels"):
        raise InputError(
            "demo-volume has labels of its own; set it to null, or name another source"
        )
DEMO_SECTIONS = "results/demo/sections.csv"

NEEDS_DEPTH = any(each["model"]["depth"] != "none" for each in ALL_KINDS)


@cache
def warn_of_uncovered_folds():
    """Warn, once and where folds are needed, if no member holds out some of them."""
    folds = config["validation"]["folds"]
    seeds = list(map(seed_of, MEMBERS))
    uncovered = uncovered_folds(config["validation"]["scheme"], folds, seeds)
    if uncovered:
        logger.warning(
            f"No member holds out fold {', '.join(map(str, uncovered))}: the score will cover only "
            f"{folds - len(uncovered)} of {folds} folds. Add seeds to ensemble.seeds to cover them."
        )


def fingerprints():
    """Return a digest of the files of each part that the user's dataset has.

    It replaces the dataset as an input of rules, so that neither date nor location matters. Digests
    are empty for datasets that the workflow itself generates.
    """
    if VOLUME:
        with exit_on_input_error("model.depth"):
            if NEEDS_DEPTH:
                raise InputError("a volume's tiles have no depth; set it to none")
        return {"train": ""}
    if config["data"]["source"] in DATASETS or is_elsewhere(config["data"]["source"]):
        return {"train": "", "test": ""}
    with (
        exit_on_input_error(),
        remembered(CHECKSUMS) as known,
        Source(config["data"]["source"], known) as source,
    ):
        parts = ["train", "test"] if source.has_test else ["train"]
        if NEEDS_DEPTH:
            # Report it now, not when the trained members cannot predict.
            source.require_depths(parts)
        return {part: source.fingerprint(part) for part in parts}


FINGERPRINTS = fingerprints()


def digest_of_part(part):
    """Return a function of the digest of a part of the dataset, or of one that is another's."""

    def digest(wildcards):
        if is_elsewhere(config["data"]["source"]):
            return contents(get_made_dataset)(wildcards)[0]
        return FINGERPRINTS.get(part, "")

    return digest


HAS_TEST = "test" in FINGERPRINTS
with exit_on_input_error("self_training.rounds"):
    if ROUNDS and not HAS_TEST:
        raise InputError(
            f"{ROUNDS} rounds need test tiles to label, but data.source "
            f"{config['data']['source']} has no test/images/ID.png; add them, or set it to 0"
        )


def get_dataset(wildcards):
    """Return the dataset if a rule makes it; exit with a message if there are no test tiles."""
    if not HAS_TEST:
        with exit_on_input_error("data.source"):
            raise InputError(
                f"{config['data']['source']}: expected test tiles as test/images/ID.png, found "
                "none, so there is nothing to predict; add them, or leave out submission.csv"
            )
    return get_made_dataset(wildcards)


def get_made_dataset(wildcards):
    """Return the dataset if a rule or a storage provider makes it, which must have test tiles."""
    source = config["data"]["source"]
    if source in DATASETS:
        return DATASETS[source]
    return user_file(source) if is_elsewhere(source) else []


def with_test(*files):
    """Return files that depend on test tiles; none if the dataset has none."""
    return list(files) if HAS_TEST else []


def if_volume(*files):
    """Return files that only a run on a volume has; none for tiles."""
    return list(files) if VOLUME else []


def if_one_volume(*files):
    """Return files that only a run on a single volume has; none for tiles and 2-D lines."""
    return list(files) if VOLUME and not OF_LINES else []


def get_groups(wildcards):
    """Return the file of groups, if any; exit with a message if it is missing."""
    warn_of_uncovered_folds()
    groups = config["validation"]["groups"]
    if groups is None or getattr(wildcards, "prefix", ""):
        return []
    if Path(groups) == Path(DEMO_SECTIONS):
        return DEMO_SECTIONS
    if not (is_elsewhere(groups) or Path(groups).is_file()):
        with exit_on_input_error("validation.groups"):
            raise InputError(
                f"{groups}: no such file in {Path.cwd()}; give the path of a CSV file with the "
                f"columns id and {config['validation']['group_column']}, or null"
            )
    return user_file(groups)


def get_source(wildcards, input):
    """Return the path of the dataset; parameters derived from inputs make no job stale."""
    return input[0] if input else config["data"]["source"]
