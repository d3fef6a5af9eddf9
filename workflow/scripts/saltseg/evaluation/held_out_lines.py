"""Scores of whole lines by members that held them out: overlap, and the distance of top salt."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from saltseg.core.hdf import HdfFile, writing
from saltseg.core.quantisation import quantise
from saltseg.survey.lines import SALT, UNLABELLED, Lines, lengthen

COLUMNS = {"id": str, "start": np.int64, "stop": np.int64}


def save_predictions(
    path: Path,
    lines: Lines,
    names: list[str],
    probabilities: Iterable[dict[str, np.ndarray]],
    planes: Iterable[str],
) -> None:
    """Write probabilities of each line, float32 (traces, samples) by plane, as they come.

    Raises InputError for lack of disk space or permission.
    """
    rows = lines.table.set_index("id").loc[names]
    traces = (rows["stop"] - rows["start"]).to_numpy()
    stops = traces.cumsum()
    planes, samples = list(planes), lines.labels.shape[1]
    shape = (int(traces.sum()), len(planes), samples)
    stacked = (np.stack([each[plane] for plane in planes], axis=1) for each in probabilities)
    stacked = (lengthen(each, samples, np.nan) for each in stacked)
    with writing(path) as file:
        file.put_table(
            pd.DataFrame(
                {"id": pd.Series(names, dtype=str), "start": stops - traces, "stop": stops}
            )
        )
        file.put_table(pd.DataFrame({"plane": planes}))
        file.put_batches("probability", np.uint16, shape, map(quantise, stacked))


class LinePredictions:
    """A member's probabilities of the lines it held out.

    table: id of each line, and the rows ``start`` to ``stop`` of its traces
    planes: names of the planes that they were predicted in
    values: uint16 (traces, planes, samples), as in ``core.quantisation``, read as used
    weight: how much the member counts in means
    """

    def __init__(self, path: Path | str, weight: int = 1):
        """Open an HDF5 file; InputError if it is damaged."""
        self.path, self.weight = Path(path), weight
        file = HdfFile(path)
        self.table = file.table(COLUMNS)
        # None of a further survey that is only trained on.
        traces, self.planes = int(max(self.table["stop"], default=0)), file.texts("plane")
        shape = (traces, len(self.planes), None)
        self.values = file.rows("probability", np.uint16, shape)

    def __getitem__(self, name: str) -> dict[str, np.ndarray]:
        """Return a line's values by plane, uint16 (traces, samples), by its id."""
        row = self.table.set_index("id").loc[name]
        values = self.values[int(row["start"]) : int(row["stop"])]
        return {plane: values[:, number] for number, plane in enumerate(self.planes)}


def load_members(paths: list[Path], weights: list[int] | None = None) -> list[LinePredictions]:
    """Open the predictions of the members that weigh more than nothing, by default the same."""
    weighted = zip(paths, weights or [1] * len(paths), strict=True)
    return [LinePredictions(path, weight) for path, weight in weighted if weight]


@dataclass(frozen=True)
class Counts:
    """Counts that lines are scored by; those of several lines add up.

    pixels, salt, marked, both: labelled pixels, those of salt, those marked, those that are both
    traces: labelled traces with salt that is marked and salt that is there
    one_sided: labelled traces with salt in only one of the two
    distance: sum over ``traces`` of the distance of the two tops of salt, in samples
    """

    pixels: int
    salt: int
    marked: int
    both: int
    traces: int
    one_sided: int
    distance: int

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(a + b for a, b in zip(self._all(), other._all(), strict=True)))

    def _all(self) -> tuple[int, ...]:
        return tuple(vars(self).values())

    def scores(self) -> dict[str, float | None]:
        """Return intersection over union, Dice, and the mean distance of the tops in samples.

        None if there is nothing to divide by: no salt, neither marked nor there.
        """
        union = self.salt + self.marked - self.both
        return {
            "iou": self.both / union if union else None,
            "dice": 2 * self.both / (self.salt + self.marked) if union else None,
            "top_distance": self.distance / self.traces if self.traces else None,
            "salt_share": self.salt / self.pixels if self.pixels else None,
        }


def count(labels: np.ndarray, marked: np.ndarray) -> Counts:
    """Compare labels, uint8 (traces, samples), with marked salt, bool of the same shape.

    Unlabelled pixels do not count; a top of salt is compared where a trace is labelled all along.
    """
    known = labels != UNLABELLED
    salt, marked = (labels == SALT) & known, marked & known
    whole = known.all(axis=1)
    has, found = salt[whole].any(axis=1), marked[whole].any(axis=1)
    tops = [each[whole][has & found].argmax(axis=1) for each in (salt, marked)]
    return Counts(
        int(known.sum()),
        int(salt.sum()),
        int(marked.sum()),
        int((salt & marked).sum()),
        int((has & found).sum()),
        int((has ^ found).sum()),
        int(np.abs(tops[0] - tops[1]).sum()),
    )
