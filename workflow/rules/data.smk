# From a survey to arrays and folds.


rule demo:
    input:
        code=code("demo", "data"),
    output:
        archive="results/demo/survey.zip",
        sections="results/demo/sections.csv",
    log:
        "results/logs/demo.log",
    benchmark:
        "results/benchmarks/demo.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        settings=settings("data"),
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    shell:
        "python {input.code[0]} --settings {params.settings:q} "
        "--archive {output.archive} --sections {output.sections} --log {log}"


rule import_train:
    input:
        survey=get_survey(),
        code=code("import_train", "data"),
    output:
        multiext("results/data/train/", "tiles.csv", "images.npy", "masks.npy"),
    log:
        "results/logs/import_train.log",
    benchmark:
        "results/benchmarks/import_train.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        folder="results/data/train",
        fingerprint=fingerprint("train"),
    threads: 2
    resources:
        mem_mb=2000,
        runtime=30,
    shell:
        "python {input.code[0]} --source {input.survey:q} --output {params.folder} --log {log}"


# Apart from the labelled tiles, so that new test tiles train nothing anew.
rule import_test:
    input:
        survey=get_survey(),
        code=code("import_test", "data"),
    output:
        multiext("results/data/test/", "tiles.csv", "images.npy"),
    log:
        "results/logs/import_test.log",
    benchmark:
        "results/benchmarks/import_test.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        folder="results/data/test",
        fingerprint=fingerprint("test"),
    threads: 2
    resources:
        mem_mb=2000,
        runtime=30,
    shell:
        "python {input.code[0]} --source {input.survey:q} --output {params.folder} --log {log}"


rule split:
    input:
        tiles="results/data/train/tiles.csv",
        code=code("split", "data"),
    output:
        "results/data/folds.csv",
    log:
        "results/logs/split.log",
    benchmark:
        "results/benchmarks/split.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        settings=settings("validation"),
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    shell:
        "python {input.code[0]} --settings {params.settings:q} "
        "--tiles {input.tiles} --output {output} --log {log}"
