"""Measure how long the report takes to build and open at the contest's size, without training.

    python benchmarks/page.py --folder experiments/page

fakes a finished run from the demo's tiles, repeated, and members that predict the truth plus smooth
noise. It then runs the report's stages, opens the page in headless Chromium, and writes
benchmarks/page.md.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parent / "speed"))

from survey import tiles_and_masks, unique

from saltseg.core.hdf import writing
from saltseg.ensemble import predictions
from saltseg.survey import tiles as packed
from saltseg.survey.folds import split
from support.browser import CHROMIUM, Browser
from support.running import ROOT, run_stage

SIDE, FOLDS, EPOCHS = 101, 2, 40
BLUR, WAVE, NOISE = 2.0, 14.0, 0.5  # pixels, pixels, and relative to the signal
OPENED = 5  # times
# Jobs as in Snakemake's benchmarks: step, seconds, megabytes.
JOBS = [("import_train", 2, 300), ("import_test", 5, 500), ("threshold", 3, 250)]


def fake(folder: Path, tiles: int, test_tiles: int, members: int) -> None:
    """Write everything that the report's stages read, at the workflow's paths."""
    results, random = folder / "results", np.random.default_rng(0)
    unique(folder)
    images, masks = tiles_and_masks(str(folder / "tiles.npz"), 640)
    ids = [f"{number:010x}" for number in random.permutation(16**5)[: tiles + test_tiles]]
    of = np.arange(tiles) % len(images), np.arange(test_tiles) % len(images)
    depths = random.normal(500, 160, tiles + test_tiles).clip(50, 959).round()
    table = pd.DataFrame({"id": ids[:tiles], "depth": depths[:tiles]})
    table["coverage"] = masks.mean((1, 2))[of[0]]
    packed.save(results / "data/train.h5", table, images[of[0]], masks[of[0]])
    test = pd.DataFrame({"id": ids[tiles:], "depth": depths[tiles:]})
    packed.save(results / "data/test.h5", test, images[of[1]])
    folds = split(table, folds=FOLDS, seed=0, stratified=True)
    with writing(results / "data/folds.h5") as file:
        file.put_table(folds)
    signed = ndimage.gaussian_filter(np.where(masks, 1.0, -1.0), (0, BLUR, BLUR))
    for seed in range(members):
        waves = ndimage.gaussian_filter(random.normal(size=masks.shape), (0, WAVE, WAVE))
        known = signed + NOISE * waves / waves.std()
        values = (1 / (1 + np.exp(-4 * known))).astype(np.float32)
        own = np.flatnonzero(folds["fold"] == seed % FOLDS)
        for part, rows, names in (
            ("validation", of[0][own], table["id"].iloc[own]),
            ("test", of[1], test["id"]),
        ):
            path = results / f"predictions/{part}/{seed}.h5"
            batches = (values[[row]] for row in rows)
            predictions.save(path, names.tolist(), (SIDE, SIDE), batches)
        fake_member(results, seed, random)
    for step, seconds, megabytes in [
        *JOBS,
        *((f"{step}/{seed}", seconds, 900) for seed in range(members)
          for step, seconds in (("train", 3600), ("predict_validation", 20), ("predict_test", 90))),
    ]:  # fmt: skip
        path = results / f"benchmarks/{step}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\tmax_rss\n{seconds}\t{megabytes}\n")


def fake_member(results: Path, seed: int, random: np.random.Generator) -> None:
    """Write a member's history, and a checkpoint with only a header."""
    folder = results / f"models/{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    epochs = np.arange(1, EPOCHS + 1)
    fall = np.exp(-epochs / 8) + random.normal(0, 0.02, EPOCHS)
    history = {
        "epoch": epochs, "train_loss": 0.25 + fall, "valid_loss": 0.3 + fall,
        "valid_score": 0.8 - 0.5 * fall, "learning_rate": 1e-3, "honest": True,
    }  # fmt: skip
    pd.DataFrame(history).to_csv(folder / "history.csv", index=False)
    header = json.dumps({"__metadata__": {"salt": json.dumps({"epoch": EPOCHS})}}).encode()
    path = folder / "checkpoint.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)


