"""Measure time and memory for large volumes and write benchmarks/volumes.md.

    make bench-volumes                  # 0.5, 2 and 8 GB
    make bench-volumes GIGABYTES="0.5 2"

The demo volume, repeated along all axes to a SEG-Y file of that size, is filled by
`snakemake predict` with one small member: inlines only, without flip, in slabs of at most 2 GB. The
costs of 100 GB are extrapolated from the two largest sizes. Files of the largest size take four
times its room. Sizes in experiments/volumes/measured.json are not measured again.
"""

import argparse
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from statistics import mean

import numpy as np
import yaml

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "experiments/volumes"
GIGABYTES = (0.5, 2, 8)
WHOLE = 100  # GB
CROSSLINES, SAMPLES = 1_000, 1_000
SHARD = 2  # GB
HEADS, TRACE_HEADER, INLINE, CROSSLINE = 3_600, 240, slice(188, 192), slice(192, 196)
QUALITY = "\n## Quality\n"
SHARE = re.compile(r"(\d+) % of the time by the members")
STAGES = ("scan_volume", "import_volume", "predict_volume", "merge_volume", "mask_volume")
SMALL = {
    "data": {"source": "demo-volume"},
    "ensemble": {"seeds": [0]},
    "model": {"width": 2},
    "training": {"epochs": 1, "windows_per_epoch": 64},
}


