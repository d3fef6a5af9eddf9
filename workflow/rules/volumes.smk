# From a seismic volume to its labelled lines, and from members to predictions of the whole volume.
# Files are in results/ or, for a volume that is only predicted, in results/predict/ or below.


wildcard_constraints:
    # Folder of a volume's data and predictions: empty, predict/ or predict/NAME/, or of a further
    # survey surveys/NAME/ or, of each of several files, surveys/NAME/FILE/. That of a 2-D line of
    # data.source is lines/FILE/.
    prefix=r"(predict/([^/]+/)?|surveys/[^/]+/([^/]+/)?|lines/[^/]+/)?",
    # Folder of the outputs made from them.
    folder=r"(volume|predict)(/[^/]+)?",


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
    resources:
        **growing(mem_mb=2000, runtime=30),
    params:
        *code("demo_volume", "demo"),
        command=command("demo_volume"),
        settings=settings("data.demo_volume"),
    shell:
        STAGE


rule copy_volume:
    input:
        source=made(get_container),
    output:
        segy="results/{prefix}data/source.sgy",
    log:
        "results/{prefix}logs/copy_volume.log",
    benchmark:
        "results/{prefix}benchmarks/copy_volume.tsv"
    conda:
        "../../envs/volumes.yaml"
    resources:
        **growing(mem_mb=4000, runtime=240),
    params:
        *code("copy_volume", "volumes"),
        command=command("copy_volume", source=get_container),
        contents=contents(get_container),
        survey=name_survey,
    shell:
        f"{BARE_STAGE} {{params.survey:q}}"


rule scan:
    input:
        expand("results/{prefix}data/geometry.json", prefix=LINES or [""]),


rule scan_volume:
    input:
        source=made(get_segy),
    output:
        geometry="results/{prefix}data/geometry.json",
        traces="results/{prefix}data/traces.h5",
    log:
        "results/{prefix}logs/scan_volume.log",
    benchmark:
        "results/{prefix}benchmarks/scan_volume.tsv"
    conda:
        "../../envs/volumes.yaml"
    threads: 2
    resources:
        **growing(mem_mb=2000, runtime=120),
    params:
        *code("scan_volume", "volumes"),
        command=command("scan_volume", source=get_segy),
        settings=settings(
            "survey.inline_byte",
            "survey.crossline_byte",
            "survey.endian",
            "survey.format",
            "survey.domain",
            "survey.percentile",
        ),
        contents=contents(get_segy),
        survey=name_survey,
    shell:
        f"{STAGE} {{params.survey:q}}"


rule import_volume:
    input:
        source=made(get_segy),
        geometry="results/{prefix}data/geometry.json",
        traces="results/{prefix}data/traces.h5",
    output:
        volume=directory("results/{prefix}data/volume.zarr"),
    log:
        "results/{prefix}logs/import_volume.log",
    benchmark:
        "results/{prefix}benchmarks/import_volume.tsv"
    conda:
        "../../envs/volumes.yaml"
    threads: 2
    resources:
        **growing(mem_mb=2000, runtime=480),
    params:
        *code("import_volume", "volumes"),
        command=command("import_volume", source=get_segy),
        settings=settings("survey.polarity"),
        contents=contents(get_segy),
        survey=name_survey,
    shell:
        f"{STAGE} {{params.survey:q}}"


