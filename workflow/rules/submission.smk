# Probabilities of the test tiles, their mean over the members, and the masks.


rule predict_test:
    input:
        tiles="results/data/test/tiles.csv",
        images="results/data/test/images.npy",
        checkpoint="results/{round}models/{seed}/checkpoint.safetensors",
    output:
        predictions="results/{round}predictions/test/{seed}/{shard}.npy",
        ids="results/{round}predictions/test/{seed}/{shard}.csv",
    log:
        "results/{round}logs/predict_test/{seed}/{shard}.log",
    benchmark:
        "results/{round}benchmarks/predict_test/{seed}/{shard}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: THREADS
    resources:
        gpu=get_gpus,
        mem_mb=4000,
        runtime=240,
    params:
        *code("predict_test", "torch"),
        script=script("predict_test"),
        settings=settings(
            *("inference.flip", "inference.batch_size", "inference.shards", "compute"),
        ),
    shell:
        "python {params.script:q} {params.settings:q} "
        "--tiles {input.tiles:q} --checkpoint {input.checkpoint:q} --shard {wildcards.shard} "
        "--output {output.predictions:q} --log {log:q}"


rule submission:
    input:
        tiles="results/data/test/tiles.csv",
        threshold="results/threshold.json",
        predictions=expand(
            "results/predictions/test/{seed}/{shard}.npy", seed=SEEDS, shard=range(SHARDS)
        ),
        ids=expand("results/predictions/test/{seed}/{shard}.csv", seed=SEEDS, shard=range(SHARDS)),
    output:
        "results/submission.csv",
    log:
        "results/logs/submission.log",
    benchmark:
        "results/benchmarks/submission.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        *code("submission", "data"),
        script=script("submission"),
        shards=SHARDS,
    shell:
        "python {params.script:q} --tiles {input.tiles:q} --threshold {input.threshold:q} "
        "--predictions {input.predictions:q} --shards {params.shards:q} --output {output:q} --log {log:q}"


rule summary:
    input:
        threshold="results/threshold.json",
        submission=with_test("results/submission.csv"),
    output:
        report(
            "results/summary.txt",
            caption="../report/summary.rst",
            category="Evaluation",
            labels={"shows": "score and threshold, in words"},
        ),
    log:
        "results/logs/summary.log",
    benchmark:
        "results/benchmarks/summary.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        *code("summary", "data"),
        script=script("summary"),
        submission=with_test("--submission", with_prefix("results/submission.csv")),
    shell:
        "python {params.script:q} --threshold {input.threshold:q} {params.submission:q} "
        "--output {output:q} --log {log:q}"


# Only on request; the output is kept and appended to, so that nothing is sent twice.
rule submit:
    input:
        submission="results/submission.csv",
        threshold="results/threshold.json",
    output:
        update("results/submitted.txt"),
    log:
        "results/logs/submit.log",
    benchmark:
        "results/benchmarks/submit.tsv"
    localrule: True
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=30,
    params:
        script=script("submit"),
    shell:
        "python {params.script:q} --submission {input.submission:q} --threshold {input.threshold:q} "
        "--output {output:q} --log {log:q}"
