"""A seismic volume through the whole workflow: from SEG-Y with some labelled lines to SEG-Y."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from saltseg.survey.geometry import Geometry, load_traces
from saltseg.survey.lines import UNLABELLED, Lines, labels_by_line
from saltseg.survey.segy import Segy
from saltseg.survey.tiles import Tiles
from support.running import complete, planned, snakemake, with_config
from support.surveys import TINY_VOLUME as TINY
from support.surveys import folds_in, mask_png

pytestmark = pytest.mark.slow

FILLED = [
    "mask.sgy",
    "bodies.sgy",
    "probability.sgy",
    "top_salt.csv",
    "base_salt.csv",
    "next_lines.csv",
]


def config_of(folder, **sections):
    changes = {name: {**TINY.get(name, {}), **sections.get(name, {})} for name in TINY | sections}
    return with_config(folder, changes)


def test_members_of_a_run_fill_a_volume_alike_in_shards(finished_volume, tmp_path):
    shutil.copy(finished_volume / "results/demo/volume.sgy", tmp_path / "again.sgy")
    predict = {"source": str(tmp_path / "again.sgy"), "run": str(finished_volume / "results")}
    filled = []
    for shards in (1, 2):
        folder = tmp_path / str(shards)
        config = config_of(tmp_path, predict=predict, inference={"shards": shards})
        complete(folder, "--", "predict", config=config)
        filled.append([(folder / "results/predict" / name).read_bytes() for name in FILLED])
    assert filled[0] == filled[1]
    page = (folder / "results/predict/index.html").read_text()
    assert "Salt in again.sgy" in page and '<p class="notice">' not in page.partition("<nav")[0]
    assert list((folder / "results/predict/sections").glob("inline-*-grey.webp"))
    assert planned(folder, "--", "predict", config=config) == {}
    run = shutil.copytree(finished_volume / "results", tmp_path / "run")
    (run / "volume/calibration.json").unlink()
    config = config_of(tmp_path, predict=predict | {"run": str(run)})
    done = snakemake(folder, "--", "predict", config=config)
    assert done.returncode != 0
    refused = f"predict.run: {run}/volume/calibration.json: no such file, but members of a volume"
    assert refused in done.stdout + done.stderr


def draw_masks(results, folder, places):
    """Write the truth of some inlines, by index, as PNG files."""
    folder.mkdir()
    geometry = Geometry.load(results / "data/geometry.json")
    traces = load_traces(results / "data/traces.h5", geometry)
    with Segy(results / "demo/truth.sgy") as file:
        for place in places:
            salt = np.nan_to_num(file.read_traces(traces[place])) > 0
            number = int(geometry.inlines.numbers()[place])
            (folder / f"inline_{number}.png").write_bytes(mask_png(salt.T))


def test_a_second_round_starts_from_the_first_ones_members(finished_volume, tmp_path):
    """The lines of the first round and one of those that it proposes, by the documented command."""
    first = shutil.copytree(finished_volume, tmp_path / "survey") / "results"
    lines = Lines(first / "data/lines.h5").table["line"].tolist()
    proposed = pd.read_csv(first / "volume/next_lines.csv").query("plane == 'inline'")
    new = int(proposed["line"].iloc[0])
    masks = tmp_path / "masks"
    draw_masks(first, masks, [line - 1201 for line in [*lines, new]])
    own = {"source": str(first / "demo/volume.sgy"), "labels": str(masks)}
    second = tmp_path / "survey-2"
    options = ("config/next.yaml", "--config", "training={start: ../survey/results}")
    config = config_of(tmp_path, data=own)
    complete(second, *options, config=config)
    assert "Job stats" not in complete(second, *options, "--dry-run", config=config)

    results = second / "results"
    for member in ("0", "1"):
        log = (results / f"logs/train/{member}.log").read_text()
        assert f"starts from ../survey/results/models/{member}/checkpoint.safetensors" in log
        assert len(pd.read_csv(results / f"models/{member}/history.csv")) == 15
    former, folds = (folds_of_lines(run) for run in (first, results))
    assert folds == former | {f"inline_{new}": folds[f"inline_{new}"]}
    assert sections(results) == sections(first) != []
    ranked = pd.read_csv(results / "volume/next_lines.csv")
    assert ranked["changed"].between(0, 1).all() and new not in ranked["line"].tolist()
    with Segy(results / "volume/mask.sgy") as file:
        text = " ".join(file.text.split())
    threshold = json.loads((results / "volume/volume.json").read_text())["threshold"]
    assert (
        f"above {threshold:g}" in text and "survey-2" in text and "Source volume.sgy of 2" in text
    )


def sections(results):
    return re.findall(r'href="#([a-z-]+)"', (results / "index.html").read_text())


def folds_of_lines(results):
    folds = folds_in(results / "data/folds.h5").merge(Tiles(results / "data/train.h5").table)
    return folds.groupby("line")["fold"].first().to_dict()


def test_labels_can_be_horizons_as_a_run_writes_them(finished_volume, tmp_path):
    """Top and base of the largest body, on two of the lines that were filled."""
    results, picks = finished_volume / "results", tmp_path / "my picks"
    picks.mkdir()
    shutil.copy(results / "demo/volume.sgy", tmp_path / "a survey.sgy")
    for side in ("top", "base"):
        head, *rows = (results / f"volume/surfaces/body_1_{side}.dat").read_text().splitlines()
        rows = [row for row in rows if row.startswith(("1203 ", "1210 "))]
        (picks / f"{side}.dat").write_text("\n".join([head, *rows]))
    body = {"top": "my picks/top.dat", "base": "my picks/base.dat"}
    labels = {"bodies": [body], "lines": [1203, 1210]}
    config = config_of(tmp_path, data={"source": "a survey.sgy", "labels": labels})
    folds = ("--", "results/data/folds.h5")
    complete(tmp_path, *folds, config=config)
    geometry = Geometry.load(results / "data/geometry.json")
    found = labels_by_line(Lines(tmp_path / "results/data/lines.h5"), geometry)
    with Segy(results / "volume/bodies.sgy") as file:
        traces = load_traces(results / "data/traces.h5", geometry)
        for (_, index), of_line in found.items():
            known = of_line != UNLABELLED  # not of missing and dead traces
            below, above = (
                np.maximum.accumulate(file.read_traces(traces[index])[:, order] == 1, axis=1)
                for order in (slice(None), slice(None, None, -1))
            )
            salt = below & above[:, ::-1]  # a surface knows no hole
            assert known.mean() > 0.9
            np.testing.assert_array_equal(of_line[known], salt[known])
    for path in picks.iterdir():
        path.touch()
    assert planned(tmp_path, *folds, config=config) == {}
    (picks / "top.dat").write_text("\n".join([head, *rows]))
    assert planned(tmp_path, *folds, config=config)["import_lines"] == 1


def test_a_missing_file_to_predict_matters_to_predict_alone(tmp_path):
    config = with_config(tmp_path, {"predict": {"source": "gone.sgy", "run": "elsewhere"}})
    assert planned(tmp_path, config=config)
    done = snakemake(tmp_path, "--", "predict", config=config)
    assert done.returncode != 0
    assert "predict.source: gone.sgy: no such file" in done.stdout + done.stderr
