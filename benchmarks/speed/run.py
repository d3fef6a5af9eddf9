"""Run all speed benchmarks and write benchmarks/RESULTS.md.

    make bench

Each contestant runs in its own process. Compared contestants take turns, one repeat each, so that
other load on the machine affects all alike; ratios compare neighbouring repeats. Measurements are
kept in benchmarks/speed/measured, a file for each kind of processor, and those of other kinds stay
as they are. Single parts can be measured again by name:

    .venv/bench/bin/python benchmarks/speed/run.py training roofline
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Self

import gpu as on_a_gpu
import pandas as pd
import results_page
import runtimes as compared_runtimes
import survey
import torch
import yaml

from saltseg.device.compute import Compute
from saltseg.settings.config import ComputeSettings

ROOT = Path(__file__).parents[2]
WORKER = Path(__file__).with_name("worker.py")
FOLDER = ROOT / "experiments/bench"
MEASURED = Path(__file__).with_name("measured")
TILES = str(FOLDER / "tiles.npz")
SCRATCH = str(FOLDER / "scratch")
REPEATS = 5
BATCHES = (16, 32, 64, 128)
COMPARED = ("ours", "usual", "keras_unet")
IMPORTED, THRESHOLDED, SUBMITTED, MEMBERS = 22_000, 4_000, 18_000, 20
SCALES = (1, 4, 16)
GPU_BATCHES, GPU_TILES, GPU_CONTEST_TILES = (32, 128, 256), 4096, 512


class Contestant:
    """A function of a module in this folder, running in its own process."""

    def __init__(self, module: str, function: str, **arguments):
        self.command = [sys.executable, str(WORKER), module, function, json.dumps(arguments)]

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *exception) -> None:
        self.process.stdin.close()
        self.process.wait()

    def repeat(self) -> dict:
        """Run once; return tiles, seconds, the process' peak memory in MB, and extra numbers."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{' '.join(self.command)} ended before its work was done")
        return json.loads(answer)


def alternate(contestants: dict[str, Contestant], repeats: int = REPEATS) -> dict[str, list[dict]]:
    """Run contestants in turns, after one warm-up each; return their repeats."""
    found = {name: [] for name in contestants}
    with ExitStack() as stack:
        for contestant in contestants.values():
            stack.enter_context(contestant).repeat()
        for _ in range(repeats):
            for name, contestant in contestants.items():
                found[name].append(contestant.repeat())
    return found


def compared(function: str, **arguments) -> dict:
    """Measure the three implementations at batch 32, and each at its best batch size."""

    def at(batches: dict[str, int], repeats: int) -> dict[str, list[dict]]:
        return alternate(
            {
                module: Contestant(module, function, survey=TILES, batch_size=batch, **arguments)
                for module, batch in batches.items()
            },
            repeats,
        )

    tried = {batch: at(dict.fromkeys(COMPARED, batch), 1) for batch in BATCHES}
    best = {
        module: min(BATCHES, key=lambda batch: tried[batch][module][0]["seconds"])
        for module in COMPARED
    }
    return {
        "at 32": at(dict.fromkeys(COMPARED, 32), REPEATS),
        "at best": at(best, REPEATS),
        "best": best,
    }


def training() -> dict:
    return compared("training")


def prediction() -> dict:
    return compared("prediction", output=f"{SCRATCH}.h5")


def runtimes() -> dict:
    """Measure a member's prediction by this project and by runtimes, for two networks."""
    arguments = {"survey": TILES, "output": f"{SCRATCH}.h5"}
    return {
        network: alternate(
            {
                name: Contestant("runtimes", name, network=network, **arguments)
                for name in ("project", "eager", "openvino", "onnx_runtime")
            }
        )
        for network in compared_runtimes.NETWORKS
    }


def training_lite2() -> dict:
    """Measure training of the network of config/contest-cpu.yaml against the same in PyTorch."""
    network = yaml.safe_load((ROOT / "config/contest-cpu.yaml").read_text())["model"]
    arguments = {"survey": TILES, "batch_size": 32, "model": network}
    return alternate(
        {module: Contestant(module, "training", **arguments) for module in ("ours", "usual")}
    )


def shares() -> dict:
    return alternate({"ours": Contestant("ours", "shares", survey=TILES, batch_size=32)})


