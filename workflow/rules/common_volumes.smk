# Shared by the rules for volumes.

from saltseg.core.header import read_checkpoint
from saltseg.survey.segy_files import labelled_files, refuse_mixture, require_file, segy_files

# Folders of the data of surveys with labels.
LABELLED_PREFIX = r"(surveys/[^/]+/)?"
DEMO_LABELS = "results/demo/labels.sgy"
# Outputs for a volume, in results/volume/ or results/predict/; in the latter also index.html.
VOLUME_OUTPUTS = [
    "probability.zarr",
    "probability.sgy",
    "bodies.zarr",
    "mask.sgy",
    "bodies.sgy",
    "surfaces",
    "top_salt.csv",
    "base_salt.csv",
    "next_lines.csv",
    "volume.json",
]


def further_files(name):
    """Return the SEG-Y files of a further survey, and their labels, by the folder of their results.

    Exit with a message if there are none.
    """
    survey = FURTHER[name]
    if not Path(survey["source"]).is_dir() or has_reader(survey["source"]):
        return {f"surveys/{name}/": (survey["source"], survey["labels"])}
    with exit_on_input_error():
        files = labelled_files(survey["source"], survey["labels"], f"data.surveys.{name}")
    require_plain_names(f"data.surveys.{name}", files)
    return {f"surveys/{name}/{file}/": paths for file, paths in files.items()}


def require_plain_names(key, files):
    """Exit with a message if Snakemake cannot use one of a folder's files, or its labels."""
    for path, labels in files.values():
        require_plain_path(f"{key}.source", path)
        require_plain_path(f"{key}.labels", labels)


FURTHER_FILES = {name: further_files(name) for name in FURTHER}


def find_lines():
    """Return the 2-D lines of data.source, and their labels or None, by the folder of their results."""
    if not OF_LINES:
        return {}
    labels, labelled = config["data"]["labels"], {}
    if labels is not None:
        with exit_on_input_error():
            labelled = labelled_files(VOLUME, labels, "data")
    files = {name: labelled.get(name, (path, None)) for name, path in segy_files(VOLUME).items()}
    require_plain_names("data", files)
    return {f"lines/{name}/": paths for name, paths in files.items()}


LINES = find_lines()
LABELLED_LINES = {prefix: paths for prefix, paths in LINES.items() if paths[1]}
# Folders of the outputs of what is filled.
FILLED = [f"results/volume/{prefix.split('/')[1]}/" for prefix in LINES] or ["results/volume/"]
# Scores and facts of a volume, for its summary and its page.
VOLUME_FILES = if_volume(
    "results/volume/scores.json",
    "results/volume/lines.csv",
    "results/volume/next_lines.csv",
    *expand("{folder}volume.json", folder=FILLED),
)
if FURTHER:
    VOLUME_FILES.append("results/volume/surveys.csv")


def labelled_of(prefix):
    """Return the SEG-Y files of a survey, and their labels, by the folder of their results."""
    name = survey_of(prefix)
    if name:
        return FURTHER_FILES[name]
    return LABELLED_LINES if OF_LINES else {"": (VOLUME, config["data"]["labels"])}


def files_of(pattern):
    """Return an input function for a file of each SEG-Y file of a survey."""

    def files(wildcards):
        return expand(pattern, prefix=labelled_of(wildcards.prefix))

    return files


def name_survey(wildcards):
    """Return the arguments that name a further survey."""
    name = survey_of(wildcards.prefix)
    return ["--survey", name] if name else []


def name_files(wildcards):
    """Return the arguments that name the SEG-Y files of a survey, if it is a folder of some."""
    names = [Path(prefix).name for prefix in labelled_of(wildcards.prefix)]
    return ["--files", *names] if [*labelled_of(wildcards.prefix)] != [wildcards.prefix] else []


def of_further(name):
    """Return a file of each further survey."""
    return [f"results/surveys/{survey}/{name}" for survey in FURTHER]


# What members learn from and are scored on, as inputs of the rules that read all of it.
LABELLED = {
    "tiles": "results/data/train.h5",
    "folds": "results/data/folds.h5",
    "lines": if_volume("results/data/lines.h5"),
    "survey_lines": of_further("data/lines.h5"),
    "survey_tiles": of_further("data/train.h5"),
    "survey_folds": of_further("data/folds.h5"),
}


