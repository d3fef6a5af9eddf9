# The decision threshold, and the score.


rule threshold:
    input:
        tiles="results/data/train/tiles.csv",
        masks="results/data/train/masks.npy",
        folds="results/data/folds.csv",
        predictions=expand("results/predictions/validation/{seed}.npy", seed=SEEDS),
        ids=expand("results/predictions/validation/{seed}.csv", seed=SEEDS),
    output:
        threshold="results/threshold.json",
        curve="results/threshold_curve.csv",
    log:
        "results/logs/threshold.log",
    benchmark:
        "results/benchmarks/threshold.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 2
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        *code("threshold", "data"),
        script=script("threshold"),
        settings=settings("validation.scheme", "inference.flip"),
    shell:
        "python {params.script:q} {params.settings:q} "
        "--tiles {input.tiles:q} --folds {input.folds:q} --predictions {input.predictions:q} "
        "--output {output.threshold:q} --curve {output.curve:q} --log {log:q}"
