"""Labels of lines: from masks drawn line by line, and from SEG-Y files of part of the volume."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from saltseg.core.errors import InputError
from saltseg.survey.grid import CROSSLINE, INLINE, Axis, Grid
from saltseg.survey.import_lines import (
    cut_lines,
    labels_from_mask,
    labels_from_masks,
    labels_from_segy,
    read_lines,
    refuse_other_geometry,
    refuse_part_of_line,
)
from saltseg.survey.lines import UNLABELLED, Lines, save
from saltseg.survey.scan import scan
from support.segy_files import amplitudes, write_segy
from support.stages import import_survey
from support.surveys import folds_in, mask_png

VOLUME = Grid(Axis(100, 2, 6), Axis(300, 1, 8), Axis(0, 4, 5))


class Amplitudes:
    """A volume whose amplitude tells a sample's place; one trace is missing."""

    def __init__(self):
        places = np.arange(np.prod(VOLUME.shape)).reshape(VOLUME.shape)
        self.values = (places / places.size).astype(np.float16)
        self.values[2, 3] = np.nan

    def read(self, inlines, crosslines):
        return self.values[inlines, crosslines]


def test_masks_are_read_by_the_names_of_their_lines(tmp_path):
    drawn = np.zeros((5, 8), bool)
    drawn[3:, 2] = True
    (tmp_path / "inline_104.png").write_bytes(mask_png(drawn))
    (tmp_path / "CROSSLINE_302.PNG").write_bytes(mask_png(np.ones((5, 6), bool)))
    (tmp_path / "notes.txt").write_text("inline 104 is doubtful")
    found = {
        (plane, number): labels for plane, number, labels in labels_from_masks(tmp_path, VOLUME)
    }
    assert found.keys() == {(INLINE, 104), (CROSSLINE, 302)}
    np.testing.assert_array_equal(found[INLINE, 104], drawn.T)
    assert found[CROSSLINE, 302].shape == (6, 5) and found[CROSSLINE, 302].all()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_salt_may_have_any_colour_but_black(tmp_path, mode):
    drawn = np.zeros((5, 8), bool)
    drawn[1:3, 4:] = True
    colours = np.zeros((5, 8, 4), np.uint8)
    colours[..., 3] = 255
    colours[drawn] = 200, 30, 30, 255
    picture = Image.fromarray(colours)
    if mode == "P":
        # Black is not the first colour of this palette.
        picture = Image.fromarray(np.where(drawn, 0, 1).astype(np.uint8))
        picture.putpalette([200, 30, 30, 0, 0, 0])
    elif mode == "RGBA":
        picture.putalpha(Image.fromarray(drawn.astype(np.uint8) * 255))
    else:
        picture = picture.convert(mode)
    picture.save(tmp_path / "inline_104.png")
    ((_, _, labels),) = labels_from_masks(tmp_path, VOLUME)
    np.testing.assert_array_equal(labels, drawn.T)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("inline_104.tif", (5, 8), "inline_104.tif: expected a PNG file; convert it"),
        ("line_104.png", (5, 8), "line_104.png: expected a name such as inline_120.png"),
        ("inline_105.png", (5, 8), "inline_105.png: no such inline; the volume has 100 to 110"),
        ("inline_104.png", (8, 5), "expected 8 traces, .* by 5 samples, one pixel each, found 5x8"),
        ("crossline_302.png", (5, 8), "expected 6 traces, "),
        # As drawn on the seven traces that exist.
        ("inline_104.png", (5, 7), "expected 8 traces, missing ones included, .* found 7x5"),
    ],
)
def test_masks_that_do_not_fit_are_refused(tmp_path, name, shape, message):
    (tmp_path / name).write_bytes(mask_png(np.ones(shape, bool)))
    with pytest.raises(InputError, match=message) as refused:
        list(labels_from_masks(tmp_path, VOLUME))
    assert "data.labels" in str(refused.value)


