# Members, and the rounds of self-training.


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
    folder = f"results/{wildcards.experiment}{before}pseudo_labels"
    return [f"{folder}/{held_out(wildcards.seed)}.h5"] if before else []


def get_unlabelled(wildcards):
    """Return the test tiles if they are trained on with pseudo-labels."""
    return ["results/data/test.h5"] if round_before(wildcards) else []


def get_fold_predictions(wildcards):
    """Return a round's test predictions by the members that held out one fold."""
    return expand(
        "results/{experiment}{round}predictions/test/{seed}/{shard}.h5",
        experiment=wildcards.experiment,
        round=wildcards.round,
        seed=[seed for seed in seeds_of(wildcards) if held_out(seed) == int(wildcards.fold)],
        shard=range(SHARDS),
    )


def get_events(wildcards, input):
    """Return the argument for TensorBoard's events, if there are to be any.

    As a function of inputs, it makes no training stale.
    """
    folder = f"results/{wildcards.experiment}{wildcards.round}logs/tensorboard/{wildcards.seed}"
    wanted = config_of(wildcards)["training"]["tensorboard"]
    return ["--events", with_prefix(folder)] if wanted else []


def get_encoder_weights(wildcards):
    """Return the file of an encoder's weights, if any; exit with a message if it is missing."""
    weights = config_of(wildcards)["training"]["encoder_weights"]
    if weights is None:
        return []
    if not (is_elsewhere(weights) or Path(weights).is_file()):
        with exit_on_input_error("training.encoder_weights"):
            raise InputError(
                f"{weights}: no such file in {Path.cwd()}; give the path of a file of weights, "
                "safetensors or of torch.save, or null"
            )
    return user_file(weights)
