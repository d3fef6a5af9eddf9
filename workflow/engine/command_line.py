"""The values of --config, in types other than text.

Snakemake reads all below the first level as text (9.27, `parse_config`): to it,
`--config "training={epochs: 3}"` sets the epochs to "3".
"""

import ast
from collections.abc import Iterable, Iterator

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
        value = read(text)
        if isinstance(value, dict):
            yield {name: value}


def read(text: str) -> object:
    """Return a Python literal or a YAML value; None if the text is neither."""
    for reader in (ast.literal_eval, yaml.safe_load):
        try:
            return reader(text)
        except (ValueError, SyntaxError, yaml.YAMLError):
            continue
    return None
