# Members, and the rounds of self-training.

# Of a finished run, what its members learnt from; only a volume has lines.
FORMER = ("train", "folds", "lines")


def held_out(member):
    """Return the fold that a member holds out; 0 outside k-fold."""
    kfold = config["validation"]["scheme"] == "kfold"
    return seed_of(member) % config["validation"]["folds"] if kfold else 0


def round_before(wildcards):
    """Return the folder of the previous round of training, None for the first."""
    number = int(wildcards.round.split("/")[1]) if wildcards.round else ROUNDS
    return f"rounds/{number - 1}/" if number else None


def get_pseudo_labels(wildcards):
    """Return labels by the previous round's members that held out the same fold, if any."""
    before = round_before(wildcards)
    folder = f"results/{wildcards.experiment}{before}pseudo_labels"
    return [f"{folder}/{held_out(wildcards.member)}.h5"] if before else []


def get_check(wildcards):
    """Return the check of a member's kind."""
    return check_of(wildcards.experiment, kind_of(wildcards.member))


def check_of(folder, kind):
    """Return the check of a kind of member in a folder below results/."""
    return f"results/{folder}check{f'-{kind}' if kind else ''}.txt"


def get_checks(wildcards):
    """Return the checks of all kinds of members, of experiments, too."""
    return [check_of(folder, kind) for folder, of_folder in KINDS.items() for kind in of_folder]


def get_selected(wildcards):
    """Return the argument for scores of tiles by which some members' epochs were chosen."""
    folder = getattr(wildcards, "experiment", "")
    found = [each["training"]["monitor"] != "last" for each in KINDS[folder].values()]
    for run in CONFIGS[folder]["ensemble"]["runs"]:
        with exit_on_input_error("ensemble.runs"):
            found.append(read_report(f"{run}/threshold.json", ["selected"])["selected"])
    return ["--selected"] if any(found) else []


def get_adopted(wildcards):
    """Return the checkpoint of a finished member of another run."""
    run, name = ADOPTED[wildcards.experiment][wildcards.member]
    return user_file(f"{run}/models/{name}/checkpoint.safetensors")


def get_learnt(wildcards):
    """Return what says which tiles, or lines, a finished member of another run learnt from."""
    run, _ = ADOPTED[wildcards.experiment][wildcards.member]
    return [user_file(file) for file in [f"{run}/threshold.json", *former_files(run)]]


def former_files(run):
    """Return what says which tiles, or lines of which surveys, a run's members learnt from."""
    # Only a volume has lines; of the others Former reports that they are missing.
    files = [Path(f"{run}/data/{name}.h5") for name in FORMER]
    return [
        *(str(file) for file in files if file.exists()),
        *sorted(str(file) for file in Path(run).glob("surveys/*/data/*.h5") if file.stem in FORMER),
    ]


def get_unlabelled(wildcards):
    """Return the test tiles if they are trained on with pseudo-labels."""
    return ["results/data/test.h5"] if round_before(wildcards) else []


def get_fold_predictions(wildcards):
    """Return a round's test predictions by the members that held out one fold."""
    return expand(
        "results/{experiment}{round}predictions/test/{member}/{shard}.h5",
        experiment=wildcards.experiment,
        round=wildcards.round,
        member=[
            each
            for each in trained_in(wildcards.experiment)
            if held_out(each) == int(wildcards.fold)
        ],
        shard=range(SHARDS),
    )


def get_events(wildcards, input):
    """Return the argument for TensorBoard's events, if there are to be any.

    As a function of inputs, it makes no training stale.
    """
    below = f"{wildcards.experiment}{wildcards.round}logs/tensorboard/{wildcards.member}"
    wanted = config_of(wildcards)["training"]["tensorboard"]
    return ["--events", str(RESULTS / below)] if wanted else []


def start_of(wildcards):
    """Return the results folder of the run to start from; None for new weights."""
    run = config_of(wildcards)["training"]["start"]
    if run and is_own(run):
        with exit_on_input_error("training.start"):
            raise InputError(
                f"{run}: these are this run's own results, which its members would replace; run it "
                "in another folder, by --directory"
            )
    return run


def get_start(wildcards):
    """Return the finished member that a member starts from, if any."""
    return get_starts(wildcards, [seed_of(wildcards.member)])


def get_starts(wildcards, seeds=None):
    """Return the finished members that those of a kind start from, by default all of an experiment's.

    Each is that of its own seed or, without one, one that holds out the same fold, or else any; of
    the same kind, if the run has it.
    """
    run, folds = start_of(wildcards), config_of(wildcards)["validation"]["folds"]
    if run is None:
        return []
    with exit_on_input_error("training.start"):
        finished = list(Decision.load(f"{run}/threshold.json").members)
    same_kind = [each for each in finished if kind_of(each) == kind_in(wildcards)] or finished
    found = []
    for seed in seeds or sorted(config_of(wildcards)["ensemble"]["seeds"]):
        same_seed = [each for each in same_kind if seed_of(each) == seed]
        alike = [each for each in same_kind if seed_of(each) % folds == seed % folds]
        chosen = (same_seed or alike or same_kind[seed % len(same_kind) :])[0]
        found.append(user_file(f"{run}/models/{chosen}/checkpoint.safetensors"))
    return found


def get_former(wildcards):
    """Return what says which tiles, or lines, the members to start from learnt from."""
    run = start_of(wildcards)
    if run is None:
        return []
    return [user_file(file) for file in former_files(run)]


def get_former_lines(wildcards):
    """Return the labelled lines of the volume that the members to start from learnt from, if any."""
    return [file for file in get_former(wildcards) if file.endswith("lines.h5")]


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
