# Shared by the rules for volumes.

from saltseg.survey.segy_files import refuse_mixture, require_file

DEMO_LABELS = "results/demo/labels.sgy"
# Outputs for a volume, in results/volume/ or results/predict/.
FILLED = [
    *("probability.zarr", "probability.sgy", "mask.sgy"),
    *("top_salt.csv", "base_salt.csv", "next_lines.csv"),
]


def predicted_volume(place):
    """Return a SEG-Y file of predict.source; exit with a message if it cannot be used."""
    source, path = config["predict"]["source"], PREDICTED_VOLUMES[place]
    require_plain_path("predict.source", path)
    with exit_on_input_error("predict.source"):
        if Path(source).is_dir():
            refuse_mixture(source)
        require_file(path)
    return external_input(path)


def volume_of(place):
    """Return the SEG-Y file that belongs to a results folder."""
    if place:
        return predicted_volume(place)
    if VOLUME is None:
        with exit_on_input_error("data.source"):
            raise InputError(
                f"{config['data']['source']}: no SEG-Y file; expected one named *.sgy or *.segy"
            )
    return VOLUME if VOLUME == DEMO_VOLUME else external_input(VOLUME)


def get_volume(wildcards):
    """Return the SEG-Y file that a job reads."""
    return volume_of(wildcards.place)


def get_labels(wildcards):
    """Return the labels of the volume's lines; exit with a message if there are none."""
    labels = config["data"]["labels"]
    if config["data"]["source"] == "demo-volume":
        return DEMO_LABELS
    with exit_on_input_error("data.labels"):
        if labels is None:
            raise InputError(
                "not set, so there is nothing to train on; give it a SEG-Y file of the volume's "
                "geometry, or a folder of masks such as inline_120.png. 'snakemake scan' needs none"
            )
        if not Path(labels).exists():
            raise InputError(f"{labels}: no such file or folder in {Path.cwd()}")
    return external_input(labels)


def place_of(wildcards):
    """Return the folder of the data and predictions that volume outputs are made from."""
    return "" if wildcards.filled == "volume" else f"{wildcards.filled}/"


def of_place(pattern):
    """Return an input function for a file, or one per shard, of that folder."""

    def files(wildcards):
        shards = range(SHARDS) if "{shard}" in pattern else [0]
        return expand(pattern, place=place_of(wildcards), shard=shards)

    return files


def get_volume_members(wildcards):
    """Return the members that predict a volume: those of this run, or of predict.run."""
    if wildcards.place:
        return get_members(wildcards)
    return expand("results/models/{seed}/checkpoint.safetensors", seed=SEEDS)


def get_volume_flip(wildcards):
    """Return the threshold of another run, which says how its members predict."""
    return get_threshold(wildcards) if wildcards.place else []


def get_volume_threshold(wildcards):
    """Return the threshold of the members that predict a volume."""
    return "results/threshold.json" if wildcards.filled == "volume" else get_threshold(wildcards)


def get_interpreted(wildcards):
    """Return the table of labelled lines, which need no interpretation."""
    return "results/data/train/lines.csv" if wildcards.filled == "volume" else []
