"""Complete a configuration with defaults, and find all that is wrong with it."""

import math
from collections.abc import Iterator

from jsonschema import Draft202012Validator, ValidationError, validators

from saltseg.networks.registry import not_taken

# JSON Schema accepts 5.0 as an integer, which range() does not, and cannot exclude infinities.
TYPES = Draft202012Validator.TYPE_CHECKER.redefine_many(
    {
        "integer": lambda _, value: type(value) is int,
        "number": lambda _, value: type(value) in (int, float) and math.isfinite(value),
    }
)
Validator = validators.extend(Draft202012Validator, type_checker=TYPES)


def completed(config: object, schema: dict) -> object:
    """Return a configuration with the schema's default for each missing key.

    A section of another type than an object stays as it is, for ``faults`` to name.
    """
    if "properties" not in schema or not isinstance(config, dict):
        return config
    return config | {
        key: completed(config.get(key, part.get("default", {})), part)
        for key, part in schema["properties"].items()
    }


def faults(config: dict, schema: dict) -> list[str]:
    """Return all faults of a completed configuration, each naming its key."""
    found = list(_schema_faults(config, schema))
    return found or list(_contradictions(config))


def _schema_faults(config: dict, schema: dict) -> Iterator[str]:
    for error in Validator(schema).iter_errors(config):
        section = ".".join(str(part) for part in error.absolute_path)
        if error.validator == "additionalProperties":
            known = sorted(error.schema["properties"])
            for key in sorted(set(error.instance) - set(known), key=str):
                yield f"{section + '.' if section else ''}{key}: unknown key; known are {known}"
        elif error.validator == "uniqueItems":
            yield f"{section}: {error.instance} lists a value twice; list each once"
        else:
            yield f"{section or 'configuration'}: {error.message}{_hint(error)}"


def _hint(error: ValidationError) -> str:
    """Return how to write a number that YAML takes for text, such as 1e-3."""
    if error.validator != "type" or not isinstance(error.instance, str):
        return ""
    try:
        value = float(error.instance)
    except ValueError:
        return ""
    if value.is_integer() and "number" not in error.validator_value:
        value = int(value)
    return f"; YAML reads it as text; write {value!r}"


def _contradictions(config: dict) -> Iterator[str]:
    low, high = config["augmentation"]["zoom"]
    if low > high:
        yield f"augmentation.zoom: minimum {low} exceeds maximum {high}; swap them"
    if config["training"]["minimum_learning_rate"] > config["training"]["learning_rate"]:
        yield "training.minimum_learning_rate: exceeds training.learning_rate; lower it"
    yield from not_taken(config)


def uncovered_folds(config: dict) -> list[int]:
    """Folds of a k-fold scheme that no member holds out, so that their tiles get no score."""
    folds = config["validation"]["folds"]
    if config["validation"]["scheme"] != "kfold":
        return []
    return sorted(set(range(folds)) - {seed % folds for seed in config["ensemble"]["seeds"]})
