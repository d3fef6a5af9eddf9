"""A copy of a SEG-Y file differs from it in its samples alone, and in nothing else."""

import errno
import os

import numpy as np
import pytest
import segyio

from saltseg.core.errors import InputError
from saltseg.output import segy as module
from saltseg.output.segy import slabs, write_copy
from saltseg.output.text_header import describe_output, with_lines
from saltseg.survey.scan import scan
from support.segy_files import (
    ORDERS,
    USABLE,
    amplitudes,
    grid_numbers,
    needs_real_files,
    real,
    write_segy,
)


def probabilities(geometry):
    """Different values between 0 and 1 at every place."""
    return np.random.default_rng(0).random(geometry.shape, dtype=np.float32)


def copied(path, output, values=None):
    """Scan a file, and write its copy; return its geometry, traces and the values."""
    geometry, traces, _ = scan(path)
    values = probabilities(geometry) if values is None else values
    write_copy(geometry, path, output, lambda slab: values[slab], traces)
    return geometry, traces, values


def raw(path, geometry, itemsize):
    """Headers of a file by their bytes, and samples."""
    data = path.read_bytes()
    start, length = geometry.start, 240 + geometry.samples.count * itemsize
    traces = np.frombuffer(data[start:], np.uint8).reshape(-1, length)
    return data[:start], traces[:, :240], traces[:, 240:]


def assert_is_copy(source, output, geometry, traces, values):
    """Byte by byte, without the package's own reader."""
    order = ">" if geometry.endian == "big" else "<"
    itemsize = {1: 4, 2: 4, 3: 2, 5: 4, 6: 8, 8: 1}[geometry.format]
    begin, headers, _ = raw(source, geometry, itemsize)
    own_begin, own_headers, samples = raw(output, geometry, 4)
    stated = (5).to_bytes(2, geometry.endian)
    assert own_begin == begin[:3224] + stated + begin[3226:]
    np.testing.assert_array_equal(own_headers, headers)
    found = np.ascontiguousarray(samples).view(f"{order}f4")
    there = traces >= 0
    np.testing.assert_array_equal(found[traces[there]], values[there])


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("endian", ["big", "little"])
@pytest.mark.parametrize("format", [1, 2, 3, 5, 6, 8])
def test_headers_and_order_are_the_sources_byte_for_byte(tmp_path, format, endian, order):
    numbers = grid_numbers(np.arange(3, 30, 3), np.arange(70, 40, -2))
    chosen = ORDERS[order](*numbers)
    # Some traces are missing.
    chosen = chosen[~np.isin(chosen, [0, 17, 40, 134])]
    source = write_segy(
        tmp_path / "source.sgy", amplitudes(len(chosen)), *(n[chosen] for n in numbers),
        format=format, endian=endian, fields={(109, 2): 4, (181, 4): numbers[0][chosen] * 25},
    )  # fmt: skip
    before = source.read_bytes()
    assert_is_copy(source, tmp_path / "copy.sgy", *copied(source, tmp_path / "copy.sgy"))
    assert source.read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["copy.sgy", "source.sgy"]


def test_extended_headers_and_trailers_are_copied(tmp_path):
    numbers = grid_numbers(np.arange(3), np.arange(4))
    trailers = "((OGP: P1/11))".ljust(6400).encode()
    source = write_segy(
        tmp_path / "source.sgy", amplitudes(12), *numbers,
        format=3, extended=(2, bytes(6400)), revision=0x200,
        stated={(3531, "i4"): 2}, trailers=trailers,
    )  # fmt: skip
    geometry, traces, values = copied(source, tmp_path / "copy.sgy")
    data = (tmp_path / "copy.sgy").read_bytes()
    assert data.endswith(trailers)
    for file, whole in ((source, source.read_bytes()), (tmp_path / "copy.sgy", data)):
        file.write_bytes(whole.removesuffix(trailers))
    assert_is_copy(source, tmp_path / "copy.sgy", geometry, traces, values)


def test_a_2d_line_and_headers_that_state_no_samples_are_copied(tmp_path):
    source = write_segy(
        tmp_path / "line.sgy", amplitudes(30), 0, 0, samples=0, fields={(21, 4): np.arange(30)}
    )
    assert_is_copy(source, tmp_path / "copy.sgy", *copied(source, tmp_path / "copy.sgy"))


@pytest.mark.parametrize("format", [3, 5])
def test_doubled_traces_get_what_their_place_gets_and_fillers_get_zeros(tmp_path, format):
    inlines, crosslines = grid_numbers(np.arange(1000, 1050), np.arange(500, 540))
    keep = np.insert(np.arange(len(inlines)), [60, 700, 1999], [60, 3, 1500])
    inlines, crosslines = inlines[keep], crosslines[keep]
    inlines, crosslines = np.insert(inlines, 5, 0), np.insert(crosslines, 5, 0)
    source = write_segy(
        tmp_path / "a.sgy", amplitudes(len(inlines)), inlines, crosslines, format=format
    )
    geometry, traces, values = copied(source, tmp_path / "copy.sgy")
    assert geometry.doubled == 3
    assert_is_copy(source, tmp_path / "copy.sgy", geometry, traces, values)
    _, _, samples = raw(tmp_path / "copy.sgy", geometry, 4)
    found = np.ascontiguousarray(samples).view(">f4")
    for number, (inline, crossline) in enumerate(zip(inlines, crosslines, strict=True)):
        wanted = 0 if number == 5 else values[inline - 1000, crossline - 500]
        np.testing.assert_array_equal(found[number], np.broadcast_to(wanted, 20))