if VOLUME:

    rule import_lines:
        input:
            labels=made(get_labels),
            former=made(get_former_lines),
            geometry=files_of("results/{prefix}data/geometry.json"),
            traces=files_of("results/{prefix}data/traces.h5"),
            volume=files_of("results/{prefix}data/volume.zarr"),
        output:
            tiles="results/{prefix}data/train.h5",
            lines="results/{prefix}data/lines.h5",
            table="results/{prefix}data/train/tiles.csv",
            masks="results/{prefix}data/train/masks.npy",
            lines_table="results/{prefix}data/train/lines.csv",
        log:
            "results/{prefix}logs/import_lines.log",
        benchmark:
            "results/{prefix}benchmarks/import_lines.tsv"
        wildcard_constraints:
            prefix=LABELLED_PREFIX,
        conda:
            "../../envs/volumes.yaml"
        threads: 2
        resources:
            **growing(mem_mb=4000, runtime=120),
        params:
            *code("import_lines", "volumes"),
            command=command("import_lines", labels=get_labels, former=get_former_lines),
            settings=settings(
                "survey.endian",
                "survey.format",
                "survey.tile",
                "survey.normalisation",
                "survey.unlabelled",
                "validation.folds",
                "validation.scheme",
            ),
            horizons=get_horizons,
            files=name_files,
            survey=name_survey,
            contents=contents(get_labels, get_former_lines),
        shell:
            f"{STAGE} {{params.horizons:q}} {{params.files:q}} {{params.survey:q}}"

    # Whole lines, by members that held them out, as an unlabelled line would be predicted.
    rule predict_lines:
        input:
            tiles="results/{prefix}data/train.h5",
            folds="results/{prefix}data/folds.h5",
            lines="results/{prefix}data/lines.h5",
            geometry=files_of("results/{prefix}data/geometry.json"),
            volume=files_of("results/{prefix}data/volume.zarr"),
            checkpoint="results/models/{member}/checkpoint.safetensors",
        output:
            predictions="results/{prefix}predictions/lines/{member}.h5",
        log:
            "results/{prefix}logs/predict_lines/{member}.log",
        benchmark:
            "results/{prefix}benchmarks/predict_lines/{member}.tsv"
        wildcard_constraints:
            prefix=LABELLED_PREFIX,
        conda:
            "../../envs/torch.yaml"
        threads: THREADS
        resources:
            **growing(mem_mb=4000, runtime=480),
            gpu=get_gpus,
        params:
            *code("predict_lines", "torch"),
            command=command("predict_lines"),
            settings=settings(
                "plugins",
                "validation.scheme",
                "compute",
                "inference.flip",
                "inference.batch_size",
                "inference.planes",
                "inference.window",
                "inference.margin",
                "volume.smoothing",
            ),
            files=name_files,
        shell:
            f"{STAGE} {{params.files:q}}"

    rule calibrate:
        input:
            lines="results/data/lines.h5",
            geometry=if_one_volume("results/data/geometry.json"),
            predictions=expand("results/predictions/lines/{member}.h5", member=MEMBERS),
            weights=get_line_weights,
        output:
            calibration="results/volume/calibration.json",
        log:
            "results/logs/calibrate.log",
        benchmark:
            "results/benchmarks/calibrate.tsv"
        conda:
            "../../envs/data.yaml"
        resources:
            **growing(mem_mb=4000, runtime=60),
        params:
            *code("calibrate", "data"),
            command=command("calibrate"),
            settings=settings("validation.scheme", "volume.prior", "volume.smoothing"),
        shell:
            STAGE

    rule score_lines:
        input:
            lines="results/data/lines.h5",
            geometry=if_one_volume("results/data/geometry.json"),
            predictions=expand("results/predictions/lines/{member}.h5", member=MEMBERS),
            weights=get_line_weights,
            calibration="results/volume/calibration.json",
        output:
            scores="results/volume/scores.json",
            table="results/volume/lines.csv",
        log:
            "results/logs/score_lines.log",
        benchmark:
            "results/benchmarks/score_lines.tsv"
        conda:
            "../../envs/data.yaml"
        resources:
            **growing(mem_mb=4000, runtime=60),
        params:
            *code("score_lines", "data"),
            command=command("score_lines"),
            settings=settings("validation.scheme", "inference.threshold"),
        shell:
            STAGE


if OF_LINES:

    rule rank_lines:
        input:
            lines=expand("{folder}next_lines.csv", folder=FILLED),
        output:
            next="results/volume/next_lines.csv",
        log:
            "results/logs/rank_lines.log",
        benchmark:
            "results/benchmarks/rank_lines.tsv"
        conda:
            "../../envs/volumes.yaml"
        resources:
            **growing(mem_mb=500, runtime=10),
        params:
            *code("rank_lines", "volumes"),
            command=command("rank_lines"),
        shell:
            BARE_STAGE


if FURTHER:

    rule score_surveys:
        input:
            lines=of_further("data/lines.h5"),
            predictions=expand(of_further("predictions/lines/{member}.h5"), member=MEMBERS),
            weights=get_line_weights,
            calibration="results/volume/calibration.json",
        output:
            surveys="results/volume/surveys.csv",
            table="results/volume/survey_lines.csv",
        log:
            "results/logs/score_surveys.log",
        benchmark:
            "results/benchmarks/score_surveys.tsv"
        conda:
            "../../envs/data.yaml"
        resources:
            **growing(mem_mb=4000, runtime=60),
        params:
            *code("score_surveys", "data"),
            command=command("score_surveys"),
            settings=settings("validation.scheme", "inference.threshold"),
        shell:
            STAGE


rule predict_volume:
    input:
        volume="results/{prefix}data/volume.zarr",
        members=made(get_volume_members),
        weights=made(get_weights),
    output:
        predictions=temp(directory("results/{prefix}predictions/volume/{shard}.zarr")),
    log:
        "results/{prefix}logs/predict_volume/{shard}.log",
    benchmark:
        "results/{prefix}benchmarks/predict_volume/{shard}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: THREADS
    resources:
        **growing(mem_mb=4000, runtime=1440),
        gpu=get_gpus,
    params:
        *code("predict_volume", "torch"),
        command=command("predict_volume", members=get_volume_members, weights=get_weights),
        settings=settings(
            "plugins",
            "inference.planes",
            "inference.window",
            "inference.margin",
            "inference.shards",
            "inference.batch_size",
            "compute",
        ),
        flip=get_volume_flip,
        contents=contents(get_volume_members, get_weights),
    shell:
        f"{STAGE} --shard {{wildcards.shard}} {{params.flip}}"


