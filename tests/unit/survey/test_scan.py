"""Real SEG-Y files have everything; what is found, and what is refused with the key to set."""

from dataclasses import replace

import numpy as np
import pytest

from saltseg.core.errors import InputError
from saltseg.survey.geometry import (
    Geometry,
    describe,
    load_positions,
    load_traces,
    save_traces,
)
from saltseg.survey.grid import Axis
from saltseg.survey.scan import HeaderSettings, scan
from saltseg.survey.segy import Segy
from support.segy_files import (
    ORDERS,
    REFUSED,
    USABLE,
    amplitudes,
    grid_numbers,
    needs_real_files,
    real,
    write_segy,
)

INLINES, CROSSLINES = np.arange(10, 15), np.arange(300, 308)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "survey.sgy"


def full(path, **options):
    """A file of 5 x 8 traces, and its amplitudes."""
    values = amplitudes(40)
    return write_segy(path, values, *grid_numbers(INLINES, CROSSLINES), **options), values


def waves(traces, samples=200, scale=1000.0):
    """Amplitudes of many sizes, as real ones."""
    random = np.random.default_rng(1)
    return (random.normal(size=(traces, samples)) * scale).astype(np.float16).astype(np.float32)


@pytest.mark.parametrize("endian", ["big", "little"])
@pytest.mark.parametrize("format", [1, 2, 3, 5, 6, 8])
def test_formats_and_byte_orders_are_found(path, format, endian):
    file, values = full(path, format=format, endian=endian)
    geometry, traces, _ = scan(file)
    assert (geometry.format, geometry.endian) == (format, endian)
    assert geometry.inlines == Axis(10, 1, 5)
    assert geometry.crosslines == Axis(300, 1, 8)
    assert geometry.samples == Axis(0.0, 4.0, 20)
    assert (geometry.inline_byte, geometry.crossline_byte) == (189, 193)
    with Segy(file, geometry.endian, geometry.format) as opened:
        np.testing.assert_array_equal(opened.read_traces(traces).reshape(40, 20), values)
    found = geometry.amplitude
    assert (found.min, found.max) == (values.min(), values.max())
    assert found.mean == pytest.approx(values.mean(dtype=np.float64))
    assert found.std == pytest.approx(values.std(dtype=np.float64))
    assert found.clip == pytest.approx(np.percentile(np.abs(values), 99.9))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (INLINES, CROSSLINES),
        (np.arange(100, 200, 20), np.arange(7, 40, 4)),
        (np.arange(-8, 4, 3), np.arange(-100, -80, 5)),
        (np.array([1, 2, 4, 9, 10]), np.array([30, 34, 36, 50])),
    ],
)
def test_every_trace_is_found_whatever_the_sorting_and_the_numbers(path, order, first, second):
    inlines, crosslines = grid_numbers(first, second)
    sorting = ORDERS[order](inlines, crosslines)
    inlines, crosslines = inlines[sorting], crosslines[sorting]
    geometry, traces, _ = scan(write_segy(path, amplitudes(len(inlines)), inlines, crosslines))
    assert geometry.sorting == order.split(",")[0]
    assert set(first) <= set(geometry.inlines.numbers())
    assert geometry.inlines.step == np.gcd.reduce(np.diff(first))
    assert geometry.missing == traces.size - len(inlines)
    for number, (inline, crossline) in enumerate(zip(inlines, crosslines, strict=True)):
        place = geometry.inlines.index(inline), geometry.crosslines.index(crossline)
        assert traces[place] == number
    assert (traces >= 0).sum() == len(inlines)


