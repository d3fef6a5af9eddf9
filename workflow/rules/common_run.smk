# What guards a run: its record and retries.

from engine.record import lost_record, record_only_finished, retry_only_what_helps

# Beside the record of finished jobs, with which it is lost.
STAMP = Path(".snakemake/salt-segmentation/started")

record_only_finished()
retry_only_what_helps()
if lost_record(RESULTS, STAMP):
    logger.warning(
        "results/ is older than its record in .snakemake/, or has none, so it is not known how it was "
        "made, and a changed setting goes unseen: restore the .snakemake/ that belongs to it, or "
        "rebuild everything with --forceall."
    )

with exit_on_input_error("ensemble.runs"):
    for run in chain.from_iterable(each["ensemble"]["runs"] for each in CONFIGS.values()):
        if is_own(run):
            raise InputError(f"{run}: these are this run's own results; leave them out")

if "apptainer" in map(str, workflow.deployment_settings.deployment_method):
    fault = (
        "--sdm apptainer: no rule names a container, so all jobs would run on this machine; use "
        "--sdm conda, or run snakemake itself in the image that the project's Dockerfile builds"
    )
    # An importer's rules may have containers.
    if not IS_MODULE:
        sys.exit(fault)
    logger.warning(fault)
