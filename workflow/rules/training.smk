# One member per seed: its checkpoint, and its probabilities of the tiles it held out. Rounds of
# training before the last one are in results/rounds/.


rule train:
    input:
        tiles="results/data/train/tiles.csv",
        images="results/data/train/images.npy",
        masks="results/data/train/masks.npy",
        folds="results/data/folds.csv",
        pseudo_labels=get_pseudo_labels,
        unlabelled=get_unlabelled,
        encoder_weights=get_encoder_weights,
        lines=of_volume("results/data/lines.h5"),
    output:
        # Not deleted before their successors are complete.
        checkpoint=update("results/{round}models/{seed}/checkpoint.safetensors"),
        history=update("results/{round}models/{seed}/history.csv"),
    log:
        "results/{round}logs/train/{seed}.log",
    benchmark:
        "results/{round}benchmarks/train/{seed}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: THREADS
    resources:
        gpu=get_gpus,
        mem_mb=8000,
        runtime=1440,
    params:
        *code("train", "torch"),
        script=script("train"),
        settings=settings(
            *(
                "validation.scheme",
                "model",
                "training",
                "augmentation",
                # All of compute except the runtime, which only affects predictions.
                "compute.device",
                "compute.precision",
                "compute.threads",
                "compute.deterministic",
            ),
            *of_volume("survey.tile", "survey.normalisation", "survey.percentile"),
            ignoring=["training.tensorboard"],
        ),
        events=get_events,
        # Not an output, which would be deleted if the job fails.
        state=with_prefix("results/{round}states/{seed}.pt"),
        further=further_tiles,
        lines=with_lines("lines"),
    shell:
        "python {params.script:q} {params.settings:q} --seed {wildcards.seed} "
        "--tiles {input.tiles:q} --folds {input.folds:q} {params.lines:q} {params.further:q} "
        "--checkpoint {output.checkpoint:q} --history {output.history:q} "
        "{params.events:q} --state {params.state:q} --log {log:q}"


rule pseudo_labels:
    input:
        tiles="results/data/test/tiles.csv",
        predictions=get_fold_predictions,
        ids=get_fold_ids,
    output:
        masks="results/{round}pseudo_labels/{fold}.npy",
        ids="results/{round}pseudo_labels/{fold}.csv",
    log:
        "results/{round}logs/pseudo_labels/{fold}.log",
    benchmark:
        "results/{round}benchmarks/pseudo_labels/{fold}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        *code("pseudo_labels", "data"),
        script=script("pseudo_labels"),
        settings=settings("self_training.share"),
    shell:
        "python {params.script:q} {params.settings:q} --tiles {input.tiles:q} "
        "--predictions {input.predictions:q} --output {output.masks:q} --log {log:q}"


rule predict_validation:
    input:
        tiles="results/data/train/tiles.csv",
        images="results/data/train/images.npy",
        folds="results/data/folds.csv",
        checkpoint="results/models/{seed}/checkpoint.safetensors",
    output:
        predictions="results/predictions/validation/{seed}.npy",
        ids="results/predictions/validation/{seed}.csv",
    log:
        "results/logs/predict_validation/{seed}.log",
    benchmark:
        "results/benchmarks/predict_validation/{seed}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: THREADS
    resources:
        gpu=get_gpus,
        mem_mb=4000,
        runtime=60,
    params:
        *code("predict_validation", "torch"),
        script=script("predict_validation"),
        settings=settings("validation.scheme", "inference.flip", "inference.batch_size", "compute"),
    shell:
        "python {params.script:q} {params.settings:q} "
        "--tiles {input.tiles:q} --folds {input.folds:q} --checkpoint {input.checkpoint:q} "
        "--output {output.predictions:q} --log {log:q}"