def segy_for(prefix):
    """Return the SEG-Y file that belongs to a results folder; exit if it cannot be used."""
    name = survey_of(prefix)
    if name:
        return get_further_segy(name, prefix)
    if prefix in LINES:
        return user_file(LINES[prefix][0])
    if prefix:
        return get_predicted_segy(prefix)
    if VOLUME is None:
        with exit_on_input_error("data.source"):
            raise InputError(f"{config['data']['source']}: expected a SEG-Y file, found none")
    return VOLUME if VOLUME in (DEMO_VOLUME, SEGY_COPY) else user_file(VOLUME)


def get_further_segy(name, prefix):
    """Return a SEG-Y file of a further survey; exit with a message if it cannot be used."""
    path, _ = FURTHER_FILES[name][prefix]
    if has_reader(path):
        return f"results/{prefix}data/source.sgy"
    with exit_on_input_error(f"data.surveys.{name}.source"):
        if not is_elsewhere(path):
            require_file(path)
    return user_file(path)


def get_predicted_segy(prefix):
    """Return a SEG-Y file of predict.source; exit with a message if it cannot be used."""
    source, path = config["predict"]["source"], PREDICTED_VOLUMES[prefix]
    require_plain_path("predict.source", path)
    if has_reader(path):
        return f"results/{prefix}data/source.sgy"
    with exit_on_input_error("predict.source"):
        if Path(source).is_dir():
            refuse_mixture(source)
        require_file(path)
    return user_file(path)


def get_container(wildcards):
    """Return the volume that a job copies to SEG-Y; exit with a message if it cannot be used."""
    name = survey_of(wildcards.prefix)
    section = f"data.surveys.{name}" if name else "predict" if wildcards.prefix else "data"
    source = FURTHER[name]["source"] if name else config[section]["source"]
    with exit_on_input_error(f"{section}.source"):
        if not has_reader(source or ""):
            raise InputError(f"{source}: needs no copy as SEG-Y; leave {SEGY_COPY} out")
        if not (is_elsewhere(source) or Path(source).exists()):
            raise InputError(f"{source}: no such file or folder in {Path.cwd()}")
        own = (RESULTS / "data").resolve()
        if section != "predict" and Path(source).resolve().is_relative_to(own):
            raise InputError(
                f"{source}: this run's own, which it replaces; run in another --directory"
            )
    return user_file(source)


def get_segy(wildcards):
    """Return the SEG-Y file that a job reads."""
    return segy_for(prefix_of(wildcards))


def prefix_of(wildcards):
    """Return the folder below results/ of the data and predictions that a job reads."""
    if hasattr(wildcards, "prefix"):
        return wildcards.prefix
    first, _, name = wildcards.folder.partition("/")
    if first == "volume":
        return f"lines/{name}/" if name else ""
    return f"{wildcards.folder}/"


def is_predicted(wildcards):
    """Return whether a job is for what predict.source names, and not for what this run is on."""
    return prefix_of(wildcards).startswith("predict/")


def under_prefix(pattern):
    """Return an input function for a file, or one per shard, of that folder."""

    def files(wildcards):
        shards = range(SHARDS) if "{shard}" in pattern else [0]
        return expand(pattern, prefix=prefix_of(wildcards), shard=shards)

    return files


def labels_for(prefix):
    """Return data.labels, or those of a further survey, with their key."""
    name = survey_of(prefix)
    if name:
        return FURTHER[name]["labels"], f"data.surveys.{name}.labels"
    return config["data"]["labels"], "data.labels"


def get_labels(wildcards):
    """Return the labels of a survey's lines, several files of horizons; exit if there are none."""
    prefix = getattr(wildcards, "prefix", "")
    labels, key = labels_for(prefix)
    if not prefix and config["data"]["source"] == "demo-volume":
        return DEMO_LABELS
    with exit_on_input_error(key):
        if labels is None:
            raise InputError(
                "not set, so there is nothing to train on; give it a SEG-Y file of the volume's "
                "geometry, a folder of masks such as inline_120.png, or horizons. 'snakemake scan' "
                "needs none"
            )
        for path in label_files(labels):
            if not (is_elsewhere(path) or Path(path).exists()):
                raise InputError(f"{path}: no such file or folder in {Path.cwd()}")
    if isinstance(labels, dict):
        return [user_file(path) for path in label_files(labels)]
    found = [user_file(path) for _, path in labelled_of(prefix).values()]
    return found if len(found) > 1 or found[0] != labels else found[0]


