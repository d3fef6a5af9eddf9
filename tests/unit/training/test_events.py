"""TensorBoard events, read back the way TensorBoard reads them."""

import subprocess
import sys

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from saltseg.training import events
from saltseg.training.progress import Epoch


def history(epochs, honest):
    """Return epochs whose numbers are all different."""
    return [
        Epoch(i, 1 / (i + 1), 1.5 / (i + 1), 1 - 0.9**i, 0.01 * 0.5**i, honest)
        for i in range(1, epochs + 1)
    ]


def read(folder):
    """Return steps and values of each tag."""
    found = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    found.Reload()
    return {
        tag: [(event.step, make_ndarray(event.tensor_proto).item()) for event in found.Tensors(tag)]
        for tag in found.Tags()["tensors"]
    }


def expected(epochs, score):
    columns = {
        "loss/training": "train_loss",
        "loss/validation": "valid_loss",
        score: "valid_score",
        "learning rate": "learning_rate",
    }
    return {
        tag: [(epoch.epoch, float(np.float32(getattr(epoch, name)))) for epoch in epochs]
        for tag, name in columns.items()
    }


def test_values_read_back_equal_the_history_of_the_last_run(tmp_path):
    folder = tmp_path / "new" / "3"
    # More than the ten per tag that TensorBoard samples by default.
    for count, honest, score in (
        (25, True, "score/validation"),
        (2, False, "score/training tiles"),
    ):
        epochs = history(count, honest)
        with events.writer(folder) as record:
            for epoch in epochs:
                record(epoch)
        assert read(folder) == expected(epochs, score)
    assert len(list(folder.iterdir())) == 1


# Trains nothing, but imports what training does.
NOBODY_WATCHES = """
import sys
from saltseg.training import events
from saltseg.training import progress

with events.writer(None) as record:
    record(progress.Epoch(1, 0.5, 0.5, 0.5, 0.1, True))
print([name for name in sys.modules if name.split(".")[0] in ("tensorboard", "tensorflow")])
"""


def test_without_a_folder_nothing_is_written_and_nothing_of_tensorboard_imported(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", NOBODY_WATCHES],
        cwd=tmp_path,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
    assert list(tmp_path.iterdir()) == []
