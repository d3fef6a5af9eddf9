"""A killed training resumes and produces the same bytes as an uninterrupted one."""

import contextlib
import json
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from saltseg.core.hdf import writing
from saltseg.survey import tiles
from saltseg.training.saved import Saved, fingerprint
from saltseg.training.trainer import Trainer
from support.running import ROOT, stage_command
from support.training import member

SETTINGS = {"epochs": 6, "stopping_patience": 3, "plateau_patience": 1, "learning_rate": 0.05}


class KilledError(Exception):
    pass


def killed_after(epoch):
    def record(row):
        if row.epoch == epoch + 1:
            raise KilledError

    return record


@pytest.mark.parametrize(
    ("cuts", "changes"), [([2], {}), ([1, 2, 3, 4], {"monitor": "map", "seed": 3}), ([3, 3, 3], {})]
)
def test_a_training_that_was_cut_ends_as_one_that_was_not(cuts, changes, tmp_path):
    settings = {**SETTINGS, **changes}
    whole, history = member(**settings)
    for cut in cuts:
        with contextlib.suppress(KilledError):
            member(
                saved=Saved(tmp_path / "0.pt", "mine"), on_epoch_end=killed_after(cut), **settings
            )
    seen = []
    pieces, again = member(
        saved=Saved(tmp_path / "0.pt", "mine"), on_epoch_end=seen.append, **settings
    )
    assert again == history == seen
    assert pieces.about == whole.about
    assert pieces.state.keys() == whole.state.keys()
    for name, tensor in whole.state.items():
        assert torch.equal(pieces.state[name], tensor), name


@pytest.mark.parametrize(
    ("settings", "epochs"),
    [
        ({"epochs": 30, "stopping_patience": 1, "minimum_gain": 10.0}, 2),
        ({"epochs": 5, "stopping_patience": 10}, 5),
    ],
)
def test_a_training_that_had_ended_trains_no_further(tmp_path, settings, epochs):
    class SavedAtTheEnd(Trainer):
        saving_share = 1e-9  # at no other time, however long a save takes

    class Finished(Trainer):
        epoch = None

    state = Saved(tmp_path / "0.pt", "mine")
    settings = {**SETTINGS, **settings, "saved": state}
    whole, history = member(trainer=SavedAtTheEnd, **settings)
    assert len(history) == epochs
    again, same = member(trainer=Finished, **settings)
    assert same == history
    assert again.about == whole.about
    assert all(torch.equal(again.state[name], tensor) for name, tensor in whole.state.items())


def test_saving_takes_a_small_share_of_the_time(tmp_path):
    saves, readings = [], iter(range(10**6))

    class Clocked(Trainer):
        def clock(self):
            return next(readings)

    class Counted(Saved):
        def save(self, content):
            saves.append(len(content["history"]))

    member(saved=Counted(tmp_path / "0.pt", "mine"), epochs=40, trainer=Clocked)
    # The clock advances by one per reading: a save takes 1, with few readings per epoch.
    assert (saves[0], saves[-1]) == (1, 40)
    assert 3 <= len(saves) < 10


def content():
    return {"tensor": torch.arange(3.0), "list": [1, 2.5, "x", None, True]}


@pytest.fixture
def state(tmp_path):
    return Saved(tmp_path / "states/0.pt", "mine")


def test_what_was_saved_is_loaded_again(state):
    assert state.load() is None
    state.save({"tensor": torch.zeros(1)})
    state.save(content())
    found = Saved(state.path, "mine").load()
    assert torch.equal(found.pop("tensor"), torch.arange(3.0))
    assert found == {"list": [1, 2.5, "x", None, True]}


def test_a_gpus_state_can_be_read_where_there_is_none(state, monkeypatch):
    with monkeypatch.context() as on_a_gpu:
        on_a_gpu.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
        state.save({"network": torch.ones(3)})
    assert b"cuda:0" in state.path.read_bytes()
    assert state.load()["network"].device.type == "cpu"
    # Another device's training is another one.
    assert Saved(state.path, "a CPU's").load() is None


