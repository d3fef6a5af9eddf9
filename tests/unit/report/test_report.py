"""The content of the figures, checked by hand; other tests check that they are drawn."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from skimage import color
from skimage.color import colorconv

from saltseg.ensemble.predictions import Predictions, save
from saltseg.report import gallery, palette, plot_evaluation, plot_training, times


def reviewed(**columns) -> pd.DataFrame:
    table = pd.DataFrame(columns)
    table["id"] = [f"t{k}" for k in range(len(table))]
    filled = {"members": 1, "honest": True, "disagreement": np.nan, "coverage": 0.5, "iou": 0.5}
    return table.assign(**{name: v for name, v in filled.items() if name not in table})


def test_pictures_show_the_worst_the_middle_and_the_best():
    iou = [0.0, 0.1, 0.2, 0.6, 0.7, 0.8, 0.95, 1.0, 1.0]
    coverage = [0.5] * 7 + [0.0, 1.0]
    chosen = gallery.choose(reviewed(iou=iou, coverage=coverage), 3)
    assert chosen["worst"] == ["t0", "t1", "t2"]
    assert chosen["typical"] == ["t2", "t3", "t4"]
    assert chosen["best"] == ["t6", "t5", "t4"]
    # Evenly spaced over all tiles with salt, including the full one.
    assert chosen["gallery"] == ["t0", "t4", "t8"]
    assert chosen["disagreement"] == []


@pytest.mark.parametrize(
    ("members", "honest", "expected"),
    [
        ([2, 2, 3], True, ["t1", "t0"]),
        ([2, 2, 0], True, ["t1", "t0"]),
        ([2, 1, 2], True, []),
        ([2, 2, 2], False, []),
    ],
)
def test_members_disagree_where_every_tile_has_two_honest_ones(members, honest, expected):
    table = reviewed(members=members, honest=honest, disagreement=[0.2, 0.3, 0.1])
    assert gallery.choose(table, 2)["disagreement"] == expected


def test_a_thinned_curve_keeps_its_highest_step_and_its_ends():
    starts = np.linspace(0, 0.999, 5000)
    scores = np.zeros(5000)
    scores[1234] = 1
    where, found = plot_evaluation.thinned(starts, scores)
    assert len(where) <= plot_evaluation.POINTS + 2
    assert where[0] == 0 and where[-1] == 1
    assert found.max() == 1 and where[found.argmax()] == starts[1234]


def members(folder: Path, ids: dict[int, str]) -> list[Predictions]:
    for seed, names in ids.items():
        blank = np.zeros((len(names), 1, 1), dtype=np.float32)
        save(folder / f"{seed}.h5", list(names), (1, 1), [blank])
    return [Predictions.load(folder / f"{seed}.h5") for seed in ids]


def test_choices_of_members_leave_each_tile_as_many(tmp_path):
    loaded = members(tmp_path, {0: "ab", 1: "cd", 2: "ab", 3: "cd", 4: "ab", 5: "cd"})
    for many, choices in ((1, 3), (2, 3), (3, 1)):
        found = plot_evaluation.subsets_of(loaded, many)
        assert len(found) == choices
        for subset in found:
            for tile in "abcd":
                assert sum(tile in member.ids for member in subset) == many
    assert len({tuple(m.path for m in s) for s in plot_evaluation.subsets_of(loaded, 1)}) == 3


def test_times_are_by_step_the_longest_first_and_other_files_are_ignored(tmp_path):
    for name, text in {
        "demo.tsv": "s\th:m:s\tmax_rss\n7.5\t0:00:07\t100\n",
        "train/0.tsv": "s\tmax_rss\n5\t500\n",
        "train/1.tsv": "s\tmax_rss\n6\t-\n",
        "predict_test/0/3.tsv": "s\tmax_rss\n1\tNA\n",
        "broken.tsv": "nothing\n",
        "binary.tsv": "\0\1",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    found = times.read_times(tmp_path)
    assert found["step"].tolist() == ["train", "train", "demo", "predict_test"]
    assert found["seconds"].tolist() == [5, 6, 7.5, 1]
    assert found["megabytes"].isna().tolist() == [False, True, False, True]
    plot_training.draw_times(tmp_path / "times.svg", [tmp_path])
    text = (tmp_path / "times.svg").read_text()
    assert "train (2 jobs)" in text and "currentColor" in text
    assert times.read_times(tmp_path / "nowhere").empty
    # Further surveys have folders of their own.
    assert len(times.read_times(tmp_path, tmp_path / "nowhere", tmp_path / "train")) == 6
    plot_training.draw_times(tmp_path / "empty.svg", [tmp_path / "nowhere"])
    assert "Not drawn: no benchmarks in" in (tmp_path / "empty.svg").read_text()


# Machado, Oliveira and Fernandes (2009), severity 1, on linear values.
BLINDNESS = {
    "none": [1, 0, 0, 0, 1, 0, 0, 0, 1],
    "protanopia": [
        *(0.152286, 1.052583, -0.204868),
        *(0.114503, 0.786281, 0.099216),
        *(-0.003882, -0.048116, 1.051998),
    ],
    "deuteranopia": [
        *(0.367322, 0.860646, -0.227968),
        *(0.280085, 0.672501, 0.047413),
        *(-0.011820, 0.042940, 0.968881),
    ],
    "tritanopia": [
        *(1.255528, -0.076749, -0.178779),
        *(-0.078411, 0.930809, 0.147602),
        *(0.004733, 0.691367, 0.303900),
    ],
}


def lab(colour: str, eye: list[float]) -> np.ndarray:
    """Return a colour as perceived by an eye, in CIE L*a*b*."""
    seen = np.reshape(eye, (3, 3)) @ np.linalg.solve(
        colorconv.xyz_from_rgb, color.rgb2xyz(np.array(palette.rgb(colour)) / 255)
    )
    return color.xyz2lab(colorconv.xyz_from_rgb @ seen.clip(0, 1))


@pytest.mark.parametrize("eye", BLINDNESS)
def test_truth_prediction_and_error_are_distinguishable_by_any_eye(eye):
    seen = [
        lab(colour, BLINDNESS[eye]) for colour in (palette.TRUTH, palette.PREDICTION, palette.ERROR)
    ]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        # At a distance of 2, colours are barely distinguishable; at 10, at a glance.
        assert np.linalg.norm(seen[one] - seen[other]) > 40
    # A lightness of 61.7 is a luminance of 0.3.
    plain = [lab(colour, BLINDNESS["none"]) for colour in (palette.TRUTH, palette.PREDICTION)]
    assert min(lightness for lightness, _, _ in plain) > 61.7
