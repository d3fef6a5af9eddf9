"""Which jobs rerun after a change: expectations declared here, compared with Snakemake.

Each case changes one thing in a copy of a finished project and checks which jobs run. For each set
of jobs at least one case really runs, and must leave nothing to do; the others are dry runs.
`make staleness` runs all cases and writes the table docs/staleness.md. The tests check some cases
in dry runs, and compare the table with all.
"""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from engine.config_files import keys
from saltseg.core.checksums import checksums_of
from saltseg.settings.config import completed
from saltseg.stage.code_files import local_files
from support.running import JOBS, PROJECT, TINY, below, rule_texts, run_snakemake, unpack
from support.surveys import mask_png

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs/staleness.md"
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
SCHEMA_OF = dict(keys(SCHEMA))

# Rules that read each key. Add new keys here.
KEYS = {
    "data.source": None,
    "data.demo.tiles": ["demo"],
    "data.demo.test_tiles": ["demo"],
    "data.demo.tile_size": ["demo"],
    "data.demo.seed": ["demo"],
    "data.labels": [],
    **{key: [] for key in SCHEMA_OF if key.startswith(("data.demo_volume.", "survey."))},
    "validation.scheme": ["train", "predict_validation", "threshold"],
    "validation.folds": ["split"],
    "validation.seed": ["split"],
    "validation.stratified": ["split"],
    "validation.groups": ["split"],
    "validation.group_column": ["split"],
    "ensemble.seeds": None,
    "model.name": ["train"],
    "model.encoder": ["train"],
    "model.width": ["train"],
    "model.dropout": ["train"],
    "model.depth": ["train"],
    "model.scale": ["train"],
    "model.hypercolumn": ["train"],
    "training.epochs": ["train"],
    "training.passes_per_epoch": ["train"],
    "training.windows_per_epoch": ["train"],
    "training.batch_size": ["train"],
    "training.micro_batch": ["train"],
    "training.loss": ["train"],
    "training.late_loss": ["train"],
    "training.late_from": ["train"],
    "training.optimiser": ["train"],
    "training.weight_decay": ["train"],
    "training.schedule": ["train"],
    "training.learning_rate": ["train"],
    "training.minimum_learning_rate": ["train"],
    "training.plateau_patience": ["train"],
    "training.stopping_patience": ["train"],
    "training.minimum_gain": ["train"],
    "training.monitor": ["train"],
    "training.pretrained": ["train"],
    "training.encoder_weights": ["train"],
    "training.frozen_epochs": ["train"],
    "training.encoder_rate": ["train"],
    "training.tensorboard": ["train"],
    "training.compile": ["train"],
    "augmentation.horizontal_flip": ["train"],
    "augmentation.vertical_flip": ["train"],
    "augmentation.rotation": ["train"],
    "augmentation.shift": ["train"],
    "augmentation.zoom": ["train"],
    "augmentation.brightness": ["train"],
    "augmentation.contrast": ["train"],
    "self_training.rounds": None,
    "self_training.share": [],
    "inference.flip": ["predict_validation", "predict_test", "threshold"],
    "inference.batch_size": ["predict_validation", "predict_test"],
    "inference.shards": None,
    **{f"inference.{key}": [] for key in ("planes", "window", "margin")},
    "predict.source": [],
    "predict.run": [],
    "compute.device": ["train", "predict_validation", "predict_test"],
    "compute.precision": ["train", "predict_validation", "predict_test"],
    "compute.runtime": ["predict_validation", "predict_test"],
    "compute.threads": ["train", "predict_validation", "predict_test"],
    "compute.deterministic": ["train", "predict_validation", "predict_test"],
}
# Other values for keys whose type does not suggest one.
OTHER_VALUES = {
    "validation.folds": 3,
    "training.micro_batch": 4,
    "training.weight_decay": 0.1,
    **dict.fromkeys(("augmentation.brightness", "augmentation.contrast"), 0.1),
    "validation.groups": "results/demo/sections.csv",
    "validation.group_column": "id",
    "augmentation.zoom": [0.8, 1.2],
    "predict.source": "anywhere",
    "data.labels": "anywhere",
    **dict.fromkeys(("survey.inline_byte", "survey.crossline_byte"), 9),
    "survey.endian": "big",
    "inference.margin": 32,
    **dict.fromkeys(("survey.format", "survey.unlabelled"), 5),
    "predict.run": "anything",
    "compute.device": "cpu",
    "model.encoder": "resnet34",
    "training.encoder_weights": "mine.yaml",
}
# Settings required by other keys.
ENCODER = [("model.name", "efficientnet_lite0_unet")]
OF_TIMM = [("model.name", "timm_unet"), ("model.encoder", "resnet18")]
NEEDED = {
    "model.encoder": OF_TIMM,
    "training.encoder_weights": OF_TIMM,
    **dict.fromkeys(("model.scale", "model.hypercolumn"), ENCODER),
    **dict.fromkeys(("training.pretrained", "training.frozen_epochs"), ENCODER),
}


