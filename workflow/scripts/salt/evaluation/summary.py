"""A summary of the results in a few lines."""

from pathlib import Path

from salt.core.errors import InputError
from salt.core.tables import read_csv


def summary(threshold: dict, submission: Path) -> str:
    """Format score, honesty, threshold and files, from threshold.json and submission.csv.

    Raises InputError if the submission is damaged.
    """
    remedy = "delete it to make it anew"
    table = read_csv(submission, remedy, "submission", dtype=str, keep_default_na=False)
    if "rle_mask" not in table:
        raise InputError(f"{submission}: not a readable submission (no column rle_mask); {remedy}")
    masks = table["rle_mask"]
    scored, tiles = threshold["tiles_scored"], threshold["tiles"]
    said = honesty(threshold["honest"])
    members = ",".join(map(str, threshold["seeds"]))
    results = submission.parent
    return f"""\
Score       {threshold["score"]:.4f} over {scored} of {tiles} labelled tiles ({said})
            {threshold["score_all_empty"]:.4f} is what a submission without any salt gets on them
Threshold   {threshold["threshold"]:.4f}, tuned for each fold on {threshold["tuned_on"]}
Submission  {submission}: {len(masks)} tiles, {int((masks != "").sum())} of them with salt
Members     {results}/models/SEED/checkpoint.safetensors for SEED {members}
Report      {results}/index.html; tiles to look at, worst first, in {results}/review.csv
"""


def honesty(honest: bool) -> str:
    """Return the note on honesty that accompanies every score."""
    if honest:
        return "no member trained on the tile"
    return "NOT honest: the members trained on these tiles"
