"""Labelled lines: windows that are labelled all over, the grid, pieces, and blocks to hold out."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from saltseg.core.errors import InputError
from saltseg.survey import lines
from saltseg.survey.amplitudes import NORMALISATIONS, to_8bit
from saltseg.survey.character import Character
from saltseg.survey.grid import INLINE, Axis, Grid
from saltseg.survey.lines import (
    SALT,
    UNLABELLED,
    Line,
    Lines,
    free_starts,
    hold_out_blocks,
    tile_starts,
)
from saltseg.training.lines import LabelledLines, joined, windows_to_8bit


def line(labels, number=1, plane=INLINE, first=0):
    """A line of labels whose amplitudes tell each pixel's place."""
    traces, samples = labels.shape
    amplitude = np.arange(traces * samples).reshape(labels.shape) / labels.size
    return Line(plane, number, first, amplitude.astype(np.float16), labels)


def drawn_labels(seed, shape, unlabelled):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, shape).astype(np.uint8)
    labels[random.random(shape) < unlabelled] = UNLABELLED
    return labels


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    tile=st.integers(1, 6),
)
def test_a_window_may_start_where_all_of_it_is_labelled(seed, shape, tile):
    labels = drawn_labels(seed, shape, unlabelled=0.05)
    free = free_starts(labels, tile)
    for trace in range(shape[0]):
        for sample in range(shape[1]):
            window = labels[trace : trace + tile, sample : sample + tile]
            expected = window.shape == (tile, tile) and (window != UNLABELLED).all()
            inside = trace < free.shape[0] and sample < free.shape[1]
            assert (bool(free[trace, sample]) if inside else False) == expected