EVERYTHING = below("demo")
IMPORTED = {rule: count for rule, count in EVERYTHING.items() if rule != "demo"}
JOINING = below("threshold")


@dataclass(frozen=True)
class Case:
    """A change to a finished project, and the jobs expected to run after it.

    edit: makes the change in the project's folder; returns extra arguments, or the folder to run in
    survey: whether the tiles are the user's own folder instead of the demo
    real: whether to run for real instead of a dry run
    """

    change: str
    expected: dict[str, int]
    edit: Callable[[Path], "list[str] | Path | None"]
    survey: bool = False
    real: bool = False


def snakemake(project: Path, *args: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = run_snakemake("--cores", "2", *args, cwd=project, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def planned(project: Path, *args: str) -> dict[str, int]:
    """Return the number of jobs that a run would execute, by rule."""
    text = snakemake(project, *args, "--dry-run", "--quiet", "rules")
    table = re.search(r"^job +count\n-.*\n((?:\w+ +\d+\n)+)", text, re.MULTILINE)
    found = dict(line.split() for line in table.group(1).splitlines()) if table else {}
    assert table or "Nothing to be done" in text, text
    return {rule: int(found[rule]) for rule in JOBS if rule in found}


def done(project: Path, *args: str) -> dict[str, int]:
    """Run, and return the number of executed jobs, by rule."""
    finished = re.findall(
        r"Finished jobid: \d+ \(Rule: (\w+)\)", snakemake(project, "--printshellcmds", *args)
    )
    return {rule: finished.count(rule) for rule in JOBS if rule in finished}


def build(folder: Path, finished: Path | None = None) -> Path:
    """Copy the project, and run the tiny workflow in it, or copy such a run's results to it."""
    folder.mkdir()
    for name in PROJECT:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, folder / name)
    (folder / "mine.yaml").write_text(yaml.safe_dump(tiny_config(), sort_keys=False))
    run_or_copy(folder, finished)
    return folder


def run_or_copy(folder: Path, finished: Path | None) -> None:
    if finished is None:
        snakemake(folder, "--configfile", "mine.yaml")
    else:
        for name in ("results", ".snakemake"):
            shutil.copytree(finished / name, folder / name)


def tiny_config() -> dict:
    """Return the tiny configuration, with all keys."""
    return completed(yaml.safe_load(TINY.read_text()), SCHEMA)


def with_survey(project: Path, folder: Path, finished: Path | None = None) -> Path:
    """Return a project like another, but finished with the user's own folder of tiles."""
    ignored = shutil.ignore_patterns("results", ".snakemake")
    shutil.copytree(project, folder, ignore=ignored)
    unpack(project / "results/demo/survey.zip", folder / "survey")
    change(folder, "data.source", "survey")
    run_or_copy(folder, finished)
    return folder


def observe(case: Case, finished: Path, dry: bool) -> dict[str, int]:
    """Apply a case to a copy of the finished project; return the jobs that run, or would run."""
    with tempfile.TemporaryDirectory() as name:
        project = shutil.copytree(finished, Path(name) / "project")
        given = case.edit(project)
        if isinstance(given, Path):
            project, given = given, None
        args = ["--configfile", "mine.yaml", *(given or [])]
        if dry or not case.real:
            return planned(project, *args)
        ran = done(project, *args)
        left = planned(project, *args)
        assert not left, f"{case.change}: left to be done after it was done: {left}"
        return ran


def observe_all(
    cases: list[Case], folder: Path, *, finished: tuple[Path, Path] | None = None
) -> dict[str, dict[str, int]]:
    """Return the jobs of all cases, by their change.

    finished: runs of the tiny workflow, of the demo and of a folder of tiles, for dry runs only;
    without them, both are run here, and real cases really
    """
    demo_run, own_run = finished or (None, None)
    demo = build(folder / "demo", demo_run)
    own = with_survey(demo, folder / "own", own_run)
    with ThreadPoolExecutor(2) as pool:
        ran = pool.map(
            lambda case: observe(case, own if case.survey else demo, finished is not None), cases
        )
        return dict(zip([case.change for case in cases], ran, strict=True))


# The changes.


def nothing(project: Path) -> None:
    pass


def arguments(*args: str):
    return lambda project: list(args)


def change(project: Path, key: str, value) -> None:
    path = project / "mine.yaml"
    config = yaml.safe_load(path.read_text())
    *sections, name = key.split(".")
    section = config
    for part in sections:
        section = section[part]
    section[name] = value
    path.write_text(yaml.safe_dump(config, sort_keys=False))


def setting(key: str, value):
    return lambda project: change(project, key, value)


def text(file: str, old: str, new: str):
    def edit(project: Path) -> None:
        content = (project / file).read_text()
        assert content.count(old) == 1, (file, old)
        (project / file).write_text(content.replace(old, new))

    return edit


# A new statement for Python files.
STATEMENT = "\nCHANGED = True\n"


def appended(file: str, line: str = "\n# Changed.\n"):
    def edit(project: Path) -> None:
        with open(project / file, "a") as opened:
            opened.write(line)

    return edit


def reworded(project: Path) -> None:
    """Change the docstring of every script, and add a blank line and a comment."""
    for file in (project / "workflow/scripts").rglob("*.py"):
        code = file.read_text()
        end = code.index('"""', 3)
        file.write_text(f"{code[:end]} Reworded.{code[end:]}\n\n# A comment.\n")


def touched(*patterns: str):
    def edit(project: Path) -> None:
        files = [file for pattern in patterns for file in project.glob(pattern) if file.is_file()]
        assert files
        for file in files:
            file.touch()

    return edit


def aged(file: str):
    return lambda project: os.utime(project / file, (0, 0))


def deleted(*names: str):
    def edit(project: Path) -> None:
        for name in names:
            path = project / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return edit


def chained(*edits):
    def edit(project: Path) -> None:
        for one in edits:
            one(project)

    return edit


def swapped(section: str, one: str, other: str):
    def edit(project: Path) -> None:
        values = yaml.safe_load((project / "mine.yaml").read_text())[section]
        change(project, f"{section}.{one}", values[other])
        change(project, f"{section}.{other}", values[one])

    return edit


def resorted(project: Path) -> None:
    path = project / "mine.yaml"
    config = yaml.safe_load(path.read_text())
    turned = {name: dict(reversed(keys.items())) for name, keys in reversed(config.items())}
    path.write_text("# Turned round.\n" + yaml.safe_dump(turned, sort_keys=False))


def moved(project: Path) -> Path:
    return project.rename(project.with_name("elsewhere"))


def copied(project: Path) -> Path:
    return shutil.copytree(project, project.with_name("copy"), copy_function=shutil.copyfile)


def cloned(*names: str):
    """Make a fresh clone and copy results into it, preserving their dates."""

    def edit(project: Path) -> Path:
        def left_out(folder, found):
            return {"results", ".snakemake"} & set(found)

        clone = project.with_name("clone")
        shutil.copytree(project, clone, ignore=left_out, copy_function=shutil.copyfile)
        for name in names:
            shutil.copytree(project / name, clone / name)
        return clone

    return edit


def other_fold(project: Path) -> None:
    path = project / "results/data/folds.csv"
    table = pd.read_csv(path, dtype={"id": str})
    table.loc[0, "fold"] = 1 - table.loc[0, "fold"]
    table.to_csv(path, index=False)
    # Else it counts as damaged.
    checksums_of(path).unlink()


def first_tile(project: Path, part: str) -> str:
    return min(file.stem for file in (project / f"survey/{part}/images").iterdir())


def new_test_tile(project: Path) -> None:
    survey = project / "survey"
    name = first_tile(project, "test")
    shutil.copy(survey / f"test/images/{name}.png", survey / "test/images/newcomer.png")
    appended("survey/sample_submission.csv", "newcomer,1 1\n")(project)
    appended("survey/depths.csv", "newcomer,500\n")(project)


def emptied_mask(project: Path) -> None:
    table = pd.read_csv(project / "survey/train.csv", dtype=str, keep_default_na=False)
    row = (table["rle_mask"] != "").idxmax()
    table.loc[row, "rle_mask"] = ""
    table.to_csv(project / "survey/train.csv", index=False)
    empty = mask_png(np.zeros((101, 101), dtype=bool))
    (project / f"survey/train/masks/{table['id'][row]}.png").write_bytes(empty)


def other_depth(part: str):
    def edit(project: Path) -> None:
        path = project / "survey/depths.csv"
        table = pd.read_csv(path, dtype=str)
        table.loc[table["id"] == first_tile(project, part), "z"] = "1"
        table.to_csv(path, index=False)

    return edit


def moved_survey(project: Path) -> None:
    (project / "survey").rename(project / "another place")
    change(project, "data.source", "another place")


def packed_survey(project: Path) -> None:
    shutil.make_archive(str(project / "packed"), "zip", project / "survey")
    change(project, "data.source", "packed.zip")


def other_value(key: str, schema: dict, value):
    """Return another valid value of a key."""
    if key in OTHER_VALUES:
        return OTHER_VALUES[key]
    if "enum" in schema:
        return next(choice for choice in schema["enum"] if choice != value)
    if schema["type"] == "boolean":
        return not value
    return value + 1 if schema["type"] == "integer" else value * 0.9


# At least one key or file per set of jobs is run for real.
REAL = {
    "data.demo.seed",
    "validation.seed",
    "training.loss",
    "inference.flip",
    "inference.batch_size",
    "gallery.py",
    "page.py",
    "plot_training.py",
    "plot_data.py",
    "plot_evaluation.py",
    "review.py",
    "saltseg/evaluation/summary.py",
    "predict_test.py",
    "predict_validation.py",
    "saltseg/evaluation/decision.py",
    "saltseg/report/figures.py",
    "saltseg/report/palette.py",
    "saltseg/core/rle.py",
    "saltseg/evaluation/threshold.py",
    "saltseg/survey/tiles.py",
    "summary.py",
}


def key_cases() -> list[Case]:
    default = tiny_config()
    cases = []
    for key, rules in KEYS.items():
        if rules is None:
            continue
        value = default
        for part in key.split("."):
            value = value[part]
        edit = setting(key, other_value(key, SCHEMA_OF[key], value))
        if key in NEEDED:
            edit = chained(*(setting(*needed) for needed in NEEDED[key]), edit)
        cases.append(Case(f"`{key}`", below(*rules), edit, real=key in REAL))
    return cases


def member_cases() -> list[Case]:
    another = {**JOINING, "train": 1, "predict_validation": 1, "predict_test": 1}
    another = {rule: another[rule] for rule in JOBS if rule in another}
    # Each member's previous round, and the last round again.
    round_more = {**below("train"), "train": 4, "predict_test": 4}
    return [
        Case("one added", another, setting("ensemble.seeds", [0, 1, 2]), real=True),
        Case("one in the place of another", another, setting("ensemble.seeds", [0, 3])),
        Case("one removed", JOINING, setting("ensemble.seeds", [0]), real=True),
        Case("in another order", {}, setting("ensemble.seeds", [1, 0])),
        Case("`self_training.rounds`", round_more, setting("self_training.rounds", 1), real=True),
    ]


def shard_cases() -> list[Case]:
    again = {**below("predict_test"), "predict_test": 6}
    return [Case("three in the place of one", again, setting("inference.shards", 3), real=True)]


def form_cases() -> list[Case]:
    return [
        Case(
            "two keys of a section swap values",
            below("train"),
            swapped("training", "plateau_patience", "stopping_patience"),
        ),
        Case("keys in another order, and a comment", {}, resorted),
        Case(
            "a default that the own file overrides",
            {},
            text("config/config.yaml", "epochs: 6", "epochs: 7"),
        ),
        Case("a description in the schema", {}, appended("workflow/schemas/config.schema.yaml")),
    ]


def file_cases() -> list[Case]:
    scripts = ROOT / "workflow/scripts"
    users: dict[str, list[str]] = {}
    # Which tests/unit/stage compares with what Python imports.
    for script in scripts.glob("*.py"):
        for file in local_files(script):
            users.setdefault(str(file.relative_to(scripts)), []).append(script.stem)
    cases = [
        Case(
            f"`{file}`",
            below(*(stage for stage in users.get(file, []) if stage in JOBS)),
            appended(f"workflow/scripts/{file}", STATEMENT),
            real=file in REAL,
        )
        for file in sorted(str(path.relative_to(scripts)) for path in scripts.rglob("*.py"))
    ]
    parts = sorted(
        [*scripts.glob("saltseg/report/page.*"), *scripts.glob("saltseg/report/viewer.*")]
    )
    return cases + [
        Case(
            f"`saltseg/report/{path.name}`",
            below("page"),
            appended(f"workflow/scripts/saltseg/report/{path.name}", "\n"),
        )
        for path in parts
        if path.suffix != ".py"
    ]


def environment_cases() -> list[Case]:
    rules = {
        "data": [
            *("import_train", "import_test", "split", "threshold", "submission", "summary"),
            *("review", "page"),
        ],
        "demo": ["demo"],
        "plots": ["gallery", "plot_training", "plot_evaluation", "plot_data"],
        "torch": ["train", "predict_validation", "predict_test"],
        # Only where the survey is a SEG-Y file.
        "volumes": [],
    }
    assert {file.stem for file in (ROOT / "envs").glob("*.yaml")} == set(rules)
    return [
        Case(
            f"`envs/{name}.yaml`",
            below(*used),
            text(f"envs/{name}.yaml", "python =3.11", "python =3.12"),
        )
        for name, used in rules.items()
    ]


def workflow_cases() -> list[Case]:
    rules = "workflow/rules"
    options = ["--set-threads", "train=2", "--set-resources", "train:mem_mb=9000"]
    return [
        Case(
            "a rule's command",
            below("gallery"),
            text(
                f"{rules}/report.smk",
                "--disagreement {output.disagreement:q} --log {log:q}",
                "--log {log:q} --disagreement {output.disagreement:q}",
            ),
        ),
        Case(
            "a rule's memory and run time",
            {},
            text(
                f"{rules}/training.smk",
                "mem_mb=8000,\n        runtime=1440",
                "mem_mb=1,\n        runtime=1",
            ),
        ),
        Case(
            "a comment, or a function that leaves the rules as they are",
            {},
            appended(f"{rules}/common.smk"),
        ),
        Case("a caption of the report", {}, appended("workflow/report/gallery.rst")),
        Case("the profile", {}, text("profiles/default/config.yaml", "gpu=1", "gpu=4")),
        Case("`--cores 1`", {}, arguments("--cores", "1")),
        Case(f"`{' '.join(options)}`", {}, arguments(*options)),
    ]


def place_cases() -> list[Case]:
    return [
        Case("nothing, right after the run", {}, nothing, real=True),
        Case(
            "all files of the project touched",
            {},
            touched("workflow/**/*", "envs/*", "config/*", "profiles/**/*", "Snakefile", "*.yaml"),
        ),
        Case("all results touched", {}, touched("results/**/*")),
        Case("comments and docstrings of all Python files", {}, reworded, real=True),
        Case(
            "comments of all environments",
            {},
            chained(*(appended(f"envs/{file.name}") for file in (ROOT / "envs").glob("*.yaml"))),
        ),
        Case(
            "`saltseg/training/losses.py` changed, with a date older than the results'",
            below("train"),
            chained(
                appended("workflow/scripts/saltseg/training/losses.py", STATEMENT),
                aged("workflow/scripts/saltseg/training/losses.py"),
            ),
        ),
        Case("project moved", {}, moved),
        Case("project copied, so that all dates are new", {}, copied),
        Case(
            "fresh clone, `results` and `.snakemake` copied to it",
            {},
            cloned("results", ".snakemake"),
        ),
        Case(
            "fresh clone, `results` alone copied to it: no record of what made them (a warning "
            "says so)",
            {},
            cloned("results"),
        ),
        Case("fresh clone: no results", EVERYTHING, cloned()),
        Case(
            "`.snakemake` deleted: no record is left, and dates tell nothing new (a warning says "
            "so)",
            {},
            deleted(".snakemake"),
        ),
        Case(
            "`.snakemake` deleted, then `training.loss`: goes unseen, which is what the warning "
            "is for",
            {},
            chained(deleted(".snakemake"), setting("training.loss", "bce")),
        ),
    ]


def result_cases() -> list[Case]:
    checkpoint = "results/models/0/checkpoint.safetensors"
    return [
        Case(
            "`folds.csv` edited and its checksums deleted",
            below("train", "predict_validation", "threshold"),
            other_fold,
        ),
        Case("`submission.csv` deleted", below("submission"), deleted("results/submission.csv")),
        Case(
            "a checkpoint deleted: what was made with it is there (naming the file as a target "
            "makes it anew)",
            {},
            deleted(checkpoint),
        ),
        Case("logs and benchmarks deleted", {}, deleted("results/logs", "results/benchmarks")),
    ]


def survey_cases() -> list[Case]:
    test, train = below("import_test"), below("import_train")
    cases = [
        ("a test tile added", test, new_test_tile),
        ("a mask changed", train, emptied_mask),
        ("depth of a labelled tile changed", train, other_depth("train")),
        ("depth of a test tile changed", test, other_depth("test")),
        ("a file added that is none of a survey's", {}, appended("survey/notes.txt")),
        ("all files touched", {}, touched("survey/**/*")),
        ("folder moved, and `data.source` changed to where it is", {}, moved_survey),
        ("folder packed to a zip, and `data.source` changed to that", {}, packed_survey),
        ("`data.source: demo` in its place", EVERYTHING, setting("data.source", "demo")),
    ]
    real = {new_test_tile, emptied_mask}
    return [Case(*case, survey=True, real=case[2] in real) for case in cases]


GROUPS = {
    "Keys of the configuration": key_cases(),
    "Form of the configuration": form_cases(),
    "`ensemble.seeds`": member_cases(),
    "`inference.shards`": shard_cases(),
    "A survey of the user's": survey_cases(),
    "Python files": file_cases(),
    "Environments": environment_cases(),
    "The workflow": workflow_cases(),
    "Results": result_cases(),
    "Dates and places": place_cases(),
}
CASES = [case for cases in GROUPS.values() for case in cases]

HEAD = f"""\
# What reruns after which change

| change | cost |
|---|---|
| comments, docstrings, captions, dates of files, profiles, the order of keys | nothing reruns |
| figures and the page | seconds |
| threshold, review, submission | seconds; no prediction and no training |
| test tiles, shards, flips, batch size of inference | predictions; no training |
| seeds added | their own trainings, and what averages over members |
| network, loss, augmentation, schedule, precision; code that trains | every training: hours |
| labelled tiles, folds | every training, too |

Each row below is a change to a finished run of 48 tiles and two members, with the jobs expected to
rerun and those that did, or would according to a dry run. Of the rows with equal jobs at least one
is a real run, and each of those left nothing to do. `make staleness` writes this page from such
runs; a test compares it with the cases.

{len(CASES)} changes, DEVIATIONS deviations.
"""
# Large sets of jobs, named by their first rule.
BEGINNINGS = {
    "everything": ["demo"],
    "import and below": ["import_train", "import_test"],
    "labelled tiles and below": ["import_train"],
    "folds and below": ["split"],
    "members and below": ["train"],
    "predictions and below": ["predict_validation", "predict_test"],
    "validation predictions and below": ["predict_validation"],
    "test predictions and below": ["predict_test"],
    "test tiles and below": ["import_test"],
    "threshold and below": ["threshold"],
    "review and below": ["review"],
}


def listed(jobs: dict[str, int]) -> str:
    return ", ".join(f"{rule} {count}" if count > 1 else rule for rule, count in jobs.items())


def named(jobs: dict[str, int]) -> str:
    names = [name for name, rules in BEGINNINGS.items() if below(*rules) == jobs]
    return names[0] if names else listed(jobs) or "nothing"


def table(ran: dict[str, dict[str, int]]) -> str:
    """Return the page of all cases, with the jobs that ran after each."""
    deviations = sum(case.expected != ran[case.change] for case in CASES)
    lines = [HEAD.replace("DEVIATIONS", str(deviations)), "| short for | jobs |", "|---|---|"]
    lines += [f"| {name} | {listed(below(*rules))} |" for name, rules in BEGINNINGS.items()]
    for group, cases in GROUPS.items():
        lines += ["", f"## {group}", "", "| change | expected | observed | |", "|---|---|---|---|"]
        for case in cases:
            how = "real run" if case.real else "dry run"
            found = named(ran[case.change])
            lines.append(f"| {case.change} | {named(case.expected)} | {found} | {how} |")
    return "\n".join(lines) + "\n"


def test_each_key_of_the_configuration_has_a_declared_effect():
    assert set(KEYS) == set(SCHEMA_OF)


def test_the_table_of_keys_says_what_a_change_reruns():
    for key, rules in KEYS.items():
        if rules:
            expected = named(below(*rules)).replace("below", "later stages")
            assert SCHEMA_OF[key]["x-reruns"] == expected, key


def test_each_set_of_jobs_is_proven_by_a_real_run():
    assert len({case.change for case in CASES}) == len(CASES)
    real = [case.expected for case in CASES if case.real]
    assert [case.change for case in CASES if case.expected not in real] == []


def sections_read() -> dict[str, list[str]]:
    """Return the sections and single keys named by each rule's settings parameter."""
    found = {}
    for rule in rule_texts():
        called = re.search(r"settings=settings\(([^)]*)\)", rule)
        found[rule.partition(":")[0]] = re.findall(r'"([^"]+)"', called.group(1)) if called else []
    return found


@pytest.mark.parametrize("key", [key for key, rules in KEYS.items() if rules is not None])
def test_the_declared_rules_are_those_that_are_given_the_key(key):
    given = [
        rule
        for rule, names in sections_read().items()
        if rule in JOBS and any(key == name or key.startswith(f"{name}.") for name in names)
    ]
    assert sorted(given) == sorted(KEYS[key])


def first_of_their_kind(cases: list[Case]) -> list[Case]:
    """Return one key per section and set of jobs, since rules get a section as one parameter."""
    kinds = {(case.change.partition(".")[0], str(case.expected)): case for case in reversed(cases)}
    return [case for case in cases if case in kinds.values()]


# Only a few keys and Python files; other tests check which rule uses which.
KEY_CASES, FILE_CASES = GROUPS["Keys of the configuration"], GROUPS["Python files"]
OBSERVED = [case for case in CASES if case not in [*KEY_CASES, *FILE_CASES] or case.real]
OBSERVED += [case for case in first_of_their_kind(KEY_CASES) if not case.real]


@pytest.fixture(scope="module")
def would_run(finished, finished_own, tmp_path_factory):
    folder = tmp_path_factory.mktemp("staleness")
    return observe_all(OBSERVED, folder, finished=(finished, finished_own))


@pytest.mark.parametrize("case", OBSERVED, ids=lambda case: case.change)
def test_only_stale_steps_rerun_after_a_change(case, would_run):
    assert would_run[case.change] == case.expected


def test_the_table_in_the_docs_has_every_case_and_no_deviation():
    assert TABLE.read_text() == table({case.change: case.expected for case in CASES}), (
        "run `make staleness`"
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        TABLE.write_text(table(observe_all(CASES, Path(folder))))
    sys.exit(" 0 deviations" not in TABLE.read_text())
