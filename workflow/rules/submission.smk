# Probabilities of the test tiles, their mean over the members, and the masks.


rule predict_test:
    input:
        tiles="results/data/test.h5",
        checkpoint="results/{experiment}{round}models/{member}/checkpoint.safetensors",
    output:
        predictions="results/{experiment}{round}predictions/test/{member}/{shard}.h5",
    log:
        "results/{experiment}{round}logs/predict_test/{member}/{shard}.log",
    benchmark:
        "results/{experiment}{round}benchmarks/predict_test/{member}/{shard}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: THREADS
    resources:
        **growing(mem_mb=4000, runtime=240),
        gpu=get_gpus,
    params:
        *code("predict_test", "torch"),
        command=command("predict_test"),
        settings=settings(
            "plugins", "inference.flip", "inference.batch_size", "inference.shards", "compute"
        ),
    shell:
        f"{STAGE} --shard {{wildcards.shard}}"


rule submission:
    input:
        tiles="results/data/test.h5",
        threshold="results/threshold.json",
        predictions=expand(
            "results/predictions/test/{member}/{shard}.h5", member=MEMBERS, shard=range(SHARDS)
        ),
    output:
        submission="results/submission.csv",
    log:
        "results/logs/submission.log",
    benchmark:
        "results/benchmarks/submission.tsv"
    conda:
        "../../envs/data.yaml"
    resources:
        **growing(mem_mb=1000, runtime=60),
    params:
        *code("submission", "data"),
        command=command("submission"),
    shell:
        BARE_STAGE


rule provenance:
    input:
        "results/threshold.json",
        with_test("results/submission.csv"),
        expand("{folder}mask.sgy", folder=if_volume(*FILLED)),
        members=expand("results/models/{member}/checkpoint.safetensors", member=MEMBERS),
    output:
        record="results/run.yaml",
    log:
        "results/logs/provenance.log",
    benchmark:
        "results/benchmarks/provenance.tsv"
    conda:
        "../../envs/data.yaml"
    resources:
        **growing(mem_mb=500, runtime=10),
    params:
        *code("provenance", "data"),
        command=command("provenance"),
        # Compared, since results may be the same with others.
        used=settings(*RECORDED, ignoring=["training.encoder_weights", "training.tensorboard"]),
        versions=get_versions,
        fingerprints=get_fingerprints,
        facts=get_facts,
    shell:
        f"{BARE_STAGE} --facts {{params.facts:q}}"


rule summary:
    input:
        threshold="results/threshold.json",
        submission=with_test("results/submission.csv"),
        volume_files=VOLUME_FILES,
    output:
        summary=in_report("results/summary.txt", "Evaluation", "score and threshold, in words"),
    log:
        "results/logs/summary.log",
    benchmark:
        "results/benchmarks/summary.tsv"
    conda:
        "../../envs/data.yaml"
    resources:
        **growing(mem_mb=500, runtime=10),
    params:
        *code("summary", "data"),
        command=command("summary"),
    shell:
        BARE_STAGE


# Only on request; the output is kept and appended to, so that nothing is sent twice.
rule submit:
    input:
        submission="results/submission.csv",
        threshold="results/threshold.json",
    output:
        record=update("results/submitted.txt"),
    log:
        "results/logs/submit.log",
    benchmark:
        "results/benchmarks/submit.tsv"
    localrule: True
    conda:
        "../../envs/data.yaml"
    resources:
        **growing(mem_mb=500, runtime=30),
    params:
        command=command("submit"),
    shell:
        BARE_STAGE
