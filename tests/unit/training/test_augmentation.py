"""Augmentation: the distribution of drawn maps, and resampling compared with scikit-image."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import transform

from saltseg.settings.config import AugmentationSettings
from saltseg.training.augmentation import Augmentation, retone, warp

STILL = {
    "horizontal_flip": False,
    "vertical_flip": False,
    "rotation": 0.0,
    "shift": 0.0,
    "zoom": (1.0, 1.0),
    "brightness": 0.0,
    "contrast": 0.0,
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
    lambda numbers: torch.tensor(numbers).reshape(1, 2, 3),
    st.lists(st.floats(-2, 2, width=32), min_size=6, max_size=6),
)
sides = st.integers(2, 24)


@given(one_map=maps, height=sides, width=sides)
def test_warp_of_any_map_equals_scikit_image(one_map, height, width):
    images, masks = tiles(1, height, width)
    warped, warped_masks = warp(images, masks, one_map)
    np.testing.assert_allclose(warped[0, 0], skimage_warp(images[0, 0], one_map[0]), atol=1e-3)
    share = skimage_warp(masks[0, 0], one_map[0])
    clear = np.abs(share - 0.5) > 1e-3
    np.testing.assert_array_equal(warped_masks[0, 0].numpy()[clear], (share > 0.5)[clear])


@pytest.mark.parametrize(("height", "width"), [(101, 101), (40, 64)])
def test_warp_of_drawn_maps_equals_scikit_image_tile_by_tile(height, width):
    images, masks = tiles(4, height, width)
    drawn = draw(4, height, width, **ALL)
    warped, warped_masks = warp(images, masks, drawn)
    assert warped.shape == warped_masks.shape == images.shape
    for i in range(4):
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


@pytest.mark.parametrize(("height", "width"), [(101, 101), (32, 48)])
def test_pure_flips_are_flips_of_the_array(height, width):
    images, masks = tiles(16, height, width)
    drawn = draw(16, height, width, horizontal_flip=True, vertical_flip=True)
    warped, warped_masks = warp(images, masks, drawn)
    kinds = set()
    for i, one_map in enumerate(drawn):
        axes = tuple(axis for axis, k in ((0, 1), (1, 0)) if one_map[k, k] < 0)
        kinds.add(axes)
        expected = IDENTITY.clone()
        for axis in axes:
            expected[1 - axis, 1 - axis] = -1
        assert torch.equal(one_map, expected)
        np.testing.assert_allclose(warped[i, 0], np.flip(images[i, 0].numpy(), axes), atol=1e-4)
        np.testing.assert_array_equal(warped_masks[i, 0], np.flip(masks[i, 0].numpy(), axes))
    assert kinds == {(), (0,), (1,), (0, 1)}


@given(seed=st.integers(0, 10**6), height=st.integers(16, 200), width=st.integers(16, 200))
def test_rotation_keeps_distances_in_pixels(seed, height, width):
    matrix = in_pixels(draw(1, height, width, seed, rotation=180.0)[0], height, width)
    np.testing.assert_allclose(matrix[:2, :2] @ matrix[:2, :2].T, np.eye(2), atol=1e-5)
    assert np.linalg.det(matrix[:2, :2]) == pytest.approx(1, abs=1e-5)
    centre = np.array([(width - 1) / 2, (height - 1) / 2, 1])
    np.testing.assert_allclose(matrix @ centre, centre, atol=1e-3)


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


def test_a_shift_is_a_share_of_the_side():
    drawn = draw(50, 20, 80, shift=0.25)
    offsets = np.stack([in_pixels(one_map, 20, 80)[:2, 2] for one_map in drawn])
    assert 15 < np.abs(offsets[:, 0]).max() <= 20 + 1e-4
    assert 3.5 < np.abs(offsets[:, 1]).max() <= 5 + 1e-4


def test_a_zoom_above_one_shows_more_of_the_survey():
    matrix = in_pixels(draw(1, 20, 30, zoom=(2.0, 2.0))[0], 20, 30)
    np.testing.assert_allclose(matrix[:2, :2], 2 * np.eye(2), atol=1e-5)


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), height=sides, width=sides)
def test_a_mask_stays_binary_and_moves_with_its_image(seed, height, width):
    _, masks = tiles(3, height, width, seed)
    # The image equals the mask, so both must be moved alike.
    images, moved = warp(masks.clone(), masks, draw(3, height, width, seed, **ALL))
    assert set(moved.unique().tolist()) <= {0.0, 1.0}
    assert moved.dtype == torch.float32
    assert torch.equal(moved, (images > 0.5).float())


def test_a_mask_without_salt_stays_empty_and_a_full_one_full():
    images = torch.rand(8, 1, 20, 30)
    drawn = draw(8, **ALL)
    assert not warp(images, torch.zeros_like(images), drawn)[1].any()
    assert warp(images, torch.ones_like(images), drawn)[1].all()


def test_a_seed_draws_the_same_maps_again_and_another_seed_others():
    assert torch.equal(draw(8, seed=1, **ALL), draw(8, seed=1, **ALL))
    assert not torch.equal(draw(8, seed=1, **ALL), draw(8, seed=2, **ALL))


def test_switching_a_flip_off_changes_only_the_sign_of_its_axis():
    flipped = draw(40, seed=3, **ALL)
    for column, switch in enumerate(["horizontal_flip", "vertical_flip"]):
        plain = draw(40, seed=3, **{**ALL, switch: False})
        others = [1 - column, 2]
        assert torch.equal(plain[:, :, others], flipped[:, :, others])
        assert torch.equal(plain[:, :, column].abs(), flipped[:, :, column].abs())
        assert not torch.equal(plain, flipped)
        assert (plain[:, column, column] > 0).all()


def test_switches_leave_later_draws_of_the_generator_as_they_were():
    after = []
    for switches in ({}, ALL):
        generator = torch.Generator().manual_seed(5)
        Augmentation(AugmentationSettings(**{**STILL, **switches})).draw(7, 20, 30, generator)
        after.append(torch.rand(1, generator=generator).item())
    assert after[0] == after[1]


def test_a_quarter_turn_turns_a_square_tile():
    images, masks = tiles(1, 24, 24)
    angle = math.pi / 2
    turn = torch.tensor(
        [[[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0]]]
    )
    warped, warped_masks = warp(images, masks, turn)
    # Output (column, row) looks at input (-row, column) about the centre: that is np.rot90.
    np.testing.assert_allclose(warped[0, 0], np.rot90(images[0, 0].numpy()), atol=1e-4)
    np.testing.assert_array_equal(warped_masks[0, 0], np.rot90(masks[0, 0].numpy()))


@pytest.mark.parametrize(("height", "width"), [(30, 30), (20, 60)])
def test_zoom_comes_before_rotation(height, width):
    """In pixels: a rotation times a zoom of each axis."""
    changes = {"rotation": 30.0, "zoom": (0.5, 2.0)}
    for number, one_map in enumerate(draw(50, height, width, seed=4, **changes)):
        # The same draws with one transform at a time: no switch affects another's draws.
        parts = []
        for switch in changes:
            only = draw(50, height, width, seed=4, **{switch: changes[switch]})
            parts.append(in_pixels(only[number], height, width)[:2, :2])
        rotation, zoom = parts
        linear = in_pixels(one_map, height, width)[:2, :2]
        np.testing.assert_allclose(linear, rotation @ zoom, atol=1e-5)


TONES = {"brightness": 0.1, "contrast": 0.2}


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


def test_tones_fill_their_ranges_and_never_leave_them():
    added, factor = tones(4000, **TONES).T.numpy()
    for values, low, high in [(added, -0.1, 0.1), (factor, 0.8, 1.2)]:
        margin = (high - low) / 100
        assert low - 1e-6 <= values.min() < low + margin
        assert high + 1e-6 >= values.max() > high - margin
        assert np.mean(values) == pytest.approx((low + high) / 2, abs=3 * margin)
    assert abs(np.corrcoef(added, factor)[0, 1]) < 0.1


def test_without_a_change_of_tone_an_image_stays_to_the_bit():
    images, masks = tiles(2, 20, 30)
    still = Augmentation(AugmentationSettings(**STILL))
    maps = draw(2)
    moved, _ = still.apply(images, masks, maps, tones(2))
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
