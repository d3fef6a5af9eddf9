"""The benchmarks' statistics, checked by hand."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from saltseg.ensemble.predictions import SCALE, Predictions, save
from saltseg.survey import tiles as packed
from saltseg.synthetic.demo import write_survey
from support.networks import OPENVINO

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks/speed"))

import compare
import findings
import overhead
import recipes
import results_page as speed
import roofline
import run
import runtimes
import survey


@pytest.fixture
def results(tmp_path):
    """Four tiles of two pixels in two folds; half of each tile is salt."""
    masks = np.tile(np.array([[True, False]]), (4, 1, 1))
    table = pd.DataFrame({"id": list("abcd"), "depth": 1.0, "coverage": 0.5})
    packed.save(tmp_path / "data/train/tiles.csv", table, masks.astype(np.uint8), masks)
    folds = pd.DataFrame({"id": list("abcd"), "coverage_class": 5, "fold": [0, 0, 1, 1]})
    folds.to_csv(tmp_path / "data/folds.csv", index=False)
    return tmp_path


def predictions(folder, ids, salt, rest):
    """Predictions with one probability on salt and another elsewhere."""
    values = np.stack([[[a, b]] for a, b in zip(salt, rest, strict=True)]).astype(np.float32)
    save(folder / "member.npy", ids, (1, 2), [values])
    return Predictions.load(folder / "member.npy")


def test_a_tile_is_scored_with_the_threshold_of_the_other_fold(results, tmp_path):
    # The best threshold of fold 0 is between 0.2 and 0.4, that of fold 1 between 0.6 and 0.8.
    member = predictions(tmp_path, list("abcd"), [0.4, 0.4, 0.8, 0.8], [0.2, 0.2, 0.6, 0.6])
    scores = compare.tile_scores([member], results)
    # At 0.7 fold 0 has no salt left and scores 0; at 0.3 fold 1 is all salt, with an IoU of 0.5.
    assert scores.to_dict() == {"a": 0.0, "b": 0.0, "c": 0.0, "d": 0.0}
    member = predictions(tmp_path, list("abcd"), [0.4, 0.8, 0.4, 0.8], [0.2, 0.2, 0.2, 0.2])
    assert compare.tile_scores([member], results).to_dict() == dict.fromkeys("abcd", 1.0)


def test_a_difference_is_paired_by_tile_and_only_over_the_tiles_of_both():
    first = pd.Series({"a": 0.1, "b": 0.5, "c": 0.9, "x": 0.0})
    second = pd.Series({"c": 1.0, "a": 0.3, "b": 0.5, "y": 1.0})
    change, error = compare.difference(first, second)
    assert change == pytest.approx(0.1)
    # Differences 0.2, 0.0 and 0.1: variance 0.01 with two degrees of freedom.
    assert error == pytest.approx(0.1 / 3**0.5)


@pytest.mark.parametrize(
    ("change", "claims_gain", "expected"),
    [
        (0.021, True, "confirmed"),
        (0.019, True, "unresolved"),
        (-0.019, True, "unresolved"),
        (-0.021, True, "refuted"),
        (0.021, False, "refuted"),
        (0.019, False, "unresolved"),
        (-0.009, False, "unresolved"),
        (-0.011, False, "confirmed"),
    ],
)
def test_verdicts_use_twice_the_uncertainty(change, claims_gain, expected):
    assert findings.verdict(change, 0.01, claims_gain) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [(0.021, "gain"), (0.019, "unresolved"), (-0.019, "unresolved"), (-0.021, "loss")],
)
def test_a_trick_gains_or_loses_by_more_than_twice_the_uncertainty(change, expected):
    assert recipes.verdict(change, 0.01) == expected


def test_a_trick_of_the_recipe_is_what_its_run_leaves_out(results, tmp_path):
    # Any threshold between 0.2 and 0.4 gives correct masks.
    right, wrong = ([0.4] * 4, [0.2] * 4), ([0.4, 0.4, 0.4, 0.1], [0.2] * 4)
    for name, found in {
        "base/0": right,
        "base/5": right,
        "scratch/0": wrong,
        "lite2/0": wrong,
    }.items():
        run, seed = name.split("/")
        part = tmp_path / run / "results/predictions/validation"
        part.mkdir(parents=True, exist_ok=True)
        predictions(part, list("abcd"), *found)
        for suffix in (".npy", ".csv"):
            (part / f"member{suffix}").rename(part / f"{seed}{suffix}")
        shutil.copytree(results / "data", tmp_path / run / "results/data", dirs_exist_ok=True)
    table = recipes.table(tmp_path).set_index("trick")
    pretrained = table.loc["encoder pretrained on ImageNet"]
    lite2 = table.loc["EfficientNet-Lite2, not Lite0"]
    assert (pretrained["without"], pretrained["with"]) == (0.75, 1.0)
    assert (lite2["without"], lite2["with"]) == (1.0, 0.75)
    assert pretrained["difference"] == -lite2["difference"] == 0.25
    assert "| 0.7500 | 1.0000 | 0.2500 |" in compare.markdown(table.reset_index())


def test_each_run_that_is_compared_has_its_configuration():
    folder = Path(recipes.__file__).with_suffix("")
    assert {path.stem for path in folder.glob("*.yaml")} == {*recipes.RUNS, "base", "proxy"}


def repeats(*seconds, tiles=100, **more):
    return [{"tiles": tiles, "seconds": s, "peak_mb": 50.0, **more} for s in seconds]


def test_a_ratio_is_that_of_neighbouring_repeats():
    # The machine was half as fast in the second round.
    ratio = speed.faster(repeats(1, 2, 1), repeats(3, 6, 3))
    assert ratio.tolist() == [3, 3, 3]
    assert speed.spread([1234.4, 1.23456, 0.5]) == "1.23 (0.5 to 1,234)"


@pytest.mark.parametrize("power", [0, 0.5, 1, 2])
def test_exponents_are_those_of_the_growth(power):
    runs = {str(n): repeats(3.0 * n**power) for n in (10, 40, 160)}
    assert speed.exponent(runs, "seconds") == pytest.approx(power, abs=1e-9)
    assert speed.exponent(runs, "peak_mb") == pytest.approx(0, abs=1e-9)


def measured(slower, peak, beyond):
    """Measurements of 1 s for ours and ``slower`` s for the others, with this peak and overhead."""

    def both(**more):
        return {"ours": repeats(1, 1, **more), "usual": repeats(slower, slower, **more)}

    three = {**both(), "keras_unet": repeats(slower, slower)}
    ways = {"at 32": three, "at best": three, "best": dict.fromkeys(speed.NAMES, 32)}
    names = ("import", "threshold", "encoding", "submission")
    others = dict.fromkeys(("eager", "openvino", "onnx_runtime"), repeats(slower, slower))
    return {
        "machine": {"date": "today", "hardware": f"{beyond}", "gpu": None, "versions": {"a": "1"}},
        "training": ways,
        "prediction": ways,
        "runtimes": {key: {"project": repeats(1, 1), **others} for key in runtimes.NETWORKS},
        "shares": {"ours": repeats(1, training=0.01, validation=0.01)},
        "plain": {name: both(score=0.7) for name in names},
        "submission": {"1": repeats(1), "20": [{**repeats(1)[0], "peak_mb": peak}]},
        "training_lite2": both(),
        "engine": {
            **{"whole": [60 + beyond], "jobs": [60], "nothing": [2.0], "number": 14},
            "tiny": [10 + beyond / 5],
        },
    }


def aims_of(kinds):
    """Cells of the table of aims, by what they are about."""
    rows = [row.strip("| ").split(" | ") for row in speed.aims(kinds)[2:-1]]
    return {what: dict(zip(speed.KINDS, cells, strict=False)) for what, *cells in rows}


def test_an_aim_is_met_from_its_bound_on():
    met, missed = (
        {what: cells["bf16"] for what, cells in aims_of({"bf16": measured(*numbers)}).items()}
        for numbers in ((10, 50, 10), (9.99, 61, 10.1))
    )
    assert list(met) == list(missed)
    training = "training against the usual PyTorch way, batch 32"
    assert met[training] == "at least 2.5 times: 10 times, met"
    assert met["encoding against a loop over pixels"].endswith("10 times, met")
    assert missed["encoding against a loop over pixels"].endswith("9.99 times, **not met**")
    assert met["import"] == "at least 1,500 tiles/s: 100 tiles/s, **not met**"
    assert met["threshold's score less the grid's"] == "at least 0: 0, met"
    lite2 = "training of the Lite2 U-Net against the same layers in eager PyTorch"
    assert met[lite2].endswith("10 times, met")
    tiny = "the tiny workflow: 48 tiles, one epoch, 20 jobs"
    for what in ("and of one member's", "engine on the demo beyond its jobs", tiny):
        assert met[what].endswith(", met") and missed[what].endswith(", **not met**")


def test_kinds_of_processors_have_aims_and_columns_of_their_own():
    slow, fast = measured(2, 50, 1), measured(4, 50, 2)
    both = aims_of({"avx2": slow, "bf16": fast})
    name = "prediction against eager PyTorch, residual U-Net"
    assert both[name]["avx2"] == "at least 1.3 times: 2 times, met"
    assert both[name]["bf16"] == "at least 2.5 times: 4 times, met"
    assert aims_of({"bf16": fast})[name]["avx2"] == "at least 1.3 times: not measured"
    # What a machine of another kind gave stays to the letter.
    section = "\n".join(speed.sections(fast))
    assert section in speed.page({"bf16": fast}) and section in speed.page(
        {"avx2": slow, "bf16": fast}
    )
    assert "| AVX2 | today: 1; a 1 |" in speed.page({"avx2": slow, "bf16": fast})


def test_a_part_that_was_not_measured_is_left_out():
    found = measured(4, 50, 2)
    del found["runtimes"], found["engine"]
    page = speed.page({"bf16": found})
    assert "### Prediction by runtimes" not in page and "### The engine" not in page
    assert "### Speed-up" in page
    assert aims_of({"bf16": found})["run with nothing to do"]["bf16"].endswith("not measured")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A benchmark folder with few tiles."""
    folder = tmp_path_factory.mktemp("bench")
    random = np.random.default_rng(0)
    masks = random.random((12, 101, 101)) < np.linspace(0, 0.9, 12)[:, None, None]
    images = random.integers(0, 256, masks.shape, np.uint8)
    np.savez(folder / "tiles.npz", images=images, masks=masks)
    survey.write_members(folder, 3, 30)
    (folder / "unique.zip").symlink_to(small_survey(folder))
    survey.write_test_tiles(folder / "6.zip", 6)
    return folder


