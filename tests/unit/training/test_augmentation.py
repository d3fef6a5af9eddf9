"""Augmentation: the distribution of drawn maps, and resampling compared with scikit-image."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage import transform

from saltseg.settings.config import AugmentationSettings
from saltseg.training.augmentation import Augmentation, control_gain, retone, warp

STILL = {
    "horizontal_flip": False,
    "vertical_flip": False,
    "rotation": 0.0,
    "shift": 0.0,
    "zoom": (1.0, 1.0),
    "brightness": 0.0,
    "contrast": 0.0,
    "gain_control": 0.0,
}
ALL = {
    "horizontal_flip": True,
    "vertical_flip": True,
    "rotation": 30.0,
    "shift": 0.1,
    "zoom": (0.8, 1.3),
}
IDENTITY = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def draw(count=1, height=20, width=30, seed=0, **changes):
    generator = torch.Generator().manual_seed(seed)
    return Augmentation(AugmentationSettings(**{**STILL, **changes})).draw_maps(
        count, height, width, generator
    )


def tiles(count, height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand((count, 1, height, width), generator=generator)
    masks = (torch.rand((count, 1, height, width), generator=generator) < 0.5).float()
    return images, masks


def in_pixels(one_map, height, width):
    """The same map from output to input, of (column, row) of pixel centres: 3 x 3.

    Column 0 has its centre half a pixel inside the edge at -1, so column c is at (2c + 1) / w - 1.
    """
    to_unit = np.array([[2 / width, 0, 1 / width - 1], [0, 2 / height, 1 / height - 1], [0, 0, 1]])
    unit = np.vstack([one_map.double().numpy(), [0, 0, 1]])
    return np.linalg.inv(to_unit) @ unit @ to_unit


def skimage_warp(tile, one_map):
    matrix = in_pixels(one_map, *tile.shape)
    return transform.warp(
        tile.double().numpy(), matrix, order=1, mode="symmetric", clip=False, preserve_range=True
    )


maps = st.builds(
    lambda numbers: torch.tensor(numbers).reshape(2, 2, 3),
    st.lists(st.floats(-2, 2, width=32), min_size=12, max_size=12),
)
sides = st.integers(2, 24)


@given(drawn=maps, height=sides, width=sides)
def test_warp_of_any_maps_equals_scikit_image_tile_by_tile(drawn, height, width):
    images, masks = tiles(2, height, width)
    warped, warped_masks = warp(images, masks, drawn)
    assert warped.shape == warped_masks.shape == images.shape
    for i in range(2):
        np.testing.assert_allclose(warped[i, 0], skimage_warp(images[i, 0], drawn[i]), atol=1e-3)
        share = skimage_warp(masks[i, 0], drawn[i])
        clear = np.abs(share - 0.5) > 1e-3
        np.testing.assert_array_equal(warped_masks[i, 0].numpy()[clear], (share > 0.5)[clear])


@pytest.mark.parametrize(("height", "width"), [(101, 101), (32, 48), (17, 40)])
def test_without_any_move_a_tile_stays(height, width):
    images, masks = tiles(2, height, width)
    drawn = draw(2, height, width)
    torch.testing.assert_close(drawn, IDENTITY.expand(2, 2, 3), rtol=0, atol=0)
    warped, warped_masks = warp(images, masks, drawn)
    torch.testing.assert_close(warped, images, rtol=0, atol=1e-4)
    assert torch.equal(warped_masks, masks)


@pytest.mark.parametrize(("height", "width"), [(50, 50), (20, 90)])
def test_draws_fill_their_ranges_and_never_leave_them(height, width):
    drawn = draw(4000, height, width, **ALL)
    linear = np.stack([in_pixels(one_map, height, width)[:2, :2] for one_map in drawn])
    # In pixels a map is a rotation times a zoom of each axis, so columns have the zooms' lengths.
    zooms = np.linalg.norm(linear, axis=1)
    rotations = linear / (zooms * np.sign(linear[:, [0, 1], [0, 1]]))[:, None, :]
    angles = np.degrees(np.arctan2(rotations[:, 1, 0], rotations[:, 0, 0]))
    shifts = drawn[:, :, 2].numpy() / 2  # of the side, which spans 2
    for values, low, high in [(zooms, 0.8, 1.3), (angles, -30, 30), (shifts, -0.1, 0.1)]:
        margin = (high - low) / 100
        assert low - 1e-4 <= values.min() < low + margin
        assert high + 1e-4 >= values.max() > high - margin
        assert np.mean(values) == pytest.approx((low + high) / 2, abs=3 * margin)
    # The axes are drawn independently.
    for pair in (zooms, shifts):
        assert abs(np.corrcoef(pair.T)[0, 1]) < 0.1
    np.testing.assert_allclose(rotations @ rotations.transpose(0, 2, 1), [np.eye(2)] * 4000,
                               atol=1e-4)  # fmt: skip
    flips = linear[:, [0, 1], [0, 1]] < 0
    assert 0.45 < flips[:, 0].mean() < 0.55
    assert 0.45 < flips[:, 1].mean() < 0.55
    assert abs(np.corrcoef(flips.T)[0, 1]) < 0.1


TONES = {"brightness": 0.1, "contrast": 0.2, "gain_control": 0.5}


def tones(count=1, seed=0, **changes):
    generator = torch.Generator().manual_seed(seed)
    return Augmentation(AugmentationSettings(**{**STILL, **changes})).draw_tones(count, generator)


def slow_retone(image, added, factor):
    return [
        [min(max((value - 0.5) * factor + 0.5 + added, 0), 1) for value in row] for row in image
    ]


@given(seed=st.integers(0, 10**6), height=sides, width=sides)
def test_tones_equal_a_loop_over_pixels(seed, height, width):
    images, _ = tiles(3, height, width, seed)
    drawn = tones(3, seed, **TONES)
    found = retone(images, drawn)
    assert found.dtype == torch.float32
    for image, tone, tile in zip(images, drawn, found, strict=True):
        expected = slow_retone(image[0].double().numpy(), *tone.tolist())
        np.testing.assert_allclose(tile[0], expected, atol=1e-5)


def test_without_a_change_of_tone_an_image_stays_to_the_bit():
    images, masks = tiles(2, 20, 30)
    still = Augmentation(AugmentationSettings(**STILL))
    maps = draw(2)
    moved, _ = still.apply(images, masks, maps, tones(2), torch.tensor([True, True]))
    assert torch.equal(moved, warp(images, masks, maps)[0])
    torch.testing.assert_close(retone(images, tones(2)), images, rtol=0, atol=1e-6)


@pytest.mark.parametrize("tone", TONES)
def test_each_tone_changes_images_and_no_mask(tone):
    images, masks = tiles(8, 20, 30)
    generator = torch.Generator().manual_seed(0)
    augmentation = Augmentation(AugmentationSettings(**{**STILL, tone: TONES[tone]}))
    drawn = augmentation.draw(8, 20, 30, generator)
    changed, same = augmentation.apply(images, masks, *drawn)
    assert not torch.equal(changed, warp(images, masks, drawn[0])[0])
    assert 0 <= changed.min() <= changed.max() <= 1
    assert torch.equal(same, warp(images, masks, drawn[0])[1])


def test_gain_control_divides_by_the_loudness_of_the_samples_around():
    images, _ = tiles(3, 40, 5)
    found = control_gain(images, torch.tensor([True, False, True]))
    assert torch.equal(found[1], images[1])
    for image, evened in zip(images[::2, 0].double() - 0.5, found[::2, 0], strict=True):
        for row in range(40):
            around = image[max(0, row - 12) : row + 13]
            loudness = around.square().mean(dim=0).sqrt()
            expected = 0.5 + image[row] * 0.15 / (loudness + 0.02)
            torch.testing.assert_close(
                evened[row].double(), expected.clamp(0, 1), rtol=0, atol=1e-5
            )


def test_a_share_of_the_tiles_is_gain_controlled_and_other_draws_stay():
    def draw_all(share):
        augmentation = Augmentation(AugmentationSettings(**ALL, gain_control=share))
        return augmentation.draw(4000, 20, 30, torch.Generator().manual_seed(0))

    *others, none = draw_all(0)
    *same, some = draw_all(0.3)
    assert not none.any() and 0.28 < some.float().mean() < 0.32
    assert all(map(torch.equal, others, same))
