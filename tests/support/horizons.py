"""Picks of horizons on a small rotated grid, as other programs write them."""

from pathlib import Path

import numpy as np

from saltseg.survey.picks import Survey
from saltseg.survey.scan import HeaderSettings, scan
from support.segy_files import amplitudes, grid_numbers, write_segy

INLINES, CROSSLINES, SAMPLES = np.arange(100, 130, 2), np.arange(300, 340), 50
INLINE, CROSSLINE = grid_numbers(INLINES, CROSSLINES)
# A rotated grid, in whole metres.
X, Y = 5000 + 20 * INLINE + 15 * CROSSLINE, 90000 - 30 * INLINE + 10 * CROSSLINE


def surveyed(folder: Path, domain: str = "time") -> Survey:
    """Write a volume of 15 x 40 traces, with samples at 0 to 196 ms or m, and scan it."""
    path, values = folder / "volume.sgy", amplitudes(len(INLINE), SAMPLES)
    write_segy(path, values, INLINE, CROSSLINE, fields={(71, 2): 1, (181, 4): X, (185, 4): Y})
    return Survey(*scan(path, HeaderSettings(domain=domain))[::2])


def picks_on(inlines, crosslines, z) -> np.ndarray:
    """Rows of inline, crossline, x, y and z."""
    inline, crossline = grid_numbers(inlines, crosslines)
    z = np.broadcast_to(z, (len(inlines), len(crosslines))).ravel()
    x, y = 5000 + 20 * inline + 15 * crossline, 90000 - 30 * inline + 10 * crossline
    return np.column_stack([inline, crossline, x, y, z])


LINES = picks_on([104, 112], CROSSLINES[5:30], 40 + 4 * (np.arange(25) // 3))
DEEPER = picks_on([104, 112], CROSSLINES[5:30], 340)
ONLY = {"inline": 0, "crossline": 1, "x": 2, "y": 3, "z": 4}


def text(columns: str, rows=LINES, scale: float = 1, form: str = "{:.10g}") -> str:
    """Rows of some columns; z times a scale."""
    rows = rows * np.array([1, 1, 1, 1, scale])
    chosen = rows[:, [ONLY[name] for name in columns.split()]]
    return "".join(" ".join(map(form.format, row)) + "\n" for row in chosen)


def written(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def charisma(rows) -> str:
    return "".join(
        f"INLINE :{a:7.0f} XLINE :{b:7.0f} {x:14.2f}{y:14.2f}{z:12.4f}\n" for a, b, x, y, z in rows
    )


PETREL = "# Petrel Points with attributes\nVERSION 1\nBEGIN HEADER\nX\nY\nZ\nEND HEADER\n"
EARTHVISION = "# Type: scattered data\n# Field: 1 x\n# Field: 2 y\n# Field: 3 z\n# End:\n"
OPENDTECT = "# 1: Inline\n# 2: Crossline\n# 3: Z\n#-----------\n"
KINGDOM = "PROFILE Top TYPE 1  4 Kingdom ms\nSNAPPING PARAMETERS     5     0 1\n"

FORMATS = [
    text("inline crossline z"),
    text("z crossline inline"),
    text("x y z"),
    text("y z x"),
    text("inline crossline x y z"),
    text("inline crossline z", scale=-1),
    charisma(LINES),
    charisma(LINES * [1, 1, 1, 1, -1]),
    PETREL + text("x y z", scale=-1),
    EARTHVISION + text("x y z"),
    OPENDTECT + text("inline crossline z"),
    KINGDOM + text("x y z") + "EOD\n",
    "# comment\n! comment\n@ comment\n\n" + text("inline crossline z"),
    "Inline,Crossline,Z\n" + text("inline crossline z").replace(" ", ","),
    '"Crossline"\t"Inline"\t"Z"\n' + text("crossline inline z").replace(" ", "\t"),
    "IL;XL;horizon;TWT;Depth\n"
    + "".join(f"{a:.0f};{b:.0f};top;{z:g};{z:g}\n" for a, b, _, _, z in LINES),
    text("inline crossline z") + "100 301 1e30\n100 302 -999.25\n100 303 nan\n",
    text("inline crossline z").replace("\n", " top\n"),
    "\ufeffInline,Crossline,Z\r\n"
    + text("inline crossline z").replace(" ", ",").replace("\n", "\r\n"),
]  # fmt: skip
