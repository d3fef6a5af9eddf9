"""The volume of probabilities, surfaces and lines to interpret next, against slow references."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from saltseg.core.quantisation import MISSING, SCALE
from saltseg.ensemble.fusion import LOGITS, Fusion, smooth
from saltseg.output import next_lines
from saltseg.output.next_lines import Change, Disagreement, choose_lines
from saltseg.output.shards import Layout, Shards
from saltseg.output.surfaces import MOST_BODIES, writing_surfaces
from saltseg.output.volume import (
    Block,
    Expectation,
    Fuser,
    Marked,
    Probability,
    is_salt,
    write_probability,
)
from saltseg.survey.grid import Axis, Grid
from saltseg.survey.interpolation import Interpolation
from saltseg.survey.lines import UNLABELLED
from saltseg.survey.windows import Windows

WINDOWS = Windows(96, 16)
SHAPE = (70, 90, 33)


GRID = Grid(Axis(100, 2, SHAPE[0]), Axis(7, 1, SHAPE[1]), Axis(1000.0, 4.0, SHAPE[2]))
POSITIONS = np.random.default_rng(1).uniform(1e5, 9e5, (2, *SHAPE[:2]))
POSITIONS[:, 3, 4] = np.nan


def filled(folder: Path, planes="both", shards=3, members=2, shape=SHAPE):
    """Shards of random values, and these by plane: probability and disagreement."""
    layout, random = Layout.of(shape, WINDOWS, planes, shards, members), np.random.default_rng(2)
    gaps = random.random(shape[:2]) < 0.05
    values = {}
    for plane in layout.cores:
        probability = random.integers(0, SCALE, shape, dtype=np.uint16, endpoint=True)
        probability[gaps] = MISSING
        values[plane] = probability, random.integers(0, 256, shape, dtype=np.uint8)
    paths = [folder / f"{shard}.zarr" for shard in range(shards)]
    for shard, path in enumerate(paths):
        for plane, arrays in layout.create(path, shard).items():
            lines = layout.lines(plane, shard)
            part = slice(lines.start, lines.stop)
            where = (part,) if plane == "inline" else (slice(None), part)
            for array, found in zip(arrays.values(), values[plane], strict=True):
                array[...] = found[where]
    return Shards(paths, shape), values


@pytest.fixture(scope="module", params=["inline", "crossline", "both"])
def stored(request, tmp_path_factory):
    """A store, and the shards' values that it was made from."""
    folder = tmp_path_factory.mktemp("stored")
    shards, values = filled(folder, request.param)
    write_probability(folder / "probability.zarr", GRID, POSITIONS, shards, Fuser())
    return folder / "probability.zarr", values


def test_the_logit_is_the_mean_over_planes_and_missing_where_these_are(stored):
    path, values = stored
    found = Probability(path).read()
    each = [LOGITS[p] for p, _ in values.values()]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expit(np.mean(each, axis=0)), atol=1 / SCALE)
    assert 0 < np.isnan(found).all(axis=2).sum() == np.isnan(found[..., 0]).sum()


def test_xarray_opens_the_store_with_its_coordinates(stored):
    xarray = pytest.importorskip("xarray")
    path, values = stored
    with xarray.open_zarr(path, consolidated=False) as found:
        probability = found["probability"]
        assert probability.dims == ("inline", "crossline", "sample")
        np.testing.assert_allclose(probability, Probability(path).read(), atol=1e-6)
        line = probability.sel(inline=104, crossline=10)
        assert line.sizes == {"sample": SHAPE[2]}
        for name, expected in zip(("x", "y"), POSITIONS, strict=True):
            np.testing.assert_array_equal(probability.coords[name], expected)
        np.testing.assert_array_equal(found["sample"], GRID.samples.numbers())
        assert float(found["disagreement"].max()) <= 0.5
        if len(values) == 1:
            ((_, stored_as),) = values.values()
            np.testing.assert_allclose(found["disagreement"], stored_as / 510, atol=1e-6)


def test_disagreement_is_that_of_all_members_in_both_planes(tmp_path):
    shards, values = filled(tmp_path)
    for start in (0, 32):
        block = Fuser(deviation=1.5).fuse(shards, slice(start, start + 32), slice(0, 64))
        part = block.inlines, block.crosslines
        means = [values[plane][0][part] / SCALE for plane in values]
        deviations = [values[plane][1][part] / 510 for plane in values]
        # Two members a plane: as far from its mean, to either side.
        four = [m + side * d for m, d in zip(means, deviations, strict=True) for side in (-1, 1)]
        expected = np.std(four, axis=0)[block.live]
        found = block.disagreement[block.live] / 510
        np.testing.assert_allclose(found, expected.clip(0, 0.5), atol=0.5 / 510 + 1e-3)


