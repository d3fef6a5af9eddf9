"""TensorBoard events of a training, for who wants to watch it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from salt.training.progress import Epoch


@contextmanager
def writer(folder: Path | None) -> Iterator[Callable[["Epoch"], None]]:
    """Give a function that writes an epoch's numbers to a folder, in place of what lay there.

    Without a folder it does nothing.
    """
    if folder is None:
        yield lambda epoch: None
        return
    # Not needed, and slow to import, where nobody watches.
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
