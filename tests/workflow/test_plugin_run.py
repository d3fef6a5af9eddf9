"""A run with a plugin: what it trains, and what is stale once the plugin changes."""

import re
from pathlib import Path

import pytest
import yaml

from saltseg.networks.checkpoint import Checkpoint
from support.running import ROOT, complete, planned, snakemake, with_config

pytestmark = pytest.mark.slow


def test_a_plugin_trains_members_and_makes_them_stale(copied, tmp_path):
    text = re.search(r"```python\n(.*?)```", (ROOT / "docs/plugins.md").read_text(), re.DOTALL)
    (copied / "mine.py").write_text(text.group(1))
    changes = {"training": {"loss": "focal"}, "augmentation": {"extra": ["noise"]}}
    changes["ensemble"] = {"seeds": [0]}
    config = with_config(tmp_path, changes)
    config.write_text(f"plugins: [mine.py]\n{config.read_text()}")
    run = (copied, "--", "results/run.yaml")
    complete(*run, config=config)
    record = yaml.safe_load((copied / "results/run.yaml").read_text())
    assert len(record["inputs"]["plugins, mine.py"]) > 10
    checkpoint = Checkpoint.load(copied / "results/models/0/checkpoint.safetensors")
    assert list(checkpoint.about["plugins"]) == ["mine.py"]
    assert planned(*run, config=config) == {}

    plugin = Path(copied / "mine.py")
    plugin.write_text(plugin.read_text() + "\n# A comment.\n")
    assert "train" not in planned(*run, config=config)
    plugin.write_text(plugin.read_text().replace("** 2", "** 3"))
    jobs = planned(*run, config=config)
    assert jobs["check_kind"] == jobs["train"] == jobs["predict_test"] == 1
    assert "import_train" not in jobs and "split" not in jobs

    plugin.unlink()
    failed = snakemake(*run, config=config)
    assert "mine.py: no such file" in failed.stderr and "Traceback" not in failed.stderr
