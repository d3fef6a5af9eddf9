"""Files of a user's own that add losses, networks and augmentation."""

import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from saltseg.core.errors import InputError
from saltseg.networks import model
from saltseg.networks.checkpoint import Checkpoint
from saltseg.networks.registry import NETWORKS
from saltseg.settings import plugins
from saltseg.settings.check import complete, faults
from saltseg.settings.config import AugmentationSettings
from saltseg.training.augmentation import Augmentation
from support.running import ROOT
from support.training import MOVING, member

NETWORK = """
import saltseg
from torch import nn
from saltseg.networks.network import Network

@saltseg.add_network
class Tiny(Network):
    def __init__(self, width, dropout):
        super().__init__()
        self.body = nn.Conv2d(1, 1, 3, padding=1)

    def logits(self, images, depths):
        return self.body(images)
"""


@pytest.fixture(autouse=True)
def forget():
    """Leave registries as they were."""
    registries = (plugins.LOSSES, plugins.AUGMENTATIONS, NETWORKS, plugins._LOADED)
    before = [each.copy() for each in registries]
    yield
    for now, then in zip(registries, before, strict=True):
        now.clear()
        now.update(then)


@pytest.fixture
def example(tmp_path) -> str:
    """The plugin of the documentation."""
    text = (ROOT / "docs/plugins.md").read_text()
    path = tmp_path / "mine.py"
    path.write_text(re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1))
    return str(path)


def written(folder: Path, text: str) -> str:
    path = folder / "mine.py"
    path.write_text(text)
    return str(path)


def test_names_of_plugins_are_accepted_once_their_file_is_named(example):
    config = {"training": {"loss": "focal"}, "augmentation": {"extra": ["noise"]}}
    assert "training.loss: expected one of bce, " in faults(config)[0]
    assert complete(config | {"plugins": [example]}).training.loss == "focal"
    wrong = complete_error({"plugins": [example], "augmentation": {"extra": ["noise", "blur"]}})
    assert "1 problem" in wrong and "augmentation.extra.1: expected" in wrong
    experiments = {"late": {"training": {"late_loss": "focal"}}}
    assert complete({"plugins": [example], "experiments": experiments})


def complete_error(config: dict) -> str:
    with pytest.raises(InputError) as error:
        complete(config)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import saltseg\n1 / 0\n", r"\(ZeroDivisionError: .*, line 2\); fix it, or leave it out"),
        ("def f(:\n", r"\(SyntaxError: .*line 1"),
        ("import absent\n", r"\(ModuleNotFoundError: No module named 'absent', line 1\)"),
        (
            "import saltseg\n@saltseg.add_loss\ndef bce(logits, masks): ...\n",
            r"mine\.py: bce is the name of another one already; rename it",
        ),
    ],
)
def test_a_plugin_that_fails_is_named_with_the_line_and_the_remedy(tmp_path, text, message):
    assert re.search(message, complete_error({"plugins": [written(tmp_path, text)]}))


def test_missing_plugins_and_other_values_are_refused():
    assert re.search(
        r"plugins: 2 problems found\n"
        r"  - a\.py: no such file in .*; give the path of a Python file\n  - b\.py: no such",
        complete_error({"plugins": ["a.py", "b.py"]}),
    )
    assert "plugins: expected list of paths, found 'a.py'" in complete_error({"plugins": "a.py"})
    assert "plugins.0: expected path, found 3" in complete_error({"plugins": [3]})


def test_members_train_with_a_plugins_loss_and_augmentation(example):
    complete({"plugins": [example]})
    noisy = Augmentation(AugmentationSettings(extra=["noise"]))
    kinds = [*product(["bce", "focal"], [MOVING, noisy]), ("focal", noisy)]
    losses = [
        [epoch.train_loss for epoch in member(loss=loss, augmentation=augmentation)[1]]
        for loss, augmentation in kinds
    ]
    assert np.isfinite(losses).all()
    assert len({*map(tuple, losses)}) == 4 and losses[-1] == losses[-2]


def test_a_plugins_network_is_rebuilt_where_the_plugin_is(tmp_path):
    path = written(tmp_path, NETWORK)
    assert complete({"plugins": [path], "model": {"name": "Tiny"}})
    settings = {"name": "Tiny", "width": 1, "dropout": 0.0}
    about = {"model": settings, "seed": 0, "plugins": {path: "0123"}}
    Checkpoint(about, model.build(**settings).state_dict()).save(tmp_path / "a.safetensors")
    Checkpoint.load(tmp_path / "a.safetensors").rebuild()
    del NETWORKS["Tiny"]
    with pytest.raises(InputError, match=r"no network Tiny here; name .*mine\.py, in plugins"):
        Checkpoint.load(tmp_path / "a.safetensors").rebuild()
