# One member per seed: its checkpoint, and its probabilities of the tiles it held out.


rule train:
    input:
        tiles=multiext("results/data/train/", "tiles.csv", "images.npy", "masks.npy"),
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
    params:
        settings=settings("model", "training", "augmentation", "compute"),
    threads: THREADS
    resources:
        gpu=GPU,
        mem_mb=8000,
        runtime=1440,
    shell:
        "python {input.code[0]} --settings {params.settings:q} --seed {wildcards.seed} "
        "--tiles {input.tiles[0]} --folds {input.folds} "
        "--checkpoint {output.checkpoint} --history {output.history} --log {log}"


rule predict_validation:
    input:
        tiles=multiext("results/data/train/", "tiles.csv", "images.npy"),
        folds="results/data/folds.csv",
        checkpoint="results/models/{seed}/checkpoint.safetensors",
        code=code("predict_validation", "torch"),
    output:
        multiext("results/predictions/validation/{seed}", ".npy", ".csv"),
    log:
        "results/logs/predict_validation/{seed}.log",
    benchmark:
        "results/benchmarks/predict_validation/{seed}.tsv"
    conda:
        "../../envs/torch.yaml"
    params:
        settings=settings("inference", "compute"),
    threads: THREADS
    resources:
        gpu=GPU,
        mem_mb=4000,
        runtime=60,
    shell:
        "python {input.code[0]} --settings {params.settings:q} "
        "--tiles {input.tiles[0]} --folds {input.folds} --checkpoint {input.checkpoint} "
        "--output {output[0]} --log {log}"