def plain() -> dict:
    """Measure import, threshold, encoding and averaging against their simple versions."""
    zipped = FOLDER / f"{IMPORTED}.zip"
    survey.write_test_tiles(zipped, IMPORTED)
    survey.write_members(FOLDER, 4, THRESHOLDED)

    def both(function: str, **arguments) -> dict:
        return alternate(
            {name: Contestant(f"{name}_data", function, **arguments) for name in ("ours", "usual")}
        )

    averaged = {"folder": str(FOLDER), "members": 4, "tiles": THRESHOLDED}
    return {
        "import": both("importing", source=str(zipped)),
        "threshold": both("thresholding", survey=TILES, **averaged),
        "encoding": both("encoding", survey=TILES, tiles=500),
        "submission": both("submitting", output=f"{SCRATCH}.csv", **averaged),
    }


def submission() -> dict:
    """Measure the submission of the contest's test tiles from one and from many members."""
    survey.write_members(FOLDER, MEMBERS, SUBMITTED)
    arguments = {"folder": str(FOLDER), "tiles": SUBMITTED, "output": f"{SCRATCH}.csv"}
    try:
        return alternate(
            {
                str(members): Contestant("ours_data", "submitting", members=members, **arguments)
                for members in (1, MEMBERS)
            }
        )
    finally:
        # Seven gigabytes.
        shutil.rmtree(FOLDER / str(SUBMITTED))


def scaling() -> dict:
    """Measure time and peak memory of each stage for growing numbers of tiles or members."""
    network = {"survey": TILES, "batch_size": 32, "width": 4}
    folder = {"folder": str(FOLDER)}

    def tiles(function: str, least: int, **arguments) -> dict[str, Contestant]:
        counts = [least * scale for scale in SCALES]
        if "members" in arguments:
            for count in counts:
                survey.write_members(FOLDER, arguments["members"], count)
        module = "ours_data" if "members" in arguments else "ours"
        return {str(n): Contestant(module, function, tiles=n, **arguments) for n in counts}

    def members(function: str, tiles: int, **arguments) -> dict[str, Contestant]:
        survey.write_members(FOLDER, max(SCALES), tiles)
        return {
            str(n): Contestant("ours_data", function, members=n, tiles=tiles, **arguments)
            for n in SCALES
        }

    imports = {}
    for count in (500, 2000, 8000):
        survey.write_test_tiles(FOLDER / f"{count}.zip", count)
        imports[str(count)] = Contestant(
            "ours_data", "importing", source=str(FOLDER / f"{count}.zip")
        )
    output = {"output": f"{SCRATCH}.csv"}
    rows = {
        "import, tiles": imports,
        "training epoch at width 4, tiles": tiles("training", 128, **network),
        "prediction at width 4, tiles": tiles("prediction", 128, output=f"{SCRATCH}.h5", **network),
        "threshold, tiles": tiles("thresholding", 250, survey=TILES, members=1, **folder),
        "threshold of 1,000 tiles, members": members("thresholding", 1000, survey=TILES, **folder),
        "submission, tiles": tiles("submitting", 1000, members=1, **folder, **output),
        "submission of 4,000 tiles, members": members("submitting", 4000, **folder, **output),
    }
    return {name: alternate(contestants) for name, contestants in rows.items()}


def roofline() -> dict:
    return alternate(
        {
            "counted": Contestant("roofline", "counted", survey=TILES, batch_size=32),
            "machine": Contestant("roofline", "machine"),
            "ours": Contestant("ours", "training", survey=TILES, batch_size=32),
        }
    )


