"""How members and interpretation are fused and cut, and what to expect of it, by held-out lines.

Each labelled line is predicted as an unlabelled one will be: by members that held it out, in all
planes, smoothed across lines, and with the interpolation of the lines that those members saw.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

from saltseg.core.errors import InputError, rebuild_hint
from saltseg.core.sealed_json import read_sealed, write_sealed
from saltseg.ensemble.fusion import LOGITS, Fusion, Members, learn, typical
from saltseg.evaluation.held_out_lines import Counts, LinePredictions, count
from saltseg.survey.grid import PLANES, Grid
from saltseg.survey.interpolation import Interpolation
from saltseg.survey.lines import SALT, UNLABELLED, Lines, labels_by_line

THRESHOLDS = np.arange(0.3, 0.705, 0.01)  # between which a calibrated probability is to be cut
PULL = 10  # held-out lines that count as much as the expected threshold of 0.5
MOST_SAMPLES = 200_000  # of a line that are learnt from
SURE = 2.0  # logit beyond which members contradict a label: a probability of 0.88
SUSPECT = 0.3  # share of a line's salt that is contradicted, more than of a line that only differs
NONE = Counts(*[0] * 7)
WHY = "members contradict its label"


@dataclass(frozen=True)
class Calibration:
    """What calibration.json holds.

    fusion: of members and interpolation
    alone: of members where there is none, as in other volumes
    threshold, threshold_alone: samples with a probability above are salt
    smoothing: of what all of it was learnt on, ``volume.smoothing``
    """

    fusion: Fusion
    alone: Fusion
    threshold: float
    threshold_alone: float
    smoothing: float = 0

    @classmethod
    def load(cls, path: Path | str) -> "Calibration":
        """Read calibration.json; InputError if it is damaged or something else."""
        try:
            found = read_sealed(path)
            fusion, alone = (Fusion(**found.pop(name)) for name in ("fusion", "alone"))
            return cls(fusion, alone, **found)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{path}: expected calibration.json of a run on a volume ({error}); "
                f"{rebuild_hint(Path(path))}"
            ) from None

    def cut_at(self, threshold: float | None) -> "Calibration":
        """Return it with ``inference.threshold``, a threshold of the user's, if there is one."""
        if threshold is None:
            return self
        return replace(self, threshold=threshold, threshold_alone=threshold)

    def save(self, path: Path | str) -> None:
        """Write calibration.json; InputError for lack of disk space or permission."""
        write_sealed(path, asdict(self))