rule merge_volume:
    input:
        source=made(get_segy),
        geometry=under_prefix("results/{prefix}data/geometry.json"),
        traces=under_prefix("results/{prefix}data/traces.h5"),
        shards=under_prefix("results/{prefix}predictions/volume/{shard}.zarr"),
        calibration=made(get_calibration),
        lines=get_labelled_lines,
    output:
        probability=directory("results/{folder}/probability.zarr"),
        segy="results/{folder}/probability.sgy",
    log:
        "results/logs/merge_volume/{folder}.log",
    benchmark:
        "results/benchmarks/merge_volume/{folder}.tsv"
    conda:
        "../../envs/volumes.yaml"
    threads: 2
    resources:
        **growing(mem_mb=4000, runtime=480),
    params:
        *code("merge_volume", "volumes"),
        command=command("merge_volume", source=get_segy, calibration=get_calibration),
        settings=settings("volume.prior", "volume.honour_labels", "volume.smoothing"),
        run=get_run_name,
        file=name_labelled_file,
        contents=contents(get_segy, get_calibration),
    shell:
        f"{STAGE} --run={{params.run:q}} {{params.file:q}}"


# All that depends on the threshold.
rule mask_volume:
    input:
        source=made(get_segy),
        geometry=under_prefix("results/{prefix}data/geometry.json"),
        traces=under_prefix("results/{prefix}data/traces.h5"),
        probability="results/{folder}/probability.zarr",
        threshold=made(get_volume_threshold),
        calibration=made(get_calibration),
        lines=get_labelled_lines,
        labels=made(get_example_horizons),
    output:
        bodies=directory("results/{folder}/bodies.zarr"),
        mask="results/{folder}/mask.sgy",
        bodies_segy="results/{folder}/bodies.sgy",
        surfaces=directory("results/{folder}/surfaces"),
        top="results/{folder}/top_salt.csv",
        base="results/{folder}/base_salt.csv",
        next="results/{folder}/next_lines.csv",
        facts="results/{folder}/volume.json",
    log:
        "results/logs/mask_volume/{folder}.log",
    benchmark:
        "results/benchmarks/mask_volume/{folder}.tsv"
    conda:
        "../../envs/volumes.yaml"
    threads: 2
    resources:
        **growing(mem_mb=4000, runtime=240),
    params:
        *code("mask_volume", "volumes"),
        command=command(
            "mask_volume",
            source=get_segy,
            threshold=get_volume_threshold,
            calibration=get_calibration,
            labels=get_example_horizons,
        ),
        settings=settings("inference.threshold", "volume.honour_labels", "volume.smallest_body"),
        run=get_run_name,
        file=name_labelled_file,
        horizons=get_horizons,
        contents=contents(get_segy, get_volume_threshold, get_calibration, get_example_horizons),
    shell:
        f"{STAGE} --run={{params.run:q}} {{params.file:q}} {{params.horizons:q}}"


# Beside the run's volume, or a predicted one.
rule viewer:
    input:
        geometry=under_prefix("results/{prefix}data/geometry.json"),
        traces=under_prefix("results/{prefix}data/traces.h5"),
        volume=under_prefix("results/{prefix}data/volume.zarr"),
        probability="results/{folder}/probability.zarr",
        bodies="results/{folder}/bodies.zarr",
        volume_facts="results/{folder}/volume.json",
        lines=get_labelled_lines,
    output:
        pictures=directory("results/{folder}/sections"),
        facts="results/{folder}/viewer.json",
    log:
        "results/logs/viewer/{folder}.log",
    benchmark:
        "results/benchmarks/viewer/{folder}.tsv"
    conda:
        "../../envs/volumes.yaml"
    threads: 2
    resources:
        **growing(mem_mb=2000, runtime=120),
    params:
        *code("viewer", "volumes"),
        command=command("viewer"),
        members=lambda wildcards: len(get_volume_members(wildcards)),
        file=name_labelled_file,
    shell:
        f"{BARE_STAGE} --members {{params.members}} {{params.file:q}}"


# The page of a predicted volume; that of the run's own is rule page's.
rule volume_page:
    input:
        # Linked to.
        "results/{folder}/sections",
        geometry=under_prefix("results/{prefix}data/geometry.json"),
        volume=under_prefix("results/{prefix}data/volume.zarr"),
        members=made(get_volume_members),
        volume_facts="results/{folder}/volume.json",
        viewer="results/{folder}/viewer.json",
    output:
        page="results/{folder}/index.html",
    log:
        "results/logs/volume_page/{folder}.log",
    benchmark:
        "results/benchmarks/volume_page/{folder}.tsv"
    conda:
        "../../envs/volumes.yaml"
    resources:
        **growing(mem_mb=1000, runtime=10),
    params:
        *code("volume_page", "volumes"),
        command=command("volume_page", members=get_volume_members),
        contents=contents(get_volume_members),
    shell:
        BARE_STAGE
