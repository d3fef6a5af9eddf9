"""Copy a volume in another container to SEG-Y, revision 1, IEEE floats, inline by inline."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from saltseg.core.errors import InputError
from saltseg.core.files import replacing
from saltseg.survey.container import Container
from saltseg.survey.segy import CARD, HEADERS, TEXT, TRACE_HEADER

CENTIMETRES = -100  # the scalar of coordinates
LARGEST_SLAB = 2**26  # samples
UNDEFINED = np.float32(1e30)
LARGEST = 65_535  # of two bytes
# Of a text header, by which a scan tells one from the other.
DOMAINS = {"ms": "TIME", "m": "DEPTH", "ft": "DEPTH"}


def copy_to_segy(container: Container, output: Path) -> int:
    """Write a SEG-Y file, complete or not at all; return the number of traces.

    Traces that are undefined all along are missing in it. Raises InputError if SEG-Y cannot have
    the sample interval, the first sample or as many, or there is no room or no permission.
    """
    _delay(container)
    interval, count = container.grid.samples.step * 1000, container.grid.samples.count
    if not 0 < interval <= LARGEST or abs(interval - round(interval)) > 1e-6 or count > LARGEST:
        raise InputError(
            f"expected up to {LARGEST:,} samples, at whole microseconds or millimetres below "
            f"{LARGEST:,}, as SEG-Y has them; found {container.grid.samples} {container.unit}"
        )
    with replacing(output) as part, open(part, "wb") as file:
        file.write(_file_headers(container))
        return sum(_write(container, slab, file) for slab in _slabs(container))


def _slabs(container: Container) -> Iterator[slice]:
    """Yield the inlines to copy at once: those stored together, or a part if it is too large."""
    inlines, crosslines, samples = container.grid.shape
    step = container.rows
    while step > 8 and step * crosslines * samples > LARGEST_SLAB:
        step //= 2
    for start in range(0, inlines, step):
        yield slice(start, min(start + step, inlines))


def _write(container: Container, slab: slice, file: IO[bytes]) -> int:
    """Write the traces of some inlines; return how many."""
    values = container.read(slab)
    rows, columns = np.nonzero(~np.isnan(values).all(axis=2))
    grid, samples = container.grid, container.grid.samples
    kind = np.dtype([("header", np.uint8, TRACE_HEADER), ("samples", ">f4", samples.count)])
    traces: np.ndarray[Any, Any] = np.zeros(len(rows), kind)
    found = values[rows, columns]
    traces["samples"] = np.where(np.isnan(found), UNDEFINED, found)
    place = np.rint(np.nan_to_num(container.positions[:, slab][:, rows, columns]) * -CENTIMETRES)
    delay, scalar = _delay(container)
    for byte, size, value in (
        (29, 2, 1),
        (71, 2, CENTIMETRES),
        (109, 2, delay),
        (115, 2, samples.count),
        (117, 2, round(samples.step * 1000)),
        (181, 4, place[0]),
        (185, 4, place[1]),
        (189, 4, grid.inlines.numbers()[slab][rows]),
        (193, 4, grid.crosslines.numbers()[columns]),
        (215, 2, scalar),
    ):
        column = np.broadcast_to(np.asarray(value), len(rows)).astype(">i8")
        part = np.ascontiguousarray(column).view(np.uint8).reshape(-1, 8)[:, -size:]
        traces["header"][:, byte - 1 : byte - 1 + size] = part
    file.write(traces.tobytes())
    return len(traces)


def _delay(container: Container) -> tuple[int, int]:
    """Return the first sample as two bytes and its scalar; InputError if they do not hold it."""
    first = container.grid.samples.first
    for divisor in (1, 10, 100, 1000):
        delay = round(first * divisor)
        if abs(first * divisor - delay) < 1e-6 and -LARGEST // 2 <= delay <= LARGEST // 2:
            return delay, -divisor if divisor > 1 else 1
    raise InputError(
        f"expected the first sample below {LARGEST // 2:,} {container.unit}, with a few decimals, "
        f"as SEG-Y has them; found {first:.10g}"
    )


def _file_headers(container: Container) -> bytes:
    """Return the text header and the binary header."""
    lines = ["VOLUME COPIED FROM ANOTHER CONTAINER", f"SAMPLES IN {DOMAINS[container.unit]}"]
    lines += [""] * 36 + ["SEG Y REV1", "END TEXTUAL HEADER"]
    text = "".join(f"C{i:2} {line}".ljust(CARD) for i, line in enumerate(lines, 1))
    headers = bytearray(text.encode("cp037")) + bytearray(HEADERS - TEXT)
    samples = container.grid.samples
    for byte, value in (
        (3217, round(samples.step * 1000)),
        (3221, samples.count),
        (3225, 5),
        (3229, 4),
        (3255, 2 if container.unit == "ft" else 1),
        (3501, 0x100),
        (3503, 1),
    ):
        headers[byte - 1 : byte + 1] = value.to_bytes(2, "big")
    return bytes(headers)
