"""A checkpoint's header, and the digest in it that all other bytes of the file are checked by.

Needs no PyTorch. The header's entry ``salt`` is JSON; its key ``digest`` holds the SHA-256 of the
file as it is with 64 zeros there, so that a checkpoint which travels alone is checked as well.
"""

import hashlib
import json
from pathlib import Path

from saltseg.core.errors import DamagedError, InputError

FORMAT = "salt-segmentation/2"
UNSEALED = 64 * "0"
TRAIN_AGAIN = "delete it to train again"


def seal(data: bytes) -> bytes:
    """Return a checkpoint whose digest is still ``UNSEALED`` with the real one."""
    return data.replace(UNSEALED.encode(), hashlib.sha256(data).hexdigest().encode(), 1)


def read_checkpoint(path: Path | str) -> tuple[dict, bytes]:
    """Return what the header's entry says but for the digest, and the file's whole content.

    Raises InputError if it is no checkpoint of this format or not what was written.
    """
    try:
        data = Path(path).read_bytes()
        start = 8 + int.from_bytes(data[:8], "little")
        header = data[:start]
        about = json.loads((json.loads(header[8:]).get("__metadata__") or {}).get("salt", "{}"))
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: not a readable checkpoint ({error}); {TRAIN_AGAIN}") from None
    about = about if isinstance(about, dict) else {}
    if about.get("format") != FORMAT:
        raise InputError(
            f"{path}: expected a checkpoint of format {FORMAT}, found {about.get('format')}; "
            f"{TRAIN_AGAIN}"
        )
    digest = str(about.pop("digest", None))
    found = hashlib.sha256(header.replace(digest.encode(), UNSEALED.encode(), 1))
    found.update(memoryview(data)[start:])
    if found.hexdigest() != digest:
        raise DamagedError(
            Path(path), f"SHA-256: expected {digest:.12}..., found {found.hexdigest():.12}..."
        )
    return about, data
