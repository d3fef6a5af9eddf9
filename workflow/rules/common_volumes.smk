# What the rules of volumes share.

DEMO_LABELS = "results/demo/labels.sgy"
# What a volume is filled to, in results/volume/ or results/predict/.
FILLED = [
    *("probability.zarr", "probability.sgy", "mask.sgy"),
    *("top_salt.csv", "base_salt.csv", "next_lines.csv"),
]


def predicted_volume(place):
    """A SEG-Y file of predict.source; ends with a message where it cannot be used."""
    source, path = config["predict"]["source"], PREDICTED_VOLUMES[place]
    refuse_odd("predict.source", path)
    with telling("predict.source"):
        if Path(source).is_dir():
            refuse_mixture(source)
        require_file(path)
    return foreign(path)


def volume_of(place):
    """The SEG-Y file that belongs to a place."""
    if place:
        return predicted_volume(place)
    if VOLUME is None:
        with telling("data.source"):
            raise InputError(
                f"{config['data']['source']}: no SEG-Y file; expected one named *.sgy or *.segy"
            )
    return VOLUME if VOLUME == DEMO_VOLUME else foreign(VOLUME)


def get_volume(wildcards):
    """The SEG-Y file that a job reads."""
    return volume_of(wildcards.place)


def get_labels(wildcards):
    """Labels of the volume's lines; ends with a message where there are none."""
    labels = config["data"]["labels"]
    if config["data"]["source"] == "demo-volume":
        return DEMO_LABELS
    with telling("data.labels"):
        if labels is None:
            raise InputError(
                "not set, so there is nothing to train on; give it a SEG-Y file of the volume's "
                "geometry, or a folder of masks such as inline_120.png. 'snakemake scan' needs none"
            )
        if not Path(labels).exists():
            raise InputError(f"{labels}: no such file or folder in {Path.cwd()}")
    return foreign(labels)


def place_of(wildcards):
    """Place of the data and predictions that a filled volume is made from."""
    return "" if wildcards.filled == "volume" else f"{wildcards.filled}/"


def of_place(pattern):
    """Input function: a file, or one per shard, of the place of a filled volume."""

    def files(wildcards):
        shards = range(SHARDS) if "{shard}" in pattern else [0]
        return expand(pattern, place=place_of(wildcards), shard=shards)

    return files


def get_volume_members(wildcards):
    """Members that fill a volume: those of this run, or of predict.run."""
    if wildcards.place:
        return get_members(wildcards)
    return expand("results/models/{seed}/checkpoint.safetensors", seed=SEEDS)


def get_volume_flip(wildcards):
    """Threshold of another run, which tells how its members are to predict."""
    return get_threshold(wildcards) if wildcards.place else []


def get_volume_threshold(wildcards):
    """Threshold of the members that fill a volume."""
    return "results/threshold.json" if wildcards.filled == "volume" else get_threshold(wildcards)


def get_interpreted(wildcards):
    """Table of the lines that are labelled, which need not be looked at again."""
    return "results/data/train/lines.csv" if wildcards.filled == "volume" else []
