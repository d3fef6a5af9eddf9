"""The Zarr store of a volume that a run of this project imported, ``data/volume.zarr``.

Its unit, and x and y of its traces, are those of ``geometry.json`` and ``traces.h5`` beside it, if
they are there.
"""

from pathlib import Path

import numpy as np

from saltseg.core.errors import InputError
from saltseg.survey.container import Container
from saltseg.survey.geometry import Geometry, load_positions
from saltseg.survey.grid import Axis, Grid
from saltseg.survey.volume import Volume


def open_zarr(path: Path) -> Container:
    """Open a store; InputError if it is missing, damaged or something else."""
    volume = Volume(path)
    grid = Grid(*map(_axis, volume.coordinates()))
    unit, positions = "ms", np.full((2, *grid.shape[:2]), np.nan)
    beside = path.absolute().parent
    if (beside / "geometry.json").exists():
        geometry = Geometry.load(beside / "geometry.json")
        if geometry.shape != grid.shape:
            raise InputError(f"{beside / 'geometry.json'}: of another volume than {path}; move one")
        unit = geometry.unit
        if (beside / "traces.h5").exists():
            positions = load_positions(beside / "traces.h5", geometry)

    def read(inlines: slice) -> np.ndarray:
        return volume.read(inlines).astype(np.float32) * np.float32(volume.clip)

    return Container(grid, unit, positions, read)


def _axis(numbers: np.ndarray) -> Axis:
    first, *others = numbers.tolist()
    return Axis(first, others[0] - first if others else 1, len(numbers))
