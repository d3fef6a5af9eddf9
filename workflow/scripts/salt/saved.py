"""What a training needs to go on after it was killed, held by one process at a time."""

import fcntl
import hashlib
import io
import logging
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import torch

from salt.files import replacing

logger = logging.getLogger(__name__)

DIGEST = hashlib.sha256


def fingerprint(parts: Iterable[bytes | str | Path]) -> str:
    """Digest of texts, bytes and the contents of files, in order."""
    digest = DIGEST()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part
        data = data.encode() if isinstance(data, str) else data
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


class Saved:
    """State of one training in a folder of its own, a context manager that holds the folder's lock.

    The state belongs to exactly one configuration, data and code, which its fingerprint stands for;
    that of another, or a damaged one, is dropped when it is asked for.
    """

    def __init__(self, folder: Path | str, fingerprint: str):
        self.path = Path(folder) / "state.pt"
        self.lock = Path(folder) / "lock"
        self.fingerprint = fingerprint

    def __enter__(self) -> "Saved":
        """Wait for the lock, which a process that outlived its workflow may still hold."""
        self.lock.parent.mkdir(parents=True, exist_ok=True)
        while True:
            file = open(self.lock, "a+")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                logger.warning(
                    f"{self.lock}: process {file.read().strip() or 'unknown'} is training this "
                    "member; waiting for its end"
                )
                fcntl.flock(file, fcntl.LOCK_EX)
            # The one that held it may have removed the file at its end.
            if self.lock.exists() and os.fstat(file.fileno()).st_ino == self.lock.stat().st_ino:
                break
            file.close()
            self.lock.parent.mkdir(parents=True, exist_ok=True)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._held = file
        return self

    def __exit__(self, *exception) -> None:
        self._held.close()

    def load(self) -> dict | None:
        """The state that was saved last; none where there is none that belongs to this training."""
        if not self.path.exists():
            return None
        data = self.path.read_bytes()
        digest, payload = data[:32], data[32:]
        if DIGEST(payload).digest() != digest:
            logger.warning(f"{self.path}: damaged, dropped; training starts anew")
            self.path.unlink()
            return None
        state = torch.load(io.BytesIO(payload), weights_only=True)
        if state["fingerprint"] != self.fingerprint:
            logger.info(f"{self.path}: of another configuration, data or code, dropped")
            self.path.unlink()
            return None
        return state["content"]

    def save(self, content: dict) -> None:
        """Put a state, tensors and plain values, in the place of the last one."""
        buffer = io.BytesIO()
        torch.save({"fingerprint": self.fingerprint, "content": content}, buffer)
        payload = buffer.getvalue()
        with replacing(self.path) as part:
            part.write_bytes(DIGEST(payload).digest() + payload)

    def drop(self) -> None:
        """Remove the state and its folder, once what it was for is finished."""
        shutil.rmtree(self.path.parent)
