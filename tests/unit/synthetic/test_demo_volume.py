"""The demo volume: SEG-Y as real surveys have it, read here without any SEG-Y library."""

from pathlib import Path

import numpy as np
import pytest

from saltseg.synthetic.volume import labelled_lines, write_volume

SMALL = {"inlines": 24, "crosslines": 36, "samples": 72, "labelled_every": 5, "seed": 3}
NAMES = ("survey", "labels", "truth")
# Big-endian fields of the 240 bytes before each trace, at their byte numbers less 1.
HEADER = np.dtype(
    {
        "names": ["kind", "scalar", "delay", "count", "interval", "x", "y", "inline", "crossline"],
        "formats": [">i2", ">i2", ">i2", ">i2", ">i2", ">i4", ">i4", ">i4", ">i4"],
        "offsets": [28, 70, 108, 114, 116, 180, 184, 188, 192],
        "itemsize": 240,
    }
)


class Segy:
    """A SEG-Y file of IEEE floats, read by its bytes alone."""

    def __init__(self, path: Path):
        data = path.read_bytes()
        self.text = data[:3200].decode("cp500")
        self.binary = np.frombuffer(data[3200:3600], ">i2")
        samples = int(self.binary[10])
        record = np.dtype([("header", HEADER), ("values", ">f4", samples)])
        self.traces = np.frombuffer(data[3600:], record)
        self.headers, self.values = self.traces["header"], self.traces["values"]


def write(folder: Path, **settings) -> dict[str, Path]:
    paths = {name: folder / f"{name}.sgy" for name in NAMES}
    shape = tuple(settings.pop(name) for name in ("inlines", "crosslines", "samples"))
    write_volume(**paths, shape=shape, **settings)
    return paths


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> dict[str, Path]:
    return write(tmp_path_factory.mktemp("small"), **SMALL)


@pytest.fixture(scope="module")
def survey(small) -> Segy:
    return Segy(small["survey"])


@pytest.fixture(scope="module")
def truth(small) -> Segy:
    return Segy(small["truth"])


def test_same_settings_same_bytes_and_another_seed_another_survey(small, tmp_path):
    again = write(tmp_path / "again", **SMALL)
    other = write(tmp_path / "other", **SMALL | {"seed": 4})
    for name in NAMES:
        assert again[name].read_bytes() == small[name].read_bytes()
        assert other[name].read_bytes() != small[name].read_bytes()


def test_trace_headers_hold_numbers_and_coordinates_of_a_turned_grid(survey):
    headers = survey.headers
    assert (headers["count"] == 72).all() and (headers["interval"] == 4000).all()
    assert (headers["delay"] == headers["delay"][0]).all() and headers["delay"][0] > 0
    inline, crossline = headers["inline"].astype(int), headers["crossline"].astype(int)
    assert inline.min() > 1 and set(np.diff(np.unique(inline))) == {1}
    assert set(np.diff(np.unique(crossline))) == {2}
    # Sorted by inline, as most surveys are.
    assert (np.lexsort((crossline, inline)) == np.arange(len(headers))).all()
    assert (headers["scalar"] == -100).all()
    place = (headers["x"] + 1j * headers["y"]) / 100
    along = place[1] - place[0]
    across = place[np.argmax(inline == inline[0] + 1)] - place[0]
    assert abs(along) == pytest.approx(12.5, abs=0.02)
    assert abs(across) == pytest.approx(25, abs=0.02)
    assert abs((along.conjugate() * across).real) < 1
    assert min(abs(along.real), abs(along.imag)) > 3


def test_truth_has_the_survey_s_traces_and_labels_those_of_some_inlines(small, survey, truth):
    labels = Segy(small["labels"])
    np.testing.assert_array_equal(truth.headers, survey.headers)
    assert set(np.unique(truth.values)) == {0, 1}
    lines = np.unique(truth.headers["inline"])[labelled_lines(SMALL["inlines"], 5)]
    assert len(lines) == 5
    labelled = np.isin(truth.headers["inline"], lines)
    # One of them runs into the missing corner.
    assert labelled.sum() < 5 * SMALL["crosslines"]
    np.testing.assert_array_equal(labels.headers, truth.headers[labelled])
    np.testing.assert_array_equal(labels.values, truth.values[labelled])


def test_salt_continues_from_line_to_line_and_is_recognised_by_its_dullness(survey, truth):
    """A survey to learn from: the next line resembles this one, one farther away less so."""
    inline, salt = truth.headers["inline"], truth.values > 0
    assert 0.08 < salt.mean() < 0.3
    full = [line for line in np.unique(inline) if (inline == line).sum() == SMALL["crosslines"]]
    lines = np.stack([salt[inline == line] for line in full])

    def alike(apart: int) -> float:
        one, other = lines[apart:], lines[:-apart]
        return (one & other).sum() / (one | other).sum()

    assert alike(1) > 0.75 > alike(8)
    amplitudes = survey.values.astype(float)
    assert amplitudes[salt].std() < 0.9 * amplitudes[~salt].std()