def test_missing_dead_and_doubled_traces_and_nan_are_counted(path):
    inlines, crosslines = grid_numbers(INLINES, CROSSLINES)
    keep = np.delete(np.arange(40), [0, 13, 39])
    keep = np.append(keep, [20, 25])
    values = amplitudes(40)[keep]
    values[[3, 5]] = 0
    values[7, :3] = np.nan
    values[8, 0] = np.inf
    values[9] = np.nan
    geometry, traces, positions = scan(write_segy(path, values, inlines[keep], crosslines[keep]))
    assert (geometry.missing, geometry.dead, geometry.doubled) == (3, 3, 2)
    assert geometry.nan == 24
    assert geometry.traces == 39
    assert (traces == -1).sum() == 3
    # The first of doubled traces.
    assert traces[20 // 8, 20 % 8] == np.flatnonzero(keep == 20)[0]
    assert np.isnan(positions).all()
    live = np.delete(values, [3, 5, 9], axis=0)
    live = live[np.isfinite(live)]
    assert geometry.amplitude.mean == pytest.approx(live.mean(dtype=np.float64))
    assert geometry.amplitude.max == live.max()


@pytest.mark.parametrize(("inlines", "crosslines"), [(1, 8), (8, 1), (1, 1)])
def test_single_lines_and_traces_are_grids(path, inlines, crosslines):
    numbers = grid_numbers(np.arange(7, 7 + inlines), np.arange(50, 50 + crosslines))
    geometry, traces, _ = scan(write_segy(path, amplitudes(inlines * crosslines), *numbers))
    assert geometry.shape == (inlines, crosslines, 20)
    assert geometry.inline_byte == 189
    assert geometry.two_d == (inlines == 1)
    assert sorted(traces.ravel()) == list(range(inlines * crosslines))


@pytest.mark.parametrize("bytes_", [(9, 21), (17, 13), (5, 21)])
def test_well_known_alternatives_are_found_and_reported(path, bytes_):
    file, _ = full(path, lines_at=bytes_)
    geometry, traces, _ = scan(file)
    assert (geometry.inline_byte, geometry.crossline_byte) == bytes_
    assert geometry.shape[:2] == (5, 8)
    np.testing.assert_array_equal(traces.ravel(), np.arange(40))
    assert f"bytes {bytes_[0]} and {bytes_[1]}" in describe(geometry)


def test_other_bytes_are_used_as_set_and_named_if_they_are_not(path):
    file, _ = full(path, lines_at=(197, 207))
    with pytest.raises(InputError, match=r"survey\.inline_byte and survey\.crossline_byte"):
        scan(file)
    geometry, traces, _ = scan(file, HeaderSettings(inline_byte=197, crossline_byte=207))
    assert geometry.inlines == Axis(10, 1, 5)
    np.testing.assert_array_equal(traces.ravel(), np.arange(40))


@pytest.mark.parametrize("byte", [1, 5, 17, 21])
def test_a_2d_line_is_numbered_by_trace(path, byte):
    file = write_segy(
        path, amplitudes(30), 0, 0,
        fields={(byte, 4): np.arange(101, 131), (181, 4): np.arange(30) * 25, (185, 4): 7},
    )  # fmt: skip
    geometry, traces, positions = scan(file)
    assert geometry.two_d
    assert geometry.inline_byte is None
    assert (geometry.inlines, geometry.crosslines) == (Axis(1, 1, 1), Axis(1, 1, 30))
    np.testing.assert_array_equal(traces, np.arange(30)[None])
    np.testing.assert_array_equal(positions[0, 0], np.arange(30) * 25.0)
    assert "2-D line" in describe(geometry)
    assert "survey.inline_byte" in describe(geometry)


@pytest.mark.parametrize(
    ("inlines", "crosslines"),
    [
        (np.arange(30), np.arange(30)),  # both are CDP numbers
        (np.arange(30) // 2, np.arange(30)),  # shot points and CDP numbers
        (100 - np.arange(30), np.arange(30) // 3),  # an arbitrary line of a volume
        (np.arange(30) // 3, np.arange(30) // 2),  # the same, closer than its traces
    ],
)
def test_a_line_across_a_grid_is_a_2d_line(path, inlines, crosslines):
    geometry, traces, _ = scan(write_segy(path, amplitudes(30), inlines, crosslines))
    assert geometry.two_d and geometry.inline_byte is None
    np.testing.assert_array_equal(traces, np.arange(30)[None])
    assert "both run along the file" in describe(geometry)


def test_a_volume_without_line_numbers_is_no_2d_line(path):
    inlines, crosslines = grid_numbers(np.arange(6), np.arange(50))
    file = write_segy(
        path, amplitudes(300), 0, 0,
        fields={
            (1, 4): np.arange(300), (181, 4): crosslines * 25, (185, 4): inlines * 25 + 1,
        },
    )  # fmt: skip
    with pytest.raises(InputError, match=r"jump.*survey\.inline_byte"):
        scan(file)


def test_shots_are_refused_though_their_numbers_would_make_a_grid(path):
    shots, channels = grid_numbers(np.arange(3, 7), np.arange(24))
    file = write_segy(
        path, amplitudes(96), 0, 0,
        fields={
            (9, 4): shots, (21, 4): channels + shots, (37, 4): channels * 25,
            (1, 4): np.arange(96),
        },
    )  # fmt: skip
    with pytest.raises(InputError, match=r"24 offsets \(0 to 575\).*stack it.*survey\.inline_byte"):
        scan(file)


@pytest.mark.parametrize("offsets", [2, 12])
def test_pre_stack_is_refused(path, offsets):
    inlines, crosslines = (np.repeat(n, offsets) for n in grid_numbers(INLINES, CROSSLINES))
    file = write_segy(
        path, amplitudes(len(inlines)), inlines, crosslines,
        fields={(37, 4): np.tile(np.arange(offsets) * 100, 40)},
    )  # fmt: skip
    with pytest.raises(InputError, match=f"of {offsets} offsets.*pre-stack"):
        scan(file)


def test_fillers_without_numbers_do_not_stretch_the_grid(path):
    inlines, crosslines = grid_numbers(INLINES + 1000, CROSSLINES + 1000)
    inlines[[3, 39]] = crosslines[[3, 39]] = 0
    geometry, traces, _ = scan(write_segy(path, amplitudes(40), inlines, crosslines))
    assert geometry.inlines == Axis(1010, 1, 5)
    assert geometry.missing == 2
    assert not {3, 39} & set(traces.ravel())
    assert "2 traces without inline and crossline numbers" in describe(geometry)


@pytest.mark.parametrize(("scalar", "factor"), [(-100, 0.01), (10, 10), (0, 1), (1, 1)])
@pytest.mark.parametrize("bytes_", [(181, 185), (73, 77)])
def test_coordinates_of_a_rotated_survey(path, bytes_, scalar, factor):
    inlines, crosslines = grid_numbers(INLINES, CROSSLINES)
    x, y = 500_000 + 20 * crosslines - 9 * inlines, 6_000_000 + 7 * crosslines + 25 * inlines
    file, _ = full(path, fields={(bytes_[0], 4): x, (bytes_[1], 4): y, (71, 2): scalar})
    geometry, _, positions = scan(file)
    assert geometry.coordinates_byte == bytes_
    np.testing.assert_allclose(positions[0].ravel(), x * factor, rtol=1e-15)
    np.testing.assert_allclose(positions[1].ravel(), y * factor, rtol=1e-15)


@pytest.mark.parametrize(("scalar", "first"), [(0, 120.0), (-10, 12.0), (10, 1200.0)])
def test_samples_begin_at_the_delay(path, scalar, first):
    file, _ = full(path, fields={(109, 2): 120, (215, 2): scalar}, interval=2000)
    assert scan(file)[0].samples == Axis(first, 2.0, 20)


def test_the_interval_may_be_in_the_traces_alone(path):
    file, _ = full(path)
    data = bytearray(file.read_bytes())
    data[3216:3218] = bytes(2)
    file.write_bytes(data)
    geometry, _, _ = scan(file)
    assert geometry.samples.step == 4.0
    data[3600 + 116 : 3600 + 118] = bytes(2)
    file.write_bytes(data)
    geometry, _, _ = scan(file)
    assert geometry.samples == Axis(0.0, 1.0, 20)
    assert "no interval" in describe(geometry)


TEXT_HEADER = "C 1 MORE".ljust(3200).encode("cp037")
END = "((SEG: EndText))".ljust(3200).encode("cp037")


@pytest.mark.parametrize(
    "extended", [(1, TEXT_HEADER), (3, TEXT_HEADER * 3), (-1, TEXT_HEADER * 2 + END), (7, b"")]
)
def test_extended_text_headers_are_skipped(path, extended):
    file, values = full(path, extended=extended)
    geometry, traces, _ = scan(file)
    assert geometry.start == 3600 + len(extended[1])
    with Segy(file) as opened:
        np.testing.assert_array_equal(opened.read_traces(traces).reshape(40, 20), values)


def test_the_number_of_samples_may_be_in_the_traces_alone(path):
    file, _ = full(path, samples=0)
    assert scan(file)[0].samples.count == 20
    file, _ = full(path, samples=7)
    geometry, _, _ = scan(file)
    assert geometry.samples.count == 20
    assert "the binary header says 7" in describe(geometry)
    file, _ = full(path, trace_samples=462)
    assert scan(file)[0].samples.count == 20


@pytest.mark.parametrize(("format", "stated"), [(5, 1), (1, 5), (2, 5), (2, 1), (5, 2), (1, 2)])
@pytest.mark.parametrize("endian", ["big", "little"])
def test_a_header_that_lies_about_the_format_is_refused_with_the_key(path, format, stated, endian):
    inlines, crosslines = grid_numbers(INLINES, CROSSLINES)
    file = write_segy(
        path, waves(40), inlines, crosslines, format=format, stated_format=stated, endian=endian
    )
    with pytest.raises(InputError, match=f"says format {stated}.*set survey.format to {format}"):
        scan(file)
    geometry, _, _ = scan(file, HeaderSettings(format=format))
    assert geometry.format == format
    assert geometry.amplitude.std == pytest.approx(1000, rel=0.1)
    assert "as set" in describe(geometry)
    # Whoever insists gets what the header says.
    assert scan(file, HeaderSettings(format=stated))[0].format == stated


@pytest.mark.parametrize(("format", "stated"), [(3, 5), (8, 1), (5, 3), (3, 8)])
def test_a_header_that_lies_about_the_length_of_samples_is_refused_with_the_key(
    path, format, stated
):
    values = amplitudes(40, samples=25)
    numbers = grid_numbers(INLINES, CROSSLINES)
    file = write_segy(path, values, *numbers, format=format, stated_format=stated)
    with pytest.raises(InputError, match=f"set survey.format to .*{format} "):
        scan(file)
    assert scan(file, HeaderSettings(format=format))[0].amplitude.max == values.max()


@pytest.mark.parametrize(("format", "stated"), [(3, 1), (3, 2), (3, 5), (8, 3), (1, 3)])
def test_a_length_that_fits_by_chance_is_recognised_by_headers(path, format, stated):
    """Traces whose number is a multiple of both sizes."""
    count = (240 + 75 * {1: 4, 2: 4, 3: 2, 5: 4}[stated]) // 30
    values = waves(count * 4, samples=75)
    values = np.clip(values, -128, 127).round() if format == 8 else values
    numbers = grid_numbers(np.arange(4), np.arange(count))
    file = write_segy(path, values, *numbers, format=format, stated_format=stated)
    with pytest.raises(InputError, match=f"headers that differ.*set survey.format to {format} "):
        scan(file)
    assert scan(file, HeaderSettings(format=format))[0].shape == (4, count, 75)


@pytest.mark.parametrize(
    ("format", "make"),
    [
        (5, lambda random: random.integers(0, 2, (40, 200))),
        (5, lambda random: random.uniform(2304, 8191, (40, 200))),
        (5, lambda random: random.normal(size=(40, 200)) * 1e-6),
        (5, lambda random: random.integers(-2000, 2000, (40, 200))),
        (1, lambda random: random.integers(0, 2, (40, 200))),
        (1, lambda random: random.uniform(1500, 4500, (40, 200)).round()),
        (1, lambda random: random.integers(-2000, 2000, (40, 200))),
        (2, lambda random: random.integers(-(2**31), 2**31, (40, 200))),
    ],
)
def test_a_header_that_tells_the_truth_is_believed(path, format, make):
    values = make(np.random.default_rng(0))
    file = write_segy(path, values, *grid_numbers(INLINES, CROSSLINES), format=format)
    assert scan(file)[0].format == format


@pytest.mark.parametrize("code", [0, 4, 7, 99])
def test_an_unknown_format_is_refused_with_the_keys(path, code):
    file, _ = full(path, stated_format=code)
    with pytest.raises(InputError, match=rf"found {code}; set survey\.format.*survey\.endian"):
        scan(file)
    assert scan(file, HeaderSettings(format=5))[0].format == 5


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"endian": "little"}, r"set survey\.format.*survey\.endian to big"),
        (
            {"inline_byte": 197, "crossline_byte": 207},
            r"inlines 0 \(byte 197\).*survey\.inline_byte",
        ),
    ],
)
def test_what_is_set_wrongly_is_refused_with_the_key(path, wrong, message):
    file, _ = full(path)
    with pytest.raises(InputError, match=message):
        scan(file, HeaderSettings(**wrong))


