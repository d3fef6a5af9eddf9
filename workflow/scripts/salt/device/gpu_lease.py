"""A GPU of its own for each job on a machine with several.

The workflow engine counts GPUs, but tells no job which one to use. So each job's process holds a
lock on one of them, which the system frees when the process ends, however that comes. The locks are
files named by the GPUs' UUIDs, in a folder that all users of the machine share.
"""

import fcntl
import logging
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from salt.core.errors import InputError

logger = logging.getLogger(__name__)

# Not by tempfile: TMPDIR may be another one for each user, and for each job.
FOLDER = "/tmp/salt-segmentation-gpus"
# What Slurm, PBS, LSF, Grid Engine, HTCondor, Flux and Kubernetes set in their jobs.
SCHEDULED = (
    *("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "SGE_TASK_ID", "_CONDOR_MACHINE_AD"),
    *("FLUX_JOB_ID", "KUBERNETES_SERVICE_HOST"),
)
# A line of `nvidia-smi -L`: a GPU, or a part of the one above that counts as a GPU itself (MIG).
LISTED = re.compile(r"^(?:GPU (\d+)|\s+MIG\b).*\(UUID: ([\w-]+)\)", re.MULTILINE)
POLL = 0.5  # seconds

# The lock, which is held for as long as this is open.
_held: list[int] = []


def hold_gpu(device: str) -> None:
    """Give this process a GPU of its own until it ends, by setting CUDA_VISIBLE_DEVICES.

    To be called before CUDA is used, with the configuration's ``compute.device``. The GPU is one of
    those that CUDA_VISIBLE_DEVICES lists, by nvidia-smi's numbers or by UUID, or any where that is
    not set; where none of them is free, this waits. It does nothing where there is no GPU, where
    the device is cpu, and in a scheduler's job, unless the scheduler gave that several GPUs.

    Raises InputError where the locks cannot be made.
    """
    if device == "cpu" or _held:
        return
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = chosen(installed(), visible)
    if any(name in os.environ for name in SCHEDULED) and (visible is None or len(gpus) < 2):
        logger.info("the scheduler chose the GPU: CUDA_VISIBLE_DEVICES is %s", visible or "not set")
        return
    if not gpus:
        return
    folder = os.environ.get("SALT_GPU_LEASES", FOLDER)
    try:
        lock, gpu = _wait_for_one(folder, gpus)
    except OSError as error:
        raise InputError(
            f"{folder}: no locks can be made here to share out the GPUs ({error}); remove it, or "
            "set SALT_GPU_LEASES to a folder that every user of the GPUs can write to"
        ) from None
    _held.append(lock)
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    logger.info("%s belongs to this job until it ends", gpu)


def installed() -> dict[str, list[str]]:
    """UUIDs by a GPU's number: its own, or those of its parts where it is split."""
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, check=True, timeout=60
        ).stdout
    except FileNotFoundError:
        return {}
    except (OSError, subprocess.SubprocessError) as error:
        logger.warning("no GPU can be reserved for this job, since nvidia-smi fails: %s", error)
        return {}
    gpus: dict[str, list[str]] = {}
    for number, uuid in LISTED.findall(listed):
        # A part follows the GPU it is of.
        number = number or list(gpus)[-1]
        gpus.setdefault(number, []).append(uuid)
    return {number: parts or [whole] for number, (whole, *parts) in gpus.items()}


def chosen(gpus: dict[str, list[str]], visible: str | None) -> list[str]:
    """UUIDs of those GPUs that CUDA_VISIBLE_DEVICES lists; of all where it is not set.

    As for CUDA, a UUID may be cut short, and a list ends with the first entry that is no GPU.
    """
    every = [uuid for uuids in gpus.values() for uuid in uuids]
    if visible is None:
        return every
    found: list[str] = []
    for entry in visible.split(","):
        name = entry.strip()
        uuids = gpus.get(name) or [uuid for uuid in every if name and uuid.startswith(name)]
        if not uuids:
            break
        found += uuids
    return found


def _wait_for_one(folder: str, gpus: list[str]) -> tuple[int, str]:
    """The lock of the first GPU that is or becomes free, and its UUID."""
    waiting = False
    with _opened(folder) as opened:
        while True:
            for gpu in gpus:
                lock = _lock(opened, f"{gpu}.lock")
                if lock is not None:
                    return lock, gpu
            if not waiting:
                logger.warning("other jobs use %s; waiting for the end of one", " and ".join(gpus))
                waiting = True
            time.sleep(POLL)


@contextmanager
def _opened(folder: str) -> Iterator[int]:
    """Descriptor of the folder of locks, which is made if need be, for all users to write to."""
    with _for_all():
        # As the system's own folder for temporary files: all may add to it, nobody takes away.
        Path(folder).mkdir(0o1777, exist_ok=True)
    # Whoever may write to the folder around it must not lead us elsewhere by a link.
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield opened
    finally:
        os.close(opened)


def _lock(folder: int, name: str) -> int | None:
    """Descriptor of a file that is now locked, or None where another process has locked it."""
    with _for_all(), suppress(FileExistsError):
        os.close(os.open(name, os.O_CREAT | os.O_EXCL, 0o444, dir_fd=folder))
    # Not to be made by this call: in such a folder Linux refuses that for another user's file.
    # What is no file, such as a pipe, must not hold us up.
    lock = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if isinstance(error, BlockingIOError):
            return None
        raise
    return lock


@contextmanager
def _for_all() -> Iterator[None]:
    """Let what is made have the permissions that are asked for, whatever the user's umask."""
    usual = os.umask(0)
    try:
        yield
    finally:
        os.umask(usual)
