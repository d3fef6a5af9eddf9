import numpy as np
import pytest

from saltseg.survey.amplitudes import (
    MIDDLE,
    LocalBounds,
    fill_gaps,
    fill_with_zero,
    section_to_8bit,
    to_8bit,
)


def _section(height: int, width: int) -> np.ndarray:
    amplitude = np.random.default_rng(5).normal(0, 0.4, (height, width))
    # Brighter to the right, as near a sea floor.
    return (amplitude * np.linspace(0.2, 3, width)).astype(np.float16)


@pytest.mark.parametrize(
    ("normalisation", "amplitude", "grey"),
    [
        ("volume", [-5, -1, -0.5, 0, 0.5, 1, 5], [0, 0, 64, 128, 191, 255, 255]),
        ("window", [2, 3, 4], [0, 128, 255]),
    ],
)
def test_clips_or_extremes_are_the_ends_of_the_scale(normalisation, amplitude, grey):
    assert to_8bit(np.float16(amplitude), normalisation).tolist() == grey
    with pytest.raises(ValueError, match="volume, window"):
        to_8bit(np.zeros(3), "tile")


@pytest.mark.parametrize("normalisation", ["volume", "window"])
def test_missing_traces_count_as_zero_amplitude(normalisation):
    amplitude = _section(20, 30)
    amplitude[:, :4] = np.nan
    grey = to_8bit(amplitude, normalisation)
    zeros = np.where(np.isnan(amplitude), 0, amplitude)
    assert np.array_equal(grey, to_8bit(zeros, normalisation))


def test_missing_traces_of_sections_are_those_nearest():
    sections = np.stack([_section(20, 9), _section(20, 9)])
    sections[0][:, [0, 1, 4, 5, 6]] = np.nan
    sections[1] = np.nan
    found = fill_gaps(sections)
    assert np.array_equal(found[0], sections[0][:, [2, 2, 2, 3, 3, 3, 7, 7, 8]])
    assert np.isnan(found[1]).all()
    assert np.isnan(sections[0][:, 4]).all()


def test_missing_samples_are_those_of_the_nearest_trace_that_has_them():
    section = _section(3, 6)
    section[0] = section[1, 2] = section[1:, 4] = np.nan
    found = fill_gaps(section[None])[0]
    assert np.isnan(found[0]).all()
    assert np.array_equal(found[1], section[1, [0, 1, 1, 3, 3, 5]])
    assert np.array_equal(found[2], section[2, [0, 1, 2, 3, 3, 5]])


@pytest.mark.parametrize("normalisation", ["volume", "window"])
def test_a_section_ends_where_its_traces_do(normalisation):
    section = _section(100, 150)
    section[:, 90:] = np.nan
    grey = section_to_8bit(section, normalisation, 64)
    if normalisation == "volume":
        assert (grey[:, 90:] == grey[:, 89:90]).all()
    assert np.abs(np.diff(grey[:, 89:].astype(int), axis=1)).max() < 30
    assert grey[:, 149].std() > 20


def test_a_tile_of_one_amplitude_is_of_the_middle_grey():
    assert (to_8bit(np.full((4, 4), 7.0), "window") == MIDDLE).all()
    section = np.full((300, 200), np.nan, np.float16)
    assert (LocalBounds.measure(section, 64).to_8bit(section, 0, 0) == MIDDLE).all()


@pytest.mark.parametrize("shape", [(1, 1), (3, 90), (64, 64), (33, 400), (301, 517)])
def test_each_pixel_is_within_the_local_bounds_and_windows_join(shape):
    section = _section(*shape)
    bounds = LocalBounds.measure(section, 64)
    whole = bounds.to_8bit(section, 0, 0)
    parts = np.concatenate(
        [bounds.to_8bit(section[:, x : x + 37], 0, x) for x in range(0, shape[1], 37)], axis=1
    )
    assert np.array_equal(whole, parts)
    # Not cut off: only the extremes of a place reach the ends of the scale.
    spacing = np.prod([-(-side * 2 // 64) for side in shape])
    assert np.isin(whole, (0, 255)).sum() <= 4 * spacing


def test_a_section_of_one_tile_is_stretched_as_that_tile():
    tile = _section(64, 64)
    bounds = LocalBounds.measure(tile, 64)
    assert np.array_equal(bounds.to_8bit(tile, 0, 0), to_8bit(tile, "window"))


def test_middle_of_each_tile_is_stretched_as_that_tile():
    section = fill_with_zero(_section(256, 320))
    whole = LocalBounds.measure(section, 64).to_8bit(section, 0, 0)
    for top in range(0, 192, 32):
        for left in range(0, 256, 32):
            tile = to_8bit(section[top : top + 64, left : left + 64], "window")
            near = np.abs(
                tile[31:33, 31:33].astype(int) - whole[top + 31 : top + 33, left + 31 : left + 33]
            )
            assert near.max() <= 5
