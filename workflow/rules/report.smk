# Figures and pictures of the results; only the report depends on them.


# Out-of-fold: by the members that validate on the tile.
VALIDATION = expand("results/predictions/validation/{member}.h5", member=MEMBERS)
TEST = with_test(
    *expand("results/predictions/test/{member}/{shard}.h5", member=MEMBERS, shard=range(SHARDS))
)


rule review:
    input:
        tiles="results/data/train.h5",
        folds="results/data/folds.h5",
        threshold="results/threshold.json",
        predictions=VALIDATION,
        lines_table=if_volume("results/volume/lines.csv"),
    output:
        review=report(
            "results/review.csv",
            caption="../report/review.rst",
            category="Tiles",
            labels={"shows": "all labelled tiles, worst first"},
        ),
    log:
        "results/logs/review.log",
    benchmark:
        "results/benchmarks/review.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        *code("review", "data"),
        command=command("review"),
    shell:
        BARE_STAGE


rule gallery:
    input:
        tiles="results/data/train.h5",
        review="results/review.csv",
        threshold="results/threshold.json",
        predictions=VALIDATION,
    output:
        gallery=report(
            "results/gallery.png",
            caption="../report/gallery.rst",
            category="Tiles",
            labels={"shows": "from the worst score to the best"},
        ),
        worst=report(
            "results/figures/worst.png",
            caption="../report/worst.rst",
            category="Tiles",
            labels={"shows": "the worst"},
        ),
        typical=report(
            "results/figures/typical.png",
            caption="../report/typical.rst",
            category="Tiles",
            labels={"shows": "typical ones"},
        ),
        best=report(
            "results/figures/best.png",
            caption="../report/best.rst",
            category="Tiles",
            labels={"shows": "the best"},
        ),
        disagreement=report(
            "results/figures/disagreement.png",
            caption="../report/disagreement.rst",
            category="Tiles",
            labels={"shows": "where members disagree"},
        ),
    log:
        "results/logs/gallery.log",
    benchmark:
        "results/benchmarks/gallery.tsv"
    conda:
        "../../envs/plots.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        *code("gallery", "plots"),
        command=command("gallery"),
    shell:
        BARE_STAGE


# After all slow stages, so that their times exist. Benchmarks are not inputs: they differ from run
# to run, and deleting them must rerun nothing.
rule plot_training:
    input:
        with_test("results/submission.csv"),
        histories=expand("results/models/{member}/history.csv", member=TRAINED),
        checkpoints=expand("results/models/{member}/checkpoint.safetensors", member=TRAINED),
    output:
        learning=report(
            "results/figures/learning.svg",
            caption="../report/learning.rst",
            category="Training",
            labels={"shows": "learning curves"},
        ),
        times=report(
            "results/figures/times.svg",
            caption="../report/times.rst",
            category="Training",
            labels={"shows": "time and memory"},
        ),
    log:
        "results/logs/plot_training.log",
    benchmark:
        "results/benchmarks/plot_training.tsv"
    conda:
        "../../envs/plots.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        *code("plot_training", "plots"),
        command=command("plot_training"),
        members=TRAINED,
        benchmarks=str(RESULTS / "benchmarks"),
    shell:
        f"{BARE_STAGE} --members {{params.members:q}} --benchmarks {{params.benchmarks:q}}"


rule plot_evaluation:
    input:
        tiles="results/data/train.h5",
        folds="results/data/folds.h5",
        review="results/review.csv",
        threshold="results/threshold.json",
        curve="results/threshold_curve.csv",
        predictions=VALIDATION,
    output:
        score=report(
            "results/figures/threshold.svg",
            caption="../report/threshold.rst",
            category="Evaluation",
            labels={"shows": "score against threshold"},
        ),
        tile_scores=report(
            "results/figures/tile_scores.svg",
            caption="../report/tile_scores.rst",
            category="Evaluation",
            labels={"shows": "score by coverage and depth"},
        ),
        calibration=report(
            "results/figures/calibration.svg",
            caption="../report/calibration.rst",
            category="Evaluation",
            labels={"shows": "calibration"},
        ),
        members=report(
            "results/figures/members.svg",
            caption="../report/members.rst",
            category="Evaluation",
            labels={"shows": "score against the number of members"},
        ),
    log:
        "results/logs/plot_evaluation.log",
    benchmark:
        "results/benchmarks/plot_evaluation.tsv"
    conda:
        "../../envs/plots.yaml"
    threads: 2
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        *code("plot_evaluation", "plots"),
        command=command("plot_evaluation"),
    shell:
        BARE_STAGE


rule plot_data:
    input:
        tiles="results/data/train.h5",
        test_tiles=with_test("results/data/test.h5"),
        review="results/review.csv",
        threshold="results/threshold.json",
        predictions=TEST,
    output:
        figure=report(
            "results/figures/data.svg",
            caption="../report/data.rst",
            category="Data",
            labels={"shows": "labelled and test tiles"},
        ),
    log:
        "results/logs/plot_data.log",
    benchmark:
        "results/benchmarks/plot_data.tsv"
    conda:
        "../../envs/plots.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        *code("plot_data", "plots"),
        command=command("plot_data"),
    shell:
        BARE_STAGE


rule page:
    input:
        # Linked to.
        if_one_volume("results/volume/sections"),
        tiles="results/data/train.h5",
        test_tiles=with_test("results/data/test.h5"),
        record="results/run.yaml",
        review="results/review.csv",
        threshold="results/threshold.json",
        validation=VALIDATION,
        test=TEST,
        figures=[
            *rules.plot_evaluation.output,
            *rules.plot_training.output,
            *rules.plot_data.output,
        ],
        viewer=if_one_volume("results/volume/viewer.json"),
        volume_files=VOLUME_FILES,
    output:
        page=report(
            "results/index.html",
            caption="../report/page.rst",
            category="Page",
            labels={"shows": "all of it"},
        ),
        pictures=directory("results/tiles"),
    log:
        "results/logs/page.log",
    benchmark:
        "results/benchmarks/page.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 2
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        *code("page", "data"),
        command=command("page"),
        benchmarks=str(RESULTS / "benchmarks"),
    shell:
        f"{BARE_STAGE} --benchmarks {{params.benchmarks:q}}"