@given(shape=st.tuples(st.integers(1, 40), st.integers(1, 40)), tile=st.integers(1, 12))
def test_the_grid_covers_a_labelled_line_with_as_few_tiles_as_can(shape, tile):
    starts = tile_starts(np.zeros(shape, np.uint8), tile)
    if min(shape) < tile:
        assert starts == []
        return
    covered = np.zeros(shape, bool)
    for trace, sample in starts:
        covered[trace : trace + tile, sample : sample + tile] = True
        assert trace + tile <= shape[0] and sample + tile <= shape[1]
    assert covered.all()
    assert len(starts) == -(-shape[0] // tile) * -(-shape[1] // tile)


@given(seed=st.integers(0, 2**32 - 1), tile=st.integers(2, 6))
def test_a_line_with_room_for_a_tile_has_one(seed, tile):
    labels = drawn_labels(seed, (14, 17), unlabelled=0.15)
    free = free_starts(labels, tile)
    starts = tile_starts(labels, tile)
    assert bool(starts) == bool(free.any())
    assert all(free[start] for start in starts)
    fixed = [start for start in tile_starts(np.zeros_like(labels), tile) if free[start]]
    if fixed:
        assert starts == fixed
        return
    covered = np.zeros(labels.shape, int)
    for trace, sample in starts:
        covered[trace : trace + tile, sample : sample + tile] += 1
    assert covered.max(initial=0) <= 1


def test_tiles_lie_with_samples_down_and_traces_across():
    labels = np.zeros((20, 30), np.uint8)
    labels[3, 7] = SALT
    one = line(labels, number=120, first=5)
    grid = Grid(Axis(100, 1, 40), Axis(2000, 2, 40), Axis(1000.0, 2.5, 30))
    table, images, masks = lines.cut_tiles([one], 16, "volume", grid)
    assert table["line"].unique().tolist() == ["inline_120"]
    assert table["id"][0] == "inline_120_crossline2010_1000"
    assert table["id"][1] == "inline_120_crossline2010_1035"
    assert masks[0].nonzero() == (np.array([7]), np.array([3]))
    rise = np.diff(images[0].astype(int), axis=0)
    assert (rise >= 0).all() and images[0, -1, 0] > images[0, 0, 0]
    assert table["coverage"][0] == pytest.approx(1 / 256)


def test_lines_come_back_as_they_were_saved(tmp_path):
    saved = [
        line(drawn_labels(seed, (traces, 9), 0.1), seed) for seed, traces in enumerate((5, 1, 7))
    ]
    lines.save(tmp_path / "lines.h5", saved, Character(4.0, 0.1, polarity=-1.0))
    read = Lines(tmp_path / "lines.h5")
    assert read.character == Character(4.0, 0.1, None, -1.0)
    assert read.table["line"].tolist() == [0, 1, 2]
    for one in saved:
        amplitude, labels = read[one.id]
        np.testing.assert_array_equal(amplitude, one.amplitude)
        np.testing.assert_array_equal(labels, one.labels)


@pytest.mark.parametrize(
    ("salt", "questions"),
    [([0.3, 0, 0.2], []), ([0.9, 0.6, 0.3], ["60% of all"]), ([0.3, 0, 0], ["2 of 3 labelled"])],
)
def test_labels_that_look_wrong_are_asked_about(salt, questions):
    labelled = [line(np.repeat(np.arange(10) < 10 * share, 5)[None].astype(np.uint8), number)
                for number, share in enumerate(salt)]  # fmt: skip
    notices = lines.label_notices(labelled)
    assert len(notices) == len(questions)
    for notice, question in zip(notices, questions, strict=True):
        assert notice.startswith("data.labels: ") and question in notice


@given(traces=st.integers(4, 60), pieces=st.integers(1, 4))
def test_pieces_of_a_line_are_the_line_again(traces, pieces):
    whole = line(drawn_labels(1, (traces, 3), 0.2), first=2)
    cut = whole.cut(pieces)
    np.testing.assert_array_equal(np.concatenate([piece.labels for piece in cut]), whole.labels)
    assert [piece.first for piece in cut] == [
        2 + sum(len(before.labels) for before in cut[:number]) for number in range(pieces)
    ]
    assert len({piece.id for piece in cut}) == pieces


def table_of(numbers):
    saved = [line(np.zeros((2, 2), np.uint8), number) for number in numbers]
    rows = [(one.id, one.plane, one.number, 0, 0, 2) for one in saved]
    return pd.DataFrame(rows, columns=list(lines.COLUMNS)[:-1])


def blocks_of(numbers, every, folds):
    grid = Grid(Axis(every[0], 1, len(every)), Axis(0, 1, 2), Axis(0, 1, 2))
    return hold_out_blocks(table_of(numbers), grid, folds).tolist()


PAIRS = sorted([*range(0, 100, 10), *range(1, 100, 10)])


@pytest.mark.parametrize(
    ("numbers", "blocks"),
    [
        # Held out, it is as far from the next as an unlabelled line is, and further.
        (range(0, 100, 10), range(10)),
        # Unlabelled lines are 45 lines away on average; a line or two between would be nothing.
        (range(10), [0] * 5 + [1] * 5),
        # Pairs of lines, ten apart: pairs have to stay together, and nothing else.
        (PAIRS, np.repeat(range(10), 2)),
    ],
)
def test_lines_closer_than_unlabelled_ones_are_one_block_and_no_others(numbers, blocks):
    found = blocks_of(numbers, range(100), folds=2)
    assert found == [f"inline_{block}" for block in blocks]


@given(
    numbers=st.sets(st.integers(0, 60), min_size=2, max_size=20),
    folds=st.integers(2, 5),
)
def test_there_are_blocks_for_all_folds(numbers, folds):
    numbers = sorted(numbers)
    found = blocks_of(numbers, range(61), folds)
    assert len(set(found)) >= min(folds, len(numbers))
    # A block is a run of neighbours.
    assert found == sorted(found, key=lambda name: int(name.split("_")[1]))


@pytest.fixture
def saved(tmp_path):
    labels = [drawn_labels(seed, (40, 50), 0.001) for seed in range(3)]
    lines.save(tmp_path / "lines.h5", [line(each, seed) for seed, each in enumerate(labels)])
    return Lines(tmp_path / "lines.h5")


def chosen(saved, *numbers):
    return saved.table["line"].isin(numbers)


def test_windows_are_labelled_pieces_of_the_chosen_lines(saved):
    of = LabelledLines([(saved, chosen(saved, 0, 2))], 16, "volume", torch.device("cpu"))
    windows = of.draw(300, torch.Generator().manual_seed(0))
    images, masks, depths = of.take(windows)
    assert images.shape == masks.shape == (300, 1, 16, 16) and depths.isnan().all()
    possible = set()
    for number in (0, 2):
        labels = saved[f"inline_{number}"][1]
        for trace, sample in np.argwhere(free_starts(labels, 16)):
            possible.add(labels[trace : trace + 16, sample : sample + 16].T.tobytes())
    assert {mask.numpy().tobytes() for mask in masks} <= possible
    # Different ones, from all over.
    assert len({mask.numpy().tobytes() for mask in masks}) > 200


def test_lines_without_room_for_a_window_are_refused(saved):
    with pytest.raises(
        InputError, match=r"no line to train on has a fully labelled window .* survey\.tile"
    ):
        LabelledLines([(saved, chosen(saved, 0))], 48, "volume", torch.device("cpu"))


@pytest.mark.parametrize(
    ("held_out", "lengths"), [(0, [20, 40]), (1, [10, 10, 40]), (2, [20, 40]), (None, [30, 40])]
)
def test_pieces_that_touch_are_one_line_to_train_on(tmp_path, held_out, lengths):
    whole, other = (
        line(drawn_labels(seed, (side, 20), 0), seed) for seed, side in [(0, 30), (1, 40)]
    )
    lines.save(tmp_path / "lines.h5", [*whole.cut(3), other])
    saved = Lines(tmp_path / "lines.h5")
    runs = list(joined(saved, saved.table.drop(index=[] if held_out is None else [held_out])))
    assert [len(labels) for _, labels in runs] == lengths
    kept = [traces for piece, traces in enumerate(np.split(whole.labels, 3)) if piece != held_out]
    assert np.array_equal(np.concatenate([labels for _, labels in runs[:-1]]), np.concatenate(kept))
    assert all(amplitude.shape == labels.shape for amplitude, labels in runs)
    assert np.array_equal(runs[-1][1], other.labels)


@given(
    values=hnp.arrays(
        np.float16,
        st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6)),
        elements=st.floats(-4, 4, width=16) | st.just(np.nan),
    ),
    normalisation=st.sampled_from(NORMALISATIONS),
)
def test_windows_on_a_device_have_the_grey_values_of_tiles(values, normalisation):
    found = windows_to_8bit(torch.from_numpy(values), normalisation).numpy()
    assert np.array_equal(found, [to_8bit(window, normalisation) for window in values])
