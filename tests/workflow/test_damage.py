"""A flipped byte in a file between stages is reported by name, and its remedy restores all."""

import os

import pytest

from support.running import SUBMISSION, complete, planned, snakemake
from support.soak import outputs

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "reader"),
    [
        ("results/data/train.h5", "predict_validation"),
        ("results/models/1/checkpoint.safetensors", "predict_test"),
        ("results/predictions/test/0/0.h5", "submission"),
        ("results/threshold.json", "submission"),
    ],
)
def test_a_damaged_file_that_kept_its_date_is_named_and_restored(finished, copied, name, reader):
    path, submission = copied / name, copied / "results/submission.csv"
    before, at = submission.read_bytes(), path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(at.st_atime_ns, at.st_mtime_ns))
    done = snakemake(copied, "--forcerun", reader, *SUBMISSION)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"{name}: " in done.stderr
    assert f"delete it, run 'snakemake {name}' (plus your other options)" in done.stderr
    assert not submission.exists() or submission.read_bytes() == before
    path.unlink()
    complete(copied, "--", name)
    assert "train" not in planned(copied)
    complete(copied, "--forcerun", reader, *SUBMISSION)
    assert outputs(copied) == outputs(finished)
