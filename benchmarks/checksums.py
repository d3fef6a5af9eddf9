"""What checking files between stages costs: reading each kind with and without its checksums.

    python benchmarks/checksums.py

At the contest's size: 18,000 tiles of 101x101 pixels and a residual U-Net of width 16. The files
are written to a temporary folder of the working directory, 600 MB in all, and are in memory when
they are read. Prints a table of processor time, which other work on the machine hardly changes:
medians over five rounds, each with and without checksums.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow/scripts"))

from saltseg.core.checksums import check_folder, checksums_of
from saltseg.ensemble import predictions
from saltseg.ensemble.predictions import Predictions
from saltseg.networks import model
from saltseg.networks.checkpoint import Checkpoint
from saltseg.survey import tiles
from saltseg.survey.tiles import Tiles

TILES, SIZE, WIDTH, ROUNDS, ROWS = 18_000, 101, 16, 5, 128


def read_in_pieces(array) -> None:
    """Read an array as stages do, some rows at a time."""
    for start in range(0, len(array), ROWS):
        array[start : start + ROWS]


def write_files(folder: Path) -> dict[str, tuple[list[Path], Callable]]:
    """Write one file of each kind; what to call them, the files, and how they are read."""
    random = np.random.default_rng(0)
    ids = [f"{number:010x}" for number in range(TILES)]
    images = random.integers(0, 256, (TILES, SIZE, SIZE), dtype=np.uint8)
    table, values = folder / "tiles.csv", folder / "0.npy"
    tiles.save(table, pd.DataFrame({"id": ids, "depth": 1.0}), images)
    batches = (images[start : start + ROWS] / np.float32(255) for start in range(0, TILES, ROWS))
    predictions.save(values, ids, (SIZE, SIZE), batches)
    settings = {"name": "residual_unet", "width": WIDTH, "dropout": 0.1}
    member = folder / "checkpoint.safetensors"
    Checkpoint({"model": settings}, model.build(**settings).state_dict()).save(member)
    return {
        "images": (
            [table, folder / "images.npy"],
            lambda: read_in_pieces(Tiles(table).images),
        ),
        "128 of the images": ([table, folder / "images.npy"], lambda: Tiles(table).images[:ROWS]),
        "predictions": (
            [values, values.with_suffix(".csv")],
            lambda: read_in_pieces(Predictions.load(values).values),
        ),
        # Its digest is always checked.
        "a checkpoint": ([member], lambda: Checkpoint.load(member)),
    }


def seconds(do: Callable) -> float:
    start = time.process_time()
    do()
    return time.process_time() - start


def with_and_without(files: list[Path], read: Callable) -> tuple[float, float]:
    """Median seconds of processor time of reading with checksums, and without."""
    read()
    checked, unchecked = [], []
    for _ in range(ROUNDS):
        checked.append(seconds(read))
        for file in files:
            checksums_of(file).rename(file.with_name(f"{file.name}.aside"))
        unchecked.append(seconds(read))
        for file in files:
            file.with_name(f"{file.name}.aside").rename(checksums_of(file))
    return median(checked), median(unchecked)


def main() -> None:
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name)
        print("| read | MB | unchecked, s | checked, s |\n|---|---|---|---|")
        for what, (files, read) in write_files(folder).items():
            size = sum(file.stat().st_size for file in files) / 1e6
            checked, unchecked = with_and_without(files, read)
            print(f"| {what} | {size:.1f} | {unchecked:.3f} | {checked:.3f} |")
        count = len(list(folder.rglob(".*.crc32")))
        print(f"\nLooking at {count} files that did not change:", end=" ")
        print(f"{1000 * seconds(lambda: check_folder(folder)):.1f} ms")


if __name__ == "__main__":
    main()
