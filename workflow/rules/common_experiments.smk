# The experiments of a configuration.

from saltseg.settings.experiments import differences

FOLDERS = [folder for folder in CONFIGS if folder]


def get_experiments(pattern):
    """Return an input function for a file of each experiment, or of each of its members.

    It exits with a message if there are no experiments.
    """

    def files(wildcards):
        with exit_on_input_error("experiments"):
            if not EXPERIMENTS:
                raise InputError(
                    "none; name them in the configuration, each with the keys that differ, such as "
                    "'experiments: {base: {}, wide: {model: {width: 16}}}'"
                )
        found = []
        for folder in FOLDERS:
            members = members_in(folder) if "{member}" in pattern else [""]
            found += expand(pattern, experiment=folder, member=members)
        return found

    return files


def get_validation(wildcards):
    """Return the predictions of labelled tiles by all members of an experiment."""
    return expand(
        "results/{experiment}predictions/validation/{member}.h5",
        experiment=wildcards.experiment,
        member=members_of(wildcards),
    )
