"""Use of a GPU by one job, or by a few that share it, on a multi-GPU machine.

Snakemake counts GPUs but does not tell jobs which one to use. Each job therefore locks one GPU;
the system releases the lock when the process ends, however it ends. Locks are files named by GPU
UUID in a folder shared by all users of the machine. Jobs that share a GPU hold its lock together,
and each one of its places alone.
"""

import fcntl
import logging
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import product
from pathlib import Path

from saltseg.core.errors import InputError

logger = logging.getLogger(__name__)

# Not from tempfile: TMPDIR may differ between users and jobs.
FOLDER = "/tmp/salt-segmentation-gpus"
# Set in jobs by Slurm, PBS, LSF, Grid Engine, HTCondor, Flux and Kubernetes.
SCHEDULED = (
    *("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "SGE_TASK_ID", "_CONDOR_MACHINE_AD"),
    *("FLUX_JOB_ID", "KUBERNETES_SERVICE_HOST"),
)
# A line of `nvidia-smi -L`: a GPU, or a MIG instance of the GPU above.
LISTED = re.compile(r"^(?:GPU (\d+)|\s+MIG\b).*\(UUID: ([\w-]+)\)", re.MULTILINE)
POLL = 0.5  # seconds

# File descriptors of locks; open for as long as they are held.
_held: list[int] = []


def has_gpu() -> bool:
    """Return whether this machine has a GPU: nvidia-smi or, as in some containers, its device."""
    return bool(shutil.which("nvidia-smi")) or any(Path("/dev").glob("nvidia[0-9]*"))


def hold_gpu(device: str) -> None:
    """Reserve a GPU for this process until it ends, by setting CUDA_VISIBLE_DEVICES.

    Call it before using CUDA, with the configuration's ``compute.device``. Choose among the GPUs
    listed in CUDA_VISIBLE_DEVICES, by nvidia-smi's index or by UUID, or among all if it is not
    set, and wait until one is free. Do nothing if there is no GPU, if the device is cpu, or in a
    scheduler's job, unless the scheduler assigned several GPUs. SALT_JOBS_PER_GPU, a number in the
    environment, lets so many jobs that have it share a GPU.

    Raises InputError if the locks cannot be created, or that is no number from 1.
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
    jobs = os.environ.get("SALT_JOBS_PER_GPU", "1")
    if not (jobs.isdecimal() and int(jobs)):
        raise InputError(f"SALT_JOBS_PER_GPU: expected a number from 1, found {jobs!r}")
    try:
        locks, gpu = _wait_for_one(folder, gpus, int(jobs))
    except OSError as error:
        raise InputError(
            f"{folder}: no locks can be created here to share the GPUs ({error}); remove it, or "
            "set SALT_GPU_LEASES to a folder that every user of the GPUs can write to"
        ) from None
    _held.extend(locks)
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    logger.info("%s is reserved for this job until it ends", gpu)


def installed() -> dict[str, list[str]]:
    """Return UUIDs by GPU index: the GPU's own, or those of its MIG instances."""
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
        # A MIG instance follows its GPU.
        number = number or list(gpus)[-1]
        gpus.setdefault(number, []).append(uuid)
    return {number: parts or [whole] for number, (whole, *parts) in gpus.items()}


def chosen(gpus: dict[str, list[str]], visible: str | None) -> list[str]:
    """Return the UUIDs of the GPUs in CUDA_VISIBLE_DEVICES, or of all GPUs if it is not set.

    As in CUDA, UUIDs may be abbreviated, and the list ends at the first invalid entry.
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


def _wait_for_one(folder: str, gpus: list[str], jobs: int) -> tuple[list[int], str]:
    """Wait for a GPU that fewer than so many jobs use; return its locks and UUID."""
    waiting = False
    with _opened(folder) as opened:
        while True:
            for place, gpu in product(range(jobs), gpus):
                locks = _lock_place(opened, gpu, place) if jobs > 1 else _lock_whole(opened, gpu)
                if locks:
                    return locks, gpu
            if not waiting:
                logger.warning(
                    "other jobs are using %s; waiting for one of them to end", " and ".join(gpus)
                )
                waiting = True
            time.sleep(POLL)


def _lock_whole(folder: int, gpu: str) -> list[int]:
    """Lock a GPU against all others; return the lock, none if another job uses it."""
    lock = _lock(folder, f"{gpu}.lock", fcntl.LOCK_EX)
    return [] if lock is None else [lock]


def _lock_place(folder: int, gpu: str, place: int) -> list[int]:
    """Lock a place on a GPU, together with jobs on its others; return both locks, or none."""
    shared = _lock(folder, f"{gpu}.lock", fcntl.LOCK_SH)
    if shared is None:
        return []
    lock = _lock(folder, f"{gpu}.{place}.lock", fcntl.LOCK_EX)
    if lock is None:
        os.close(shared)
        return []
    return [shared, lock]


@contextmanager
def _opened(folder: str) -> Iterator[int]:
    """Open the lock folder, and create it if needed, writable for all users."""
    with _for_all():
        # Sticky, like /tmp: everyone can create files, but only delete their own.
        Path(folder).mkdir(0o1777, exist_ok=True)
    # Do not follow a link that someone else may have placed in the shared parent folder.
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield opened
    finally:
        os.close(opened)


def _lock(folder: int, name: str, kind: int) -> int | None:
    """Lock a file; return its descriptor, or None if another process's lock excludes it."""
    with _for_all(), suppress(FileExistsError):
        os.close(os.open(name, os.O_CREAT | os.O_EXCL, 0o444, dir_fd=folder))
    # No O_CREAT here: in a sticky folder Linux refuses it for another user's file.
    # O_NONBLOCK, so that a pipe in place of the file does not block.
    lock = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if isinstance(error, BlockingIOError):
            return None
        raise
    return lock


@contextmanager
def _for_all() -> Iterator[None]:
    """Create files with exactly the requested permissions, regardless of the user's umask."""
    usual = os.umask(0)
    try:
        yield
    finally:
        os.umask(usual)
