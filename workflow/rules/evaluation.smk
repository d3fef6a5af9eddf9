# The decision threshold, and what the members are worth.


rule threshold:
    input:
        tiles="results/data/train/tiles.csv",
        masks="results/data/train/masks.npy",
        folds="results/data/folds.csv",
        predictions=expand("results/predictions/validation/{seed}.npy", seed=SEEDS),
        ids=expand("results/predictions/validation/{seed}.csv", seed=SEEDS),
        code=code("threshold", "data"),
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
        code=digest("threshold", "data"),
        settings=settings("validation.scheme", "inference.flip"),
    shell:
        "python {input.code[0]} --settings {params.settings:q} "
        "--tiles {input.tiles} --folds {input.folds} --predictions {input.predictions} "
        "--output {output.threshold} --curve {output.curve} --log {log}"


rule gallery:
    input:
        tiles="results/data/train/tiles.csv",
        images="results/data/train/images.npy",
        masks="results/data/train/masks.npy",
        threshold="results/threshold.json",
        predictions=expand("results/predictions/validation/{seed}.npy", seed=SEEDS),
        ids=expand("results/predictions/validation/{seed}.csv", seed=SEEDS),
        code=code("gallery", "plots"),
    output:
        report("results/gallery.png", caption="../report/gallery.rst", category="Evaluation"),
    log:
        "results/logs/gallery.log",
    benchmark:
        "results/benchmarks/gallery.tsv"
    conda:
        "../../envs/plots.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=digest("gallery", "plots"),
    shell:
        "python {input.code[0]} --tiles {input.tiles} --threshold {input.threshold} "
        "--predictions {input.predictions} --output {output} --log {log}"
