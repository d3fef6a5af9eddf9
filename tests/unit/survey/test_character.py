"""What differs between surveys is noticed with its remedy, and nothing where nothing differs."""

import numpy as np
import pytest
from scipy import ndimage

from saltseg.survey.character import Character, choose_traces, compare
from saltseg.survey.grid import INLINE
from saltseg.survey.lines import Line, top_polarity
from saltseg.survey.scan import scan
from saltseg.survey.volume import Volume, import_volume
from saltseg.synthetic.volume import seismic_volume
from support.segy_files import grid_numbers, write_segy

DEMO = (16, 60, 160)


def marine(period=8.0, seed=0, traces=300, samples=192):
    """Traces of layers under water: float32 (traces, samples)."""
    random = np.random.default_rng(seed)
    floor = 40 + (5 * np.sin(np.arange(traces) / 40)).astype(int)
    layers = random.laplace(size=samples) * (random.random(samples) < 0.3)
    earth = np.zeros((traces, samples))
    for trace, top in zip(earth, floor, strict=True):
        trace[top + 12 :] = layers[: samples - top - 12]
        trace[top] = 6
    time = np.arange(-24, 25) / period
    ricker = (1 - 2 * (np.pi * time) ** 2) * np.exp(-((np.pi * time) ** 2))
    image = ndimage.convolve1d(earth, ricker, axis=1)
    image *= np.exp(-np.arange(samples) / 100)
    return (image + 0.02 * random.normal(size=image.shape)).astype(np.float32)


def notices(volume, members, interval=4.0):
    of = Character.measure(volume, interval), Character.measure(members, 4.0)
    return compare(*of, "normal")


def test_a_survey_is_like_itself_and_its_parts_and_others_of_its_kind():
    survey, other = marine(), marine(seed=1)
    for part in (survey, survey[:30], survey[:, :150], survey[:, 60:], -survey[:, 60:], other):
        assert notices(part, survey) == notices(survey, part) == []
    for seed in (0, 3, 5):
        demo = seismic_volume(DEMO, seed)[0]
        for part in (demo, demo[:1], demo[:, :20], demo[..., :100], -demo):
            assert notices(part.reshape(-1, part.shape[2]), demo.reshape(-1, 160)) == []
        assert notices(demo.reshape(-1, 160), survey) == []


def test_what_differs_is_named_with_its_remedy():
    survey = marine()
    (reversed_,) = notices(-3 * survey, survey)
    assert reversed_ == (
        "polarity looks reversed (the strongest shallow reflector is negative; positive where the "
        "members were trained): set survey.polarity: reversed"
    )
    (coarse,) = notices(marine(period=13), survey)
    assert "layers look 1.7 times as thick" in coarse and "resample the volume to" in coarse
    (fine,) = notices(survey, marine(period=13))
    assert "layers look 0.6 times" in fine
    loud = np.sqrt(ndimage.uniform_filter1d(np.square(survey), 30, axis=1))
    (even,) = notices(survey / loud, survey)
    assert "as if this volume had automatic gain control: predict a version" in even
    (uneven,) = notices(survey, survey / loud)
    assert "as if theirs had" in uneven


@pytest.mark.parametrize(("interval", "said"), [(4.0, False), (5.0, False), (2.0, True)])
def test_another_interval_is_noticed_unless_layers_look_as_thick_as_ever(interval, said):
    members = Character(interval=4.0, frequency=0.12)
    found = compare(Character(interval, 0.12 if interval > 2 else 0.10), members, "normal")
    assert [each.startswith("samples of this volume are 2") for each in found] == [True] * said
    # As members have it that were trained on volumes whose frequency nobody measured.
    assert len(compare(Character(5.0), Character(4.0), "normal")) == 1


def test_noise_and_short_or_empty_traces_have_no_character():
    noise = np.random.default_rng(0).normal(size=(50, 200))
    assert Character.measure(noise).polarity is None
    assert Character.measure(noise[:, :20], 4.0) == Character(4.0)
    assert Character.measure(np.zeros((5, 200)), 4.0) == Character(4.0)
    assert Character.measure(np.full((5, 200), np.nan), 4.0) == Character(4.0)


def test_the_labelled_top_of_salt_tells_the_polarity_without_a_sea_floor():
    amplitude, salt = seismic_volume(DEMO, 2018)
    assert Character.measure(amplitude.reshape(-1, 160)).polarity is None

    def lines(sign, share):
        labels = (share * salt).astype(np.uint8)
        return [Line(INLINE, k, 0, sign * amplitude[k], labels[k]) for k in (3, 9)]

    assert [top_polarity(lines(sign, 1)) for sign in (1, -1)] == [1, -1]
    assert top_polarity(lines(1, 0)) is None


def test_an_import_measures_what_it_writes_and_may_reverse_it(tmp_path):
    path = tmp_path / "survey.sgy"
    inlines, crosslines = grid_numbers(np.arange(10), np.arange(30))
    write_segy(path, marine()[::-1], inlines, crosslines)
    geometry, traces, _ = scan(path)
    import_volume(path, geometry, traces, tmp_path / "normal.zarr")
    import_volume(path, geometry, traces, tmp_path / "other.zarr", polarity="reversed")
    normal, other = Volume(tmp_path / "normal.zarr"), Volume(tmp_path / "other.zarr")
    np.testing.assert_array_equal(normal.read(), -other.read())
    assert (normal.polarity, other.polarity) == ("normal", "reversed")
    assert (normal.character.polarity, other.character.polarity) == (1, -1)
    assert normal.character.interval == 4
    assert other.character.frequency == normal.character.frequency == pytest.approx(0.15, abs=0.01)
    (notice,) = compare(other.character, normal.character, other.polarity)
    assert notice.endswith("set survey.polarity: normal")


def test_traces_to_measure_are_spread_over_those_that_are_there():
    traces = np.arange(100_000).reshape(100, 1000)
    traces[:50] = -1
    chosen = choose_traces(traces)
    assert len(chosen) == 2000 and chosen.min() == 50_000 and chosen.max() == 99_999
    assert choose_traces(traces[49:51, :3]).tolist() == [50_000, 50_001, 50_002]
