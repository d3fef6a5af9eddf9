"""What a user sets, in the files of --configfile and by --config, where Snakemake would lose it.

Of Snakemake's internals, as of 9.27, this makes up for `parse_config`, which reads all below the
first level as text, so that `--config "training={epochs: 3}"` sets the epochs to "3".
"""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml


def typed(entries: Iterable[str] | None) -> Iterator[dict]:
    """Yield the sections that `--config` entries such as ``training={epochs: 3}`` set.

    An entry is read as a Python literal, as Snakemake's help has it, or else as YAML, as in a
    configuration file. Entries that set no section stay as Snakemake read them.

    Args:
        entries: as given on the command line; None without `--config`.
    """
    for entry in entries or []:
        name, _, text = entry.partition("=")
        value = _read(text)
        if isinstance(value, dict):
            yield {name: value}


def _read(text: str) -> object:
    """Return a Python literal or a YAML value; None if the text is neither."""
    for reader in (ast.literal_eval, yaml.safe_load):
        try:
            return reader(text)
        except (ValueError, SyntaxError, yaml.YAMLError):
            continue
    return None


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
