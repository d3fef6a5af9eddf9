"""Surfaces in the format of the labels' picks, which reads back as they do."""

import numpy as np
import pandas as pd
import pytest

from saltseg.output.horizon_format import HorizonFormat
from saltseg.output.surfaces import writing_surfaces
from saltseg.survey.picks import Reading, read_picks
from support.horizons import CROSSLINES, FORMATS, INLINES, LINES, charisma, surveyed, text, written

COLUMNS = ["inline", "crossline", "x", "y", "z"]


@pytest.mark.parametrize("content", [*FORMATS, text("z x y", scale=-0.001)])
def test_picks_written_in_their_own_format_are_the_same_rows(tmp_path, content):
    survey = surveyed(tmp_path)
    path = written(tmp_path / "top.dat", content)
    like = HorizonFormat.of(path, survey, Reading())
    rows = like.rows(pd.DataFrame(LINES, columns=COLUMNS))
    again = read_picks(written(tmp_path / "again.dat", like.head + rows + like.tail), survey)
    found = read_picks(path, survey)
    for name in ("inline", "crossline", "sample"):
        np.testing.assert_allclose(getattr(again, name), getattr(found, name))


def test_columns_stay_aligned_and_other_numbers_are_undefined(tmp_path):
    survey = surveyed(tmp_path)
    path = written(tmp_path / "top.dat", charisma(LINES) + "EOD\n")
    like = HorizonFormat.of(path, survey, Reading())
    surface = pd.DataFrame(LINES, columns=COLUMNS)
    assert like.rows(surface) + like.tail == path.read_text()
    names = "inline crossline z quality name\n"
    path.write_text(names + "100 300 40 0.9 top%1\n100 301 40 0.8 top%1\n")
    like = HorizonFormat.of(path, survey, Reading())
    assert like.rows(surface[:1]) == "104 305 40 1e30 top%1\n" and like.head == names


def test_decimals_are_those_of_all_rows_and_a_row_without_a_pick_is_no_header(tmp_path):
    survey = surveyed(tmp_path)
    names = "x y z\n"
    rows = text("x y z", LINES[:1]) + text("x y z", np.add(LINES[1:], [0, 0, 0.25, -0.5, 0]))
    path = written(tmp_path / "top.dat", f"{names}11655 89930 -\n{rows}")
    like = HorizonFormat.of(path, survey, Reading())
    assert like.head == names
    surface = pd.DataFrame(np.add(LINES[:1], [0, 0, 0.25, 0.5, 0]), columns=COLUMNS)
    assert like.rows(surface) == f"{LINES[0, 2] + 0.25:.2f} {LINES[0, 3] + 0.5:.1f} 40\n"


@pytest.fixture
def surfaces(tmp_path):
    """A survey, and the folder of the surfaces of two bodies on it."""
    survey = surveyed(tmp_path)
    files = [written(tmp_path / "top.txt", text("x y z")), written(tmp_path / "base.csv",
        text("inline crossline z", scale=0.001).replace(" ", ","))]  # fmt: skip
    formats = [HorizonFormat.of(path, survey, Reading()) for path in files]
    bodies = np.zeros(survey.geometry.shape, np.uint16)
    bodies[3, 4:6, 10:20], bodies[3:5, 4:6, 30:] = 1, 2
    tables, folder = (tmp_path / "top_salt.csv", tmp_path / "base_salt.csv"), tmp_path / "surfaces"
    grid, positions = survey.geometry, survey.positions
    with writing_surfaces(tables, folder, grid, "ms", positions, formats) as writer:
        for line in (3, 4):
            part = slice(line, line + 1), slice(0, 40)
            writer.add(part, bodies[part], np.zeros((1, 40), bool))
    return survey, folder


def test_surfaces_of_bodies_are_also_written_like_the_labels(surfaces):
    survey, folder = surfaces
    names = sorted(path.name for path in (folder / "like_labels").iterdir())
    assert names == ["body_1_base.csv", "body_1_top.txt", "body_2_base.csv", "body_2_top.txt"]
    assert (folder / "like_labels/body_1_base.csv").read_text() == "".join(
        f"{INLINES[3]},{CROSSLINES[place]},0.076\n" for place in (4, 5)
    )
    found = read_picks(folder / "like_labels/body_2_top.txt", survey)
    assert found.inline.tolist() == [3, 3, 4, 4] and found.sample.tolist() == [30] * 4


def test_xtgeo_reads_surfaces_at_the_traces_of_the_volume(surfaces):
    # Not a dependency, since it is under the LGPL and brings many others.
    xtgeo = pytest.importorskip("xtgeo", reason="needs xtgeo, tried with 4.27.0")
    survey, folder = surfaces
    cube = xtgeo.cube_from_file(survey.geometry.path, fformat="segy")
    assert (cube.ncol, cube.nrow, cube.nlay) == survey.geometry.shape
    like, own = folder / "like_labels/body_2_top.txt", folder / "body_2_top.dat"
    table = pd.read_csv(own, sep=" ")
    points = xtgeo.points_from_file(like, fformat="xyz").get_dataframe().to_numpy()
    np.testing.assert_array_equal(points, table[["x", "y", "z_ms"]])
    places = [(i, j) for i in (4, 5) for j in (5, 6)]  # from 1
    there = [cube.get_xy_value_from_ij(*place) for place in places]
    np.testing.assert_allclose(points[:, :2], there, atol=0.1)
    assert (points[:, 2] == cube.zori + 30 * cube.zinc).all()
