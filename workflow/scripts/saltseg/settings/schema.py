"""The JSON schema of the configuration, and its words for the values of a key."""

import re
from collections.abc import Iterator
from functools import cache

from saltseg.settings.base import Section
from saltseg.settings.config import Settings

WORDS = {
    "object": "a section of keys and values",
    "objects": "sections of keys and values",
    "mapping": "names, each with keys and values",
    "boolean": "true, false",
}
BOUNDS = {
    "minimum": "{:,} or more",
    "exclusiveMinimum": "above {:,}",
    "maximum": "up to {:,}",
    "exclusiveMaximum": "below {:,}",
}


@cache
def schema() -> dict:
    """Return the JSON schema of the configuration, each section and key in its place.

    ``x-reruns`` is what a change of a key reruns, and ``x-advanced`` says that few users need it.
    """
    return _section(Settings, "")


def _section(kind: type[Section], reruns: str) -> dict:
    reruns = kind.reruns or reruns
    whole = kind.model_json_schema()
    properties = whole["properties"]
    for name, field in kind.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            properties[name] = _section(inner, reruns)
        else:
            found = _with_null(properties[name], whole.get("$defs", {}))
            properties[name] = {"x-reruns": reruns} | found
    return {
        "type": "object",
        "description": kind.__doc__,
        "additionalProperties": False,
        "properties": properties,
    }


def _with_null(key: dict, sections: dict) -> dict:
    """Return a key's schema with null, if allowed, among its types or values.

    A key whose value maps names that a user chooses is a "mapping", unlike sections, with the
    schema of ``each`` entry, if known; so is one that also takes a section, whose ``keys`` it has.
    """
    if "$ref" in key:
        inner = sections[key.pop("$ref").rpartition("/")[2]]["properties"]
        key |= {"type": "object", "keys": {k: _with_null(v, sections) for k, v in inner.items()}}
    if key.get("type") == "object":
        key["type"] = "mapping"
        entries = key.pop("additionalProperties", None)
        if isinstance(entries, dict):
            key["each"] = _with_null(entries, sections)
    if "prefixItems" in key:
        key["items"] = key.pop("prefixItems")[0]
    if "items" in key:
        is_section = key["items"].get("type") == "object"
        key["items"] = _with_null(key["items"], sections) | (
            {"type": "object"} if is_section else {}
        )
    choices = key.pop("anyOf", key.pop("oneOf", []))
    choices = [inner for each in choices for inner in each.get("oneOf", [each])]
    names = []
    for each in choices:
        found = _with_null(each, sections)
        names += [] if "enum" in found else types(found)
        key |= found
    if "enum" in key:
        key.pop("type", None)
        return key | {"enum": key["enum"] + [None] * names.count("null")}
    return key | ({"type": names[0] if len(names) == 1 else names} if names else {})


def inner_keys(part: dict) -> dict[str, dict]:
    """Return the schemas of the keys of a section, or of those that a key also takes."""
    return part["properties"] if "properties" in part else part.get("keys", {})


def part_named(part: dict, name: int | str) -> dict:
    """Return the schema of a section's key, of an item of a list, or of an entry of a mapping."""
    if isinstance(name, int):
        return part["items"]
    return part["each"] if "each" in part else inner_keys(part)[name]


def types(part: dict) -> list[str]:
    """Return the types that a value may have."""
    return part["type"] if isinstance(part["type"], list) else [part["type"]]


def keys(part: dict | None = None, path: str = "") -> Iterator[tuple[str, dict]]:
    """Yield each key at or below a path, such as ``data.demo.seed``, with its schema."""
    part = part or schema()
    for name, inner in part["properties"].items():
        inner_path = f"{path}.{name}" if path else name
        if "properties" in inner:
            yield from keys(inner, inner_path)
        else:
            yield inner_path, inner


def describe_values(key: dict) -> str:
    """Return the type and range of a key's values in words."""
    if "enum" in key:
        return ", ".join("null" if each is None else f"`{each}`" for each in key["enum"]) or (
            "name that a plugin adds"
        )
    name, *others = types(key)
    null = "null" in others
    if "keys" in key:
        return ", ".join(_word(each, key) for each in types(key)).replace(", null", ", or null")
    if name in WORDS:
        return WORDS[name]
    if name == "array" and key["items"].get("type") == "object":
        return f"list of {WORDS['objects']}" + ", or null" * null
    if name == "array":
        count = f"{key['maxItems']} " if "maxItems" in key else "one or more " * ("minItems" in key)
        items = re.sub(r"^\w+", r"\g<0>s", describe_values(key["items"]))
        return f"list of {count}{items}" + ", or null" * null
    if {"minimum", "maximum"} <= key.keys():
        bounds = [f"{key['minimum']:,} to {key['maximum']:,}"]
    else:
        bounds = [words.format(key[bound]) for bound, words in BOUNDS.items() if bound in key]
    name = _word(name, key)
    return ", ".join([name, *bounds]) + (f"{',' if bounds else ''} or null" if null else "")


def _word(name: str, key: dict) -> str:
    """Return the word for a type of a key's values."""
    if name == "mapping":
        return WORDS["object"].removeprefix("a ")
    return key.get("format", "text") if name == "string" else name