def snakemake(folder: Path, settings: dict, *targets: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "settings.yaml"
    config.write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--directory", folder]
    demo = ROOT / "config/demo-volume.yaml"
    subprocess.run([*command, "--configfile", demo, config, "--", *targets], cwd=ROOT, check=True)


def repeat(source: Path, output: Path, gigabytes: float) -> tuple[int, int, int]:
    """Write a volume of about ``gigabytes`` GB; return its inlines, crosslines and samples."""
    whole = np.fromfile(source, dtype=np.uint8)
    head = whole[:HEADS].copy()
    samples = int(head[3220:3222].view(">i2")[0])
    traces = whole[HEADS:].reshape(-1, TRACE_HEADER + 4 * samples)
    wave = traces[:, TRACE_HEADER:].copy().view(np.uint32).reshape(len(traces), samples)
    line = np.zeros((CROSSLINES, TRACE_HEADER + 4 * SAMPLES), dtype=np.uint8)
    line[:, :TRACE_HEADER] = traces[0, :TRACE_HEADER]
    line[:, CROSSLINE] = as_bytes(np.arange(1, CROSSLINES + 1))
    head[3220:3222] = line[:, 114:116] = np.array([SAMPLES], ">i2").view(np.uint8)
    inlines = round(gigabytes * 1e9 / line.size)
    with open(output, "wb") as file:
        file.write(head)
        for inline in range(1, inlines + 1):
            line[:, INLINE] = as_bytes(np.full(CROSSLINES, inline))
            chosen = (np.arange(CROSSLINES) + inline * 120) % len(traces)
            picture = np.tile(wave[chosen], (1, -(-SAMPLES // samples)))[:, :SAMPLES]
            line[:, TRACE_HEADER:] = np.ascontiguousarray(picture).view(np.uint8)
            file.write(line)
    return inlines, CROSSLINES, SAMPLES


def as_bytes(numbers: np.ndarray) -> np.ndarray:
    """Return 32-bit big-endian numbers as uint8 (numbers, 4)."""
    return numbers.astype(">i4").view(np.uint8).reshape(-1, 4)


def measure(gigabytes: float) -> dict:
    """Fill a volume of about so many GB; return its shape, and what each stage took.

    By stage: CPU and wall seconds, total over jobs, and peak memory in MB of the largest job. Of
    prediction also the share of the time, in percent, in which the member computed.
    """
    folder = FOLDER / f"{gigabytes:g}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shape = repeat(FOLDER / "members/results/demo/volume.sgy", folder / "volume.sgy", gigabytes)
    print(f"{gigabytes:g} GB: {shape[0]} x {shape[1]} x {shape[2]}", flush=True)
    run = FOLDER / "members/results"
    inference = {"flip": False, "planes": "inline", "shards": -(-int(gigabytes) // SHARD) or 1}
    predict = {"source": str(folder / "volume.sgy"), "run": str(run)}
    begun = time.monotonic()
    snakemake(folder, SMALL | {"inference": inference, "predict": predict}, "predict")
    found = {"elapsed": time.monotonic() - begun, "stages": {}}
    for name in STAGES:
        paths = [
            *folder.glob(f"results/**/benchmarks/{name}.tsv"),
            *folder.glob(f"results/**/benchmarks/{name}/*.tsv"),
        ]
        rows = [row for path in paths for row in csv.DictReader(path.open(), delimiter="\t")]
        found["stages"][name] = [
            sum(float(row["cpu_time"]) for row in rows),
            sum(float(row["s"]) for row in rows),
            max(float(row["max_rss"]) for row in rows),
        ]
    logs = [path.read_text() for path in folder.glob("results/**/logs/predict_volume/*.log")]
    found["by_members"] = mean(int(SHARE.search(log)[1]) for log in logs)
    shutil.rmtree(folder)
    return found


def page(measured: dict[float, dict]) -> str:
    less, greatest = sorted(measured)[-2:]
    lines = [
        "# Large volumes",
        "",
        f"Made by `make bench-volumes` on {date.today()}, {os.cpu_count()} cores of an "
        f"{processor()}. One member of",
        f"width 2 fills a SEG-Y file of {CROSSLINES:,} crosslines by {SAMPLES:,} samples, inlines "
        "only, without flip,",
        f"in slabs of at most {SHARD} GB. The column of {WHOLE} GB is",
        f"extrapolated linearly from {less:g} and {greatest:g} GB.",
    ]
    titles = ("CPU seconds, total over jobs", "Wall seconds, total over jobs",
              "Peak memory of a job, MB")  # fmt: skip
    for column, title in enumerate(titles):
        # Memory is bounded, so that two sizes say nothing of a third.
        whole = "memory" not in title
        names = [f"{size:g} GB" for size in measured] + [f"{WHOLE} GB"] * whole
        lines += ["", f"## {title}", "", f"| stage | {' | '.join(names)} |"]
        lines += ["|---|" + "---|" * len(names)]
        for name in STAGES:
            found = {size: each["stages"][name][column] for size, each in measured.items()}
            lines.append(as_row(name, found, whole))
        if "Wall" in title:
            elapsed = {size: each["elapsed"] for size, each in measured.items()}
            lines.append(as_row("from start to end", elapsed, whole))
    by_members = ", ".join(f"{each['by_members']:.0f} %" for each in measured.values())
    hours = extrapolated({size: each["elapsed"] for size, each in measured.items()}) / 3600
    lines += [
        "",
        f"The member computes during {by_members} of predict_volume. CPU seconds are sampled up to",
        "30 seconds apart, so those of short jobs are too low.",
        "",
        f"**{WHOLE} GB would take {hours:.1f} hours** on these {os.cpu_count()} cores.",
    ]
    return "\n".join(lines) + "\n"


def as_row(name: str, found: dict[float, float], whole: bool) -> str:
    """Return a row of values by size, and of that extrapolated to ``WHOLE`` if so."""
    values = [*found.values(), *([extrapolated(found)] if whole else [])]
    return f"| {name} | {' | '.join(f'{value:,.0f}' for value in values)} |"


def extrapolated(found: dict[float, float]) -> float:
    """Return the value for ``WHOLE`` on the line through the two largest sizes."""
    less, greatest = sorted(found)[-2:]
    slope = (found[greatest] - found[less]) / (greatest - less)
    return found[greatest] + slope * (WHOLE - greatest)


def processor() -> str:
    """Return the processor's name, such as AMD EPYC."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))


def main(sizes: list[float]) -> None:
    made = ("results/threshold.json", "results/volume/calibration.json")
    snakemake(FOLDER / "members", SMALL, *made)
    # Keep each size once it is measured: the largest takes long.
    kept = FOLDER / "measured.json"
    measured = json.loads(kept.read_text()) if kept.exists() else {}
    for size in sorted(sizes):
        measured |= {f"{size:g}": measured.get(f"{size:g}") or measure(size)}
        kept.write_text(json.dumps(measured))
    text = page({size: measured[f"{size:g}"] for size in sorted(sizes)})
    path = ROOT / "benchmarks/volumes.md"
    # The rest of the page is of `make volume-quality`.
    rest = path.read_text(encoding="utf-8").partition(QUALITY)[1:]
    path.write_text("".join([text, *rest]), encoding="utf-8")
    print(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gigabytes", type=float, nargs="*", default=GIGABYTES)
    main(parser.parse_args().gigabytes)
