"""SEG-Y files as they are: where their traces begin and end, and traces by their numbers.

Every trace is a header of 240 bytes and the same number of samples. Read by positions in the file,
not through a map, whose pages would count as memory of the process.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np

from saltseg.core.errors import InputError
from saltseg.survey.geometry import FORMATS, Endian

TEXT = 3200  # bytes of a text header
CARD = 80  # characters of it; it usually has forty cards, C 1 to C40
HEADERS = 3600  # of the text header and the binary header
TRACE_HEADER = 240
# Values of the samples' types; IBM floats have no type of their own.
TYPES = {
    1: "u4", 2: "i4", 3: "i2", 5: "f4", 6: "f8", 8: "i1",
    9: "i8", 10: "u4", 11: "u2", 12: "u8", 16: "u1",
}  # fmt: skip
ORDERS: dict[Endian, str] = {"big": ">", "little": "<"}
# How revision 2 states the order of bytes.
STATED: dict[bytes, Endian] = {b"\x01\x02\x03\x04": "big", b"\x04\x03\x02\x01": "little"}
SWAPPED = (b"\x02\x01\x04\x03", b"\x03\x04\x01\x02")  # by pairs, as revision 2 also allows
MOST_STANZAS = 1000  # of text after the traces, to look for
# What other programs write for undefined samples, such as 1e30.
UNDEFINED_FROM, UNDEFINED = 1e20, np.float32(-999.25)
FEW = 500  # values from which nothing follows about their format

# IBM floats are 16 ** (exponent - 64) * fraction of 24 bits: by sign and exponent, as one byte.
_TOP = np.arange(256)
with np.errstate(over="ignore", under="ignore"):
    _SCALE = (np.where(_TOP >> 7, -1, 1) * np.exp2(4.0 * (_TOP & 127) - 280)).astype(np.float32)


@dataclass(frozen=True)
class Layout:
    """How to read a file.

    format: code of the samples, one of FORMATS
    start: bytes before the first trace
    samples: of a trace
    traces: in the file; what follows them are trailers
    """

    endian: Endian
    format: int
    start: int
    samples: int
    traces: int

    @property
    def dtype(self) -> np.dtype:
        """Type of the samples as stored; uint32 for IBM floats."""
        return np.dtype(ORDERS[self.endian] + TYPES[self.format])

    @property
    def trace_size(self) -> int:
        return TRACE_HEADER + self.samples * self.dtype.itemsize

    @property
    def end(self) -> int:
        """Bytes up to the end of the last trace."""
        return self.start + self.traces * self.trace_size


class Segy:
    """An open SEG-Y file. Reading is safe from several threads at once.

    layout: how it is read
    notes: what of it was not as its headers say
    """

    def __init__(self, path: Path | str, endian: Endian | None = None, format: int | None = None):
        """Open a file and find its layout, or take what is given for it.

        Raises InputError if it is missing, no SEG-Y file, cut, or not as its headers say.
        """
        self.path = Path(path)
        try:
            self._file = open(self.path, "rb", buffering=0)  # noqa: SIM115
            self.size = os.fstat(self._file.fileno()).st_size
            if self.path.is_dir():
                raise IsADirectoryError(0, "it is a folder")
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({error.strerror})") from None
        try:
            self.layout, self.notes = _find_layout(self, endian, format)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Segy":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def bytes(self, start: int, count: int) -> bytes:
        """Return ``count`` bytes from ``start``; InputError if the file has fewer."""
        buffer = bytearray(count)
        self._fill(memoryview(buffer), start)
        return bytes(buffer)

    @cached_property
    def text(self) -> str:
        """The first text header, with one character a byte, from EBCDIC or ASCII."""
        return decode_text(self.bytes(0, TEXT))

    def number(self, byte: int, size: int = 2, signed: bool = False) -> int:
        """Return a whole number of the binary header, by its byte from 1."""
        return int.from_bytes(self.bytes(byte - 1, size), self.layout.endian, signed=signed)

    @property
    def interval(self) -> float:
        """Sample interval in the binary header, in microseconds or millimetres; 0 for none."""
        if _is_revision_2(self.bytes(TEXT, HEADERS - TEXT)):
            order = ORDERS[self.layout.endian]
            exact = float(np.frombuffer(self.bytes(3272, 8), f"{order}f8")[0])
            if 1e-3 < exact < 1e9:
                return exact
        return self.number(3217)

    def read(self, first: int, count: int) -> np.ndarray:
        """Return traces as stored: structured (count) of header (240 bytes) and samples."""
        traces = np.empty(count, self.trace_type)
        if count:
            self._fill(traces.view(np.uint8).data, self.layout.start + first * traces.itemsize)
        return traces

    @property
    def trace_type(self) -> np.dtype:
        layout = self.layout
        return np.dtype(
            [("header", np.uint8, TRACE_HEADER), ("samples", layout.dtype, layout.samples)]
        )

    def read_headers(self, first: int, count: int) -> np.ndarray:
        """Return headers of traces: uint8 (count, 240)."""
        # Not a view, which would hold on to the samples.
        return self.read(first, count)["header"].copy()

    def read_traces(self, numbers: np.ndarray) -> np.ndarray:
        """Return the amplitudes of traces by their numbers: float32 (*numbers.shape, samples).

        NaN if a number is negative. Reads in the file's order, in one piece what lies together.
        """
        numbers = np.asarray(numbers)
        found = np.empty((numbers.size, self.layout.samples), np.float32)
        flat = numbers.reshape(-1)
        order = np.argsort(flat, kind="stable")
        order = order[np.searchsorted(flat[order], 0) :]
        found[flat < 0] = np.nan
        cuts = np.flatnonzero(np.diff(flat[order]) != 1) + 1
        for run in np.split(order, cuts) if len(order) else []:
            traces = self.read(int(flat[run[0]]), len(run))
            found[run] = decode(traces["samples"], self.layout.format)
        return found.reshape(*numbers.shape, self.layout.samples)

    def blocks(self, size: int = 2**23) -> Iterator[tuple[int, int]]:
        """Yield number and count of traces of blocks of about ``size`` bytes as float32."""
        layout = self.layout
        count = max(1, size // max(layout.trace_size, TRACE_HEADER + 4 * layout.samples))
        for first in range(0, layout.traces, count):
            yield first, min(count, layout.traces - first)

    def _fill(self, view: memoryview, start: int) -> None:
        done = 0
        while done < len(view):
            try:
                read = os.preadv(self._file.fileno(), [view[done:]], start + done)
            except OSError as error:
                raise InputError(f"{self.path}: cannot be read ({error.strerror})") from None
            if not read:
                raise InputError(
                    f"{self.path}: now ends at byte {start + done}, unlike when it was opened; "
                    "wait until it is complete, and run the same command again"
                )
            done += read


def decode(samples: np.ndarray, format: int) -> np.ndarray:
    """Return samples as stored, of any shape, as float32; NaN for undefined values."""
    if format == 1:
        samples = samples.astype(np.uint32)
        values = (samples & 0xFFFFFF).astype(np.float32)
        with np.errstate(over="ignore", under="ignore"):
            values *= _SCALE[samples >> 24]
    else:
        with np.errstate(over="ignore"):
            values = samples.astype(np.float32)
    # Not max and min, which are NaN if a value is.
    most, least = np.fmax.reduce(values, None, initial=0), np.fmin.reduce(values, None, initial=0)
    if most >= UNDEFINED_FROM or least <= -UNDEFINED_FROM:
        values[np.isfinite(values) & (np.abs(values) >= UNDEFINED_FROM)] = np.nan
    values[values == UNDEFINED] = np.nan
    return values


def decode_text(data: bytes) -> str:
    """Return a text header of 3200 bytes, one character a byte, from EBCDIC or ASCII."""
    # EBCDIC has letters, digits and its blank (0x40) above or at where ASCII has its letters.
    ascii_blanks, ebcdic_blanks = data.count(b" "), data.count(b"@")
    return data.decode("cp037" if ebcdic_blanks > ascii_blanks else "latin-1")


def field(headers: np.ndarray, byte: int, endian: Endian, size: int = 4) -> np.ndarray:
    """Return a field of headers (count, 240): int32 (count), or int16 where ``size`` is 2.

    byte: where it is in a trace's header, from 1
    """
    part = np.ascontiguousarray(headers[:, byte - 1 : byte - 1 + size])
    return part.view(f"{ORDERS[endian]}i{size}")[:, 0].astype(f"i{size}")


def _find_layout(file: Segy, endian: Endian | None, format: int | None) -> tuple[Layout, list[str]]:
    path, size, notes = file.path, file.size, []
    if size < HEADERS:
        raise InputError(
            f"{path}: expected a SEG-Y file, {HEADERS} bytes of headers and then traces; found "
            + (f"{size} bytes" if size else "an empty file")
        )
    begin = file.bytes(0, HEADERS)
    if _is_text(begin):
        raise InputError(f"{path}: expected a SEG-Y file, found text")
    binary = begin[TEXT:]
    endian = endian or _endian(file, binary, format)
    stated = int.from_bytes(binary[24:26], endian)
    if format is None and stated not in FORMATS:
        raise InputError(
            f"{path}: expected a sample format of {', '.join(map(str, FORMATS))} in bytes 3225 and "
            f"3226, found {stated}; set survey.format to the true one, or survey.endian to "
            f"{'little' if endian == 'big' else 'big'}"
        )
    code = format or stated
    if code != stated:
        notes.append(f"format {code} as set; the header says {stated}")
    starts = _starts(file, binary, endian)
    if size <= starts[-1] + TRACE_HEADER:
        raise InputError(
            f"{path}: expected traces after {starts[-1]} bytes of headers, found "
            f"{size - starts[-1]} more bytes; a file without traces holds no survey"
        )
    fitting = _all_fitting(file, binary, endian, code)
    layout = next((each for each in fitting if _is_consistent(file, each)), None)
    if layout is None:
        _refuse_more_headers(path, binary, endian)
        # By its length alone a file fits now and then another format, but not by its headers.
        others = _others(file, binary, endian, code) if format is None else []
        if others or not fitting:
            raise InputError(_misfit(file, starts[0], binary, endian, code, others))
        layout = fitting[0]
    if layout.start > HEADERS:
        notes.append(f"{layout.start - HEADERS} bytes of extended headers")
    if layout.end < size:
        notes.append(f"{size - layout.end} bytes of trailers after the traces")
    stated = int.from_bytes(binary[20:22], endian)
    if layout.samples not in _stated_counts(binary, endian):
        notes.append(
            f"{layout.samples} samples a trace, by its trace headers; the binary header says "
            f"{stated}"
        )
    return layout, notes


def _is_text(begin: bytes) -> bool:
    """Whether there are no bytes but those of a text file, where a binary header has others."""
    return all(32 <= byte < 127 or byte in b"\t\n\r\f" for byte in begin)


def _endian(file: Segy, binary: bytes, format: int | None) -> Endian:
    if binary[96:100] in STATED:
        return STATED[binary[96:100]]
    if binary[96:100] in SWAPPED and _is_revision_2(binary):
        raise InputError(
            f"{file.path}: its bytes are swapped in pairs, as bytes 3297 to 3300 say, which cannot "
            "be read; write it big-endian or little-endian"
        )
    possible = [
        endian
        for endian in ORDERS
        if format is not None or int.from_bytes(binary[24:26], endian) in FORMATS
    ]
    for endian in possible if len(possible) > 1 else ():
        code = format or int.from_bytes(binary[24:26], endian)
        if _all_fitting(file, binary, endian, code):
            return endian
    return possible[0] if possible else "big"


def _starts(file: Segy, binary: bytes, endian: Endian) -> list[int]:
    """Return where traces may begin, most likely first: after extended headers, or without any."""
    extended = int.from_bytes(binary[304:306], endian, signed=True)
    # Before revision 1 anything may stand there, so that the length has the last word.
    start = HEADERS + TEXT * max(extended, 0)
    if extended < 0:
        # As many as it takes to the stanza that ends them.
        end = "((SEG: EndText))"
        while start + TEXT <= file.size:
            text = file.bytes(start, TEXT)
            start += TEXT
            if end.encode() in text or end.encode("cp037") in text:
                break
        else:
            start = HEADERS
    return [start, HEADERS] if HEADERS < start < file.size else [HEADERS]


def _is_revision_2(binary: bytes) -> bool:
    """Whether the binary header says so, by a byte of its own or as a number of either order."""
    return binary[300] == 2 or binary[300:302] == b"\x00\x02"


def _ends(file: Segy, binary: bytes, endian: Endian) -> list[int]:
    """Return where traces may end, most likely first: before stanzas of text, or with the file."""
    stanzas = int.from_bytes(binary[330:334], endian, signed=True)
    if not stanzas or not _is_revision_2(binary):
        return [file.size]
    possible = range(file.size - TEXT, HEADERS, -TEXT)[:MOST_STANZAS]
    if stanzas > 0:
        possible = possible[stanzas - 1 : stanzas]
    # What nobody counted has the first of those that fit.
    marks = b"((", "((".encode("cp037")
    return [*[end for end in possible if file.bytes(end, 2) in marks][::-1], file.size]


def _refuse_more_headers(path: Path, binary: bytes, endian: Endian) -> None:
    """Raise InputError if traces may have headers besides the first of 240 bytes."""
    more = int.from_bytes(binary[306:310], endian, signed=True)
    if more > 0 and _is_revision_2(binary):
        raise InputError(
            f"{path}: its traces have up to {more} trace header extensions of {TRACE_HEADER} bytes "
            "each, as bytes 3507 to 3510 say, which cannot be read; write it without them"
        )


def _stated_counts(binary: bytes, endian: Endian) -> list[int]:
    """Return the samples of a trace that the binary header states; revision 2 has room for more."""
    counts = [int.from_bytes(binary[20:22], endian)]
    more = int.from_bytes(binary[68:72], endian, signed=True)
    return [more, *counts] if _is_revision_2(binary) and more > 0 else counts


def _sample_counts(file: Segy, binary: bytes, start: int, endian: Endian) -> list[int]:
    """Return what the binary header and the first trace's header say, each number once."""
    counts = _stated_counts(binary, endian)
    if start + TRACE_HEADER <= file.size:
        counts.append(int.from_bytes(file.bytes(start + 114, 2), endian))
    return list(dict.fromkeys(counts))


