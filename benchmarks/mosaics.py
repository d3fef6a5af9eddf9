"""Predict tiles within the sections that they were cut from, and compare with tile by tile.

    python benchmarks/mosaics.py RESULTS MOSAICS [--further ZIP]

RESULTS is a finished run whose folds keep the tiles of a mosaic together (validation.groups), so
that no member has seen a neighbour of what it predicts. MOSAICS is a CSV file with the columns id,
mosaic, x and y, the tile's column and row. Both ways use the threshold of the run.
"""

import argparse
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from saltseg.core.metric import tile_scores
from saltseg.device.compute import Compute
from saltseg.inference.predict import predict
from saltseg.inference.sections import SectionPredictor, windows_for
from saltseg.networks.checkpoint import Checkpoint
from saltseg.settings.config import ComputeSettings
from saltseg.survey.decoding import decode_image
from saltseg.survey.folds import read_folds
from saltseg.survey.tiles import Tiles

WINDOW = 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("mosaics", type=Path)
    parser.add_argument("--further", type=Path, help="zip with images/ID.png of unlabelled tiles")
    args = parser.parse_args()
    compute = Compute.select(ComputeSettings(device="cpu", threads=2))
    train = Tiles(args.results / "data/train.h5")
    known = images_of(train, Tiles(args.results / "data/test.h5"))
    further = zipfile.ZipFile(args.further) if args.further else None
    folds = read_folds(args.results / "data/folds.h5", train.ids).set_index("id")["fold"]
    threshold = json.loads((args.results / "threshold.json").read_text())["threshold"]
    members = {}
    for path in sorted(args.results.glob("models/*/checkpoint.safetensors")):
        checkpoint = Checkpoint.load(path)
        members.setdefault(checkpoint.seed % folds.nunique(), []).append(checkpoint.rebuild())
    row_of = {name: row for row, name in enumerate(train.ids)}
    scores = []
    for mosaic, tiles in pd.read_csv(args.mosaics, dtype={"id": str}).groupby("mosaic"):
        labelled = tiles[tiles["id"].isin(row_of)]
        held_out = set(folds[labelled["id"]])
        if len(held_out) > 1:
            sys.exit(
                f"mosaic {mosaic}: its tiles lie in folds {held_out}, expected one; group them"
            )
        if len(tiles) < 2 or not held_out & set(members):
            continue
        networks = members[held_out.pop()]
        section, side = put_together(tiles, known, further)
        windows = windows_for(networks, WINDOW)
        whole, _ = SectionPredictor(networks, compute, windows, flip=True).predict(section)
        rows = [row_of[name] for name in labelled["id"]]
        images = np.stack([train.images[row : row + 1][0] for row in rows])
        truth = np.stack([train.masks[row : row + 1][0] for row in rows])
        alone = np.mean(
            [
                np.concatenate([*predict(each, images, None, compute, batch_size=32, flip=True)])
                for each in networks
            ],
            axis=0,
        )
        within = np.stack([
            whole[y * side : (y + 1) * side, x * side : (x + 1) * side]
            for x, y in zip(labelled["x"], labelled["y"], strict=True)
        ])  # fmt: skip
        ways = (tile_scores(each > threshold, truth) for each in (alone, within))
        scores += zip([mosaic] * len(truth), truth.any((1, 2)), *ways, strict=True)
    table = pd.DataFrame(scores, columns=["mosaic", "salt", "alone", "within"])
    for name, part in (
        ("all", table), ("with salt", table[table["salt"]]), ("without", table[~table["salt"]])
    ):  # fmt: skip
        gain = part["within"] - part["alone"]
        print(
            f"{name}: {len(part)} tiles of {part['mosaic'].nunique()} mosaics, alone "
            f"{part['alone'].mean():.4f}, within their section {part['within'].mean():.4f}, gain "
            f"{gain.mean():+.4f} (standard error {gain.sem():.4f})"
        )


def images_of(*parts: Tiles) -> dict[str, np.ndarray]:
    return {
        name: part.images[row : row + 1][0] for part in parts for row, name in enumerate(part.ids)
    }


def put_together(
    tiles: pd.DataFrame, known: dict[str, np.ndarray], further: zipfile.ZipFile | None
) -> tuple[np.ndarray, int]:
    """Return a section, uint8 (samples, traces), and the side of its tiles in pixels.

    Places without a tile have the median grey value of the others.
    """
    found = {}
    for row in tiles.itertuples():
        if row.id in known:
            found[row.y, row.x] = known[row.id]
        elif further is not None:
            found[row.y, row.x] = decode_image(further.read(f"images/{row.id}.png"))
    side = len(next(iter(found.values())))
    shape = (tiles["y"].max() + 1, tiles["x"].max() + 1)
    section = np.full(np.multiply(shape, side), np.median(list(found.values())), dtype=np.uint8)
    for (y, x), image in found.items():
        section[y * side : (y + 1) * side, x * side : (x + 1) * side] = image
    return section, side


if __name__ == "__main__":
    main()
