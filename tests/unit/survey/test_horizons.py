"""Labels from picks: text files of horizons, on the grid of a volume that tests make."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saltseg.core.errors import InputError
from saltseg.survey.horizons import (
    Body,
    choose_gaps,
    choose_lines,
    count_picks,
    labels_from_horizons,
    refuse_repeated,
)
from saltseg.survey.lines import OTHER, SALT, UNLABELLED
from saltseg.survey.picks import Reading, Survey, read_picks
from saltseg.survey.scan import scan
from saltseg.survey.segy import Segy
from support.horizons import (
    CROSSLINE,
    CROSSLINES,
    DEEPER,
    FORMATS,
    INLINE,
    INLINES,
    LINES,
    PETREL,
    SAMPLES,
    picks_on,
    surveyed,
    text,
    written,
)
from support.segy_files import amplitudes, grid_numbers, needs_real_files, real, write_segy


@pytest.fixture(scope="module", params=["time", "depth"])
def survey(request, tmp_path_factory) -> Survey:
    return surveyed(tmp_path_factory.mktemp("volume"), request.param)


@pytest.fixture(scope="module")
def in_time(tmp_path_factory) -> Survey:
    return surveyed(tmp_path_factory.mktemp("volume"))


@pytest.mark.parametrize("content", FORMATS)
def test_picks_are_read_in_the_formats_of_other_programs(tmp_path, survey, content):
    found = read_picks(written(tmp_path / "top.dat", content), survey)
    assert INLINES[found.inline].tolist() == LINES[:, 0].tolist()
    assert CROSSLINES[found.crossline].tolist() == LINES[:, 1].tolist()
    np.testing.assert_allclose(found.sample * 4, LINES[:, 4])


def test_columns_and_units_can_be_given(tmp_path, in_time):
    path = written(tmp_path / "top.dat", text("z inline crossline x", scale=0.001, form="{:.10g}"))
    given = ["z", "inline", "crossline", "-"]
    found = read_picks(path, in_time, Reading(given, "s"))
    np.testing.assert_allclose(found.sample * 4, LINES[:, 4])


@pytest.mark.parametrize(
    "content",
    [
        text("inline crossline z", scale=0.001),
        text("x y z", scale=-0.001),
        "# inline crossline Z_s\n" + text("inline crossline z", scale=0.001),
        "Inline Crossline Z(s)\n" + text("inline crossline z", scale=0.001),
    ],
)
def test_seconds_are_recognised_and_reported(tmp_path, in_time, content):
    found = read_picks(written(tmp_path / "top.dat", content), in_time)
    np.testing.assert_allclose(found.sample * 4, LINES[:, 4])
    assert found.found.unit == "s" and "in s" in found.found.about


def test_feet_of_a_volume_in_metres_are_named_in_the_header_or_by_the_user(tmp_path, survey):
    if survey.geometry.unit != "m":
        return
    content = text("inline crossline z", scale=1 / 0.3048)
    plain = written(tmp_path / "plain.dat", content)
    headed = written(tmp_path / "headed.dat", "inline crossline depth_ft\n" + content)
    for found in (read_picks(plain, survey, Reading(unit="ft")), read_picks(headed, survey)):
        np.testing.assert_allclose(found.sample * 4, LINES[:, 4], rtol=1e-6)


@pytest.mark.parametrize("separator", ["\t", ";", ","])
@pytest.mark.parametrize("unit", [" (ft)", " [feet]", "(ftUS)", "_usft", " foot", "/ft"])
def test_names_with_blanks_and_units_are_read_whatever_separates_them(tmp_path, separator, unit):
    survey = surveyed(tmp_path, "depth")
    names = separator.join(["Crossline number", "Inline number", f"Depth{unit}"])
    rows = text("crossline inline z", scale=1 / 0.3048).replace(" ", separator)
    found = read_picks(written(tmp_path / "top.dat", f"{names}\n{rows}"), survey)
    assert INLINES[found.inline].tolist() == LINES[:, 0].tolist()
    np.testing.assert_allclose(found.sample * 4, LINES[:, 4], rtol=1e-6)


@pytest.mark.parametrize("header", ["", "VERSION 1\nBEGIN HEADER\nX\nY\nZ\nEND HEADER\n"])
@pytest.mark.parametrize(("unit", "known"), [("ftUS", True), ("ft", True), ("furlong", False)])
def test_petrels_unit_counts_with_and_without_names(tmp_path, header, unit, known):
    survey = surveyed(tmp_path, "depth")
    content = f"# Unit in depth: {unit}\n{header}" + text("x y z", scale=1 / 0.3048)
    path = written(tmp_path / "top.dat", content)
    if known:
        np.testing.assert_allclose(read_picks(path, survey).sample * 4, LINES[:, 4], rtol=1e-6)
    else:
        with pytest.raises(InputError, match=r"z in furlong, .* convert it, or set data\.labels"):
            read_picks(path, survey)


def test_of_time_and_depth_the_volumes_own_is_read(tmp_path, survey):
    names = "inline crossline " + ("z twt" if survey.geometry.unit == "ms" else "z depth")
    rows = "".join(f"{a:g} {b:g} {z / 2:g} {z:g}\n" for a, b, _, _, z in LINES)
    found = read_picks(written(tmp_path / "top.dat", f"{names}\n{rows}"), survey)
    np.testing.assert_allclose(found.sample * 4, LINES[:, 4])


def test_kilometres_are_refused_where_nothing_names_them(tmp_path):
    survey = surveyed(tmp_path, "depth")
    path = written(tmp_path / "top.dat", text("inline crossline z", scale=0.001))
    with pytest.raises(InputError, match=r"looks like km, .* data\.labels\.unit: m"):
        read_picks(path, survey)


@pytest.mark.parametrize("unit", ["m", "ft", "s"])
def test_picks_above_the_datum_keep_their_sign(tmp_path, caplog, unit):
    """In a volume from -100 to 96 m, of which -40 m is a place as it is."""
    domain = "time" if unit == "s" else "depth"
    survey = surveyed(tmp_path, domain)
    samples = replace(survey.geometry.samples, first=-100.0)
    survey = replace(survey, geometry=replace(survey.geometry, samples=samples))
    factor = {"m": 1, "ft": 1 / 0.3048, "s": 0.001}[unit]
    for sign, warned in ((-1, True), (1, False)):
        caplog.clear()
        names = f"inline crossline z_{unit}\n"
        content = names + text("inline crossline z", scale=sign * factor)
        found = read_picks(written(tmp_path / "top.dat", content), survey)
        np.testing.assert_allclose(found.sample * 4 - 100, sign * LINES[:, 4], rtol=1e-5)
        assert ("above 0" in caplog.text) is warned


@pytest.mark.parametrize("null", [0, -999, -9999])
def test_values_for_no_pick_are_refused_by_row(tmp_path, in_time, null):
    sign = -1 if null else 1
    deep = np.add(LINES, [0, 0, 0, 0, 100])
    content = text("inline crossline z", deep, scale=sign)
    path = written(tmp_path / "top.dat", content + f"100 300 {null}\n")
    with pytest.raises(InputError, match=rf"(?s)write 1e30: .*row 51: z {null}"):
        read_picks(path, in_time)


BAD = [
    (text("inline crossline z") + "500 301 40\n", "row 51: inline 500, crossline 301"),
    (text("inline crossline z") + "105 301 40\n", "row 51: inline 105, crossline 301"),
    (text("x y z") + "7000 301 40\n", "row 51: x 7000, y 301"),
    (text("inline crossline z") + "100 301 400\n", "row 51: z 400, 400 ms down"),
    (text("inline crossline z") + "100 301 -40\n", "row 51: z -40, -40 ms down"),
    (text("inline crossline z") + "100 301\n", "row 51: expected 3 columns as in row 1, found 2"),
    (text("inline crossline z") + "100 301 deep\n", "row 51: expected a number for z, found deep"),
    (text("inline crossline z", scale=10), "no columns recognised"),
    ("inline crossline z\n" + text("inline crossline z", scale=1000), "z 40000, 40000 ms down"),
    ("inline crossline z_m\n" + text("inline crossline z"), "z in m, but the volume is in ms"),
    ("inline crossline z_km\n" + text("inline crossline z", scale=0.001), "z in km, .* convert it"),
    ("inline crossline z_ms\n" + text("inline crossline z", scale=0.001), "cannot be right"),
    (text("inline z"), "no picks; expected rows of at least 3 numbers"),
    (text("inline x z"), "no columns recognised"),
    (
        text("inline crossline z z"),
        "columns could be more than one way, .* set data.labels.columns",
    ),
    ("", "no picks; .* found nothing"),
    ("Inline Crossline Z\n", "no picks; .* found Inline Crossline Z in row 1"),
    ("104, 301 40\n" + text("inline crossline z"), "row 1: columns separated in more than one"),
    ("104;301;40,5\n104;302;41,5\n", "row 2: .* or decimals with a comma: 104;302;41,5"),
    ("104,301,40,5\n", "columns could be more than one way"),
    ("X Y Z\n" + text("y x z"), "x and y look swapped: .*\n  - row 2: x 89930, y 11655"),
    ("Crossline Inline Z\n" + text("inline crossline z"), "inline and crossline look swapped"),
    ("100 301 1e30\n", "no pick has a z"),
    ("PK\0\0", "not a text file"),
    (
        text("inline crossline z") + text("inline crossline z", picks_on([104], [310], 80)),
        "row 51: inline 104, crossline 310 was at another z in row 6",
    ),
    (
        text("inline crossline z") + text("inline crossline z", LINES[:25]),
        "one line given twice: 1 problem found\n  - inline 104 from row 51 to 75",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("content", "message"), BAD)
def test_picks_that_do_not_fit_are_named_by_file_and_row(tmp_path, in_time, content, message):
    with pytest.raises(InputError, match=message) as refused:
        read_picks(written(tmp_path / "top.dat", content), in_time)
    assert "top.dat" in str(refused.value)


def test_a_file_in_utf_16_is_text(tmp_path, in_time):
    path = tmp_path / "top.dat"
    path.write_text(text("inline crossline z"), encoding="utf-16")
    assert len(read_picks(path, in_time).row) == len(LINES)


@given(st.data())
@settings(max_examples=40)
@pytest.mark.filterwarnings("error")
def test_damaged_files_are_read_or_refused(tmp_path_factory, in_time, data):
    content = data.draw(st.sampled_from(FORMATS))[: data.draw(st.integers(1, 400))]
    at = data.draw(st.integers(0, len(content)))
    junk = ["nan", "1e30", "-1e305", "1e400", "x", '"', "%", ",", ";", "\n", "\0", "é", "# 9: Z\n"]
    content = content[:at] + data.draw(st.sampled_from(junk)) + content[at + 1 :]
    path = written(tmp_path_factory.mktemp("damaged") / "top.dat", content)
    try:
        assert len(read_picks(path, in_time).row)
    except InputError as error:
        assert "top.dat" in str(error)


def test_feet_that_cannot_be_metres_are_refused_with_the_remedy(tmp_path, survey):
    if survey.geometry.unit != "m":
        return
    content = "inline crossline z\n" + text("inline crossline z", DEEPER)
    with pytest.raises(InputError, match=r"cannot be in m, .* set data\.labels\.unit: ft"):
        read_picks(written(tmp_path / "top.dat", content), survey)


def test_numbers_and_coordinates_of_different_traces_are_refused(tmp_path, in_time):
    moved = LINES + np.array([0, 0, 500, 0, 0])
    header = "inline crossline x y z\n"
    path = written(tmp_path / "top.dat", header + text("inline crossline x y z", moved))
    with pytest.raises(InputError, match="in 50 rows, first in row 2, x and y are not those"):
        read_picks(path, in_time)
    found = read_picks(path, in_time, Reading(["inline", "crossline", "-", "-", "z"]))
    assert INLINES[found.inline].tolist() == LINES[:, 0].tolist()


def test_the_unit_of_the_column_that_is_used_counts(tmp_path, in_time):
    columns = "inline crossline depth_m time_ms\n"
    rows = "".join(f"{a:g} {b:g} 9999 {z:g}\n" for a, b, _, _, z in LINES)
    found = read_picks(written(tmp_path / "top.dat", columns + rows), in_time)
    np.testing.assert_allclose(found.sample * 4, LINES[:, 4])
    petrel = PETREL.replace("attributes\n", "attributes\n# Unit in depth: m\n")
    with pytest.raises(InputError, match="z in m, but the volume is in ms"):
        read_picks(written(tmp_path / "top.dat", petrel + text("x y z")), in_time)


def test_another_order_that_would_fit_is_reported(tmp_path, caplog):
    square = np.arange(300, 340)
    inline, crossline = grid_numbers(square, square)
    write_segy(tmp_path / "volume.sgy", amplitudes(1600, SAMPLES), inline, crossline)
    survey = Survey(*scan(tmp_path / "volume.sgy")[::2])
    rows = "".join(f"310 {b} 40\n" for b in square)
    found = read_picks(written(tmp_path / "top.dat", rows), survey)
    assert (found.inline == 10).all()
    assert "columns taken as inline, crossline, z, though another order would fit" in caplog.text


def test_a_pick_may_repeat_where_lines_cross(tmp_path, in_time):
    both = np.concatenate([LINES, picks_on(INLINES, [310], 44)])
    found = read_picks(written(tmp_path / "top.dat", text("inline crossline z", both)), in_time)
    assert len(found.row) == len(both) - 2
    assert choose_lines([Body(found, None)], in_time.geometry, None) == [
        ("inline", 2), ("inline", 6), ("crossline", 10),
    ]  # fmt: skip


def bodies_of(folder: Path, survey: Survey, *files) -> list[Body]:
    """Bodies of picks, (top, base) each; a base may be None."""
    found = []
    for number, sides in enumerate(files):
        picks = []
        for side, rows in zip(("top", "base"), sides, strict=True):
            name = folder / f"{side}_{number}.dat"
            picks.append(
                None
                if rows is None
                else read_picks(written(name, text("inline crossline z", rows)), survey)
            )
        found.append(Body(*picks))
    return found


def labelled(bodies, survey, lines=None, gap=None):
    chosen = choose_lines(bodies, survey.geometry, lines)
    gaps = choose_gaps(bodies, chosen, gap)
    found = labels_from_horizons(bodies, survey.geometry, chosen, gaps)
    return {(plane, number): labels for plane, number, labels in found}


def test_bodies_are_salt_from_top_to_base_and_nothing_is_where_none_is_picked(tmp_path, in_time):
    near, far = CROSSLINES[:10], CROSSLINES[20:25]
    bodies = bodies_of(
        tmp_path, in_time,
        (picks_on([104], [*near, *far], 40), picks_on([104], [*near, *far], 61)),
        (picks_on([104], near, 80), None),
        (picks_on([104], CROSSLINES[5:8], 120), None),
    )  # fmt: skip
    found = labelled(bodies, in_time, [104, "crossline_339"])
    assert found.keys() == {("inline", 104), ("crossline", 339)}
    assert (found["crossline", 339] == OTHER).all()
    expected = np.zeros((40, SAMPLES), np.uint8)
    expected[[*range(10), *range(20, 25)], 10:16] = SALT
    expected[:10, 20:] = SALT
    np.testing.assert_array_equal(found["inline", 104], expected)
    assert count_picks(bodies, ("crossline", 39)) == 0


def test_sparse_picks_are_joined_but_not_across_wide_gaps(tmp_path, in_time):
    at = CROSSLINES[[0, 5, 10, 35]]
    tops = picks_on([104], at, [[40, 60, 60, 60]])
    bodies = bodies_of(tmp_path, in_time, (tops, picks_on([104], at[:3], 100)))
    labels = labelled(bodies, in_time)["inline", 104]
    assert (labels[11:36] == UNLABELLED).all() and (labels[36:] == OTHER).all()
    assert not (labels[:11] == UNLABELLED).any()
    # From 40 to 60 ms over five traces, 4 ms each, and down to 100 ms.
    assert (labels[:11] == SALT).argmax(axis=1).tolist() == [10, 11, 12, 13, 14] + [15] * 6
    assert (labels[:11, 25] == SALT).all() and (labels[:11, 26] == OTHER).all()
    assert not (labelled(bodies, in_time, gap=25)["inline", 104][11:35] == OTHER).all()
    assert (labelled(bodies, in_time, gap=0)["inline", 104][1:5] == OTHER).all()


def test_a_body_of_two_traces_is_not_joined_where_others_are_picked_on_each(tmp_path, in_time):
    ends = CROSSLINES[[0, 30]]
    bodies = bodies_of(
        tmp_path, in_time,
        (picks_on([104], CROSSLINES, 40), picks_on([104], CROSSLINES, 60)),
        (picks_on([104], ends, 80), picks_on([104], ends, 80)),
    )  # fmt: skip
    labels = labelled(bodies, in_time)["inline", 104]
    assert np.flatnonzero(labels[:, 20]).tolist() == [0, 30]


def along(z, crosslines=CROSSLINES):
    """Picks on traces of inline 104."""
    return picks_on([104], crosslines, z)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            [(along(60), along(40))],
            r"inline 104, trace 300: row 1 of .*base_0.dat is above its top, row 1 of .*top_0.dat",
        ),
        (
            [(along(60), along(80)), (along(72, CROSSLINES[3:]), None)],
            r"trace 303: the body of row 1 of .*top_1.dat begins inside another, whose base is "
            r"row 4 of .*base_0.dat",
        ),
        (
            [(along(40), None), (along(np.linspace(20, 60, 40)), None)],
            r"trace 320: the top of row 21 of .*top_0.dat crosses that of row 21 of .*top_1.dat",
        ),
        ([(along(40), along(80)), (along(40), along(60))], "begins inside another"),
    ],
)
def test_horizons_that_contradict_each_other_are_named(tmp_path, in_time, files, message):
    with pytest.raises(InputError, match=message):
        labelled(bodies_of(tmp_path, in_time, *files), in_time)


def test_a_file_is_the_top_or_base_of_one_body(tmp_path, in_time):
    (body, other) = bodies_of(tmp_path, in_time, (LINES, LINES), (LINES, None))
    # The base of one may be the top of the next.
    refuse_repeated([body, replace(other, top=body.base)])
    with pytest.raises(
        InputError, match=r"data\.labels\.bodies: .*\n  - .*top_0.dat is the top of s"
    ):
        refuse_repeated([body, replace(body, base=None)])
    with pytest.raises(InputError, match=r"base_0.dat is the base of several; give each a file"):
        refuse_repeated([body, replace(other, base=body.base)])


@pytest.mark.parametrize("line", [105, 300, "crossline_100"])
def test_lines_that_the_volume_has_not_are_refused(tmp_path, in_time, line):
    bodies = bodies_of(tmp_path, in_time, (LINES, None))
    with pytest.raises(InputError, match=r"data\.labels\.lines.*\n  - no (in|cross)line"):
        labelled(bodies, in_time, [line])


def test_a_crooked_line_is_found_by_its_nearest_traces(tmp_path):
    count = np.arange(40)
    x, y = 1000 + 20 * count, 5000 + (300 * np.sin(count / 6)).astype(int)
    values = amplitudes(40, SAMPLES)
    write_segy(
        tmp_path / "line.sgy", values, 1, 300 + count, fields={(181, 4): x, (185, 4): y}
    )  # fmt: skip
    survey = Survey(*scan(tmp_path / "line.sgy")[::2])
    picks = "".join(f"{a + 3} {b - 2} 40\n" for a, b in zip(x, y, strict=True))
    found = read_picks(written(tmp_path / "top.dat", picks), survey)
    assert found.crossline.tolist() == count.tolist()
    far = written(tmp_path / "far.dat", picks + "100 100 40\n")
    with pytest.raises(InputError, match=r"far\.dat: picks off the grid.*\n  - row 41"):
        read_picks(far, survey)


def test_x_and_y_need_a_volume_that_has_them(tmp_path):
    values = amplitudes(len(INLINE), SAMPLES)
    write_segy(tmp_path / "volume.sgy", values, INLINE, CROSSLINE)
    survey = Survey(*scan(tmp_path / "volume.sgy")[::2])
    path = written(tmp_path / "top.dat", "x y z\n" + text("x y z"))
    with pytest.raises(InputError, match="the volume has no x and y; give inline and crossline"):
        read_picks(path, survey)


@needs_real_files
def test_horizons_of_a_survey_are_its_labels_to_a_sample():
    folder = real("../surveys")
    geometry, _, positions = scan(folder / "depth.sgy")
    survey = Survey(geometry, positions)
    bodies = [
        Body(*(read_picks(folder / f"horizons/depth_{side}_{number}.txt", survey)
               for side in ("top", "base")))
        for number in (1, 2, 3)
    ]  # fmt: skip
    own, traces, _ = scan(folder / "depth_labels.sgy")
    with Segy(folder / "depth_labels.sgy") as file:
        expected = {
            ("inline", number): file.read_traces(traces[i]) > 0
            for i, number in enumerate(own.inlines.numbers().tolist())
        }
    found = labelled(bodies, survey)
    assert found.keys() == expected.keys()
    for line, labels in found.items():
        np.testing.assert_array_equal(labels, expected[line])
