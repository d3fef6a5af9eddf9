"""Score the demo volume on lines that nobody labelled, by how many were labelled.

    make volume-labels

Runs the demo volume with labels on every 5th, 10th and 20th inline, and on a single one, and
compares the mask of all other inlines with the truth, which only this script reads. The standard
to beat copies the nearest labelled inline. Members see all of the single line, which thus has no
honest score.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml

ROOT = Path(__file__).parents[1]

from saltseg.evaluation.held_out_lines import count  # noqa: E402
from saltseg.survey.geometry import Geometry, load_traces  # noqa: E402
from saltseg.survey.lines import Lines  # noqa: E402
from saltseg.survey.segy import Segy  # noqa: E402

EVERY = (5, 10, 20, 100)
PIECE = 56  # pixels, the tile that fits into half of a single line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "experiments/volume-labels")
    parser.add_argument("--every", type=int, nargs="+", default=EVERY)
    args = parser.parse_args()
    print("| labelled inlines | lines | IoU | Dice | top of salt off, samples | copy: IoU | Dice | "
          "top off | held-out lines: IoU | Dice |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|")
    for every in args.every:
        results = run(args.folder / str(every), every)
        rows = [*scores(results), *(["", ""] if every == EVERY[-1] else held_out(results))]
        print(f"| every {every}th | {labelled(results)} | " + " | ".join(rows) + " |", flush=True)


def run(folder: Path, every: int) -> Path:
    """Run the demo volume in a folder, unless it is finished; return its results."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "labels.yaml"
    settings = {"data": {"demo_volume": {"labelled_every": every}}}
    if every == EVERY[-1]:
        settings |= {"survey": {"tile": PIECE}, "validation": {"scheme": "full", "folds": 2}}
    config.write_text(yaml.safe_dump(settings))
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", "--directory", folder,
         "--configfile", ROOT / "config/demo-volume.yaml", config, "--",
         "results/volume/mask.sgy", "results/volume/scores.json"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        sys.exit(done.stderr)
    return folder / "results"


def labelled(results: Path) -> int:
    return Lines(results / "data/lines.h5").table["line"].nunique()


def scores(results: Path) -> list[str]:
    """Return scores of the mask, and of a copy of the nearest labelled inline."""
    geometry = Geometry.load(results / "data/geometry.json")
    traces = load_traces(results / "data/traces.h5", geometry)
    truth, mask = (read(results / name, traces) for name in ("demo/truth.sgy", "volume/mask.sgy"))
    numbers = geometry.inlines.numbers()
    own = np.unique(Lines(results / "data/lines.h5").table["line"])
    places = np.searchsorted(numbers, own)
    others = np.setdiff1d(np.arange(len(numbers)), places)
    nearest = places[np.abs(numbers[others, None] - own).argmin(axis=1)]
    found = []
    for marked in (mask[others], truth[nearest]):
        live = traces[others] >= 0
        found += printable(count(truth[others][live].astype(np.uint8), marked[live]).scores())
    return found


def held_out(results: Path) -> list[str]:
    return printable(json.loads((results / "volume/scores.json").read_text()))[:2]


def printable(scores: dict) -> list[str]:
    return [f"{scores['iou']:.3f}", f"{scores['dice']:.3f}", f"{scores['top_distance']:.1f}"]


def read(path: Path, traces: np.ndarray) -> np.ndarray:
    """Return salt, bool (inlines, crosslines, samples), by the source's trace numbers."""
    with Segy(path) as file:
        return file.read_traces(traces) > 0


if __name__ == "__main__":
    main()
