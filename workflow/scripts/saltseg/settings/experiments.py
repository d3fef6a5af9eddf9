"""Experiments: variants of one configuration that share its import and its folds."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import product
from typing import Any

# Sections and keys that experiments may differ in.
VARIED = ("model", "training", "augmentation", "ensemble", "inference.flip")
GRID = "grid"
NAME = re.compile(r"[A-Za-z0-9_-]+")


def experiments(config: dict) -> dict[str, dict]:
    """Return each experiment's own keys by its name; a grid gives one for each combination."""
    found = {}
    for name, changes in config.get("experiments", {}).items():
        found |= dict(_combinations(changes)) if name == GRID else {name: changes or {}}
    return found


def overlay(config: dict, changes: dict) -> dict:
    """Return a configuration with an experiment's own keys, and without experiments."""
    merged = {name: section for name, section in config.items() if name != "experiments"}
    for name, section in changes.items():
        both = isinstance(section, dict) and isinstance(merged.get(name), dict)
        merged[name] = merged[name] | section if both else section
    return merged


def differences(configs: dict[str, dict]) -> dict[str, dict[str, Any]]:
    """Return the keys, such as ``model.width``, whose values differ, for each configuration."""
    flat = {
        name: {
            f"{section}.{key}": value
            for section in sorted({varied.partition(".")[0] for varied in VARIED})
            for key, value in config[section].items()
        }
        for name, config in configs.items()
    }
    values = [list(map(json.dumps, keys.values())) for keys in flat.values()]
    differs = [len({*column}) > 1 for column in zip(*values, strict=True)]
    return {
        name: {key: value for (key, value), kept in zip(keys.items(), differs, strict=True) if kept}
        for name, keys in flat.items()
    }


def malformed(config: dict) -> Iterator[str]:
    """Yield a fault for each name, grid and key that no experiment may have."""
    for name, changes in config.get("experiments", {}).items():
        if name == GRID:
            yield from _wrong_grid(changes)
        elif not NAME.fullmatch(str(name)):
            yield f"experiments.{name}: expected a name of letters, digits, - and _; rename it"
        elif not isinstance(changes, dict | None):
            yield f"experiments.{name}: expected a section of keys and values, found {changes!r}"
        else:
            for key in _keys(changes or {}):
                yield from _not_varied(name, key)


def repeated(config: dict) -> Iterator[str]:
    """Yield a fault for each name that the grid gives twice, or that is beside it."""
    given = config.get("experiments", {})
    names = [name for name in given if name != GRID]
    # As a list, since experiments of equal names would replace each other.
    names += [name for name, _ in _combinations(given.get(GRID, {}))] if GRID in given else []
    for name, count in Counter(names).items():
        if count > 1:
            yield f"experiments: {count} are named {name}; give them names of your own"


def _combinations(grid: dict[str, list]) -> Iterator[tuple[str, dict]]:
    """Yield the name, such as ``width-8_loss-bce``, and the keys of each combination."""
    for values in product(*grid.values()):
        changes, words = {}, []
        for key, value in zip(grid, values, strict=True):
            section, _, name = key.partition(".")
            changes.setdefault(section, {})[name] = value
            text = re.sub(r"[^A-Za-z0-9]+", "-", json.dumps(value)).strip("-")
            words.append(f"{name}-{text}")
        yield "_".join(words), changes


def _wrong_grid(grid: object) -> Iterator[str]:
    if not isinstance(grid, dict) or not grid:
        yield f"experiments.{GRID}: expected lists of values, found {grid!r}"
        return
    for key, values in grid.items():
        if not isinstance(values, list) or not values or "." not in str(key):
            yield (
                f"experiments.{GRID}.{key}: expected a list of values of a key such as "
                f"model.width, found {values!r}"
            )
        else:
            yield from _not_varied(GRID, key)


def _keys(changes: dict) -> Iterator[str]:
    for section, keys in changes.items():
        yield from [f"{section}.{key}" for key in keys] if isinstance(keys, dict) else [section]


def _not_varied(name: str, key: str) -> Iterator[str]:
    if not any(f"{key}.".startswith(f"{varied}.") for varied in VARIED):
        yield (
            f"experiments.{name}.{key}: experiments share one import and one split, and may only "
            f"have {', '.join(VARIED)}; set it outside experiments"
        )
