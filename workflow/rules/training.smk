# One member per kind and seed: its checkpoint, and its probabilities of the tiles it held out. Rounds
# of training before the last one are in results/rounds/, and experiments in results/experiments/NAME/.


rule train:
    input:
        get_check,
        **LABELLED,
        pseudo_labels=get_pseudo_labels,
        unlabelled=get_unlabelled,
        encoder_weights=made(get_encoder_weights),
        start=made(get_start),
    output:
        # Not deleted before their successors are complete.
        checkpoint=update("results/{experiment}{round}models/{member}/checkpoint.safetensors"),
        history=update("results/{experiment}{round}models/{member}/history.csv"),
    log:
        "results/{experiment}{round}logs/train/{member}.log",
    benchmark:
        "results/{experiment}{round}benchmarks/train/{member}.tsv"
    wildcard_constraints:
        member=TRAINED_MEMBER,
    conda:
        "../../envs/torch.yaml"
    threads: THREADS
    resources:
        **growing(mem_mb=8000),
        gpu=get_gpus,
        runtime=1440,
    params:
        *code("train", "torch"),
        command=command("train", encoder_weights=get_encoder_weights, start=get_start),
        settings=settings(
            "plugins",
            "validation.scheme",
            "model",
            "training",
            "augmentation",
            # All of compute except the runtime, which only affects predictions.
            "compute.device",
            "compute.precision",
            "compute.threads",
            "compute.deterministic",
            *if_volume("survey.tile", "survey.normalisation", "survey.percentile"),
            # Files of weights are inputs, and events change no result.
            ignoring=["training.encoder_weights", "training.start", "training.tensorboard"],
        ),
        contents=contents(get_encoder_weights, get_start),
        # Not an output, which would be deleted if the job fails.
        state=str(RESULTS / "{experiment}{round}states/{member}.pt"),
        events=get_events,
    shell:
        f"{STAGE} --member {{wildcards.member}} --state {{params.state:q}} {{params.events:q}}"


if any(ADOPTED.values()):

    # Refused if it learnt from a tile that it would be scored on. Copied, so that results are whole.
    rule adopt:
        input:
            **LABELLED,
        output:
            checkpoint="results/{experiment}models/{member}/checkpoint.safetensors",
        log:
            "results/{experiment}logs/adopt/{member}.log",
        benchmark:
            "results/{experiment}benchmarks/adopt/{member}.tsv"
        wildcard_constraints:
            member=ADOPTED_MEMBER,
        # Before any training.
        priority: 1
        conda:
            "../../envs/torch.yaml"
        resources:
            **growing(mem_mb=4000, runtime=30),
        params:
            *code("adopt", "torch"),
            command=command("adopt", source=get_adopted),
            settings=settings("plugins", "validation.scheme"),
            contents=contents(get_adopted, get_learnt),
        shell:
            STAGE


rule check:
    input:
        get_checks,


# A setting that cannot work ends here, before any member is queued.
rule check_kind:
    input:
        **LABELLED,
        encoder_weights=made(get_encoder_weights),
        starts=made(get_starts),
    output:
        report="results/check{kind}.txt",
    log:
        "results/logs/check{kind}.log",
    benchmark:
        "results/benchmarks/check{kind}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: THREADS
    resources:
        **growing(mem_mb=4000, runtime=30),
        gpu=get_gpus,
    params:
        # Stale only with a member, since one that is repeated retrains all of them. An ancient() input
        # of theirs would not do: Snakemake does not look at what else is new to jobs after another.
        *code("train", "torch"),
        trained=rules.train.params.settings,
        command=command("check", encoder_weights=get_encoder_weights, starts=get_starts),
        settings=uncompared(
            settings(
                "plugins",
                "model",
                "training",
                "augmentation",
                "compute",
                "validation.scheme",
                "ensemble.seeds",
                *if_volume("survey"),
                ignoring=["training.encoder_weights", "training.start", "training.tensorboard"],
            )
        ),
        # Of what they learnt from, since each member has the digest of its own start.
        contents=contents(get_encoder_weights, get_former),
    shell:
        STAGE


rule pseudo_labels:
    input:
        tiles="results/data/test.h5",
        predictions=get_fold_predictions,
    output:
        labels="results/{experiment}{round}pseudo_labels/{fold}.h5",
    log:
        "results/{experiment}{round}logs/pseudo_labels/{fold}.log",
    benchmark:
        "results/{experiment}{round}benchmarks/pseudo_labels/{fold}.tsv"
    conda:
        "../../envs/data.yaml"
    resources:
        **growing(mem_mb=2000, runtime=30),
    params:
        *code("pseudo_labels", "data"),
        command=command("pseudo_labels"),
        settings=settings("self_training.share"),
    shell:
        STAGE


rule predict_validation:
    input:
        tiles="results/data/train.h5",
        folds="results/data/folds.h5",
        checkpoint="results/{experiment}models/{member}/checkpoint.safetensors",
    output:
        predictions="results/{experiment}predictions/validation/{member}.h5",
    log:
        "results/{experiment}logs/predict_validation/{member}.log",
    benchmark:
        "results/{experiment}benchmarks/predict_validation/{member}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: THREADS
    resources:
        **growing(mem_mb=4000, runtime=60),
        gpu=get_gpus,
    params:
        *code("predict_validation", "torch"),
        command=command("predict_validation"),
        settings=settings(
            "plugins", "validation.scheme", "inference.flip", "inference.batch_size", "compute"
        ),
    shell:
        STAGE
