"""Merge a volume's predictions, and write all outputs derived from them.

Writes to a folder: probability.zarr, probability.sgy, mask.sgy, top_salt.csv, base_salt.csv and
next_lines.csv.
"""

import logging
from pathlib import Path

import numpy as np

from saltseg.core.tables import read_csv
from saltseg.evaluation.decision import Decision
from saltseg.output import next_lines
from saltseg.output.segy import write_copy
from saltseg.output.shards import Shards
from saltseg.output.surfaces import writing
from saltseg.output.volume import Axes, Probability, merged, store
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.geometry import Geometry, load_positions, load_traces


def main(args):
    geometry = Geometry.load(args.geometry)
    traces = load_traces(args.geometry.with_name("traces.npy"), geometry)
    axes = Axes(
        geometry.inlines.numbers().astype(np.int64),
        geometry.crosslines.numbers().astype(np.int64),
        geometry.samples.numbers().astype(np.float64),
        load_positions(args.geometry.with_name("positions.npy"), geometry),
    )
    threshold = Decision.load(args.threshold).threshold
    shards = Shards(args.shards, axes.shape)
    doubt = next_lines.Doubt(axes.shape, shards.layout.members * len(shards.layout.cores))
    folder, salt, samples = args.output, 0, 0
    with writing(folder / "top_salt.csv", folder / "base_salt.csv", axes, threshold) as surfaces:
        for block in store(folder / "probability.zarr", axes, merged(shards)):
            salt += surfaces.add(block)
            samples += int(block.live.sum()) * axes.shape[2]
            doubt.add(block)
    interpreted = lines_of(args.lines) if args.lines else {}
    found = next_lines.next_lines(doubt.per_trace, axes.inlines, axes.crosslines, interpreted)
    next_lines.save(folder / "next_lines.csv", found)
    probability = Probability(folder / "probability.zarr")
    write_copy(geometry, args.source, folder / "probability.sgy", probability.read, traces)

    def mask(inlines: slice) -> np.ndarray:
        return probability.mask(threshold, inlines).astype(np.float32)

    write_copy(geometry, args.source, folder / "mask.sgy", mask, traces)
    logging.info(
        "%d x %d traces of %d samples, %.2f %% of them salt, to %s",
        *(*axes.shape, 100 * salt / max(samples, 1), folder),
    )


def lines_of(path: Path) -> dict[str, list[int]]:
    """Read the numbers of interpreted lines by plane; InputError if they are not readable."""
    table = read_csv(path, "delete it to import again")
    return table.groupby("plane")["line"].agg(list).to_dict()


if __name__ == "__main__":
    parser = stage_parser(__doc__, settings=False)
    parser.add_argument("--geometry", type=Path, required=True, help="geometry.json of the source")
    parser.add_argument("--source", type=Path, required=True, help="SEG-Y file")
    parser.add_argument(
        "--shards", type=Path, nargs="+", required=True, help="Zarr stores of all shards, in order"
    )
    parser.add_argument("--threshold", type=Path, required=True, help="the members' threshold.json")
    parser.add_argument("--lines", type=Path, help="lines.csv, of lines that are interpreted")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    run(main, parser)
