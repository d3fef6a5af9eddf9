"""A seismic volume through the whole workflow: from SEG-Y with some labelled lines to SEG-Y."""

import shutil

import numpy as np
import pytest
import yaml

from saltseg.survey.geometry import Geometry, load_traces
from saltseg.survey.lines import Lines
from saltseg.survey.segy import Segy
from support.running import complete, planned, snakemake, with_config
from support.surveys import TINY_VOLUME as TINY
from support.surveys import mask_png

pytestmark = pytest.mark.slow

FILLED = ["mask.sgy", "probability.sgy", "top_salt.csv", "base_salt.csv", "next_lines.csv"]


def config_of(folder, **sections):
    changes = {name: {**TINY.get(name, {}), **sections.get(name, {})} for name in TINY | sections}
    return with_config(folder, changes)


def test_members_of_a_run_fill_the_same_volume_alike_in_shards(finished_volume, tmp_path):
    shutil.copy(finished_volume / "results/demo/volume.sgy", tmp_path / "again.sgy")
    config = config_of(
        tmp_path,
        predict={"source": str(tmp_path / "again.sgy"), "run": str(finished_volume / "results")},
        inference={"shards": 2},
    )
    complete(tmp_path, "--", "predict", config=config)
    for name in FILLED[:4]:
        expected = (finished_volume / "results/volume" / name).read_bytes()
        assert (tmp_path / "results/predict" / name).read_bytes() == expected, name
    assert planned(tmp_path, "--", "predict", config=config) == {}


def test_a_damaged_chunk_of_amplitudes_is_refused_by_name(finished_volume, tmp_path):
    shutil.copytree(finished_volume, tmp_path / "run")
    run = tmp_path / "run"
    chunk = run / "results/data/volume.zarr/amplitude/c/0/0/0"
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(data)
    done = snakemake(run, "--forcerun", "predict_volume", config=run / "config.yaml")
    assert done.returncode != 0
    assert "results/data/volume.zarr: not a readable volume" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_labels_can_be_masks_drawn_line_by_line(finished_volume, tmp_path):
    """The source of the demo as a user's own file, with some of its truth as PNG files."""
    results, masks = finished_volume / "results", tmp_path / "my masks"
    masks.mkdir()
    geometry = Geometry.load(results / "data/geometry.json")
    traces = load_traces(results / "data/traces.h5", geometry)
    with Segy(results / "demo/truth.sgy") as file:
        for place in (2, 9):
            salt = np.nan_to_num(file.read_traces(traces[place])) > 0
            number = int(geometry.inlines.numbers()[place])
            (masks / f"inline_{number}.png").write_bytes(mask_png(salt.T))
    shutil.copy(results / "demo/volume.sgy", tmp_path / "a survey.sgy")
    own = {"source": "a survey.sgy", "labels": "my masks"}
    config = config_of(tmp_path, data=own)
    complete(tmp_path, "--", "results/data/folds.h5", config=config)
    table = Lines(tmp_path / "results/data/lines.h5").table
    assert table["line"].tolist() == [1203, 1210]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"source": "none.sgy"}, "data.source: none.sgy: no such file"),
        ({"source": "empty.sgy"}, "data.labels: not set, so there is nothing to train on"),
        ({"source": "empty.sgy", "labels": "none"}, "data.labels: none: no such file or folder"),
    ],
)
def test_a_volume_that_cannot_be_trained_on_is_refused_at_once(tmp_path, data, message):
    (tmp_path / "empty.sgy").touch()
    config = with_config(tmp_path, {"data": data})
    done = snakemake(tmp_path, "--dry-run", config=config)
    assert done.returncode != 0
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_file_to_predict_matters_to_predict_alone(tmp_path):
    config = with_config(tmp_path, {"predict": {"source": "gone.sgy", "run": "elsewhere"}})
    assert planned(tmp_path, config=config)
    done = snakemake(tmp_path, "--", "predict", config=config)
    assert done.returncode != 0
    assert "predict.source: gone.sgy: no such file" in done.stdout + done.stderr


def test_a_run_without_a_volume_has_no_scan(tmp_path):
    done = snakemake(tmp_path, "--", "scan", config=with_config(tmp_path, {}))
    assert done.returncode != 0
    assert (
        "data.source: demo: no SEG-Y file; expected one named *.sgy or *.segy"
        in done.stdout + done.stderr
    )


def test_depth_of_tiles_is_refused_for_volumes(tmp_path):
    config = config_of(tmp_path, model={"name": "residual_unet", "depth": "both"})
    done = snakemake(tmp_path, "--dry-run", config=config)
    assert done.returncode != 0
    assert (
        "model.depth: a volume's tiles have no depth; set it to none" in done.stdout + done.stderr
    )
    assert yaml.safe_load(config.read_text())["model"]["depth"] == "both"