STANZA = "((OGP: P1/11))".ljust(3200)
ENDS = [
    (0, b""),
    (2, (STANZA + "more of it".ljust(3200)).encode("cp037")),
    (-1, (STANZA + "more of it".ljust(3200) + "((SEG: EndText))".ljust(3200)).encode()),
    # Stated, and not there.
    (3, b""),
]


@pytest.mark.parametrize("endian", ["big", "little"])
@pytest.mark.parametrize("end", ENDS)
def test_what_revision_2_has_for_large_files_and_after_traces_is_read(path, endian, end):
    constant = {(3297, "i4"): 0x01020304, (3269, "i4"): 20, (3273, "f8"): 2000.5}
    stated = constant | {(3531, "i4"): end[0]}
    options = {"endian": endian, "revision": 0x200, "samples": 0, "trace_samples": 0}
    file, values = full(path, **options, interval=2001, stated=stated, trailers=end[1])
    geometry, traces, _ = scan(file)
    assert geometry.samples == Axis(0.0, 2.0005, 20)
    assert geometry.endian == endian
    assert ("trailers" in describe(geometry)) == bool(end[1])
    with Segy(file) as opened:
        np.testing.assert_array_equal(opened.read_traces(traces).reshape(40, 20), values)


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({(3507, "i4"): 2, (3221, "i2"): 19}, "up to 2 trace header extensions .*write it without"),
        ({(3297, "u4"): 0x02010403}, "swapped in pairs, as bytes 3297 to 3300 say"),
    ],
)
def test_what_else_revision_2_has_is_refused_by_its_name(path, stated, message):
    file, _ = full(path, revision=0x200, stated=stated, trace_samples=0)
    with pytest.raises(InputError, match=message):
        scan(file)


