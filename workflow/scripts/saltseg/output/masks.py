"""Masks of new tiles: a table of run lengths and a folder of pictures."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from saltseg.core.errors import InputError, printable
from saltseg.core.files import replacing_folder
from saltseg.output.submission import write_table

# The entry "Software" of each picture, by which a later run recognises what it may replace.
SOFTWARE = "salt-segmentation"
# Snakemake leaves it in a folder that is an output.
TIMESTAMP = ".snakemake_timestamp"


def write_masks(table: Path, folder: Path, ids: list[str], masks: Iterable[np.ndarray]) -> int:
    """Write masks, bool (height, width), to a table and to PNG files in a folder.

    The table has a row ``id,rle_mask`` per id, the folder a file ``ID.png`` (8-bit grey, salt 255,
    else 0). Return the number of tiles with salt.

    Raises InputError if the folder holds anything but an earlier run's masks.
    """
    refuse_others(folder)
    with replacing_folder(folder) as part:
        return write_table(table, ids, _draw(part, ids, masks))


def refuse_others(folder: Path) -> None:
    """Raise InputError if a folder holds anything but masks that ``write_masks`` wrote."""
    if not folder.exists():
        return
    files = sorted(os.scandir(folder), key=lambda entry: entry.name) if folder.is_dir() else []
    others = [file.name for file in files if not _is_ours(file)] if folder.is_dir() else ["it"]
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise InputError(
            f"{folder}: masks would replace it, but {printable(others[0])}{more} was not "
            "written by an earlier prediction; move it elsewhere"
        )


def _is_ours(file: os.DirEntry) -> bool:
    if file.name == TIMESTAMP:
        return True
    if not file.name.endswith(".png") or not file.is_file(follow_symlinks=False):
        return False
    try:
        with Image.open(file.path) as picture:
            return picture.format == "PNG" and picture.info.get("Software") == SOFTWARE
    except (OSError, SyntaxError, ValueError):
        return False


def _draw(folder: Path, ids: list[str], masks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the masks as they come, each also drawn to a PNG file."""
    mark = PngInfo()
    mark.add_text("Software", SOFTWARE)
    for name, mask in zip(ids, masks, strict=True):
        picture = Image.fromarray(mask.astype(np.uint8) * np.uint8(255))
        picture.save(folder / f"{name}.png", pnginfo=mark)
        yield mask
