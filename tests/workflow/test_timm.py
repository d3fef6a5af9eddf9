"""Whole runs with an encoder of timm."""

import pytest
import torch

from saltseg.core.header import read_checkpoint
from saltseg.ensemble.predictions import Predictions
from saltseg.networks.timm_unet import timm
from support.running import SUBMISSION, complete, planned, with_config
from support.training import NEEDS_TIMM

pytestmark = pytest.mark.slow

ENCODER = {"name": "timm_unet", "encoder": "resnet18", "width": 1}
ONE = {"ensemble": {"seeds": [0]}}


@NEEDS_TIMM
@pytest.mark.long
def test_members_begin_with_a_files_weights_and_train_again_for_others(tmp_path):
    (tmp_path / "my weights").mkdir()
    weights = tmp_path / "my weights/resnet18.pth"
    torch.save(timm().create_model("resnet18").state_dict(), weights)
    training = {"encoder_weights": "my weights/resnet18.pth", "frozen_epochs": 1, "epochs": 1}
    config = with_config(tmp_path, {"model": ENCODER, "training": training, **ONE})
    complete(tmp_path, *SUBMISSION, config=config)
    about, _ = read_checkpoint(tmp_path / "results/models/0/checkpoint.safetensors")
    assert about["model"]["encoder"] == "resnet18"
    probabilities = Predictions.load(tmp_path / "results/predictions/test/0/0.h5").values[:]
    assert probabilities.std() > 0
    assert planned(tmp_path, *SUBMISSION, config=config) == {}
    torch.save(timm().create_model("resnet18").state_dict(), weights)
    assert planned(tmp_path, *SUBMISSION, config=config)["train"] == 1
