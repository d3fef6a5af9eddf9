"""What a reader of volumes in other containers than SEG-Y returns."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from saltseg.survey.grid import Grid


@dataclass(frozen=True)
class Container:
    """A volume to copy to SEG-Y.

    grid: numbers of lines, whole, and times or depths of samples
    unit: of samples: ms, m or ft
    positions: x and y of traces, float64 (2, inlines, crosslines), NaN where unknown
    read: returns the amplitudes of some inlines, by index, float32 (inlines, crosslines, samples);
        NaN where undefined, and all along a missing trace
    rows: inlines that are stored, and best read, together
    """

    grid: Grid
    unit: str
    positions: np.ndarray
    read: Callable[[slice], np.ndarray]
    rows: int = 32
