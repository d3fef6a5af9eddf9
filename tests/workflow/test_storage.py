"""Files of a user that a storage provider has, such as s3:// or https://."""

import os
import shutil

import pytest

from support.running import ROOT, complete, planned, with_config
from support.surveys import Survey

TARGETS = ("--", "results/data/folds.h5", "results/data/test.h5")
JOBS = {"import_train": 1, "import_test": 1, "split": 1}


@pytest.mark.slow
def test_a_dataset_of_a_provider_is_fetched_and_its_older_successor_noticed(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests/support/plugins"))
    survey, store = Survey(17, 7, 33, 33), tmp_path / "store"
    survey.write(store, "flat zip")
    archive = next(store.glob("*.zip"))
    config = with_config(tmp_path, {"data": {"source": f"shelf://{archive}"}})
    complete(tmp_path, *TARGETS, config=config)
    assert planned(tmp_path, *TARGETS, config=config) == {}
    survey.write(store / "new", "flat zip")
    shutil.move(store / "new" / archive.name, archive)
    os.utime(archive, (1, 1))
    assert planned(tmp_path, *TARGETS, config=config) == JOBS
