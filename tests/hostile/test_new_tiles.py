"""New tiles with an error, and the message of `predict`."""

import os

import numpy as np

from support.stages import Case, assert_refused, cases
from support.surveys import image_png, zipped

SOUND = image_png(np.full((16, 18), 7, dtype=np.uint8))
SMALL = image_png(np.full((15, 15), 7, dtype=np.uint8))
TWICE = zipped({"a/t.png": SOUND, "b/t.png": SOUND})
UNSAFE = "may hold only letters, digits, '-' and '_' (64 at most)"

# Each of these spoils the folder `new` of a finished run.


def rename(name: str):
    return lambda run: (run / "new/b.png").rename(run / "new" / name)


def without(pattern: str):
    return lambda run: [path.unlink() for path in (run / "new").glob(pattern)]


def move_away(run):
    (run / "new").rename(run / "old")


def file_instead(data: bytes):
    def spoil(run):
        move_away(run)
        (run / "new").write_bytes(data)

    return spoil


LOW = zipped({"t.png": SMALL, "depths.csv": b"id,z\nt,1\n"})
NO_ZIP = "new: expected a zip or a folder of PNG files, found no readable zip"
SAME = "b/t.png: another file has the same name; rename or remove one"

FAULTS = [
    Case("none", without("*.png"), "no PNG file (*.png) in it, so nothing to predict"),
    Case("missing", move_away, "new: no such file"),
    Case("no zip", file_instead(b"no zip at all"), NO_ZIP),
    Case("undecodable id", rename(os.fsdecode(b"\xff.png")), f"id '\\udcff' {UNSAFE}"),
    Case("id twice", file_instead(TWICE), SAME),
    Case("below 16 pixels", file_instead(LOW), "of at least 16 pixels a side, found 15x15"),
]
FAULTS = [case._replace(stage="predict") for case in FAULTS]


@cases(FAULTS)
def test_predict_names_what_is_wrong_with_new_tiles(tmp_path, run, capsys, case):
    case.spoil(run)
    assert_refused(case, run, tmp_path, capsys)