def _all_fitting(file: Segy, binary: bytes, endian: Endian, format: int) -> list[Layout]:
    """Return layouts by which whole traces, and trailers, make up the file's length, best first."""
    found = []
    ends = _ends(file, binary, endian)
    for start, end in product(_starts(file, binary, endian), ends):
        for count in _sample_counts(file, binary, start, endian):
            size = TRACE_HEADER + count * np.dtype(TYPES[format]).itemsize
            traces, rest = divmod(end - start, size)
            if count and traces > 0 and not rest:
                found.append(Layout(endian, format, start, count, traces))
    return found


def _is_consistent(file: Segy, layout: Layout) -> bool:
    """Whether headers all over the file state the same number of samples and interval.

    Where a layout is wrong, samples are found instead.
    """
    numbers = np.unique(np.linspace(0, layout.traces - 1, 50).astype(np.int64)).tolist()
    stated = [file.bytes(layout.start + number * layout.trace_size + 114, 4) for number in numbers]
    return stated.count(stated[0]) > 0.8 * len(stated)


def _others(file: Segy, binary: bytes, endian: Endian, format: int) -> list[int]:
    """Return formats that the file may have instead, by its length, its headers and its samples."""
    found = {}
    for code in FORMATS:
        fitting = _all_fitting(file, binary, endian, code) if code != format else []
        layout = next((each for each in fitting if _is_consistent(file, each)), None)
        if layout is None:
            continue
        values = _some_values(file, layout) if code in (1, 2, 5) else np.empty(0)
        if len(values) < FEW or not _contradicts(values, code):
            found[code] = TYPES[code]
    # Of the same sizes, but hardly ever seen.
    usual = [code for code, name in found.items() if not name.startswith("u") or code == 1]
    return usual or list(found)


