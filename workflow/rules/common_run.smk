# What guards a run: locks, damaged files, lost records, and schedulers' shells.

from engine.record import (
    clear_locks,
    fresh_summary,
    has_lost_record,
    record_only_finished,
    remove_states,
)
from engine.terminal import last_words, print_at_exit
from saltseg.core.checksums import check_folder, follow_date


def add_handlers(**handlers):
    """Add a module's handlers; Snakemake only runs those of the main Snakefile."""

    def both(first, second):
        def handle(log):
            first(log)
            second(log)

        return handle

    for name, handler in handlers.items():
        setattr(workflow, f"_{name}", both(getattr(workflow, f"_{name}"), handler.func))


def refuse_to_submit_from_odd_folders():
    """Exit with a message if a folder's name would run commands when jobs are submitted.

    The plugins (cluster-generic 1.0, slurm 2.8) put what they submit in double quotes.
    """
    executor = workflow.executor_settings
    if hasattr(executor, "submit_cmd"):
        odd = set('"$`\\')
    elif not getattr(executor, "pass_command_as_script", True):
        odd = set("$`\\")
    else:
        return
    paths = [
        ("--directory", Path.cwd(), odd),
        ("the project's folder", ROOT.resolve(), odd),
        # No quotes either: job scripts contain its path unquoted.
        ("the Python that runs Snakemake", sys.executable, odd | set(" '")),
    ]
    for what, path, special in paths:
        found = sorted(special & set(str(path)))
        if found:
            with exit_on_input_error(what):
                named = " ".join("a space" if each == " " else each for each in found)
                raise InputError(
                    f"{path}: the plugin that submits jobs hands it to a shell, to which "
                    f"{named} means something else; use a folder without"
                )


ALIVE = clear_locks() if workflow.is_main_process else None

if workflow.is_main_process and "--unlock" not in sys.argv:
    # Jobs check as well, but only after Snakemake has deleted their previous outputs.
    with exit_on_input_error():
        check_folder(with_prefix("results"))

if workflow.is_main_process and has_lost_record(results=with_prefix("results")):
    logger.warning(
        "results/ is here without the .snakemake/ that was beside it, so only dates can tell "
        "what is stale, and a changed setting goes unseen; --forceall rebuilds everything."
    )
