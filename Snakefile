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


report: "workflow/report/workflow.rst"


rule all:
    default_target: True
    input:
        "results/submission.csv",
        "results/summary.txt",
        "results/gallery.png",


onsuccess:
    summary, threshold = Path("results/summary.txt"), Path("results/threshold.json")
    # A run of some targets only may have left an older summary behind.
    if summary.exists() and threshold.exists():
        if summary.stat().st_mtime >= threshold.stat().st_mtime:
            print(f"\n{summary.read_text()}")