def cut(size):
    def change(data):
        return data[:size]

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (cut(0), "found an empty file"),
        (cut(100), "found 100 bytes"),
        (cut(3600), "without traces"),
        (cut(3700), "without traces"),
        (cut(-1), "39 and 319 more bytes; copy it again"),
        (cut(3600 + 320 * 7 + 150), "7 and 150 more bytes; copy it again"),
        (lambda data: data + b"tail", "40 and 4 more bytes"),
        (lambda data: b"inline,crossline\n10,300\n" * 400, "found text"),
        (lambda data: b"\x89PNG\r\n\x1a\n" + bytes(9000), "sample format"),
    ],
)
def test_what_is_no_whole_segy_file_is_refused(path, change, message):
    file, _ = full(path)
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(InputError, match=message) as error:
        scan(file)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_what_cannot_be_opened_is_refused(tmp_path):
    for path in (tmp_path / "none.sgy", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            scan(path)


def test_a_file_that_shrinks_while_it_is_read_is_an_error(path):
    file, _ = full(path)
    with Segy(file) as opened:
        file.write_bytes(file.read_bytes()[:5000])
        with pytest.raises(InputError, match="ends at byte 5000"):
            opened.read(0, 40)


def test_a_geometry_comes_back_from_its_file(path, tmp_path):
    geometry, traces, positions = scan(full(path)[0])
    geometry.save(tmp_path / "geometry.json")
    assert Geometry.load(tmp_path / "geometry.json") == geometry
    save_traces(tmp_path / "traces.h5", traces, positions)
    np.testing.assert_array_equal(load_traces(tmp_path / "traces.h5", geometry), traces)
    np.testing.assert_array_equal(load_positions(tmp_path / "traces.h5", geometry), positions)
    text = (tmp_path / "geometry.json").read_text()
    (tmp_path / "geometry.json").write_text(text.replace('"count": 5', '"count": 4'))
    with pytest.raises(InputError, match=r"geometry\.json: not a readable geometry .*digest"):
        Geometry.load(tmp_path / "geometry.json")
    other = replace(geometry, inlines=Axis(1, 1, 3))
    with pytest.raises(InputError, match=r"traces\.h5: expected a dataset traces.*\(3, 8\)"):
        load_traces(tmp_path / "traces.h5", other)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"inlines": 1}', "null", "\x00"])
