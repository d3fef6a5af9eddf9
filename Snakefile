# The workflow itself is workflow/Snakefile. This one is for runs from other folders: Snakemake looks
# for profiles/ beside it. An included file's default target is ignored, so it is stated once more.


include: "workflow/Snakefile"


rule default:
    default_target: True
    input:
        rules.all.input,
