"""Check within seconds that members can be trained: device, packages, weights and one step."""

import logging

import torch

from saltseg.core.errors import InputError
from saltseg.core.files import replacing
from saltseg.device.compute import Compute
from saltseg.inference.runtimes import for_inference
from saltseg.stage.cli import add_labelled, run, stage_parser
from saltseg.survey.folds import is_honest
from saltseg.survey.former import digests_of_lines
from saltseg.survey.labelled import LabelledData, LabelledSurvey
from saltseg.survey.lines import Lines
from saltseg.training.augmentation import Augmentation
from saltseg.training.data import Labelled
from saltseg.training.start import Start, greyscale_of
from saltseg.training.trainer import Trainer, TrainingJob


def main(args):
    compute = Compute.take(args.settings.compute, args.threads)
    # A run on a volume has no passes over tiles, of which one step takes two.
    changes = {"encoder_weights": args.encoder_weights, "passes_per_epoch": 1.0}
    training = args.settings.training.model_copy(update=changes)
    labelled = LabelledData.load(args)
    if labelled.lines and is_honest(args.settings.validation.scheme):
        refuse_shared(labelled.lines, labelled.surveys)
    starts = check_starts(args, labelled)
    for notice in compare_polarities(labelled.lines, labelled.surveys) if labelled.lines else []:
        logging.warning(notice)
    height, width = labelled.tiles.images.shape[1:]
    tiles = two_tiles(height, width, compute)
    job = TrainingJob(
        training=tiles,
        validation=tiles,
        recipe=training,
        augmentation=Augmentation(args.settings.augmentation),
        model=args.settings.model.model_dump(),
        seed=0,
        weights=starts[0].checkpoint if starts else None,
    )
    trainer = Trainer(job, compute)
    trainer.try_step()
    # Else an error of a late loss would end a training after hours.
    last = training.late_from if training.late_loss else 1
    if last > 1:
        trainer.train_epoch(last)
    trainer.evaluate(last)
    weights = sum(weight.numel() for weight in trainer.network.parameters())
    for_inference(trainer.network.cpu().eval(), compute)
    found = f"{weights:,} weights, tiles of {width}x{height}, on {compute}"
    with replacing(args.report) as path:
        path.write_text(f"{found}\n")
    logging.info("members can be trained: %s", found)


def check_starts(args, labelled: LabelledData) -> list[Start]:
    """Return the members that this run's start from, by rising seeds; none if from new weights."""
    settings, lines = args.settings, labelled.lines
    if not args.starts:
        return []
    greyscale = greyscale_of(settings.survey, lines) if lines else None
    found = []
    for seed, path in zip(sorted(settings.ensemble.seeds), args.starts, strict=True):
        found.append(Start.load(path, settings.model.model_dump(), greyscale))
        found[-1].require_honest(labelled, settings.validation.scheme, seed)
    for notice in found[0].notices(lines.character, settings.survey.polarity) if lines else []:
        logging.warning("training.start: %s", notice)
    return found


def refuse_shared(filled: Lines, surveys: list[LabelledSurvey]) -> None:
    """Raise InputError if a further survey shows a line that another one has, too.

    Members would train on it under one name, and hold it out under the other.
    """
    owners: dict[str, str] = {}
    keys = ["data.source", *(f"data.surveys.{survey.name}" for survey in surveys)]
    for key, lines in zip(keys, [filled, *(survey.lines for survey in surveys)], strict=True):
        shown = digests_of_lines(lines)
        for name, traces in shown.items():
            others = [owners[trace] for trace in traces if trace in owners]
            if 2 * len(others) > len(traces):
                raise InputError(
                    f"{key}: {others[0]} has its labelled line {name}, too, so that its score "
                    "would not be honest; leave one of them out"
                )
        owners |= {trace: key for traces in shown.values() for trace in traces}


def compare_polarities(filled: Lines, surveys: list[LabelledSurvey]) -> list[str]:
    """Return which further surveys seem to have another polarity than the one that is filled."""
    own = filled.character.polarity
    others = [each for each in surveys if own and each.lines.character.polarity == -own]
    return [
        f"data.surveys.{each.name}.polarity: the survey looks reversed against data.source; change "
        "it, unless you know better"
        for each in others
    ]


def two_tiles(height: int, width: int, compute: Compute) -> Labelled:
    """Return two synthetic tiles of which the upper half is salt."""
    images = torch.randint(256, (2, 1, height, width), dtype=torch.uint8, device=compute.device)
    masks = torch.zeros_like(images)
    masks[..., : height // 2, :] = 1
    return Labelled(images, masks, torch.tensor([0.0, 1.0], device=compute.device))


if __name__ == "__main__":
    parser = stage_parser(__doc__)
    add_labelled(parser)
    parser.add_input("encoder_weights", "file of an encoder's weights", optional=True)
    parser.add_input(
        "starts", "checkpoints to start from, by rising seeds", many=True, optional=True
    )
    parser.add_output("report", "text file that says what was checked")
    run(main, parser)