def small_survey(folder):
    path = folder / "small.zip"
    sections = folder / "sections.csv"
    write_survey(path, sections, tiles=40, test_tiles=8, tile_size=101, seed=0)
    return path


def test_each_contestant_of_ours_does_its_work(data):
    tiles = {"survey": str(data / "tiles.npz")}
    network = {**tiles, "batch_size": 4, "width": 1, "tiles": 9}
    members = {"folder": str(data), "members": 3, "tiles": 30}
    late = {**tiles, "epoch": 41, "way": "not deterministic"}
    found = run.alternate(
        {
            name: run.Contestant(module, name, **arguments)
            for module, name, arguments in (
                ("ours", "training", network),
                ("gpu", "residual", {**tiles, "way": "as configured", "batch_size": 2, "tiles": 2}),
                ("ours", "shares", network),
                ("ours", "prediction", {**network, "output": str(data / "x.npy")}),
                ("ours_data", "importing", {"source": str(data / "6.zip")}),
                ("ours_data", "thresholding", {**tiles, **members}),
                ("ours_data", "submitting", {**members, "output": str(data / "x.csv")}),
                ("ours_data", "encoding", {**tiles, "tiles": 20}),
                ("roofline", "counted", {**tiles, "batch_size": 4, "width": 1}),
                ("gpu", "contest", {**late, "batch_size": 2, "tiles": 2}),
            )
        },
        repeats=1,
    )
    assert {name: runs[0]["tiles"] for name, runs in found.items()} == {
        "training": 9,
        "residual": 2,
        "shares": 9,
        "prediction": 9,
        "importing": 6,
        "thresholding": 30,
        "submitting": 30,
        "encoding": 20,
        "counted": 4,
        "contest": 2,
    }
    assert all(runs[0]["seconds"] > 0 and runs[0]["peak_mb"] > 50 for runs in found.values())
    assert 0 < found["shares"][0]["training"] < 1
    assert len(np.load(data / "x.npy")) == 9
    assert len(pd.read_csv(data / "x.csv")) == 30


