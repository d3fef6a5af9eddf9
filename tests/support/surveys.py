"""A small survey in the contest's own formats, in every layout that is understood."""

import io
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from saltseg.core.hdf import HdfFile

LAYOUTS = ("nested zip", "flat zip", "folder of zips", "unpacked folder")
LAYOUTS += ("zip of a folder", "folder in a folder", "MLE-bench zip")

# A volume through the whole workflow, on top of the tiny configuration.
TINY_VOLUME = {
    "data": {
        "source": "demo-volume",
        "demo_volume": {"inlines": 16, "crosslines": 40, "samples": 64, "labelled_every": 4},
    },
    "survey": {"tile": 32},
    "model": {"name": "unet", "dropout": 0},
}


def slow_encode(mask) -> str:
    """Run-length encoding pixel by pixel: down each column, columns from left to right."""
    height, width = len(mask), len(mask[0])
    runs, number, inside = [], 0, False
    for column in range(width):
        for row in range(height):
            number += 1
            if mask[row][column]:
                if inside:
                    runs[-1][1] += 1
                else:
                    runs.append([number, 1])
            inside = bool(mask[row][column])
    return " ".join(f"{start} {length}" for start, length in runs)


def slow_score(predicted, truth) -> Fraction:
    """The contest's score of one tile from its definition, in exact fractions."""
    both = either = 0
    for predicted_row, truth_row in zip(predicted, truth, strict=True):
        for a, b in zip(predicted_row, truth_row, strict=True):
            both += bool(a) and bool(b)
            either += bool(a) or bool(b)
    if either == 0:
        return Fraction(1)
    thresholds = [Fraction(f"0.{percent}") for percent in range(50, 100, 5)]
    return Fraction(sum(Fraction(both, either) > t for t in thresholds), len(thresholds))


def folds_in(path: Path) -> pd.DataFrame:
    """Read a run's ``folds.h5``, with the groups of the tiles if they have some."""
    file = HdfFile(path)
    groups = {"group": str} if "group" in file else {}
    return file.table({"id": str, "fold": np.int64, **groups})


def png(pixels: np.ndarray, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", **options)
    return buffer.getvalue()


def image_png(tile: np.ndarray) -> bytes:
    """A seismic tile as the contest has it: grey, but saved as three equal channels."""
    return png(np.stack([tile] * 3, axis=-1))


def mask_png(mask: np.ndarray) -> bytes:
    """A mask as the contest has it: 8 bits where it is empty, else 16 bits of 0 and 65535."""
    if not mask.any():
        return png(np.zeros(mask.shape, dtype=np.uint8))
    return png(mask.astype(np.uint16) * np.uint16(65535))


class Survey:
    """Files of a small survey by logical name, for a test to spoil, and the truth about them."""

    def __init__(self, train: int = 4, test: int = 3, height: int = 13, width: int = 17):
        random = np.random.default_rng(7)
        # In no particular order, so that an order must come from where it is meant to.
        names = [f"{number:010x}" for number in random.integers(0, 16**10, train + test)]
        self.ids, self.test_ids = sorted(names[:train]), names[train:]
        tiles = random.integers(0, 256, (train + test, height, width), dtype=np.uint8)
        self.images = dict(zip(self.ids + self.test_ids, tiles, strict=True))
        self.masks = {}
        for number, name in enumerate(self.ids):
            # The first is empty, the second full.
            self.masks[name] = random.random((height, width)) < min(number, 2 - number / train)
        self.masks[self.ids[1]][:] = True
        depths = random.integers(50, 960, train + test).tolist()
        self.depths = dict(zip(self.ids + self.test_ids, depths, strict=True))
        self.tables = {
            "train.csv": [["id", "rle_mask"]]
            + [[name, slow_encode(self.masks[name])] for name in random.permutation(self.ids)],
            "depths.csv": [["id", "z"]]
            + [[name, self.depths[name]] for name in random.permutation(names)],
            "sample_submission.csv": [["id", "rle_mask"]] + [[i, "1 1"] for i in self.test_ids],
        }
        self.files = {f"train/images/{i}.png": image_png(self.images[i]) for i in self.ids}
        self.files |= {f"train/masks/{i}.png": mask_png(self.masks[i]) for i in self.ids}
        self.files |= {f"test/images/{i}.png": image_png(self.images[i]) for i in self.test_ids}

    def set_depth(self, name: str, text) -> None:
        for row in self.tables["depths.csv"]:
            if row[0] == name:
                row[1] = text

    def set_label(self, name: str, text: str) -> None:
        for row in self.tables["train.csv"]:
            if row[0] == name:
                row[1] = text

    def drop_row(self, table: str, name: str) -> None:
        self.tables[table] = [row for row in self.tables[table] if row[0] != name]

    def all_files(self) -> dict[str, bytes]:
        tables = {
            name: "".join(",".join(map(str, row)) + "\n" for row in rows).encode()
            for name, rows in self.tables.items()
        }
        return tables | self.files

    def write(self, path: Path, layout: str, order=list) -> Path:
        """Write to a new folder in one of the layouts; returns the path to import from."""
        path.mkdir(parents=True)
        files = {name: self.all_files()[name] for name in order(list(self.all_files()))}
        parts = {
            part: {
                name.removeprefix(f"{part}/"): data
                for name, data in files.items()
                if name.startswith(f"{part}/")
            }
            for part in ("train", "test")
        }
        tables = {name: data for name, data in files.items() if "/" not in name}
        zips = {f"{part}.zip": zipped(inside) for part, inside in parts.items()}
        if layout == "flat zip":
            (path / "survey.zip").write_bytes(zipped(files, zipfile.ZIP_DEFLATED))
            return path / "survey.zip"
        if layout == "nested zip":
            (path / "survey.zip").write_bytes(zipped(zips | tables))
            return path / "survey.zip"
        if layout == "zip of a folder":
            inside = {f"mine/{name}": data for name, data in files.items()}
            inside |= {"__MACOSX/mine/._train.csv": b"", ".DS_Store": b"", "mine/": b""}
            (path / "survey.zip").write_bytes(zipped(inside))
            return path / "survey.zip"
        if layout == "MLE-bench zip":
            (path / "survey.zip").write_bytes(zipped(files | {"description.md": b"# Salt"}))
            return path / "survey.zip"
        if layout == "folder in a folder":
            files = {f"mine/{name}": data for name, data in files.items()}
        for name, data in (
            files if layout in ("folder in a folder", "unpacked folder") else zips | tables
        ).items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
        return path


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()
