"""What results were made from and with, for their record."""

import platform
import subprocess
import tomllib
from pathlib import Path

from saltseg.core.header import read_checkpoint


def describe_project(root: Path) -> dict[str, str | None]:
    """Return the release of the project in a folder, and its commit; None where unknown."""
    manifest = root / "pyproject.toml"
    release = None
    if manifest.is_file():
        release = tomllib.loads(manifest.read_text())["project"]["version"]
    return {"release": release, "commit": find_commit(root)}


def find_commit(root: Path) -> str | None:
    """Return the commit of a checkout, with a plus sign if files differ; None for others."""
    # A copy in another repository has no commit of its own.
    if not (root / ".git").exists():
        return None
    describe = ["describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+"]
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *describe], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def name_processor() -> str:
    """Return the name of this machine's processor, as far as the system knows it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), platform.processor() or platform.machine())


def describe_members(checkpoints: list[Path]) -> dict[str, str]:
    """Return what each member was trained on, such as "CPU, bf16, 2 threads", by its name.

    Raises InputError if a checkpoint is damaged.
    """
    headers = {path.parent.name: read_checkpoint(path)[0] for path in checkpoints}
    return {name: about.get("computed_on", "unknown") for name, about in headers.items()}
