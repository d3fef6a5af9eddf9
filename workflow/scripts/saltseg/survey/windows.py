"""How sections larger than a tile are cut to windows, without a seam.

A section is cut to cores, side by side on a grid that depends on its size alone. Each core is
predicted within a larger window, whose margin is thrown away: there a network sees a border that
the section does not have.
"""

from dataclasses import dataclass

GRID = 32  # pixels; cores end at multiples of it, as the chunks of volumes do
LEAST = 3  # margins in a window; less would be spent on margins all but alone


@dataclass(frozen=True)
class Windows:
    """How sections are cut.

    window: pixels a side of the largest window, about; a section that is no larger is not cut
    margin: pixels that are thrown away at each side of a window but at the section's own ends
    """

    window: int
    margin: int

    @classmethod
    def at_least(cls, window: int, margin: int) -> "Windows":
        """Return windows of the requested size, or larger if the margin needs it."""
        return cls(max(window, LEAST * margin, GRID), margin)

    def core(self, side: int) -> int:
        """Return the pixels of a core along a side of so many, a multiple of ``GRID``."""
        parts = 0
        while True:
            parts += 1
            core = -(-side // (parts * GRID)) * GRID
            # The first and the last one have one margin only.
            margins = min(parts - 1, 2) * self.margin
            if min(core, side) + margins <= self.window:
                return core

    def cores(self, side: int) -> list[slice]:
        """Cut a side to cores, the last of which may be smaller than the others."""
        core = self.core(side)
        return [slice(start, min(start + core, side)) for start in range(0, side, core)]

    def around(self, core: slice, side: int, padding: tuple[int, int], step: int) -> slice:
        """Return the window around a core, which may begin before the side and end after it.

        It begins and ends a whole number of steps from where the padded side begins.
        """
        before, after = padding
        start = max(core.start + before - self.margin, 0)
        stop = min(core.stop + before + self.margin, before + side + after)
        start, stop = start - start % step, stop + -stop % step
        return slice(start - before, stop - before)
