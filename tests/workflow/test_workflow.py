"""The workflow as a user runs it, on a tiny demo survey."""

import json
import os
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image
from snakemake.utils import update_config

from saltseg.core import rle
from saltseg.core.quantisation import SCALE
from saltseg.core.sealed_json import write_sealed
from saltseg.device.gpu_lease import has_gpu
from saltseg.ensemble.predictions import Predictions
from saltseg.networks.checkpoint import Checkpoint
from saltseg.output.submission import write_submission
from support.running import (
    ROOT,
    SUBMISSION,
    TINY,
    below,
    complete,
    planned,
    run_snakemake,
    run_stage,
    snakemake,
    unpack,
    with_config,
)
from support.surveys import folds_in

pytestmark = pytest.mark.slow


def test_snakemakes_own_report_holds_the_page_and_every_figure(copied):
    complete(copied, "--report", "results/report.zip")
    with zipfile.ZipFile(copied / "results/report.zip") as archive:
        held = {Path(name).name for name in archive.namelist()}
    figures = {path.name for path in (copied / "results/figures").glob("[!.]*")}
    assert {"index.html", "review.csv", "summary.txt", "gallery.png"} | figures <= held


def test_a_section_on_the_command_line_counts_as_in_a_file(finished, tmp_path):
    seeds, training = {"seeds": [0, 1, 2]}, {"epochs": 2, "loss": "bce"}
    config = with_config(tmp_path, {"ensemble": seeds, "training": training})
    # The first as Snakemake's help has it, the second as in a file.
    given = ["--config", f"ensemble={seeds}", "training={epochs: 2, loss: bce}"]
    expected = planned(finished, config=config)
    assert planned(finished, *given) == expected
    assert expected["train"] == 3


def test_one_target_needs_no_cores_on_the_command_line(finished):
    command = ["results/submission.csv", "--dry-run", "--directory", finished, "--configfile", TINY]
    done = run_snakemake(*command)
    assert done.returncode == 0 and "Nothing to be done" in done.stdout + done.stderr


def test_stages_run_by_hand_to_the_same_bytes(finished, tmp_path):
    """And predict without PyTorch's compiler, whose import takes longer than PyTorch itself.

    A member that is asked for again is there at once, as if other settings were tried in between.
    """
    results = finished / "results"
    settings = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    update_config(settings, yaml.safe_load(TINY.read_text()))
    files = ("--tiles", results / "data/train.h5", "--folds", results / "data/folds.h5")
    member = ("--checkpoint", "checkpoint.safetensors")
    with_importtime = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    trained = ("--member", "1", "--history", "history.csv", "--state", "state.pt")
    for stage, options, again in (
        ("train", trained, False),
        ("train", trained, True),
        ("predict_validation", ("--predictions", "1.h5"), False),
    ):
        options = ("--settings", json.dumps(settings), *files, *member, *options)
        done = run_stage(stage, *options, cwd=tmp_path, env=with_importtime)
        assert done.returncode == 0, done.stderr[-3000:]
        imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert "torch" in imported
        compiler = {n for n in imported if n.startswith(("torch._dynamo", "torch._inductor"))}
        assert stage == "train" or not compiler
        assert ("trained already" in done.stderr) == again
    theirs = results / "models/1"
    assert (tmp_path / "history.csv").read_bytes() == (theirs / "history.csv").read_bytes()
    predicted = (results / "predictions/validation/1.h5").read_bytes()
    assert (tmp_path / "1.h5").read_bytes() == predicted
    one, other = (Checkpoint.load(f / "checkpoint.safetensors") for f in (tmp_path, theirs))
    # Made from the whole configuration by hand, and from the keys that the rule names.
    assert one.about.pop("made_from") != other.about.pop("made_from")
    assert one.about == other.about
    assert all(torch.equal(each, other.state[name]) for name, each in one.state.items())


