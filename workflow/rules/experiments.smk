# Variants of the configuration, compared on the same folds, only on request: `snakemake experiments`.
# Their files are in results/experiments/NAME/; import and folds are those of the run.


use rule check_kind as check_experiment with:
    output:
        report="results/{experiment}check{kind}.txt",
    log:
        "results/{experiment}logs/check{kind}.log",
    benchmark:
        "results/{experiment}benchmarks/check{kind}.tsv"
    wildcard_constraints:
        experiment="|".join(FOLDERS),


use rule threshold as threshold_experiment with:
    input:
        tiles="results/data/train.h5",
        folds="results/data/folds.h5",
        predictions=get_validation,
    output:
        threshold="results/{experiment}threshold.json",
        curve="results/{experiment}threshold_curve.csv",
    log:
        "results/{experiment}logs/threshold.log",
    benchmark:
        "results/{experiment}benchmarks/threshold.tsv"
    wildcard_constraints:
        experiment="|".join(FOLDERS),


rule experiments:
    input:
        tiles="results/data/train.h5",
        folds="results/data/folds.h5",
        thresholds=get_experiments("results/{experiment}threshold.json"),
        predictions=get_experiments("results/{experiment}predictions/validation/{member}.h5"),
    output:
        table="results/experiments.csv",
        page="results/experiments.html",
    log:
        "results/logs/experiments.log",
    benchmark:
        "results/benchmarks/experiments.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 2
    resources:
        **growing(mem_mb=2000, runtime=60),
    params:
        *code("experiments", "data"),
        command=command("experiments"),
        differences=lambda wildcards: json.dumps(differences(EXPERIMENTS)),
    shell:
        f"{BARE_STAGE} --differences={{params.differences:q}}"
