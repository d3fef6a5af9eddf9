"""Predict the labelled lines that a member holds out, as the whole volume will be predicted."""

import logging

import numpy as np
from scipy.special import expit

from saltseg.device.compute import Compute
from saltseg.evaluation.held_out_lines import save_predictions
from saltseg.inference.runtimes import for_inference
from saltseg.inference.sections import SectionPredictor, windows_for
from saltseg.inference.volume import Greyscale, VolumePredictor
from saltseg.networks.checkpoint import Checkpoint
from saltseg.output.shards import planes_of
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.folds import is_honest
from saltseg.survey.geometry import Geometry
from saltseg.survey.grid import PLANES
from saltseg.survey.labelled import LabelledSurvey
from saltseg.survey.lines import count_lines
from saltseg.survey.volume import Volume


def main(args):
    compute = Compute.take(args.settings.compute, args.threads)
    inference, checkpoint = args.settings.inference, Checkpoint.load(args.checkpoint)
    network = for_inference(checkpoint.rebuild(), compute)
    survey = LabelledSurvey.load(args.lines, args.tiles, args.folds)
    files, lines = args.files or [""], survey.lines
    grids = dict(zip(files, map(Geometry.load, args.geometry), strict=True))
    volumes = dict(zip(files, map(Volume, args.volume), strict=True))
    _, validates = survey.masks(args.settings.validation.scheme, checkpoint.seed)
    windows = windows_for([network], inference.window, inference.margin)
    sections = SectionPredictor([network], compute, windows, inference.flip)
    greyscale = Greyscale.of([checkpoint], volumes[files[0]].percentile)
    predictor = VolumePredictor(sections, greyscale, inference.batch_size)
    deviation = args.settings.volume.smoothing
    shape = volumes[files[0]].shape
    # Of 2-D lines each along itself, whether their files call them inlines or crosslines.
    planes = PLANES[:1] if args.files else planes_of(shape, inference.planes)

    def predict(row) -> dict[str, np.ndarray]:
        grid, volume = grids[row.file], volumes[row.file]
        index = grid.line_axis(row.plane).index(row.line)
        traces = range(row.first, row.first + row.stop - row.start)
        own = (row.plane,) if args.files else planes
        logits = predictor.predict_line(volume, own, (row.plane, index), traces, deviation)
        return dict(zip(planes, map(expit, logits.values()), strict=True))

    held_out = survey.tiles.table["line"][validates].unique().tolist()
    rows = lines.table.set_index("id", drop=False).loc[held_out].itertuples()
    save_predictions(args.predictions, lines, held_out, map(predict, rows), planes)
    predicted = count_lines(lines.table[lines.table["id"].isin(held_out)])
    kind = "held out" if is_honest(args.settings.validation.scheme) else "trained on"
    logging.info("%s %s, predicted to %s", predicted, kind, args.predictions)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_input("tiles", "train.h5, the labelled tiles")
    parser.add_input("folds", "folds.h5")
    parser.add_input("lines", "lines.h5 of the labelled lines")
    parser.add_argument("--files", nargs="+", help="names of the SEG-Y files, if several")
    parser.add_input("geometry", "geometry.json of the volume, or of each file", many=True)
    parser.add_input("volume", "Zarr stores of amplitudes", many=True)
    parser.add_input("checkpoint", "the member")
    parser.add_output("predictions", "HDF5 file")
    run(main, parser)