@pytest.mark.parametrize("shards", [1, 3])
def test_fused_samples_are_the_same_bytes_in_any_block_and_number_of_shards(tmp_path, shards):
    random = np.random.default_rng(5)
    labels = {
        (plane, line): random.integers(0, 2, (traces, SHAPE[2]), dtype=np.uint8)
        for plane, line, traces in (
            ("inline", 9, SHAPE[1]), ("inline", 40, SHAPE[1]), ("crossline", 33, SHAPE[0])
        )
    }  # fmt: skip
    labels["inline", 40][7:12] = UNLABELLED
    fuser = Fuser(
        Fusion({"inline": 0.6, "crossline": 0.2}, 0.3, -0.2), 1.5, Interpolation(labels), labels
    )
    found, _ = filled(tmp_path, shards=shards)
    whole = fuser.fuse(found, slice(0, SHAPE[0]), slice(0, SHAPE[1])).probability
    part = fuser.fuse(found, slice(31, 45), slice(30, 64)).probability
    assert part.tobytes() == whole[31:45, 30:64].tobytes()
    # By hand, where no label is honoured.
    planes = [found.read(plane, slice(0, 70), slice(0, 90))[0] for plane in ("inline", "crossline")]
    smoothed = [smooth(each, k, range(SHAPE[k]), 1.5) for k, each in enumerate(planes)]
    distance = fuser.interpolation.distance(slice(0, 70), slice(0, 90))
    expected = expit(0.6 * smoothed[0] + 0.2 * smoothed[1] + 0.3 * distance - 0.2)
    expected[9] = labels["inline", 9]
    expected[40] = np.where(labels["inline", 40] == UNLABELLED, expected[40], labels["inline", 40])
    expected[:, 33] = labels["crossline", 33]
    expected[planes[0] == MISSING] = np.nan
    found = np.where(whole == MISSING, np.nan, whole / SCALE)
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_what_to_expect_of_a_mask_is_summed_over_what_nobody_labelled(stored):
    path, _ = stored
    labels = {("inline", 5): np.zeros((SHAPE[1], SHAPE[2]), np.uint8)}
    labels["crossline", 80] = np.full((SHAPE[0], SHAPE[2]), UNLABELLED, np.uint8)
    labels["crossline", 80][10:, 7:] = 1
    expectation, marked = Expectation(labels), is_salt(Probability(path).stored(), 0.7)
    for block in Probability(path).blocks():
        expectation.add(block, marked[block.inlines, block.crosslines])
    values, counts = np.nan_to_num(Probability(path).read()), np.ones(SHAPE, bool)
    counts[5] = counts[10:, 80, 7:] = False
    inside = values[marked & counts].sum(dtype=float)
    union = (marked & counts).sum() + values[~marked & counts].sum(dtype=float)
    facts = expectation.facts()
    assert facts["expected_iou"] == pytest.approx(inside / union, rel=1e-5)
    assert facts["expected_dice"] == pytest.approx(2 * inside / (inside + union), rel=1e-5)
    assert facts["salt_share"] == marked.sum() / np.isfinite(Probability(path).read()).sum()


@pytest.mark.parametrize("threshold", [0.0, 0.25, 0.5, 1 / 3, 1.0])
def test_salt_is_above_the_threshold(threshold):
    values = np.arange(MISSING + 1).astype(np.uint16)
    expected = [v / SCALE > threshold for v in range(MISSING)] + [False]
    np.testing.assert_array_equal(is_salt(values, threshold), expected)


