"""Score whole volumes on lines that nobody labelled, beside the interpolation of the labels.

    make volume-quality SURVEYS=folder

Fills each NAME.sgy of a folder that has a NAME_truth.sgy beside it, and demo volumes of several
geologies, by the defaults. Labels are NAME_labels.sgy, the folder NAME_labels or, without either,
every 20th inline of the truth, which otherwise only this script reads.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from PIL import Image

from saltseg.evaluation.held_out_lines import Counts, count
from saltseg.output.volume import Probability
from saltseg.survey.geometry import Geometry, load_traces
from saltseg.survey.interpolation import Interpolation
from saltseg.survey.lines import Lines, labels_by_line
from saltseg.survey.scan import HeaderSettings, scan
from saltseg.survey.segy import Segy

ROOT = Path(__file__).parents[1]
EVERY = 20
TWENTIETH = range(EVERY // 2, 10_000, EVERY)
DEMO = {"inlines": 120, "crosslines": 150, "samples": 180, "labelled_every": EVERY}
SEEDS = (7, 11, 23)
THRESHOLDS = np.arange(0.1, 0.91, 0.05)
COLUMNS = [
    "survey", "labelled lines", "IoU", "interpolation", "gain", "top off, samples",
    "of interpolation", "promised IoU", "held-out lines", "threshold", "costs", "minutes", "MB",
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("surveys", type=Path, nargs="?", help="folder of surveys with their truth")
    parser.add_argument("--folder", type=Path, default=ROOT / "experiments/volume-quality")
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS, help="of demo volumes")
    parser.add_argument("--cores", default="2")
    parser.add_argument("--configfile", type=Path, help="what differs from the defaults")
    args = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    for name, settings, truth in surveys(args):
        results, minutes = run(args, args.folder / name, {"data": settings})
        row = [name, *score(results, truth or results / "demo/truth.sgy"), f"{minutes:.1f}"]
        print(f"| {' | '.join([*row, peak(results)])} |", flush=True)


def surveys(args):
    """Yield the name, the section ``data`` and the truth of each survey; None for a demo's own."""
    for truth in sorted(args.surveys.glob("*_truth.sgy")) if args.surveys else []:
        name = truth.stem.removesuffix("_truth")
        drawn = [truth.with_name(f"{name}_labels{ending}") for ending in (".sgy", "")]
        labels = next((path for path in drawn if path.exists()), None)
        labels = labels or draw_labels(truth, args.folder / name / "labels", TWENTIETH)
        source = truth.with_name(f"{name}.sgy")
        yield name, {"source": str(source.resolve()), "labels": str(labels.resolve())}, truth
    for seed in args.seeds:
        yield f"demo-{seed}", {"source": "demo-volume", "demo_volume": {**DEMO, "seed": seed}}, None


def draw_labels(truth: Path, folder: Path, lines: Sequence[int]) -> Path:
    """Write inlines of a volume of salt, by index, as masks; return their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    grid, traces, _ = scan(truth, HeaderSettings(None, None, None, None))
    salt = read(truth, traces)
    for line in sorted({*lines} & {*range(grid.inlines.count)}):
        mask = Image.fromarray(255 * salt[line].T.astype(np.uint8))
        mask.save(folder / f"inline_{grid.inlines.numbers()[line]}.png")
    return folder


def run(args, folder: Path, settings: dict, targets: Sequence[str] = ()) -> tuple[Path, float]:
    """Run a configuration in a folder, unless finished; return its results and the minutes."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "survey.yaml"
    config.write_text(yaml.safe_dump(settings))
    more, started = [args.configfile.resolve()] if args.configfile else [], time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", args.cores, "--directory", folder,
         "--configfile", config, *more, "--", *targets],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        sys.exit(done.stderr)
    return folder / "results", (time.monotonic() - started) / 60


def score(results: Path, truth_path: Path) -> list[str]:
    """Return what the mask and the interpolation are worth on lines without labels."""
    geometry = Geometry.load(results / "data/geometry.json")
    traces = load_traces(results / "data/traces.h5", geometry)
    truth, mask = read(truth_path, traces), read(results / "volume/mask.sgy", traces)
    labels = labels_by_line(Lines(results / "data/lines.h5"), geometry)
    probability = Probability(results / "volume/probability.zarr").read()
    here = ~np.isnan(probability).all(axis=2)
    for plane, line in labels:
        here[(line,) if plane == "inline" else (slice(None), line)] = False
    whole = [slice(0, side) for side in geometry.shape[:2]]
    drawn = Interpolation(labels).distance(*whole)

    def compare(marked: np.ndarray) -> Counts:
        return count(truth[here].astype(np.uint8), marked[here])

    ours, theirs = compare(mask).scores(), compare(drawn > 0).scores()
    facts = json.loads((results / "volume/volume.json").read_text())
    held_out = json.loads((results / "volume/scores.json").read_text())
    by_threshold = [compare(probability > each).scores()["iou"] for each in THRESHOLDS]
    at_own = compare(probability > facts["threshold"]).scores()["iou"]
    return [
        str(len(labels)),
        *(f"{each['iou']:.3f}" for each in (ours, theirs)),
        f"{ours['iou'] - theirs['iou']:+.3f}",
        *(f"{each['top_distance']:.1f}" for each in (ours, theirs)),
        f"{facts['expected_iou']:.3f}",
        f"{held_out['iou']:.3f}",
        f"{facts['threshold']:.2f}",
        f"{max(by_threshold) - at_own:.3f}",
    ]


def read(path: Path, traces: np.ndarray) -> np.ndarray:
    """Return salt, bool (inlines, crosslines, samples), by the source's trace numbers."""
    with Segy(path) as file:
        return file.read_traces(traces) > 0


def peak(results: Path) -> str:
    """Return the most memory that a job took, in MB."""
    tables = [pd.read_csv(path, sep="\t") for path in (results / "benchmarks").rglob("*.tsv")]
    memory = pd.to_numeric(pd.concat(tables)["max_rss"], errors="coerce")
    return f"{memory.max():.0f}"


if __name__ == "__main__":
    main()
