"""Which jobs rerun after a change to a finished project, and the table of it in config/README.md.

Dry runs by Snakemake decide. What Snakemake compares, the code of each stage and the settings of
each rule, is compared as text, here and in tests/unit/settings.
"""

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from saltseg.core.hdf import writing
from support.running import (
    JOBS,
    ROOT,
    TINY,
    below,
    complete,
    copy_project,
    planned,
    planned_in,
    printed,
    rule_texts,
    run_snakemake,
    stages_by_environment,
    with_config,
)
from support.surveys import folds_in

pytestmark = pytest.mark.slow

STATEMENT = "\nCHANGED = True\n"
MEMBER_ADDED = {**below("threshold"), "train": 1, "predict_validation": 1, "predict_test": 1}
# Each member's previous round, and the last round again.
ROUND_ADDED = {**below("train"), "train": 4, "predict_test": 4}


@dataclass(frozen=True)
class Case:
    """A row of the table: a change to a finished project, and the jobs that then run.

    jobs: their description in the table
    expected: their number by rule
    edit: makes the change in the project's folder, and may move that
    """

    change: str
    jobs: str
    expected: dict[str, int]
    edit: Callable[[Path], object]


def edit_config(section: str, key: str, value) -> Callable[[Path], None]:
    def edit(project: Path) -> None:
        config = yaml.safe_load((project / "mine.yaml").read_text())
        config.setdefault(section, {})[key] = value
        (project / "mine.yaml").write_text(yaml.safe_dump(config))

    return edit


def append(file: str, text: str) -> Callable[[Path], None]:
    def edit(project: Path) -> None:
        with open(project / file, "a") as opened:
            opened.write(text)

    return edit


def change_what_does_not_matter(project: Path) -> None:
    """Reword all comments and docstrings, touch all files, reverse the order of keys."""
    reword(project)
    for file in project.rglob("*"):
        if file.is_file() and ".snakemake" not in file.parts:
            file.touch()
    for file in project.glob("envs/*.yaml"):
        append(f"envs/{file.name}", "# A comment.\n")(project)
    append("profiles/default/config.yaml", "# A comment.\n")(project)
    append("workflow/rules/common.smk", "# A comment.\n")(project)
    append("workflow/report/gallery.rst", "A caption.\n")(project)
    config = yaml.safe_load((project / "mine.yaml").read_text())
    turned = {name: dict(reversed(keys.items())) for name, keys in reversed(config.items())}
    (project / "mine.yaml").write_text(yaml.safe_dump(turned, sort_keys=False))


def reword(project: Path) -> None:
    """Change the docstring of every script, and add a blank line and a comment."""
    for file in (project / "workflow/scripts").rglob("*.py"):
        code = file.read_text()
        end = code.index('"""', 3)
        file.write_text(f"{code[:end]} Reworded.{code[end:]}\n\n# A comment.\n")


def move(project: Path) -> None:
    """Copy the project to another folder, so that all dates are new, too."""
    kept = project.with_name("kept")
    project.rename(kept)
    shutil.copytree(kept, project.with_name("moved"), copy_function=shutil.copyfile)


def change_losses(project: Path) -> None:
    """Add a statement to code of the training, with a date older than the results'."""
    append("workflow/scripts/saltseg/training/losses.py", STATEMENT)(project)
    os.utime(project / "workflow/scripts/saltseg/training/losses.py", (0, 0))


def change_environment(project: Path) -> None:
    path = project / "envs/plots.yaml"
    path.write_text(path.read_text().replace("python =3.11", "python =3.12"))


def change_fold(project: Path) -> None:
    path = project / "results/data/folds.h5"
    table = folds_in(path)
    table.loc[0, "fold"] = 1 - table.loc[0, "fold"]
    with writing(path) as file:
        file.put_table(table)


def add_kind(project: Path) -> None:
    edit_config("ensemble", "seeds", None)(project)
    wide = {"name": "wide", "seeds": [1], "model": {"width": 3}}
    edit_config("ensemble", "members", [{"seeds": [0, 1]}, wide])(project)


def lose_record(project: Path) -> None:
    shutil.rmtree(project / ".snakemake")
    edit_config("training", "loss", "bce")(project)


