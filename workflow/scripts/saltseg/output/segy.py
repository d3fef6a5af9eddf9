"""Copies of a SEG-Y file with other samples, which load beside the original."""

import errno
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from saltseg.core.errors import InputError
from saltseg.core.files import replacing
from saltseg.output.text_header import with_lines
from saltseg.survey.geometry import Geometry
from saltseg.survey.segy import TEXT, TRACE_HEADER, Segy, field
from saltseg.survey.volume import open_source

IEEE_FLOAT = 5
FORMAT_BYTES = slice(TEXT + 24, TEXT + 26)
SLAB_BYTES = 2**27  # of values
LARGEST_SLAB = 32  # inlines, as many as a chunk of a volume has
PIECE_BYTES = 2**24  # of traces that are written at once

Values = Callable[[slice], np.ndarray]


def write_copy(
    geometry: Geometry,
    source: Path | str,
    output: Path | str,
    values: Values,
    traces: np.ndarray,
    about: Sequence[str] = (),
) -> None:
    """Write a copy of a SEG-Y file with other samples, as IEEE floats, complete or not at all.

    All headers, and trailers, stay byte for byte, but for the sample format in the binary header
    and lines of the text header that say what the copy is; traces stay in their order. Doubled
    traces get the values of the cell that they share, those outside the grid zeros. What was
    written is read back.

    geometry: of the source
    values: returns the samples of some inlines, by index: float32 (inlines, crosslines, samples)
    traces: numbers of the source's traces, int32 (inlines, crosslines), -1 where missing
    about: lines for the text header; see ``with_lines``

    Raises InputError if the source cannot be read or is not as scanned, or there is no room or
    no permission.
    """
    with open_source(source, geometry) as file, replacing(output) as part:
        with open(part, "wb+", buffering=0) as out:
            copy = _Copy(file, out.fileno(), about)
            copy.begin()
            rest = _Rest(file, geometry, traces)
            for slab in slabs(geometry):
                of_slab = values(slab)
                expected = (slab.stop - slab.start, *geometry.shape[1:])
                if of_slab.shape != expected:
                    raise ValueError(f"expected values of shape {expected}, found {of_slab.shape}")
                rows, columns = np.nonzero(traces[slab] >= 0)
                numbers = traces[slab][rows, columns]
                more = rest.within(slab)
                copy.write(
                    np.concatenate([numbers, more[0]]),
                    of_slab,
                    np.concatenate([rows, more[1] - slab.start]),
                    np.concatenate([columns, more[2]]),
                )
            copy.write(rest.elsewhere)
            os.fsync(out.fileno())
            # So that what is read back comes from the disk.
            os.posix_fadvise(out.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        with Segy(part, geometry.endian, IEEE_FLOAT) as written:
            copy.compare(written, output)


def slabs(geometry: Geometry) -> Iterator[slice]:
    """Yield slabs of inlines, by index, that together are the whole volume."""
    inlines, crosslines, samples = geometry.shape
    size = LARGEST_SLAB
    while size > 1 and size * crosslines * samples * 4 > SLAB_BYTES:
        size //= 2
    for start in range(0, inlines, size):
        yield slice(start, min(start + size, inlines))


class _Rest:
    """Traces that the grid has no number of: doubled ones, and those outside the grid.

    elsewhere: numbers of those outside the grid
    """

    def __init__(self, file: Segy, geometry: Geometry, traces: np.ndarray):
        there = np.zeros(geometry.traces, bool)
        there[traces[traces >= 0]] = True
        numbers = np.flatnonzero(~there)
        indices = []
        inside = np.ones(len(numbers), bool)
        for byte, axis in (
            (geometry.inline_byte, geometry.inlines),
            (geometry.crossline_byte, geometry.crosslines),
        ):
            # None only for a 2-D line, all of whose traces are in the grid.
            values = _field_of(file, numbers, byte or 1)
            index, between = np.divmod(values - int(axis.first), int(axis.step))
            inside &= (between == 0) & (index >= 0) & (index < axis.count)
            indices.append(index)
        self._numbers = numbers[inside]
        self._rows, self._columns = (index[inside] for index in indices)
        self.elsewhere = numbers[~inside]

    def within(self, slab: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return numbers, and indices of inlines and crosslines, of those in a slab."""
        chosen = (self._rows >= slab.start) & (self._rows < slab.stop)
        return self._numbers[chosen], self._rows[chosen], self._columns[chosen]


def _field_of(file: Segy, numbers: np.ndarray, byte: int) -> np.ndarray:
    """Return a field of the headers of some traces: int64 (numbers)."""
    found = np.empty(len(numbers), np.int64)
    for i, number in enumerate(numbers.tolist()):
        found[i] = field(file.read_headers(number, 1), byte, file.layout.endian)[0]
    return found


class _Copy:
    """Traces on their way from one file to another, with what is needed to check them there."""

    def __init__(self, file: Segy, out: int, about: Sequence[str]):
        self._file, self._out, self._about = file, out, about
        order = ">f4" if file.layout.endian == "big" else "<f4"
        self._type = np.dtype(
            [("header", np.uint8, TRACE_HEADER), ("samples", order, file.layout.samples)]
        )
        self._sums = np.zeros(file.layout.traces, np.uint32)
        self._end = file.layout.start + file.layout.traces * self._type.itemsize
        self._trailers = file.bytes(file.layout.end, file.size - file.layout.end)
        self._size = self._end + len(self._trailers)

    def begin(self) -> None:
        """Write what is before and after the traces, and make room for them."""
        # Report a full disk now, not after hours.
        try:
            os.posix_fallocate(self._out, 0, self._size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
        self._put(self._headers(), 0)
        self._put(self._trailers, self._end)

    def write(
        self,
        numbers: np.ndarray,
        values: np.ndarray | None = None,
        rows: Any = None,
        columns: Any = None,
    ) -> None:
        """Write traces by their numbers, with values[rows, columns] for samples, or zeros."""
        start, largest = self._file.layout.start, max(1, PIECE_BYTES // self._type.itemsize)
        order = np.argsort(numbers, kind="stable")
        for run in runs(numbers[order], largest):
            chosen = order[run]
            first = int(numbers[chosen[0]])
            traces: np.ndarray[Any, Any] = np.empty(len(chosen), self._type)
            traces["header"] = self._file.read_headers(first, len(chosen))
            traces["samples"] = 0 if values is None else values[rows[chosen], columns[chosen]]
            self._put(traces, start + first * self._type.itemsize)
            self._sums[first : first + len(chosen)] = _sums(traces)

    def compare(self, written: Segy, path: Path | str) -> None:
        """Raise InputError if the file differs from what was to be written."""
        file = self._file
        same = written.size == self._size
        same = same and written.bytes(0, file.layout.start) == self._headers()
        same = same and written.bytes(self._end, len(self._trailers)) == self._trailers
        count = max(1, PIECE_BYTES // self._type.itemsize)
        for first in range(0, file.layout.traces, count) if same else ():
            number = min(count, file.layout.traces - first)
            found = written.read(first, number)
            same = same and np.array_equal(_sums(found), self._sums[first : first + number])
            same = same and np.array_equal(found["header"], file.read_headers(first, number))
        if not same:
            raise InputError(
                f"{path}: read back, it differs from what was written; check the disk, and run the "
                "same command again"
            )

    def _headers(self) -> bytes:
        headers = bytearray(self._file.bytes(0, self._file.layout.start))
        headers[:TEXT] = with_lines(bytes(headers[:TEXT]), self._about)
        headers[FORMAT_BYTES] = IEEE_FLOAT.to_bytes(2, self._file.layout.endian)
        return bytes(headers)

    def _put(self, data: bytes | np.ndarray, start: int) -> None:
        view = memoryview(data) if isinstance(data, bytes) else data.view(np.uint8).data
        while len(view):
            done = os.pwrite(self._out, view, start)
            view, start = view[done:], start + done


def runs(numbers: np.ndarray, largest: int) -> Iterator[slice]:
    """Yield slices of sorted numbers that follow each other without a gap, ``largest`` at most."""
    cuts = (np.flatnonzero(np.diff(numbers) != 1) + 1).tolist()
    for start, stop in pairwise([0, *cuts, len(numbers)]):
        for first in range(start, stop, largest):
            yield slice(first, min(first + largest, stop))


def _sums(traces: np.ndarray) -> list[int]:
    """Return the CRC-32 of each trace's samples."""
    return [zlib.crc32(samples) for samples in np.ascontiguousarray(traces["samples"])]