def test_a_folder_without_masks_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no masks; expected PNG files such as inline_120\.png"):
        list(labels_from_masks(tmp_path, VOLUME))


def test_what_else_is_beside_masks_is_named(tmp_path, caplog):
    (tmp_path / "inline_104.png").write_bytes(mask_png(np.ones((5, 8), bool)))
    (tmp_path / "inline_106.npy").touch()
    (tmp_path / "more").mkdir()
    assert len(list(labels_from_masks(tmp_path, VOLUME))) == 1
    assert "data.labels" in caplog.text
    assert "ignoring 2 files other than PNG: inline_106.npy, more" in caplog.text


def test_masks_have_a_column_for_each_missing_trace(tmp_path):
    drawn = np.zeros((5, 8), bool)
    drawn[:, 3:5] = True
    (tmp_path / "inline_104.png").write_bytes(mask_png(drawn))
    masks = labels_from_masks(tmp_path, VOLUME)
    (line,) = read_lines(Amplitudes(), VOLUME, masks)
    assert line.labels[:, 0].tolist() == [0, 0, 0, UNLABELLED, 1, 0, 0, 0]


def test_lines_get_the_amplitudes_of_their_place_and_missing_traces_no_labels():
    volume = Amplitudes()
    labels = [(INLINE, 104, np.ones((8, 5), np.uint8)), (CROSSLINE, 303, np.ones((6, 5), np.uint8))]
    inline, crossline = read_lines(volume, VOLUME, labels)
    np.testing.assert_array_equal(inline.amplitude, volume.values[2])
    np.testing.assert_array_equal(crossline.amplitude, volume.values[:, 3])
    assert (inline.labels == UNLABELLED).all(axis=1).tolist() == [False] * 3 + [True] + [False] * 4
    assert (crossline.labels[2] == UNLABELLED).all() and (crossline.labels[[0, 1, 3]] == 1).all()


def test_a_single_line_is_cut_to_a_piece_a_fold():
    labels = [(INLINE, 100, np.zeros((8, 5), np.uint8))]
    pieces = cut_lines(read_lines(Amplitudes(), VOLUME, labels), pieces_of=3, tile=2)
    assert [piece.id for piece in pieces] == [f"inline_100_piece{number}" for number in range(3)]
    assert [piece.first for piece in pieces] == [0, 2, 5]


@pytest.mark.parametrize(("of_former", "firsts"), [(1, [0, 2, 5]), (2, [0])])
def test_lines_of_another_run_are_cut_as_they_were_there(tmp_path, of_former, firsts):
    labels = [(INLINE, 100 + 2 * line, np.zeros((8, 5), np.uint8)) for line in (0, 2, 3)]
    whole = read_lines(Amplitudes(), VOLUME, labels)
    former = cut_lines(whole[:of_former], 3 if of_former == 1 else 2, 2)
    save(tmp_path / "former.h5", former)
    # Alone, three lines of five folds would be halves.
    found = cut_lines(whole, 5, 2, [Lines(tmp_path / "former.h5")])
    cut = {100: firsts, 104: [0, 4] if of_former == 1 else [0], 106: [0, 4]}
    assert [(line.number, line.first) for line in found] == [
        (number, first) for number, traces in cut.items() for first in traces
    ]
    # Another volume with lines of the same numbers.
    former = [replace(line, amplitude=line.amplitude + 1) for line in former]
    save(tmp_path / "former.h5", former)
    found = cut_lines(whole, 5, 2, [Lines(tmp_path / "former.h5")])
    assert [line.first for line in found] == [0, 4] * 3


@pytest.mark.parametrize(("tile", "firsts"), [(2, [0, 3, 5]), (3, [0, 4]), (5, [0])])
def test_pieces_have_room_for_a_window(tile, firsts):
    of_line = np.zeros((8, 5), np.uint8)
    of_line[0] = UNLABELLED
    pieces = cut_lines(read_lines(Amplitudes(), VOLUME, [(INLINE, 100, of_line)]), 3, tile)
    assert [piece.first for piece in pieces] == firsts
    assert sum(len(piece.labels) for piece in pieces) == 8


