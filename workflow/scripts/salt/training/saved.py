"""What a training needs to go on after it was killed."""

import hashlib
import io
import logging
from collections.abc import Iterable
from pathlib import Path

import torch

from salt.core import checksums
from salt.core.files import replacing

logger = logging.getLogger(__name__)

DIGEST = hashlib.sha256


def fingerprint(parts: Iterable[bytes | str | Path]) -> str:
    """Digest of texts, bytes and the contents of files, in order.

    Raises InputError where a file is not what was written: a state must not be dropped for that.
    """
    digest = DIGEST()
    for part in parts:
        data = checksums.read(part) if isinstance(part, Path) else part
        data = data.encode() if isinstance(data, str) else data
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


class Saved:
    """State of one training in a file.

    It belongs to exactly one configuration, data and code, which its fingerprint stands for; that
    of another, or a damaged one, is dropped when it is asked for.
    """

    def __init__(self, path: Path | str, fingerprint: str):
        self.path = Path(path)
        self.fingerprint = fingerprint

    def load(self) -> dict | None:
        """The state that was saved last; none where there is none that belongs to this training."""
        if not self.path.exists():
            return None
        data = self.path.read_bytes()
        digest, payload = data[:32], data[32:]
        if DIGEST(payload).digest() != digest:
            logger.warning(f"{self.path}: damaged, dropped; training starts over")
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
        # It carries a digest of its own.
        with replacing(self.path, checksums=False) as part:
            part.write_bytes(DIGEST(payload).digest() + payload)
