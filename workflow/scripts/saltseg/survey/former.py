"""What the members of a finished run learnt from, for members that start from them.

Compared by what is shown, not by name: a digest of each labelled tile or, of a volume, of each
labelled trace and the plane of its line.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from saltseg.core.errors import InputError, printable
from saltseg.survey.folds import masks_of_lines, read_folds
from saltseg.survey.lines import UNLABELLED, Lines
from saltseg.survey.tiles import Tiles

# Digests by the ids of tiles or, of a volume, of lines.
Shown = dict[str, set[str]]


def digests(tiles: Tiles, lines: Lines | None) -> Shown:
    """Return digests of what each labelled tile shows or, of a volume, each labelled line.

    Empty for a tile of a single grey value: it shows nothing, and surveys that have nothing else in
    common have black ones.
    """
    if lines is None:
        images = zip(tiles.ids, tiles.images[:], strict=True)
        return {name: {_digest(each)} if np.ptp(each) else set() for name, each in images}
    return digests_of_lines(lines)


def digests_of_lines(lines: Lines) -> Shown:
    """Return digests of the labelled traces of each line, with its plane."""
    found = {}
    for name, plane, file in lines.table[["id", "plane", "file"]].itertuples(index=False):
        amplitude, labels = lines[name]
        if file:
            # As long as in its file, whatever the length of others beside it.
            there = np.flatnonzero(~np.isnan(amplitude).all(axis=0))
            amplitude = amplitude[:, : there.max(initial=-1) + 1]
        labelled = amplitude[(labels != UNLABELLED).any(axis=1)]
        found[name] = {_digest(trace, plane) for trace in labelled}
    return found


def units_of(tiles: Tiles) -> pd.Series:
    """Return what of ``digests`` each tile belongs to: the tile itself, or its line."""
    return tiles.table["line" if "line" in tiles.table else "id"]


def _digest(values: np.ndarray, plane: str = "") -> str:
    data = plane.encode() + np.ascontiguousarray(values).tobytes()
    return hashlib.sha256(data).hexdigest()[:16]


@dataclass(frozen=True)
class Former:
    """The labelled tiles of a finished run, or the lines of one survey, and the folds they were in.

    run: its results folder, or that of a further survey in it
    shown: digests by id
    folds: by id
    """

    run: Path
    shown: Shown
    folds: dict[str, int]

    @classmethod
    def load_all(cls, run: Path, key: str = "training.start") -> list["Former"]:
        """Read what ``load`` does, and the further surveys of that run."""
        further = sorted(path.parents[1] for path in run.glob("surveys/*/data/folds.h5"))
        return [cls.load(each, key) for each in [run, *further]]

    @property
    def count(self) -> int:
        """The number of folds."""
        return len(set(self.folds.values()))

    @classmethod
    def load(cls, run: Path, key: str = "training.start") -> "Former":
        """Read a run that a key of the configuration names.

        Raises InputError if one of the files is missing or damaged.
        """
        files = {name: run / f"data/{name}.h5" for name in ("train", "folds", "lines")}
        for name in ("train", "folds"):
            if not files[name].is_file():
                raise InputError(
                    f"{key}: {files[name]}: no such file, so it is not known what its "
                    "members learnt from; keep all of a finished run's results"
                )
        tiles = Tiles(files["train"])
        lines = Lines(files["lines"]) if files["lines"].is_file() else None
        folds = read_folds(files["folds"], tiles.ids)["fold"].tolist()
        return cls(run, digests(tiles, lines), dict(zip(units_of(tiles), folds, strict=True)))

    def kept(self, shown: Shown) -> dict[str, int]:
        """Return the folds of tiles or lines that this run has, too, by id.

        Raises InputError for a line whose traces were in several folds.
        """
        owners: dict[str, list[str]] = {}
        for name in self.folds:
            for each in self.shown[name]:
                owners.setdefault(each, []).append(name)
        found = {}
        for name, own in shown.items():
            # Of several equal tiles, that of the same name.
            same = [sorted(owners[each], key=lambda other: other != name)[0]
                    for each in own & owners.keys()]  # fmt: skip
            folds = {self.folds[other] for other in same}
            # One that shows nothing is known by its name alone.
            if not own and self.shown.get(name) == own:
                folds = {self.folds[name]}
            if len(folds) > 1:
                raise InputError(
                    f"training.start: {printable(name)} was cut into pieces in {self.run}, which "
                    f"members held out separately (folds {', '.join(map(str, sorted(folds)))}); "
                    "set training.start to null"
                )
            if folds:
                found[name] = folds.pop()
        return found

    def learnt(self, scheme: str, seed: int) -> set[str]:
        """Return digests of all that a member of this run trained on and did not hold out."""
        names = list(self.folds)
        table = pd.DataFrame({"fold": [self.folds[name] for name in names]})
        trains, holds_out = masks_of_lines(table, scheme, seed)
        if scheme == "full":
            holds_out[:] = False
        return self._union(names, trains) - self._union(names, holds_out)

    def _union(self, names: list[str], chosen: np.ndarray) -> set[str]:
        return set().union(*(self.shown[name] for name in np.array(names)[chosen]))
