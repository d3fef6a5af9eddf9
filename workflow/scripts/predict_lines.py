"""Predict the labelled lines that a member holds out, as the whole volume will be predicted."""

import logging

import numpy as np

from saltseg.device.compute import Compute
from saltseg.device.gpu_lease import hold_gpu
from saltseg.ensemble.fusion import probability
from saltseg.evaluation.held_out_lines import save_predictions
from saltseg.inference.runtimes import for_inference
from saltseg.inference.sections import SectionPredictor, windows_for
from saltseg.inference.volume import Greyscale, VolumePredictor
from saltseg.networks.checkpoint import Checkpoint
from saltseg.output.shards import planes_of
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.folds import is_honest, read_folds, train_valid_masks
from saltseg.survey.geometry import Geometry
from saltseg.survey.lines import Lines, count_lines
from saltseg.survey.tiles import Tiles
from saltseg.survey.volume import Volume


def main(args):
    hold_gpu(args.settings.compute.device)
    compute = Compute.select(args.settings.compute, args.settings.compute.runtime, args.threads)
    inference, checkpoint = args.settings.inference, Checkpoint.load(args.checkpoint)
    network = for_inference(checkpoint.rebuild(), compute)
    tiles, lines = Tiles(args.tiles), Lines(args.lines)
    grid, volume = Geometry.load(args.geometry), Volume(args.volume)
    folds = read_folds(args.folds, tiles.ids)
    _, validates = train_valid_masks(folds, args.settings.validation.scheme, checkpoint.seed)
    windows = windows_for([network], inference.window, inference.margin)
    sections = SectionPredictor([network], compute, windows, inference.flip)
    greyscale = Greyscale.of([checkpoint], volume.percentile)
    predictor = VolumePredictor(sections, greyscale, inference.batch_size)
    planes, deviation = planes_of(volume.shape, inference.planes), args.settings.volume.smoothing

    def predict(row) -> dict[str, np.ndarray]:
        index = grid.line_axis(row.plane).index(row.line)
        traces = range(row.first, row.first + row.stop - row.start)
        logits = predictor.predict_line(volume, planes, (row.plane, index), traces, deviation)
        return {plane: probability(each) for plane, each in logits.items()}

    held_out = tiles.table["line"][validates].unique().tolist()
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
    parser.add_input("geometry", "geometry.json of the volume")
    parser.add_input("volume", "Zarr store of its amplitudes")
    parser.add_input("checkpoint", "the member")
    parser.add_output("predictions", "HDF5 file")
    run(main, parser)
