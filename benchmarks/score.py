"""Score a submission against the answers of its tiles, such as MLE-bench's private test.csv.

    make score SUBMISSION=results/submission.csv ANSWERS=private/test.csv

Both are CSV files with the columns id and rle_mask; others do not matter.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from saltseg.core.errors import InputError, printable, raise_faults
from saltseg.core.metric import tile_scores
from saltseg.core.rle import decode
from saltseg.core.tables import TEXTS, read_csv


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("submission", type=Path, help="CSV file of masks")
    parser.add_argument("answers", type=Path, help="CSV file of the true masks")
    parser.add_argument("--size", default="101x101", help="width and height of a tile in pixels")
    args = parser.parse_args()
    width, height = (int(side) for side in args.size.split("x"))
    try:
        scores = score(args.submission, args.answers, (height, width))
    except InputError as error:
        sys.exit(f"Error: {error}")
    error = scores.std(ddof=1) / np.sqrt(len(scores)) if len(scores) > 1 else float("nan")
    print(f"{scores.mean():.4f} over {len(scores)} tiles (standard error {error:.4f})")


def score(submission: Path, answers: Path, shape: tuple[int, int]) -> np.ndarray:
    """Return each tile's score, float64, in the answers' order.

    Raises InputError if a file or a mask is not readable, or ids differ.
    """
    truth, found = (read(path) for path in (answers, submission))
    differ = sorted(set(truth) ^ set(found))
    if differ:
        raise InputError(
            f"{submission}: expected the {len(truth)} tiles of {answers}, found {len(found)}, "
            f"different in {printable(differ[0])}"
        )
    faults, scores = [], []
    for name in truth:
        masks = []
        for path, runs in ((submission, found[name]), (answers, truth[name])):
            try:
                masks.append(decode(runs, shape)[None])
            except ValueError as error:
                faults.append(f"{path}: mask of {printable(name)}: {error}")
        if len(masks) == 2:
            scores.append(tile_scores(*masks)[0])
    raise_faults("Masks", faults)
    return np.array(scores)


def read(path: Path) -> dict[str, str]:
    """Return the runs of each id; InputError if it is not readable, or an id is doubled."""
    table = read_csv(path, "", **TEXTS)
    if not {"id", "rle_mask"} <= set(table.columns):
        found = printable(",".join(map(str, table.columns)))
        raise InputError(f"{path}: expected the columns id and rle_mask, found {found}")
    twice = table["id"][table["id"].duplicated()]
    if len(twice):
        raise InputError(f"{path}: id {printable(twice.iloc[0])} appears more than once")
    return dict(zip(table["id"], table["rle_mask"], strict=True))


if __name__ == "__main__":
    main()
