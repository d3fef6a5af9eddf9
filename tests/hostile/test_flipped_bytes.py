"""Checkpoints and thresholds travel alone: no flipped byte of them changes a mask silently."""

import json

import pytest

from saltseg.core.errors import InputError
from saltseg.core.sealed_json import write_sealed
from saltseg.evaluation.decision import Decision
from saltseg.networks import model
from saltseg.networks.checkpoint import Checkpoint

REPORT = dict.fromkeys(["threshold", "score", "score_all_empty"], 0.5)
REPORT |= {"tiles": 4, "tiles_scored": 4, "flip": True, "honest": True, "members": {"0": 1}}
REPORT |= {"selected": False, "tuned_on": "the other folds"}


@pytest.fixture
def alone(tmp_path):
    """A small checkpoint."""
    settings = {"name": "unet", "width": 1, "dropout": 0.1}
    path = tmp_path / "member.safetensors"
    about = {"model": settings, "seed": 4, "epoch": 7}
    Checkpoint(about, model.build(**settings).state_dict()).save(path)
    return path


def test_each_flipped_byte_of_a_checkpoint_is_refused(alone):
    data = alone.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    entry = data.index(b"__metadata__")
    places = [*range(8), *range(entry, entry + 400, 3), *range(8, start, 29), start - 1]
    places += [*range(start, len(data), 1997), len(data) - 1]
    for place in places:
        changed = bytearray(data)
        changed[place] ^= 1 << place % 7
        alone.write_bytes(changed)
        with pytest.raises(InputError, match=r"^\S*member\.safetensors: "):
            Checkpoint.load(alone)
    alone.write_bytes(data)
    assert Checkpoint.load(alone).about["seed"] == 4


def test_no_flipped_byte_of_a_threshold_changes_a_decision(tmp_path):
    path = tmp_path / "threshold.json"
    write_sealed(path, REPORT)
    data, decision = path.read_bytes(), Decision.load(path)
    for place in range(len(data)):
        for bit in (1, 4, 32):
            changed = bytearray(data)
            changed[place] ^= bit
            path.write_bytes(changed)
            try:
                found = Decision.load(path)
            except InputError as error:
                assert str(error).startswith(str(path))
            else:
                # White space.
                assert found == decision and json.loads(bytes(changed)) == json.loads(data)
