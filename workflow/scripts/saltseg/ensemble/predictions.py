"""Probabilities of one member, in a form that others can stack on.

``NAME.npy`` holds uint16 (tiles, height, width); a value v stands for the probability v / 65535.
``NAME.csv`` beside it holds the column id, one row per tile in the same order. Sixteen bits keep
each probability to within 0.000008.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from saltseg.core.arrays import NpyRows, ids_beside, open_npy
from saltseg.core.errors import InputError, printable
from saltseg.core.files import replacing, write_npy

SCALE = 65535
PREDICT_AGAIN = "delete it to predict again"


@dataclass(frozen=True)
class Predictions:
    """Ids, and probabilities times 65535 as uint16 (tiles, height, width), read as used."""

    path: Path
    ids: list[str]
    values: NpyRows | np.ndarray

    @classmethod
    def load(cls, path: Path | str) -> "Predictions":
        """Open ``NAME.npy`` and the ids beside it; InputError if they do not fit together."""
        path = Path(path)
        ids = ids_beside(path, PREDICT_AGAIN)
        values = open_npy(path, np.uint16, len(ids), "beside it", PREDICT_AGAIN)
        return cls(path, ids, values)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Values of some rows, a copy."""
        return self.values[rows]


def load_all(
    paths: Iterable[Path], ids: list[str], size: tuple[int, int] | None = None
) -> list[Predictions]:
    """Open members' predictions of some of the tiles ``ids``, which have that size if one is given.

    Raises InputError if a member's are of no tile, of other tiles, or of another size.
    """
    members = [Predictions.load(path) for path in paths]
    for member in members:
        odd = sorted(set(member.ids) - set(ids))
        if odd or not member.ids:
            raise InputError(
                f"{member.path}: expected some of {len(ids)} tiles, found "
                f"{printable(odd[0]) if odd else 'none'}; {PREDICT_AGAIN}"
            )
        found, size = member.values.shape[1:], size or members[0].values.shape[1:]
        if found != size:
            raise InputError(
                f"{member.path}: expected tiles of {size[1]}x{size[0]} pixels, found "
                f"{found[1]}x{found[0]}; {PREDICT_AGAIN}"
            )
    return members


def load_shards(
    paths: Iterable[Path], ids: list[str], size: tuple[int, int] | None = None
) -> list[Predictions]:
    """Like ``load_all``, for members in several files each, some of them empty."""
    return load_all([path for path in paths if Predictions.load(path).ids], ids, size)


def quantised(probabilities: np.ndarray) -> np.ndarray:
    """Return probabilities, float32 in [0, 1], of any shape as uint16."""
    # A product in float32 would be rounded twice.
    return np.rint(probabilities * np.float64(SCALE)).astype(np.uint16)


def save(
    path: Path | str, ids: list[str], shape: tuple[int, int], batches: Iterable[np.ndarray]
) -> None:
    """Write batches of probabilities, float32 in [0, 1], to disk as they come, and the ids."""
    path = Path(path)
    write_npy(path, np.uint16, (len(ids), *shape), map(quantised, batches))
    with replacing(path.with_suffix(".csv")) as part:
        pd.DataFrame({"id": ids}).to_csv(part, index=False)


def shard_of(tiles: int, batch_size: int, shards: int, shard: int) -> range:
    """Return the rows of one shard; shards are as equal as possible, and cover all tiles in order.

    They end where a batch ends, so that each tile is computed in the same batch, and to the same
    bits, for any number of shards. With more shards than batches, the first ones are empty.

    Raises InputError if there is no such shard.
    """
    if shard >= shards:
        raise InputError(
            f"no shard {shard} of {shards} (inference.shards); expected 0 to {shards - 1}"
        )
    batches = -(-tiles // batch_size)
    start, stop = (batches * number // shards * batch_size for number in (shard, shard + 1))
    return range(start, min(stop, tiles))


def summed(
    members: list[Predictions], ids: list[str], chunk: int = 128
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Sum members' values tile by tile, in the order of ``ids`` and some tiles at a time.

    Returns the rows, the sums as uint32 (rows, height, width), and how many members predicted each
    tile as int64 (rows); dividing by both that and 65535 gives the mean probability.
    """
    order = pd.Index(ids)
    # Row of each tile in each member's file, -1 where it has none.
    rows = [pd.Index(member.ids).get_indexer(order) for member in members]
    for start in range(0, len(ids), chunk):
        part = slice(start, min(start + chunk, len(ids)))
        total = np.zeros((part.stop - part.start, *members[0].values.shape[1:]), dtype=np.uint32)
        count = np.zeros(len(total), dtype=np.int64)
        for member, row in zip(members, rows, strict=True):
            here = row[part] >= 0
            own = member.read(row[part][here])
            if here.all():
                # As below without two copies.
                total += own
            else:
                total[here] += own
            count += here
        yield part, total, count


def averaged(
    members: list[Predictions], ids: list[str], chunk: int = 128
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield rows as in ``summed`` with their mean probabilities, float64."""
    for rows, total, count in summed(members, ids, chunk):
        yield rows, total / (count * SCALE)[:, None, None]


def predicted_rows(members: list[Predictions], ids: list[str]) -> np.ndarray:
    """Return places in ``ids`` of the tiles that at least one member predicted, int64."""
    predicted = set().union(*(member.ids for member in members))
    return np.flatnonzero([name in predicted for name in ids])