def test_tables_are_those_of_a_slow_reference(tmp_path, stored):
    stored_at, _ = stored
    probability, threshold = Probability(stored_at).read(), 0.93
    tops, bases = tmp_path / "top.csv", tmp_path / "base.csv"
    nowhere = np.zeros(SHAPE[:2], bool)
    with writing_surfaces((tops, bases), tmp_path / "bodies", GRID, "ms", POSITIONS) as tables:
        for block in Probability(stored_at).blocks():
            part, salt = (block.inlines, block.crosslines), is_salt(block.probability, threshold)
            tables.add(part, salt.astype(np.uint16), nowhere[part])
    found = {}
    for name in ("top", "base"):
        with open(tmp_path / f"{name}.csv") as file:
            found[name] = {(row["inline"], row["crossline"]): row for row in csv.DictReader(file)}
    expected = 0
    for i, inline in enumerate(GRID.inlines.numbers().tolist()):
        for j, crossline in enumerate(GRID.crosslines.numbers().tolist()):
            places = [
                k for k in range(SHAPE[2])
                if not np.isnan(probability[i, j, k]) and probability[i, j, k] > threshold
            ]  # fmt: skip
            if not places:
                assert (str(inline), str(crossline)) not in found["top"]
                continue
            expected += 1
            for name, place in (("top", places[0]), ("base", places[-1])):
                row = found[name][str(inline), str(crossline)]
                assert float(row["z"]) == GRID.samples.numbers()[place]
                assert float(row["thickness"]) == 4.0 * len(places)
                if (i, j) == (3, 4):
                    assert row["x"] == row["y"] == ""
                else:
                    assert float(row["x"]) == pytest.approx(POSITIONS[0, i, j], abs=0.01)
                    assert float(row["y"]) == pytest.approx(POSITIONS[1, i, j], abs=0.01)
    assert len(found["top"]) == len(found["base"]) == expected > 10


def test_each_large_body_has_a_top_and_a_base_of_its_own(tmp_path):
    bodies = np.zeros(SHAPE, np.uint16)
    bodies[2:40, 5:9, 3:6], bodies[2:40, 7:12, 10:14], bodies[60, 0, 0] = 2, 1, MOST_BODIES + 1
    bodies[20, 7, 13] = 0
    picked = np.zeros(SHAPE[:2], bool)
    picked[20] = True
    files = tmp_path / "top.csv", tmp_path / "base.csv"
    with writing_surfaces(files, tmp_path / "bodies", GRID, "m", POSITIONS) as tables:
        for start in range(0, SHAPE[0], 32):
            part = slice(start, min(start + 32, SHAPE[0])), slice(0, SHAPE[1])
            tables.add(part, bodies[part], picked[part])
    assert len(list((tmp_path / "bodies").iterdir())) == 4
    top, base = (
        pd.read_csv(tmp_path / f"bodies/body_1_{side}.dat", sep=" ") for side in ("top", "base")
    )
    assert list(top) == ["inline", "crossline", "x", "y", "z_m", "thickness_m", "picked"]
    assert len(top) == len(base) == 38 * 5
    assert (top["z_m"] == 1040).all() and base["z_m"].value_counts().to_dict() == {
        1052: 189,
        1048: 1,
    }
    assert top.loc[top["picked"] == 1, "inline"].unique().tolist() == [140]
    # Above it lies another one, whose top is that of all salt there.
    first = pd.read_csv(files[0]).set_index(["inline", "crossline"])
    assert first.loc[(110, 14), "z"] == 1012 and first.loc[(110, 14), "thickness"] == 28


def lines_from(doubt, interpreted=None, count=20):
    grid = Grid(*(Axis(100, 1, side) for side in (*doubt.shape, 1)))
    return choose_lines(doubt.astype(np.float32), grid, interpreted or {}, count)


def test_lines_are_where_members_disagree_best_first_and_spread_out():
    doubt = np.full((120, 150), 0.01)
    doubt[38:43] = 0.3
    doubt[90] = 0.2
    table = lines_from(doubt)
    assert table["plane"][0] == "inline"
    assert table["line"][0] == 140
    assert table["rank"].tolist() == list(range(1, 21))
    assert (np.diff(table["settled"]) <= 1e-12).all()
    inlines = table["line"][table["plane"] == "inline"].to_numpy()
    assert 190 in inlines[:3]
    # Lines next to each other are not asked for one by one.
    assert np.abs(np.subtract.outer(inlines, inlines))[~np.eye(len(inlines), dtype=bool)].min() >= 5
    assert table["settled"].sum() <= 1 + 1e-9


def test_first_line_settles_most_of_all():
    doubt = np.random.default_rng(3).random((40, 30))
    table = lines_from(doubt, count=1)
    best = {}
    for axis, direction in enumerate(("inline", "crossline")):
        for place in range(doubt.shape[axis]):
            away = np.arange(doubt.shape[axis]) - place
            weights = np.exp(-((away / next_lines.INFLUENCE) ** 2) / 2)
            settled = (np.moveaxis(doubt, axis, 0) * weights[:, None]).sum() / doubt.sum()
            best[settled] = direction, 100 + place
    assert (table["plane"][0], table["line"][0]) == best[max(best)]
    assert table["settled"][0] == pytest.approx(max(best), rel=1e-3)


