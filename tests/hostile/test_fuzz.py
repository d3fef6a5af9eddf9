"""Random damage: for any bytes, a reader returns valid arrays or raises InputError.

--hypothesis-profile=fuzz searches for rare failures; those found become examples here and cases of
the catalogues beside this file.
"""

import resource
import signal
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saltseg.core.errors import InputError
from saltseg.survey.import_test import import_test
from saltseg.survey.import_train import import_train
from saltseg.survey.source import Source
from support.surveys import LAYOUTS, Survey

SECONDS = 30
BYTES = 2 * 2**30


def too_slow(*_):
    raise TimeoutError(f"more than {SECONDS} seconds")


@contextmanager
def in_bounds():
    """Fail tests that take too long or too much memory."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = signal.signal(signal.SIGALRM, too_slow)
    signal.alarm(SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (now + BYTES, hard))
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def outcome(read, check=lambda found: None) -> bool:
    """Return whether ``read`` succeeds, and check its result; it may only raise InputError."""
    with in_bounds():
        try:
            found = read()
        except InputError as error:
            assert "Traceback" not in str(error)
            return False
    check(found)
    return True


SMALL = Survey(train=2, test=1, height=4, width=5).all_files()


def survey_of(files: dict[str, bytes]) -> Survey:
    survey = Survey(train=2, test=1, height=4, width=5)
    survey.all_files = lambda: files
    return survey


PLACES = st.floats(0, 1, exclude_max=True)
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("change"), PLACES, st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("insert"), PLACES, st.binary(min_size=1, max_size=40)),
        st.tuples(st.just("fill"), PLACES, st.sampled_from([b"\0", b"\xff", b"\n", b",", b'"'])),
        st.tuples(st.just("cut"), PLACES, PLACES),
        st.tuples(st.just("double"), PLACES, PLACES),
        st.tuples(st.just("truncate"), PLACES, st.none()),
    ),
    min_size=1,
    max_size=4,
)


def damaged(data: bytes, changes: list) -> bytes:
    for kind, where, what in changes:
        place = int(where * len(data))
        if kind == "change":
            data = data[:place] + what + data[place + len(what) :]
        elif kind == "insert":
            data = data[:place] + what + data[place:]
        elif kind == "fill":
            data = data[:place] + what * 8 + data[place + 8 :]
        elif kind == "truncate":
            data = data[:place]
        else:
            end = place + int(what * (len(data) - place))
            data = data[:place] + data[end:] if kind == "cut" else data[:end] + data[place:]
    return data


def check_labelled(found):
    table, images, masks = found
    assert images.dtype == np.uint8 and masks.dtype == bool
    assert images.shape == masks.shape and len(images) == len(table) > 0
    assert table["id"].is_unique and not np.isinf(table["depth"]).any()
    assert table["coverage"].tolist() == [mask.mean() for mask in masks]


def check_unlabelled(found):
    table, images = found
    assert images.dtype == np.uint8 and images.ndim == 3 and len(images) == len(table) > 0
    assert table["id"].is_unique and not np.isinf(table["depth"]).any()


def check_digest(found):
    assert len(found) == 64


def read_all(path: Path) -> list[bool]:
    """Return whether each part, and each part's digest, can be read."""

    def of(read, *given):
        def from_source():
            with Source(path) as source:
                return read(source, *given)

        return from_source

    return [
        outcome(of(import_train), check_labelled),
        outcome(of(import_test), check_unlabelled),
        outcome(of(Source.fingerprint, "train"), check_digest),
        outcome(of(Source.fingerprint, "test"), check_digest),
    ]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_undamaged_survey_is_read(tmp_path, layout):
    assert read_all(survey_of(SMALL).write(tmp_path / "survey", layout)) == [True] * 4


@given(layout=st.sampled_from(LAYOUTS), name=st.sampled_from(sorted(SMALL)), changes=CHANGES)
def test_damage_to_a_survey_s_file_is_reported_or_harmless(layout, name, changes):
    files = SMALL | {name: damaged(SMALL[name], changes)}
    with tempfile.TemporaryDirectory() as folder:
        read_all(survey_of(files).write(Path(folder) / "survey", layout))