CASES = [
    Case(
        "comments, docstrings, captions, dates of files, profiles, the order of keys",
        "nothing",
        {},
        change_what_does_not_matter,
    ),
    Case("a project moved or copied with `results` and `.snakemake`", "nothing", {}, move),
    Case(
        "code or packages of figures",
        "the figures and the page: seconds",
        below("gallery", "plot_training", "plot_evaluation", "plot_data"),
        change_environment,
    ),
    Case(
        "a submission deleted",
        "the submission and later stages: seconds",
        below("submission"),
        lambda project: (project / "results/submission.csv").unlink(),
    ),
    Case(
        "`inference.shards`",
        "predictions of test tiles and later stages",
        {**below("predict_test"), "predict_test": 6},
        edit_config("inference", "shards", 3),
    ),
    Case(
        "`inference.batch_size`, `compute.runtime`",
        "predictions and later stages; no training",
        below("predict_validation", "predict_test"),
        edit_config("inference", "batch_size", 5),
    ),
    Case(
        "`inference.threshold`",
        "the threshold and what depends on it: seconds",
        below("threshold"),
        edit_config("inference", "threshold", 0.5),
    ),
    Case(
        "a seed added to `ensemble.seeds`",
        "one training, and what averages over members",
        {rule: MEMBER_ADDED[rule] for rule in JOBS if rule in MEMBER_ADDED},
        edit_config("ensemble", "seeds", [2, 1, 0]),
    ),
    Case(
        "a kind added to `ensemble.members`",
        "its trainings and predictions, and what averages over members",
        {rule: 1 for rule in JOBS if rule in MEMBER_ADDED or rule == "check_kind"},
        add_kind,
    ),
    Case(
        "`model`, `training`, `augmentation`, code that trains",
        "every training and later stages: hours",
        below("check_kind", "train"),
        change_losses,
    ),
    Case(
        "a round added to `self_training.rounds`",
        "every training, of each round",
        ROUND_ADDED,
        edit_config("self_training", "rounds", 1),
    ),
    Case(
        "`validation.seed`, `validation.folds`",
        "the folds, every training and later stages",
        below("split"),
        edit_config("validation", "seed", 1),
    ),
    Case(
        "folds edited by hand",
        "every training and later stages",
        below("check_kind", "train", "predict_validation", "threshold"),
        change_fold,
    ),
    Case(
        "`.snakemake` deleted, then any key",
        "nothing, since no record is left; a warning says so",
        {},
        lose_record,
    ),
]


@pytest.fixture
def project(finished, tmp_path) -> Path:
    """A copy of the project with the finished run inside."""
    folder = copy_project(tmp_path / "project")
    shutil.copy2(TINY, folder / "mine.yaml")
    for name in ("results", ".snakemake"):
        shutil.copytree(finished / name, folder / name)
    return folder


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.change)
def test_only_stale_steps_rerun_after_a_change(case, project):
    case.edit(project)
    # Where it was moved to, if it was.
    moved = project.with_name("moved")
    found = planned_in(moved if moved.exists() else project, "--configfile", "mine.yaml")
    assert {rule: count for rule, count in found.items() if rule in JOBS} == case.expected


def test_another_version_of_a_package_reruns_what_computes_with_it(project, tmp_path, monkeypatch):
    metadata = tmp_path / "packages/matplotlib-99.dist-info/METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Name: matplotlib\nVersion: 99\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    figures = {"gallery", "plot_training", "plot_evaluation", "plot_data", "provenance", "page"}
    assert planned_in(project, "--configfile", "mine.yaml").keys() - {"all"} == figures


def test_what_is_stale_reruns_and_leaves_nothing_to_do(project):
    edit_config("ensemble", "seeds", [0])(project)
    assert planned_in(project, "--configfile", "mine.yaml") == below("threshold")
    printed(run_snakemake("--cores", "2", "--configfile", "mine.yaml", cwd=project))
    assert planned_in(project, "--configfile", "mine.yaml") == {}


def test_the_table_of_the_documentation_has_every_case():
    rows = [f"| {case.change} | {case.jobs} |" for case in CASES]
    table = "\n".join(["| a change to | reruns |", "|---|---|", *rows])
    assert table in (ROOT / "config/README.md").read_text()


def test_each_rule_is_stale_with_the_code_of_its_own_stage():
    counted = re.findall(r'\*code\("(\w+)", "(\w+)"\)', "".join(rule_texts()))
    # Results that are only passed on stay the same if their code changes, and a check goes by the
    # code of the training that it is for.
    uncounted = [("check", "torch"), ("download", "data"), ("submit", "data")]
    counted.remove(("train", "torch"))
    assert sorted([*counted, *uncounted]) == sorted(stages_by_environment())


def test_a_file_of_the_user_s_that_is_replaced_by_an_older_one_is_noticed(copied, tmp_path):
    """As `cp -p`, `mv` and `rsync -a` do; its date alone changes nothing."""
    groups = copied / "groups.csv"
    shutil.copy(copied / "results/demo/sections.csv", groups)
    config = with_config(tmp_path, {"validation": {"groups": "groups.csv"}})
    complete(copied, "--until", "split", config=config)
    os.utime(groups, (1, 1))
    assert "split" not in planned(copied, "--until", "split", config=config)
    text = groups.read_text()
    groups.write_text(text.replace(text.splitlines()[1], text.splitlines()[1] + "9"))
    os.utime(groups, (1, 1))
    assert planned(copied, "--until", "split", config=config) == {"split": 1}
