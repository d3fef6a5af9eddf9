"""`make score`: a submission against answers, tile by tile."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def score(folder, submission, answers, size="2x2"):
    for name, text in (("submission.csv", submission), ("answers.csv", answers)):
        (folder / name).write_text(text)
    return subprocess.run(
        [sys.executable, ROOT / "benchmarks/score.py", "submission.csv", "answers.csv",
         "--size", size],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip


def test_the_score_is_the_mean_over_tiles_in_any_order(tmp_path):
    # Empty and empty: 1. Equal: 1. One of two pixels (IoU 0.5, above no threshold): 0.
    # Three of four pixels (IoU 0.75, above 0.5 to 0.7): 0.5.
    answers = "id,rle_mask,usage\na,,x\nb,1 2,x\nc,1 2,x\nd,1 4,x\n"
    submission = "id,rle_mask\nd,1 3\nc,1 1\nb,1 2\na,\n"
    done = score(tmp_path, submission, answers)
    assert done.stdout.startswith("0.6250 over 4 tiles"), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("submission", "message"),
    [
        ("id,rle_mask\na,\n", "expected the 2 tiles of answers.csv, found 1, different in b"),
        ("id,mask\na,\n", "expected the columns id and rle_mask, found id,mask"),
        ("id,rle_mask\na,\na,\nb,\n", "id a appears more than once"),
        ("id,rle_mask\na,1 9\nb,\n", "submission.csv: mask of a: run 1 9 is outside"),
    ],
)
def test_a_submission_of_something_else_is_refused(tmp_path, submission, message):
    done = score(tmp_path, submission, "id,rle_mask\na,\nb,1 2\n")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ") and message in done.stderr
