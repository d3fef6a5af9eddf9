"""Settings and fixtures of all tests."""

import fcntl
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from support.running import complete, unpack, with_config
from support.surveys import LAYOUTS, TINY_VOLUME, Survey

# On tiles this small several threads only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What a shell runs in the background ignores interrupts, and so would all that is started here.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples on every run; --hypothesis-profile=thorough looks for new ones, and fuzz for
# rare ones, some hours long.
settings.register_profile("steady", deadline=None, derandomize=True, max_examples=50)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.register_profile("fuzz", deadline=None, max_examples=20_000)
settings.load_profile("steady")


@pytest.fixture
def survey() -> Survey:
    """A fresh survey of four labelled tiles and three test tiles."""
    return Survey()


@pytest.fixture(params=LAYOUTS)
def layout(request) -> str:
    return request.param


@pytest.fixture(scope="session")
def run_once(tmp_path_factory):
    """Return a function that gives each worker a copy of a folder that one of them makes.

    All that name the same folder in SALT_TEST_RUNS share it; else the workers of one run of pytest.
    """
    own = tmp_path_factory.getbasetemp()
    # Workers of pytest-xdist have folders of their own beside each other.
    own = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    shared = Path(os.environ.get("SALT_TEST_RUNS", own / "shared"))

    def copy_of(name: str, make: Callable[[Path], object]) -> Path:
        shared.mkdir(exist_ok=True)
        with open(shared / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (shared / name).exists():
                folder = shared / f"{name} in the making"
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                folder.rename(shared / name)
        return shutil.copytree(shared / name, tmp_path_factory.mktemp(name), dirs_exist_ok=True)

    return copy_of


@pytest.fixture(scope="session")
def finished(run_once) -> Path:
    """A folder in which the tiny workflow ran to its end; not to be changed."""
    return run_once("tiny", complete)


@pytest.fixture(scope="session")
def finished_volume(run_once) -> Path:
    """Like `finished`, but with a volume, and its configuration in `config.yaml`; not to be
    changed.
    """
    return run_once(
        "volume", lambda folder: complete(folder, config=with_config(folder, TINY_VOLUME))
    )


@pytest.fixture
def copied(finished, tmp_path_factory) -> Path:
    """A copy of the finished folder beside it, to try changes on."""
    return shutil.copytree(finished, tmp_path_factory.mktemp("copied"), dirs_exist_ok=True)


@pytest.fixture(scope="session")
def finished_own(finished, run_once) -> Path:
    """Like `finished`, but with the same tiles in a folder of the user's, `survey`, and the
    configuration in `config.yaml`; not to be changed.
    """

    def make(folder: Path) -> None:
        unpack(finished / "results/demo/survey.zip", folder / "survey")
        complete(folder, config=with_config(folder, {"data": {"source": "survey"}}))

    return run_once("own", make)
