"""A tiny run, for tests to spoil its files."""

import shutil
from pathlib import Path

import pytest

from support.stages import run_all, zip_survey
from support.surveys import Survey, image_png


@pytest.fixture(scope="session")
def intact(run_once) -> Path:
    """Folder with all that stages read, and new tiles in ``new``; not to be changed."""

    def make(folder: Path) -> None:
        survey = Survey(train=6, test=3, height=16, width=18)
        zip_survey(survey, folder)
        run_all(folder, report=("plot_training", "plot_data"))
        (folder / "new").mkdir()
        for name in ("a", "b", "c"):
            (folder / f"new/{name}.png").write_bytes(image_png(survey.images[survey.ids[0]]))
        (folder / "new/depths.csv").write_text("id,z\na,1\nb,2\nc,3\n")

    return run_once("stages", make)


@pytest.fixture
def run(intact, tmp_path) -> Path:
    """A copy of the tiny run, to spoil."""
    return Path(shutil.copytree(intact, tmp_path / "run"))
