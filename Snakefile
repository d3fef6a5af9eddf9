# The workflow itself is workflow/Snakefile. This one is for runs from other folders: Snakemake looks
# for profiles/ beside it. The default target of an included file is ignored, so it is repeated here.


include: "workflow/Snakefile"


rule default:
    default_target: True
    input:
        rules.all.input,
