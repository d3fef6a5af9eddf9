# Salt segmentation: from seismic tiles to salt masks.
# Results lie in results/ of the working directory; results/submission.csv is the end of the line.

from snakemake.utils import min_version

min_version("9.27.1")


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/submission.smk"
include: "workflow/rules/prediction.smk"
include: "workflow/rules/report.smk"


report: "workflow/report/workflow.rst"


rule all:
    default_target: True
    input:
        with_test("results/submission.csv"),
        "results/summary.txt",
        "results/review.csv",
        rules.gallery.output,
        rules.plot_training.output,
        rules.plot_evaluation.output,
        rules.plot_data.output,
        rules.page.output,


onstart:
    refuse_to_submit_from_odd_folders()
    record_what_is_there(workflow.persistence)


onsuccess:
    # What finished members would have gone on from.
    for folder in [Path("results/states"), *Path("results/rounds").glob("*/states")]:
        for state in folder.glob("*.pt"):
            if (folder.parent / f"models/{state.stem}/checkpoint.safetensors").exists():
                state.unlink()
        with suppress(OSError):
            folder.rmdir()
    summary, threshold = Path("results/summary.txt"), Path("results/threshold.json")
    # A run of some targets only may have left an older summary behind.
    if summary.exists() and threshold.exists():
        if summary.stat().st_mtime >= threshold.stat().st_mtime:
            print(f"\n{summary.read_text()}")


onerror:
    print_at_exit(last_words("".join(Path(file).read_text() for file in log)))
