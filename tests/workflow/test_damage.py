"""Files between stages that are cut, emptied or altered: reported before use, replaced alone."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from saltseg.core import checksums
from saltseg.core.checksums import Checksums, check_folder, checksums_of
from saltseg.core.errors import InputError
from saltseg.core.files import replacing, write_npy
from saltseg.ensemble.predictions import Predictions
from saltseg.ensemble.pseudo_labels import PseudoLabels
from saltseg.ensemble.pseudo_labels import save as save_labels
from saltseg.evaluation.decision import Decision, write_report
from saltseg.evaluation.review import read_review
from saltseg.evaluation.summary import summary
from saltseg.networks import model
from saltseg.networks.checkpoint import Checkpoint
from saltseg.report.page import read_figure
from saltseg.report.plot_evaluation import read_curve
from saltseg.report.plot_training import kept_epoch, read_history
from saltseg.survey.folds import read_folds, read_groups
from saltseg.survey.source import Source
from saltseg.survey.tiles import Tiles
from saltseg.training.saved import fingerprint
from support.running import ROOT, TINY, complete, planned, snakemake
from support.surveys import forget_checksums

pytestmark = pytest.mark.slow

TRAIN, TEST = "results/data/train/tiles.csv", "results/data/test/tiles.csv"
REPORT = dict.fromkeys(["threshold", "score", "score_all_empty"], 0.5)
REPORT |= {"tiles": 4, "tiles_scored": 4, "flip": True, "honest": True, "seeds": [0]}
REPORT |= {"tuned_on": "the other folds"}


def read_groups_of(path):
    ids = Tiles(path.parents[1] / "data/train/tiles.csv").ids
    return read_groups(path, "section", ids)


def read_source(path):
    with Source(path) as source:
        return source.read("train.csv")


def read_predictions(path):
    path = path.with_suffix(".npy")
    return Predictions.load(path).values[:]


def beside(reader):
    """A reader that also wants the ids of the labelled tiles."""
    return lambda path: reader(path, Tiles(results_of(path) / "data/train/tiles.csv").ids)


def results_of(path):
    return next(folder for folder in path.parents if folder.name == "results")


# All files that one stage hands to another, by what reads them.
READERS = {
    r"demo/survey\.zip": [read_source],
    r"demo/sections\.csv": [read_groups_of],
    r"data/(train|test)/tiles\.csv": [Tiles],
    r"data/(train|test)/images\.npy": [lambda path: Tiles(path.with_name("tiles.csv")).images[:]],
    r"data/train/masks\.npy": [lambda path: Tiles(path.with_name("tiles.csv")).masks[:]],
    r"data/folds\.csv": [beside(read_folds)],
    r"models/\d/checkpoint\.safetensors": [Checkpoint.load, kept_epoch],
    r"models/\d/history\.csv": [read_history],
    r"predictions/(validation/\d|test/\d/\d)\.(npy|csv)": [read_predictions],
    r"threshold\.json": [Decision.load],
    r"threshold_curve\.csv": [read_curve],
    r"review\.csv": [beside(read_review)],
    r"submission\.csv": [lambda path: summary({**REPORT, "seeds": [0]}, path, path.parent)],
    r"figures/\w+\.svg": [read_figure],
}
# What no stage reads: for people, or of Snakemake.
LAST = re.compile(
    r"(logs|benchmarks|tiles)/.*|summary\.txt|index\.html|gallery\.png|figures/\w+\.png"
)


def readers(name):
    (found,) = (each for pattern, each in READERS.items() if re.fullmatch(pattern, name))
    return found


def between_stages(folder):
    """Paths in results/ of the files that have checksums."""
    results = folder / "results"
    found = (path.relative_to(results) for path in results.rglob(".*.crc32"))
    return sorted(str(path.with_name(path.name[1 : -len(".crc32")])) for path in found)


def flipped(where):
    def flip(data):
        data = bytearray(data)
        data[int(where * (len(data) - 1))] ^= 1
        return bytes(data)

    return flip


DAMAGE = {
    "cut": lambda data: data[: len(data) // 2],
    "emptied": lambda data: b"",
    "first byte": flipped(0),
    "header": flipped(0.001),
    "middle byte": flipped(0.5),
    "last byte": flipped(1),
    "longer": lambda data: data + b"\0",
    "of no key": lambda data: b"{}",
}


@pytest.fixture
def here(finished, tmp_path, monkeypatch):
    """Inside a copy of a finished run, as a run's main process is."""
    for name in ("results", ".snakemake"):
        shutil.copytree(finished / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_file_that_a_stage_reads_has_checksums(finished):
    results = finished / "results"
    paths = (path for path in results.rglob("*") if path.is_file() and path.name[0] != ".")
    names = {str(path.relative_to(results)) for path in paths}
    assert {name for name in names if not LAST.fullmatch(name)} == set(between_stages(finished))
    assert len(between_stages(finished)) == 31
    for name in between_stages(finished):
        for read in readers(name):
            read(results / name)


@pytest.mark.parametrize("damage", DAMAGE)
def test_each_damaged_file_stops_the_run_before_it_begins(here, damage):
    check_folder("results")
    for name in between_stages(here):
        path = Path("results", name)
        data, at = path.read_bytes(), path.stat()
        path.write_bytes(DAMAGE[damage](data))
        with pytest.raises(InputError) as error:
            check_folder("results")
        assert f"- results/{name}: its content differs from what was written (" in str(error.value)
        assert f"\n  rm -r results/{name}\n  snakemake results/{name} (" in str(error.value)
        path.write_bytes(data)
        os.utime(path, ns=(at.st_atime_ns, at.st_mtime_ns))
    check_folder("results")


def test_damaged_files_are_rebuilt_in_the_order_of_the_stages(here):
    """A single command would retrain members on identical tiles."""
    first, last = Path("results/data/train/tiles.csv"), Path("results/submission.csv")
    others = [Path("results/data/folds.csv"), Path("results/data/train/masks.npy")]
    for path in (last, first, *others):
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError) as error:
        check_folder("results")
    made = [line for line in str(error.value).splitlines() if line.startswith("  snakemake ")]
    assert [line.split("(")[0].split()[1:] for line in made] == [
        [str(others[1]), str(first)],
        [str(others[0])],
        [str(last)],
    ]


