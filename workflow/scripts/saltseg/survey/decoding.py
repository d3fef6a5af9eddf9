"""Decode tiles from PNG files, and the tables beside them, and find what is wrong with them."""

import io
import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError

from saltseg.core.errors import InputError, printable
from saltseg.core.tables import TEXTS, parse_csv
from saltseg.survey.source import Files

# Ids become file names of predictions and rows of a CSV file.
SAFE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
# The contest's tiles have 101 pixels a side; a small file that unpacks to far more may be a bomb.
LARGEST_SIDE = 2048
# The contest has 22,000 tiles; far longer tables would fill the memory before anything is checked.
LARGEST_ROWS = 1_000_000
LARGEST_HEADER = 1000  # characters
CHUNK = 64  # tiles that a thread decodes at a time


def decode_image(data: bytes) -> np.ndarray:
    """A seismic tile from a PNG file: uint8 (height, width). Raises ValueError with the reason."""
    pixels, mode = _decode(data)
    if mode == "L":
        return pixels
    if mode == "RGB":
        # The contest's tiles are grey pictures saved as three equal channels.
        grey = np.ascontiguousarray(pixels[..., 0])
        if (pixels[..., 1] != grey).any() or (pixels[..., 2] != grey).any():
            raise ValueError("expected a grey image, found different colour channels")
        return grey
    raise ValueError(f"expected 8-bit grey or RGB, found mode {mode}")


def decode_mask(data: bytes) -> np.ndarray:
    """A mask from a PNG file: bool (height, width), True where salt. Raises ValueError."""
    pixels, mode = _decode(data)
    if mode not in ("1", "L", "I;16"):
        raise ValueError(f"expected a mask of 1, 8 or 16 bits, found mode {mode}")
    # The contest's masks are 8-bit where empty and {0, 65535} elsewhere: compare before converting.
    mask = pixels > 0
    if len(np.unique(pixels[mask])) > 1:
        raise ValueError("expected two values, salt and no salt, found more")
    return mask


def decode_drawing(data: bytes) -> np.ndarray:
    """Return where a PNG file has any colour but black, bool (height, width), in grey or colour.

    What is transparent counts as black. Raises ValueError.
    """
    _, mode = _decode(data)
    if mode in ("1", "L", "I;16"):
        return decode_mask(data)
    with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
        colours = np.asarray(picture.convert("RGBA"))
    return colours[..., :3].any(axis=2) & (colours[..., 3] > 0)


def _decode(data: bytes) -> tuple[np.ndarray, str]:
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            width, height = picture.size
            if max(width, height) <= LARGEST_SIDE:
                # Pillow silently truncates 16 bits per channel to 8.
                cut = picture.mode == "RGB" and data[24] == 16
                return np.asarray(picture), picture.mode + ";16" * cut
    except UnidentifiedImageError:
        raise ValueError("not a PNG file" if data else "empty file") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"image too large ({error})") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"damaged PNG file ({error})") from None
    raise ValueError(f"{width}x{height} pixels, more than the {LARGEST_SIDE} a side allowed")


def read_table(source: Files, name: str, columns: list[str]) -> pd.DataFrame:
    """A CSV table as text, empty fields as empty strings; InputError on other columns."""
    data, expected = source.read(name), f"{name}: expected the columns {','.join(columns)}, "
    if len(b"".join(data[: LARGEST_HEADER + 1].splitlines()[:1])) > LARGEST_HEADER:
        raise InputError(f"{expected}found a first line of more than {LARGEST_HEADER} characters")
    table = parse_csv(data, name, nrows=LARGEST_ROWS + 1, **TEXTS)
    if list(table.columns) != columns:
        raise InputError(f"{expected}found {printable(','.join(map(str, table.columns)))}")
    # Where rows are longer than the header, pandas takes their first fields for names of rows.
    if not isinstance(table.index, pd.RangeIndex):
        raise InputError(f"{expected}found rows of more fields than that; remove the others")
    if len(table) > LARGEST_ROWS:
        raise InputError(f"{name}: more than the {LARGEST_ROWS} rows allowed")
    return table


