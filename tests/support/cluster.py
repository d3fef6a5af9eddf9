"""A real Slurm on this machine: one node with two simulated GPUs, no accounting.

As root, without systemd. Slurm's programs look for their configuration in /etc/slurm, so nothing is
started where there is one already.
"""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

from support.running import wait_for

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")
FOLDER = Path("/etc/slurm")
NODE = os.uname().nodename.split(".")[0]
GPUS = 2

SLURM = """\
# Written for tests by process {process}
ClusterName=test
SlurmctldHost={node}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
MinJobAge=300
KillWait=5
ReturnToService=2
SlurmdParameters=config_overrides
NodeName={node} NodeAddr=127.0.0.1 CPUs=8 RealMemory=64000 Gres=gpu:fake:{gpus}
PartitionName=cpu Nodes={node} Default=YES State=UP
PartitionName=gpu Nodes={node} State=UP
"""
GRES = """\
AutoDetect=off
NodeName={node} Name=gpu Type=fake Flags=nvidia_gpu_env File={folder}/nvidia[0-{last}]
"""


def missing() -> str | None:
    """Why no Slurm can be started here; None if one can."""
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        return (
            f"no {', '.join(absent)} here; on Debian: apt-get install --no-install-recommends "
            "slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge"
        )
    if os.getuid() != 0:
        return "needs to be root, to start Slurm's daemons"
    if (FOLDER / "slurm.conf").exists() and not is_left_over(FOLDER / "slurm.conf"):
        return f"{FOLDER}/slurm.conf is there already: this machine belongs to a Slurm"
    return None


def is_left_over(path: Path) -> bool:
    """Whether a configuration is one of tests that were killed before they could remove it."""
    found = re.match(r"# Written for tests by process (\d+)\n", path.read_text())
    return found is not None and not Path(f"/proc/{found[1]}").exists()


class Cluster:
    """Slurm's daemons, from ``start`` to ``stop``, with logs and state in a folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.started: list[subprocess.Popen] = []

    def start(self) -> None:
        names = {
            "process": os.getpid(),
            "node": NODE,
            "folder": self.folder,
            "gpus": GPUS,
            "last": GPUS - 1,
        }
        for name in ("state", "spool"):
            (self.folder / name).mkdir(parents=True)
        for number in range(GPUS):
            # Slurm hands out no GPU that is no character device.
            device = os.makedev(195, number)
            os.mknod(self.folder / f"nvidia{number}", 0o600 | 0o020000, device)
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / "slurm.conf").write_text(SLURM.format(**names))
        (FOLDER / "gres.conf").write_text(GRES.format(**names))
        # Its socket may outlive it.
        if not said("munge", "--no-input"):
            Path("/run/munge").mkdir(exist_ok=True)
            shutil.chown("/run/munge", "munge", "munge")
            self._run(["runuser", "-u", "munge", "--", "munged", "--foreground"])
            wait_for(lambda: said("munge", "--no-input"))
        self._run(["slurmctld", "-D", "-i"])
        self._run(["slurmd", "-D", "-N", NODE])
        wait_for(lambda: "idle" in said("sinfo", "--noheader", "--format=%T"))

    def _run(self, command: list[str]) -> None:
        with open(self.folder / "daemons.txt", "a") as file:
            self.started.append(subprocess.Popen(command, stdout=file, stderr=file))

    def stop(self) -> None:
        said("scancel", "--full", "--user=root")
        wait_for(lambda: not said("squeue", "--noheader"), 30)
        for daemon in reversed(self.started):
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(30)
        for name in ("slurm.conf", "gres.conf"):
            (FOLDER / name).unlink()


def said(*command: str) -> str:
    """What a command prints; empty if it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""