def test_new_test_tiles_retrain_nothing(finished, finished_own, tmp_path):
    copied = shutil.copytree(finished_own, tmp_path / "own")
    survey, config = copied / "survey", copied / "config.yaml"
    submission = (copied / "results/submission.csv").read_text()
    assert submission == (finished / "results/submission.csv").read_text()

    with open(survey / "sample_submission.csv", "a") as file:
        file.write("newcomer,1 1\n")
    with open(survey / "depths.csv", "a") as file:
        file.write("newcomer,500\n")
    shutil.copy(next((survey / "test/images").iterdir()), survey / "test/images/newcomer.png")
    for file in (survey / "train/images").iterdir():
        file.touch()
    assert planned(copied, config=config) == below("import_test")
    complete(copied, *SUBMISSION, config=config)
    ids = pd.read_csv(copied / "results/submission.csv")["id"].tolist()
    assert len(ids) == 12 + 1 and ids[-1] == "newcomer"


def test_uncovered_folds_get_a_notice_and_their_share_in_the_report(copied, tmp_path):
    config = with_config(tmp_path, {"ensemble": {"seeds": [1]}})
    text = complete(copied, "--", "results/summary.txt", config=config)
    assert "No member holds out fold 0: the score will cover only 1 of 2 folds" in text
    report = json.loads((copied / "results/threshold.json").read_text())
    assert (report["tiles_scored"], report["tiles"]) == (24, 48)
    assert report["tuned_on"] == "the other half of the fold"
    assert "over 24 of 48 labelled tiles" in (copied / "results/summary.txt").read_text()


def test_a_threshold_of_the_users_makes_the_masks_and_the_summary_says_so(copied, tmp_path):
    config = with_config(tmp_path, {"inference": {"threshold": 1}})
    complete(copied, "--", "results/summary.txt", config=config)
    summary = (copied / "results/summary.txt").read_text()
    assert "Threshold   1.0000, set by inference.threshold\n" in summary
    assert "12 tiles, 0 of them with salt" in summary
    report = json.loads((copied / "results/threshold.json").read_text())
    assert report["score"] == report["score_all_empty"] and report["honest"]


@pytest.fixture(scope="session")
def other_run(finished, tmp_path_factory) -> Path:
    """What new tiles need of the finished run, and a threshold that gives masks to look at."""
    results = tmp_path_factory.mktemp("other") / "results"
    shutil.copytree(finished / "results/models", results / "models")
    report = json.loads((finished / "results/threshold.json").read_text())
    members = [
        Predictions.load(finished / f"results/predictions/test/{seed}/0.h5") for seed in (0, 1)
    ]
    report["threshold"] = float(np.median(np.mean([m.values[:] / SCALE for m in members], axis=0)))
    write_sealed(results / "threshold.json", report)
    write_submission(results / "submission.csv", members[0].ids, members, 2, report["threshold"])
    return results


@pytest.fixture
def new_tiles(finished, tmp_path) -> Path:
    """The survey's test tiles, without anything else of it."""
    unpack(finished / "results/demo/survey.zip", tmp_path / "survey")
    return shutil.copytree(tmp_path / "survey/test/images", tmp_path / "new")


def masks_in(folder: Path) -> dict[str, str]:
    """Runs by id, from the table and the pictures alike."""
    table = pd.read_csv(folder / "masks.csv", dtype=str, keep_default_na=False)
    assert table["id"].tolist() == sorted(table["id"])
    pictures = {}
    for file in (folder / "masks").glob("*.png"):
        with Image.open(file) as picture:
            pictures[file.stem] = rle.encode(np.asarray(picture) == 255)
    masks = dict(zip(table["id"], table["rle_mask"], strict=True))
    assert masks == pictures
    return masks


def test_new_tiles_get_a_finished_runs_masks_and_nothing_is_trained(other_run, new_tiles, tmp_path):
    folder = tmp_path / "empty"
    predict = {"source": str(new_tiles), "run": str(other_run)}
    # Folds do not concern a prediction, nor do these seeds.
    config = with_config(tmp_path, {"predict": predict, "ensemble": {"seeds": [1]}})
    assert planned(folder, "--", "predict", config=config) == {"predict": 1}
    assert "No member holds out" not in complete(folder, "--", "predict", config=config)
    results = sorted(path.name for path in (folder / "results").iterdir())
    assert results == ["benchmarks", "logs", "predict"]
    masks = masks_in(folder / "results/predict")
    submission = pd.read_csv(other_run / "submission.csv", dtype=str, keep_default_na=False)
    assert masks == dict(zip(submission["id"], submission["rle_mask"], strict=True))
    assert len(masks) == len(set(masks.values())) == 12
    changes = {"predict": predict, "inference": {"threshold": 1}}
    complete(folder, "--", "predict", config=with_config(tmp_path, changes))
    assert set(masks_in(folder / "results/predict").values()) == {""}
    config = with_config(tmp_path, {"predict": predict, "ensemble": {"seeds": [1]}})
    complete(folder, "--", "predict", config=config)

    for file in [*new_tiles.iterdir(), *other_run.rglob("*")]:
        file.touch()
    again = complete(folder, "--", "predict", config=config)
    assert "Nothing to be done" in again
    gone, changed, *_ = sorted(new_tiles.iterdir())
    changed.write_bytes(gone.read_bytes())
    assert planned(folder, "--", "predict", config=config) == {"predict": 1}
    gone.unlink()
    complete(folder, "--", "predict", config=config)
    masks[changed.stem] = masks.pop(gone.stem)
    assert masks_in(folder / "results/predict") == masks


