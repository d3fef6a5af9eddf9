# One member per seed: its checkpoint, and its probabilities of the tiles it held out.


rule train:
    input:
        tiles="results/data/train/tiles.csv",
        images="results/data/train/images.npy",
        masks="results/data/train/masks.npy",
        folds="results/data/folds.csv",
        code=code("train", "torch"),
    output:
        checkpoint="results/models/{seed}/checkpoint.safetensors",
        history="results/models/{seed}/history.csv",
    log:
        "results/logs/train/{seed}.log",
    benchmark:
        "results/benchmarks/train/{seed}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: THREADS
    resources:
        gpu=get_gpus,
        mem_mb=8000,
        runtime=1440,
    params:
        code=digest("train", "torch"),
        settings=settings("validation.scheme", "model", "training", "augmentation", "compute"),
        events="results/logs/tensorboard/{seed}",
        # No output, which would be deleted where the job fails.
        state="results/states/{seed}.pt",
    shell:
        "python {input.code[0]} --settings {params.settings:q} --seed {wildcards.seed} "
        "--tiles {input.tiles} --folds {input.folds} "
        "--checkpoint {output.checkpoint} --history {output.history} "
        "--events {params.events} --state {params.state} --log {log}"


rule predict_validation:
    input:
        tiles="results/data/train/tiles.csv",
        images="results/data/train/images.npy",
        folds="results/data/folds.csv",
        checkpoint="results/models/{seed}/checkpoint.safetensors",
        code=code("predict_validation", "torch"),
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
        code=digest("predict_validation", "torch"),
        settings=settings("validation.scheme", "inference.flip", "inference.batch_size", "compute"),
    shell:
        "python {input.code[0]} --settings {params.settings:q} "
        "--tiles {input.tiles} --folds {input.folds} --checkpoint {input.checkpoint} "
        "--output {output.predictions} --log {log}"
