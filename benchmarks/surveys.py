"""Measure time and memory for very large surveys and write benchmarks/surveys.md.

    make bench-surveys                      # 5,000, 20,000 and 200,000 tiles
    make bench-surveys TILES="5000 20000"

The demo survey's tiles, repeated with new ids, pass through the workflow's stages with a tiny
member: import, prediction in shards of 5,000 tiles, and submission, each in its own process as
under Snakemake. The cost of a million tiles is extrapolated from the smallest and the largest
number measured.
"""

import argparse
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import yaml

from saltseg.core.sealed_json import write_sealed

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "workflow/scripts"
FOLDER = ROOT / "experiments/surveys"
SHARD = 5_000  # tiles
TILES = (5_000, 20_000, 200_000)
WHOLE = 1_000_000
# The last section of the page, measured by hand.
BY_HAND = "## The contest's own size"
WRITE = f"""
import sys
sys.path.append({str(ROOT / "benchmarks/speed")!r})
import survey
survey.write_test_tiles(survey.Path(sys.argv[1]), int(sys.argv[2]))
"""


def job(*command) -> tuple[float, float]:
    """Run a process; return its CPU seconds and peak memory in MB."""
    # Keep this process small: a child's peak includes its memory between fork and exec.
    process = subprocess.Popen([sys.executable, *map(str, command)], cwd=FOLDER)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]} failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def stage(name: str, *arguments) -> tuple[float, float]:
    return job(SCRIPTS / f"{name}.py", *arguments)


def settings(shards: int) -> str:
    """Return the demo's configuration with a tiny member, as JSON."""
    found = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    found["data"]["demo"] |= {"tiles": 47, "test_tiles": 1}
    found["model"]["width"] = 2
    found["training"]["epochs"] = 1
    found["inference"]["shards"] = shards
    return json.dumps(found)


def train() -> None:
    """Train a tiny member and write its threshold.json."""
    with_settings = ("--settings", settings(1))
    tiles = ("--tiles", "train.h5")
    stage("demo", *with_settings, "--archive", "demo.zip", "--sections", "sections.csv")
    stage("import_train", "--source", "demo.zip", *tiles)
    stage("split", *with_settings, *tiles, "--folds", "folds.h5")
    written = ("--checkpoint", "0.safetensors", "--history", "0.csv")
    stage("train", *with_settings, *tiles, "--folds", "folds.h5", "--member", 0, *written)
    report = {"threshold": 0.5, "flip": True, "members": {"0": 1}}
    write_sealed(FOLDER / "threshold.json", report)


def measure(count: int) -> dict[str, list[tuple[float, float]]]:
    """Return CPU seconds and peak memory of each job for ``count`` tiles, by stage."""
    survey, tiles, shards = f"{count}.zip", f"{count}/test.h5", -(-count // SHARD)
    job("-c", WRITE, survey, count)
    files = [f"{count}/0/{shard}.h5" for shard in range(shards)]
    member = ("--settings", settings(shards), "--checkpoint", "0.safetensors")
    return {
        "import_test": [stage("import_test", "--source", survey, "--tiles", tiles)],
        "predict_test": [
            stage(
                "predict_test", *member, "--tiles", tiles, "--shard", shard, "--predictions", file
            )
            for shard, file in enumerate(files)
        ],
        "submission": [
            stage(
                *("submission", "--tiles", tiles, "--threshold", "threshold.json"),
                *("--predictions", *files, "--submission", f"{count}.csv"),
            )
        ],
    }


def page(measured: dict[int, dict[str, list[tuple[float, float]]]]) -> str:
    least, greatest = min(measured), max(measured)
    head = f"| stage | {' | '.join(f'{count:,} tiles' for count in measured)} | {WHOLE:,} tiles |"
    rows = {"CPU seconds, total over jobs": [], "Peak memory of the largest job, MB": []}
    for name in measured[least]:
        for title, of_jobs in zip(rows, (sum, max), strict=True):
            column = list(rows).index(title)
            found = {n: of_jobs(one[column] for one in jobs[name]) for n, jobs in measured.items()}
            slope = (found[greatest] - found[least]) / (greatest - least)
            values = [f"{value:,.0f}" for value in found.values()]
            values.append(f"{found[greatest] + slope * (WHOLE - greatest):,.0f}")
            rows[title].append(f"| {name} | {' | '.join(values)} |")
    jobs = ", ".join(f"{len(found['predict_test'])}" for found in measured.values())
    lines = [
        "# Very large surveys",
        "",
        f"Made by `make bench-surveys` on {date.today()}, {os.cpu_count()} cores. One member of "
        "width 2, with flip,",
        f"on one thread. The demo's tiles are repeated and predicted in shards of {SHARD:,}:",
        f"{jobs} jobs. The column of {WHOLE:,} tiles is extrapolated linearly from",
        f"{least:,} and {greatest:,}.",
    ]
    for title, table in rows.items():
        lines += ["", f"## {title}", "", head, "|---|" + "---|" * (len(measured) + 1)]
        lines += table
    return "\n".join(lines) + "\n"


def main(counts: list[int]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    train()
    text = page({count: measure(count) for count in sorted(counts)})
    path = ROOT / "benchmarks/surveys.md"
    _, heading, by_hand = path.read_text().partition(BY_HAND)
    path.write_text(f"{text}\n{heading}{by_hand}")
    print(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tiles", type=int, nargs="*", default=TILES, help="how many, twice or more")
    main(parser.parse_args().tiles)
