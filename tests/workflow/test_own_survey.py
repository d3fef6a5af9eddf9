"""Whole runs on surveys that lack what the contest has."""

import pytest

from support.running import complete, planned, snakemake, with_config
from support.surveys import Survey, zipped

pytestmark = pytest.mark.slow


def images_and_masks(folder):
    """A zip of one folder with images/ and masks/, and nothing else."""
    files = Survey(24, 1, 32, 32).files.items()
    inside = {n.replace("train/", "mine/"): data for n, data in files if n.startswith("train/")}
    (folder / "mine.zip").write_bytes(zipped(inside))
    return folder / "mine.zip"


def without_test_depths(folder):
    """The contest as MLE-bench has it: no depth of any test tile."""
    survey = Survey(24, 4, 32, 32)
    for name in survey.test_ids:
        survey.drop_row("depths.csv", name)
    return survey.write(folder / "bench", "unpacked folder")


def test_images_and_masks_are_enough_for_members_and_a_report(tmp_path):
    config = with_config(tmp_path, {"data": {"source": str(images_and_masks(tmp_path))}})
    complete(tmp_path, config=config)
    results = tmp_path / "results"
    assert "none, since there are no test tiles" in (results / "summary.txt").read_text()
    assert (results / "models/0/checkpoint.safetensors").exists()
    assert "NaN" not in (results / "index.html").read_text()
    assert not (results / "data/test").exists()
    assert planned(tmp_path, config=config) == {}


@pytest.mark.parametrize(
    ("survey", "changes", "target", "said"),
    [
        (images_and_masks, {}, "results/submission.csv", "data.source: "),
        (images_and_masks, {"self_training": {"rounds": 1}}, "all", "self_training.rounds: 1"),
        (without_test_depths, {"model": {"depth": "bottleneck"}}, "all", "no depth for 4 of 28"),
    ],
)
def test_what_a_survey_lacks_is_named_before_any_job(tmp_path, survey, changes, target, said):
    config = with_config(tmp_path, changes | {"data": {"source": str(survey(tmp_path))}})
    done = snakemake(tmp_path, "--dry-run", target, config=config)
    assert done.returncode == 1
    told = done.stdout + done.stderr  # a dry run tells all on stdout
    assert said in told
    assert "Traceback" not in told
