# From a dataset to tiles and folds.


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
    resources:
        **growing(mem_mb=1000, runtime=30),
    params:
        *code("demo", "demo"),
        command=command("demo"),
        settings=settings("data.demo"),
    shell:
        STAGE


# With the prefix of a module, which Snakemake adds to files of rules, but not to parameters. With a
# default storage provider a rule's file would be the local copy.
RESULTS = Path(rules.demo.output.archive).parents[1] if IS_MODULE else Path("results")


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
    resources:
        **growing(mem_mb=1000, runtime=120),
    params:
        command=command("download"),
    shell:
        BARE_STAGE


if not VOLUME:

    rule import_train:
        input:
            get_made_dataset,
        output:
            tiles="results/data/train.h5",
            table="results/data/train/tiles.csv",
            masks="results/data/train/masks.npy",
        log:
            "results/logs/import_train.log",
        benchmark:
            "results/benchmarks/import_train.tsv"
        conda:
            "../../envs/data.yaml"
        threads: 2
        resources:
            **growing(mem_mb=2000, runtime=30),
        params:
            *code("import_train", "data"),
            command=command("import_train"),
            source=get_source,
            fingerprint=digest_of_part("train"),
        shell:
            f"{BARE_STAGE} --source={{params.source:q}}"


# Separate from the labelled tiles, so adding test tiles never retrains a member.
rule import_test:
    input:
        get_dataset,
    output:
        tiles="results/data/test.h5",
        table="results/data/test/tiles.csv",
    log:
        "results/logs/import_test.log",
    benchmark:
        "results/benchmarks/import_test.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 2
    resources:
        **growing(mem_mb=2000, runtime=30),
    params:
        *code("import_test", "data"),
        command=command("import_test"),
        source=get_source,
        fingerprint=digest_of_part("test"),
    shell:
        f"{BARE_STAGE} --source={{params.source:q}}"


rule split:
    input:
        tiles="results/{prefix}data/train.h5",
        groups=made(get_groups),
        former=made(get_former),
        lines=if_volume("results/{prefix}data/lines.h5"),
        geometry=files_of("results/{prefix}data/geometry.json") if VOLUME else [],
    output:
        folds="results/{prefix}data/folds.h5",
        table="results/{prefix}data/folds.csv",
    log:
        "results/{prefix}logs/split.log",
    benchmark:
        "results/{prefix}benchmarks/split.tsv"
    wildcard_constraints:
        prefix=LABELLED_PREFIX,
    conda:
        "../../envs/data.yaml"
    resources:
        **growing(mem_mb=500, runtime=10),
    params:
        *code("split", "data"),
        command=command("split", groups=get_groups, former=get_former),
        settings=settings(
            "validation.scheme",
            "validation.folds",
            "validation.seed",
            "validation.stratified",
            "validation.group_column",
        ),
        contents=contents(get_groups, get_former),
        survey=name_survey,
    shell:
        f"{STAGE} {{params.survey:q}}"