def stages(members: int) -> dict[str, list[str]]:
    """Return each stage's arguments, relative to the results folder, in running order."""
    seeds = range(members)
    validation = [f"predictions/validation/{seed}.h5" for seed in seeds]
    test = [f"predictions/test/{seed}.h5" for seed in seeds]
    train, decision = ["--tiles", "data/train.h5"], ["--threshold", "threshold.json"]
    folds, review = ["--folds", "data/folds.h5"], ["--review", "review.csv"]
    settings = json.dumps({"validation": {"scheme": "kfold"}, "inference": {"flip": True}})
    drawn = {name: f"figures/{name.replace('-', '_')}.svg" for name in (
        "score", "tile-scores", "calibration", "members", "learning", "times", "data"
    )}  # fmt: skip
    evaluation = [x for name in list(drawn)[:4] for x in (f"--{name}", drawn[name])]
    pictures = ("gallery", "worst", "typical", "best", "disagreement")
    return {
        "threshold": [
            *("--settings", settings, *train, *folds, "--predictions", *validation),
            *("--threshold", "threshold.json", "--curve", "curve.csv"),
        ],
        "review": [
            *(*train, *folds, *decision, "--predictions", *validation, "--review", "review.csv")
        ],
        "gallery": [
            *(*train, *review, *decision, "--predictions", *validation),
            *(x for name in pictures for x in (f"--{name}", f"figures/{name}.png")),
        ],
        "plot_training": [
            *("--members", *map(str, seeds)),
            *("--histories", *(f"models/{seed}/history.csv" for seed in seeds)),
            *("--checkpoints", *(f"models/{seed}/checkpoint.safetensors" for seed in seeds)),
            *("--benchmarks", "benchmarks"),
            *("--learning", drawn["learning"], "--times", drawn["times"]),
        ],
        "plot_evaluation": [
            *(*train, *folds, *review, *decision, "--curve", "curve.csv"),
            *("--predictions", *validation, *evaluation),
        ],
        "plot_data": [
            *(*train, "--test-tiles", "data/test.h5", *review, *decision),
            *("--predictions", *test, "--figure", drawn["data"]),
        ],
        "page": [
            *(*train, "--test-tiles", "data/test.h5", *review, *decision),
            *("--validation", *validation, "--test", *test, "--figures", *drawn.values()),
            *("--benchmarks", "benchmarks", "--page", "index.html", "--pictures", "tiles"),
        ],
    }


def seconds_of(results: Path, stage: str, arguments: list[str]) -> tuple[float, float]:
    """Run a stage; return its wall time and CPU time in seconds."""
    started, before = time.monotonic(), os.times()
    run_stage(stage, *arguments, cwd=results, check=True, stderr=None)
    after = os.times()
    processors = sum(after[2:4]) - sum(before[2:4])
    return time.monotonic() - started, processors


SEEN = "[...probed.values()].every((image) => image.complete)"


def opening(page: Path) -> tuple[float, float, float]:
    """Return seconds until a new browser has loaded the page, its first tiles, and one class."""
    with Browser() as browser:
        started = time.monotonic()
        browser.open(page)
        loaded = time.monotonic() - started
        browser.wait_for(SEEN)
        seen = time.monotonic() - started
        started = time.monotonic()
        browser.run(
            "$('part').value = 'test'; $('part').dispatchEvent(new Event('change'));"
            "$('class').value = '5'; $('class').dispatchEvent(new Event('change'))"
        )
        browser.wait_for(SEEN)
        return loaded, seen, time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--tiles", type=int, default=4000)
    parser.add_argument("--test-tiles", type=int, default=18_000)
    parser.add_argument("--members", type=int, default=4)
    args = parser.parse_args()
    results, load = args.folder / "results", os.getloadavg()[0]
    if not (results / "benchmarks").exists():
        fake(args.folder, args.tiles, args.test_tiles, args.members)
    lines = [
        "# The report at the contest's size",
        "",
        f"Made by `python benchmarks/page.py --folder experiments/page`: {args.tiles:,} labelled "
        f"and {args.test_tiles:,} test tiles, {args.members} synthetic members, on "
        f"{os.cpu_count()} cores with an initial load of {load:.0f}. "
        "Opening should take less than 3 s.",
        "",
        "| stage | wall time, s | CPU time, s |",
        "|---|---|---|",
    ]
    for stage, arguments in stages(args.members).items():
        clock, processors = seconds_of(results, stage, arguments)
        lines.append(f"| {stage} | {clock:.1f} | {processors:.1f} |")
    page = results / "index.html"
    pictures = list((results / "tiles").iterdir())
    size = sum(path.stat().st_size for path in pictures) / 1e6
    lines += [
        "",
        f"`index.html` has {page.stat().st_size / 1e6:.2f} MB. Its {len(pictures):,} sheets of "
        f"tiles have {size:.0f} MB; the page loads only those it shows.",
        "",
    ]
    if CHROMIUM:
        found = list(zip(*(opening(page) for _ in range(OPENED)), strict=True))
        names = ("until the page has loaded", "until its first tiles are visible")
        names = (*names, "to filter test tiles by class, until the first are visible")
        lines += [f"Headless Chromium, {OPENED} times, median (minimum to maximum):", ""]
        lines += ["| | s |", "|---|---|"]
        for name, values in zip(names, found, strict=True):
            middle = statistics.median(values)
            lines.append(f"| {name} | {middle:.2f} ({min(values):.2f} to {max(values):.2f}) |")
    text = "\n".join(lines) + "\n"
    (ROOT / "benchmarks/page.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
