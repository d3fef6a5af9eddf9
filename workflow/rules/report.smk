# Figures and pictures of the results; only the report depends on them.


# Out-of-fold: by the members that validate on the tile.
VALIDATION = expand("results/predictions/validation/{member}.h5", member=MEMBERS)
TEST = with_test(
    *expand("results/predictions/test/{member}/{shard}.h5", member=MEMBERS, shard=range(SHARDS))
)
# Folders with the times of a run's jobs, also of those for its 2-D lines and further surveys.
BENCHMARKS = [
    str(RESULTS / f"{prefix}benchmarks")
    for name, files in {"": LINES, **FURTHER_FILES}.items()
    for prefix in dict.fromkeys([f"surveys/{name}/" if name else "", *files])
]


rule review:
    input:
        tiles="results/data/train.h5",
        folds="results/data/folds.h5",
        threshold="results/threshold.json",
        predictions=VALIDATION,
        lines_table=if_volume("results/volume/lines.csv"),
    output:
        review=in_report("results/review.csv", "Tiles", "all labelled tiles, worst first"),
    log:
        "results/logs/review.log",
    benchmark:
        "results/benchmarks/review.tsv"
    conda:
        "../../envs/data.yaml"
    resources:
        **growing(mem_mb=1000, runtime=30),
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
        gallery=in_report("results/gallery.png", "Tiles", "from the worst score to the best"),
        worst=in_report("results/figures/worst.png", "Tiles", "the worst"),
        typical=in_report("results/figures/typical.png", "Tiles", "typical ones"),
        best=in_report("results/figures/best.png", "Tiles", "the best"),
        disagreement=in_report(
            "results/figures/disagreement.png", "Tiles", "where members disagree"
        ),
    log:
        "results/logs/gallery.log",
    benchmark:
        "results/benchmarks/gallery.tsv"
    conda:
        "../../envs/plots.yaml"
    resources:
        **growing(mem_mb=1000, runtime=10),
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
        learning=in_report("results/figures/learning.svg", "Training", "learning curves"),
        times=in_report("results/figures/times.svg", "Training", "time and memory"),
    log:
        "results/logs/plot_training.log",
    benchmark:
        "results/benchmarks/plot_training.tsv"
    conda:
        "../../envs/plots.yaml"
    resources:
        **growing(mem_mb=1000, runtime=10),
    params:
        *code("plot_training", "plots"),
        command=command("plot_training"),
        members=TRAINED,
        benchmarks=BENCHMARKS,
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
        score=in_report("results/figures/threshold.svg", "Evaluation", "score against threshold"),
        tile_scores=in_report(
            "results/figures/tile_scores.svg", "Evaluation", "score by coverage and depth"
        ),
        calibration=in_report("results/figures/calibration.svg", "Evaluation", "calibration"),
        members=in_report(
            "results/figures/members.svg", "Evaluation", "score against the number of members"
        ),
    log:
        "results/logs/plot_evaluation.log",
    benchmark:
        "results/benchmarks/plot_evaluation.tsv"
    conda:
        "../../envs/plots.yaml"
    threads: 2
    resources:
        **growing(mem_mb=2000, runtime=30),
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
        figure=in_report("results/figures/data.svg", "Data", "labelled and test tiles"),
    log:
        "results/logs/plot_data.log",
    benchmark:
        "results/benchmarks/plot_data.tsv"
    conda:
        "../../envs/plots.yaml"
    resources:
        **growing(mem_mb=1000, runtime=30),
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
        page=in_report("results/index.html", "Page", "all of it"),
        pictures=directory("results/tiles"),
    log:
        "results/logs/page.log",
    benchmark:
        "results/benchmarks/page.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 2
    resources:
        **growing(mem_mb=2000, runtime=60),
    params:
        *code("page", "data"),
        command=command("page"),
        benchmarks=BENCHMARKS,
    shell:
        f"{BARE_STAGE} --benchmarks {{params.benchmarks:q}}"