@pytest.mark.parametrize("damage", DAMAGE)
def test_each_damaged_file_is_refused_when_it_is_read_whatever_its_date(here, damage):
    for name in between_stages(here):
        path = Path("results", name)
        data, at = path.read_bytes(), path.stat()
        path.write_bytes(DAMAGE[damage](data))
        os.utime(path, ns=(at.st_atime_ns, at.st_mtime_ns))
        for read in readers(name):
            with pytest.raises(InputError) as error:
                read(path)
            told = str(error.value)
            assert told.startswith(f"results/{name}: its content differs from what was written (")
            assert f"; delete it, run 'snakemake results/{name}' (plus your other options)" in told
        path.write_bytes(data)


def test_a_folder_instead_of_a_file_is_reported_and_a_missing_file_left_to_snakemake(here):
    for name in between_stages(here):
        path = Path("results", name)
        path.rename("kept")
        check_folder("results")
        path.mkdir()
        with pytest.raises(InputError, match=rf"- results/{re.escape(name)}: cannot be read \(Is"):
            check_folder("results")
        for read in readers(name):
            with pytest.raises(InputError, match=re.escape(path.stem)):
                read(path)
        path.rmdir()
        Path("kept").rename(path)


def test_all_damaged_files_are_listed_at_once(here):
    names = ["results/data/folds.csv", "results/models/1/checkpoint.safetensors"]
    for name in names:
        Path(name).write_bytes(DAMAGE["cut"](Path(name).read_bytes()))
    with pytest.raises(InputError) as error:
        check_folder("results")
    assert str(error.value).count("its content differs from what was written (expected") == 2
    for name in names:
        assert f"\n  snakemake {name} (plus your other options)\n" in str(error.value)


def test_a_touched_file_is_read_once_to_see_that_it_is_the_same(here, monkeypatch):
    path = Path("results/data/train/images.npy")
    read = []
    monkeypatch.setattr(checksums, "check", lambda path: read.append(path))
    check_folder("results")
    assert not read
    path.touch()
    check_folder("results")
    check_folder("results")
    assert read == [path]


def test_damaged_checksums_are_named_and_a_file_without_any_is_used(here):
    path = Path("results/data/folds.csv")
    beside = checksums_of(path)
    for data in (b"", b"{}", b"[1]", b'{"size": "5", "crc32": [1]}', b'{"size": 9, "crc32": []}'):
        beside.write_bytes(data)
        for check in (lambda: check_folder("results"), lambda: checksums.read(path)):
            with pytest.raises(InputError, match=r"\.folds\.csv\.crc32: not readable .*delete it"):
                check()
    beside.unlink()
    path.write_text("id,fold\n")
    check_folder("results")


# What travels alone


