"""Train one member."""

import json
import logging
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from saltseg.core.errors import InputError
from saltseg.core.header import read_checkpoint
from saltseg.core.tables import write_csv
from saltseg.device.compute import Compute
from saltseg.ensemble.pseudo_labels import PseudoLabels
from saltseg.settings.config import epochs_of
from saltseg.settings.members import read_member, seed_of
from saltseg.stage.cli import add_labelled, inputs_of, run, stage_parser
from saltseg.stage.code_files import behaviour, installed_version, local_files, packages
from saltseg.survey.folds import is_honest, train_valid_masks
from saltseg.survey.labelled import LabelledData
from saltseg.survey.lines import count_lines
from saltseg.survey.tiles import Tiles
from saltseg.training import events
from saltseg.training.augmentation import Augmentation
from saltseg.training.data import Labelled
from saltseg.training.lines import LabelledLines
from saltseg.training.saved import Saved, fingerprint
from saltseg.training.start import Start, greyscale_of
from saltseg.training.trainer import Trainer, TrainingJob

# Keys that change no result.
UNUSED = {"training": {"tensorboard"}}


def main(args):
    compute = Compute.take(args.settings.compute, args.threads)
    labelled = LabelledData.load(args)
    tiles, scheme, seed = labelled.tiles, args.settings.validation.scheme, seed_of(args.member)
    # Rules pass the file alone; by hand, the key that names it suffices.
    weights = args.encoder_weights or getattr(args.settings.training, "encoder_weights", None)
    training = args.settings.training
    epochs = epochs_of(training.epochs, volume=args.lines is not None)
    training = training.model_copy(update={"encoder_weights": weights, "epochs": epochs})
    trains, validates = train_valid_masks(labelled.folds, scheme, seed)
    logging.info(
        "member %s trains on %d tiles and validates on %d%s, on %s",
        args.member, trains.sum(), validates.sum(),
        "" if is_honest(scheme) else " of the same (NOT honest)", compute,
    )  # fmt: skip
    if args.settings.model.depth != "none":
        tiles.require_depths()
    made_from = fingerprint(dependencies(args, compute))
    if args.history.exists() and is_made_from(args.checkpoint, made_from):
        # A run with other settings was interrupted, and these are the former ones again.
        logging.info("member %s: trained already, in %s", args.member, args.checkpoint)
        return
    shown, greyscale = training_data(args, labelled, trains, compute)
    start = None
    if args.start:
        start = Start.load(args.start, args.settings.model.model_dump(), greyscale)
        start.require_honest(labelled, scheme, seed)
        logging.info("member %s starts from %s", args.member, args.start)
    saved = Saved(args.state, made_from) if args.state else None
    job = TrainingJob(
        training=shown,
        validation=Labelled.load(tiles, validates, compute.device),
        recipe=training,
        augmentation=Augmentation(args.settings.augmentation),
        model=args.settings.model.model_dump(),
        seed=seed,
        member=args.member,
        greyscale=greyscale,
        honest=is_honest(scheme),
        weights=start.checkpoint if start else None,
    )
    with events.writer(args.events) as record:
        checkpoint, history = Trainer(job, compute, on_epoch_end=record, saved=saved).run()
    write_csv(pd.DataFrame(history), args.history)
    checkpoint.about.update(made_from=made_from, computed_on=str(compute))
    if args.settings.plugins:
        checkpoint.about["plugins"] = {
            file: behaviour(Path(file)) for file in args.settings.plugins
        }
    if start:
        checkpoint.about["start"] = {"path": str(args.start), "learnt": sorted(start.learnt)}
    checkpoint.save(args.checkpoint)
    if saved:
        saved.remove()
    logging.info("kept epoch %d, in %s", checkpoint.about["epoch"], args.checkpoint)


def training_data(args, labelled: LabelledData, trains: np.ndarray, compute: Compute):
    """Return what a member trains on and, for a volume, the settings of its grey values."""
    tiles, lines, surveys = labelled.tiles, labelled.lines, labelled.surveys
    if lines:
        greyscale = greyscale_of(args.settings.survey, lines, [each.lines for each in surveys])
        chosen = [(lines, lines.table["id"].isin(tiles.table["line"][trains]))]
        for survey in surveys:
            own, _ = survey.masks(args.settings.validation.scheme, seed_of(args.member))
            chosen.append((survey.lines, survey.chosen(own)))
        for name, (of, rows) in zip(["", *(each.name for each in surveys)], chosen, strict=True):
            where = f" of data.surveys.{name}" if name else ""
            count = count_lines(of.table[rows.to_numpy()])
            logging.info("member %s sees windows of %s%s", args.member, count, where)
        shown = LabelledLines(chosen, greyscale["tile"], greyscale["normalisation"], compute.device)
        return shown, greyscale
    shown = Labelled.load(tiles, trains, compute.device)
    if args.pseudo_labels:
        pseudo = PseudoLabels.load(args.pseudo_labels)
        unlabelled = Tiles(args.unlabelled)
        if args.settings.model.depth != "none":
            unlabelled.require_depths()
        shown += Labelled.of(pseudo, unlabelled, compute.device)
        logging.info("and on %d tiles with pseudo-labels", len(pseudo.ids))
    return shown, None


def is_made_from(path: Path, made_from: str) -> bool:
    """Return whether a checkpoint is complete and the one that this training would end with."""
    try:
        about, _ = read_checkpoint(path)
    except InputError:
        return False
    return about.get("made_from") == made_from


def dependencies(args, compute: Compute) -> list[str | bytes]:
    """Return everything that the training depends on; if any of it changes, it starts over."""
    files = [(name, path.read_bytes()) for name, paths in inputs_of(args).items() for path in paths]
    code = local_files(Path(__file__))
    return [
        json.dumps(args.settings.model_dump(exclude=UNUSED), sort_keys=True),
        f"{seed_of(args.member)} {compute} {torch.__version__}",
        *chain.from_iterable(files),
        *map(behaviour, [*code, *map(Path, args.settings.plugins)]),
        *(f"{name} {installed_version(name)}" for name in packages(code)),
    ]


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    add_labelled(parser)
    parser.add_input("pseudo_labels", "HDF5 file of further masks", optional=True)
    parser.add_input("unlabelled", "test.h5, the tiles they are of", optional=True)
    parser.add_input("encoder_weights", "file of an encoder's weights", optional=True)
    parser.add_input("start", "checkpoint of a finished run's member", optional=True)
    parser.add_argument(
        "--member",
        type=read_member,
        required=True,
        help="its name: its seed, such as 0, after that of its kind, if any, such as lovasz-0",
    )
    parser.add_output("checkpoint", "safetensors file")
    parser.add_output("history", "CSV file")
    parser.add_argument("--state", type=Path, help="file to save to, and to resume from if killed")
    parser.add_argument("--events", type=Path, help="folder of TensorBoard's events, if any")
    run(main, parser)