def test_a_gpu_has_rows_and_aims_of_its_own():
    found = {
        "training": {
            "32": {"ours": repeats(0.02), "usual": repeats(0.2)},
            "128": {"ours": repeats(0.01), "usual": repeats(0.11)},
        },
        "best": 128,
        "ways": {"as configured": repeats(0.01), "compiled": repeats(0.008)},
        "prediction": {"ours": repeats(0.005), "usual": repeats(0.01)},
        # 40 epochs at 32 tiles/s and 80 at 16.
        "contest": {
            "early": repeats(100 / 32),
            "as configured": repeats(100 / 16),
            "compiled": repeats(100 / 20),
        },
    }
    aims = aims_of({"gpu": {"gpu": found}})
    speed_aim = aims["training of the residual U-Net at width 16"]
    assert speed_aim["gpu"] == "at least 10,000 tiles/s: 10,000 tiles/s, met"
    assert aims["the same against the usual PyTorch way, best batch of ours"]["gpu"].endswith(
        "11 times, met"
    )
    page = "\n".join(speed.sections({"gpu": found}))
    assert "| compiled | 12,500 (12,500 to 12,500) | 20 (20 to 20) |" in page
    # 2,560 tiles: 80 s an epoch, then 160 s.
    assert "epochs of 2,560 tiles, trains for 4.4 hours" in page