@pytest.fixture
def alone(tmp_path):
    """A small checkpoint without its checksums."""
    settings = {"name": "unet", "width": 1, "dropout": 0.1}
    path = tmp_path / "member.safetensors"
    about = {"model": settings, "seed": 4, "epoch": 7}
    Checkpoint(about, model.build(**settings).state_dict()).save(path)
    forget_checksums(tmp_path)
    return path


def test_each_flipped_byte_of_a_checkpoint_that_travels_alone_is_refused(alone):
    data = alone.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    entry = data.index(b"__metadata__")
    places = [*range(8), *range(entry, entry + 400), *range(8, start, 13), start - 1]
    places += [*range(start, len(data), 997), len(data) - 1]
    for place in places:
        for bit in (1, 32):
            changed = bytearray(data)
            changed[place] ^= bit
            alone.write_bytes(changed)
            for read in (Checkpoint.load, kept_epoch):
                with pytest.raises(InputError, match=r"^\S*member\.safetensors: "):
                    read(alone)
    alone.write_bytes(data)
    assert kept_epoch(alone) == 7 and Checkpoint.load(alone).about["seed"] == 4


def test_a_hundred_flipped_bytes_of_weights_are_refused(alone):
    data = np.frombuffer(alone.read_bytes(), dtype=np.uint8).copy()
    data[np.random.default_rng(0).integers(len(data) // 2, len(data), 100)] ^= 64
    alone.write_bytes(data.tobytes())
    with pytest.raises(InputError, match=r"its content differs from what was written \(SHA-256"):
        Checkpoint.load(alone)


def test_no_flipped_byte_of_a_threshold_that_travels_alone_changes_a_decision(tmp_path):
    path = tmp_path / "threshold.json"
    write_report(path, REPORT)
    forget_checksums(tmp_path)
    data, decision = path.read_bytes(), Decision.load(path)
    for place in range(len(data)):
        for bit in (1, 4, 32):
            changed = bytearray(data)
            changed[place] ^= bit
            path.write_bytes(changed)
            try:
                found = Decision.load(path)
            except InputError as error:
                assert str(error).startswith(str(path))
            else:
                # White space.
                assert found == decision and json.loads(bytes(changed)) == json.loads(data)


@pytest.mark.parametrize("missing", ["digest", "threshold", "flip", "seeds"])
def test_a_threshold_of_another_format_says_how_to_rebuild_it(here, missing):
    path = Path("results/threshold.json")
    report = json.loads(path.read_text())
    del report[missing]
    forget_checksums(here)
    path.write_text(json.dumps(report))
    with pytest.raises(InputError, match=rf"{missing} missing .*run 'snakemake {path}' \(plus"):
        Decision.load(path)


# Writing and reading in parts


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(checksums, "BLOCK", 256)


def test_of_a_large_array_only_the_blocks_that_are_read_are_checked(small_blocks, tmp_path):
    path = tmp_path / "images.npy"
    array = np.random.default_rng(0).integers(0, 256, (40, 10, 10), dtype=np.uint8)
    write_npy(path, np.uint8, array.shape, [array])
    (tmp_path / "tiles.csv").write_text("id,depth\n" + "".join(f"t{i},1\n" for i in range(40)))
    data = bytearray(path.read_bytes())
    offset = len(data) - array.size
    row = 20
    data[offset + 100 * row + 50] ^= 128
    path.write_bytes(data)
    images = Tiles(tmp_path / "tiles.csv").images
    # Rows that share no block of 256 bytes with the damaged one.
    near = {r for r in range(40) if abs(r - row) < 5}
    far = np.array([r for r in range(40) if r not in near])
    np.testing.assert_array_equal(images[far], array[far])
    np.testing.assert_array_equal(images[:15], array[:15])
    for rows in (row, slice(None), np.array([3, row]), np.arange(40) == row, slice(18, 23)):
        with pytest.raises(InputError, match=r"images\.npy: .* \(CRC-32 of bytes \d+ to \d+: exp"):
            images[rows]


def test_labels_in_several_blocks_are_checked(small_blocks, tmp_path):
    masks = np.random.default_rng(0).random((9, 12, 12)) < 0.5
    save_labels(tmp_path / "0.npy", list("abcdefghi"), masks, np.ones(9))
    np.testing.assert_array_equal(PseudoLabels.load(tmp_path / "0.npy").masks[:], masks)
    data = bytearray((tmp_path / "0.npy").read_bytes())
    data[-1] ^= 1
    (tmp_path / "0.npy").write_bytes(data)
    with pytest.raises(InputError, match=r"0\.npy: its content differs"):
        PseudoLabels.load(tmp_path / "0.npy").masks[:]


class KilledError(BaseException):
    pass


@pytest.mark.parametrize("method", ["replace", "unlink"])
@pytest.mark.parametrize("count", range(5))
def test_a_kill_at_any_moment_leaves_no_file_beside_checksums_of_another(
    tmp_path, monkeypatch, method, count
):
    path = tmp_path / "folds.csv"
    with replacing(path) as part:
        part.write_text("old")
    left, real = [count], getattr(Path, method)

    def counting(self, *args, **kwargs):
        if not left[0]:
            raise KilledError
        left[0] -= 1
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, method, counting)
    try:
        with replacing(path) as part:
            part.write_text("newer")
    except KilledError:
        pass
    monkeypatch.undo()
    assert checksums.read(path) in (b"old", b"newer")
    with replacing(path) as part:
        part.write_text("last")
    assert checksums.read(path) == b"last" and Checksums.load(path).size == 4
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == [".folds.csv.crc32", "folds.csv"]


def test_what_no_stage_reads_gets_no_checksums_and_sheds_older_ones(tmp_path):
    for wanted in (True, False):
        with replacing(tmp_path / "a.txt", checksums=wanted) as part:
            part.write_text("text")
        assert checksums_of(tmp_path / "a.txt").exists() == wanted


def test_a_damaged_file_does_not_cost_the_state_of_a_training(tmp_path):
    with replacing(tmp_path / "images.npy") as part:
        part.write_bytes(b"tiles")
    assert fingerprint([tmp_path / "images.npy"]) == fingerprint([b"tiles"])
    (tmp_path / "images.npy").write_bytes(b"tilez")
    with pytest.raises(InputError, match=r"images\.npy: its content differs"):
        fingerprint([tmp_path / "images.npy"])


# With Snakemake


def tree(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("results/data/train/images.npy", "middle byte"),
        ("results/threshold.json", "of no key"),
        ("results/models/1/checkpoint.safetensors", "cut"),
        ("results/predictions/test/0/0.csv", "emptied"),
        ("results/demo/survey.zip", "first byte"),
    ],
)
def test_the_run_names_a_damaged_file_and_its_remedy_rebuilds_only_that(here, name, damage):
    before = tree(here / "results")
    path = here / name
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    damaged = tree(here / "results")
    for options in ([], ["--dry-run"], ["--", "results/summary.txt"]):
        done = snakemake(here, *options)
        said = done.stderr.rstrip().splitlines()
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert said[-5].startswith(f"  - {name}: its content differs from what was written (")
        assert said[-1].startswith("To keep a file that you changed yourself, delete its .NAME.cr")
    assert tree(here / "results") == damaged
    assert snakemake(here, "--unlock").returncode == 0
    status = [sys.executable, ROOT / "workflow/engine/status.py", "--directory", here]
    done = subprocess.run([*status, "--configfile", TINY], capture_output=True, text=True)
    assert done.returncode == 1 and name in done.stderr and "Traceback" not in done.stderr
    remove, again = (line.strip() for line in said[-3:-1])
    subprocess.run(remove, shell=True, cwd=here, check=True)
    target = again.removeprefix("snakemake ").removesuffix(" (plus your other options)")
    complete(here, "--", target)
    assert not planned(here)
    after = tree(here / "results")
    changed = {str(file) for file in before if after[file] != before[file]}
    assert not {file for file in changed if not LAST.fullmatch(file)}


def test_a_job_refuses_a_damaged_file_that_kept_its_date(here):
    path = here / "results/data/train/images.npy"
    at = path.stat()
    path.write_bytes(DAMAGE["last byte"](path.read_bytes()))
    os.utime(path, ns=(at.st_atime_ns, at.st_mtime_ns))
    assert not planned(here)
    target = "results/predictions/validation/0.npy"
    (here / target).unlink()
    done = snakemake(here, "--", target)
    assert done.returncode == 1
    assert "Error: results/data/train/images.npy: its content differs from what" in done.stderr
    path.unlink()
    complete(here, "--", "results/data/train/images.npy")
    assert planned(here) == {} or "train" not in planned(here)
    complete(here, "--", target)
    assert not planned(here)


def test_results_that_were_copied_without_checksums_are_used(here):
    forget_checksums(here)
    assert not planned(here)
    (here / "results/submission.csv").unlink()
    complete(here, "--", "results/submission.csv")
    assert not planned(here)
