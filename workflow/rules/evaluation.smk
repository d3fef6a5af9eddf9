# The decision threshold, and the score.


rule threshold:
    input:
        tiles="results/data/train.h5",
        folds="results/data/folds.h5",
        predictions=expand("results/predictions/validation/{member}.h5", member=MEMBERS),
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
        **growing(mem_mb=2000, runtime=30),
    params:
        *code("threshold", "data"),
        command=command("threshold"),
        settings=settings(
            "validation.scheme", "ensemble.weights", "inference.flip", "inference.threshold"
        ),
        selected=get_selected,
    shell:
        f"{STAGE} {{params.selected:q}}"
