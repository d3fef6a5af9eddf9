"""Which files of this project a script really uses."""

import ast
from functools import cache
from pathlib import Path


def local_files(script: Path) -> list[Path]:
    """The script, then every module beside or below it that it imports, directly or not."""
    folder, found, waiting = script.parent, [], [script]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.append(file)
        for name in _imported_names(file):
            waiting.extend(_files_of(folder, name))
    return [script, *sorted(found[1:])]


@cache
def _imported_names(file: Path) -> list[str]:
    """Names that a file imports; parsed once, since most stages share most modules."""
    nodes = ast.walk(ast.parse(file.read_text()))
    return [name for node in nodes for name in _names_of(node)]


def _names_of(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def _files_of(folder: Path, name: str) -> list[Path]:
    """The module's file and the packages on the way to it, as far as they are local."""
    parts = name.split(".")
    candidates = [folder.joinpath(*parts).with_suffix(".py")]
    candidates += [folder.joinpath(*parts[: i + 1], "__init__.py") for i in range(len(parts))]
    return [file for file in candidates if file.is_file()]