def test_a_volume_without_a_labelled_trace_is_refused():
    nothing = [(INLINE, 100, np.full((8, 5), UNLABELLED, np.uint8))]
    with pytest.raises(InputError, match=r"data\.labels: no trace of the volume is labelled"):
        read_lines(Amplitudes(), VOLUME, nothing)


def segy_labels(there, axes=None, unlabelled=None, tile=4):
    """Labels of a file with traces where ``there`` says so: 0 in the first, 3 in the fourth."""
    inlines, crosslines = axes or (VOLUME.inlines, VOLUME.crosslines)
    traces = np.full(there.shape, -1, np.int32)
    traces[there] = np.arange(there.sum())
    of_file = replace(VOLUME, inlines=inlines, crosslines=crosslines)

    def read(numbers):
        values = np.where((numbers == 3) & (unlabelled == 3), 3.0, numbers > 0)
        return np.repeat(values[:, None], 5, axis=1)

    found = labels_from_segy(of_file, traces, read, VOLUME, tile, unlabelled)
    return {(plane, number): labels for plane, number, labels in found}


@pytest.mark.parametrize(
    ("inlines", "crosslines", "lines"),
    [
        # No crosslines: all that they hold is on these inlines.
        ([1, 4], [], {(INLINE, 102), (INLINE, 108)}),
        ([1], [5], {(INLINE, 102), (CROSSLINE, 305)}),
        ([*range(6)], [], {(INLINE, number) for number in range(100, 112, 2)}),
    ],
)
def test_crosslines_are_labelled_where_inlines_are_not(inlines, crosslines, lines):
    there = np.zeros((6, 8), bool)
    there[inlines] = True
    there[:, crosslines] = True
    found = segy_labels(there)
    assert found.keys() == lines
    # The first trace of the file has value 0.
    salt = np.cumsum(there).reshape(there.shape) > 1
    for (plane, number), labels in found.items():
        expected = salt[(number - 100) // 2] if plane == INLINE else salt[:, number - 300]
        assert labels[:, 0].tolist() == expected.tolist()


def test_a_file_of_some_lines_is_put_to_their_places():
    there = np.ones((2, 4), bool)
    found = segy_labels(there, axes=(Axis(104, 4, 2), Axis(302, 1, 4)))
    assert found.keys() == {(INLINE, 104), (INLINE, 108)}
    known = found[INLINE, 108][:, 0] != UNLABELLED
    assert known.tolist() == [False, False, True, True, True, True, False, False]


def test_a_value_can_stand_for_what_nobody_looked_at():
    there = np.zeros((6, 8), bool)
    there[0] = True
    found = segy_labels(there, unlabelled=3)
    assert found[INLINE, 100][:, 0].tolist() == [0, 1, 1, UNLABELLED, 1, 1, 1, 1]


def labels_of(values, unlabelled=None):
    """Labels of a file of one inline with these samples, float32 (traces, samples)."""
    traces = np.full((6, 8), -1, np.int32)
    traces[0] = np.arange(8)
    found = labels_from_segy(VOLUME, traces, lambda _: values, VOLUME, 4, unlabelled)
    return {(plane, number): labels for plane, number, labels in found}[INLINE, 100]


def test_undefined_samples_are_not_labelled():
    values = np.ones((8, 5), np.float32)
    values[:, 2], values[3] = 0, np.nan
    found = labels_of(values)
    assert (found[3] == UNLABELLED).all()
    assert np.delete(found, 3, axis=0).tolist() == [[1, 1, 0, 1, 1]] * 7


@pytest.mark.parametrize(
    ("third", "listed"), [(-1, "found -1, 0, 1;"), (0.25, "found 0, 0.25, 1;")]
)
def test_a_third_value_is_asked_about(third, listed):
    values = np.ones((8, 5), np.float32)
    values[:, 2], values[3] = 0, third
    with pytest.raises(InputError, match=rf"data\.labels: .* {listed} .*survey\.unlabelled"):
        labels_of(values)
    assert (labels_of(values, unlabelled=third)[3] == UNLABELLED).all()


def test_labels_of_another_geometry_are_refused_with_what_differs():
    other = replace(VOLUME, inlines=Axis(101, 2, 3), samples=Axis(0, 2, 9))
    with pytest.raises(InputError) as refused:
        refuse_other_geometry("saltseg.sgy", other, VOLUME)
    message = str(refused.value)
    assert "inlines 101, 103, 105: the volume has only 100 to 110, step 2" in message
    assert "samples: the labels have 0 to 16, step 2, the volume 0 to 16, step 4" in message


@pytest.mark.parametrize("falls", [False, True])
def test_the_mask_of_a_2d_line_has_the_columns_of_its_file(tmp_path, falls):
    line = Grid(Axis(1, 1, 1), Axis(300, 1, 8), Axis(0, 4, 5))
    traces = np.arange(8)[None, :: -1 if falls else 1]
    drawn = np.zeros((5, 8), bool)
    drawn[2:, :3] = True
    (tmp_path / "L1.png").write_bytes(mask_png(drawn))
    ((plane, number, labels),) = labels_from_mask(tmp_path / "L1.png", line, traces)
    assert (plane, number) == (INLINE, 1)
    np.testing.assert_array_equal(labels[np.argsort(traces[0])], drawn.T)


def test_labels_of_part_of_a_line_need_numbers(tmp_path):
    files = {}
    for name, count in (("line", 30), ("part", 20)):
        fields = {(21, 4): np.arange(101, 101 + count)}
        path = write_segy(tmp_path / f"{name}.sgy", amplitudes(count), 0, 0, fields=fields)
        files[name] = scan(path)[0]
    refuse_part_of_line("line.sgy", files["line"], files["line"])
    with pytest.raises(InputError, match=r"part.sgy .*has 20 traces, its line 30, .*unlabelled"):
        refuse_part_of_line("part.sgy", files["part"], files["line"])


def test_labels_of_one_line_are_read_by_the_bytes_found_in_the_volume(tmp_path):
    assert import_survey(tmp_path, [4], lines_at=(9, 21)) == 0
    assert Lines(tmp_path / "lines.h5").table["line"].unique().tolist() == [4]


@pytest.mark.parametrize(
    ("labelled", "traces", "scheme", "pieces", "folds"),
    [
        # Five folds of a line, or three of two, have no room for windows of 16 traces.
        ([4], 40, "kfold", 2, 2),
        ([4, 6], 20, "kfold", 2, 2),
        ([2, 4, 6, 8], 32, "kfold", 8, 5),
        ([4], 20, "full", 1, 1),
        ([4, 6], 40, "full", 2, 2),
    ],
)
def test_few_or_short_lines_have_as_many_folds_as_pieces(
    tmp_path, caplog, labelled, traces, scheme, pieces, folds
):
    changes = {"validation": {"scheme": scheme}}
    assert import_survey(tmp_path, labelled, traces=traces, changes=changes) == 0
    assert len(Lines(tmp_path / "lines.h5").table) == pieces
    assert folds_in(tmp_path / "folds.h5")["fold"].nunique() == folds
    assert (f"{folds} folds instead of 5" in caplog.text) == (folds < 5 and scheme != "full")
    # With full, nothing is scored as if it were held out.
    assert ("labels on a single line" in caplog.text) == (labelled == [4] and scheme != "full")


def test_a_line_with_room_for_one_window_has_nothing_to_hold_out(tmp_path, caplog):
    assert import_survey(tmp_path, [4], traces=20) == 1
    assert "not for a second beside it to hold out; label more, lower survey.tile" in caplog.text
