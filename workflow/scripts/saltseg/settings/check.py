"""Complete a configuration with defaults, and find all that is wrong with it."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from saltseg.core.errors import printable, raise_faults
from saltseg.networks.registry import not_taken
from saltseg.settings import members
from saltseg.settings.base import KEYS, TEXT, Section
from saltseg.settings.config import (
    LEAST_TILES,
    MOST_SAMPLES,
    MOST_TILES,
    Settings,
    epochs_of,
    folds_of,
)
from saltseg.settings.experiments import experiments, malformed, overlay, repeated
from saltseg.settings.plugins import load_plugins
from saltseg.settings.schema import describe_values, inner_keys, part_named, schema


def complete(config: dict) -> Settings:
    """Return a configuration with the default of each missing key.

    Raises InputError that lists everything that is wrong with it.
    """
    load_plugins(config.get("plugins"))
    raise_faults("Configuration", faults(config))
    return Settings.model_validate(config)


def given(values: dict) -> Settings:
    """Return the settings that a stage was given; reading any other raises AttributeError.

    Raises InputError that lists all wrong values.
    """
    load_plugins(values.get("plugins"))
    raise_faults("Settings", _wrong_values(values))
    settings = Settings.model_validate(values)
    _forget_defaults(settings)
    return settings


def faults(config: dict) -> list[str]:
    """Return all faults of a configuration, each naming its key.

    Contradictions are looked for only where each value is right, and experiments are checked only
    if the configuration that they vary is right.
    """
    wrong = list(_wrong_values(config))
    wrong = wrong or list(_contradictions(Settings.model_validate(config)))
    wrong = wrong or list(_wrong_members(config))
    return wrong or list(_wrong_experiments(config))


# What null stands for, of tiles and of a volume: of a volume, members see most of the few lines.
SEEDS = ([0, 1], [0, 1, 2, 3, 4])


def resolve(config: dict, volume: bool) -> dict:
    """Return a configuration in which no folds, seeds or epochs are null.

    Seeds stay null where ``ensemble.members`` have their own.
    """
    folds = folds_of(config["validation"]["folds"], volume)
    seeds = config["ensemble"]["seeds"]
    if not config["ensemble"]["members"]:
        seeds = seeds or SEEDS[volume]
    epochs = epochs_of(config["training"]["epochs"], volume)
    return config | {
        "validation": config["validation"] | {"folds": folds},
        "ensemble": config["ensemble"] | {"seeds": seeds},
        "training": config["training"] | {"epochs": epochs},
    }


def configurations(config: dict) -> dict[str, dict]:
    """Return each experiment's whole configuration, by its name."""
    return {
        name: complete(overlay(config, changes)).model_dump(mode="json")
        for name, changes in experiments(config).items()
    }


def kinds(config: dict, volume: bool) -> dict[str, dict]:
    """Return the whole configuration of each kind of member, with its own seeds, by its name.

    A kind without a name, of which there is at most one, has an empty one.
    """
    return {
        name: resolve(complete(overlay(config, changes)).model_dump(mode="json"), volume)
        for name, changes in members.entries(config).items()
    }


def _forget_defaults(section: Section) -> None:
    for name in type(section).model_fields:
        if name not in section.model_fields_set:
            del section.__dict__[name]
        elif isinstance(section.__dict__[name], Section):
            _forget_defaults(section.__dict__[name])


def _wrong_values(config: dict) -> Iterator[str]:
    try:
        Settings.model_validate(config)
    except ValidationError as error:
        for each in error.errors(include_url=False):
            yield _fault(each)


def _fault(error: ErrorDetails) -> str:
    path = tuple(part for part in error["loc"] if part not in (TEXT, KEYS))
    if error["type"] == "missing":
        if isinstance(path[-1], str):
            return f"{'.'.join(map(str, path))}: not set, and has no default"
        # A list that is too short is one fault, not one of each missing item.
        path = path[:-1]
    name, found = ".".join(map(str, path)) or "configuration", error["input"]
    if error["type"] in ("extra_forbidden", "invalid_key"):
        return f"{name}: unknown key; known are {sorted(inner_keys(_part(path[:-1])))}"
    if error["type"] == "value_error":
        return f"{name}: {error['ctx']['error']}"
    part = _part(path)
    choices = "one of " if part.get("enum") else ""
    expected = choices + describe_values(part).replace("`", "")
    return f"{name}: expected {expected}, found {printable(repr(found))}"


