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
    # Snakemake has just touched what a job made; its checksums get the same date.
    record_only_finished(workflow.persistence, follow_date)


onsuccess:
    remove_states(Path("results"))
    print(fresh_summary(Path("results")), end="")


onerror:
    print_at_exit(last_words("".join(Path(file).read_text() for file in log)))
