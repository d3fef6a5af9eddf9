"""Score a volume with few labels: from scratch, by another volume's members, started from them.

    python benchmarks/starts.py folder

The folder has depth.sgy with depth_labels.sgy, and second.sgy with second_truth.sgy. Members are
seeds 0 and 1. Rows: members of `depth` alone; two labelled lines of `second`, by new members, by
those of `depth` with a short schedule, and by new members that learn from `depth`, too; three
lines, by new members and by those of the second row.
IoU is that of the lines of `second` that none of the runs had labels of.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from volume_quality import draw_labels, peak, read, run

from saltseg.evaluation.held_out_lines import count
from saltseg.survey.geometry import Geometry, load_traces

ROOT = Path(__file__).parents[1]
MEMBERS = {"ensemble": {"seeds": [0, 1]}}
SHORT = {"epochs": 15, "learning_rate": 5e-4}  # as in config/next.yaml
TWO, THREE = [25, 75], [25, 50, 75]  # labelled inlines by index
COLUMNS = ["run", "labelled lines", "IoU", "CPU minutes of training", "minutes", "MB"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("surveys", type=Path, help="folder of surveys with their truth")
    parser.add_argument("--folder", type=Path, default=ROOT / "experiments/starts")
    parser.add_argument("--former", type=Path, help="results of finished members of depth.sgy")
    parser.add_argument("--cores", default="2")
    parser.add_argument("--configfile", type=Path, help="what differs from the defaults")
    args = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    for name, lines, config, targets in runs(args):
        results, minutes = run(args, args.folder / name, config, targets)
        found = results / ("predict" if targets else "volume")
        row = [name, str(lines), f"{score(args, found):.3f}", f"{training_minutes(results):.1f}"]
        print(f"| {' | '.join([*row, f'{minutes:.1f}', peak(results)])} |", flush=True)


def runs(args):
    """Yield name, number of labelled lines, configuration and targets of each run, in order."""
    surveys, folder = args.surveys.resolve(), args.folder.resolve()
    depth = {"source": f"{surveys}/depth.sgy", "labels": f"{surveys}/depth_labels.sgy"}
    former = args.former
    if former is None:
        former, _ = run(args, folder / "depth", {"data": depth, **MEMBERS})
    source, truth = f"{surveys}/second.sgy", surveys / "second_truth.sgy"

    def of_labels(lines: list[int], start: Path | None = None, **further) -> dict:
        labels = draw_labels(truth, folder / f"labels-{len(lines)}", lines)
        training = {"training": {**SHORT, "start": str(start.resolve())}} if start else {}
        return {"data": {"source": source, "labels": str(labels), **further}, **MEMBERS, **training}

    predict = {"source": source, "run": str(former.resolve())}
    yield "alone", 0, {"data": depth, "predict": predict}, ["predict"]
    yield "scratch-two", 2, of_labels(TWO), []
    yield "started-two", 2, of_labels(TWO, former), []
    yield "both-two", 2, of_labels(TWO, surveys={"depth": depth}), []
    yield "scratch-three", 3, of_labels(THREE), []
    last = folder / "scratch-two/results"
    yield "started-three", 3, of_labels(THREE, last), []


def score(args, found: Path) -> float:
    """Return the IoU of a mask on the lines that no run had labels of."""
    data = (found if found.name == "predict" else found.parent) / "data"
    geometry = Geometry.load(data / "geometry.json")
    traces = load_traces(data / "traces.h5", geometry)
    truth, mask = read(args.surveys / "second_truth.sgy", traces), read(found / "mask.sgy", traces)
    others = np.setdiff1d(np.arange(len(truth)), THREE)
    labels, marked = (each[others].reshape(-1, each.shape[2]) for each in (truth, mask))
    return count(labels.astype(np.uint8), marked).scores()["iou"]


def training_minutes(results: Path) -> float:
    """Return the CPU minutes that all members of a run were trained for."""
    tables = [pd.read_csv(path, sep="\t") for path in results.glob("benchmarks/train/*.tsv")]
    return sum(table["cpu_time"].sum() for table in tables) / 60


if __name__ == "__main__":
    main()
