"""Probabilities of one member, in a form that others can stack on.

An HDF5 file of the datasets ``id`` and ``probability``, uint16 (tiles, height, width), in the same
order; a value v stands for the probability v / SCALE.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from saltseg.core.errors import InputError, printable
from saltseg.core.hdf import HdfFile, Rows, writing
from saltseg.core.quantisation import SCALE, quantise
from saltseg.settings.members import members_of

PREDICT_AGAIN = "delete it to predict again"


@dataclass(frozen=True)
class Predictions:
    """Ids, and probabilities times SCALE as uint16 (tiles, height, width), read as used.

    weight: how much the member counts in means
    """

    path: Path
    ids: list[str]
    values: Rows | np.ndarray
    weight: int = 1

    @classmethod
    def load(cls, path: Path | str, weight: int = 1) -> "Predictions":
        """Open a file of predictions; InputError if it is damaged."""
        file = HdfFile(path)
        ids = file.texts("id")
        values = file.rows("probability", np.uint16, (len(ids), None, None))
        return cls(file.path, ids, values, weight)


def load_all(
    paths: list[Path],
    ids: list[str],
    size: tuple[int, ...] | None = None,
    members: dict[str, int] | None = None,
) -> list[Predictions]:
    """Open members' predictions of some of the tiles ``ids``, which have that size if one is given.

    ``members`` are their weights, by name; None for equal ones. Raises InputError if a member's
    predictions are of no tile, of other tiles, of another size, or of no member.
    """
    return _require_tiles(_load(paths, members), ids, size)


def load_shards(
    paths: list[Path],
    ids: list[str],
    size: tuple[int, ...] | None = None,
    members: dict[str, int] | None = None,
) -> list[Predictions]:
    """Like ``load_all``, for members in several files each, some of them empty."""
    return _require_tiles([part for part in _load(paths, members) if part.ids], ids, size)


def _load(paths: list[Path], members: dict[str, int] | None) -> list[Predictions]:
    if members is None:
        return [Predictions.load(path) for path in paths]
    named = zip(paths, members_of(paths, members), strict=True)
    return [Predictions.load(path, members[name]) for path, name in named]


def _require_tiles(
    members: list[Predictions], ids: list[str], size: tuple[int, ...] | None
) -> list[Predictions]:
    for member in members:
        odd = sorted(set(member.ids) - set(ids))
        if odd or not member.ids:
            raise InputError(
                f"{member.path}: expected some of {len(ids)} tiles, found "
                f"{printable(odd[0]) if odd else 'none'}; {PREDICT_AGAIN}"
            )
        found = member.values.shape[1:]
        size = size or members[0].values.shape[1:]
        if found != size:
            raise InputError(
                f"{member.path}: expected tiles of {size[1]}x{size[0]} pixels, found "
                f"{found[1]}x{found[0]}; {PREDICT_AGAIN}"
            )
    return members


def save(
    path: Path | str, ids: list[str], shape: tuple[int, ...], batches: Iterable[np.ndarray]
) -> None:
    """Write batches of probabilities, float32 in [0, 1], to disk as they come, and the ids."""
    with writing(path) as file:
        file.put_table(pd.DataFrame({"id": ids}, dtype=str))
        shape = (len(ids), *shape)
        file.put_batches("probability", np.uint16, shape, map(quantise, batches))


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


def sum_values(
    members: list[Predictions], ids: list[str], chunk: int = 128
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Sum members' values tile by tile, in the order of ``ids`` and some tiles at a time.

    Returns the rows, the sums as uint32 (rows, height, width), each value times its member's
    weight, and the sum of the weights of each tile as int64 (rows); dividing by both that and SCALE
    gives the mean probability.
    """
    order = pd.Index(ids)
    found = []
    for member in members:
        index = order.get_indexer(member.ids)
        rows = np.argsort(index, kind="stable")
        found.append((member, rows, index[rows]))
    for start in range(0, len(ids), chunk):
        part = slice(start, min(start + chunk, len(ids)))
        total = np.zeros((part.stop - part.start, *members[0].values.shape[1:]), dtype=np.uint32)
        count = np.zeros(len(total), dtype=np.int64)
        for member, rows, index in found:
            first, last = np.searchsorted(index, [part.start, part.stop])
            here, values = index[first:last] - start, member.values[rows[first:last]]
            if member.weight != 1:
                values = values * np.uint32(member.weight)
            if len(here) == len(total):
                # As below without two copies.
                total += values
            else:
                total[here] += values
            count[here] += member.weight
        yield part, total, count


def mean_probabilities(
    members: list[Predictions], ids: list[str], chunk: int = 128
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield rows as in ``sum_values`` with their mean probabilities, float64."""
    for rows, total, count in sum_values(members, ids, chunk):
        yield rows, total / (count * SCALE)[:, None, None]


def predicted_rows(members: list[Predictions], ids: list[str]) -> np.ndarray:
    """Return rows in ``ids`` of the tiles that at least one member predicted, int64."""
    predicted = set().union(*(member.ids for member in members))
    return np.flatnonzero([name in predicted for name in ids])
