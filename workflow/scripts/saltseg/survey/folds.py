"""Folds of the labelled tiles, and the training and validation tiles of each member."""

from pathlib import Path

import numpy as np
import pandas as pd

from saltseg.core.errors import InputError, printable, raise_faults
from saltseg.core.hdf import HdfFile
from saltseg.core.tables import TEXTS, read_csv

COVERAGE_CLASSES = 10
# What helps where there cannot be two folds, by whether any tile may be held out alone.
TOO_FEW = {
    True: "label more, since members are scored on tiles they did not train on",
    False: "name another column by validation.group_column, or set validation.groups to null",
}


def coverage_class(coverage: np.ndarray) -> np.ndarray:
    """Return coverage classes, int64: 0 without salt, then 1 to 10 by tenths of the tile."""
    return np.ceil(np.asarray(coverage) * COVERAGE_CLASSES).astype(np.int64)


def split(
    tiles: pd.DataFrame,
    *,
    folds: int,
    seed: int,
    stratified: bool,
    groups: np.ndarray | None = None,
    kept: np.ndarray | None = None,
) -> pd.DataFrame:
    """Assign tiles (columns id and coverage) to folds, but for those whose fold is ``kept``.

    Without groups, fold sizes differ by at most one tile, and so do the counts of each coverage
    class if ``stratified``. With groups, any values (tiles), each group stays in one fold, and the
    folds are at least as balanced as an average random assignment of groups. Kept folds are int64
    (tiles), -1 for none, and those of a group are its own; others even them out.

    Return the columns id, coverage_class, group (only with groups) and fold (0 to folds - 1), in
    the order of ``tiles``. Raises InputError for fewer tiles, or groups, than folds, and for folds
    that would have none.
    """
    many, what = (len(tiles), "labelled tiles")
    if groups is not None:
        many, what = len(np.unique(groups)), "groups of labelled tiles"
    if many < folds and kept is None:
        remedy = "set it to that many or fewer" if many > 1 else TOO_FEW[groups is None]
        raise InputError(f"validation.folds is {folds}, but there are only {many} {what}; {remedy}")
    random = np.random.default_rng(seed)
    classes = coverage_class(tiles["coverage"])
    strata = classes if stratified else np.zeros_like(classes)
    table = {"id": tiles["id"], "coverage_class": classes}
    fold = np.full(len(tiles), -1) if kept is None else kept.copy()
    if groups is not None:
        table["group"] = groups
        fold = _keep_groups(fold, groups)
    rest = fold < 0
    if groups is None:
        order = np.argsort(np.bincount(fold[~rest], minlength=folds), kind="stable")
        fold[rest] = order[_deal_tiles(strata[rest], folds, random)]
    elif rest.any():
        fold = _deal_groups(strata, groups, fold, folds, random)
    _refuse_empty(fold, folds)
    return pd.DataFrame({**table, "fold": fold})


