# Figures and pictures of the results; only the report depends on them.


# Out-of-fold: by the members that validate on the tile.
VALIDATION = expand("results/predictions/validation/{seed}.npy", seed=SEEDS)
VALIDATION_IDS = expand("results/predictions/validation/{seed}.csv", seed=SEEDS)
TEST = with_test(
    *expand("results/predictions/test/{seed}/{shard}.npy", seed=SEEDS, shard=range(SHARDS))
)
TEST_IDS = with_test(
    *expand("results/predictions/test/{seed}/{shard}.csv", seed=SEEDS, shard=range(SHARDS))
)


rule review:
    input:
        tiles="results/data/train/tiles.csv",
        images="results/data/train/images.npy",
        masks="results/data/train/masks.npy",
        folds="results/data/folds.csv",
        threshold="results/threshold.json",
        predictions=VALIDATION,
        ids=VALIDATION_IDS,
    output:
        report(
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
        mem_mb=1000,
        runtime=30,
    params:
        *code("review", "data"),
        script=script("review"),
    shell:
        "python {params.script:q} --tiles {input.tiles:q} --folds {input.folds:q} "
        "--threshold {input.threshold:q} --predictions {input.predictions:q} "
        "--output {output:q} --log {log:q}"


rule gallery:
    input:
        tiles="results/data/train/tiles.csv",
        images="results/data/train/images.npy",
        masks="results/data/train/masks.npy",
        review="results/review.csv",
        threshold="results/threshold.json",
        predictions=VALIDATION,
        ids=VALIDATION_IDS,
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
        mem_mb=1000,
        runtime=10,
    params:
        *code("gallery", "plots"),
        script=script("gallery"),
    shell:
        "python {params.script:q} --tiles {input.tiles:q} --review {input.review:q} "
        "--threshold {input.threshold:q} --predictions {input.predictions:q} "
        "--gallery {output.gallery:q} --worst {output.worst:q} --typical {output.typical:q} "
        "--best {output.best:q} --disagreement {output.disagreement:q} --log {log:q}"


# After all slow stages, so that their times exist. Benchmarks are not inputs: they differ from run
# to run, and deleting them must rerun nothing.
rule plot_training:
    input:
        histories=expand("results/models/{seed}/history.csv", seed=SEEDS),
        checkpoints=expand("results/models/{seed}/checkpoint.safetensors", seed=SEEDS),
        submission=with_test("results/submission.csv"),
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
        mem_mb=1000,
        runtime=10,
    params:
        *code("plot_training", "plots"),
        script=script("plot_training"),
        seeds=SEEDS,
        benchmarks=with_prefix("results/benchmarks"),
    shell:
        "python {params.script:q} --seeds {params.seeds:q} --histories {input.histories:q} "
        "--checkpoints {input.checkpoints:q} --benchmarks {params.benchmarks:q} "
        "--learning {output.learning:q} --times {output.times:q} --log {log:q}"


rule plot_evaluation:
    input:
        tiles="results/data/train/tiles.csv",
        masks="results/data/train/masks.npy",
        folds="results/data/folds.csv",
        review="results/review.csv",
        threshold="results/threshold.json",
        curve="results/threshold_curve.csv",
        predictions=VALIDATION,
        ids=VALIDATION_IDS,
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
        mem_mb=2000,
        runtime=30,
    params:
        *code("plot_evaluation", "plots"),
        script=script("plot_evaluation"),
    shell:
        "python {params.script:q} --tiles {input.tiles:q} --folds {input.folds:q} "
        "--review {input.review:q} --threshold {input.threshold:q} --curve {input.curve:q} "
        "--predictions {input.predictions:q} --score {output.score:q} "
        "--tile-scores {output.tile_scores:q} --calibration {output.calibration:q} "
        "--members {output.members:q} --log {log:q}"


rule plot_data:
    input:
        tiles="results/data/train/tiles.csv",
        test_tiles=with_test("results/data/test/tiles.csv"),
        review="results/review.csv",
        threshold="results/threshold.json",
        predictions=TEST,
        ids=TEST_IDS,
    output:
        report(
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
        mem_mb=1000,
        runtime=30,
    params:
        *code("plot_data", "plots"),
        script=script("plot_data"),
        test=with_test(
            *("--test-tiles", with_prefix("results/data/test/tiles.csv")),
            *("--predictions", *map(with_prefix, TEST)),
        ),
    shell:
        "python {params.script:q} --tiles {input.tiles:q} {params.test:q} "
        "--review {input.review:q} --threshold {input.threshold:q} "
        "--output {output:q} --log {log:q}"


rule page:
    input:
        tiles="results/data/train/tiles.csv",
        images="results/data/train/images.npy",
        masks="results/data/train/masks.npy",
        test_tiles=with_test("results/data/test/tiles.csv"),
        test_images=with_test("results/data/test/images.npy"),
        review="results/review.csv",
        threshold="results/threshold.json",
        validation=VALIDATION,
        validation_ids=VALIDATION_IDS,
        test=TEST,
        test_ids=TEST_IDS,
        figures=[
            *rules.plot_evaluation.output,
            *rules.plot_training.output,
            *rules.plot_data.output,
        ],
        viewer=of_volume("results/volume/viewer.json", "results/sections"),
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
        mem_mb=2000,
        runtime=60,
    params:
        *code("page", "data"),
        script=script("page"),
        test=with_test(
            *("--test-tiles", with_prefix("results/data/test/tiles.csv")),
            *("--test", *map(with_prefix, TEST)),
        ),
        viewer=lambda wildcards, input: ["--viewer", input.viewer[0]] if input.viewer else [],
        benchmarks=with_prefix("results/benchmarks"),
    shell:
        "python {params.script:q} --tiles {input.tiles:q} {params.test:q} {params.viewer:q} "
        "--review {input.review:q} --threshold {input.threshold:q} --validation {input.validation:q} "
        "--figures {input.figures:q} --benchmarks {params.benchmarks:q} "
        "--output {output.page:q} --pictures {output.pictures:q} --log {log:q}"