@dataclass(frozen=True)
class HeldOutLine:
    """A labelled line as members that held it out, and the other lines, have it.

    labels: uint8 (traces, samples)
    members: their mean logits by plane, float32 of that shape, NaN where missing
    distance: interpolated from the other lines, in standard deviations; 0 where there are none
    file: name of its SEG-Y file among several
    """

    id: str
    plane: str
    line: int
    labels: np.ndarray
    members: Members
    distance: np.ndarray
    file: str = ""

    @property
    def names(self) -> dict[str, str | int]:
        """What it is called in tables."""
        found = {"id": self.id, "plane": self.plane, "line": self.line}
        return found | ({"file": self.file} if self.file else {})

    @property
    def known(self) -> np.ndarray:
        """Where the line is labelled and predicted, bool (traces, samples)."""
        return (self.labels != UNLABELLED) & ~np.isnan(next(iter(self.members.values())))

    def sample(self) -> tuple[Members, np.ndarray, np.ndarray]:
        """Return members' logits, distances and salt of what is known, each (samples).

        Of long lines, evenly spread samples, for the sake of memory.
        """
        places = np.flatnonzero(self.known)
        places = places[:: -(-len(places) // MOST_SAMPLES) or 1]
        known = np.unravel_index(places, self.labels.shape)
        members = {plane: each[known] for plane, each in self.members.items()}
        return members, self.distance[known], self.labels[known] == SALT

    def logits(self, fusion: Fusion) -> np.ndarray:
        """Return the fused logits of salt, float32 (traces, samples)."""
        return fusion.logits(self.members, self.distance)

    def count(self, logits: np.ndarray, threshold: float) -> Counts:
        """Compare the labels with what logits above a threshold, a probability, mark."""
        labels = np.where(self.known, self.labels, UNLABELLED)
        return count(labels, logits > np.log(threshold / (1 - threshold)))

    def contradiction(self, fusion: Fusion) -> float:
        """Return how much members are sure of the contrary, as a share of all salt, 0 to 1."""
        logits, salt = self.logits(fusion), self.labels == SALT
        contrary = self.known & np.where(salt, logits < -SURE, logits > SURE)
        either = self.known & (salt | (logits > 0))
        return float(contrary.sum() / max(either.sum(), 1))


def hold_out(
    lines: Lines, grid: Grid | None, members: list[LinePredictions], honest: bool = True
) -> list[HeldOutLine]:
    """Return the lines that members held out, or trained on if not honest.

    These are left out of the interpolation: those that are held out together, or each for itself.
    Nothing is interpolated without a grid. Raises InputError if there is no line.
    """
    found = hold_out_alone(lines, members)
    if not found:
        raise InputError(f"{lines.path}: no member predicted any of these lines")
    if grid is None:
        return found
    interpolation = Interpolation(labels_by_line(lines, grid))
    rows = lines.table.set_index("id")
    index = {
        row.Index: (row.plane, grid.line_axis(row.plane).index(row.line))
        for row in rows.itertuples()
    }
    together = {name: [name] for name in index}
    for member in reversed(members) if honest else []:
        together |= dict.fromkeys(member.table["id"], member.table["id"])

    def interpolate(line: HeldOutLine) -> np.ndarray:
        others = interpolation.without({index[name] for name in together[line.id]})
        if not others:
            return line.distance
        axis, first = PLANES.index(line.plane), rows.loc[line.id, "first"]
        here = [slice(first, first + len(line.labels))] * 2
        here[axis] = slice(index[line.id][1], index[line.id][1] + 1)
        return others.distance(*here).squeeze(axis)

    return [replace(line, distance=interpolate(line)) for line in found]


def hold_out_alone(lines: Lines, members: list[LinePredictions]) -> list[HeldOutLine]:
    """Return the lines that members predicted, without any interpolation; there may be none."""
    found = []
    for row in lines.table.itertuples():
        of_line = [member for member in members if row.id in set(member.table["id"])]
        if not of_line:
            continue
        labels, values = lines[row.id][1], [member[row.id] for member in of_line]
        weights = np.array([member.weight for member in of_line], np.float32)
        logits = {
            plane: np.average([LOGITS[each[plane]] for each in values], axis=0, weights=weights)
            for plane in values[0]
        }
        distance = np.zeros(labels.shape, np.float32)
        line = HeldOutLine(row.id, row.plane, row.line, labels, logits, distance, row.file)
        found.append(line)
    return found


def calibrate(lines: list[HeldOutLine], honest: bool, interpolated: bool) -> Calibration:
    """Learn how to fuse and to cut; typical values where members trained on the lines.

    Nothing is learnt from suspect lines: a single wrong label would make all probabilities unsure.

    interpolated: whether to fuse members with interpolation at all
    """
    planes = lines[0].members
    usual = typical(planes, alone=True)
    odd = find_suspects([line.contradiction(usual) for line in lines])
    trusted = [line for line, is_odd in zip(lines, odd, strict=True) if honest and not is_odd]
    samples = [line.sample() for line in trusted]
    alone = learn(samples, usual)
    fusion = learn(samples, typical(planes)) if interpolated else alone
    thresholds = [choose_threshold(trusted, each) for each in (fusion, alone)]
    return Calibration(fusion, alone, *thresholds)


def find_suspects(contradictions: Sequence[float]) -> np.ndarray:
    """Return which lines' labels are suspect, bool (lines), by their ``contradiction``."""
    shares = np.asarray(contradictions)
    return (shares > SUSPECT) & (shares > 2 * np.median(shares))


def choose_threshold(lines: list[HeldOutLine], fusion: Fusion) -> float:
    """Return the threshold of the best IoU over all lines, pulled to 0.5 the more the fewer."""
    if not lines:
        return 0.5
    salt, marked, both = np.zeros((3, len(THRESHOLDS)))
    for line in lines:
        members, distance, truth = line.sample()
        probabilities = expit(fusion.logits(members, distance))
        # How many samples are above each threshold, of all and of salt.
        marked += len(truth) - np.searchsorted(np.sort(probabilities), THRESHOLDS, "right")
        inside = np.sort(probabilities[truth])
        both += len(inside) - np.searchsorted(inside, THRESHOLDS, "right")
        salt += len(inside)
    iou = both / np.maximum(salt + marked - both, 1)
    best = float(np.mean(THRESHOLDS[iou >= iou.max() - 1e-9]))
    return round((len(lines) * best + PULL * 0.5) / (len(lines) + PULL), 4)


def score_lines(lines: list[HeldOutLine], calibration: Calibration) -> tuple[pd.DataFrame, dict]:
    """Score each line, and members alone and interpolation on it.

    Return a row per line (id, plane, line, iou, dice, top_distance, salt_share, members_iou,
    interpolation_iou, contradiction, note) and the scores of all lines together; ``compared`` are
    those of the lines that interpolation has neighbours for.
    """
    counts, rows = [_count_all(line, calibration) for line in lines], []
    for line, found in zip(lines, counts, strict=True):
        rows.append(
            line.names
            | found["fused"].scores()
            | {f"{name}_iou": found[name].scores()["iou"] for name in ("members", "interpolation")}
            | {"contradiction": line.contradiction(calibration.fusion)}
        )
    table = pd.DataFrame(rows)
    table["note"] = np.where(find_suspects(table["contradiction"]), WHY, "")
    total = {name: sum((each[name] for each in counts), NONE) for name in counts[0]}
    together: dict = {"lines": len(rows), **total.pop("fused").scores()}
    together |= {name: each.scores() for name, each in total.items()}
    return table, together


def score_alone(lines: list[HeldOutLine], calibration: Calibration) -> tuple[pd.DataFrame, dict]:
    """Score each line of a survey that is not filled, by members alone.

    Return a row per line (id, plane, line, iou, dice, top_distance, salt_share) and the scores of
    all lines together.
    """
    rows, total = [], NONE
    for line in lines:
        found = line.count(calibration.alone.logits(line.members), calibration.threshold_alone)
        rows.append(line.names | found.scores())
        total += found
    return pd.DataFrame(rows), {"lines": len(rows), **total.scores()}


def _count_all(line: HeldOutLine, calibration: Calibration) -> dict[str, Counts]:
    """Compare a line's labels with what is delivered, and with what that is made of."""
    fused = line.count(line.logits(calibration.fusion), calibration.threshold)
    alone = calibration.alone.logits(line.members)
    interpolated = bool(line.distance.any())
    return {
        "fused": fused,
        "members": line.count(alone, calibration.threshold_alone),
        "compared": fused if interpolated else NONE,
        "interpolation": line.count(line.distance, 0.5) if interpolated else NONE,
    }
