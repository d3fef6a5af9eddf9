# From a seismic volume to its labelled lines, and from members to predictions of the whole volume.
# Files are in results/ or, for a volume that is only predicted, in results/predict/ or below.


wildcard_constraints:
    # Folder of a volume's data and predictions: empty, predict/ or predict/NAME/.
    place=r"(predict/([^/]+/)?)?",
    # Folder of the outputs made from them.
    filled=r"volume|predict(/[^/]+)?",


rule demo_volume:
    output:
        volume=DEMO_VOLUME,
        labels=DEMO_LABELS,
        truth="results/demo/truth.sgy",
    log:
        "results/logs/demo_volume.log",
    benchmark:
        "results/benchmarks/demo_volume.tsv"
    conda:
        "../../envs/demo.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        *code("demo_volume", "demo"),
        script=script("demo_volume"),
        settings=settings("data.demo_volume"),
    shell:
        "python {params.script:q} {params.settings:q} --survey {output.volume:q} "
        "--labels {output.labels:q} --truth {output.truth:q} --log {log:q}"


rule scan:
    input:
        "results/data/geometry.json",


rule scan_volume:
    input:
        get_volume,
    output:
        geometry="results/{place}data/geometry.json",
        traces="results/{place}data/traces.npy",
        positions="results/{place}data/positions.npy",
    log:
        "results/{place}logs/scan_volume.log",
    benchmark:
        "results/{place}benchmarks/scan_volume.tsv"
    conda:
        "../../envs/volumes.yaml"
    threads: 2
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        *code("scan_volume", "volumes"),
        script=script("scan_volume"),
        settings=settings(
            "survey.inline_byte",
            "survey.crossline_byte",
            "survey.endian",
            "survey.format",
            "survey.percentile",
        ),
    shell:
        "python {params.script:q} {params.settings:q} --source={input:q} "
        "--output {output.geometry:q} --threads {threads} --log {log:q}"


rule import_volume:
    input:
        source=get_volume,
        geometry="results/{place}data/geometry.json",
        traces="results/{place}data/traces.npy",
    output:
        directory("results/{place}data/volume.zarr"),
    log:
        "results/{place}logs/import_volume.log",
    benchmark:
        "results/{place}benchmarks/import_volume.tsv"
    conda:
        "../../envs/volumes.yaml"
    threads: 2
    resources:
        mem_mb=2000,
        runtime=480,
    params:
        *code("import_volume", "volumes"),
        script=script("import_volume"),
        # Not an output, which would be deleted if the job fails.
        state=with_prefix("results/{place}states/volume.zarr"),
    shell:
        "python {params.script:q} --source={input.source:q} --geometry {input.geometry:q} "
        "--state {params.state:q} --output {output:q} --threads {threads} --log {log:q}"


if VOLUME:

    rule import_lines:
        input:
            labels=get_labels,
            geometry="results/data/geometry.json",
            volume="results/data/volume.zarr",
        output:
            tiles="results/data/train/tiles.csv",
            images="results/data/train/images.npy",
            masks="results/data/train/masks.npy",
            lines="results/data/train/lines.csv",
            amplitude="results/data/train/lines_amplitude.npy",
            labels="results/data/train/lines_labels.npy",
        log:
            "results/logs/import_lines.log",
        benchmark:
            "results/benchmarks/import_lines.tsv"
        conda:
            "../../envs/volumes.yaml"
        threads: 2
        resources:
            mem_mb=4000,
            runtime=120,
        params:
            *code("import_lines", "volumes"),
            script=script("import_lines"),
            settings=settings("survey", "validation.folds"),
        shell:
            "python {params.script:q} {params.settings:q} --labels={input.labels:q} "
            "--geometry {input.geometry:q} --volume {input.volume:q} --lines {output.lines:q} "
            "--output {output.tiles:q} --log {log:q}"

    # Whole lines, by members that held them out, as an unlabelled line would be predicted.
    rule predict_lines:
        input:
            tiles="results/data/train/tiles.csv",
            folds="results/data/folds.csv",
            lines="results/data/train/lines.csv",
            amplitude="results/data/train/lines_amplitude.npy",
            labels="results/data/train/lines_labels.npy",
            checkpoint="results/models/{seed}/checkpoint.safetensors",
        output:
            predictions="results/predictions/lines/{seed}.npy",
            ids="results/predictions/lines/{seed}.csv",
        log:
            "results/logs/predict_lines/{seed}.log",
        benchmark:
            "results/benchmarks/predict_lines/{seed}.tsv"
        conda:
            "../../envs/torch.yaml"
        threads: THREADS
        resources:
            gpu=get_gpus,
            mem_mb=4000,
            runtime=120,
        params:
            *code("predict_lines", "torch"),
            script=script("predict_lines"),
            settings=settings(
                *("validation.scheme", "survey.tile", "survey.normalisation", "compute"),
                *("inference.flip", "inference.window", "inference.margin"),
            ),
        shell:
            "python {params.script:q} {params.settings:q} --tiles {input.tiles:q} "
            "--folds {input.folds:q} --lines {input.lines:q} --checkpoint {input.checkpoint:q} "
            "--output {output.predictions:q} --log {log:q}"

    rule score_lines:
        input:
            lines="results/data/train/lines.csv",
            labels="results/data/train/lines_labels.npy",
            threshold="results/threshold.json",
            predictions=expand("results/predictions/lines/{seed}.npy", seed=SEEDS),
            ids=expand("results/predictions/lines/{seed}.csv", seed=SEEDS),
        output:
            scores="results/volume/scores.json",
            table="results/volume/lines.csv",
        log:
            "results/logs/score_lines.log",
        benchmark:
            "results/benchmarks/score_lines.tsv"
        conda:
            "../../envs/data.yaml"
        threads: 1
        resources:
            mem_mb=2000,
            runtime=30,
        params:
            *code("score_lines", "data"),
            script=script("score_lines"),
        shell:
            "python {params.script:q} --lines {input.lines:q} --threshold {input.threshold:q} "
            "--predictions {input.predictions:q} --table {output.table:q} "
            "--output {output.scores:q} --log {log:q}"


