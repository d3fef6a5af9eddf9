"""Masks of new tiles from finished members, decided as the workflow decides on its test tiles."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from torch import nn

from salt.core.errors import InputError, raise_faults
from salt.core.files import replacing_folder
from salt.device.compute import Compute
from salt.ensemble.predictions import SCALE, quantised
from salt.inference.predict import predict
from salt.output.submission import write_table
from salt.survey.new_tiles import NewTiles
from salt.survey.tiles import decode_all, decode_image, depths_of, id_faults


def read_tiles(
    path: Path | str, with_depth: bool
) -> tuple[list[str], np.ndarray, np.ndarray | None]:
    """Ids of new tiles, sorted, their images, uint8 (tiles, height, width), and their depths.

    The depths, float32 (tiles), are read only ``with_depth``, else None.

    Raises InputError with all faults of the files and tables.
    """
    with NewTiles(path) as source:
        ids, depths = source.ids(source.folder), None
        faults = [*source.doubled, *id_faults(ids, str(path))]
        if with_depth:
            try:
                depths = depths_of(source, ids, faults, required=True)
                depths = depths.astype(np.float32)
            except InputError as error:
                faults.append(f"{error}; members trained with depth need the depth of each tile")
        images, _ = decode_all(source, source.folder, ids, decode_image, faults)
        raise_faults(f"{path} (new tiles)", faults)
    return ids, images, depths


def decide(
    networks: list[nn.Module],
    images: np.ndarray,
    depths: np.ndarray | None,
    compute: Compute,
    *,
    threshold: float,
    flip: bool,
    batch_size: int,
) -> Iterator[np.ndarray]:
    """Masks of uint8 images (tiles, height, width), one by one as bool (height, width).

    Salt is where the members' mean probability is above the threshold; the rest as in ``predict``.
    All members go side by side, so that probabilities are held of one batch only.
    """
    members = [
        # One bar tells the progress of all.
        predict(network, images, depths, compute, batch_size=batch_size, flip=flip, bar=i == 0)
        for i, network in enumerate(networks)
    ]
    for batches in zip(*members, strict=True):
        # As integers, as they are stored and averaged for the test tiles.
        total = np.sum([quantised(batch) for batch in batches], axis=0, dtype=np.uint32)
        yield from total / (len(batches) * SCALE) > threshold


def write_masks(
    path: Path, ids: list[str], shape: tuple[int, int], masks: Iterable[np.ndarray]
) -> int:
    """Write masks, bool of ``shape`` (height, width), to a table and to PNG files beside it.

    The table ``NAME.csv`` has a row ``id,rle_mask`` per id, the folder ``NAME`` a file ``ID.png``
    (8-bit grey, salt 255, else 0). Gives the number of tiles with salt.

    Raises InputError where the path is not that of a CSV file, or the folder holds files that an
    earlier table does not list.
    """
    if path.suffix != ".csv":
        raise InputError(f"{path}: expected a path NAME.csv; the masks go to a folder NAME there")
    folder = path.with_suffix("")
    _refuse_others(folder, path)
    with replacing_folder(folder) as part:
        return write_table(path, ids, shape, _drawn(part, ids, masks))


def _refuse_others(folder: Path, table: Path) -> None:
    """An earlier run's masks may be replaced, but nobody's own files."""
    if not folder.exists():
        return
    listed = set()
    if table.is_file():
        # Not by csv, which takes no masks as long as those of large tiles may be.
        lines = table.read_text(errors="replace").splitlines()
        listed = {f"{line.partition(',')[0]}.png" for line in lines}
    files = folder.iterdir() if folder.is_dir() else [folder]
    # The workflow engine leaves a hidden file.
    others = sorted(file.name for file in files if not file.name.startswith("."))
    others = [name for name in others if name not in listed]
    if others:
        raise InputError(
            f"{folder}: to be replaced by masks, but {others[0]} is none that {table} lists; "
            "move it away, or write to another path"
        )


def _drawn(folder: Path, ids: list[str], masks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The masks as they come, each also drawn to a PNG file."""
    for name, mask in zip(ids, masks, strict=True):
        Image.fromarray(mask.astype(np.uint8) * np.uint8(255)).save(folder / f"{name}.png")
        yield mask
