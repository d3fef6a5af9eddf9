"""Tiles to predict with finished members, and the files that prediction reads beside them."""

import zipfile
from pathlib import Path

from support.surveys import image_png, png, zipped


def files_of(tiles):
    """PNG files as bytes, of 8-bit grey and of RGB in turn."""
    makers = (image_png, png)
    return {f"{name}.png": makers[i % 2](tile) for i, (name, tile) in enumerate(tiles.items())}


def pack(path: Path, packing: str, files: dict[str, bytes]) -> Path:
    """Files to a new folder or zip in one of the ways that are understood."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if packing == "folder":
        path.mkdir()
        for name, data in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
        return path
    if packing == "zip of folders":
        files = {
            name if name == "depths.csv" else f"deep/{i % 3}/{name}": data
            for i, (name, data) in enumerate(files.items())
        }
    path.write_bytes(zipped(files, zipfile.ZIP_DEFLATED))
    return path
