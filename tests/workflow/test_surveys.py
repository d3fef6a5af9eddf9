"""Members of several surveys, and of 2-D lines, through the whole workflow."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from saltseg.networks.checkpoint import Checkpoint
from saltseg.survey.geometry import Geometry
from saltseg.survey.scan import scan
from saltseg.survey.segy import Segy
from saltseg.synthetic.volume import write_volume
from support.running import complete, planned, with_config
from support.segy_files import write_segy
from support.surveys import TINY_VOLUME, mask_png

pytestmark = pytest.mark.slow

SUMMARY = ("--", "results/summary.txt", "results/run.yaml")
# Of members, and what only one survey of them is read by.
RETRAINED = {"check_kind": 1, "train": 2, "predict_lines": 4, "score_surveys": 1}


def with_data(folder, **data):
    return with_config(folder, TINY_VOLUME | {"data": {**TINY_VOLUME["data"], **data}})


def test_a_survey_is_added_without_reading_the_first_again(finished_volume, tmp_path):
    folder = shutil.copytree(finished_volume, tmp_path / "run")
    write_volume(*(tmp_path / f"{name}.sgy" for name in "vlt"), (20, 36, 80), 5, 2)
    north = {"source": str(tmp_path / "v.sgy"), "labels": str(tmp_path / "l.sgy")}
    config = with_data(tmp_path, surveys={"north": north})
    jobs = planned(folder, *SUMMARY, config=config)
    read = dict.fromkeys(("scan_volume", "import_volume", "import_lines", "split"), 1)
    assert read | RETRAINED == {name: jobs[name] for name in read | RETRAINED}
    complete(folder, *SUMMARY, config=config)
    assert planned(folder, *SUMMARY, config=config) == {}

    data = folder / "results/surveys/north/data"
    own, first = (Geometry.load(each / "geometry.json") for each in (data, folder / "results/data"))
    assert own.shape == (20, 36, 80) != first.shape and own.amplitude.clip != first.amplitude.clip
    (row,) = pd.read_csv(folder / "results/volume/surveys.csv").itertuples()
    assert (row.survey, row.lines, row.of_lines, row.honest) == ("north", 4, 4, True)
    lines = pd.read_csv(folder / "results/volume/survey_lines.csv")
    assert sorted(lines["line"]) == sorted(pd.read_csv(data / "train/lines.csv")["line"])
    assert "Survey      north IoU" in (folder / "results/summary.txt").read_text()
    about = Checkpoint.load(folder / "results/models/0/checkpoint.safetensors").about
    assert len(about["survey"]["further"]) == 1
    recorded = yaml.safe_load((folder / "results/run.yaml").read_text())["inputs"]
    assert {f"data.surveys.north, {path}" for path in north.values()} <= recorded.keys()

    jobs = planned(folder, *SUMMARY, config=with_data(tmp_path))
    assert jobs["train"] == 2 and not jobs.keys() & {*read, "score_surveys"}


def write_lines(results, folder):
    """Write inlines of the demo volume as 2-D lines of two lengths, and labels of three of four.

    Return where salt is, bool (traces, samples), by line.
    """
    geometry = Geometry.load(results / "data/geometry.json")
    _, traces, _ = scan(geometry.path)
    found = []
    for name in ("lines", "labels"):
        (folder / name).mkdir()
    for number, place in enumerate((2, 6, 10, 14)):
        row = traces[place][traces[place] >= 0][: 40 - number]
        with Segy(geometry.path) as volume, Segy(results / "demo/truth.sgy") as truth:
            values, salt = (np.nan_to_num(each.read_traces(row)) for each in (volume, truth))
        if number == 2:
            values, salt = values[:, :60], salt[:, :60]
        numbers = np.arange(1, len(row) + 1)
        fields = {"fields": {(1, 4): numbers, (21, 4): numbers}}
        write_segy(folder / f"lines/L{number}.sgy", values, 0, 0, **fields)
        if number == 1:
            (folder / "labels/L1.png").write_bytes(mask_png(salt.T > 0))
        elif number < 3:
            write_segy(folder / f"labels/L{number}.sgy", (salt > 0) * 1.0, 0, 0, **fields)
        found.append(salt > 0)
    return found


def test_a_folder_of_2d_lines_is_filled_line_by_line(finished_volume, tmp_path, monkeypatch):
    monkeypatch.chdir(finished_volume)
    salt = write_lines(finished_volume / "results", tmp_path)
    data = {"source": "lines", "labels": "labels", "demo_volume": {}}
    config = with_config(tmp_path, TINY_VOLUME | {"data": data})
    pages = [f"results/volume/L{number}/index.html" for number in (2, 3)]
    targets = ("--", "results/summary.txt", *pages)
    complete(tmp_path, *targets, config=config)
    results = tmp_path / "results"
    scored = pd.read_csv(results / "volume/lines.csv")
    assert sorted(scored["file"]) == ["L0", "L1", "L2"]
    folds = pd.read_csv(results / "data/folds.csv")
    assert folds.groupby("group")["fold"].nunique().eq(1).all() and folds["fold"].nunique() == 2
    assert "Salt in L3.sgy" in (results / "volume/L3/index.html").read_text()
    assert "on 3 lines held out" in (results / "summary.txt").read_text()
    with Segy(tmp_path / "lines/L3.sgy") as source, Segy(results / "volume/L3/mask.sgy") as mask:
        assert (source.layout.traces, source.layout.samples) == (37, 64)
        assert mask.layout.traces == 37
    # Labelled lines are delivered as labelled; the others are what the summary leads with.
    for number in range(3):
        with Segy(results / f"volume/L{number}/mask.sgy") as mask:
            found = mask.read_traces(np.arange(len(salt[number]))) > 0
        np.testing.assert_array_equal(found, salt[number])
    facts = [json.loads((results / f"volume/L{k}/volume.json").read_text()) for k in range(4)]
    assert [(each["labelled"], each["picked_share"]) for each in facts] == [(True, 1)] * 3 + [
        (False, 0)
    ]
    assert [each["expected_iou"] is None for each in facts] == [True] * 3 + [False]
    summary = (results / "summary.txt").read_text()
    assert "to expect of unlabelled lines" in summary and "Label next  L3; more in" in summary
    assert (
        "100% of the traces, which are as labelled"
        in (results / "volume/L2/index.html").read_text()
    )
    assert planned(tmp_path, *targets, config=config) == {}
    # The same folder as a further survey is imported by files, too, and split by lines.
    surveys = {"lines": {name: str(tmp_path / data[name]) for name in ("source", "labels")}}
    (tmp_path / "other").mkdir()
    config = with_data(tmp_path / "other", surveys=surveys)
    jobs = planned(tmp_path / "other", *SUMMARY, config=config)
    assert jobs["import_volume"] == 4 and jobs["import_lines"] == jobs["split"] == 2