def horizons_of(wildcards):
    """Return data.labels of the volume that a job is of if they are horizons, else None."""
    if getattr(wildcards, "folder", "volume") != "volume":
        return None
    labels, _ = labels_for(getattr(wildcards, "prefix", ""))
    return labels if isinstance(labels, dict) else None


def get_example_horizons(wildcards):
    """Return top and base of a body, in the format of which surfaces are written; none for others."""
    labels = horizons_of(wildcards)
    if labels is None:
        return []
    bodies = labels["bodies"]
    body = next((body for body in bodies if body["base"] is not None), bodies[0])
    return [user_file(path) for path in body.values() if path is not None]


def get_horizons(wildcards):
    """Return how to read horizons, as an argument, with what each body has for its files."""
    labels = horizons_of(wildcards)
    if labels is None:
        return []
    bodies = [
        {side: side for side, path in body.items() if path is not None} for body in labels["bodies"]
    ]
    return ["--horizons", json.dumps(labels | {"bodies": bodies}, sort_keys=True)]


def get_volume_members(wildcards):
    """Return the members that predict a volume: those of this run, or of predict.run."""
    if is_predicted(wildcards):
        return get_members(wildcards)
    return expand("results/models/{member}/checkpoint.safetensors", member=MEMBERS)


def get_weights(wildcards):
    """Return the weights of the members of this run or of predict.run, None if they are equal."""
    if not is_predicted(wildcards) or config["predict"]["run"] is None:
        tuned = config["ensemble"]["weights"] != "equal"
        return "results/threshold.json" if tuned else []
    with exit_on_input_error("predict.run"):
        return get_threshold(wildcards) if Decision.load(get_threshold(wildcards)).weights else []


def get_line_weights(wildcards):
    """Return the weights of the members of this run, if they are tuned."""
    return "results/threshold.json" if config["ensemble"]["weights"] != "equal" else []


def get_volume_flip(wildcards):
    """Return whether to average over the flip: as this run, or predict.run, tuned its threshold."""
    flip = config["inference"]["flip"]
    if is_predicted(wildcards) and config["predict"]["run"] is not None:
        with exit_on_input_error("predict.run"):
            flip = Decision.load(get_threshold(wildcards)).flip
    return "--flip" if flip else "--no-flip"


def get_volume_threshold(wildcards):
    """Return the threshold of members of tiles that predict a volume; none of members of lines."""
    return [] if get_calibration(wildcards) else get_threshold(wildcards)


def get_calibration(wildcards):
    """Return calibration.json of the members that predict a volume; none of members of tiles."""
    if not is_predicted(wildcards) or config["predict"]["run"] is None:
        return if_volume("results/volume/calibration.json")
    path = of_run("volume/calibration.json")
    if Path(path).exists():
        return path
    with exit_on_input_error("predict.run"):
        about, _ = read_checkpoint(get_members(wildcards)[0])
        if "survey" in about:
            raise InputError(
                f"{path}: no such file, but members of a volume need it to be calibrated; copy it "
                "from their run"
            )
    return []


def get_run_name(wildcards, input):
    """Return the name of the folder of the run whose members predict a volume.

    As a function of inputs, so that another name makes nothing stale.
    """
    run = config["predict"]["run"] if is_predicted(wildcards) else None
    results = Path(RESULTS if run is None else run).resolve()
    return results.parent.name if results.name == "results" else results.name


def get_labelled_lines(wildcards):
    """Return the labelled lines, which need no interpretation; none for other volumes."""
    return "results/data/lines.h5" if prefix_of(wildcards) in labelled_of("") else []


def name_labelled_file(wildcards):
    """Return the arguments that name a labelled 2-D line among the labelled lines."""
    prefix = prefix_of(wildcards)
    return ["--file", Path(prefix).name] if prefix in LABELLED_LINES else []