@OPENVINO
def test_runtimes_predict_the_same_of_the_same_member(data):
    pytest.importorskip("onnxruntime")
    names = ("project", "eager", "openvino", "onnx_runtime")
    tiles = {"survey": str(data / "tiles.npz"), "tiles": 2, "network": "EfficientNet-Lite2 U-Net"}
    run.alternate(
        {
            name: run.Contestant("runtimes", name, output=str(data / f"{name}.npy"), **tiles)
            for name in names
        },
        repeats=1,
    )
    found = [np.load(data / f"{name}.npy") / SCALE for name in names]
    for each in found:
        # Those that compute in bf16 where the processor does.
        assert np.abs(each - found[1]).max() < 0.01


def test_a_convolution_s_products_and_bytes_are_counted():
    images, weights = torch.rand(1, 2, 8, 8), torch.rand(3, 2, 3, 3)
    with FlopCounterMode(display=False) as flops, roofline.Traffic() as traffic:
        torch.conv2d(images, weights, padding=1)
    assert flops.get_total_flops() == 2 * 9 * 2 * 3 * 8 * 8
    assert traffic.bytes == 4 * (2 * 8 * 8 + 3 * 2 * 9 + 3 * 8 * 8)


def test_truncation_is_reported(data):
    with pytest.raises(SystemExit, match="ended before its work was done"):
        run.alternate({"broken": run.Contestant("ours", "training", survey="nowhere")})


def test_the_engines_figures_name_each_job_and_the_total(monkeypatch):
    def timed(command):
        """Stand in for a run, with two trainings, of 3 and 2 seconds."""
        if "--directory" not in command:
            return 0.5, 0.25
        folder = Path(command[command.index("--directory") + 1]) / "results/benchmarks/train"
        folder.mkdir(parents=True, exist_ok=True)
        for seed, seconds in enumerate((3.0, 2.0)):
            text = f"s\tmax_rss\tcpu_time\n{seconds}\t100\t1\n"
            (folder / f"{seed}.tsv").write_text(text)
        return 20.0, 10.0

    monkeypatch.setattr(overhead, "timed", timed)
    lines = overhead.table(overhead.measure(overhead.ROOT)).splitlines()[2:]
    assert lines == [
        "| train | 2.00 | 0.25 |  | 0.50 |",
        "| nothing to be done | 10.00 |  | 20.00 |  |",
        "| the whole workflow | 10.00 |  | 20.00 |  |",
    ]
