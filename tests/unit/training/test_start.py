"""Members that start from a finished run's, and scores that stay honest."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from saltseg.core.errors import InputError
from saltseg.core.hdf import writing
from saltseg.core.sealed_json import write_sealed
from saltseg.networks.checkpoint import Checkpoint
from saltseg.survey import lines, tiles
from saltseg.survey.folds import read_folds
from saltseg.survey.former import Former, digests
from saltseg.survey.grid import INLINE
from saltseg.survey.lines import Line, Lines, near_lines
from saltseg.survey.tiles import Tiles
from saltseg.training.start import Start
from saltseg.training.trainer import Trainer
from support.horizons import surveyed
from support.stages import TINY, stage
from support.training import member

MODEL = {"name": "residual_unet", "width": 1, "dropout": 0.1}
BLACK = np.zeros((16, 16), np.uint8)
RANDOM = np.random.default_rng(0)
# Two black tiles, in different folds.
IMAGES = {name: RANDOM.integers(256, size=(16, 16), dtype=np.uint8) for name in "abcdef"}
IMAGES |= {"g": BLACK, "h": BLACK}
FOLDS = dict(zip("abcdefgh", [0, 1, 1, 0, 0, 1, 0, 1], strict=True))


def pack(path, images):
    table = pd.DataFrame({"id": list(images), "depth": 1.0, "coverage": 0.5})
    pixels = np.stack(list(images.values()))
    tiles.save(path, table, pixels, pixels > 128)
    return path


@pytest.fixture(scope="module")
def weights():
    return member(epochs=1, model=MODEL)[0]


@pytest.fixture
def run(tmp_path, weights):
    """The results folder of a run of two members."""
    folder = tmp_path / "results"
    (folder / "data").mkdir(parents=True)
    pack(folder / "data/train.h5", IMAGES)
    with writing(folder / "data/folds.h5") as file:
        file.put_table(pd.DataFrame({"id": list(FOLDS), "fold": FOLDS.values()}))
    write_sealed(folder / "threshold.json", {"scheme": "kfold"})
    for seed in (0, 1):
        path = folder / f"models/{seed}/checkpoint.safetensors"
        path.parent.mkdir(parents=True)
        Checkpoint(weights.about | {"seed": seed}, weights.state).save(path)
    return folder


def start(run, seed=0, model=MODEL, greyscale=None):
    return Start.load(run / f"models/{seed}/checkpoint.safetensors", model, greyscale)


def held_out(own: Tiles, names: str):
    return own.table["id"].isin(list(names)).to_numpy()


def test_a_member_starts_from_the_weights_of_the_other(weights):
    class Built(Trainer):
        def resume(self):
            for name, tensor in self.network.state_dict().items():
                assert torch.equal(tensor, weights.state[name])
            super().resume()

    trained, _ = member(trainer=Built, epochs=1, seed=5, model=MODEL, weights=weights)
    assert not torch.equal(trained.state["head.weight"], weights.state["head.weight"])


@pytest.mark.parametrize(
    ("model", "greyscale", "message"),
    [
        ({"width": 2}, None, r"0/checkpoint.safetensors has model.width 1 instead of 2; set the"),
        ({"dropout": 0.5}, None, ""),
        ({}, {"tile": 64, "normalisation": "window", "percentile": 99.9}, "survey.tile 101 instea"),
    ],
)
def test_another_network_or_grey_scale_is_refused_by_its_keys(
    run, weights, model, greyscale, message
):
    about = weights.about | {"survey": {"tile": 101, "normalisation": "window"}}
    Checkpoint(about, weights.state).save(run / "models/0/checkpoint.safetensors")
    if not message:
        assert start(run, model=MODEL | model)
        return
    with pytest.raises(InputError, match=message):
        start(run, model=MODEL | model, greyscale=greyscale)


def test_a_member_that_learnt_from_what_is_held_out_is_refused(run, tmp_path):
    own = Tiles(pack(tmp_path / "train.h5", IMAGES))
    start(run).refuse_learnt(own, None, held_out(own, "adeg"), 0)
    # Black tiles show nothing.
    start(run).refuse_learnt(own, None, held_out(own, "adegh"), 0)
    with pytest.raises(InputError, match=r"learnt from 1 of the tiles .* member 3 holds out.* b,"):
        start(run).refuse_learnt(own, None, held_out(own, "ab"), 3)
    renamed = Tiles(pack(tmp_path / "other.h5", {"x": IMAGES["b"], "y": IMAGES["a"]}))
    with pytest.raises(InputError, match="such as x"):
        start(run).refuse_learnt(renamed, None, held_out(renamed, "xy"), 0)


def test_what_a_member_learnt_before_it_started_counts(run, tmp_path, weights):
    own = Tiles(pack(tmp_path / "train.h5", {"z": IMAGES["a"] + 1}))
    seen = sorted(digests(own, None)["z"])
    about = weights.about | {"start": {"path": "older", "learnt": seen}}
    Checkpoint(about, weights.state).save(run / "models/0/checkpoint.safetensors")
    with pytest.raises(InputError, match="such as z"):
        start(run).refuse_learnt(own, None, held_out(own, "z"), 0)
    start(run, 1).refuse_learnt(own, None, held_out(own, "z"), 1)


def test_without_its_data_a_run_is_no_start(run):
    (run / "data/folds.h5").unlink()
    with pytest.raises(InputError, match=r"folds\.h5: no such file, so it is not known what"):
        start(run)


def test_tiles_of_both_runs_stay_in_their_folds(run, tmp_path):
    new = {name: RANDOM.integers(256, size=(16, 16), dtype=np.uint8) for name in "mno"}
    own = Tiles(pack(tmp_path / "train.h5", new | dict(reversed(IMAGES.items()))))
    former = [run / f"data/{name}.h5" for name in ("train", "folds")]
    outputs = ["--folds", tmp_path / "folds.h5", "--table", tmp_path / "folds.csv"]
    files = ["--tiles", own.path, "--former", *former, *outputs]
    assert stage("split", "--settings", settings(folds=2), *files) == 0
    table = pd.read_csv(tmp_path / "folds.csv").set_index("id")["fold"].to_dict()
    assert FOLDS.items() <= table.items() and {table[name] for name in "mno"} == {0, 1}


def test_black_tiles_alone_are_nothing_in_common(run, tmp_path):
    new = {name: RANDOM.integers(256, size=(16, 16), dtype=np.uint8) for name in "mnop"}
    own = Tiles(pack(tmp_path / "train.h5", new | dict.fromkeys("qr", BLACK)))
    assert Former.load(run).kept(digests(own, None)) == {}


@pytest.mark.parametrize("new", ["", "m"])
def test_a_fold_of_which_nothing_is_labelled_any_more_gets_what_is_new(run, tmp_path, capsys, new):
    images = {name: IMAGES[name] for name in "ade"} | dict.fromkeys(new, IMAGES["b"] + 1)
    own = Tiles(pack(tmp_path / "train.h5", images))
    files = [*("--tiles", own.path, "--folds", tmp_path / "folds.h5"), "--former"]
    files += [run / f"data/{name}.h5" for name in ("train", "folds")]
    assert stage("split", "--settings", settings(folds=2), *files) == (not new)
    if new:
        assert read_folds(tmp_path / "folds.h5", own.ids)["fold"].tolist() == [0, 0, 0, 1]
    else:
        said = "training.start: all that was in fold 1 of 2 there is no longer labelled"
        assert said in " ".join(capsys.readouterr().err.split())


def test_other_folds_of_the_same_tiles_are_refused(run, tmp_path, capsys):
    former = [run / f"data/{name}.h5" for name in ("train", "folds")]
    files = ["--tiles", former[0], "--former", *former, "--folds", tmp_path / "folds.h5"]
    assert stage("split", "--settings", settings(folds=4), *files) == 1
    assert "validation.folds is 4, but" in capsys.readouterr().err


def test_a_finished_member_is_copied_unless_it_learnt_from_what_it_would_be_scored_on(
    run, tmp_path, capsys
):
    source = run / "models/1/checkpoint.safetensors"
    with writing(tmp_path / "turned.h5") as file:
        turned = [1 - fold for fold in FOLDS.values()]
        file.put_table(pd.DataFrame({"id": list(FOLDS), "fold": turned}))
    given = ["--tiles", run / "data/train.h5", "--source", source]

    def adopt(folds, scheme="kfold"):
        files = ["--folds", folds, "--checkpoint", tmp_path / "x.safetensors"]
        return stage("adopt", "--settings", settings(scheme=scheme), *given, *files)

    assert adopt(tmp_path / "turned.h5") == 1
    assert f"ensemble.runs: {source} learnt from 3 of the tiles" in capsys.readouterr().err
    assert not (tmp_path / "x.safetensors").exists()
    assert adopt(run / "data/folds.h5") == 0
    assert (tmp_path / "x.safetensors").read_bytes() == source.read_bytes()
    # Nothing is honest there.
    assert adopt(tmp_path / "turned.h5", "full") == 0
    (run / "data/train.h5").unlink()
    given[1] = pack(tmp_path / "train.h5", IMAGES)
    assert adopt(run / "data/folds.h5") == 1
    assert "ensemble.runs: " in capsys.readouterr().err


def settings(**changes):
    return json.dumps({"validation": TINY["validation"] | changes})


def volume_line(number, seed, traces=slice(0, 20), piece=None):
    amplitude = np.random.default_rng(seed).normal(size=(20, 8)).astype(np.float16)[traces]
    labels = np.ones_like(amplitude, np.uint8)
    return Line(INLINE, number, traces.start, amplitude, labels, piece)


def test_a_new_line_joins_the_fold_of_the_nearest_and_other_pieces_are_refused(tmp_path):
    halves = [volume_line(10, 1, slice(0, 10), 0), volume_line(10, 1, slice(10, 20), 1)]
    lines.save(tmp_path / "former.h5", [*halves, volume_line(30, 2)])
    lines.save(tmp_path / "same.h5", [*halves, volume_line(30, 2), volume_line(22, 3)])
    lines.save(tmp_path / "whole.h5", [volume_line(10, 1)])
    shown = digests(None, Lines(tmp_path / "former.h5"))
    former = Former(tmp_path, shown, {"inline_10_piece0": 0, "inline_10_piece1": 1, "inline_30": 2})
    same = Lines(tmp_path / "same.h5")
    kept = former.kept(digests(None, same))
    assert kept == former.folds
    assert near_lines(same.table, kept) == kept | {"inline_22": 2}
    new = pd.DataFrame({"id": ["piece"], "plane": [INLINE], "line": [15], "first": [9]})
    assert near_lines(pd.concat([same.table, new]), kept)["piece"] == 1
    with pytest.raises(InputError, match=r"inline_10 was cut into pieces in .* \(folds 0, 1\)"):
        former.kept(digests(None, Lines(tmp_path / "whole.h5")))


def test_a_new_line_replaces_one_that_was_alone_in_its_fold(tmp_path):
    surveyed(tmp_path).geometry.save(tmp_path / "geometry.json")

    def pack_lines(folder, numbers):
        folder.mkdir(parents=True)
        lines.save(folder / "lines.h5", [volume_line(number, number) for number in numbers])
        names = [f"inline_{number}" for number in numbers]
        table = {"id": [f"{name}_0" for name in names], "line": names, "depth": 0.0}
        pixels = np.zeros((len(names), 16, 16), np.uint8)
        tiles.save(folder / "train.h5", pd.DataFrame(table | {"coverage": 0.5}), pixels, pixels > 0)
        return table["id"]

    names = pack_lines(tmp_path / "run/data", [100, 104, 108])
    with writing(tmp_path / "run/data/folds.h5") as file:
        file.put_table(pd.DataFrame({"id": names, "fold": [0, 1, 2]}))
    names = pack_lines(tmp_path / "own", [100, 102, 106, 108])
    files = [f"--former={tmp_path / 'run/data/train.h5'}"]
    files += [f"--{name}={tmp_path / f'own/{file}.h5'}" for name, file in
              (("tiles", "train"), ("lines", "lines"), ("folds", "folds"))]  # fmt: skip
    files.append(f"--geometry={tmp_path / 'geometry.json'}")
    assert stage("split", "--settings", settings(folds=3), *files) == 0
    # Without 104, fold 1 has the first new line, and the other joins its neighbour.
    assert read_folds(tmp_path / "own/folds.h5", names)["fold"].tolist() == [0, 1, 2, 2]


def test_a_line_that_all_members_learnt_from_cannot_be_held_out(run, tmp_path, capsys):
    with writing(run / "data/folds.h5") as file:
        file.put_table(pd.DataFrame({"id": list(IMAGES), "fold": 0}))
    former = [run / f"data/{name}.h5" for name in ("train", "folds")]
    files = ["--tiles", former[0], "--former", *former, "--folds", tmp_path / "folds.h5"]
    assert stage("split", "--settings", settings(folds=2), *files) == 1
    assert "learnt from a, so none that starts" in " ".join(capsys.readouterr().err.split())
    assert stage("split", "--settings", settings(folds=2, scheme="full"), *files) == 0