def _part(path: tuple[int | str, ...]) -> dict:
    """Return the schema of a section, of a key, or of an item of a list."""
    part = schema()
    for name in path:
        part = part_named(part, name)
    return part


def _contradictions(settings: Settings) -> Iterator[str]:
    low, high = settings.augmentation.zoom
    if low > high:
        yield f"augmentation.zoom: minimum {low} exceeds maximum {high}; swap them"
    training = settings.training
    if training.minimum_learning_rate > training.learning_rate:
        yield "training.minimum_learning_rate: exceeds training.learning_rate; lower it"
    epochs = epochs_of(training.epochs, may_be_volume(settings.data.source))
    if training.late_loss and training.late_from > epochs:
        yield (
            f"training.late_from: epoch {training.late_from} is after the last of training.epochs, "
            f"{epochs}; lower it, or set training.late_loss to null"
        )
    tiles = settings.data.demo.tiles + settings.data.demo.test_tiles
    if not LEAST_TILES <= tiles <= MOST_TILES:
        yield (
            f"data.demo: tiles and test_tiles should add up to {LEAST_TILES} to {MOST_TILES:,}, "
            f"found {tiles:,}"
        )
    yield from _doubled_sources(settings)
    demo = settings.data.demo_volume
    samples = demo.inlines * demo.crosslines * demo.samples
    if samples > MOST_SAMPLES:
        yield (
            f"data.demo_volume: at most {MOST_SAMPLES:,} samples in all, found {samples:,}; lower "
            "inlines, crosslines or samples"
        )
    if demo.labelled_every > demo.inlines:
        yield "data.demo_volume.labelled_every: exceeds data.demo_volume.inlines; lower it"
    yield from not_taken(settings.model_dump())


def _doubled_sources(settings: Settings) -> Iterator[str]:
    """Yield a fault for each further survey whose file another one names, too."""
    named = {Path(settings.data.source).resolve(): "data.source"}
    for name, survey in (settings.data.surveys or {}).items():
        key, path = f"data.surveys.{name}.source", Path(survey.source).resolve()
        if path in named:
            yield f"{key}: {survey.source} is {named[path]}, too; name each file once"
        named.setdefault(path, key)


def may_be_volume(source: str) -> bool:
    """Return whether ``data.source`` may be a volume: no demo, zip or folder of tiles."""
    if source in ("demo", "kaggle") or source.lower().endswith(".zip"):
        return False
    # A folder with a suffix may be a container of a volume, others may have 2-D lines.
    folder = Path(source)
    if not folder.is_dir() or folder.suffix:
        return True
    return any(path.suffix.lower() in (".sgy", ".segy") for path in folder.iterdir())


def _wrong_members(config: dict) -> Iterator[str]:
    whole = Settings.model_validate(config).model_dump(mode="json")
    wrong = list(members.malformed(whole["ensemble"]))
    yield from wrong
    given = members.entries(whole).values() if whole["ensemble"]["members"] and not wrong else ()
    for number, changes in enumerate(given):
        for fault in faults(overlay(config, changes)):
            yield f"ensemble.members.{number}.{fault.removeprefix('ensemble.')}"


def _wrong_experiments(config: dict) -> Iterator[str]:
    wrong = list(malformed(config)) or list(repeated(config))
    yield from wrong
    for name, changes in experiments(config).items() if not wrong else ():
        yield from (f"experiments.{name}.{fault}" for fault in faults(overlay(config, changes)))


def uncovered_folds(scheme: str, folds: int, seeds: list[int]) -> list[int]:
    """Return the folds of a k-fold scheme that no member holds out, so that they get no score."""
    return sorted(set(range(folds)) - {seed % folds for seed in seeds}) if scheme == "kfold" else []


def unread_keys(config: dict, volume: bool) -> set[str]:
    """Return the keys that no stage reads: the rest of the configuration leaves them no meaning.

    ``volume`` says whether the run is on a volume, not on tiles.
    """
    unread = {
        "training.passes_per_epoch": volume,
        "training.windows_per_epoch": not volume,
        "training.late_from": config["training"]["late_loss"] is None,
        "validation.group_column": config["validation"]["groups"] is None,
    }
    return {name for name, is_unread in unread.items() if is_unread}