@pytest.mark.parametrize("size", [0, 1, 32, 100, -1])
def test_a_damaged_state_is_reported_and_ignored(state, caplog, size):
    state.save(content())
    data = state.path.read_bytes()
    state.path.write_bytes(data[:size])
    assert state.load() is None
    assert "damaged; training starts over" in caplog.text
    assert not state.path.exists()
    state.save(content())
    flipped = bytearray(state.path.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    state.path.write_bytes(flipped)
    assert state.load() is None


def test_a_save_that_fails_keeps_the_last_one(state, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    state.save(content())
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(ValueError, match=r"0\.pt: cannot be written \(No space left"):
            state.save({"tensor": torch.zeros(1)})
    assert torch.equal(state.load()["tensor"], torch.arange(3.0))


def test_a_fingerprint_distinguishes_its_parts(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"ab")
    assert fingerprint(["ab"]) == fingerprint([b"ab"]) == fingerprint([file])
    different = [["ab"], ["a", "b"], ["b", "a"], ["ab", ""], [], ["abc"]]
    assert len({fingerprint(parts) for parts in different}) == len(different)


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Twenty packed tiles in two folds, and settings for a training of a second or two."""
    folder = tmp_path_factory.mktemp("survey")
    random = np.random.default_rng(0)
    masks = random.random((20, 16, 16)) < 0.5
    images = np.where(masks, 180, 60).astype(np.uint8)
    ids = [f"t{i:02d}" for i in range(20)]
    table = pd.DataFrame({"id": ids, "depth": 1.0, "coverage": masks.mean(axis=(1, 2))})
    tiles.save(folder / "train.h5", table, images, masks)
    folds = pd.DataFrame({"id": ids, "coverage_class": 5, "fold": np.arange(20) % 2})
    with writing(folder / "folds.h5") as file:
        file.put_table(folds)
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    config["model"] |= {"name": "residual_unet", "width": 2, "dropout": 0.1}
    config["training"] |= {"epochs": 15, "passes_per_epoch": 4, "batch_size": 2}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def trainer(survey, folder, **options):
    command = stage_command("train")
    arguments = {
        "settings": survey / "config.yaml",
        "seed": 0,
        "tiles": survey / "train.h5",
        "folds": survey / "folds.h5",
        "checkpoint": folder / "checkpoint.safetensors",
        "history": folder / "history.csv",
        "state": folder / "state.pt",
        "log": folder / "log.txt",
        **options,
    }
    for name, value in arguments.items():
        command += [f"--{name}", str(value)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def outputs(folder):
    return [(folder / name).read_bytes() for name in ("checkpoint.safetensors", "history.csv")]


@pytest.fixture(scope="module")
def whole(survey, tmp_path_factory):
    """What a training leaves that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    assert trainer(survey, folder).wait() == 0
    return folder


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_killed_again_and_again_ends_with_the_same_bytes(survey, whole, tmp_path, how):
    pieces = tmp_path / "pieces"
    state, kills = pieces / "state.pt", 0
    for _ in range(3):
        process = trainer(survey, pieces)
        before = state.read_bytes() if state.exists() else b""
        # Killed at an arbitrary moment after its next save.
        while process.poll() is None:
            if state.exists() and state.read_bytes() != before:
                time.sleep(0.02)
                process.send_signal(how)
                kills += 1
                break
            time.sleep(0.005)
        process.wait()
    assert kills >= 2
    process = trainer(survey, pieces)
    _, text = process.communicate()
    assert process.returncode == 0, text
    assert "resumes after epoch" in text
    assert outputs(pieces) == outputs(whole)
    assert sorted(file.name for file in pieces.iterdir()) == [
        ".log.txt.lock",
        "checkpoint.safetensors",
        "history.csv",
        "log.txt",
    ]


def test_after_a_change_of_the_settings_training_starts_over(survey, tmp_path):
    process = trainer(survey, tmp_path)
    while not (tmp_path / "state.pt").exists():
        time.sleep(0.01)
    process.kill()
    process.wait()
    config = yaml.safe_load((survey / "config.yaml").read_text())
    config["training"] |= {"epochs": 2}
    (tmp_path / "other.yaml").write_text(json.dumps(config))
    process = trainer(survey, tmp_path, settings=tmp_path / "other.yaml")
    _, text = process.communicate()
    assert process.returncode == 0, text
    assert "ignored, since configuration, data or code changed" in text
    assert len(pd.read_csv(tmp_path / "history.csv")) == 2