def id_faults(ids: Iterable[str], where: str) -> Iterator[str]:
    """Yield problems of ids that are duplicated or cannot name a file."""
    ids = pd.Series(list(ids), dtype=str)
    for name in ids[ids.duplicated()].unique():
        yield f"{where}: id {printable(repr(name))} appears more than once"
    for name in ids.unique():
        if not SAFE_ID.fullmatch(name):
            yield (
                f"{where}: id {printable(repr(name))} may hold only letters, digits, '-' and '_' "
                "(64 at most)"
            )


def depths_of(
    source: Files, ids: list[str], faults: list[str], required: bool = False
) -> np.ndarray:
    """Depths of ``ids`` from depths.csv as float64, NaN if it has none, or is not there.

    Adds duplicate and unreadable ones to ``faults``, and missing ones if all are ``required``.

    Raises InputError if the table has other columns, or is required and missing.
    """
    if not required and not source.has("depths.csv"):
        return np.full(len(ids), np.nan)
    table = read_table(source, "depths.csv", ["id", "z"])
    wanted = table[table["id"].isin(set(ids))]
    faults.extend(id_faults(wanted["id"], "depths.csv"))
    values = pd.to_numeric(wanted["z"], errors="coerce")
    with np.errstate(over="ignore"):
        # As the networks will have them.
        finite = np.isfinite(values.to_numpy(np.float32))
    for name, text in wanted.loc[~finite, ["id", "z"]].itertuples(index=False):
        faults.append(
            f"depths.csv: depth of {printable(name)} is not a number: {printable(repr(text))}"
        )
    depths = dict(zip(wanted["id"], values, strict=True))
    if required:
        missing = [name for name in ids if name not in depths]
        faults.extend(f"depths.csv: no depth for {printable(name)}" for name in missing)
    return np.array([depths.get(name, np.nan) for name in ids], dtype=np.float64)


def strays(source: Files, folder: str, ids: list[str], table: str) -> Iterator[str]:
    """Yield problems of a folder's files whose ids the table lacks."""
    for name in sorted(set(source.ids(folder)) - set(ids)):
        yield f"{source.called(f'{folder}/{name}.png')} has no row in {table}"


def decode_all(
    source: Files,
    folder: str,
    ids: list[str],
    decode: Callable,
    faults: list[str],
    room: Callable = np.zeros,
) -> tuple[np.ndarray, np.ndarray]:
    """Decode a folder's PNG files in threads.

    Problems are added to ``faults`` in the order of the ids; all files must have the size of the
    first readable one. ``room`` returns, from their shape and dtype, an array for the tiles, or the
    writer of a file's rows if they are too many for memory.

    Returns:
        The tiles (ids, height, width), and which of them are readable, bool (ids).
    """
    stack, readable, first = np.zeros((len(ids), 0, 0)), np.zeros(len(ids), dtype=bool), ""
    names = [f"{folder}/{name}.png" for name in ids]
    # Pillow releases the GIL while decoding. Handing over single tiles takes a quarter longer.
    chunks = [names[start : start + CHUNK] for start in range(0, len(names), CHUNK)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        decoded = pool.map(lambda chunk: [_attempt(source, n, decode) for n in chunk], chunks)
        for row, (name, tile) in enumerate(zip(names, chain.from_iterable(decoded), strict=True)):
            if isinstance(tile, str):
                faults.append(tile)
                continue
            if not first:
                stack, first = room((len(ids), *tile.shape), tile.dtype), name
            if tile.shape != stack.shape[1:]:
                faults.append(
                    f"{source.called(name)}: {tile.shape[1]}x{tile.shape[0]} pixels, but "
                    f"{source.called(first)} has {stack.shape[2]}x{stack.shape[1]}"
                )
                continue
            stack[row], readable[row] = tile, True
    return stack, readable


def _attempt(source: Files, name: str, decode: Callable) -> np.ndarray | str:
    """Return a decoded file, or what is wrong with it."""
    try:
        return decode(source.read(name))
    except InputError as error:
        return str(error)
    except ValueError as error:
        return f"{source.called(name)}: {error}"