def survey(folder):
    numbers = grid_numbers(np.arange(80), np.arange(30))
    return write_segy(folder / "source.sgy", amplitudes(2400), *numbers)


def test_slabs_cover_the_volume_in_pieces_of_some_memory(tmp_path, monkeypatch):
    geometry, _, _ = scan(survey(tmp_path))
    assert [(s.start, s.stop) for s in slabs(geometry)] == [(0, 32), (32, 64), (64, 80)]
    monkeypatch.setattr(module, "SLAB_BYTES", 30 * 20 * 4 * 9)
    assert [s.start for s in slabs(geometry)] == list(range(0, 80, 8))
    monkeypatch.setattr(module, "SLAB_BYTES", 1)
    assert len(list(slabs(geometry))) == 80
    monkeypatch.setattr(module, "PIECE_BYTES", 1000)
    source = tmp_path / "source.sgy"
    assert_is_copy(source, tmp_path / "copy.sgy", *copied(source, tmp_path / "copy.sgy"))


@pytest.mark.parametrize("call", ["posix_fallocate", "pwrite", "fsync"])
def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path, monkeypatch, call):
    source, output = survey(tmp_path), tmp_path / "copy.sgy"

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.os, call, full)
    with pytest.raises(InputError, match=r"copy\.sgy: cannot be written \(No space left"):
        copied(source, output)
    assert [each.name for each in tmp_path.iterdir()] == ["source.sgy"]


@pytest.mark.parametrize("encoding", ["cp037", "latin-1"])
@pytest.mark.parametrize(("blank", "at"), [(37, [3, 4, 5, 6]), (2, [3, 4, 37, 38]), (0, [35, 38])])
def test_lines_of_a_text_header_replace_blank_ones_first(encoding, blank, at):
    cards = [f"C{i:2} {'' if 2 < i < 3 + blank else 'SURVEY'}".ljust(80) for i in range(1, 41)]
    lines = ["Salt 1, other rock 0: " + "above " * 15, "Run norte", "Source müller.sgy"]
    found = with_lines("".join(cards).encode(encoding), lines).decode(encoding)
    own = [found[start : start + 80] for start in range(0, 3200, 80)]
    changed = [i for i in range(40) if own[i] != cards[i]]
    assert changed[0] + 1 == at[0] and changed[-1] + 1 == at[-1] and len(changed) == 4
    assert [own[i][:4] for i in changed] == [f"C{i + 1:2} " for i in changed]
    assert own[changed[2]][4:].strip() == "Run norte"
    assert own[changed[3]][4:].strip() == "Source müller.sgy"


def test_a_copy_says_what_it_is(tmp_path):
    source = survey(tmp_path)
    os.utime(source, (0, 86400))
    geometry, traces, _ = scan(source)
    values = probabilities(geometry)
    about = describe_output("Probability of salt, 0 to 1", "norte", source)
    write_copy(geometry, source, tmp_path / "copy.sgy", values.__getitem__, traces, about)
    with segyio.open(tmp_path / "copy.sgy", ignore_geometry=True) as copy:
        text = segyio.tools.wrap(copy.text[0])
    assert "C 3 Probability of salt, 0 to 1" in text
    assert "C 5 Source source.sgy of 1970-01-02" in text and "C 2 SURVEY" in text


@pytest.mark.parametrize("place", [100, 3300, 3600 + 7, 3600 + 320 * 900 + 250])
def test_what_reads_back_otherwise_is_an_error(tmp_path, monkeypatch, place):
    source, output = survey(tmp_path), tmp_path / "copy.sgy"
    write = os.pwrite

    def flipping(file, data, start):
        data = bytearray(data)
        if start <= place < start + len(data):
            data[place - start] ^= 4
        return write(file, data, start)

    monkeypatch.setattr(module.os, "pwrite", flipping)
    with pytest.raises(InputError, match=r"copy\.sgy: read back, it differs"):
        copied(source, output)
    assert not output.exists()


def test_a_source_that_was_changed_since_is_refused(tmp_path):
    source = survey(tmp_path)
    geometry, traces, _ = scan(source)
    source.write_bytes(source.read_bytes()[:-320])
    with pytest.raises(InputError, match="as it was scanned"):
        write_copy(geometry, source, tmp_path / "copy.sgy", None, traces)


@needs_real_files
@pytest.mark.parametrize("name", USABLE)
def test_real_files_are_copied_by_segyio(tmp_path, name):
    output = tmp_path / "copy.sgy"
    geometry, traces, values = copied(real(name), output)
    assert_is_copy(real(name), output, geometry, traces, values)
    options = {"ignore_geometry": True, "endian": geometry.endian}
    with segyio.open(real(name), **options) as source, segyio.open(output, **options) as copy:
        assert bytes(copy.text[0]) == bytes(source.text[0])
        stated = dict(source.bin) | {segyio.BinField.Format: 5}
        assert dict(copy.bin) == stated
        assert copy.tracecount == source.tracecount
        for own, other in zip(copy.header, source.header, strict=True):
            assert dict(own) == dict(other)
        there = traces >= 0
        np.testing.assert_array_equal(copy.trace.raw[:][traces[there]], values[there])
