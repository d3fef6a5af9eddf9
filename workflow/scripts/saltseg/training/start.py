"""The member of a finished run that a member starts from."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from saltseg.core.errors import InputError, printable
from saltseg.evaluation.decision import read_report
from saltseg.networks.checkpoint import Checkpoint
from saltseg.settings.config import SurveySettings
from saltseg.survey.character import Character, compare_with_nearest
from saltseg.survey.folds import is_honest, train_valid_masks
from saltseg.survey.former import Former, digests, units_of
from saltseg.survey.labelled import LabelledData
from saltseg.survey.lines import Lines
from saltseg.survey.tiles import Tiles

# Of the network; weights fit with any value.
FREE = ("dropout",)
KEY = "training.start"
GREYSCALE = ("tile", "normalisation", "percentile")


def greyscale_of(
    survey: SurveySettings, lines: Lines, further: Iterable[Lines] = ()
) -> dict[str, Any]:
    """Return how amplitudes become grey values, and the character of the surveys they are of."""
    found: dict[str, Any] = {key: getattr(survey, key) for key in GREYSCALE}
    found |= lines.character.as_dict()
    others = [each.character.as_dict() for each in further]
    return found | ({"further": others} if others else {})


@dataclass(frozen=True)
class Start:
    """A finished member, and what it learnt from.

    learnt: digests of the labelled tiles, or traces, that it trained on, and those that it started
        from itself
    key: of the configuration, that names its run
    """

    checkpoint: Checkpoint
    learnt: set[str]
    key: str = KEY

    @classmethod
    def load(cls, path: Path, model: dict, greyscale: dict | None, key: str = KEY) -> "Start":
        """Load a checkpoint.

        Args:
            model: the configuration's section, empty for any network.
            greyscale: of ``greyscale_of``, None for tiles or for any.
            key: of the configuration, that names its run.

        Raises InputError if it is damaged, has another network or grey scale, or its run's data
        are missing.
        """
        found = Checkpoint.load(path)
        _refuse_other("model", model, found.about.get("model") or {}, path)
        if greyscale:
            own = {key: greyscale[key] for key in GREYSCALE}
            _refuse_other("survey", own, found.about.get("survey") or {}, path)
        found.rebuild()
        run = path.parents[2]
        formers = Former.load_all(run, key)
        scheme = read_report(run / "threshold.json", ["scheme"])["scheme"]
        learnt = set((found.about.get("start") or {}).get("learnt", []))
        return cls(found, learnt.union(*(each.learnt(scheme, found.seed) for each in formers)), key)

    def notices(self, volume: Character, polarity: str) -> list[str]:
        """Return what of a volume differs from that of this member, and the remedies.

        ``polarity`` is the volume's ``survey.polarity``.
        """
        return compare_with_nearest(volume, self.checkpoint.about.get("survey") or {}, polarity)

    def refuse_learnt(
        self, tiles: Tiles, lines: Lines | None, held_out: np.ndarray, seed: int
    ) -> None:
        """Raise InputError if this member learnt from what a member that starts from it holds out.

        Args:
            lines: those that the tiles are of, if any.
            held_out: bool (tiles).
            seed: of the member that starts.
        """
        shown = digests(tiles, lines)
        known = [name for name in units_of(tiles)[held_out].unique() if shown[name] & self.learnt]
        if known:
            raise InputError(
                f"{self.key}: {self.checkpoint.path} learnt from {len(known)} of the tiles or "
                f"lines that member {seed} holds out, such as {printable(known[0])}, so its score "
                "would not be honest; set validation and ensemble.seeds as in that run, or "
                "validation.scheme: full, which has no honest score"
            )

    def require_honest(self, labelled: LabelledData, scheme: str, seed: int) -> None:
        """Raise InputError if it learnt from what a member of a seed is to be scored on."""
        if not is_honest(scheme):
            return
        _, held_out = train_valid_masks(labelled.folds, scheme, seed)
        self.refuse_learnt(labelled.tiles, labelled.lines, held_out, seed)
        for survey in labelled.surveys:
            _, held_out = survey.masks(scheme, seed)
            try:
                self.refuse_learnt(survey.tiles, survey.lines, held_out, seed)
            except InputError as error:
                raise InputError(f"data.surveys.{survey.name}: {error}") from None


def _refuse_other(section: str, own: dict, found: dict, path: Path) -> None:
    differ = [key for key in own if key in found and key not in FREE and own[key] != found[key]]
    if differ:
        values = ", ".join(f"{section}.{key} {found[key]} instead of {own[key]}" for key in differ)
        raise InputError(
            f"training.start: {path} has {values}; set the same, or training.start to null"
        )
