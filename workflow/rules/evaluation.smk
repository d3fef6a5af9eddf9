# The decision threshold, and the score.


rule threshold:
    input:
        tiles="results/data/train.h5",
        folds="results/data/folds.h5",
        predictions=expand("results/predictions/validation/{seed}.h5", seed=SEEDS),
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
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        *code("threshold", "data"),
        command=command("threshold"),
        settings=settings(
            "validation.scheme", "training.monitor", "inference.flip", "inference.threshold"
        ),
    shell:
        STAGE
