"""The submission, compared with a naive implementation, and written completely or not at all."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from saltseg.core.errors import InputError
from saltseg.core.quantisation import SCALE
from saltseg.ensemble.predictions import Predictions
from saltseg.output.submission import write_submission
from support.surveys import slow_encode

SHAPE = (3, 4)


def naive_submission(ids, members, threshold):
    """Return the submission's text and number of tiles with salt, computed in exact fractions."""
    lines, with_salt = ["id,rle_mask"], 0
    for name in ids:
        tiles = [member.values[member.ids.index(name)].tolist() for member in members]
        mask = [
            [
                Fraction(sum(tile[y][x] for tile in tiles), len(tiles) * SCALE) > threshold
                for x in range(SHAPE[1])
            ]
            for y in range(SHAPE[0])
        ]
        text = slow_encode(mask)
        with_salt += text != ""
        lines.append(f"{name},{text}")
    return "\n".join(lines) + "\n", with_salt


@st.composite
def ensembles(draw):
    """Draw members with the same tiles, each in its own order."""
    ids = draw(st.permutations([f"tile{i}" for i in range(draw(st.integers(1, 4)))]))
    members = []
    for _ in range(draw(st.integers(1, 3))):
        fifths = draw(arrays(np.uint16, (len(ids), *SHAPE), elements=st.integers(0, 5)))
        values = fifths * np.uint16(SCALE // 5)
        members.append(Predictions(Path("m.h5"), draw(st.permutations(ids)), values))
    return ids, members


def members_of(ids, count=2):
    random = np.random.default_rng(0)
    shape = (len(ids), *SHAPE)
    return [
        Predictions(Path(f"{seed}.h5"), list(ids), random.integers(0, SCALE + 1, shape, np.uint16))
        for seed in range(count)
    ]


# No mean of fifths over up to three members equals these.
@given(ensembles(), st.sampled_from([0.03, 0.25, 0.47, 0.51, 0.77, 0.99]))
def test_a_submission_equals_a_naive_one(tmp_path_factory, ensemble, threshold):
    ids, members = ensemble
    path = tmp_path_factory.mktemp("submission") / "submission.csv"
    with_salt = write_submission(path, ids, members, len(members), threshold)
    expected = naive_submission(ids, members, Fraction(threshold))
    assert (path.read_bytes().decode(), with_salt) == expected


def test_a_probability_at_the_threshold_is_no_salt(tmp_path):
    values = np.array([[[0, 32767, 32768, SCALE]]], dtype=np.uint16)
    member = Predictions(Path("0.h5"), ["a"], values)
    write_submission(tmp_path / "s.csv", ["a"], [member], 1, 32768 / SCALE)
    assert (tmp_path / "s.csv").read_text() == "id,rle_mask\na,4 1\n"


@pytest.mark.parametrize("others", [["a", "b"], ["a", "b", "x"], []])
def test_a_tile_that_a_member_did_not_predict_is_named(tmp_path, others):
    members = members_of(["a", "b", "c"], 1)
    members.append(Predictions(Path("7.h5"), others, np.zeros((len(others), *SHAPE), np.uint16)))
    odd = min({"a", "b", "c"} - set(others))
    with pytest.raises(InputError, match=rf"by members of weight 2, found 1 of {odd}; delete it"):
        write_submission(tmp_path / "s.csv", ["a", "b", "c"], members, 2, 0.5)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("cuts", [[], [3], [0, 0, 2], [1, 1, 5, 6]])
def test_shards_give_the_bytes_of_the_whole(tmp_path, cuts):
    ids = [f"tile{i}" for i in range(7)]
    members = members_of(ids)
    with_salt = write_submission(tmp_path / "whole.csv", ids, members, 2, 0.5)
    shards = [
        Predictions(member.path, member.ids[start:stop], member.values[start:stop])
        for member in members
        for start, stop in pairwise([0, *cuts, 7])
    ]
    assert write_submission(tmp_path / "parts.csv", ids, shards, 2, 0.5) == with_salt
    assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    # One given twice, or not at all.
    for wrong in ([*shards, shards[-1]], shards[:-1]):
        with pytest.raises(InputError, match="the 7 test tiles by members of weight 2, found"):
            write_submission(tmp_path / "wrong.csv", ids, wrong, 2, 0.5)
        assert not (tmp_path / "wrong.csv").exists()
