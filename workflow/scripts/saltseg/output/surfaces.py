"""Top and base of salt as tables: a row per trace with salt, ready to load as a surface.

Columns: inline and crossline, their numbers; x and y, empty if they are not known; z, the time
or depth of the first salt sample from above (top) or from below (base), in the source's unit; and
thickness, that of all salt in the trace, in the same unit.

``top_salt.csv`` and ``base_salt.csv`` are of all salt. ``surfaces/body_N_top.dat`` and
``body_N_base.dat`` are of each of the largest bodies, with columns separated by blanks, the unit in
the header, and ``picked``: 1 where a labelled line gives the surface, 0 where members do. Where
labels are horizons, ``surfaces/like_labels`` has the same in their format.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from saltseg.core.files import replacing, replacing_folder
from saltseg.output.horizon_format import HorizonFormat
from saltseg.survey.grid import Grid

COLUMNS = ["inline", "crossline", "x", "y", "z", "thickness"]
MOST_BODIES = 100  # that have surfaces of their own
SIDES = ("top", "base")
LIKE_LABELS = "like_labels"


def find_surfaces(
    salt: np.ndarray, step: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Find top and base of salt, bool (inlines, crosslines, samples), a sample each ``step``.

    Return which traces have salt as bool (inlines, crosslines), and of these the indices of the
    first and of the last salt sample as int64, and the thickness as float64.
    """
    has = np.any(salt, axis=2)
    found = salt[has]
    top = found.argmax(axis=1)
    base = found.shape[1] - 1 - found[:, ::-1].argmax(axis=1)
    return has, top, base, found.sum(axis=1) * step


def tabulate(
    grid: Grid, positions: np.ndarray, part: tuple[slice, slice], salt: np.ndarray
) -> list[pd.DataFrame]:
    """Return the tables of top and base of some traces.

    Args:
        positions: x and y, float64 (2, inlines, crosslines), NaN if unknown.
        part: inlines and crosslines, by index.
        salt: bool (inlines, crosslines, samples) of that part.
    """
    step = grid.samples.step if grid.samples.count > 1 else 1.0
    has, top, base, thickness = find_surfaces(salt, step)
    x, y = positions[:, *part][:, has]
    inline, crossline = np.nonzero(has)
    columns = {
        "inline": grid.inlines.numbers()[part[0]][inline],
        "crossline": grid.crosslines.numbers()[part[1]][crossline],
        "x": x,
        "y": y,
    }
    numbers = grid.samples.numbers().astype(np.float64)
    return [
        pd.DataFrame({**columns, "z": numbers[sample], "thickness": thickness})
        for sample in (top, base)
    ]


class SurfaceWriter:
    """Writes tables of all salt, and of each large body, as blocks of the volume come."""

    def __init__(
        self,
        files: tuple[Path, Path],
        folder: Path,
        grid: Grid,
        unit: str,
        positions: np.ndarray,
        formats: Sequence[HorizonFormat],
    ):
        """``files`` are of top and base; ``folder`` is that of the bodies."""
        self._files, self._folder, self._unit = files, folder, unit
        self._grid, self._positions = grid, positions
        # That of tops is also that of bases if there is no other.
        self._formats = {side: formats[-1] for side in SIDES if formats}
        self._formats |= dict(zip(SIDES, formats, strict=False))
        self._others: dict[Path, HorizonFormat] = {}
        for path in files:
            pd.DataFrame(columns=COLUMNS).to_csv(path, index=False)

    def add(self, part: tuple[slice, slice], bodies: np.ndarray, picked: np.ndarray) -> None:
        """Add the rows of some traces, by index.

        Args:
            bodies: uint16 (inlines, crosslines, samples), 0 for other rock.
            picked: which traces are labelled, bool (inlines, crosslines).
        """
        tables = tabulate(self._grid, self._positions, part, bodies > 0)
        for path, table in zip(self._files, tables, strict=True):
            table.to_csv(path, index=False, header=False, mode="a", float_format="%.10g")
        for number in np.unique(bodies[(bodies > 0) & (bodies <= MOST_BODIES)]).tolist():
            tables = tabulate(self._grid, self._positions, part, bodies == number)
            labelled = picked[(bodies == number).any(axis=2)].astype(int)
            for side, table in zip(SIDES, tables, strict=True):
                name = f"body_{number}_{side}"
                self._add_to_body(name, table.assign(picked=labelled))
                if side in self._formats:
                    self._add_like_labels(name, table, self._formats[side])

    def finish(self) -> None:
        """Write what follows the last rows."""
        for path, like in self._others.items():
            with open(path, "a", encoding="utf-8") as file:
                file.write(like.tail)

    def _add_like_labels(self, name: str, table: pd.DataFrame, like: HorizonFormat) -> None:
        path = self._folder / LIKE_LABELS / f"{name}{like.suffix}"
        path.parent.mkdir(exist_ok=True)
        with open(path, "a", encoding="utf-8") as file:
            file.write(("" if path in self._others else like.head) + like.rows(table))
        self._others[path] = like

    def _add_to_body(self, name: str, table: pd.DataFrame) -> None:
        path = self._folder / f"{name}.dat"
        units = {name: f"{name}_{self._unit}" for name in ("z", "thickness")}
        table.rename(columns=units).to_csv(
            path, sep=" ", index=False, header=not path.exists(), mode="a", float_format="%.10g",
            na_rep="nan",
        )  # fmt: skip


@contextmanager
def writing_surfaces(
    files: tuple[Path, Path],
    folder: Path,
    grid: Grid,
    unit: str,
    positions: np.ndarray,
    formats: Sequence[HorizonFormat] = (),
) -> Iterator[SurfaceWriter]:
    """Yield the tables to add blocks to, which replace the old ones once complete.

    ``formats`` are those of the labels' top and base, if they are horizons.

    Raises InputError for lack of disk space or permission.
    """
    with (
        replacing(files[0]) as top,
        replacing(files[1]) as base,
        replacing_folder(folder) as part,
    ):
        part.mkdir(exist_ok=True)
        writer = SurfaceWriter((top, base), part, grid, unit, positions, formats)
        yield writer
        writer.finish()
