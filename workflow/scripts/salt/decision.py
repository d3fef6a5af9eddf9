"""What predictions of new tiles need to know about the run whose members make them."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

from salt.errors import InputError


@dataclass(frozen=True)
class Decision:
    """The part of threshold.json that decides on masks.

    threshold: salt is where the members' mean probability is above this
    flip: whether it was tuned for predictions averaged with the mirror image's
    seeds: the members
    """

    threshold: float
    flip: bool
    seeds: list[int]

    @classmethod
    def load(cls, path: Path | str) -> "Decision":
        """Raises InputError for a file that is no threshold.json, or one of an older form."""
        try:
            found = json.loads(Path(path).read_text())
        except OSError as error:
            raise InputError(
                f"{path}: {error.strerror}; expected threshold.json of a finished run"
            ) from None
        except ValueError as error:
            raise InputError(
                f"{path}: expected threshold.json of a finished run, found no JSON ({error})"
            ) from None
        found = found if isinstance(found, dict) else {}
        missing = [key for key, fits in FITS.items() if not fits(found.get(key))]
        if missing:
            raise InputError(
                f"{path}: {', '.join(missing)} missing or not as expected; it is no threshold.json "
                "or one of an older form: run the workflow that made it again"
            )
        return cls(**{key: found[key] for key in FITS})


def _is_threshold(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_flip(value: object) -> bool:
    return isinstance(value, bool)


def _are_seeds(value: object) -> bool:
    return isinstance(value, list) and value != [] and all(type(seed) is int for seed in value)


FITS = {"threshold": _is_threshold, "flip": _is_flip, "seeds": _are_seeds}