def test_finished_members_are_exported_with_their_threshold(copied):
    onnx = pytest.importorskip("onnx")
    assert planned(copied, "--", "export") == {"export": 1}
    complete(copied, "--", "export")
    assert planned(copied, "--", "export") == {}
    threshold = json.loads((copied / "results/threshold.json").read_text())["threshold"]
    names = {"ensemble": {"0": 1, "1": 1}, "member_0": {"0": 1}, "member_1": {"1": 1}}
    found = {path.stem: onnx.load(path) for path in (copied / "results/export").glob("*.onnx")}
    assert found.keys() == names.keys()
    for name, file in found.items():
        about = {each.key: each.value for each in file.metadata_props}
        assert json.loads(about["threshold"]) == threshold
        assert json.loads(about["members"]) == names[name]


def test_new_tiles_in_a_zip_get_this_runs_own_masks(
    finished, new_tiles, tmp_path, tmp_path_factory
):
    # Beside the finished folder, since a job's paths to its code are relative.
    copied = shutil.copytree(finished, tmp_path_factory.mktemp("own"), dirs_exist_ok=True)
    with zipfile.ZipFile(tmp_path / "new.zip", "w") as archive:
        for file in new_tiles.iterdir():
            archive.write(file, f"some/where/{file.name}")
    config = with_config(tmp_path, {"predict": {"source": str(tmp_path / "new.zip")}})
    assert planned(copied, "--", "predict", config=config) == {"predict": 1}
    complete(copied, "--", "predict", config=config)
    submission = pd.read_csv(copied / "results/submission.csv", dtype=str, keep_default_na=False)
    masks = dict(zip(submission["id"], submission["rle_mask"], strict=True))
    assert masks_in(copied / "results/predict") == masks
    # Named as a finished run, it is not rebuilt under any configuration.
    predict = {"source": str(tmp_path / "new.zip"), "run": "results"}
    config = with_config(tmp_path, {"predict": predict, "training": {"epochs": 2}})
    assert planned(copied, "--", "predict", config=config) == {"predict": 1}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_users_own_files_among_new_masks_survive(other_run, new_tiles, tmp_path):
    folder = tmp_path / "empty"
    predict = {"source": str(new_tiles), "run": str(other_run)}
    config = with_config(tmp_path, {"predict": predict})
    masks = folder / "results/predict/masks"
    masks.mkdir(parents=True)
    (masks / "notes.txt").write_text("dear to me")
    refused = "snakemake predict: results/predict/masks: masks would replace it, but notes.txt"
    for earlier in (False, True):
        if earlier:
            (masks / "notes.txt").rename(tmp_path / "notes.txt")
            complete(folder, "--", "predict", config=config)
            (tmp_path / "notes.txt").rename(masks / "notes.txt")
        before = contents(masks.parent)
        for options in (("--forcerun", "predict"), ("--dry-run",)):
            done = snakemake(folder, *options, "--", "predict", config=config)
            assert done.returncode == 1 and refused in done.stdout + done.stderr
            assert contents(masks.parent) == before
    # Masks that were deleted by hand are made again.
    (masks / "notes.txt").unlink()
    shutil.rmtree(masks)
    complete(folder, "--", "predict", config=config)
    assert len(masks_in(folder / "results/predict")) == 12


