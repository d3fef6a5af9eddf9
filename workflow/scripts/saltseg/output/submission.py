"""The submission: mean over members, threshold, run-length encoding, and a last check."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from saltseg.core import labels, rle
from saltseg.core.errors import InputError
from saltseg.core.files import replacing
from saltseg.ensemble.predictions import Predictions, averaged, load_all

CHECKED = 10_000  # rows read back at a time


def write_submission(
    path: Path | str, ids: list[str], members: list[Predictions], threshold: float
) -> int:
    """Write a row per id, in the given order, and return the number of tiles with salt.

    Holds one chunk of one member's probabilities in memory at a time. Raises InputError if a
    member predicted other tiles, or if the written file does not read back correctly.
    """
    return write_table(path, ids, members[0].values.shape[1:], _masks(ids, members, threshold))


def write_submission_of_shards(
    path: Path | str, ids: list[str], shards: list[list[Path]], threshold: float
) -> int:
    """Write the submission from sharded predictions, opening one shard at a time.

    ``shards[k]`` lists the paths of all members' predictions for shard k. Shards are in the order
    of ``ids``; the last holds all remaining tiles.
    """
    size = Predictions.load(shards[-1][0]).values.shape[1:]

    def masks() -> Iterator[np.ndarray]:
        start = 0
        for paths in shards:
            stop = start + len(Predictions.load(paths[0]).ids)
            part = ids[start:] if paths is shards[-1] else ids[start:stop]
            # With few tiles, some shards are empty.
            if part:
                yield from _masks(part, load_all(paths, part, size), threshold)
            start = stop

    return write_table(path, ids, size, masks())


def _masks(ids: list[str], members: list[Predictions], threshold: float) -> Iterator[np.ndarray]:
    """Yield the mask of each tile, bool (height, width), after checking all members' ids."""
    for member in members:
        odd = sorted(set(ids) ^ set(member.ids))
        if odd:
            raise InputError(
                f"{member.path}: expected the {len(ids)} test tiles, found {len(member.ids)}, "
                f"different in {odd[0]}; delete it to predict again"
            )
    for _, mean in averaged(members, ids):
        yield from mean > threshold


def write_table(
    path: Path | str,
    ids: list[str],
    shape: tuple[int, int],
    masks: Iterable[np.ndarray],
    *,
    checksums: bool = True,
) -> int:
    """Write a row per id from an iterable of masks, bool of ``shape`` (height, width).

    Return the number of tiles with salt. Raises InputError if the written file does not read back
    correctly.
    """
    areas = []
    with replacing(path, checksums=checksums) as part:
        with open(part, "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["id", "rle_mask"])
            for name, mask in zip(ids, masks, strict=True):
                areas.append(int(mask.sum()))
                writer.writerow([name, rle.encode(mask)])
        _check(part, ids, shape, areas)
    return int(np.count_nonzero(areas))


def _check(path: Path, ids: list[str], shape: tuple[int, int], areas: list[int]) -> None:
    read = 0
    with pd.read_csv(path, dtype=str, keep_default_na=False, chunksize=CHECKED) as tables:
        for table in tables:
            part = slice(read, read + len(table))
            if table["id"].tolist() != ids[part]:
                break
            for name, text, area in zip(ids[part], table["rle_mask"], areas[part], strict=True):
                if int(labels.decode(text, shape).sum()) != area:
                    raise InputError(
                        f"{path}: mask of {name} does not read back with {area} pixels"
                    )
            read += len(table)
    if read != len(ids):
        raise InputError(f"{path}: its ids do not read back as the {len(ids)} written")
