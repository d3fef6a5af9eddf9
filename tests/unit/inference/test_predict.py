"""New tiles: how they are read, that masks are decided as for the test tiles, and written whole."""

import os
import re
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from saltseg.core import rle
from saltseg.core.errors import InputError
from saltseg.ensemble import predictions
from saltseg.ensemble.predictions import Predictions, mean_probabilities
from saltseg.evaluation.decision import Decision
from saltseg.inference.predict import predict
from saltseg.inference.predict_new import decide, read_tiles
from saltseg.networks import model
from saltseg.output.masks import write_masks
from saltseg.output.submission import write_submission
from saltseg.survey.new_tiles import NewTiles
from support.running import ROOT
from support.surveys import image_png, png, zipped
from support.training import CPU

SCRIPTS = ROOT / "workflow/scripts"
PACKINGS = ("folder", "zip", "zip of folders")
SHAPE = (17, 20)
IDS = ["007", "1e5", "NA", "b_-9", "c", "d", "e"]


def tiles_of(ids=IDS, shape=SHAPE):
    random = np.random.default_rng(3)
    return {name: random.integers(0, 256, shape, dtype=np.uint8) for name in ids}


def files_of(tiles):
    """PNG files as bytes, of 8-bit grey and of RGB in turn."""
    makers = (image_png, png)
    return {f"{name}.png": makers[i % 2](tile) for i, (name, tile) in enumerate(tiles.items())}


