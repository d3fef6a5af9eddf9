"""Predict the labelled lines that a member holds out, as whole sections."""

import logging

import numpy as np

from saltseg.device.compute import Compute
from saltseg.device.gpu_lease import hold_gpu
from saltseg.evaluation.held_out_lines import save_predictions
from saltseg.inference.runtimes import for_inference
from saltseg.inference.sections import SectionPredictor, windows_for
from saltseg.networks.checkpoint import Checkpoint
from saltseg.stage.cli import run, stage_parser
from saltseg.survey.amplitudes import section_to_8bit
from saltseg.survey.folds import is_honest, read_folds, train_valid_masks
from saltseg.survey.lines import Lines, count_lines
from saltseg.survey.tiles import Tiles


def main(args):
    hold_gpu(args.settings.compute.device)
    compute = Compute.select(args.settings.compute, args.settings.compute.runtime, args.threads)
    checkpoint = Checkpoint.load(args.checkpoint)
    network = for_inference(checkpoint.rebuild(), compute)
    tiles, lines = Tiles(args.tiles), Lines(args.lines)
    folds = read_folds(args.folds, tiles.ids)
    _, validates = train_valid_masks(folds, args.settings.validation.scheme, checkpoint.seed)
    inference, survey = args.settings.inference, args.settings.survey
    windows = windows_for([network], inference.window, inference.margin)
    predictor = SectionPredictor([network], compute, windows, inference.flip)

    def predict(name: str) -> np.ndarray:
        amplitude, _ = lines[name]
        section = section_to_8bit(amplitude.T, survey.normalisation, survey.tile)
        mean, _ = predictor.predict(section)
        return mean.T

    held_out = tiles.table["line"][validates].unique().tolist()
    save_predictions(args.predictions, lines, held_out, map(predict, held_out))
    predicted = count_lines(lines.table[lines.table["id"].isin(held_out)])
    kind = "held out" if is_honest(args.settings.validation.scheme) else "trained on"
    logging.info("%s %s, predicted to %s", predicted, kind, args.predictions)


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    parser.add_input("tiles", "train.h5, the labelled tiles")
    parser.add_input("folds", "folds.h5")
    parser.add_input("lines", "lines.h5 of the labelled lines")
    parser.add_input("checkpoint", "the member")
    parser.add_output("predictions", "HDF5 file")
    run(main, parser)
