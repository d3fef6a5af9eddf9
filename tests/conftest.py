"""Settings and fixtures of all tests."""

import os
import shutil
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from support import surveys
from support.running import complete
from support.surveys import LAYOUTS, Survey

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

# Those that take longest come first, so that no worker ends long after the other.
LONGEST = (
    *("test_demo_run", "test_crash", "test_staleness", "test_hostile", "test_workflow"),
    *("test_self_training", "test_contest_recipes", "test_page", "test_lease", "test_kaggle"),
)


def pytest_collection_modifyitems(items):
    def place(item) -> int:
        return LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST)

    items.sort(key=place)


@pytest.fixture(scope="session")
def slow_encode():
    return surveys.slow_encode


@pytest.fixture(scope="session")
def slow_score():
    return surveys.slow_score


@pytest.fixture
def survey() -> Survey:
    """A fresh survey of four labelled tiles and three test tiles."""
    return Survey()


@pytest.fixture(params=LAYOUTS)
def layout(request) -> str:
    return request.param


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """A folder in which the tiny workflow ran to its end; not to be changed."""
    folder = tmp_path_factory.mktemp("tiny")
    complete(folder)
    return folder


@pytest.fixture
def copied(finished, tmp_path_factory) -> Path:
    """A copy of the finished folder beside it, to try changes on."""
    return shutil.copytree(finished, tmp_path_factory.mktemp("copied"), dirs_exist_ok=True)
