"""The settings of a finished run that prediction of new tiles needs."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from saltseg.core.errors import DamagedError, InputError, rebuild_hint
from saltseg.core.sealed_json import DIGEST, digest_of
from saltseg.settings.members import members_of


@dataclass(frozen=True)
class Decision:
    """The part of threshold.json that determines masks.

    threshold: pixels with a mean probability above this are salt
    flip: whether it was tuned on predictions averaged over the flip
    members: weights of the members, by name
    """

    threshold: float
    flip: bool
    members: dict[str, int]

    @property
    def weights(self) -> list[int] | None:
        """The members' weights, None if they are equal."""
        weights = list(self.members.values())
        return weights if len({*weights}) > 1 else None

    @classmethod
    def load(cls, path: Path | str, threshold: float | None = None) -> "Decision":
        """Read threshold.json, of which a user's own ``threshold`` replaces that.

        Raises InputError for another file or an older format.
        """
        decision = cls(**read_report(path, ["threshold", "flip", "members"]))
        return decision if threshold is None else replace(decision, threshold=threshold)


def weights_of(report: Path | None, files: list[Path]) -> list[int] | None:
    """Return the weights of the members that files are of, by threshold.json; None without one."""
    if report is None:
        return None
    members = Decision.load(report).members
    return [members[name] for name in members_of(files, members)]


def read_report(path: Path | str, keys: list[str]) -> dict:
    """Read ``keys`` of threshold.json; raise InputError for another file or an older format."""
    try:
        found = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise InputError(
            f"{path}: {error.strerror}; expected threshold.json of a finished run"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: expected threshold.json of a finished run, found no JSON ({error}); "
            f"{rebuild_hint(Path(path))}"
        ) from None
    found = found if isinstance(found, dict) else {}
    values = found | _of_seeds(found)
    missing = [key for key in [*keys, DIGEST] if not FITS[key](values.get(key))]
    if missing:
        raise InputError(
            f"{path}: {', '.join(missing)} missing or not as expected; it is no threshold.json "
            f"or one of an older form: {rebuild_hint(Path(path))}"
        )
    if digest_of(found) != found[DIGEST]:
        expected, actual = found[DIGEST], digest_of(found)
        raise DamagedError(
            Path(path), f"SHA-256: expected {expected:.12}..., found {actual:.12}..."
        )
    return {key: values[key] for key in keys}


def _of_seeds(found: dict) -> dict:
    """Return the members of a report that lists their seeds, as before there were kinds of them."""
    seeds = found.get("seeds")
    if "members" in found or not isinstance(seeds, list):
        return {}
    return {"members": {str(seed): 1 for seed in seeds}}


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _are_weights(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_count, value.values())) and any(value.values())


def _are_groups(value: object) -> bool:
    return isinstance(value, dict) and value != {}


FITS = {
    **dict.fromkeys(["threshold", "score", "score_all_empty"], _is_share),
    **dict.fromkeys(["tiles", "tiles_scored"], _is_count),
    **dict.fromkeys(["flip", "honest", "selected"], _is_bool),
    "members": _are_weights,
    "groups": _are_groups,
    **dict.fromkeys(["tuned_on", "scheme", DIGEST], _is_text),
}
# Keys needed to say whether a score is honest, and to report it.
HONESTY = ["honest", "selected", "tuned_on"]
SCORE = ["threshold", "score", *HONESTY, "tiles_scored", "tiles", "members"]
