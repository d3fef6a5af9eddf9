"""What a user gives twice in a configuration file, of which YAML keeps the last."""

from collections.abc import Iterator
from pathlib import Path

import yaml


def doubled_keys(file: Path) -> Iterator[str]:
    """Name each key that a YAML file gives again, of which Snakemake keeps only the last."""
    waiting, seen = [("", yaml.compose(file.read_text(encoding="utf-8"), yaml.SafeLoader))], set()
    while waiting:
        path, node = waiting.pop()
        # An anchor may be used in several places, even within itself.
        if not isinstance(node, yaml.MappingNode) or id(node) in seen:
            continue
        seen.add(id(node))
        lines: dict[str, int] = {}
        for key, value in node.value:
            name, line = f"{path}{key.value}", key.start_mark.line + 1
            if name in lines:
                yield (
                    f"{file}: {name} is in line {lines[name]} and again in line {line}, and the "
                    "first would not count; write it once"
                )
            lines[name] = line
            waiting.append((f"{name}.", value))
