"""The check of settings before any member is queued."""

import json

import pytest

from saltseg.settings.config import Settings
from support.stages import stage
from support.training import NEEDS_TIMM


@pytest.fixture
def check(finished, tmp_path, capsys):
    """Return a function that checks changed settings on the tiny survey's tiles."""

    def checked(**changes) -> tuple[int, str]:
        defaults = Settings().model_dump(mode="json")
        names = ("model", "training", "augmentation", "compute")
        chosen = {name: defaults[name] | changes.get(name, {}) for name in names}
        chosen["plugins"] = changes.get("plugins", [])
        chosen["model"] |= {"width": 2} if "name" not in changes.get("model", {}) else {}
        status = stage(
            "check",
            "--tiles", finished / "results/data/train.h5",
            "--folds", finished / "results/data/folds.h5",
            "--settings", json.dumps(chosen),
            "--report", tmp_path / "check.txt",
        )  # fmt: skip
        return status, capsys.readouterr().err

    return checked


def test_settings_that_work_are_reported_with_the_network_s_size(check, tmp_path):
    assert check(training={"batch_size": 64, "loss": "lovasz", "compile": True})[0] == 0
    assert "weights, tiles of 101x101, on CPU" in (tmp_path / "check.txt").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"compute": {"device": "cuda"}}, "compute.device is cuda, but PyTorch finds no GPU here"),
        pytest.param(
            {"model": {"name": "timm_unet", "encoder": "resnet999", "width": 8}},
            "model.encoder: timm",
            marks=NEEDS_TIMM,
        ),
    ],
)
def test_settings_that_cannot_work_end_with_their_error(check, tmp_path, changes, message):
    status, text = check(**changes)
    assert status == 1 and message in text
    assert not (tmp_path / "check.txt").exists()


def test_the_late_loss_is_tried_now_and_not_after_hours(check, tmp_path):
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "import saltseg\n@saltseg.add_loss\ndef wrong(logits, masks):\n"
        "    '''Fail.'''\n    return logits.nonsense()\n"
    )
    late = {"late_loss": "wrong", "late_from": 3}
    status, text = check(plugins=[str(plugin)], training=late)
    assert status == 1 and "nonsense" in text
