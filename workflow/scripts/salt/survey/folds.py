"""Folds of the labelled tiles, and which of them a member trains on."""

import io
from pathlib import Path

import numpy as np
import pandas as pd

from salt.core import checksums
from salt.core.errors import InputError, raise_faults, shown
from salt.core.tables import read_csv

COVERAGE_CLASSES = 10


def coverage_class(coverage: np.ndarray) -> np.ndarray:
    """Class 0 for a mask without salt, then 1 to 10 by tenths of the tile that are salt."""
    return np.ceil(np.asarray(coverage) * COVERAGE_CLASSES).astype(np.int64)


def split(
    tiles: pd.DataFrame,
    *,
    folds: int,
    seed: int,
    stratified: bool,
    groups: np.ndarray | None = None,
) -> pd.DataFrame:
    """Deal tiles (columns id and coverage) to folds.

    Without groups the folds' sizes differ by one tile at most and, where ``stratified``, so do
    their counts of any coverage class. With groups, any values (tiles), all tiles of a group go to
    one fold, and the folds are at least as equal as groups dealt by chance are on average.

    Gives the columns id, coverage_class, group (only with groups) and fold (0 to folds - 1), in the
    order of ``tiles``. Raises InputError for fewer tiles, or groups, than folds.
    """
    many, what = (len(tiles), "labelled tiles")
    if groups is not None:
        many, what = len(np.unique(groups)), "groups of labelled tiles"
    if many < folds:
        raise InputError(
            f"validation.folds is {folds}, but there are only {many} {what}; "
            "set it to that many or fewer"
        )
    random = np.random.default_rng(seed)
    classes = coverage_class(tiles["coverage"])
    strata = classes if stratified else np.zeros_like(classes)
    table = {"id": tiles["id"], "coverage_class": classes}
    if groups is None:
        fold = _deal_tiles(strata, folds, random)
    else:
        table["group"] = groups
        fold = _deal_groups(strata, groups, folds, random)
    return pd.DataFrame({**table, "fold": fold})


def _deal_tiles(strata: np.ndarray, folds: int, random: np.random.Generator) -> np.ndarray:
    """One tile to each fold in turn, stratum after stratum."""
    shuffled = random.permutation(len(strata))
    by_stratum = shuffled[np.argsort(strata[shuffled], kind="stable")]
    fold = np.empty(len(strata), dtype=np.int64)
    fold[by_stratum] = np.arange(len(strata)) % folds
    return fold


def _deal_groups(
    strata: np.ndarray, groups: np.ndarray, folds: int, random: np.random.Generator
) -> np.ndarray:
    """Largest group first, each to the fold that has least of what the group is made of."""
    counts = pd.crosstab(groups, strata)
    # Shuffled before it is sorted, so that the seed decides among equals.
    counts = counts.iloc[random.permutation(len(counts))]
    counts = counts.iloc[np.argsort(-counts.sum(axis=1).to_numpy(), kind="stable")]
    share = counts.to_numpy() / counts.sum().to_numpy()
    dealt, sizes, fold_of = np.zeros((folds, share.shape[1])), np.zeros(folds), {}
    for group, made_of, size in zip(counts.index, share, counts.sum(axis=1), strict=True):
        # The rise of the sum of squares of all folds' shares, but for what is equal in each fold.
        chosen = np.lexsort((sizes, (dealt @ made_of).round(9)))[0]
        fold_of[group] = chosen
        dealt[chosen] += made_of
        sizes[chosen] += size
    return pd.Series(groups).map(fold_of).to_numpy(dtype=np.int64)


def read_groups(path: Path | str, column: str, ids: list[str]) -> np.ndarray:
    """Group of each tile as text (ids), from a CSV file with the columns id and ``column``.

    Raises InputError where the file, a column or a tile is missing, or a tile is there twice.
    """
    try:
        data = io.BytesIO(checksums.read(path))
        table = pd.read_csv(data, dtype=str, keep_default_na=False)
    except checksums.DamagedError:
        raise
    except OSError as error:
        raise InputError(f"validation.groups: {path}: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path}: not a readable table ({str(error).strip()})") from None
    if not {"id", column} <= set(table.columns):
        raise InputError(
            f"{path}: expected the columns id and {column}, found {','.join(table.columns)}; "
            "validation.group_column names the one to group by"
        )
    table = table[table["id"].isin(set(ids))]
    twice = table["id"][table["id"].duplicated()].unique()
    faults = [f"{path}: tile {name} is there more than once" for name in twice]
    known = table["id"][table[column] != ""]
    faults += [f"{path}: no {column} for tile {name}" for name in sorted({*ids} - {*known})]
    raise_faults("Groups", faults)
    return table.set_index("id", drop=False)[column].loc[ids].to_numpy()


def read_folds(path: Path | str, ids: list[str]) -> pd.DataFrame:
    """Folds as ``split`` gave them; InputError where they are damaged, or those of other tiles."""
    mend = "delete it to deal the tiles anew"
    folds = read_csv(path, mend, dtype={"id": str}, keep_default_na=False)
    if not {"id", "fold"} <= set(folds.columns):
        found = shown(",".join(map(str, folds.columns)))
        raise InputError(f"{path}: expected the columns id and fold, found {found}; {mend}")
    if folds["id"].tolist() != ids:
        odd = sorted(set(folds["id"]) ^ set(ids))
        found = f"different in {shown(odd[0])}" if odd else "in another order or doubled"
        raise InputError(
            f"{path}: expected the {len(ids)} labelled tiles, found {len(folds)} rows, {found}; "
            f"{mend}"
        )
    numbers = folds["fold"].unique().tolist()
    if len(numbers) < 2 or set(numbers) != set(range(len(numbers))):
        raise InputError(
            f"{path}: expected folds 0, 1 and so on, found {shown(str(numbers))}; {mend}"
        )
    return folds


def roles(folds: pd.DataFrame, scheme: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Which tiles the member of a seed trains on, and validates on; both bool (tiles).

    ``kfold``: it holds out fold seed mod k and trains on the others. ``holdout``: every member
    holds out fold 0. ``full``: it trains on all tiles and validates on the same, so that no score
    of it is honest.
    """
    fold = folds["fold"].to_numpy()
    if scheme == "full":
        return np.ones(len(fold), dtype=bool), np.ones(len(fold), dtype=bool)
    out = fold == (seed % (fold.max() + 1) if scheme == "kfold" else 0)
    return ~out, out


def is_honest(scheme: str) -> bool:
    """Whether members are scored on tiles that they did not train on."""
    return scheme != "full"
