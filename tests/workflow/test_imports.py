"""What finished stages import beyond their work: each job pays for it."""

import json
import subprocess
import sys

import pytest
import yaml
from snakemake.utils import update_config

from support.running import ROOT, TINY

pytestmark = pytest.mark.slow

SETTINGS = yaml.safe_load((ROOT / "config/config.yaml").read_text())
update_config(SETTINGS, yaml.safe_load(TINY.read_text()))
TILES = ("--tiles", "results/data/train.h5", "--folds", "results/data/folds.h5")
STAGES = {
    "train": (
        *("--seed", "0", "--checkpoint", "new/checkpoint.safetensors"),
        *("--history", "new/history.csv", "--state", "new/state.pt"),
    ),
    "predict_validation": (
        *("--checkpoint", "results/models/0/checkpoint.safetensors", "--predictions", "new/0.h5"),
    ),
}


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_imports_the_compiler_unasked(stage, copied):
    """Importing it takes longer than importing PyTorch itself."""
    script = ROOT / f"workflow/scripts/{stage}.py"
    command = [sys.executable, "-X", "importtime", str(script), "--settings", json.dumps(SETTINGS)]
    done = subprocess.run(
        [*command, *TILES, *STAGES[stage]], cwd=copied, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "torch" in imported
    assert not {name for name in imported if name.startswith(("torch._dynamo", "torch._inductor"))}
