# From a survey to arrays and folds.


rule demo:
    output:
        archive=DEMO,
        sections=DEMO_SECTIONS,
    log:
        "results/logs/demo.log",
    benchmark:
        "results/benchmarks/demo.tsv"
    conda:
        "../../envs/demo.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        *code("demo", "demo"),
        command=command("demo"),
        settings=settings("data.demo"),
    shell:
        STAGE


# On the machine that runs Snakemake, since compute nodes often have no internet access.
rule download:
    output:
        archive=KAGGLE_ZIP,
    log:
        "results/logs/download.log",
    benchmark:
        "results/benchmarks/download.tsv"
    localrule: True
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=120,
    params:
        command=command("download"),
        settings=settings(),
    shell:
        STAGE


if not VOLUME:

    rule import_train:
        input:
            survey=SURVEYS.get(config["data"]["source"], []),
        output:
            tiles="results/data/train/tiles.csv",
            images="results/data/train/images.npy",
            masks="results/data/train/masks.npy",
        log:
            "results/logs/import_train.log",
        benchmark:
            "results/benchmarks/import_train.tsv"
        conda:
            "../../envs/data.yaml"
        threads: 2
        resources:
            mem_mb=2000,
            runtime=30,
        params:
            *code("import_train", "data"),
            script=script("import_train"),
            source=get_source,
            fingerprint=FINGERPRINTS["train"],
        shell:
            "python {params.script:q} --source={params.source:q} --output {output.tiles:q} --log {log:q}"


# Separate from the labelled tiles, so adding test tiles never retrains a member.
rule import_test:
    input:
        survey=get_survey,
    output:
        tiles="results/data/test/tiles.csv",
        images="results/data/test/images.npy",
    log:
        "results/logs/import_test.log",
    benchmark:
        "results/benchmarks/import_test.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 2
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        *code("import_test", "data"),
        script=script("import_test"),
        source=get_source,
        fingerprint=FINGERPRINTS.get("test", ""),
    shell:
        "python {params.script:q} --source={params.source:q} --output {output.tiles:q} --log {log:q}"


rule split:
    input:
        tiles="results/data/train/tiles.csv",
        groups=get_groups,
        lines=of_volume("results/data/lines.h5"),
        geometry=of_volume("results/data/geometry.json"),
    output:
        "results/data/folds.csv",
    log:
        "results/logs/split.log",
    benchmark:
        "results/benchmarks/split.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        *code("split", "data"),
        script=script("split"),
        settings=settings(
            "validation.folds",
            "validation.seed",
            "validation.stratified",
            "validation.groups",
            "validation.group_column",
        ),
        lines=with_lines("lines", "geometry"),
    shell:
        "python {params.script:q} {params.settings:q} "
        "--tiles {input.tiles:q} {params.lines:q} --output {output:q} --log {log:q}"
