# Finished members for programs in other languages, only on request: `snakemake export`.


rule export:
    input:
        checkpoints=expand("results/models/{member}/checkpoint.safetensors", member=MEMBERS),
        threshold="results/threshold.json",
    output:
        ensemble="results/export/ensemble.onnx",
        members=expand("results/export/member_{member}.onnx", member=MEMBERS),
    log:
        "results/logs/export.log",
    benchmark:
        "results/benchmarks/export.tsv"
    conda:
        "../../envs/torch.yaml"
    resources:
        **growing(mem_mb=4000, runtime=30),
    params:
        *code("export", "torch"),
        command=command("export"),
        settings=settings("plugins"),
    shell:
        STAGE
