"""What a run on a volume is worth, in words: for its summary and its page."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from saltseg.core.errors import InputError
from saltseg.core.metric import expected_scores
from saltseg.core.tables import read_csv
from saltseg.survey.lines import count_lines

REMEDY = "delete it to rebuild it"
VOLUME_FILES = (
    "scores.json, lines.csv, next_lines.csv and volume.json of a volume, the last one of each 2-D "
    "line, and surveys.csv if there are further surveys"
)
NEXT = 3  # lines to interpret next that are named


@dataclass(frozen=True)
class VolumeResults:
    """The results of a run on a volume.

    scores: scores.json, of held-out lines together
    lines: lines.csv, of each held-out line
    filled: volume.json, of the filled volume, or of each 2-D line by its name
    next: next_lines.csv, lines to interpret next
    surveys: surveys.csv, of further surveys, if there are any
    """

    scores: dict
    lines: pd.DataFrame
    filled: dict[str, dict]
    next: pd.DataFrame
    surveys: pd.DataFrame | None = None

    @classmethod
    def load(cls, files: list[Path]) -> "VolumeResults":
        """Read the files, known by their names; InputError if one is damaged."""
        filled = {path.parent.name: _read(path) for path in files if path.name == "volume.json"}
        found: dict[str, Any] = {
            path.name: _read(path) if path.suffix == ".json" else read_csv(path, REMEDY, "table")
            for path in files
            if path.name != "volume.json"
        }
        read = (found[name] for name in ("scores.json", "lines.csv"))
        return cls(*read, filled, found["next_lines.csv"], found.get("surveys.csv"))

    @cached_property
    def facts(self) -> dict:
        """What volume.json says, of 2-D lines together."""
        found = [*self.filled.values()]
        if not self.of_lines:
            return found[0]
        counts = {key: sum(each["counts"][key] for each in found) for key in found[0]["counts"]}
        bodies = sum(each["bodies"] for each in found)
        return found[0] | expected_scores(**counts) | {"bodies": bodies}

    @property
    def of_lines(self) -> bool:
        """Whether 2-D lines are filled, each with a page of its own."""
        return "file" in self.lines

    @property
    def unlabelled(self) -> dict[str, str]:
        """The IoU to expect of each 2-D line without a label, by its name."""
        return {
            name: format_score(facts["expected_iou"])
            for name, facts in self.filled.items()
            if not facts["labelled"]
        }

    @property
    def expected(self) -> str:
        """The IoU to expect of unlabelled lines, perhaps as a range.

        Where each 2-D line is labelled, that of held-out lines.
        """
        if self._is_labelled:
            return format_score(self.scores["iou"])
        most = self.facts["expected_iou"]
        return f"{self.scores['iou']:.2f} to {most:.2f}" if self._is_range else format_score(most)

    @property
    def _is_labelled(self) -> bool:
        """Whether nothing is left to expect anything of."""
        return self.of_lines and self.facts["expected_iou"] is None

    @property
    def _is_range(self) -> bool:
        """Whether no held-out line lies between others, to calibrate what probabilities promise."""
        least, most = self.scores["iou"], self.facts["expected_iou"]
        few = self.scores["honest"] and self.scores["interpolation"]["iou"] is None
        return few and least is not None and most is not None and least < most

    @property
    def meaning(self) -> str:
        """What the IoU to expect is of, and what it rests on."""
        if self._is_labelled:
            return f"on {self.kind}"
        if self._is_range:
            few = "those" if self.of_lines else "the few"
            return f"to expect of unlabelled lines, by {few} held out, and by their probabilities"
        calibrated = "" if self.scores["honest"] else ", which no held-out line has calibrated"
        return f"to expect of unlabelled lines, by their probabilities{calibrated}"

    @property
    def kind(self) -> str:
        """What the scored lines are to the members that predicted them."""
        return "held-out lines" if self.scores["honest"] else "lines trained on"

    @property
    def held_out(self) -> str:
        """The scores of held-out lines, and what they are of."""
        scores, off = self.scores, self.scores["top_distance"]
        said = f"IoU {format_score(scores['iou'])}, Dice {format_score(scores['dice'])}, "
        said += "no top of salt" if off is None else f"top of salt {off:.1f} samples off"
        said += f", on {count_lines(self.lines)}"
        if not scores["honest"]:
            return f"{said} that members trained on (NOT honest)"
        farther = "" if self.of_lines else ", farther from labels than most lines are"
        return f"{said} held out{farther}"

    @property
    def baseline(self) -> str:
        """What interpolation of the labels is worth on the same lines, and whether it is beaten."""
        ours, theirs = (self.scores[name]["iou"] for name in ("compared", "interpolation"))
        if theirs is None:
            return "none, since no line has two others of its plane to interpolate from"
        won = "" if (ours or 0) > theirs else ": NO WORSE than this run"
        return f"IoU {format_score(theirs)} where this run has {format_score(ours)}{won}"

    @property
    def further(self) -> list[str]:
        """The scores of further surveys on their held-out lines, by members alone."""
        table = pd.DataFrame() if self.surveys is None else self.surveys
        rows = table.astype(object).where(table.notna(), None).itertuples()
        kind = "held out" if self.scores["honest"] else "trained on (NOT honest)"
        return [
            f"{row.survey} IoU {format_score(row.iou)}, Dice {format_score(row.dice)}, "
            f"on {row.lines} of its {row.of_lines} lines or pieces, {kind}"
            if row.lines
            else f"{row.survey} not scored, since its only labelled line is trained on"
            for row in rows
        ]

    @property
    def suspect(self) -> list[str]:
        """Labelled lines that members contradict."""
        rows = self.lines[self.lines["note"].fillna("") != ""]
        return name_lines(rows)

    @property
    def following(self) -> str:
        """The first lines to interpret next."""
        return ", ".join(name_lines(self.next.head(NEXT))) or "none"

    @property
    def salt(self) -> str:
        """How much salt there is, and in how many bodies."""
        bodies = self.facts["bodies"]
        where = "; line by line in volume/LINE/index.html" if self.of_lines else ""
        return (
            f"{self.facts['salt_share']:.1%}, in {bodies} bod{'y' if bodies == 1 else 'ies'}; "
            f"probabilities above {self.facts['threshold']:.2f}{where}"
        )


def name_lines(table: pd.DataFrame) -> list[str]:
    """Return what lines of a table are called: by plane and number or, if several, by files."""
    if "file" in table:
        return [str(file) for file in table["file"]]
    return [f"{row.plane} {row.line}" for row in table.itertuples()]


def format_score(value: float | None, digits: int = 3) -> str:
    """Return a score in so many digits; "none" without salt to score."""
    return "none" if value is None else f"{value:.{digits}f}"


def summarise(found: VolumeResults, members: dict[str, int], results: Path) -> str:
    """Return the summary of a run on a volume."""
    further = "".join(f"Survey      {each}\n" for each in found.further)
    suspect = f"Suspect     {', '.join(found.suspect)}: members contradict these labels\n"
    folder = f"{results}/volume/LINE" if found.of_lines else f"{results}/volume"
    return f"""\
IoU         {found.expected} {found.meaning}
{"Held out  " if found.scores["honest"] else "Trained on"}  {found.held_out}
Baseline    interpolation of the other labelled lines: {found.baseline}
{further}{suspect if found.suspect else ""}\
Salt        {found.salt}
Volume      {folder}/mask.sgy, probability.sgy; surfaces top_salt.csv, base_salt.csv
Label next  {found.following}; more in {results}/volume/next_lines.csv
Members     {results}/models/MEMBER/checkpoint.safetensors for MEMBER {",".join(members)}
Report      {results}/index.html; {found.kind}, one by one, in {results}/volume/lines.csv
"""


def _read(path: Path) -> dict:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable ({error}); {REMEDY}") from None
