"""State from which a killed training resumes."""

import hashlib
import io
import logging
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import torch

from saltseg.core.files import replacing

logger = logging.getLogger(__name__)

DIGEST = hashlib.sha256


def fingerprint(parts: Iterable[bytes | str | Path]) -> str:
    """Return a digest of texts, bytes and the contents of files, in order."""
    digest = DIGEST()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part
        data = data.encode() if isinstance(data, str) else data
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


class Saved:
    """State of one training in a file.

    It belongs to one configuration, data and code, identified by its fingerprint; if any of these
    changes, or the file is damaged, it is ignored.
    """

    def __init__(self, path: Path | str, fingerprint: str):
        self.path = Path(path)
        self.fingerprint = fingerprint

    def load(self) -> dict | None:
        """Return the last saved state, on the CPU; None if there is none of this training."""
        if not self.path.exists():
            return None
        data = self.path.read_bytes()
        digest, payload = data[:32], data[32:]
        if DIGEST(payload).digest() != digest:
            logger.warning(f"{self.path}: damaged; training starts over")
            self.path.unlink()
            return None
        # A state of a GPU may be found where there is none, to be ignored there.
        state = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        if state["fingerprint"] != self.fingerprint:
            logger.info(f"{self.path}: ignored, since configuration, data or code changed")
            self.path.unlink()
            return None
        return state["content"]

    def save(self, content: dict) -> None:
        """Replace the saved state by this one, tensors and plain values."""
        buffer = io.BytesIO()
        torch.save({"fingerprint": self.fingerprint, "content": content}, buffer)
        payload = buffer.getvalue()
        # It carries a digest of its own.
        data = DIGEST(payload).digest() + payload
        try:
            self._write(data)
        except FileNotFoundError:
            # Another training ended meanwhile, and removed the folder while it was empty.
            self._write(data)

    def _write(self, data: bytes) -> None:
        with replacing(self.path) as part:
            part.write_bytes(data)

    def remove(self) -> None:
        """Remove the state of a finished training, and the folder if it was the last."""
        self.path.unlink(missing_ok=True)
        with suppress(OSError):
            self.path.parent.rmdir()