def test_members_that_are_missing_are_trained_for_new_tiles(new_tiles, tmp_path):
    config = with_config(tmp_path, {"predict": {"source": str(new_tiles)}})
    assert planned(tmp_path / "empty", "--", "predict", config=config) == {
        "demo": 1,
        "import_train": 1,
        "check_kind": 1,
        "split": 1,
        "train": 2,
        "predict_validation": 2,
        "threshold": 1,
        "predict": 1,
    }


def test_settings_alone_are_checked_of_every_kind_of_member(tmp_path):
    kinds = [{"seeds": [0]}, {"name": "wide", "seeds": [1], "model": {"width": 3}}]
    config = with_config(tmp_path, {"ensemble": {"seeds": None, "members": kinds}})
    first = {"demo": 1, "import_train": 1, "split": 1}
    assert planned(tmp_path, "--", "check", config=config) == first | {"check_kind": 2, "check": 1}


def test_members_that_validate_on_training_tiles_are_marked_as_not_honest(copied, tmp_path):
    config = with_config(
        tmp_path,
        {
            "validation": {"scheme": "full"},
            "model": {"name": "unet", "depth": "both"},
            "training": {"monitor": "map", "tensorboard": True},
        },
    )
    complete(copied, config=config)
    results = copied / "results"
    report = json.loads((results / "threshold.json").read_text())
    assert report["scheme"] == "full" and report["honest"] is False
    assert report["tiles_scored"] == report["tiles"] == 48
    assert "NOT honest" in (results / "summary.txt").read_text()
    page = (results / "index.html").read_text()
    assert '<span class="dishonest">mean score of 48 labelled tiles; NOT honest' in page
    for name in ("threshold", "tile_scores", "calibration", "learning"):
        assert "NOT honest" in (results / f"figures/{name}.svg").read_text()
    text = (results / "figures/members.svg").read_text()
    assert "Not drawn: the members trained on these tiles" in text
    assert "NOT honest" in (results / "logs/threshold.log").read_text()
    for seed in (0, 1):
        assert len(Predictions.load(results / f"predictions/validation/{seed}.h5").ids) == 48
        assert list((results / f"logs/tensorboard/{seed}").glob("events.out.tfevents.*"))


def test_a_holdout_by_section_keeps_sections_whole_and_scores_one_fold(copied, tmp_path):
    config = with_config(
        tmp_path,
        {
            "validation": {"scheme": "holdout", "groups": "results/demo/sections.csv"},
            "training": {"loss": "dice_per_tile"},
        },
    )
    assert set(planned(copied, config=config)) & {"demo", "import_train", "import_test"} == set()
    complete(copied, "--", "results/threshold.json", config=config)
    results = copied / "results"
    folds = folds_in(results / "data/folds.h5")
    sections = pd.read_csv(results / "demo/sections.csv", dtype={"id": str}).set_index("id")
    assert folds["group"].tolist() == sections["section"].loc[folds["id"]].astype(str).tolist()
    assert (folds.groupby("group")["fold"].nunique() == 1).all()
    held_out = folds["id"][folds["fold"] == 0].tolist()
    for seed in (0, 1):
        member = Predictions.load(results / f"predictions/validation/{seed}.h5")
        assert member.ids == held_out
    report = json.loads((results / "threshold.json").read_text())
    assert report["honest"] is True
    assert (report["tiles_scored"], report["tiles"]) == (len(held_out), 48)


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda"])
def test_local_jobs_request_a_gpu_if_there_is_one(copied, tmp_path, device):
    config = with_config(tmp_path, {"compute": {"device": device}, "training": {"loss": "bce"}})
    text = complete(copied, "--until", "train", "--dry-run", config=config)
    found = {"auto": has_gpu(), "cpu": False, "cuda": True}[device]
    assert set(re.findall(r"gpu=(\d)", text)) == {str(int(found))}


def test_stages_compute_with_the_threads_that_are_granted(tmp_path):
    text = complete(tmp_path, "--dry-run", "--printshellcmds", "--set-threads", "train=2")
    commands = [line for line in text.splitlines() if "scripts/train.py" in line]
    assert len(commands) == 2 and all("--threads 2" in command for command in commands)


def test_a_stage_draws_whatever_backend_a_notebook_has(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    assert run_stage("plot_data", "--help").returncode == 0


def test_texts_are_read_as_utf8_in_any_locale(tmp_path, monkeypatch):
    for name, value in {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}.items():
        monkeypatch.setenv(name, value)
    assert "train" in complete(tmp_path, "--dry-run")