def _keep_groups(kept: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return kept folds, int64 (tiles), with that of any of its tiles for a whole group.

    Raises InputError if a group has tiles of several.
    """
    known = pd.Series(kept[kept >= 0]).groupby(groups[kept >= 0])
    for name, many in known.nunique().items():
        if many > 1:
            raise InputError(
                f"training.start: tiles of group {printable(str(name))} are in {many} folds there; "
                "use the groups of that run, or set training.start to null"
            )
    return pd.Series(groups).map(known.first()).fillna(-1).to_numpy(dtype=np.int64)


def _refuse_empty(fold: np.ndarray, folds: int) -> None:
    """Raise InputError if a fold has no tile, whose members would be scored on nothing."""
    empty = sorted({*range(folds)} - {*fold.tolist()})
    if empty:
        named = f"fold{'s' * (len(empty) > 1)} {', '.join(map(str, empty))}"
        raise InputError(
            f"training.start: all that was in {named} of {folds} there is no longer labelled, and "
            f"too little is new, so members that held it out would be scored on nothing; label "
            "some of it again, or more, or set training.start to null"
        )


def _deal_tiles(strata: np.ndarray, folds: int, random: np.random.Generator) -> np.ndarray:
    """Deal tiles to folds in turn, one stratum after another."""
    shuffled = random.permutation(len(strata))
    by_stratum = shuffled[np.argsort(strata[shuffled], kind="stable")]
    fold = np.empty(len(strata), dtype=np.int64)
    fold[by_stratum] = np.arange(len(strata)) % folds
    return fold


def _deal_groups(
    strata: np.ndarray,
    groups: np.ndarray,
    kept: np.ndarray,
    folds: int,
    random: np.random.Generator,
) -> np.ndarray:
    """Assign groups, largest first, to the fold with the fewest tiles of the group's strata.

    Those with folds that are ``kept``, int64 (tiles), -1 for none, are there already.
    """
    counts = pd.crosstab(groups, strata)
    # Shuffle before the stable sort, so that the seed breaks ties.
    counts = counts.iloc[random.permutation(len(counts))]
    counts = counts.iloc[np.argsort(-counts.sum(axis=1).to_numpy(), kind="stable")]
    share = counts.to_numpy() / counts.sum().to_numpy()
    dealt, sizes = np.zeros((folds, share.shape[1])), np.zeros(folds)
    fold_of = dict(zip(groups[kept >= 0], kept[kept >= 0], strict=True))
    # Those that are kept first; a stable sort leaves the others in their order.
    order = sorted(range(len(counts)), key=lambda row: counts.index[row] not in fold_of)
    for row in order:
        group, made_of, size = counts.index[row], share[row], counts.iloc[row].sum()
        # Increase of the sum of squared shares over all folds, less the terms equal for every fold.
        least = np.lexsort((sizes, (dealt @ made_of).round(9)))[0]
        chosen = fold_of.setdefault(group, least)
        dealt[chosen] += made_of
        sizes[chosen] += size
    return pd.Series(groups).map(fold_of).to_numpy(dtype=np.int64)


def read_groups(path: Path | str, column: str, ids: list[str]) -> np.ndarray:
    """Read the group of each tile, str (ids), from a CSV file with the columns id and ``column``.

    Raises InputError if the file, a column or a tile is missing, or a tile is repeated.
    """
    remedy = f"set validation.groups to a CSV file with the columns id and {column}"
    table = read_csv(path, remedy, **TEXTS)
    if not {"id", column} <= set(table.columns):
        raise InputError(
            f"{path}: expected the columns id and {column}, found {','.join(table.columns)}; "
            "validation.group_column names the one to group by"
        )
    table = table[table["id"].isin(set(ids))]
    twice = table["id"][table["id"].duplicated()].unique()
    faults = [f"{path}: tile {name} appears more than once" for name in twice]
    known = table["id"][table[column] != ""]
    faults += [f"{path}: no {column} for tile {name}" for name in sorted({*ids} - {*known})]
    raise_faults("Groups", faults)
    return table.set_index("id", drop=False)[column].loc[ids].to_numpy()


def read_folds(path: Path | str, ids: list[str]) -> pd.DataFrame:
    """Read folds written by ``split``; raise InputError if damaged or not of the tiles ``ids``."""
    remedy = "delete it to assign the folds again"
    folds = HdfFile(path).table({"id": str, "fold": np.int64})
    if folds["id"].tolist() != ids:
        odd = sorted(set(folds["id"]) ^ set(ids))
        found = f"different in {printable(odd[0])}" if odd else "in another order or duplicated"
        raise InputError(
            f"{path}: expected the {len(ids)} labelled tiles, found {len(folds)} rows, {found}; "
            f"{remedy}"
        )
    numbers = folds["fold"].unique().tolist()
    if set(numbers) != set(range(len(numbers))):
        raise InputError(
            f"{path}: expected folds 0, 1 and so on, found {printable(str(numbers))}; {remedy}"
        )
    return folds


def train_valid_masks(folds: pd.DataFrame, scheme: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return masks of a member's training and validation tiles, both bool (tiles).

    ``kfold``: hold out fold seed mod k and train on the others. ``holdout``: every member holds
    out fold 0. ``full``: train and validate on all tiles, so that no score is honest.

    Raises InputError if there is nothing else than what would be held out.
    """
    fold = folds["fold"].to_numpy()
    if scheme == "full":
        return np.ones(len(fold), dtype=bool), np.ones(len(fold), dtype=bool)
    if not fold.any():
        raise InputError("folds.h5 has one fold, as for validation.scheme full; delete it")
    out = fold == (seed % (fold.max() + 1) if scheme == "kfold" else 0)
    return ~out, out


def masks_of_lines(folds: pd.DataFrame, scheme: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the same masks of a further survey, of which a single fold is only trained on."""
    if scheme != "full" and not folds["fold"].any():
        return np.ones(len(folds), dtype=bool), np.zeros(len(folds), dtype=bool)
    return train_valid_masks(folds, scheme, seed)


def is_honest(scheme: str) -> bool:
    """Return whether members are scored only on tiles they did not train on."""
    return scheme != "full"