def gpu() -> dict:
    """Measure a GPU's training and prediction against usual PyTorch; some ten minutes.

    Compiling takes a minute or two each, so it is measured at one batch size, the fastest.
    """
    ways, arguments = on_a_gpu.WAYS, {"survey": TILES, "tiles": GPU_TILES}

    def training(way: str, batch: int) -> Contestant:
        return Contestant("gpu", "residual", way=way, batch_size=batch, **arguments)

    by_batch = {
        batch: alternate(
            {
                "ours": training(ways[0], batch),
                "usual": Contestant("usual", "training", batch_size=batch, **arguments),
            }
        )
        for batch in GPU_BATCHES
    }
    best = min(GPU_BATCHES, key=lambda batch: min(r["seconds"] for r in by_batch[batch]["ours"]))
    recipe = on_a_gpu.CONTEST["training"]

    def contest(way: str, epoch: int) -> Contestant:
        return Contestant(
            "gpu", "contest", survey=TILES, way=way, epoch=epoch, tiles=GPU_CONTEST_TILES
        )

    arguments |= {"batch_size": best, "output": f"{SCRATCH}.h5"}
    return {
        "training": {str(batch): found for batch, found in by_batch.items()},
        "best": best,
        "ways": alternate({way: training(way, best) for way in ways}),
        "prediction": alternate(
            {name: Contestant(name, "prediction", **arguments) for name in ("ours", "usual")}
        ),
        # One after another, since each takes gigabytes of the GPU's memory.
        "contest": {
            "early": alternate({"early": contest(ways[0], 1)})["early"],
            **{way: alternate({way: contest(way, recipe["late_from"])})[way] for way in ways},
        },
    }


def engine() -> dict:
    """Measure the demo's overhead beyond its sequential jobs, a run with nothing to do, and the
    tiny workflow of the tests.

    One epoch suffices: the overhead does not depend on the training time.
    """
    folder = FOLDER / "engine"
    config = FOLDER / "engine.yaml"
    config.write_text("training:\n  epochs: 1\n")

    def run(config: Path = config, cores: int = 1) -> float:
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--quiet", "all"]
        command += ["--directory", folder, "--configfile", config]
        # Users have their modules compiled.
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        started = time.perf_counter()
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, env=environment)
        return time.perf_counter() - started

    found = {"whole": [], "jobs": [], "nothing": [], "tiny": []}
    for _ in range(REPEATS):
        shutil.rmtree(folder, ignore_errors=True)
        found["tiny"].append(run(ROOT / ".test/config/config.yaml", os.cpu_count()))
        shutil.rmtree(folder, ignore_errors=True)
        found["whole"].append(run())
        jobs = [pd.read_csv(path, sep="\t") for path in folder.rglob("benchmarks/**/*.tsv")]
        found["jobs"].append(float(pd.concat(jobs)["s"].sum()))
        found["number"] = len(jobs)
        found["nothing"].append(run())
    return found


PARTS: dict[str, Callable[[], dict]] = {
    part.__name__: part
    for part in (
        training,
        training_lite2,
        shares,
        prediction,
        runtimes,
        plain,
        submission,
        scaling,
        roofline,
        engine,
        gpu,
    )
}
# What is measured where no part is named: on a machine with a GPU, nothing of its processor.
USUAL_PARTS = {
    kind: [name for name in PARTS if (name == "gpu") == (kind == "gpu")]
    for kind in results_page.KINDS
}


def machine() -> dict:
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        cpu = re.search(r"model name\s*: (.*)", info.read_text(encoding="utf-8")).group(1)
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    packages = ("torch", "openvino", "onnxruntime", "tensorflow-cpu", "keras")
    packages += ("albumentations", "numpy", "snakemake")
    return {
        "date": date.today().isoformat(),
        "hardware": f"{os.cpu_count()} cores of {cpu}, {pages / 2**30:.0f} GiB",
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "versions": {"python": platform.python_version()}
        | {name: version_of(name) for name in packages},
    }


def version_of(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"


def kind() -> str:
    """Return which of ``results_page.KINDS`` this machine is."""
    compute = Compute.select(ComputeSettings())
    return "gpu" if compute.device.type == "cuda" else "bf16" if compute.bf16 else "avx2"


def main(parts: list[str]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    survey.unique(FOLDER)
    MEASURED.mkdir(exist_ok=True)
    path = MEASURED / f"{kind()}.json"
    measured = json.loads(path.read_text()) if path.exists() and parts else {}
    for part in parts or USUAL_PARTS[kind()]:
        print(f"{time.strftime('%H:%M:%S')} {part}", flush=True)
        measured[part] = PARTS[part]()
        measured["machine"] = machine()
        path.write_text(json.dumps(measured) + "\n")
    files = {name: MEASURED / f"{name}.json" for name in results_page.KINDS}
    text = results_page.page(
        {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}
    )
    (ROOT / "benchmarks/RESULTS.md").write_text(text)
    print(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to measure again")
    main(parser.parse_args().parts)