def test_interpreted_lines_and_their_neighbours_are_not_proposed():
    doubt = np.full((60, 50), 0.1)
    done = {"inline": list(range(100, 160, 10)), "crossline": [125]}
    table = lines_from(doubt, done, 5)
    assert not set(done["inline"]) & set(table["line"][table["plane"] == "inline"])
    crosslines = table["line"][table["plane"] == "crossline"]
    assert (crosslines - 125).abs().min() > next_lines.INFLUENCE


@pytest.mark.parametrize(("shape", "plane"), [((1, 40), "inline"), ((40, 1), "crossline")])
def test_a_single_line_is_the_only_one(shape, plane):
    table = lines_from(np.full(shape, 0.2))
    assert table[["plane", "line"]].values.tolist() == [[plane, 100]]
    assert lines_from(np.zeros(shape)).empty


def test_2d_lines_are_ranked_by_disagreement_without_those_interpreted():
    row = {"rank": 1, "plane": "inline", "line": 1, "settled": 1.0}
    values = {"NA": (0.2, 0.1, 0.5), "L2": (0.3, 0.0, np.nan), "L10": (0.25, 0.2, 0.4)}
    keys = ("disagreement", "changed", "expected_iou")
    tables = {
        name: pd.DataFrame([row | dict(zip(keys, each, strict=True))])
        for name, each in values.items()
    }
    interpreted = tables["NA"].head(0)
    ranked = next_lines.rank_files({"L1": interpreted, **tables})
    assert ranked["file"].tolist() == ["L2", "L10", "NA"] and ranked["rank"].tolist() == [1, 2, 3]
    np.testing.assert_equal(ranked[[*keys]].to_numpy(), [values[file] for file in ranked["file"]])
    assert next_lines.rank_files({"L1": interpreted}).columns.tolist() == ranked.columns.tolist()


def test_disagreement_is_the_mean_over_a_trace_and_none_where_it_is_missing():
    probability = np.full((1, 2, 4), SCALE // 2, dtype=np.uint16)
    probability[0, 1] = MISSING
    disagreement = np.array([[[0, 51, 102, 51], [255] * 4]], dtype=np.uint8)
    block = Block(slice(2, 3), slice(0, 2), probability, disagreement)
    for predictions, expected in ((2, 0.1), (1, 0.5)):
        doubt = Disagreement((3, 2, 4), predictions)
        doubt.add(block)
        assert doubt.per_trace[2, 0] == pytest.approx(expected, abs=1e-4)
        assert doubt.per_trace[2, 1] == 0


def test_the_change_to_expect_of_a_line_follows_from_its_own_probabilities():
    # The first inline: one sample of two marked, with 0.75, and 0.25 outside; a trace is missing.
    probability = np.full((2, 2, 2), 0, np.uint16)
    probability[0, 0] = [round(0.75 * SCALE), round(0.25 * SCALE)]
    probability[0, 1] = MISSING
    salt = np.zeros(probability.shape, bool)
    salt[0] = [True, False]
    grid, change = Grid(Axis(100, 1, 2), Axis(7, 1, 2), Axis(0, 4, 2)), Change((2, 2, 2))
    for line in (0, 1):
        part = slice(line, line + 1)
        block = Block(part, slice(0, 2), probability[part], np.zeros((1, 2, 2), np.uint8))
        change.add(block, salt[part])
    asked = [("inline", 100), ("inline", 101), ("crossline", 7)]
    table = change.of(pd.DataFrame(asked, columns=["plane", "line"]), grid)
    np.testing.assert_allclose(table["changed"], [0.25, 0, 0.125], atol=1e-4)
    np.testing.assert_allclose(table["expected_iou"], [0.6, np.nan, 0.6], atol=1e-4)


def test_marked_samples_are_those_of_any_inlines(stored):
    probability = Probability(stored[0])
    marked = Marked(probability, 0.6)
    for inlines in (slice(0, 8), slice(7, 17), slice(30, 35), slice(3, 70), slice(63, 70)):
        salt, there = marked.read(inlines)
        np.testing.assert_array_equal(salt, is_salt(probability.stored(inlines), 0.6))
        np.testing.assert_array_equal(there, probability.stored(inlines) != MISSING)
