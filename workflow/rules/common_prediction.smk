# New tiles and volumes, and the members that predict them.

from saltseg.output.masks import refuse_others
from saltseg.survey.new_tiles import NewTiles
from saltseg.survey.segy_files import is_segy, segy_files


def get_new_tiles(wildcards):
    """Return the new tiles, ignoring their date, since their fingerprint is compared.

    Exit with a message if the folder of masks has other files, before Snakemake empties it.
    """
    with exit_on_input_error("snakemake predict"):
        refuse_others(RESULTS / "predict/masks")
    with exit_on_input_error("predict.source"):
        if config["predict"]["source"] is None:
            raise InputError(
                "not set; give it the path of a folder or zip of PNG files, or of a SEG-Y file"
            )
        with NewTiles(config["predict"]["source"]) as source:
            return user_file(str(source.path))


def get_new_fingerprint(wildcards):
    """Return a digest of the new tiles."""
    with (
        exit_on_input_error("predict.source"),
        remembered(CHECKSUMS) as known,
        NewTiles(config["predict"]["source"], known) as source,
    ):
        return source.fingerprint()


def find_predicted_volumes():
    """Return the SEG-Y files to predict, by the folder of their results; none for tiles.

    They are checked only if a target needs them.
    """
    source = config["predict"]["source"]
    if source is None:
        return {}
    if is_segy(source) or has_reader(source):
        return {"predict/": source}
    if not Path(source).is_dir():
        return {}
    return {f"predict/{name}/": str(path) for name, path in segy_files(source).items()}


PREDICTED_VOLUMES = find_predicted_volumes()


def run_folder():
    """Return the results folder of the run whose members predict new tiles."""
    run = config["predict"]["run"]
    # Absolute, so that no rule makes a finished run's files, even if it is this one.
    return Path("results") if run is None else Path(run).resolve()


def get_threshold(wildcards):
    """Return the threshold for new tiles: a finished run's, or this run's own."""
    return of_run("threshold.json")


def of_run(name):
    """Return a file of a finished run, or of this one."""
    path = str(run_folder() / name)
    return path if config["predict"]["run"] is None else user_file(path)


def get_members(wildcards):
    """Return the members for new tiles: a finished run's, or this run's, trained if needed."""
    members = MEMBERS
    if config["predict"]["run"] is not None:
        with exit_on_input_error("predict.run"):
            members = Decision.load(get_threshold(wildcards)).members
    return [of_run(f"models/{member}/checkpoint.safetensors") for member in members]
