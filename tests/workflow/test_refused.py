"""What a survey or a configuration lacks: what works without it, and what is refused."""

import pytest

from support.running import complete, planned, snakemake, with_config
from support.surveys import TINY_VOLUME, Survey, zipped

pytestmark = pytest.mark.slow


def images_and_masks(folder):
    """A zip of one folder with images/ and masks/, and nothing else."""
    files = Survey(24, 1, 32, 32).files.items()
    inside = {n.replace("train/", "mine/"): data for n, data in files if n.startswith("train/")}
    (folder / "mine.zip").write_bytes(zipped(inside))
    return folder / "mine.zip"


def without_test_depths(folder):
    """The contest as MLE-bench has it: no depth of any test tile."""
    survey = Survey(24, 4, 32, 32)
    for name in survey.test_ids:
        survey.drop_row("depths.csv", name)
    return survey.write(folder / "bench", "unpacked folder")


def test_images_and_masks_are_enough_for_members_and_a_report(tmp_path):
    config = with_config(tmp_path, {"data": {"source": str(images_and_masks(tmp_path))}})
    complete(tmp_path, config=config)
    results = tmp_path / "results"
    assert "none, since there are no test tiles" in (results / "summary.txt").read_text()
    assert (results / "models/0/checkpoint.safetensors").exists()
    assert "NaN" not in (results / "index.html").read_text()
    assert not (results / "data/test").exists()
    assert planned(tmp_path, config=config) == {}


@pytest.fixture
def folder(tmp_path):
    """A folder with surveys, tiles and a finished run that all lack something."""
    images_and_masks(tmp_path)
    without_test_depths(tmp_path)
    (tmp_path / "empty.sgy").touch()
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
    (tmp_path / "new/a.png").touch()
    (tmp_path / "old/threshold.json").write_text('{"threshold": 0.5}')
    return tmp_path


ENCODER = {"name": "timm_unet", "encoder": "resnet18"}
MASKS, BENCH = {"data": {"source": "mine.zip"}}, {"data": {"source": "bench"}}
DEEP = TINY_VOLUME | {"model": {"name": "residual_unet", "depth": "both"}}
BRACES = "braces are wildcards to Snakemake; rename it"
MISSING = "No such file or directory"


def predict(source, run=None):
    return {"predict": {"source": source, "run": run}}


def source(source, **more):
    return {"data": {"source": source, **more}}


def groups(file):
    return {"validation": {"groups": file}}


def weights(file):
    return {"model": ENCODER, "training": {"encoder_weights": file}}


NORTH = {"north": {"source": "none.sgy", "labels": "empty.sgy"}}


def further(file):
    return source("empty.sgy", labels="old", surveys={"north": NORTH["north"] | {"source": file}})


DEPTHS, LINES = "depths.csv: no depth for 4 of 28 tiles", "model.depth: a volume's tiles have no"
NO_LABELS = "data.labels: not set, so there is nothing to train on"
OLD = "predict.run: FOLDER/old/threshold.json: flip, members, digest missing or not as expect"
UNSET = "predict.source: not set; give it the path of a folder or zip of PNG files"
WIDTH = "model.width: expected integer, 1 to 512, found 'a'"
TO_ALL = [
    ({"model": {"width": "a"}}, WIDTH),
    (source("nowhere.zip"), "nowhere.zip: no such file or folder; data.source is demo"),
    (MASKS | {"self_training": {"rounds": 1}}, "self_training.rounds: 1"),
    (BENCH | {"model": {"depth": "bottleneck"}}, DEPTHS),
    (source("none.sgy"), "data.source: none.sgy: no such file"),
    (source("empty.sgy"), NO_LABELS),
    (source("empty.sgy", labels="none"), "data.labels: none: no such file or folder"),
    (further("gone.sgy"), "data.surveys.north.source: gone.sgy: no such file in FOLDER"),
    (further("./empty.sgy"), "data.surveys.north.source: ./empty.sgy is data.source, too; name"),
    (further("new"), "data.surveys.north.labels: expected a folder, since data.surveys.north.sou"),
    (
        source("demo", surveys=NORTH),
        "data.surveys: only a volume has any, but data.source is demo",
    ),
    (DEEP, f"{LINES} depth; set it to none"),
    (groups("gone.csv"), "validation.groups: gone.csv: no such file"),
    (groups("br{a}ce"), f"validation.groups: br{{a}}ce: {BRACES}"),
    (weights("{seed}"), f"training.encoder_weights: {{seed}}: {BRACES}"),
    (weights("gone.pth"), "training.encoder_weights: gone.pth: no such file in FOLDER; give the"),
]
TO_PREDICT = [
    (predict("{seed}"), f"predict.source: {{seed}}: {BRACES}"),
    (predict("new", "br{a}ce"), f"predict.run: br{{a}}ce: {BRACES}"),
    (predict(None), UNSET),
    (predict("nowhere"), "predict.source: nowhere: no such file or folder"),
    (predict("old"), "predict.source: old: no PNG file (*.png) in it"),
    (predict("new", "nix"), f"predict.run: FOLDER/nix/threshold.json: {MISSING}"),
    (predict("new", "old"), OLD),
]


@pytest.mark.parametrize(
    ("target", "changes", "message"),
    [
        *(("all", *case) for case in TO_ALL),
        *(("predict", *case) for case in TO_PREDICT),
        ("results/submission.csv", MASKS, "data.source: "),
        ("scan", {}, "data.source: demo: expected a SEG-Y file, found none"),
    ],
)
def test_what_cannot_work_is_named_before_any_job(folder, target, changes, message):
    done = snakemake(folder, "--", target, config=with_config(folder, changes))
    assert done.returncode == 1
    said = [line.removeprefix("  - ") for line in done.stderr.splitlines()]
    message = message.replace("FOLDER", str(folder))
    assert any(line.startswith(message) for line in said), done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not (folder / "results").exists()
