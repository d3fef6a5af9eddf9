"""Bodies of salt slab by slab, against the whole volume at once."""

import numpy as np
import pytest
from scipy import ndimage

from saltseg.core.errors import InputError
from saltseg.core.quantisation import MISSING, SCALE
from saltseg.output.bodies import SLAB, Bodies, Components, honour, write_bodies
from saltseg.survey.grid import CROSSLINE, INLINE, Axis, Grid
from saltseg.survey.lines import UNLABELLED

SHAPE = (3 * SLAB + 3, 12, 14)
GRID = Grid(Axis(100, 1, SHAPE[0]), Axis(7, 1, SHAPE[1]), Axis(0.0, 4.0, SHAPE[2]))


@pytest.mark.parametrize("smallest", [1, 6])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
def test_components_across_slabs_are_those_of_the_whole_volume(share, smallest):
    values = np.random.default_rng(int(10 * share)).random(SHAPE) < share
    chosen = np.random.default_rng(1).random(SHAPE) < 0.01
    found = Components.find(values.__getitem__, chosen.__getitem__, SHAPE[0], smallest)
    labels, count = ndimage.label(values)
    sizes = np.bincount(labels.ravel())
    marked = np.isin(np.arange(count + 1), labels[chosen & values])
    matters = (sizes >= smallest) | marked
    matters[0] = False
    kept = (found.sizes >= smallest) | found.marked
    assert sorted(found.sizes[kept].tolist()) == sorted(sizes[matters].tolist())
    numbers = np.where(kept, np.arange(1, len(kept) + 1), 0)
    slabs = [slice(k, min(k + SLAB, SHAPE[0])) for k in range(0, SHAPE[0], SLAB)]
    again = [found.read(values.__getitem__, slab, numbers, rest=0) for slab in slabs]
    # The same parts, by other numbers.
    own = np.where(matters, np.arange(count + 1), 0)[labels]
    pairs = np.unique(np.stack([own.ravel(), np.concatenate(again).ravel()]), axis=1)
    assert pairs.shape[1] == matters.sum() + (not values.all())
    assert (pairs[0] > 0).tolist() == (pairs[1] > 0).tolist()
    of_marked = {number for mine, number in pairs.T.tolist() if marked[mine]}
    assert of_marked - {0} == {number + 1 for number in np.flatnonzero(found.marked).tolist()}


def test_small_parts_inside_of_a_slab_take_no_memory():
    values = np.zeros(SHAPE, bool)
    values[1 : SLAB - 1 : 2, ::2, ::2] = True  # specks of a single sample each
    values[SLAB - 1 : SLAB + 1, 3, 3] = True
    nothing = np.zeros(SHAPE, bool)
    found = Components.find(values.__getitem__, nothing.__getitem__, SHAPE[0], 3)
    assert found.sizes.tolist() == [2]


def written(tmp_path, salt, smallest, labels=None, live=None):
    live = np.ones(SHAPE, bool) if live is None else live
    count = write_bodies(
        tmp_path / "bodies.zarr",
        GRID,
        lambda part: (salt[part], live[part]),
        labels or {},
        smallest,
    )
    bodies = Bodies(tmp_path / "bodies.zarr")
    assert bodies.count == count
    return bodies.read()


def scene():
    """A large and a small body, and a speck; in the large one a hole across two slabs."""
    salt = np.zeros(SHAPE, bool)
    salt[2:22, 2:10, 2:10] = True
    salt[SLAB - 1 : SLAB + 1, 5, 5] = False
    salt[24:26, 1:4, 11:13] = True
    salt[0, 0, 0] = True
    return salt


def test_holes_are_filled_and_specks_dropped_and_bodies_numbered_by_size(tmp_path):
    found = written(tmp_path, scene(), 5)
    assert (found[2:22, 2:10, 2:10] == 1).all()
    assert (found[24:26, 1:4, 11:13] == 2).all()
    assert (found > 0).sum() == 20 * 8 * 8 + 2 * 3 * 2
    everything = written(tmp_path / "all", scene(), 1)
    np.testing.assert_array_equal(everything > 0, scene())
    assert everything[0, 0, 0] == 3


def test_a_hole_at_a_face_stays_and_missing_samples_are_none(tmp_path):
    salt = np.ones(SHAPE, bool)
    salt[0, 3, 3] = salt[10, 4, 0] = salt[12, 5, 5] = salt[14, 6, 6] = False
    live = np.ones(SHAPE, bool)
    live[14, 6, 6] = False
    found = written(tmp_path, salt, 100, live=live)
    assert found[12, 5, 5] == 1
    assert found[0, 3, 3] == found[10, 4, 0] == found[14, 6, 6] == 0


def test_a_notch_beside_missing_samples_stays_open(tmp_path):
    salt, live = np.ones(SHAPE, bool), np.ones(SHAPE, bool)
    salt[SLAB, 5, 4:6], live[SLAB - 1, 5, 4:6] = False, False
    assert not written(tmp_path, salt & live, 100, live=live)[SLAB, 5, 4:6].any()


def test_a_line_has_holes_too(tmp_path):
    grid, salt = Grid(Axis(5, 1, 1), *GRID.axes[1:]), np.ones((1, *SHAPE[1:]), bool)
    salt[0, 4:6, 4:6] = salt[0, 0, 3] = False
    everything = np.ones(salt.shape, bool)
    write_bodies(tmp_path / "a.zarr", grid, lambda part: (salt[part], everything[part]), {}, 9)
    found = Bodies(tmp_path / "a.zarr").read()
    assert (found[0, 4:6, 4:6] == 1).all() and found[0, 0, 3] == 0


def test_labelled_lines_keep_their_specks_and_holes(tmp_path):
    labels = np.full((SHAPE[1], SHAPE[2]), UNLABELLED, np.uint8)
    labels[5, 5], labels[0, 0] = 0, 1
    lines = {(INLINE, SLAB): labels, (INLINE, 0): labels}
    found = written(tmp_path, scene(), 5, lines)
    assert found[SLAB, 5, 5] == 0
    assert found[0, 0, 0] == 3


def test_labels_are_honoured_in_any_part_but_where_samples_are_missing():
    labels = {(INLINE, 3): np.ones((4, 2), np.uint8), (CROSSLINE, 1): np.zeros((6, 2), np.uint8)}
    labels[CROSSLINE, 1][4] = UNLABELLED
    values = np.full((4, 3, 2), 500, np.uint16)
    values[1, 0, 0] = MISSING
    honour(values, labels, slice(2, 6), slice(1, 4), SCALE)
    assert (values[1, 1:] == SCALE).all()
    assert values[1, 0].tolist() == [MISSING, 0]
    assert values[:, 0, 1].tolist() == [0, 0, 500, 0]
    assert (values[[0, 2, 3], 1:] == 500).all()


def test_a_damaged_store_is_refused(tmp_path):
    written(tmp_path, scene(), 5)
    chunk = next(each for each in (tmp_path / "bodies.zarr/body/c").rglob("*") if each.is_file())
    chunk.write_bytes(b"")
    with pytest.raises(InputError, match=r"bodies\.zarr: not a readable store of bodies"):
        Bodies(tmp_path / "bodies.zarr").read()