def _misfit(
    file: Segy, start: int, binary: bytes, endian: Endian, format: int, others: list[int]
) -> str:
    counts = [n for n in _sample_counts(file, binary, start, endian) if n]
    if not counts:
        return (
            f"{file.path}: expected the number of samples a trace in bytes 3221 and 3222 of the "
            "file, or 115 and 116 of its first trace's header; found 0 in both; write it there, or "
            f"set survey.endian if these are not {endian}-endian"
        )
    size = TRACE_HEADER + counts[0] * np.dtype(TYPES[format]).itemsize
    traces, rest = divmod(file.size - start, size)
    more = f"{rest} more bytes" if rest else "headers that differ from trace to trace"
    if others:
        listed = " or ".join(f"{code} ({FORMATS[code]})" for code in others)
        remedy = f"set survey.format to {listed}, with which it fits"
    else:
        remedy = (
            "copy it again if it was truncated; if its header is wrong, set survey.format or "
            "survey.endian"
        )
    return (
        f"{file.path}: expected whole traces of {size} bytes ({counts[0]} samples in format "
        f"{format}, {FORMATS[format]}) after {start} bytes of headers, found {traces} and {more}; "
        f"{remedy}"
    )


def require_stated_format(file: Segy) -> None:
    """Raise InputError, naming the key to set, where samples cannot be of the format stated.

    Only values of four bytes, for which headers lie; only where there are enough of them.
    """
    layout = file.layout
    if layout.format not in (1, 2, 5):
        return
    values = _some_values(file, layout)
    if len(values) < FEW or not _contradicts(values, layout.format):
        return
    others = [code for code in (5, 1, 2) if not _contradicts(values, code)]
    if others:
        raise InputError(
            f"{file.path}: its header says format {layout.format} ({FORMATS[layout.format]}), but "
            f"its samples look like {FORMATS[others[0]]}; set survey.format to {others[0]}, or to "
            f"{layout.format} to read them as stated"
        )