def pack(path: Path, packing: str, files: dict[str, bytes]) -> Path:
    """Files to a new folder or zip in one of the ways that are understood."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if packing == "folder":
        path.mkdir()
        for name, data in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
        return path
    if packing == "zip of folders":
        files = {
            name if name == "depths.csv" else f"deep/{i % 3}/{name}": data
            for i, (name, data) in enumerate(files.items())
        }
    path.write_bytes(zipped(files, zipfile.ZIP_DEFLATED))
    return path


@pytest.fixture(params=PACKINGS)
def packing(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def networks():
    """Three members that do not agree, the first of them with depth."""
    made = []
    for seed, depth in enumerate(("both", "none", "none")):
        torch.manual_seed(seed)
        network = model.build("residual_unet", width=2, dropout=0.1, depth=depth)
        network.set_depth_range(torch.tensor([50.0, 950.0]))
        made.append(network.eval())
    return made


def stored(folder, networks, ids, images, depths, flip=True, batch_size=3) -> list[Predictions]:
    """Predictions as the workflow makes and stores them of its test tiles."""
    members = []
    for number, network in enumerate(networks):
        batches = predict(network, images, depths, CPU, batch_size=batch_size, flip=flip)
        predictions.save(folder / f"{number}.h5", ids, images.shape[1:], batches)
        members.append(Predictions.load(folder / f"{number}.h5"))
    return members


def test_tiles_are_returned_unchanged_and_sorted_by_id(tmp_path, packing):
    tiles = tiles_of()
    files = dict(reversed(files_of(tiles).items()))
    ids, images, depths = read_tiles(pack(tmp_path / "new", packing, files), with_depth=False)
    assert ids == sorted(IDS)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, [tiles[name] for name in ids])
    assert depths is None


def test_depths_are_in_the_order_of_the_ids(tmp_path, packing):
    rows = [f"{name},{100 + i}.5" for i, name in enumerate(IDS)]
    table = "\n".join(["id,z", "other,nonsense", *reversed(rows)]).encode()
    path = pack(tmp_path / "new", packing, files_of(tiles_of()) | {"depths.csv": table})
    ids, _, depths = read_tiles(path, with_depth=True)
    assert depths.dtype == np.float32
    assert depths.tolist() == [100.5 + IDS.index(name) for name in ids]


def test_a_table_of_depths_is_not_read_if_no_member_needs_it(tmp_path, packing):
    files = files_of(tiles_of()) | {"depths.csv": b"nonsense"}
    assert read_tiles(pack(tmp_path / "new", packing, files), with_depth=False)[2] is None


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, r"depths\.csv is missing from .*members trained with depth need"),
        (b"id,depth\n", "expected the columns id,z, found id,depth; members trained"),
        (b"id,z\n007,1\n", "no depth for c"),
        (b"id,z\n007,deep\n", "depth of 007 is not a number: 'deep'"),
    ],
)
def test_missing_depths_are_named_beside_other_problems(tmp_path, packing, table, message):
    files = files_of(tiles_of()) | {"x.png": b"no picture"}
    if table is not None:
        files["depths.csv"] = table
    with pytest.raises(InputError, match=message) as caught:
        read_tiles(pack(tmp_path / "new", packing, files), with_depth=True)
    assert "x.png: not a PNG file" in str(caught.value)


def test_tiles_are_found_at_any_depth_and_with_either_extension(tmp_path, packing, caplog):
    names = ["a.png", "B.PNG", "sub/c.png", "sub/sub/d.Png"]
    tile = files_of(tiles_of(["a"]))["a.png"]
    others = ["notes.txt", "sub/e.jpg", "masks.csv", "1.tif", "2.tif", "3.tif", "4.tif"]
    hidden = [".f.png", ".git/g.png", "__MACOSX/._a.png", "sub/.DS_Store"]
    files = dict.fromkeys(names, tile) | dict.fromkeys([*others, *hidden], b"no tile")
    path = pack(tmp_path / "new", packing, files)
    assert read_tiles(path, with_depth=False)[0] == ["B", "a", "c", "d"]
    (notice,) = caplog.messages
    assert notice.startswith(f"{path}: ignoring 7 files other than PNG: ")
    assert "1.tif" in notice and notice.endswith(", ...") and ".DS_Store" not in notice


def test_all_problems_are_named_at_once(tmp_path, packing):
    files = files_of(tiles_of())
    files["c.png"] = files["c.png"][:100]
    files["d.png"] = b""
    files["no id.png"] = files["007.png"]
    files["other.png"] = image_png(np.zeros((20, 17), dtype=np.uint8))
    colour = np.zeros((*SHAPE, 3), dtype=np.uint8)
    colour[3, 4, 1] = 1
    files["colour.png"] = png(colour)
    path = pack(tmp_path / "new", packing, files)
    with pytest.raises(InputError) as caught:
        read_tiles(path, with_depth=False)
    text = str(caught.value)
    assert text.startswith(f"{path} (new tiles): 5 problems found")
    assert f"{path}: id 'no id' may hold only letters" in text
    assert f"{path}/c.png: damaged PNG file" in text
    assert f"{path}/d.png: empty file" in text
    assert f"{path}/colour.png: expected a grey image, found different colour channels" in text
    assert f"{path}/other.png: 17x20 pixels, but {path}/007.png has 20x17" in text


def fingerprint(path: Path) -> str:
    with NewTiles(path) as tiles:
        return tiles.fingerprint()


def test_packing_dates_order_and_other_files_leave_the_fingerprint(tmp_path):
    files = files_of(tiles_of()) | {"depths.csv": b"id,z\n"}
    found = {fingerprint(pack(tmp_path / packing, packing, files)) for packing in PACKINGS}
    found.add(fingerprint(pack(tmp_path / "turned", "zip", dict(reversed(files.items())))))
    found.add(fingerprint(pack(tmp_path / "more", "folder", files | {"notes.txt": b"new"})))
    for file in (tmp_path / "folder").iterdir():
        os.utime(file, (1, 1))
    found.add(fingerprint(tmp_path / "folder"))
    assert len(found) == 1


def test_every_change_of_a_tile_or_depth_changes_the_fingerprint(tmp_path, packing):
    files = files_of(tiles_of()) | {"depths.csv": b"id,z\n"}
    less = {name: data for name, data in files.items() if name != "c.png"}
    variants = [
        files,
        less,
        less | {"ca.png": files["c.png"]},
        files | {"c.png": files["d.png"]},
        files | {"c.png": files["d.png"], "d.png": files["c.png"]},
        files | {"depths.csv": b"id,z\nc,3\n"},
        files_of(tiles_of()),
    ]
    found = {fingerprint(pack(tmp_path / str(i), packing, each)) for i, each in enumerate(variants)}
    assert len(found) == len(variants)


@pytest.mark.parametrize("flip", [True, False])
def test_masks_are_those_of_a_submission_also_at_a_tie(tmp_path, networks, flip):
    ids, images = sorted(IDS), np.stack(list(tiles_of().values()))
    depths = np.linspace(50, 950, len(ids), dtype=np.float32)
    members = stored(tmp_path, networks, ids, images, depths, flip)
    weights = {"0": 1, "1": 3, "wide-0": 2}
    members = [
        replace(member, weight=weight)
        for member, weight in zip(members, weights.values(), strict=True)
    ]
    means = np.concatenate([mean for _, mean in mean_probabilities(members, ids)])
    # Thresholds that some pixels lie on, and those that would go wrong by the smallest step.
    ties = np.quantile(means, [0.05, 0.3, 0.5, 0.7, 0.95], method="nearest")
    for number, tie in enumerate(ties):
        for threshold in (np.nextafter(tie, 0), tie, np.nextafter(tie, 1)):
            decision = Decision(threshold, flip, weights)
            masks = decide(networks, images, depths, CPU, decision, 3)
            masks = np.stack(list(masks))
            assert masks.dtype == bool
            np.testing.assert_array_equal(masks, means > threshold)
            ours = tmp_path / f"{number}.csv"
            write_masks(ours, ours.with_suffix(""), ids, masks)
            theirs = tmp_path / f"{number}-submission.csv"
            write_submission(theirs, ids, members, 6, threshold)
            assert ours.read_bytes() == theirs.read_bytes()


def test_one_batch_of_probabilities_is_held_at_a_time():
    seen = []

    class Watched(torch.nn.Module):
        def __init__(self, number):
            super().__init__()
            self.number = number

        def forward(self, images, depths):
            seen.append((self.number, len(images)))
            return images - 0.5

    images = np.stack(list(tiles_of().values()))
    watched = [Watched(number) for number in range(2)]
    masks = decide(watched, images, None, CPU, Decision(0.5, False, {"0": 1, "1": 1}), 3)
    next(masks)
    assert seen == [(0, 3), (1, 3)]
    assert len(list(masks)) == 6
    assert seen[2:] == [(0, 3), (1, 3), (0, 1), (1, 1)]


def random_masks(count, seed=0):
    masks = np.random.default_rng(seed).random((count, *SHAPE)) < 0.3
    masks[0] = False
    return masks


def contents(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def test_pictures_equal_the_table(tmp_path):
    ids, masks = sorted(IDS), random_masks(len(IDS))
    assert (
        write_masks(tmp_path / "out/masks.csv", tmp_path / "out/masks", ids, masks) == len(ids) - 1
    )
    table = pd.read_csv(tmp_path / "out/masks.csv", dtype=str, keep_default_na=False)
    assert table.columns.tolist() == ["id", "rle_mask"]
    assert table["id"].tolist() == ids
    names = ["masks.csv", *(f"masks/{name}.png" for name in ids)]
    assert sorted(contents(tmp_path / "out")) == sorted(names)
    for name, text, mask in zip(ids, table["rle_mask"], masks, strict=True):
        with Image.open(tmp_path / f"out/masks/{name}.png") as picture:
            assert picture.mode == "L"
            pixels = np.asarray(picture)
        np.testing.assert_array_equal(pixels, np.where(mask, 255, 0))
        np.testing.assert_array_equal(rle.decode(text, SHAPE), mask)


def test_new_masks_replace_all_old_ones(tmp_path):
    write_masks(tmp_path / "masks.csv", tmp_path / "masks", ["a", "b", "c"], random_masks(3))
    # As the workflow engine leaves it.
    (tmp_path / "masks/.snakemake_timestamp").touch()
    write_masks(tmp_path / "masks.csv", tmp_path / "masks", ["b", "d"], random_masks(2, seed=1))
    fresh = tmp_path / "fresh"
    write_masks(fresh / "masks.csv", fresh / "masks", ["b", "d"], random_masks(2, seed=1))
    fresh = contents(fresh)
    assert {name: tmp_path.joinpath(name).read_bytes() for name in fresh} == fresh
    assert sorted(file.name for file in tmp_path.iterdir()) == ["fresh", "masks", "masks.csv"]
    assert sorted(file.name for file in (tmp_path / "masks").iterdir()) == ["b.png", "d.png"]


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from saltseg.output.masks import write_masks

def masks():
    yield np.ones((17, 20), dtype=bool)
    yield np.ones((17, 20), dtype=bool)
    os.kill(os.getpid(), signal.SIGKILL)

path = Path(sys.argv[1])
write_masks(path, path.with_suffix(""), ["a", "b", "c"], masks())
"""


