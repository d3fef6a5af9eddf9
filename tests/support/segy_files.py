"""Small SEG-Y files made byte by byte, with the features of real ones, and real ones."""

import os
from pathlib import Path

import numpy as np
import pytest

FOLDER = os.environ.get("SALT_SEGY_FOLDER")
USABLE = (
    *("Format1msb.sgy", "Format2msb.sgy", "Format3msb.sgy", "Format5msb.sgy", "Format8msb.sgy"),
    *("f3.sgy", "f3-lsb.sgy", "f3-withdead.sgy", "volve10-migvel-depth-sub3d.sgy"),
    *("small.sgy", "acute-small.sgy", "inv-acute-small.sgy"),
)
REFUSED = {
    "1xN.sgy": "pre-stack",
    "Mx1.sgy": "pre-stack",
    "small-ps.sgy": "pre-stack",
    "text.sgy": "without traces",
    "viking_small.segy": "survey.inline_byte and survey.crossline_byte",
}
needs_real_files = pytest.mark.skipif(
    FOLDER is None, reason="SALT_SEGY_FOLDER, a folder of real SEG-Y files, is not set"
)
# How a file's traces may be sorted, by their numbers.
ORDERS = {
    "inline": lambda a, b: np.lexsort((b, a)),
    "crossline": lambda a, b: np.lexsort((a, b)),
    "inline, both decreasing": lambda a, b: np.lexsort((-b, -a)),
    "inline, crosslines decreasing": lambda a, b: np.lexsort((-b, a)),
    "crossline, inlines decreasing": lambda a, b: np.lexsort((-a, b)),
    "none": lambda a, b: np.random.default_rng(0).permutation(len(a)),
}
TYPES = {1: "u4", 2: "i4", 3: "i2", 5: "f4", 6: "f8", 8: "i1", 10: "u4", 11: "u2", 16: "u1"}


def real(name: str) -> Path:
    return Path(FOLDER, name)


def grid_numbers(inlines, crosslines) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of all traces of a full grid, inline by inline."""
    both = np.meshgrid(inlines, crosslines, indexing="ij")
    return both[0].ravel(), both[1].ravel()


def to_ibm(values: np.ndarray) -> np.ndarray:
    """IBM floats as uint32, normalised; exact for values of 20 bits."""
    fraction, exponent = np.frexp(np.abs(values.astype(np.float64)))
    sixteens = -(-exponent // 4)
    fraction = np.round(np.ldexp(fraction, exponent - 4 * sixteens + 24)).astype(np.uint32)
    found = (64 + sixteens).astype(np.uint32) << 24 | fraction
    return np.where(values == 0, 0, found | (values < 0).astype(np.uint32) << 31).astype(np.uint32)


def write_segy(
    path: Path,
    values: np.ndarray,
    inlines,
    crosslines,
    *,
    format: int = 5,
    stated_format: int | None = None,
    endian: str = "big",
    lines_at: tuple[int, int] = (189, 193),
    fields: dict | None = None,
    interval: int = 4000,
    samples: int | None = None,
    trace_samples: int | None = None,
    extended: tuple[int, bytes] = (0, b""),
    revision: int = 0x100,
    stated: dict | None = None,
    trailers: bytes = b"",
) -> Path:
    """Write traces (traces, samples) in the order given.

    stated_format, samples, trace_samples: what headers say; the truth by default
    fields: more of the trace headers: {(byte, size): value, or values}
    extended: number of extended text headers stated, and what stands there
    stated: more of the binary header: {(byte of the file, type): value}
    trailers: what follows the traces
    """
    order = ">" if endian == "big" else "<"
    count, length = values.shape
    random = np.random.default_rng(count * length)
    stored = to_ibm(values) if format == 1 else values
    kind = np.dtype(order + TYPES[format])
    traces = np.zeros(count, np.dtype([("header", np.uint8, 240), ("samples", kind, length)]))
    # What no standard knows has to be carried, too.
    traces["header"][:, 218:] = random.integers(0, 256, (count, 22))
    traces["samples"] = stored.astype(kind)
    length_stated = length if trace_samples is None else trace_samples
    every = {
        (lines_at[0], 4): inlines, (lines_at[1], 4): crosslines,
        (115, 2): length_stated, (117, 2): interval,
    }  # fmt: skip
    for (byte, size), value in (every | (fields or {})).items():
        column = np.broadcast_to(np.asarray(value), count).astype(f"{order}i{size}")
        traces["header"][:, byte - 1 : byte - 1 + size] = (
            np.ascontiguousarray(column).view(np.uint8).reshape(count, size)
        )
    binary = bytearray(400)
    for place, size, value in (
        (16, 2, interval),
        (20, 2, length if samples is None else samples),
        (24, 2, format if stated_format is None else stated_format),
        (300, 2, revision),
        (304, 2, extended[0] & 0xFFFF),
    ):
        binary[place : place + size] = value.to_bytes(size, endian)
    for (byte, kind), value in (stated or {}).items():
        data = np.array(value, order + kind).tobytes()
        binary[byte - 3201 : byte - 3201 + len(data)] = data
    text = "".join(f"C{i:2} {'SURVEY' * (i < 3)}".ljust(80) for i in range(1, 41))
    before = text.encode("cp037") + bytes(binary) + extended[1]
    path.write_bytes(before + traces.tobytes() + trailers)
    return path


def amplitudes(traces: int, samples: int = 20, seed: int = 0) -> np.ndarray:
    """Amplitudes that every format holds as they are: whole numbers from -120 to 120."""
    random = np.random.default_rng(seed)
    return random.integers(-120, 121, (traces, samples)).astype(np.float32)


def write_mdio_source(path: Path) -> Path:
    """Write the file that ``survey.mdio.zip`` is, as multidimio 1.1.3 imports it.

    One inline and one trace are missing, and the interval and the delay are what that drops.
    """
    inlines, crosslines = grid_numbers([100, 102, 104, 108], range(300, 318, 3))
    keep = np.arange(len(inlines)) != 9
    values, inlines, crosslines = amplitudes(len(keep), 30)[keep], inlines[keep], crosslines[keep]
    fields = {
        (29, 2): 1, (71, 2): -100, (109, 2): 48,
        (181, 4): 5000 * inlines + 7, (185, 4): 9000 * crosslines - 3,
    }  # fmt: skip
    return write_segy(path, values, inlines, crosslines, fields=fields, interval=2500)
