# Predictions by finished members, only on request: masks of new tiles, or whole volumes.


if PREDICTED_VOLUMES:

    rule predict:
        input:
            expand(
                "results/{prefix}{name}",
                prefix=PREDICTED_VOLUMES,
                name=[*VOLUME_OUTPUTS, "index.html"],
            ),

else:

    rule predict:
        input:
            tiles=made(get_new_tiles),
            checkpoints=made(get_members),
            threshold=made(get_threshold),
        output:
            table="results/predict/masks.csv",
            masks=directory("results/predict/masks"),
        log:
            "results/logs/predict.log",
        benchmark:
            "results/benchmarks/predict.tsv"
        conda:
            "../../envs/torch.yaml"
        threads: THREADS
        resources:
            **growing(mem_mb=4000, runtime=240),
            gpu=get_gpus,
        params:
            *code("predict", "torch"),
            command=command(
                "predict", tiles=get_new_tiles, checkpoints=get_members, threshold=get_threshold
            ),
            settings=settings("plugins", "inference.threshold", "inference.batch_size", "compute"),
            fingerprint=get_new_fingerprint,
            contents=contents(get_threshold, get_members),
        shell:
            STAGE
