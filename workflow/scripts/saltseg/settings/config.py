"""The configuration: each key's type, default, bounds and description, and what a change reruns.

The only place where a key is written: after a change, `make config` writes config/config.yaml and
the tables of config/*.md. Rules compare the values that a stage is given, not this file.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from saltseg.inference.registry import RUNTIMES
from saltseg.networks.registry import NETWORKS
from saltseg.settings import plugins
from saltseg.settings.base import (
    KEYS,
    TEXT,
    FilePath,
    HomePath,
    OneOf,
    Section,
    Seed,
    Text,
    key,
    text_or_keys,
)
from saltseg.settings.choices import LOSSES, MONITORS, describe

LossName = Annotated[str, OneOf(LOSSES, plugins.LOSSES)]
Zoom = Annotated[float, Field(gt=0, le=10)]

# What a change reruns.
EVERYTHING = "everything"
MEMBERS = "members and later stages"
LABELLED_LINES = "labelled lines and later stages"
FURTHER = "labelled lines of new or changed surveys, and all members"
FOLDS = "folds and later stages"
PREDICTIONS = "predictions and later stages"
VOLUME_PREDICTIONS = "predictions of volumes, also of held-out lines"
THRESHOLD = "the threshold and later stages"
NEW_MASKS = "only the new masks"


def refuse_duplicates(values: list[Any]) -> list[Any]:
    """Return values; ValueError if any of them is there twice."""
    if len(set(values)) < len(values):
        raise ValueError(f"{values} lists a value twice; list each once")
    return values


Seeds = Annotated[list[Seed], AfterValidator(refuse_duplicates), Field(min_length=1)]


# Of the demo, of both kinds.
LEAST_TILES, MOST_TILES = 48, 200_000


class DemoSettings(Section):
    """The synthetic tiles of the demo."""

    tiles: int = key(
        640,
        f"labelled tiles; {LEAST_TILES} to {MOST_TILES:,} together with `test_tiles`",
        advanced=True,
        ge=24,
        le=MOST_TILES,
    )
    test_tiles: int = key(160, "unlabelled tiles", advanced=True, ge=1, le=MOST_TILES)
    tile_size: int = key(101, "side in pixels", advanced=True, ge=32, le=256)
    seed: int = key(2018, "each seed gives a different survey", advanced=True, ge=0)


# Of the demo volume, which is made in memory: about 80 bytes for each.
MOST_SAMPLES = 20_000_000


class DemoVolumeSettings(Section):
    """The synthetic volume of the demo."""

    inlines: int = key(
        100,
        f"number of inlines; a volume has at most {MOST_SAMPLES:,} samples in all",
        advanced=True,
        ge=8,
        le=2000,
    )
    crosslines: int = key(120, "number of crosslines", advanced=True, ge=8, le=2000)
    samples: int = key(160, "samples per trace", advanced=True, ge=64, le=2000)
    labelled_every: int = key(10, "spacing of the labelled lines, in inlines", advanced=True, ge=1)
    seed: int = key(2018, "each seed gives a different volume", advanced=True, ge=0)


class BodySettings(Section):
    """Horizons of a body of salt."""

    top: FilePath = key(..., "file with the picks of its top")
    base: FilePath | None = key(
        None, "the same of its base, null if it reaches down to the next body or the last sample"
    )

    @model_validator(mode="after")
    def refuse_one_file(self) -> "BodySettings":
        """Return itself; ValueError if top and base are one file."""
        if self.top == self.base:
            raise ValueError(f"top and base are both {self.top}; give each a file of its own")
        return self


def refuse_other_lines(values: list[int | str]) -> list[int | str]:
    """Return lines; ValueError for texts but those such as crossline_300, and for doubled lines."""
    for value in values:
        if isinstance(value, str) and not re.fullmatch(r"(inline|crossline)_-?\d+", value):
            raise ValueError(f"expected an inline's number, or crossline_300; found {value!r}")
    if len({str(value).removeprefix("inline_") for value in values}) < len(values):
        raise ValueError(f"{values} lists a line twice; list each once")
    return values


def refuse_unplaced(values: list[str]) -> list[str]:
    """Return columns; ValueError if they give no z, or nothing that says where."""
    named = [value for value in values if value != "-"]
    refuse_duplicates(named)
    if "z" not in named or not ({"inline", "crossline"} <= {*named} or {"x", "y"} <= {*named}):
        raise ValueError(f"expected inline, crossline and z, or x, y and z; found {values}")
    return values


LineNames = Annotated[list[int | Text], AfterValidator(refuse_other_lines), Field(min_length=1)]
ColumnName = Literal["inline", "crossline", "x", "y", "z", "-"]
ColumnNames = Annotated[list[ColumnName], AfterValidator(refuse_unplaced)]


class HorizonSettings(Section):
    """Labels as picks of the top and base of each body of salt."""

    bodies: Annotated[list[BodySettings], Field(min_length=1)] = key(
        ...,
        "a `top` for each body of salt, as the path of a text file with picks, and a `base`; "
        "without one, it reaches down to the next body's top or the last sample",
    )
    lines: LineNames | None = key(
        None,
        "lines that are interpreted, null for those that picks run along; inlines by their "
        "numbers, crosslines as `crossline_300`. A trace without a pick has no salt there",
    )
    columns: ColumnNames | None = key(
        None,
        "what each column is: `inline`, `crossline`, `x`, `y`, `z`, or `-` for another; null for "
        "what a header says, or what fits the volume's grid",
    )
    unit: Literal["ms", "s", "m", "ft"] | None = key(
        None, "unit of z, null for what a header says, or the volume's own, or s if only that fits"
    )
    gap: int | None = key(
        None,
        "up to how many traces apart picks are joined, wider gaps being unlabelled; with 0, each "
        "trace of a body is picked. Null for 0 where most picks are on neighbouring traces, else "
        "for three times their usual spacing",
        ge=0,
    )


Labels = Annotated[
    Annotated[FilePath, Tag(TEXT)] | Annotated[HorizonSettings, Tag(KEYS)],
    Discriminator(text_or_keys),
]


class ReadingSettings(Section):
    """How a SEG-Y file is read."""

    reruns = EVERYTHING

    inline_byte: int | None = key(
        None,
        "byte of trace headers at which inline numbers start, null to detect it; 189 is tried "
        "first. Numbers have four bytes",
        ge=1,
        le=237,
    )
    crossline_byte: int | None = key(
        None, "the same for crossline numbers; 193 is tried first", ge=1, le=237
    )
    endian: Literal["big", "little"] | None = key(None, "byte order, null to detect it")
    format: Literal[1, 2, 3, 5, 8] | None = key(
        None,
        "sample format, if the file's header is wrong; 1 IBM float, 2 int32, 3 int16, 5 IEEE "
        "float, 8 int8",
    )
    polarity: Literal["normal", "reversed"] = key(
        "normal",
        "`reversed` changes the sign of all amplitudes, for a volume of the other polarity than "
        "its members' own",
    )
    domain: Literal["time", "depth"] | None = key(
        None,
        "what samples are of, null for depth if the text header speaks of depth and not of time; "
        "it names the unit, ms, m or ft, in the report",
    )
    unlabelled: float | None = key(
        None,
        "value in SEG-Y labels that means unlabelled; missing traces always are",
        reruns=LABELLED_LINES,
    )


class FurtherSurvey(ReadingSettings):
    """A further survey with labelled lines to learn from."""

    source: FilePath = key(
        ..., "a volume, as `data.source`, or a folder of SEG-Y files of 2-D lines"
    )
    labels: Labels = key(
        ...,
        "its labels, as for `data.labels`; of a folder, a folder of SEG-Y or PNG files with the "
        "names of its lines, of which those without a label are left out",
    )


def refuse_unfit_names(values: Any) -> Any:
    """Return values by name; ValueError for a name that cannot be that of a folder."""
    if not isinstance(values, dict):
        return values
    for name in map(str, values):
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            raise ValueError(f"expected names of letters, digits, - and _, found {name!r}")
    return {str(name): value for name, value in values.items()}


class DataSettings(Section):
    """Where tiles and volumes come from."""

    reruns = EVERYTHING

    source: HomePath = key(
        "demo",
        "`demo`, `kaggle`, `demo-volume`, or the path of tiles (zip or folder), of a SEG-Y "
        "file, or of a folder of [2-D lines](../docs/volumes.md#2-d-lines). `kaggle` [downloads "
        "the contest's zip](../docs/kaggle.md). [SEG-Y files](#survey) "
        "end in `.sgy` or `.segy`, or are recognised by their content; `.mdio` (MDIO v1), `.zgy` "
        "and `volume.zarr` of another run are copied to SEG-Y first. Write a path that is just "
        "one of these words as `./demo`",
        reruns="everything, unless the tiles are the same",
    )
    labels: Labels | None = key(
        None,
        "labels of a volume, as a SEG-Y file, a folder of masks, or "
        "[horizons](../docs/volumes.md#horizons). A SEG-Y file has the same geometry, or some of "
        "its lines, and salt above 0; masks are named `inline_120.png`, `crossline_300.png`, with "
        "one column for each trace number, missing traces included, and one row per sample. Of 2-D "
        "lines, a folder of SEG-Y or PNG files with their names. Not used for tiles",
        reruns=LABELLED_LINES,
    )
    surveys: Annotated[dict[str, FurtherSurvey] | None, BeforeValidator(refuse_unfit_names)] = key(
        None,
        "[further surveys](../docs/volumes.md#several-surveys) with labelled lines that members "
        "also learn from, by names of yours; what is filled is `source` alone. Each has its own "
        "geometry, grey scale and folds, and its own keys of `survey`, which those of the section "
        "do not replace",
        reruns=FURTHER,
    )
    demo: DemoSettings = DemoSettings()
    demo_volume: DemoVolumeSettings = DemoVolumeSettings()


class SurveySettings(ReadingSettings):
    """How SEG-Y files are read, and how amplitudes become images."""

    percentile: float = key(
        99.9,
        "percentile of absolute amplitudes that becomes white, and its negative black",
        advanced=True,
        gt=0,
        le=100,
    )
    normalisation: Literal["volume", "window"] = key(
        "volume",
        "whether a volume has one grey scale, or each window its own; `window` stretches each "
        "window from its minimum to its maximum amplitude, as the contest's tiles were",
        reruns=LABELLED_LINES,
    )
    tile: int = key(
        64,
        "side of tiles and of the windows that members train on, in samples and traces",
        reruns=LABELLED_LINES,
        ge=16,
        le=2048,
    )


class ValidationSettings(Section):
    """How labelled tiles are held out."""

    reruns = FOLDS

    scheme: Literal["kfold", "holdout", "full"] = key(
        "kfold",
        "which tiles members train on and validate on; see below",
        reruns=f"{FOLDS}; labelled lines of a volume, too",
    )
    folds: int | None = key(
        None,
        "number of folds, null for 2 (tiles) or 5 (volumes): with 5, a member trains on four "
        "fifths of a volume's few lines",
        reruns=f"{FOLDS}; labelled lines of a volume, too",
        ge=2,
    )
    seed: Seed = key(0, "seed for assigning tiles to folds")
    stratified: bool = key(
        True, "split each coverage class separately; classes are no salt, then tenths of the tile"
    )
    groups: FilePath | None = key(
        None,
        "CSV file with groups of tiles that share a fold; it has a column `id` and the column "
        "below",
    )
    group_column: Text = key(
        "section",
        "column of that file with the group, such as a section or a mosaic",
        reruns=f"{FOLDS}, if there are `groups`",
    )


class EnsembleSettings(Section):
    """The members."""

    reruns = "new members, the threshold and the submission"

    seeds: Seeds | None = key(
        None,
        "one member each, null for 0 and 1 (tiles) or 0 to 4 (volumes); with `kfold`, seed *s* "
        "holds out fold *s* mod `folds`",
    )
    members: list[dict[str, Any]] | None = key(
        None,
        "[members of several kinds](#members-of-several-kinds), each with its `seeds`, null for "
        "one kind with those above; kinds differ in `model`, `training` and `augmentation`",
        reruns="members of new or changed kinds, the threshold and the submission",
        min_length=1,
    )
    runs: list[FilePath] = key(
        [],
        "`results` folders of finished runs, whose members are averaged with this run's; they are "
        "never retrained, and refused if they learnt from tiles that they would be scored on",
        reruns="predictions of their members, the threshold and the submission",
    )
    weights: Literal["equal", "out_of_fold"] = key(
        "equal",
        "how much members count in their mean; `out_of_fold` gives kinds the weights that score "
        "best on tiles that their members held out",
        reruns=THRESHOLD,
    )


class ModelSettings(Section):
    """The network."""

    reruns = MEMBERS

    name: Annotated[str, OneOf(NETWORKS)] = key(
        "unet",
        "the network; `unet` and `residual_unet` have nine levels with two convolutions or "
        "two residual blocks each, the others an encoder that can be "
        "[pretrained](../docs/encoders.md)",
    )
    encoder: Text | None = key(
        None,
        "encoder of a `timm_unet`, by its [name in timm](../docs/encoders.md), such as `resnet34`",
    )
    width: int = key(
        8,
        "channels at full resolution; 16 in the original. With an encoder, channels of the "
        "decoder's finest level",
        ge=1,
        le=512,
    )
    dropout: float = key(
        0,
        "dropout rate; `residual_unet` uses half of it after the first pooling. The original "
        "uses 0.5, and 0.25 in its plain U-Net. With an encoder, applied only before the head",
        ge=0,
        lt=1,
    )
    depth: Literal["none", "first_pool", "bottleneck", "both"] = key(
        "none",
        "where the tile's depth is added as a channel; scaled to the range of the training "
        "tiles. Not with an encoder",
    )
    scale: Literal[1, 2] = key(
        1,
        "how much tiles are enlarged for an encoder; with 2, the encoder's first features "
        "have the tile's resolution, at about three times the cost",
    )
    hypercolumn: bool = key(
        False, "whether the head sees all levels of the decoder; only with an encoder"
    )


def folds_of(folds: int | None, volume: bool) -> int:
    """Return ``validation.folds``, or what null stands for there.

    More of a volume, so that a member learns from most of its few labelled lines.
    """
    return folds or (5 if volume else 2)


def epochs_of(epochs: int | None, volume: bool = False) -> int:
    """Return ``training.epochs``, or what null stands for there.

    More of a volume: a short training on a few lines is a lottery.
    """
    return epochs or (30 if volume else 6)


class TrainingSettings(Section):
    """How a member is trained."""

    reruns = MEMBERS

    epochs: int | None = key(
        None,
        "maximum number of epochs, null for 6 (tiles) or 30 (volumes)",
        ge=1,
    )
    passes_per_epoch: float = key(
        2.6,
        "how often an epoch visits each tile, on average",
        reruns=f"{MEMBERS}; nothing for a volume",
        gt=0,
    )
    windows_per_epoch: int = key(
        500,
        "windows that an epoch cuts from a volume's labelled lines; does not depend on how "
        "many there are",
        reruns=f"{MEMBERS}; nothing for tiles",
        ge=1,
    )
    batch_size: int = key(8, "tiles per step", ge=1, le=10_000)
    micro_batch: int | None = key(
        None,
        "maximum tiles per forward pass, if a batch does not fit into memory; null: the whole "
        "batch. Gradients of nearly equal parts are accumulated; batch normalisation and the "
        "Dice loss of a batch are then computed per part",
        ge=1,
    )
    loss: LossName = key("bce_dice", f"the loss function. {describe(LOSSES)}")
    late_loss: LossName | None = key(None, "loss from epoch `late_from` on; null: no change")
    late_from: int = key(
        1,
        "first epoch with `late_loss`, counted from 1",
        reruns=f"{MEMBERS}, if there is a `late_loss`",
        ge=1,
    )
    optimiser: Literal["adam", "adamw", "muon"] = key(
        "muon",
        "`muon` is `adamw` with orthogonal steps for convolutions outside a pretrained encoder; "
        "`adam` and `adamw` differ in how `weight_decay` is applied",
    )
    weight_decay: float = key(0.01, "decoupled, but added to the gradient in `adam`", ge=0)
    schedule: Literal["plateau", "one_cycle"] = key(
        "one_cycle",
        "of the learning rate; `plateau` halves it on a plateau, `one_cycle` raises it for "
        "the first fifth of training and then lowers it to zero",
    )
    learning_rate: float = key(0.002, "initial rate, or the maximum of `one_cycle`", gt=0)
    minimum_learning_rate: float = key(
        1e-05, "lower limit when the rate is halved", advanced=True, ge=0
    )
    plateau_patience: int = key(
        1, "epochs without improvement before the rate is halved", advanced=True, ge=1
    )
    stopping_patience: int = key(
        10, "epochs without improvement before training stops", advanced=True, ge=1
    )
    minimum_gain: float = key(
        1e-05, "smallest change that counts as an improvement", advanced=True, ge=0
    )
    monitor: Annotated[str, OneOf(MONITORS)] = key(
        "last",
        f"decides which epoch is kept, and when to halve the rate or stop. {describe(MONITORS)}",
    )
    pretrained: bool = key(
        False, "start from the encoder's [ImageNet weights](../docs/encoders.md)"
    )
    encoder_weights: FilePath | None = key(
        None,
        "file with weights from which a [timm encoder](../docs/encoders.md) starts; needs "
        "`pretrained: false`",
        advanced=True,
    )
    start: FilePath | None = key(
        None,
        "`results` folder of a finished run whose members [these start from]"
        "(../docs/recipes.md#start-from-finished-members), null for new weights; replaces "
        "`pretrained` and `encoder_weights`. The network has to be the same, and the grey scale of "
        "a volume. Tiles and lines that both runs have stay in their folds",
        reruns=f"{MEMBERS}; folds and lines, too, if it has any of this run",
    )
    frozen_epochs: int = key(0, "initial epochs with a frozen encoder", advanced=True, ge=0)
    encoder_rate: float = key(
        1, "the encoder's learning rate, as a fraction of `learning_rate`", gt=0
    )
    tensorboard: bool = key(
        False, "write TensorBoard events to `results/logs/tensorboard/MEMBER`", reruns="nothing"
    )
    compile: bool = key(
        False,
        "use `torch.compile` for training steps; takes a minute or two to warm up and needs a "
        "C++ compiler, and Triton on a GPU. [Slower on a CPU](../benchmarks/NOTES.md), as the "
        "log says",
        advanced=True,
    )


class AugmentationSettings(Section):
    """Random transforms of the training tiles."""

    reruns = MEMBERS

    horizontal_flip: bool = key(True, "flip half of the tiles left to right")
    vertical_flip: bool = key(False, "flip half of the tiles top to bottom")
    rotation: float = key(15, "maximum angle in degrees, in either direction", ge=0, le=180)
    shift: float = key(
        0.1, "maximum along each axis, as a fraction of the side, in either direction", ge=0, le=1
    )
    zoom: tuple[Zoom, Zoom] = key(
        (0.9, 1.2), "minimum and maximum side of the visible window, in tiles", strict=False
    )
    brightness: float = key(
        0, "maximum offset, as a fraction of the value range, up or down", ge=0, le=1
    )
    contrast: float = key(
        0, "maximum change of the factor that scales values around mid-grey, up or down", ge=0, le=1
    )
    gain_control: float = key(
        0,
        "share of the tiles whose loudness is evened out down each trace, as by automatic gain "
        "control",
        ge=0,
        le=1,
    )
    extra: list[Annotated[str, OneOf(plugins.AUGMENTATIONS)]] = key(
        [],
        "functions that [plugins](../docs/plugins.md) add, applied in their order after the others",
        advanced=True,
    )


class SelfTrainingSettings(Section):
    """Rounds of training with pseudo-labels of the test tiles."""

    reruns = MEMBERS

    rounds: int = key(
        0,
        "rounds before the last one, each of which labels test tiles for the next. Only the "
        "most confident predictions become labels. Members that hold out a fold learn only "
        "from labels by members that hold out the same fold, so scores stay honest",
        ge=0,
        le=10,
    )
    share: float = key(
        0.75,
        "fraction of the test tiles to label, the most confident ones",
        reruns="pseudo-labels and later stages, if there are any rounds",
        gt=0,
        le=1,
    )


class InferenceSettings(Section):
    """How members predict."""

    reruns = PREDICTIONS

    flip: bool = key(
        True,
        "average the predictions for a tile and its mirror image; for threshold and "
        "submission alike",
    )
    threshold: float | None = key(
        None,
        "probability above which a pixel is salt, null to [tune it]"
        "(../docs/method.md#what-a-score-is-worth) on labelled tiles; of a volume, "
        "[on held-out lines](../docs/volumes.md#what-is-delivered). For all masks, also of "
        "`snakemake predict`",
        reruns=THRESHOLD,
        ge=0,
        le=1,
    )
    batch_size: int = key(32, "tiles per batch", ge=1, le=10_000)
    shards: int = key(
        1,
        "number of jobs to split prediction into; results do not depend on it",
        reruns="test predictions and later stages; of a volume, its predictions; with "
        "self-training also later members, with the same results",
        ge=1,
        le=10_000,
    )
    planes: Literal["inline", "crossline", "both"] = key(
        "both",
        "sections of a volume to predict; `both` [adds their logits]"
        "(../docs/volumes.md#what-is-delivered), each times a slope learnt on held-out lines",
        reruns=VOLUME_PREDICTIONS,
        advanced=True,
    )
    window: int = key(
        1024,
        "samples and traces of a volume's section to predict at once",
        reruns=VOLUME_PREDICTIONS,
        advanced=True,
        ge=64,
        le=65_536,
    )
    margin: int | None = key(
        None,
        "samples and traces to discard where windows meet, null for as far as networks see; "
        "with null, no seams show",
        reruns=VOLUME_PREDICTIONS,
        ge=0,
        le=1024,
    )


class VolumeSettings(Section):
    """How predictions of a volume become its mask."""

    # Predictions are deleted once they are merged.
    reruns = "probabilities of the volume and later stages; the volume is predicted again"

    prior: Literal["interpolation", "none"] = key(
        "interpolation",
        "what is fused with the members: the interpolation of the labelled lines, which counts the "
        "more the closer they are; nothing where no plane has two",
        reruns="scores of lines and later stages; the volume is predicted again",
    )
    honour_labels: bool = key(
        True, "whether labelled lines are as they were labelled, in probabilities and masks"
    )
    smoothing: float = key(
        1,
        "standard deviation, in lines, of a Gaussian across the lines of each plane; 0 for none",
        reruns=VOLUME_PREDICTIONS,
        ge=0,
        le=10,
    )
    smallest_body: int = key(
        500,
        "samples of the smallest body of salt in a mask, and of the smallest hole; 1 keeps all",
        reruns="masks and surfaces",
        ge=1,
    )


class PredictSettings(Section):
    """Only for `snakemake predict`."""

    reruns = NEW_MASKS

    source: FilePath | None = key(
        None,
        "folder or zip of PNG files, or a SEG-Y file, or a folder of those named `.sgy` or "
        "`.segy`, or `.mdio`, `.zgy` or `volume.zarr`. PNG files can be at any "
        "depth; a tile's id is its file name without `.png` (or `.PNG`), and two files with "
        "the same id are refused. Other files are listed in the log",
    )
    run: FilePath | None = key(
        None,
        "`results` folder of a finished run, null for this run; a finished run's members and "
        "threshold are used without any training, this run's are trained first if necessary",
    )


class ComputeSettings(Section):
    """Device and precision."""

    reruns = MEMBERS

    device: Literal["auto", "cpu", "cuda"] = key(
        "auto", "`auto` uses a GPU if PyTorch finds one; with `cpu`, members train side by side"
    )
    precision: Literal["auto", "bf16", "fp16", "fp32"] = key(
        "auto",
        "`auto` uses bf16 if the hardware is faster in it, and fp16 on GPUs without it, with a "
        "scaled loss",
    )
    runtime: Annotated[str, OneOf(["auto", "torch"], RUNTIMES)] = key(
        "auto", "for prediction on a CPU; see below. A GPU always uses PyTorch", reruns=PREDICTIONS
    )
    threads: int = key(
        1,
        "CPU threads per training or prediction job; set here, not by the engine, because "
        "sums depend on it",
        ge=1,
    )
    deterministic: bool = key(
        True,
        "the same bytes on every run on a GPU of the same kind; at a cost in speed that has "
        "not been measured. A CPU always gives the same bytes",
        advanced=True,
    )


class Settings(Section):
    """The configuration."""

    data: DataSettings = DataSettings()
    survey: SurveySettings = SurveySettings()
    validation: ValidationSettings = ValidationSettings()
    ensemble: EnsembleSettings = EnsembleSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    self_training: SelfTrainingSettings = SelfTrainingSettings()
    inference: InferenceSettings = InferenceSettings()
    volume: VolumeSettings = VolumeSettings()
    predict: PredictSettings = PredictSettings()
    compute: ComputeSettings = ComputeSettings()
    plugins: list[FilePath] = key(
        [],
        "Python files that [add](../docs/plugins.md) losses, networks or augmentation",
        reruns=MEMBERS,
    )
    experiments: dict[str, Any] = key(
        {},
        "variants to compare by `snakemake experiments`, by their names; [keys that differ, or a "
        "grid](#experiments)",
        reruns="only the members of new or changed experiments, and later stages",
    )
