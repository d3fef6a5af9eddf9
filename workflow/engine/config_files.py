"""Write what follows from the configuration's schema: the defaults, and the tables of the README.

    python workflow/engine/config_files.py

Tables go between markers such as <!-- keys of data -->; the text around them is written by hand.
"""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "workflow/schemas/config.schema.yaml"
HEAD = """\
# The demo survey on a CPU: all keys with their defaults. config/README.md describes them. Override
# some in a file of your own with --configfile. `make config` writes this file from the schema.
"""
COLUMNS = "| key | type | default | effect | a change reruns |\n|---|---|---|---|---|\n"
BOUNDS = {
    "minimum": "{:,} or more",
    "exclusiveMinimum": "above {:,}",
    "maximum": "up to {:,}",
    "exclusiveMaximum": "below {:,}",
}


def generated() -> dict[Path, str]:
    """Return the text of each file that is made from the schema."""
    schema = yaml.safe_load(SCHEMA.read_text())
    defaults, readme = ROOT / "config/config.yaml", ROOT / "config/README.md"
    text = readme.read_text()
    for name, section in schema["properties"].items():
        begin, end = f"<!-- keys of {name} -->", "<!-- end of keys -->"
        before, begun, rest = text.partition(begin)
        _, ended, after = rest.partition(end)
        if not (begun and ended):
            raise ValueError(f"{readme}: expected {begin}, and {end} after it")
        rows = "".join(row(*each) for each in keys(section, name))
        text = f"{before}{begin}\n\n{COLUMNS}{rows}\n{end}{after}"
    return {defaults: HEAD + "".join(lines(schema)), readme: text}


def lines(schema: dict, indent: str = "") -> Iterator[str]:
    """Yield lines of YAML with each key's default and a comment."""
    for name, part in schema["properties"].items():
        gap = "" if indent else "\n"
        value = f" {as_yaml(part['default'])}" if "default" in part else ""
        yield f"{gap}{indent}{name}:{value}{comment(part)}\n"
        if "properties" in part:
            yield from lines(part, f"{indent}  ")


def comment(schema: dict) -> str:
    """Return the other choices, if any, and the beginning of the description."""
    others = [as_yaml(each) for each in schema.get("enum", []) if each != schema["default"]]
    parts = [textwrap.shorten(f"or {', '.join(others)}", 50, placeholder=" ...")] if others else []
    if "description" in schema:
        plain = re.sub(r"\[(.*?)\]\(.*?\)|[`*]", r"\1", schema["description"])
        parts.append(re.split(r"[;:.] ", plain)[0])
    return f" # {'; '.join(parts)}" if parts else ""


def keys(schema: dict, path: str = "", reruns: str = "") -> Iterator[tuple[str, dict]]:
    """Yield each dotted key at or below a path with its schema, to which it adds x-reruns."""
    schema = {"x-reruns": reruns, **schema}
    for name, part in schema.get("properties", {}).items():
        yield from keys(part, f"{path}.{name}" if path else name, schema["x-reruns"])
    if "properties" not in schema:
        yield path, schema


def row(key: str, schema: dict) -> str:
    """Return a key's row of the README's table."""
    default, effect = f"`{as_yaml(schema['default'])}`", schema["description"]
    return f"| `{key}` | {kind(schema)} | {default} | {effect} | {schema['x-reruns']} |\n"


def kind(schema: dict) -> str:
    """Return the type and range of a key's values in words."""
    if "enum" in schema:
        return ", ".join("null" if each is None else f"`{each}`" for each in schema["enum"])
    name, *null = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if name == "boolean":
        return "true, false"
    if name == "array":
        count = f"{schema['maxItems']} " if "maxItems" in schema else ""
        return f"list of {count}" + re.sub(r"^\w+", r"\g<0>s", kind(schema["items"]))
    if {"minimum", "maximum"} <= schema.keys():
        bounds = [f"{schema['minimum']:,} to {schema['maximum']:,}"]
    else:
        bounds = [words.format(schema[key]) for key, words in BOUNDS.items() if key in schema]
    name = schema.get("format", "text") if name == "string" else name
    return ", ".join([name, *bounds]) + (f"{',' if bounds else ''} or null" if null else "")


def as_yaml(value: object) -> str:
    """Return a value as YAML on one line."""
    return yaml.safe_dump([value], default_flow_style=True, width=1000).strip()[1:-1]


if __name__ == "__main__":
    for path, text in generated().items():
        path.write_text(text)
