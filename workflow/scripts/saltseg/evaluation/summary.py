"""A summary of the results in a few lines."""

from pathlib import Path

import pandas as pd

from saltseg.core.errors import InputError
from saltseg.core.tables import read_csv
from saltseg.settings.members import kind_of

# For a score whose threshold no other tile could tune.
TUNED_ON_ITSELF = "the scored tile itself, since there is no other"
# For a threshold that inference.threshold sets.
NOT_TUNED = "nothing"


def summary(threshold: dict, submission: Path | None, results: Path) -> str:
    """Format score, honesty, threshold and files, from threshold.json and submission.csv.

    Raises InputError if the submission is damaged.
    """
    sent = "none, since there are no test tiles"
    if submission is not None:
        masks = _read_masks(submission)
        sent = f"{submission}: {len(masks)} tiles, {int((masks != '').sum())} of them with salt"
    scored, tiles = threshold["tiles_scored"], threshold["tiles"]
    said = honesty(threshold)
    members, weights = ",".join(threshold["members"]), describe_weights(threshold["members"])
    weights = f"Weights     {weights}\n" if weights else ""
    return f"""\
Score       {threshold["score"]:.4f} over {scored} of {tiles} labelled tiles ({said})
            {threshold["score_all_empty"]:.4f} is the score of a submission without any salt on them
Threshold   {threshold["threshold"]:.4f}, {origin(threshold["tuned_on"])}
Submission  {sent}
Members     {results}/models/MEMBER/checkpoint.safetensors for MEMBER {members}
{weights}\
Report      {results}/index.html; tiles to look at, worst first, in {results}/review.csv
"""


def describe_weights(members: dict[str, int]) -> str:
    """Return the share of each kind of members in their mean; empty if all weigh the same."""
    if len({*members.values()}) == 1:
        return ""
    shares = dict.fromkeys(map(kind_of, members), 0.0)
    for name, weight in members.items():
        shares[kind_of(name)] += weight / sum(members.values())
    return ", ".join(f"{kind or 'without a name'} {share:.2f}" for kind, share in shares.items())


def _read_masks(submission: Path) -> pd.Series:
    remedy = "delete it to rebuild it"
    table = read_csv(submission, remedy, "submission", dtype=str, keep_default_na=False)
    if "rle_mask" not in table:
        raise InputError(f"{submission}: not a readable submission (no column rle_mask); {remedy}")
    return table["rle_mask"]


def origin(tuned_on: str) -> str:
    """Return where a threshold comes from, for a sentence."""
    if tuned_on == NOT_TUNED:
        return "set by inference.threshold"
    return f"tuned for each fold on {tuned_on}"


def honesty(threshold: dict) -> str:
    """Return the note on honesty that accompanies every score, from HONESTY of threshold.json."""
    if threshold["honest"]:
        selected = ", but epochs were selected on it" if threshold["selected"] else ""
        return f"no member trained on the tile{selected}"
    if threshold["tuned_on"] == TUNED_ON_ITSELF:
        return "NOT honest: the threshold was tuned on the same tile"
    return "NOT honest: the members trained on these tiles"


def warning(threshold: dict) -> str:
    """Return why the scores are not honest, from HONESTY of threshold.json; empty if they are."""
    return "" if threshold["honest"] else honesty(threshold)


def describe(threshold: dict) -> str:
    """Return a one-line description of a submission, from threshold.json."""
    note = honesty(threshold) if threshold["selected"] else warning(threshold)
    note = f" ({note})" if note else ""
    scored, tiles = threshold["tiles_scored"], threshold["tiles"]
    members = ",".join(threshold["members"])
    return (
        f"score {threshold['score']:.4f}{note} over {scored} of {tiles} labelled tiles, "
        f"threshold {threshold['threshold']:.4f}, members {members}"
    )