def test_a_kill_leaves_the_old_masks_and_the_next_run_clears_up(tmp_path):
    path = tmp_path / "masks.csv"
    write_masks(path, tmp_path / "masks", ["a", "b", "c"], random_masks(3))
    before = contents(tmp_path)
    done = subprocess.run([sys.executable, "-c", KILLED, path], cwd=SCRIPTS)
    assert done.returncode == -signal.SIGKILL
    after = contents(tmp_path)
    assert {name: after[name] for name in before} == before
    assert all(name.startswith(".") for name in after.keys() - before.keys())
    write_masks(path, tmp_path / "masks", ["a"], random_masks(1))
    assert [file.name for file in tmp_path.iterdir() if file.is_dir()] == ["masks"]
    assert [file.name for file in (tmp_path / "masks").iterdir()] == ["a.png"]


def never():
    raise AssertionError("predicted for nothing")
    yield


@pytest.mark.parametrize("name", ["mine.png", "notes.txt", ".notes", "a.png", "deeper"])
@pytest.mark.parametrize("earlier", [False, True], ids=["alone", "beside earlier masks"])
def test_a_folder_with_other_files_is_left_alone(tmp_path, name, earlier):
    if earlier:
        write_masks(tmp_path / "masks.csv", tmp_path / "masks", ["b", "c"], random_masks(2))
        # As Snakemake does before a job.
        (tmp_path / "masks.csv").unlink()
    (tmp_path / "masks").mkdir(exist_ok=True)
    if name == "deeper":
        (tmp_path / "masks" / name).mkdir()
    elif name == "mine.png":
        Image.new("L", (20, 17)).save(tmp_path / "masks" / name)
    else:
        (tmp_path / "masks" / name).write_bytes(b"dear to me")
    before = contents(tmp_path)
    found = rf"masks: masks would replace it, but {re.escape(name)} was not written by"
    with pytest.raises(InputError, match=found):
        write_masks(tmp_path / "masks.csv", tmp_path / "masks", ["a", "mine"], never())
    assert contents(tmp_path) == before
