"""The regular grid of a volume: numbers of its lines, and times or depths of its samples."""

from dataclasses import dataclass

import numpy as np

INLINE, CROSSLINE = "inline", "crossline"
# In the order of a volume's axes.
PLANES = (INLINE, CROSSLINE)
DIMENSIONS = (*PLANES, "sample")


@dataclass(frozen=True)
class Axis:
    """Evenly spaced numbers of lines, or times or depths of samples."""

    first: float
    step: float
    count: int

    @property
    def last(self) -> float:
        return self.first + self.step * (self.count - 1)

    def numbers(self) -> np.ndarray:
        """Return all numbers: (count), int64 where first and step are whole, or float64."""
        return self.first + self.step * np.arange(self.count)

    def index(self, number: float) -> int:
        """Return the index of a number; KeyError where there is none."""
        index = round((number - self.first) / self.step)
        if not 0 <= index < self.count or self.first + self.step * index != number:
            raise KeyError(number)
        return index

    def __str__(self) -> str:
        if self.count == 1:
            return f"{self.first:g}"
        return f"{self.first:.10g} to {self.last:.10g}, step {self.step:g}"


@dataclass(frozen=True)
class Grid:
    """A volume's axes.

    inlines, crosslines: whole numbers; steps are positive
    samples: in milliseconds or metres, from the delay of the first trace
    """

    inlines: Axis
    crosslines: Axis
    samples: Axis

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.inlines.count, self.crosslines.count, self.samples.count

    @property
    def axes(self) -> tuple[Axis, Axis, Axis]:
        """The axes in the order of ``DIMENSIONS``."""
        return self.inlines, self.crosslines, self.samples

    def line_axis(self, plane: str) -> Axis:
        """Return the numbers of a plane's lines."""
        return self.axes[PLANES.index(plane)]

    def trace_axis(self, plane: str) -> Axis:
        """Return the numbers of the traces along each line of a plane."""
        return self.axes[1 - PLANES.index(plane)]
