"""`snakemake experiments`: two for real on a finished run; a third, and a changed one, planned."""

import json

import pandas as pd
import pytest

from support.running import complete, planned, snakemake, with_config

TARGET = ("--", "experiments")
WIDE = {"model": {"width": 3}, "ensemble": {"seeds": [1]}}
TWO = {"base": {}, "wide": WIDE}
ONE_MEMBER = {
    "check_experiment": 1,
    "train": 1,
    "predict_validation": 1,
    "threshold_experiment": 1,
    "experiments": 1,
}


@pytest.mark.slow
def test_experiments_share_a_run_and_rerun_only_their_own_jobs(copied):
    def config(experiments):
        return with_config(copied, {"experiments": experiments})

    assert planned(copied, config=config(TWO)) == {}
    printed = complete(copied, *TARGET, config=config(TWO))
    results = copied / "results"
    table = pd.read_csv(results / "experiments.csv", index_col="name")
    assert table.index.tolist() == ["base", "wide"]
    assert table["model.width"].tolist() == [2, 3]
    assert (table["training_seconds"] > 0).all() and table["members"].tolist() == [2, 1]
    assert table.loc["wide", ["tiles", "ensemble.seeds"]].tolist() == [24, "[1]"]
    assert table["difference"].isna().tolist() == [True, False]
    score = json.loads((results / "threshold.json").read_text())["score"]
    assert table.loc["base", "score"] == pytest.approx(score)
    assert f"wide {table.loc['wide', 'score']:.4f} ± " in printed
    assert "<td>3</td>" in (results / "experiments.html").read_text()
    # Without keys of its own, an experiment is the run itself.
    name = "models/1/checkpoint.safetensors"
    first, own = (results / folder / name for folder in ("", "experiments/base"))
    assert first.read_bytes() == own.read_bytes()
    assert planned(copied, *TARGET, config=config(TWO)) == {}

    third = TWO | {"one": {"ensemble": {"seeds": [1]}, "inference": {"flip": False}}}
    assert planned(copied, *TARGET, config=config(third)) == ONE_MEMBER
    changed = TWO | {"wide": WIDE | {"training": {"loss": "dice"}}}
    assert planned(copied, *TARGET, config=config(changed)) == ONE_MEMBER
    assert planned(copied, config=config(changed)) == {}


def test_a_configuration_without_experiments_is_told_what_to_add(tmp_path):
    done = snakemake(tmp_path, "--dry-run", *TARGET)
    assert done.returncode == 1
    assert "experiments: none; name them in the configuration" in done.stdout + done.stderr