rule predict_volume:
    input:
        volume="results/{place}data/volume.zarr",
        members=get_volume_members,
        threshold=get_volume_flip,
    output:
        directory("results/{place}predictions/volume/{shard}.zarr"),
    log:
        "results/{place}logs/predict_volume/{shard}.log",
    benchmark:
        "results/{place}benchmarks/predict_volume/{shard}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: THREADS
    resources:
        gpu=get_gpus,
        mem_mb=4000,
        runtime=1440,
    params:
        *code("predict_volume", "torch"),
        script=script("predict_volume"),
        settings=settings("inference", "compute"),
        threshold=lambda wildcards, input: (
            ["--threshold", input.threshold] if input.threshold else []
        ),
    shell:
        "python {params.script:q} {params.settings:q} --volume {input.volume:q} "
        "--checkpoints {input.members:q} {params.threshold:q} --shard {wildcards.shard} "
        "--output {output:q} --log {log:q}"


rule volume:
    input:
        source=lambda wildcards: volume_of(place_of(wildcards)),
        geometry=of_place("results/{place}data/geometry.json"),
        traces=of_place("results/{place}data/traces.npy"),
        positions=of_place("results/{place}data/positions.npy"),
        shards=of_place("results/{place}predictions/volume/{shard}.zarr"),
        threshold=get_volume_threshold,
        lines=get_interpreted,
    output:
        probability=directory("results/{filled}/probability.zarr"),
        segy="results/{filled}/probability.sgy",
        mask="results/{filled}/mask.sgy",
        top="results/{filled}/top_salt.csv",
        base="results/{filled}/base_salt.csv",
        next="results/{filled}/next_lines.csv",
    log:
        "results/logs/{filled}.log",
    benchmark:
        "results/benchmarks/{filled}.tsv"
    conda:
        "../../envs/volumes.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=480,
    params:
        *code("volume", "volumes"),
        script=script("volume"),
        folder=with_prefix("results/{filled}"),
        lines=lambda wildcards, input: ["--lines", input.lines] if input.lines else [],
    shell:
        "python {params.script:q} --geometry {input.geometry:q} --source={input.source:q} "
        "--shards {input.shards:q} --threshold {input.threshold:q} {params.lines:q} "
        "--output {params.folder:q} --log {log:q}"


rule viewer:
    input:
        geometry="results/data/geometry.json",
        positions="results/data/positions.npy",
        volume="results/data/volume.zarr",
        probability="results/volume/probability.zarr",
        threshold="results/threshold.json",
        lines="results/data/train/lines.csv",
        labels="results/data/train/lines_labels.npy",
    output:
        pictures=directory("results/sections"),
        facts="results/volume/viewer.json",
    log:
        "results/logs/viewer.log",
    benchmark:
        "results/benchmarks/viewer.tsv"
    conda:
        "../../envs/volumes.yaml"
    threads: 2
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        *code("viewer", "volumes"),
        script=script("viewer"),
        members=len(SEEDS),
    shell:
        "python {params.script:q} --geometry {input.geometry:q} --volume {input.volume:q} "
        "--probability {input.probability:q} --threshold {input.threshold:q} "
        "--lines {input.lines:q} --members {params.members} --pictures {output.pictures:q} "
        "--output {output.facts:q} --log {log:q}"
