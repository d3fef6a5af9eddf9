"""TensorBoard logging of a training."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saltseg.training.progress import Epoch


@contextmanager
def writer(folder: Path | None) -> Iterator[Callable[["Epoch"], None]]:
    """Yield a function that logs an epoch to ``folder``, after clearing the folder.

    Without a folder, the function does nothing.
    """
    if folder is None:
        yield lambda epoch: None
        return
    # Slow to import, and not needed without a folder.
    from tensorboard.summary import Writer

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    events = Writer(str(folder))

    def record(epoch: "Epoch") -> None:
        for tag, value in (
            ("loss/training", epoch.train_loss),
            ("loss/validation", epoch.valid_loss),
            ("score/validation" if epoch.honest else "score/training tiles", epoch.valid_score),
            ("learning rate", epoch.learning_rate),
        ):
            events.add_scalar(tag, value, step=epoch.epoch)
        events.flush()

    try:
        yield record
    finally:
        events.close()
