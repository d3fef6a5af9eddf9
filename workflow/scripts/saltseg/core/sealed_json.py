"""JSON files with a digest inside, by which a changed one is noticed wherever it travels."""

import hashlib
import json
from pathlib import Path

from saltseg.core.files import replacing

DIGEST = "digest"


def write_sealed(path: Path | str, content: dict) -> None:
    """Write content with its digest; InputError for lack of disk space or permission."""
    with replacing(path) as part:
        part.write_text(json.dumps({**content, DIGEST: digest_of(content)}, indent=2) + "\n")


def digest_of(content: dict) -> str:
    """Return the SHA-256 of content without its digest, as JSON with sorted keys, no spaces."""
    others = {key: value for key, value in content.items() if key != DIGEST}
    text = json.dumps(others, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def read_sealed(path: Path | str) -> dict:
    """Return content without its digest.

    Raises OSError if the file cannot be read, and ValueError if it is not what was written.
    """
    found = json.loads(Path(path).read_bytes())
    if not isinstance(found, dict) or DIGEST not in found:
        raise ValueError("expected an object with a digest")
    if found[DIGEST] != digest_of(found):
        raise ValueError("its content differs from what was written, by its digest")
    del found[DIGEST]
    return found