def _some_values(file: Segy, layout: Layout) -> np.ndarray:
    """Return different samples but 0 from all over the file: uint32 (values), sorted."""
    count = max(1, min(layout.traces, 200_000 // layout.samples))
    numbers = np.unique(np.linspace(0, layout.traces - 1, count).astype(np.int64)).tolist()
    length = layout.samples * layout.dtype.itemsize
    start = layout.start + TRACE_HEADER
    data = b"".join(file.bytes(start + number * layout.trace_size, length) for number in numbers)
    values = np.unique(np.frombuffer(data, ORDERS[layout.endian] + "u4"))
    return values[(values & 0x7FFFFFFF) != 0].astype(np.uint32)


def _contradicts(values: np.ndarray, format: int) -> bool:
    """Whether values as stored, uint32, cannot be seismic amplitudes in a format of 1, 2 and 5."""
    digit = values >> 20 & 15
    if format == 1:
        # Programs write them normalised: the first hexadecimal digit of the fraction is not 0.
        return (digit == 0).mean() > 0.01
    if format == 2:
        # Of floats the first byte is sign and exponent, so that none is small.
        return (np.abs(values.view(np.int32).astype(np.int64)) < 2**28).mean() < 0.01
    with np.errstate(invalid="ignore"):
        size = np.abs(values.view(np.float32).astype(np.float64))
    if not (size[np.isfinite(size)] > 1e-25).mean() > 0.9 or np.isfinite(size).mean() < 0.9:
        return True
    # As above: of every other exponent, the first eighth of its values has a digit of 0.
    even = digit < 8
    _, counts = np.unique(values[even] >> 24 & 127, return_counts=True)
    return bool((counts >= 20).sum() >= 3 and counts.sum() >= 200 and not (digit[even] == 0).any())
