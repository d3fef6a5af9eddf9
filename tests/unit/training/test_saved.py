"""A killed training resumes and produces the same bytes as an uninterrupted one."""

import contextlib
from pathlib import Path

import pytest
import torch

from saltseg.device.compute import Compute
from saltseg.training.saved import Saved, fingerprint
from saltseg.training.trainer import Trainer
from support.training import CPU, member

SETTINGS = {"epochs": 6, "stopping_patience": 3, "plateau_patience": 1, "learning_rate": 0.05}


class KilledError(Exception):
    pass


def killed_after(epoch):
    def record(row):
        if row.epoch == epoch + 1:
            raise KilledError

    return record


@pytest.mark.parametrize(
    ("cuts", "changes"),
    [
        ([2], {}),
        ([1, 2, 3, 4], {"monitor": "map", "seed": 3}),
        ([3, 3, 3], {}),
        ([2, 4], {"optimiser": "muon", "schedule": "one_cycle", "monitor": "last"}),
        ([1, 3], {"compute": Compute(CPU.device, "fp16"), "learning_rate": 0.01}),
        ([2], {"compute": Compute(CPU.device, "fp16"), "optimiser": "muon"}),
    ],
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


def test_a_state_is_saved_though_another_training_removes_the_folder(state, monkeypatch):
    other, write = Saved(state.path.with_name("1.pt"), "other"), Path.write_bytes

    def write_late(path, data):
        monkeypatch.undo()
        other.remove()
        write(path, data)

    monkeypatch.setattr(Path, "write_bytes", write_late)
    state.save(content())
    assert state.load()["list"] == content()["list"]


def test_a_gpus_state_can_be_read_where_there_is_none(state, monkeypatch, caplog):
    with monkeypatch.context() as on_a_gpu:
        on_a_gpu.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
        state.save({"network": torch.ones(3)})
    assert b"cuda:0" in state.path.read_bytes()
    assert state.load()["network"].device.type == "cpu"
    # Another device's training is another one.
    with caplog.at_level("INFO"):
        assert Saved(state.path, "a CPU's").load() is None
    assert "ignored, since configuration, data or code changed" in caplog.text


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
