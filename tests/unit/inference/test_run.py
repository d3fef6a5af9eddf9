"""A finished run from Python predicts what the workflow does, of arrays."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import saltseg
from saltseg.core import rle
from saltseg.core.errors import InputError
from saltseg.core.quantisation import MISSING, SCALE
from saltseg.ensemble.fusion import LOGITS
from saltseg.ensemble.predictions import Predictions
from saltseg.evaluation.calibration import Calibration
from saltseg.inference.sections import SectionPredictor, windows_for
from saltseg.inference.volume import Greyscale, VolumePredictor
from saltseg.networks.checkpoint import Checkpoint
from saltseg.output.shards import Layout, Shards
from saltseg.stage.code_files import local_files
from saltseg.survey.geometry import Geometry, load_traces
from saltseg.survey.segy import Segy
from saltseg.survey.tiles import Tiles
from saltseg.survey.volume import Volume
from support.running import ROOT, run_code

DOCUMENT = ROOT / "docs/python.md"


@pytest.fixture(scope="module")
def of_tiles(finished):
    return saltseg.load_run(finished / "results", device="cpu")


@pytest.fixture(scope="module")
def of_volume(finished_volume):
    return saltseg.load_run(finished_volume / "results", device="cpu")


@pytest.fixture(scope="module")
def section(finished_volume) -> np.ndarray:
    """The third inline of the volume as its SEG-Y file has it, float32 (samples, traces)."""
    results = finished_volume / "results"
    traces = load_traces(results / "data/traces.h5", Geometry.load(results / "data/geometry.json"))
    with Segy(results / "demo/volume.sgy") as file:
        return file.read_traces(traces[2]).T


def test_tiles_get_the_probabilities_and_masks_of_the_workflow(finished, of_tiles):
    results = finished / "results"
    tiles = Tiles(results / "data/test.h5")
    members = [Predictions.load(results / f"predictions/test/{seed}/0.h5") for seed in (0, 1)]
    expected = np.mean([member.values[:] for member in members], axis=0) / SCALE
    np.testing.assert_allclose(of_tiles.predict(tiles.images[:]), expected, rtol=1e-12)
    submission = pd.read_csv(results / "submission.csv", keep_default_na=False)
    masks = of_tiles.masks(tiles.images[:])
    assert submission["rle_mask"].tolist() == [rle.encode(mask) for mask in masks]
    np.testing.assert_array_equal(of_tiles.masks(tiles.images[0]), masks[0])


def test_sections_get_the_probabilities_that_a_volume_has(
    finished_volume, of_volume, section, tmp_path
):
    results = finished_volume / "results"
    volume = Volume(results / "data/volume.zarr")
    checkpoints = [Checkpoint.load(path) for path in sorted(results.glob("models/*/*.safetensors"))]
    members = [each.rebuild() for each in checkpoints]
    windows = windows_for(members, 1024)
    layout = Layout.of(volume.shape, windows, "inline", 1, len(members))
    sections = SectionPredictor(members, of_volume.compute, windows, of_volume.decision.flip)
    greyscale = Greyscale.of(checkpoints, volume.percentile)
    VolumePredictor(sections, greyscale, 8).predict(volume, layout, 0, tmp_path / "0.zarr")
    found = Shards([tmp_path / "0.zarr"], volume.shape)
    probability, _ = found.read("inline", slice(2, 3), slice(0, 40))
    alone = Calibration.load(results / "volume/calibration.json").alone
    calibrated = expit(alone.logits({"section": LOGITS[probability[0].T]}))
    expected = np.where(probability[0].T == MISSING, np.nan, calibrated)
    assert np.isnan(expected).any()
    np.testing.assert_allclose(of_volume.predict(section), expected, atol=1.5 / SCALE)
    several = np.stack([section, section[:, ::-1]])
    assert of_volume.masks(several).shape == several.shape


def test_missing_samples_have_no_probability(of_volume, section):
    section = np.nan_to_num(section, nan=0.1)
    section[:, 3], section[5:7, 20], section[8, 21] = 0, np.nan, 1e30
    found, missing = of_volume.predict(section), np.zeros(section.shape, bool)
    missing[:, 3] = missing[5:7, 20] = missing[8, 21] = True
    np.testing.assert_array_equal(np.isnan(found), missing)
    assert not of_volume.masks(section)[missing].any()


def test_amplitudes_are_in_the_units_of_the_file(of_volume, section):
    clip = of_volume._clip_of(section)
    expected = of_volume.predict(section)
    np.testing.assert_array_equal(of_volume.predict(section * 4, clip=clip * 4), expected)
    assert not np.array_equal(of_volume.predict(section * 4), expected)


def test_members_of_tiles_predict_sections_of_any_scale(of_tiles, section):
    expected = of_tiles.predict(section)
    np.testing.assert_allclose(of_tiles.predict(section * 2.0**20), expected, atol=1e-4)


def test_another_threshold_can_be_chosen(finished, of_tiles):
    tile = Tiles(finished / "results/data/test.h5").images[:1]
    run = saltseg.load_run(finished / "results", threshold=1.0, device="cpu")
    assert run.threshold == 1 and not run.masks(tile).any()
    assert of_tiles.threshold < 1


@pytest.mark.parametrize(
    "images",
    [np.zeros((20, 20), int), np.zeros(20, np.uint8), np.zeros((0, 20, 20), np.uint8), "tile.png"],
)
def test_other_arrays_are_refused(of_tiles, images):
    with pytest.raises(InputError, match="expected uint8 tiles or float amplitudes"):
        of_tiles.predict(images)


def test_errors_name_the_file_and_the_remedy(finished_volume, section, tmp_path):
    with pytest.raises(InputError, match=r"threshold\.json: No such file .* of a finished run"):
        saltseg.load_run(tmp_path)
    shutil.copy(finished_volume / "results/threshold.json", tmp_path)
    with pytest.raises(InputError, match=r"models/0/checkpoint\.safetensors: no such .* copy"):
        saltseg.load_run(tmp_path)
    shutil.copytree(finished_volume / "results/models", tmp_path / "models")
    with pytest.raises(InputError, match=r"compute\.device: expected one of auto, cpu, cuda"):
        saltseg.load_run(tmp_path, device="gpu")
    run = saltseg.load_run(tmp_path, device="cpu")
    with pytest.raises(InputError, match=r"data/geometry\.json: .* pass clip="):
        run.predict(section)
    with pytest.raises(InputError, match=r"volume/calibration\.json: expected .* No such file"):
        run.predict(section, clip=1.0)
    (tmp_path / "volume").mkdir()
    shutil.copy(finished_volume / "results/volume/calibration.json", tmp_path / "volume")
    assert run.predict(section, clip=1.0).shape == section.shape


def test_the_package_alone_is_cheap_to_import_and_no_stage_depends_on_more():
    code = "import saltseg, sys; assert not {'numpy', 'torch', 'pydantic'} & sys.modules.keys()"
    assert run_code(code).returncode == 0
    names = {file.name for file in local_files(ROOT / "workflow/scripts/submission.py")}
    assert "__init__.py" in names and "run.py" not in names


def test_the_documented_lines_run(finished, monkeypatch):
    code = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL).group(1)
    monkeypatch.chdir(finished)
    images = Tiles(Path("results/data/test.h5")).images[:]
    names = {"images": images}
    exec(code, names)
    assert names["masks"].shape == names["probabilities"].shape == images.shape
