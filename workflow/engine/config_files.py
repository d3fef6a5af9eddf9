"""Write what follows from the settings' declarations: the defaults, and the tables of config/*.md.

    python workflow/engine/config_files.py

Tables go between markers such as <!-- keys of data -->; the text around them is written by hand.
"""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import yaml

from saltseg.settings.schema import describe_values, keys, schema

ROOT = Path(__file__).parents[2]
HEAD = """\
# The demo on a CPU: all keys with their defaults, which the pages in config/ describe. Override
# some in a file of your own with --configfile. `make config` writes this file.
"""
COLUMNS = "| key | type | default | effect | a change reruns |\n|---|---|---|---|---|\n"


def generated() -> dict[Path, str]:
    """Return the text of each file that is made from the declarations."""
    texts = {path: path.read_text() for path in (ROOT / "config").glob("*.md")}
    for name, section in schema()["properties"].items():
        begin, end = f"<!-- keys of {name} -->", "<!-- end of keys -->"
        path = next((path for path, text in texts.items() if begin in text), None)
        if path is None:
            raise ValueError(f"config/*.md: expected {begin}, and {end} after it, in one of them")
        before, _, rest = texts[path].partition(begin)
        after = rest.partition(end)[2]
        texts[path] = f"{before}{begin}\n\n{tables(section, name)}\n{end}{after}"
    return {ROOT / "config/config.yaml": HEAD + "".join(lines(schema())), **texts}


def tables(section: dict, name: str) -> str:
    """Return the table of a section's keys and, if it has any, that of its advanced keys."""
    rows = {True: "", False: ""}
    for key, part in keys({"properties": {name: section}}):
        rows["x-advanced" in part] += row(key, part)
        path = f"{key}.NAME" if "each" in part else key
        for name, inner in part.get("each", part).get("keys", {}).items():
            text = row(f"{path}.{name}", {**inner, "x-reruns": part["x-reruns"]})
            rows["x-advanced" in part] += text
    advanced = f"Rarely needed:\n\n{COLUMNS}{rows[True]}" if rows[True] else ""
    plain = f"{COLUMNS}{rows[False]}" if rows[False] else ""
    return "\n".join(filter(None, [plain, advanced]))


def lines(section: dict, indent: str = "") -> Iterator[str]:
    """Yield lines of YAML with each key's default and a comment."""
    for name, part in section["properties"].items():
        gap = "" if indent else "\n"
        value = f" {as_yaml(part['default'])}" if "default" in part else ""
        yield f"{gap}{indent}{name}:{value}{comment(part)}\n"
        if "properties" in part:
            yield from lines(part, f"{indent}  ")


def comment(part: dict) -> str:
    """Return the other choices, if any, and the beginning of the description."""
    others = [as_yaml(each) for each in part.get("enum", []) if each != part["default"]]
    parts = [textwrap.shorten(f"or {', '.join(others)}", 50, placeholder=" ...")] if others else []
    plain = re.sub(r"\[(.*?)\]\(.*?\)|[`*]", r"\1", part["description"])
    parts.append(re.split(r"[;:.] |\.$", plain)[0])
    return f" # {'; '.join(parts)}"


def row(name: str, part: dict) -> str:
    """Return a key's row of the README's table."""
    default = f"`{as_yaml(part['default'])}`" if "default" in part else ""
    effect = part["description"]
    return f"| `{name}` | {describe_values(part)} | {default} | {effect} | {part['x-reruns']} |\n"


def as_yaml(value: object) -> str:
    """Return a value as YAML on one line."""
    return yaml.safe_dump([value], default_flow_style=True, width=1000).strip()[1:-1]


if __name__ == "__main__":
    for path, text in generated().items():
        path.write_text(text)