def test_a_damaged_geometry_is_refused(tmp_path, text):
    path = tmp_path / "geometry.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"geometry\.json: not a readable geometry"):
        Geometry.load(path)


@needs_real_files
@pytest.mark.parametrize("name", USABLE)
def test_real_files_are_read_as_segyio_reads_them(name):
    segyio = pytest.importorskip("segyio")
    geometry, traces, _ = scan(real(name))
    with (
        segyio.open(real(name), ignore_geometry=True, endian=geometry.endian) as file,
        Segy(real(name)) as own,
    ):
        assert geometry.traces == file.tracecount
        assert geometry.samples.count == len(file.samples)
        np.testing.assert_array_equal(geometry.samples.numbers(), file.samples)
        np.testing.assert_array_equal(
            own.read_traces(np.arange(file.tracecount)), file.trace.raw[:]
        )
        numbers = file.attributes(189)[:], file.attributes(193)[:]
        for number, (inline, crossline) in enumerate(zip(*numbers, strict=True)):
            place = geometry.inlines.index(inline), geometry.crosslines.index(crossline)
            assert traces[place] == number


@needs_real_files
@pytest.mark.parametrize("name", REFUSED)
def test_real_files_that_cannot_be_used_are_refused(name):
    with pytest.raises(InputError, match=REFUSED[name]):
        scan(real(name))


@pytest.mark.parametrize(
    ("text", "system", "domain", "unit"),
    [
        ("C 1 PSDM stack, DEPTH in metres", 1, None, "m"),
        ("C 1 depth", 2, None, "ft"),
        ("C 1 depth", 2, "time", "ms"),
        ("C 1 time migrated, converted to depth", 1, None, "ms"),
        ("C 1 nothing of the kind", 2, None, "ms"),
        ("C 1 nothing of the kind", 0, "depth", "m"),
    ],
)
def test_the_unit_follows_the_domain_and_the_measurement_system(
    tmp_path, text, system, domain, unit
):
    file, _ = full(tmp_path / "a.sgy")
    data = bytearray(file.read_bytes())
    data[:3200] = text.ljust(3200).encode("cp037")
    data[3254:3256] = system.to_bytes(2, "big")
    file.write_bytes(data)
    assert scan(file, HeaderSettings(domain=domain))[0].unit == unit
