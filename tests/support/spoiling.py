"""Break one thing at a time in a survey or in a file, for the catalogues of broken input.

Functions that take names return a function that spoils a given survey. In names and messages FIRST,
SECOND and LAST stand for ids of labelled tiles.
"""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from support.surveys import Survey

IMAGE, MASK = "train/images/FIRST.png", "train/masks/LAST.png"


def filled(text: str, survey: Survey) -> str:
    """Replace FIRST, SECOND and LAST by a survey's ids."""
    first, second, last = survey.ids[0], survey.ids[1], survey.ids[-1]
    for word, name in {"FIRST": first, "SECOND": second, "LAST": last}.items():
        text = text.replace(word, name)
    return text


# Surveys


def put(name: str, data: bytes) -> Callable[[Survey], None]:
    """Add a file, or replace one."""
    return lambda survey: survey.files.update({filled(name, survey): data})


def remove(name: str) -> Callable[[Survey], None]:
    return lambda survey: survey.files.pop(filled(name, survey))


def change(name: str, how: Callable[[bytes], bytes]) -> Callable[[Survey], None]:
    def spoil(survey):
        survey.files[filled(name, survey)] = how(survey.files[filled(name, survey)])

    return spoil


def depth(name: str, text: str) -> Callable[[Survey], None]:
    return lambda survey: survey.set_depth(filled(name, survey), text)


def add_row(table: str, *cells) -> Callable[[Survey], None]:
    return lambda survey: survey.tables[table].append([filled(str(cell), survey) for cell in cells])


def set_rows(table: str, *rows: list) -> Callable[[Survey], None]:
    """Replace all rows below a table's head."""

    def spoil(survey):
        survey.tables[table][1:] = rows

    return spoil


def rename_first(name: str) -> Callable[[Survey], None]:
    """Change the id in the first row of train.csv."""

    def spoil(survey):
        survey.tables["train.csv"][1][0] = name

    return spoil


# Pictures


def handmade_png(width: int, height: int, bits: int, colour: int, data: bytes) -> bytes:
    """Return a PNG file whose header claims what it is given, true or not."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


# Files of a run


def at(path: str, do: Callable, *given) -> Callable[[Path], None]:
    """Spoil one file of a run's folder."""
    return lambda run: do(run / path, *given)


def delete(path: Path) -> None:
    path.unlink()


def replace(path: Path, data: bytes = b"") -> None:
    path.write_bytes(data)


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def edit(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


def flip(path: Path) -> None:
    """Flip the bits of the byte in the middle of the longest dataset of an HDF5 file."""
    with h5py.File(path) as file:
        chunks = [
            dataset.id.get_chunk_info(number)
            for dataset in file.values()
            for number in range(dataset.id.get_num_chunks())
        ]
    chunk = max(chunks, key=lambda chunk: chunk.size)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset + chunk.size // 2] ^= 0xFF
    path.write_bytes(data)


def edit_hdf(path: Path, **changes: Callable[[np.ndarray], np.ndarray] | None) -> None:
    """Change, or leave out, datasets of an HDF5 file by their names."""
    with h5py.File(path) as file:
        found = {name: dataset[:] for name, dataset in file.items()}
    with h5py.File(path, "w") as file:
        for name, values in found.items():
            change = changes.get(name, lambda values: values)
            if change:
                file[name] = change(values)


def edit_table(path: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    change(pd.read_csv(path, dtype=str, keep_default_na=False)).to_csv(path, index=False)
